package header_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/header"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

var received = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const (
	from = "From: a@example.org\r\n"
	date = "Date: Fri, 01 May 2026 12:00:00 +0000\r\n"
	id   = "Message-ID: <1@example.org>\r\n"
	good = from + date + id
)

func check(t testing.TB, text string, f header.Facts) header.Result {
	t.Helper()
	fs, err := mail.Parse([]byte(text), mail.DefaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	return header.Check(fs, f)
}

func codes(r header.Result) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Severity)+" "+string(f.Code))
	}
	return strings.Join(out, ", ")
}

type want struct {
	name, header string
	word         result.Word
	reason       string
	findings     string
}

func run(t *testing.T, f header.Facts, cases []want) {
	t.Helper()
	if f.Received.IsZero() {
		f.Received = received
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, c.header, f)
			if r.Word != c.word || r.Reason.String() != c.reason || codes(r) != c.findings {
				t.Errorf("%q: got %s (%s), %q; want %s (%s), %q", c.header, r.Word, r.Reason, codes(r), c.word, c.reason, c.findings)
			}
		})
	}
}

func TestRFC5322_2_1_the_header_comes_first(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{}, []want{
		{"an empty line first", "", result.Fail, "header-begins-with-empty-line", "error header-empty-line-first"},
		{"a byte order mark first", "\xef\xbb\xbf" + good, result.Fail, "header-begins-with-bom", "error header-bom"},
		{"a byte order mark before Date", "\xef\xbb\xbf" + date + from + id, result.Fail, "header-begins-with-bom", "error header-bom"},
		{"a byte order mark within", from + "\xef\xbb\xbf" + date + id, result.Fail, `header-has-malformed-lines count="1"`, "error header-no-date"},
	})
}

func TestGood_header(t *testing.T) {
	t.Parallel()
	const text = "Received: from x\r\n\tby y; Fri, 01 May 2026 12:00:00 +0000\r\n" + good + "To: b@example.net\r\nSubject: x\r\n\ty\r\n"
	r := check(t, text, header.Facts{Received: received.Add(time.Minute)})
	if r.Word != result.Pass || !r.Reason.IsZero() || len(r.Findings) > 0 {
		t.Errorf("got %s (%s), %s; want pass", r.Word, r.Reason, codes(r))
	}
	got, err := json.Marshal(r)
	const facts = `{"from_count":1,"duplicates":[],"date":"ok","date_time":"2026-05-01T12:00:00Z","date_differs":-60,"message_id":"ok","malformed":0,"faulty":[],` +
		`"octets_8bit":0,"controls":0,"bare_cr":0,"bare_lf":0,"longest_line":38,"fields":6,"size":182}`
	if err != nil || string(got) != facts {
		t.Errorf("got %s (%v), want %s", got, err, facts)
	}
}

func TestRFC5322_3_6_fields_that_stand_once(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject", "Date"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := name + ": <1@example.org>\r\n"
			if name == "Date" {
				line = date
			}
			r := check(t, good+line+strings.ToUpper(line), header.Facts{Received: received})
			if !slices.Equal(r.Duplicates, []string{name}) || r.Word != result.Fail || codes(r) != "error header-duplicate" || r.Findings[0].Args.Get("fields") != name {
				t.Errorf("got %s (%s), %q, %s; want one duplicate", r.Word, r.Reason, r.Duplicates, codes(r))
			}
		})
	}
	run(t, header.Facts{}, []want{
		{"fields that may stand often", good + "Received: a\r\nReceived: b\r\nComments: a\r\nComments: b\r\nKeywords: a\r\nKeywords: b\r\nDKIM-Signature: a\r\nDKIM-Signature: b\r\nX-Any: a\r\nX-Any: b\r\n", result.Pass, "", ""},
		{"two and three", good + "To: a\r\nTo: b\r\nTo: c\r\nCc: a\r\nCc: b\r\n", result.Fail, `header-repeats-fields fields="To, Cc"`, "error header-duplicate"},
		{"white space in the name hides nothing", good + "Subject: a\r\nSubject : b\r\n", result.Fail, `header-repeats-fields fields="Subject"`, "error header-duplicate, warning header-space-before-colon"},
	})
}

