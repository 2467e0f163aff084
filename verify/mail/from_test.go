package mail

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// header parses lines as a header; CRLF is put behind each.
func header(t testing.TB, lines ...string) Fields {
	t.Helper()
	fs, err := Parse([]byte(strings.Join(lines, "\r\n")+"\r\n"), DefaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestRFC5322_3_4_one_author_domain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, from, domain, display, local string }{
		{"a bare address", "a@example.org", "example.org", "", "a"},
		{"in angle brackets", "<a@example.org>", "example.org", "", "a"},
		{"with a name", "John Doe <jdoe@machine.example>", "machine.example", "John Doe", "jdoe"},
		{"with a quoted name", `"Joe Q. Public" <john.q.public@example.com>`, "example.com", "Joe Q. Public", "john.q.public"},
		{"a dot in the name (obs-phrase)", "Joe Q. Public <john.q.public@example.com>", "example.com", "Joe Q. Public", "john.q.public"},
		{"specials in a quoted name", `"Giant; \"Big\" Box, <x@y.example>" <sysservices@example.net>`, "example.net", `Giant; "Big" Box, <x@y.example>`, "sysservices"},
		{"comments of RFC 5322, A.5", `Pete(A nice \) chap) <pete(his account)@silly.test(his host)>`, "silly.test", "Pete", "pete"},
		{"nested comments", "(a (b \\( c) d) a@example.org (e)", "example.org", "", "a"},
		{"an address in a comment is none", "a@example.org (<b@example.net>)", "example.org", "", "a"},
		{"a quoted local part", `"a b\"c@d"@example.org`, "example.org", "", `a b"c@d`},
		{"several mailboxes of one domain", "a@example.org, B <b@EXAMPLE.org>", "example.org", "", "a"},
		{"upper case", "a@Example.ORG", "example.org", "", "a"},
		{"a tab as white space", "\ta@example.org\t", "example.org", "", "a"},
		{"a U-label", "a@bücher.example", "xn--bcher-kva.example", "", "a"},
		{"a full stop of another script (RFC 3490, 3.1)", "a@example。org", "example.org", "", "a"},
		{"a U-label in upper case", "a@BÜCHER.example", "xn--bcher-kva.example", "", "a"},
		{"an A-label", "a@XN--BCHER-KVA.example", "xn--bcher-kva.example", "", "a"},
		{"a non-joiner where it belongs", "a@نامه\u200cای.example", "xn--mgba3gch31f060k.example", "", "a"},
		{"UTF-8 in the local part", "ü@example.org", "example.org", "", "ü"},
		{"UTF-8 in the name", "Jürgen <j@example.org>", "example.org", "Jürgen", "j"},
		{"no UTF-8 in the name", "J\xfcrgen <j@example.org>", "example.org", "J\uFFFDrgen", "j"},
		{"an underscore in the domain", "a@my_host.example.org", "my_host.example.org", "", "a"},
		{"a single label", "root@localhost", "localhost", "", "root"},
		{"encoded words are joined", "=?utf-8?Q?J=C3=BCr?= =?utf-8?B?Z2Vu?= <j@example.org>", "example.org", "Jürgen", "j"},
		{"an encoded word beside an atom", "Dr =?iso-8859-1?Q?J=FCrgen?= <j@example.org>", "example.org", "Dr Jürgen", "j"},
		{"another character set", "=?koi8-r?B?8NLJ18XU?= <j@example.org>", "example.org", "Привет", "j"},
		{"an unknown character set", "=?x-none?Q?a?= <j@example.org>", "example.org", "=?x-none?Q?a?=", "j"},
		{"an encoded word in quotes is text", `"=?utf-8?Q?a?=" <j@example.org>`, "example.org", "=?utf-8?Q?a?=", "j"},
		{"an address in an encoded word is none", "=?utf-8?Q?=3Ca=40example.net=3E?= <j@example.org>", "example.org", "<a@example.net>", "j"},
		{"folded", "John\r\n Doe\r\n <jdoe@example.org>", "example.org", "John Doe", "jdoe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := ParseFrom(header(t, "From: "+c.from))
			if got.Problem != "" || got.Domain != c.domain || got.Fields != 1 {
				t.Fatalf("%q: got %q, %s (%s at %d); want %q", c.from, got.Domain, got.Problem, got.Fault, got.Column, c.domain)
			}
			if a := got.Addresses[0]; a.Display != c.display || a.Local != c.local {
				t.Errorf("%q: got %q, %q; want %q, %q", c.from, a.Display, a.Local, c.display, c.local)
			}
		})
	}
}

