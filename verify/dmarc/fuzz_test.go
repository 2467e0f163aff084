package dmarc_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// A record is read the same with blanks and another case of its tags, and every fault lies within it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "v=DMARC1", "v=DMARC1; p=reject", "v=DMARC1;p=none;sp=x;;rua=mailto:a@b,c!1m;", "V = DMARC1 ; t=y; psd=n; fo=0:1",
		"v=DMARC1; p=none; p=reject; pct=1; \xff=\x00", " v=DMARC1", "v=DMARC1; p", "v=dmarc1; np=", "v=spf1 -all",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := dmarc.Parse(text)
		if r.Text != text || !ok && len(r.Faults) == 0 || r.Fallback && r.Unusable || len(r.Faults) > 20 {
			t.Fatalf("%q: %t, %+v", text, ok, r)
		}
		for _, fault := range r.Faults {
			if fault.Column < 1 || fault.Column > len(text)+1 || fault.Tag == "" || !utf8.ValidString(fault.Tag+fault.Value) || len(fault.Value) > 3*60 {
				t.Fatalf("%q: %+v", text, fault)
			}
		}
		if !ok {
			return
		}
		if r.P == "" && !r.Fallback && !r.Unusable || r.Fallback && len(r.RUA) == 0 {
			t.Fatalf("%q: %s, fallback %t, unusable %t", text, show(r), r.Fallback, r.Unusable)
		}
		if again, _ := dmarc.Parse(strings.ReplaceAll(text, ";", " \t; ") + " ; "); show(again) != show(r) {
			t.Fatalf("%q: %s, with blanks %s", text, show(r), show(again))
		}
	})
}

// names that the fuzzed records are served at, and identifiers that a message may have.
var (
	fuzzNames       = []string{"_dmarc.a.example.org", "_dmarc.example.org", "_dmarc.org"}
	fuzzIdentifiers = []string{"a.example.org", "b.example.org", "example.org", "org", "example.net", "x.a.example.org", ""}
	fuzzWords       = []result.Word{result.Pass, result.Fail, result.None, result.TempError, result.PermError, result.NotRun}
)

// texts serves records at the names above; the text "error" is a server that fails.
func texts(records []string) dns.ResolverFunc {
	return func(_ context.Context, q dns.Question) (dns.Answer, error) {
		a := dns.Answer{Question: q}
		for i, name := range fuzzNames {
			switch {
			case q.Name != name || q.Type != dns.TXT || records[i] == "":
			case records[i] == "error":
				return a, &dns.Error{Question: q, Kind: dns.ServFail}
			default:
				for s := range strings.SplitSeq(records[i], "\n") {
					a.Records = append(a.Records, dns.Record{Name: name, Type: dns.TXT, Strings: []string{s}})
				}
			}
		}
		return a, nil
	}
}

// From whatever From field and records: no pass without an identifier that passes and aligns, and what
// aligns has the author's name or shares its organisational domain.
func FuzzCheck(f *testing.F) {
	f.Add([]byte("From: a@a.example.org\r\n"), "v=DMARC1; p=reject", "", "", byte(0), byte(1))
	f.Add([]byte("From: a@a.example.org\r\n"), "", "v=DMARC1; p=none; psd=n", "v=DMARC1; psd=y; p=none", byte(7), byte(2))
	f.Add([]byte("From: a@example.org\r\n"), "v=DMARC1; p=none; aspf=s; adkim=s", "v=DMARC1; p=none\nv=DMARC1; p=none", "error", byte(9), byte(9))
	f.Add([]byte("From : a@a.example.org\r\n"), "v=DMARC1; p=reject; sp=x; rua=mailto:a@b", "error", "", byte(21), byte(6))
	f.Add([]byte("From: a@a.example.org, b@example.net\r\n"), "", "v=DMARC1; p=reject; np=none; t=y", "", byte(3), byte(4))
	f.Fuzz(func(t *testing.T, header []byte, author, org, top string, spf, dkim byte) {
		fs, err := mail.Parse(header, mail.DefaultBounds())
		if err != nil {
			return
		}
		q := dmarc.Query{From: mail.ParseFrom(fs), SPF: fuzzIdentifier(spf), DKIM: []dmarc.Identifier{fuzzIdentifier(dkim), fuzzIdentifier(dkim / 2)}}
		r := dmarc.Evaluator{DNS: texts([]string{author, org, top})}.Check(t.Context(), q)
		checkResult(t, q, r)
	})
}