func TestRFC5322_3_6_2_author(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{}, []want{
		{"no From", date + id, result.Fail, `header-lacks-field field="From"`, ""},
		{"two From", from + good, result.Fail, `header-repeats-fields fields="From"`, ""},
		{"two From, one in disguise", "From\r\n : b@example.org\r\n" + good, result.Fail, `header-has-malformed-lines count="2"`, ""},
		{"From that cannot be read", "From: a@@example.org\r\n" + date + id, result.Fail, "header-from-unreadable", ""},
		{"several authors", "From: a@example.org, b@example.org\r\n" + date + id, result.Fail, `header-lacks-field field="Sender"`, "warning header-no-sender"},
		{"several authors and Sender", "From: a@example.org, b@example.org\r\nSender: a@example.org\r\n" + date + id, result.Pass, "", ""},
	})
	if r := check(t, "From\r\n : b@example.org\r\n"+good, header.Facts{}); r.FromCount != 2 || !slices.Equal(r.Duplicates, []string{"From"}) {
		t.Errorf("got %d From, %q; want the disguised one counted", r.FromCount, r.Duplicates)
	}
}

func TestRFC5322_3_6_1_date(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{}, []want{
		{"none", from + id, result.Fail, `header-lacks-field field="Date"`, "error header-no-date"},
		{"empty", from + id + "Date:\r\n", result.Fail, "header-date-unreadable", "error header-date-malformed"},
		{"as ahead as may be", from + id + "Date: Sat, 02 May 2026 12:00:00 +0000\r\n", result.Pass, "", ""},
		{"further ahead", from + id + "Date: Sat, 02 May 2026 12:00:01 +0000\r\n", result.Pass, "", "warning header-date-off"},
		{"the zone counts", from + id + "Date: Sat, 02 May 2026 14:00:00 +0200\r\n", result.Pass, "", ""},
		{"as late as may be", from + id + "Date: Fri, 24 Apr 2026 12:00:00 +0000\r\n", result.Pass, "", ""},
		{"later", from + id + "Date: Fri, 24 Apr 2026 11:59:59 +0000\r\n", result.Pass, "", "warning header-date-off"},
		{"the clock was never set", from + id + "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n", result.Pass, "", "warning header-date-off"},
	})
	if r := check(t, from+id+"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n", header.Facts{}); r.Date != header.OK || codes(r) != "" {
		t.Errorf("received at no known time: got %s, %s; want ok", r.Date, codes(r))
	}
}

func TestRFC5322_3_3_date(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Fri, 1 May 2026 12:00:00 +0000", "2026-05-01T12:00:00Z"},
		{"01 May 2026 12:00 -0330", "2026-05-01T15:30:00Z"},
		{"FRI,1 mAY 2026 12:00:00 +0000", "2026-05-01T12:00:00Z"},
		{"Fri,\r\n 01 May 2026\r\n\t12:00:00 +0000 (UTC)", "2026-05-01T12:00:00Z"},
		{`(a (nested \) one)) Fri, 01 May 2026 12:00:00 +0000`, "2026-05-01T12:00:00Z"},
		{"Sat, 29 Feb 2020 23:59:60 +0000", "2020-03-01T00:00:00Z"},
		{"Thu, 31 Dec 9998 12:00:00 -9959", "9999-01-04T15:59:00Z"},
		{"Mon, 01 Jan 1900 00:00:00 +0000", "1900-01-01T00:00:00Z"},
		{"Fri, 01 May 10000 12:00:00 +0000", ""},
		{"31 Dec 1899 12:00:00 +0000", ""},
		{"Fri, 01 May 2026 12:00:00", ""},
		{"Fri 01 May 2026 12:00:00 +0000", ""},
		{"Fri, 01 Mai 2026 12:00:00 +0000", ""},
		{"Fre, 01 May 2026 12:00:00 +0000", ""},
		{"Fri, 00 May 2026 12:00:00 +0000", ""},
		{"Sun, 31 Apr 2026 12:00:00 +0000", ""},
		{"Fri, 01 May 2026 24:00:00 +0000", ""},
		{"Fri, 01 May 2026 12:60:00 +0000", ""},
		{"Fri, 01 May 2026 12:00:61 +0000", ""},
		{"Fri, 01 May 2026 12:00:00 +0060", ""},
		{"Fri, 01 May 2026 12:00:00 +02:00", ""},
		{"Fri, 01 May 2026 12:00:00 +0000 (open", ""},
		{"Fri, 01 May 2026 12:00:00 +0000)", ""},
		{"Fri, 01 May 2026 12:00:00 PM +0000", ""},
		{"2026-05-01T12:00:00Z", ""},
		{"1777636800", ""},
	} {
		r := check(t, from+id+"Date: "+c.in+"\r\n", header.Facts{})
		got := ""
		if !r.DateTime.IsZero() {
			got = r.DateTime.Format(time.RFC3339)
		}
		if got != c.want || (r.Date == header.Malformed) != (c.want == "") || strings.Contains(codes(r), "weekday") {
			t.Errorf("%q: got %q, %s (%s); want %q", c.in, got, r.Date, codes(r), c.want)
		}
	}
	run(t, header.Facts{}, []want{
		{"another day of the week", from + id + "Date: Mon, 01 May 2026 12:00:00 +0000\r\n", result.Fail, "header-date-weekday-wrong", "warning header-date-weekday"},
		{"the day of its own zone", from + id + "Date: Fri, 01 May 2026 00:30:00 +0200\r\n", result.Pass, "", ""},
	})
}