func TestRFC5322_3_4_what_has_no_author_domain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, from string
		problem    Problem
		fault      Fault
		column     int
	}{
		{"empty", "", BadFrom, FaultEmpty, 1},
		{"white space and a comment", "(nobody)", BadFrom, FaultEmpty, 9},
		{"empty brackets", "Nobody <>", BadFrom, FaultEmpty, 9},
		{"a name alone", "Nobody", BadFrom, FaultNoDomain, 7},
		{"no domain in brackets", "<nobody>", BadFrom, FaultNoDomain, 8},
		{"nothing behind the @", "nobody@", BadFrom, FaultDomain, 8},
		{"nothing before the @", "@example.org", BadFrom, FaultLocal, 1},
		{"an encoded address alone", "=?utf-8?Q?=3Ca=40example.org=3E?=", BadFrom, FaultNoDomain, 34},
		{"two domains", "a@example.org, b@example.net", SeveralAuthor, "", 0},
		{"two domains, one below the other", "a@example.org, b@sub.example.org", SeveralAuthor, "", 0},
		{"no comma between two", "<a@example.org> <b@example.net>", BadFrom, FaultTrailing, 17},
		{"text behind the address", "<a@example.org>b@example.net", BadFrom, FaultTrailing, 16},
		{"an address as a name", "a@example.org <b@example.net>", BadFrom, FaultTrailing, 15},
		{"an unquoted comma in the name", "Doe, John <a@example.org>", BadFrom, FaultNoDomain, 4},
		{"an unquoted bracket in the name", "[x] <a@example.org>", BadFrom, FaultTrailing, 1},
		{"an empty element (obs-mbox-list)", "a@example.org,,b@example.org", BadFrom, FaultEmpty, 15},
		{"a comma at the end", "a@example.org,", BadFrom, FaultEmpty, 15},
		{"a route", "<@example.org,@example.net:a@example.com>", BadFrom, FaultRoute, 2},
		{"a route that begins with a comma", "<,@example.net:a@example.com>", BadFrom, FaultRoute, 2},
		{"a group", "Undisclosed: a@example.org;", GroupFrom, FaultGroup, 12},
		{"an empty group", "Undisclosed:;", GroupFrom, FaultGroup, 12},
		{"a group behind an address", "a@example.org, g: b@example.org;", GroupFrom, FaultGroup, 17},
		{"VU#517845", "<a@example.org>:<b@example.net>", GroupFrom, FaultGroup, 16},
		{"a quoted-pair outside of quotes", `<a@example.org>\,<b@example.net>`, BadFrom, FaultBackslash, 16},
		{"a quoted-pair in the name", `a\ b <a@example.org>`, BadFrom, FaultBackslash, 2},
		{"a quoted-pair in the brackets", `<\a@example.org>`, BadFrom, FaultBackslash, 2},
		{"an encoded word in the domain", "a@=?utf-8?Q?example=2Eorg?=", BadFrom, FaultEncodedWord, 3},
		{"an encoded word as the local part", "=?utf-8?Q?a?=@example.org", BadFrom, FaultEncodedWord, 14},
		{"NUL in the domain", "a@example.org\x00.example.net", BadFrom, FaultControl, 14},
		{"NUL in the name", "a\x00 <a@example.org>", BadFrom, FaultControl, 2},
		{"a bare CR", "a@example.org\r, b@example.org", BadFrom, FaultControl, 14},
		{"an escape", "\x1b[2J <a@example.org>", BadFrom, FaultControl, 1},
		{"a comment without end", "a@example.org (x", BadFrom, FaultComment, 15},
		{"a comment that swallows the bracket", "<a@example.org(x>", BadFrom, FaultComment, 15},
		{"a comment that ends in a backslash", `a@example.org (x\`, BadFrom, FaultComment, 15},
		{"a comment closed twice", "a@example.org (x))", BadFrom, FaultTrailing, 18},
		{"quotes without end", `"a <a@example.org>`, BadFrom, FaultQuote, 1},
		{"quotes that end in a backslash", `"a\`, BadFrom, FaultQuote, 1},
		{"brackets without end", "<a@example.org", BadFrom, FaultAngle, 15},
		{"brackets twice", "<<a@example.org>>", BadFrom, FaultLocal, 2},
		{"an @ too many", "a@example.org@example.net", BadFrom, FaultTrailing, 14},
		{"an @ too many in brackets", "<a@example.org@example.net>", BadFrom, FaultAngle, 15},
		{"an address literal", "a@[192.0.2.1]", BadFrom, FaultLiteral, 3},
		{"dots in a row in the local part", "a..b@example.org", BadFrom, FaultLocal, 5},
		{"no UTF-8 in the local part", "\xff@example.org", BadFrom, FaultLocal, 2},
		{"a dot before the @", "a.@example.org", BadFrom, FaultLocal, 3},
		{"a quoted word within the local part", `a."b"@example.org`, BadFrom, FaultTrailing, 6},
		{"a comment within the domain (obs-domain)", "<jdoe@machine(comment).  example>", BadFrom, FaultAngle, 23},
		{"dots in a row in the domain", "a@example..org", BadFrom, FaultDomain, 3},
		{"a final dot", "a@example.org.", BadFrom, FaultDomain, 3},
		{"a quote in the domain", "a@example.org'a.example.net", BadFrom, FaultDomain, 3},
		{"a label that begins with a hyphen", "a@-x.example.org", BadFrom, FaultDomain, 3},
		{"a label of 64 octets", "a@" + strings.Repeat("x", 64) + ".example", BadFrom, FaultDomain, 3},
		{"a domain of 254 octets", "a@" + strings.Repeat("x.", 126) + "xx", BadFrom, FaultDomain, 3},
		{"no UTF-8 in the domain", "a@b\xfccher.example", BadFrom, FaultDomain, 3},
		{"a character with a dot in it", "a@x⒈example", BadFrom, FaultDomain, 3},
		{"a fullwidth @ in the domain", "a@x＠example", BadFrom, FaultDomain, 3},
		{"a zero-width space in the domain", "a@example.org\u200b", BadFrom, FaultDomain, 3},
		{"a soft hyphen in the domain", "a@exam\u00adple.org", BadFrom, FaultDomain, 3},
		{"a word joiner in the domain", "a@example\u2060.org", BadFrom, FaultDomain, 3},
		{"a variation selector in the domain", "a@example\ufe0f.org", BadFrom, FaultDomain, 3},
		{"a joiner between Latin letters", "a@exam\u200dple.org", BadFrom, FaultDomain, 3},
		{"a right-to-left override in the domain", "a@\u202eexample.org", BadFrom, FaultDomain, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := ParseFrom(header(t, "From: "+c.from))
			if got.Problem != c.problem || got.Fault != c.fault || got.Column != c.column || got.Domain != "" {
				t.Errorf("%q: got %q, %s (%s at %d); want %s (%s at %d)",
					c.from, got.Domain, got.Problem, got.Fault, got.Column, c.problem, c.fault, c.column)
			}
		})
	}
}

func TestRFC5322_3_6_number_of_From_fields(t *testing.T) {
	t.Parallel()
	const a, b = "From: a@example.org", "From: b@example.net"
	for _, c := range []struct {
		name    string
		lines   []string
		problem Problem
		fields  int
	}{
		{"none", []string{"To: a@example.org"}, NoFrom, 0},
		{"Resent-From is another field", []string{"Resent-From: a@example.org"}, NoFrom, 0},
		{"an mbox line is no field", []string{"From a@example.org Tue Nov 24 10:00:00 2026", a}, "", 1},
		{"two", []string{a, b}, SeveralFrom, 2},
		{"the same twice", []string{a, "Subject: x", a}, SeveralFrom, 2},
		{"another spelling", []string{a, "FROM: a@example.org"}, SeveralFrom, 2},
		{"the second has a space before the colon", []string{a, "From : b@example.net"}, SeveralFrom, 2},
		{"the first has a fold before the colon", []string{"From", " : b@example.net", a}, SeveralFrom, 2},
		{"a NUL behind the name", []string{"From\x00: b@example.net", a}, SeveralFrom, 2},
		{"a byte order mark", []string{"\ufeffFrom: b@example.net", a}, SeveralFrom, 2},
		{"behind a bare CR of another field", []string{"X: y\rfrom: b@example.net", a}, SeveralFrom, 2},
		{"behind bare CRs, with a space", []string{a, "X: y\r\rFrom\t: b@example.net"}, SeveralFrom, 2},
		{"behind the bare CR of a line that is no field", []string{a, "x\rFrom: b@example.net"}, SeveralFrom, 2},
		{"a bare CR and a longer name", []string{a, "X: y\rFromage: b@example.net", "X: From\r"}, "", 1},
		{"behind a bare CR alone", []string{"X: y\rFrom: b@example.net"}, NoFrom, 1},
		{"a space before the colon", []string{"From : a@example.org"}, SpacedFrom, 1},
		{"a tab before the colon", []string{"From\t: a@example.org"}, SpacedFrom, 1},
		{"a fold before the colon", []string{"From", " : a@example.org"}, SpacedFrom, 1},
		{"a NUL before the colon", []string{"From\x00: a@example.org"}, SpacedFrom, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := ParseFrom(header(t, c.lines...))
			if got.Problem != c.problem || got.Fields != c.fields || (got.Domain == "") != (c.problem != "") {
				t.Errorf("%q: got %q, %q in %d fields; want %q in %d", c.lines, got.Domain, got.Problem, got.Fields, c.problem, c.fields)
			}
		})
	}
}

func TestParseFrom_shows_the_first_field(t *testing.T) {
	t.Parallel()
	got := ParseFrom(header(t, "From: A <a@example.org>,", " b@Example.NET", "From: c@example.com"))
	want := []Address{{Display: "A", Local: "a", Domain: "example.org"}, {Local: "b", Domain: "Example.NET"}}
	if got.Raw != "A <a@example.org>, b@Example.NET" || !slices.Equal(got.Addresses, want) {
		t.Errorf("got %q, %+v; want the first field with %+v", got.Raw, got.Addresses, want)
	}
}

func TestParseFrom_keeps_so_many_and_reads_all(t *testing.T) {
	t.Parallel()
	list := strings.Repeat("a@example.org, ", 3*MaxAddresses)
	if got := ParseFrom(header(t, "From: "+list+"b@example.org")); got.Domain != "example.org" || len(got.Addresses) != MaxAddresses {
		t.Errorf("got %q with %d addresses, want example.org with %d", got.Domain, len(got.Addresses), MaxAddresses)
	}
	if got := ParseFrom(header(t, "From: "+list+"b@example.net")); got.Problem != SeveralAuthor {
		t.Errorf("the last has another domain: got %q", got.Problem)
	}
	if got := ParseFrom(header(t, "From: "+list+"b")); got.Problem != BadFrom {
		t.Errorf("the last is no address: got %q", got.Problem)
	}
}

// Four times what the bounds let through, in the forms that cost most: a quadratic reader would take
// minutes.
func TestParseFrom_is_not_quadratic(t *testing.T) {
	t.Parallel()
	const size = 512 << 10
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, value := range map[string]string{
		"comments":        fill("(") + "a@example.org",
		"closed comments": fill("()") + " a@example.org",
		"quotes":          fill(`"a" `) + "<a@example.org>",
		"escapes":         `"` + fill(`\"`) + `" <a@example.org>`,
		"encoded words":   fill("=?a?q?") + "?= <a@example.org>",
		"good words":      fill("=?utf-8?q?a?= ") + "<a@example.org>",
		"addresses":       fill("=?utf-8?q?a?= <a@bücher.example>, ") + "a@bücher.example",
		"a domain":        "a@" + fill("ü."),
		"a name":          fill("x") + " <a@example.org>",
		"dots":            fill(". ") + " <a@example.org>",
		"commas":          fill(","),
		"brackets":        fill("<"),
	} {
		t.Run(name, func(t *testing.T) {
			got := ParseFrom(Fields{{Raw: []byte("From: " + value + "\r\n"), Name: "From"}})
			if len(got.Addresses) > 0 && len(got.Addresses[0].Display) > 4*maxDisplay {
				t.Errorf("the name has %d octets", len(got.Addresses[0].Display))
			}
		})
	}
}

func BenchmarkParseFrom(b *testing.B) {
	for _, n := range []int{1, 100, 4000} {
		list := strings.TrimSuffix(strings.Repeat("=?utf-8?q?J=C3=BC?= <a@example.org>, ", n), ", ")
		fs := Fields{{Raw: []byte("From: " + list + "\r\n"), Name: "From"}}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ParseFrom(fs)
			}
		})
	}
}