// From whatever report addresses: what is listed and said of them is UTF-8 and bounded, and so are the
// questions.
func FuzzReports(f *testing.F) {
	f.Add("mailto:d@example.net", "mailto:a%2Cb@example%2Enet?x=y!10m,https://example.org/", byte(0))
	f.Add("mailto:@,mailto:%00@%ff,MAILTO:a@b.c.d", "x:y", byte(3))
	f.Add(strings.Repeat("mailto:a@b.example,", 40), "mailto:a@"+strings.Repeat("a.", 200), byte(7))
	f.Fuzz(func(t *testing.T, rua, ruf string, n byte) {
		record, asked := "v=DMARC1; p=none; rua="+rua+"; ruf="+ruf, map[dns.Question]bool{}
		up := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			a := dns.Answer{Question: q}
			switch {
			case !dns.Askable(q.Name):
				t.Fatalf("asked for %q", q.Name)
			case q.Name == "_dmarc.example.org":
				a.Records = []dns.Record{{Type: dns.TXT, Strings: []string{record}}}
			case n&1 > 0 && q.Type == dns.MX:
				return a, &dns.Error{Question: q, Kind: dns.ServFail}
			case n&2 > 0 && q.Type == dns.TXT:
				a.Records = []dns.Record{{Type: dns.TXT, Strings: []string{ruf, "v=DMARC1"}}}
			case n&4 > 0:
				a.NX = true
			}
			return a, nil
		})
		l := dmarc.Evaluator{DNS: up, Diagnose: counting(up, asked)}.Look(t.Context(), "example.org", rua)
		if len(asked) > dmarc.Diagnosis || len(l.Reports) > 20 || len(l.Tags) > 40 {
			t.Fatalf("%d questions, %d reports, %d tags", len(asked), len(l.Reports), len(l.Tags))
		}
		for _, r := range l.Reports {
			if r.Status.IsZero() || !utf8.ValidString(r.Address+r.Domain+r.Name) || r.External != (r.Name != "") {
				t.Fatalf("%+v", r)
			}
		}
		checkFindings(t, l.Findings)
	})
}

func checkFindings(t *testing.T, findings []result.Finding) {
	t.Helper()
	for _, f := range findings {
		for _, a := range f.Args {
			if !utf8.ValidString(a.Value) {
				t.Fatalf("%s: %s is %q", f.Code, a.Name, a.Value)
			}
		}
	}
}

func fuzzIdentifier(n byte) dmarc.Identifier {
	i := int(n)
	return dmarc.Identifier{Domain: fuzzIdentifiers[i%len(fuzzIdentifiers)], Word: fuzzWords[i/len(fuzzIdentifiers)%len(fuzzWords)]}
}

func checkResult(t *testing.T, q dmarc.Query, r dmarc.Result) {
	t.Helper()
	checkFindings(t, r.Findings)
	if (r.UnderReject == "") != (r.Author == "") || r.Word == result.Pass && r.UnderReject != dmarc.WouldAccept || r.Old != nil && r.Old.Word == r.Word && r.Old.Policy == r.Policy {
		t.Fatalf("%s, under reject %q, by the old rules %+v", r.Word, r.UnderReject, r.Old)
	}
	for _, w := range r.Walks {
		if len(w.Asked) < 1 || len(w.Asked) > 8 {
			t.Fatalf("%+v", w)
		}
	}
	aligned := false
	for _, a := range append([]dmarc.Alignment{r.SPF}, r.DKIM...) {
		if a.Why.IsZero() {
			t.Fatalf("%+v: no reason", a)
		}
		if !a.Aligned {
			continue
		}
		if a.Domain != r.Author && (a.Org != r.Org || r.Org == "") {
			t.Fatalf("%+v aligns with %s of %s", a, r.Author, r.Org)
		}
		aligned = aligned || a.Word == result.Pass
	}
	switch {
	case r.Reason.IsZero() || len(r.DKIM) != len(q.DKIM):
		t.Fatalf("%s (%s) with %d of %d signatures", r.Word, r.Reason, len(r.DKIM), len(q.DKIM))
	case (r.Word == result.Pass) != aligned:
		t.Fatalf("%s (%s) of %+v", r.Word, r.Reason, r)
	case r.Word != result.PermError && (q.From.Problem != "" || r.Author != q.From.Domain):
		t.Fatalf("%s of %+v", r.Word, q.From)
	case (r.Cause != nil) != (r.Word == result.TempError || r.Word == result.PermError):
		t.Fatalf("%s with cause %v", r.Word, r.Cause)
	case (r.Word == result.Pass || r.Word == result.Fail) && (r.PolicyName == "" || r.Policy == "" || r.Record == ""):
		t.Fatalf("%s by %q of %q", r.Word, r.Policy, r.PolicyName)
	case (r.Word == result.None || r.Word == result.PermError) && r.PolicyName != "":
		t.Fatalf("%s by %q", r.Word, r.PolicyName)
	}
}