func TestRFC5322_4_3_obsolete_dates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Fri, 01 May 26 12:00:00 +0000", "2026-05-01T12:00:00Z"},
		{"01 May 49 12:00:00 +0000", "2049-05-01T12:00:00Z"},
		{"01 May 50 12:00:00 +0000", "1950-05-01T12:00:00Z"},
		{"Fri, 01 May 126 12:00:00 +0000", "2026-05-01T12:00:00Z"},
		{"Fri, 01 May 2026 12:00:00 GMT", "2026-05-01T12:00:00Z"},
		{"Fri, 01 May 2026 12:00:00 EDT", "2026-05-01T16:00:00Z"},
		{"Fri, 01 May 2026 12:00:00 pst", "2026-05-01T20:00:00Z"},
		{"Fri, 01 May 2026 12:00:00 Z", "2026-05-01T12:00:00Z"},
		{"Fri, 01 May 2026 12:00:00 CEST", "2026-05-01T12:00:00Z"}, // a zone that says nothing
	} {
		r := check(t, from+id+"Date: "+c.in+"\r\n", header.Facts{})
		if got := r.DateTime.Format(time.RFC3339); got != c.want || codes(r) != "info header-date-obsolete" || r.Word != result.Pass {
			t.Errorf("%q: got %s, %s, %s; want %s", c.in, got, r.Word, codes(r), c.want)
		}
	}
}

func TestRFC5322_3_6_4_message_id(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{}, []want{{"none", from + date, result.Fail, `header-lacks-field field="Message-ID"`, "error header-no-message-id"}})
	for _, c := range []struct {
		in string
		ok bool
	}{
		{"<1@example.org>", true},
		{"<a.b.c=d+e/f$g@example.org>", true},
		{"<PH0PR.1.2.prod@[192.0.2.1]>", true},
		{"<1@host>", true},
		{" (a comment) <1@example.org> (another)", true},
		{"\r\n <1@example.org>", true},
		{"", false},
		{"1@example.org", false},
		{"<1>", false},
		{"<>", false},
		{"<@>", false},
		{"<@example.org>", false},
		{"<1@>", false},
		{"<1@2@example.org>", false},
		{"<1 2@example.org>", false},
		{"< 1@example.org >", false},
		{"<.1@example.org>", false},
		{"<1..2@example.org>", false},
		{"<1@example.org.>", false},
		{`<"a b"@example.org>`, false},
		{"<a:b@example.org>", false},
		{"<1@[a[b]>", false},
		{"<1@example.org> <2@example.org>", false},
		{"<1@example.org> text", false},
		{"<<1@example.org>>", false},
		{"<1@example.org", false},
		{"<1@ex\xc3\xa4mple.org>", false},
	} {
		r := check(t, from+date+"Message-ID:"+c.in+"\r\n", header.Facts{})
		if (r.MessageID == header.OK) != c.ok || strings.Contains(codes(r), "header-message-id-malformed") == c.ok || (r.Word == result.Pass) != c.ok {
			t.Errorf("%q: got %s, %s, %s", c.in, r.MessageID, r.Word, codes(r))
		}
	}
}

func TestRFC5322_2_1_1_long_lines(t *testing.T) {
	t.Parallel()
	line := func(n int) string { return "X: " + strings.Repeat("x", n-3) + "\r\n" }
	run(t, header.Facts{}, []want{
		{"998 octets", good + line(998), result.Pass, "", ""},
		{"999 octets", good + line(999), result.Fail, `header-has-long-line count="999"`, "warning header-long-line"},
		{"a fold", good + "X: y\r\n " + line(998), result.Fail, `header-has-long-line count="999"`, "warning header-long-line"},
		{"many short lines", good + "X: y\r\n" + strings.Repeat(" "+line(900), 20), result.Pass, "", ""},
	})
	r := check(t, good+line(2000)+"Y: "+line(1500), header.Facts{})
	if r.LongestLine != 2000 || r.Findings[0].Args.Get("field") != "X" {
		t.Errorf("got %d in %s; want 2000 in X", r.LongestLine, r.Findings[0].Args.Get("field"))
	}
}

func TestRFC5322_2_2_octets(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{}, []want{
		{"letters of UTF-8", good + "Subject: caf\xc3\xa9\r\n", result.Fail, "header-has-8bit", "error header-8bit"},
		{"letters of Latin-1", good + "Subject: caf\xe9\r\n", result.Fail, "header-has-8bit", "error header-8bit"},
		{"encoded", good + "Subject: =?utf-8?q?caf=C3=A9?=\r\n", result.Pass, "", ""},
		{"a tab", good + "Subject: a\tb\r\n", result.Pass, "", ""},
		{"an escape", good + "Subject: \x1b[2J\r\n", result.Fail, `header-has-controls count="1"`, "warning header-control"},
		{"NUL and DEL", good + "Subject: \x00\x7f\r\n", result.Fail, `header-has-controls count="2"`, "warning header-control"},
	})
	if r := check(t, good+"Subject: \xff\xff\r\nX-A: \xc3\xa9\r\nsubject: \xff\r\n", header.Facts{}); r.Octets8Bit != 5 || r.Findings[1].Args.Get("fields") != "Subject, X-A" {
		t.Errorf("got %d, %v", r.Octets8Bit, r.Findings)
	}
}

func TestRFC6532_3_1_UTF8(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{SMTPUTF8: true}, []want{
		{"UTF-8", good + "Subject: caf\xc3\xa9\r\n", result.Pass, "", ""},
		{"in the identifier", from + date + "Message-ID: <\xc3\xa91@ex\xc3\xa4mple.org>\r\n", result.Pass, "", ""},
		{"Latin-1", good + "Subject: caf\xe9\r\nTo: \xc3\xa9@example.org\r\n", result.Fail, "header-has-no-utf8", "error header-not-utf8"},
	})
	if r := check(t, good+"Subject: caf\xe9\r\nTo: \xc3\xa9@example.org\r\n", header.Facts{SMTPUTF8: true}); r.Findings[0].Args.Get("fields") != "Subject" {
		t.Errorf("got %q, want the one that is no UTF-8", r.Findings[0].Args.Get("fields"))
	}
}

func TestRFC5322_2_2_line_ends(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{}, []want{
		{"a bare CR", good + "Subject: a\rb\r\n", result.Fail, `header-has-bare-cr count="1"`, "warning header-bare-cr"},
		{"two CR in front of an LF", good + "Subject: a\r\r\n", result.Fail, `header-has-bare-cr count="1"`, "warning header-bare-cr"},
		{"a bare LF", good + "Subject: a\n", result.Fail, `header-has-bare-lf count="1"`, "warning header-bare-lf"},
		{"a bare LF in front of a fold", good + "Subject: a\n b\r\n", result.Fail, `header-has-bare-lf count="1"`, "warning header-bare-lf"},
		{"no line end at all", good + "Subject: a", result.Pass, "", ""},
	})
}

// What the transport has said already is not said again, and the word stays.
func TestFacts_of_the_transport(t *testing.T) {
	t.Parallel()
	all := header.Facts{BareCR: true, BareLF: true, LongLine: true, NUL: true}
	run(t, all, []want{
		{"a bare CR", good + "Subject: a\rb\r\n", result.Fail, `header-has-bare-cr count="1"`, ""},
		{"a bare LF", good + "Subject: a\n", result.Fail, `header-has-bare-lf count="1"`, ""},
		{"a long line", good + "X: " + strings.Repeat("x", 1000) + "\r\n", result.Fail, `header-has-long-line count="1003"`, ""},
		{"NUL", good + "X: \x00\r\n", result.Fail, `header-has-controls count="1"`, ""},
		{"NUL and another", good + "X: \x00\x01\r\n", result.Fail, `header-has-controls count="2"`, "warning header-control"},
	})
}

func TestRFC5322_2_2_malformed_lines(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{}, []want{
		{"no colon", good + "nonsense\r\n", result.Fail, `header-has-malformed-lines count="1"`, ""},
		{"an mbox line", "From a@example.org Fri May  1 12:00:00 2026\r\n" + good, result.Fail, `header-has-malformed-lines count="1"`, ""},
		{"a name with 8-bit octets", good + "Betreff\xe4: x\r\n", result.Fail, `header-has-malformed-lines count="1"`, ""},
		{"a fold without a field", " x\r\n" + good, result.Fail, `header-has-malformed-lines count="1"`, ""},
		{"a name without a value", good + "X-Empty:\r\n", result.Pass, "", ""},
	})
}

func TestRFC5322_3_2_2_blank_folds(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{}, []want{
		{"in the middle", good + "Subject: a\r\n \t\r\n b\r\n", result.Fail, "header-has-blank-fold", "warning header-blank-fold"},
		{"at the end", good + "Subject: a\r\n \r\n", result.Fail, "header-has-blank-fold", "warning header-blank-fold"},
		{"the value begins on the second line", good + "Subject:\r\n a\r\n", result.Pass, "", ""},
	})
}

func TestRFC5322_4_5_space_before_colon(t *testing.T) {
	t.Parallel()
	run(t, header.Facts{}, []want{
		{"Subject", good + "Subject : a\r\n", result.Fail, "header-space-in-name", "warning header-space-before-colon"},
		{"From has its own finding", "From : a@example.org\r\n" + date + id, result.Fail, "header-from-unreadable", ""},
	})
}

// What a receiver's rule on malformed fields reads.
func TestFaulty_fields(t *testing.T) {
	t.Parallel()
	const text = "From: a@@b\r\nDate: now\r\nMessage-ID: 1\r\nSubject : a\r\nTo: \xff\r\nto: b\rc\r\nCc: a\n b\r\nX-A: \x01\r\nX-B: a\r\n \r\n"
	r := check(t, text+"X-C: "+strings.Repeat("x", 2000)+"\r\nX-D: good\r\n", header.Facts{})
	slices.Sort(r.Faulty)
	if want := []string{"Cc", "Date", "From", "Message-ID", "Subject", "To", "X-A", "X-B"}; !slices.Equal(r.Faulty, want) {
		t.Errorf("got %q, want %q", r.Faulty, want)
	}
}

func TestFindings_stay_short(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(from + "Date: " + strings.Repeat("x", 2000) + "\r\nMessage-ID: " + strings.Repeat("y", 2000) + "\r\n")
	for i := range 500 {
		b.WriteString("X-" + strings.Repeat(string(rune('a'+i%26)), 1+i/26) + strings.Repeat("z", 100) + " : \xff\x01\r\n")
	}
	for _, f := range check(t, b.String(), header.Facts{}).Findings {
		for _, a := range f.Args {
			if len(a.Value) > 450 {
				t.Errorf("%s: %s has %d octets", f.Code, a.Name, len(a.Value))
			}
		}
	}
}

// Whatever a header holds, its word, reason, facts and findings keep together, and it ends soon.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(good), false, int64(1777636800))
	f.Add([]byte("From: a@b, c@d\r\nDate: Mon, 31 Feb 26 99:00 EST (\r\nMessage-ID: <@>\r\nTo : \xff\r\n \r\n"), true, int64(0))
	f.Add([]byte("From\r\n : x\nDate: 31 Dec 9998 23:59:60 -9959\rSubject:\x00\nSubject:\r\n"), false, int64(-62135596800))
	f.Fuzz(func(t *testing.T, text []byte, utf8 bool, now int64) {
		fs, err := mail.Parse(text, mail.DefaultBounds())
		if err != nil {
			return
		}
		before := bytes.Clone(text)
		r := header.Check(fs, header.Facts{Received: time.Unix(now%(1<<40), 0), SMTPUTF8: utf8})
		if !bytes.Equal(before, text) {
			t.Fatal("the header was written to")
		}
		if (r.Word == result.Fail) == r.Reason.IsZero() || r.Word != result.Fail && r.Word != result.Pass {
			t.Fatalf("got %s (%s)", r.Word, r.Reason)
		}
		for _, finding := range r.Findings {
			if finding.Severity == result.Error && r.Word != result.Fail {
				t.Fatalf("%s with %s", finding.Code, r.Word)
			}
		}
		if (r.Date == header.OK || r.Date == header.Off) == r.DateTime.IsZero() || r.Size != len(text) || r.FromCount > 1 != slices.Contains(r.Duplicates, "From") {
			t.Fatalf("facts disagree: %+v", r)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}
