package spf_test

import (
	"errors"
	"strings"
	"testing"

	"checkauth/verify/spf"
)

func TestRFC7208_4_6_1_terms(t *testing.T) {
	t.Parallel()
	p, err := spf.Parse("v=spf1  a -MX/24//64  ?include:x.example.org exp=why.%{d} ")
	if err != nil {
		t.Fatal(err)
	}
	want := []spf.Directive{
		{Text: "a", Offset: 8}, {Text: "-MX/24//64", Offset: 10}, {Text: "?include:x.example.org", Offset: 22}, {Text: "exp=why.%{d}", Offset: 45},
	}
	for i, d := range p.Terms {
		if d.Text != want[i].Text || d.Offset != want[i].Offset {
			t.Errorf("term %d: got %q at %d, want %q at %d", i, d.Text, d.Offset, want[i].Text, want[i].Offset)
		}
	}
	if got, want := p.String(), "v=spf1 a -mx/24//64 ?include:x.example.org exp=why.%{d}"; got != want || len(p.Terms) != 4 {
		t.Errorf("got %q, want %q", got, want)
	}
}

// RFC 7208, 12: the grammar, with what is said of a term that does not fit it.
func TestRFC7208_12_grammar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		term string
		want spf.Problem // empty where it can be read
		near string
	}{
		{"all", "", ""}, {"-ALL", "", ""}, {"all.", spf.UnknownMechanism, "all"}, {"-all:x", spf.NoArgument, "-all"}, {"all/8", spf.NoArgument, "all"},
		{"--all", spf.UnknownMechanism, "-all"}, {"-", spf.UnknownMechanism, ""}, {"\u2013all", spf.BadCharacter, "-all"}, {"-all;", spf.UnknownMechanism, "-all"},
		{"include", spf.NeedsDomain, ""}, {"include:", spf.NeedsDomain, ""}, {"include:x.example/24", spf.BadDomain, ""}, {"include/24", spf.NoArgument, ""},
		{"inlcude:x.example", spf.UnknownMechanism, "include:x.example"}, {"includ:x.example", spf.UnknownMechanism, "include:x.example"},
		{"a", "", ""}, {"a/0", "", ""}, {"a/32//128", "", ""}, {"a//0", "", ""}, {"a:", spf.NeedsDomain, "a"}, {"a/", spf.NoArgument, ""},
		{"a/33", spf.BadMask, ""}, {"a//129", spf.BadMask, ""}, {"a/024", spf.BadMask, ""}, {"a/24/64", spf.BadMask, ""}, {"a/99999999999999999999", spf.BadMask, ""},
		{"a:museum", spf.BadDomain, ""}, {"a:museum.", spf.BadDomain, ""}, {"a:x.example.", "", ""}, {"a:x..example", "", ""}, {"a:x.-example", spf.BadDomain, ""},
		{"a:x.example-", spf.BadDomain, ""}, {"a:x.123", spf.BadDomain, ""}, {"a:192.0.2.1", spf.BadDomain, "ip4:192.0.2.1"}, {"a:192.0.2.0/24", spf.BadDomain, "ip4:192.0.2.0/24"},
		{"a:foo:bar/baz.example", "", ""}, {"a:x.example:25", spf.BadDomain, ""}, {"a:x_y.example/24", "", ""}, {"a:x\xff.example", spf.BadCharacter, ""},
		{"mx:%{d}", "", ""}, {"mx:x%{d1}", "", ""}, {"mx:%{d}x", spf.BadDomain, ""}, {"mx:%%", "", ""}, {"mx:%{d}.", spf.BadDomain, "mx:%{d}"},
		{"mx:%{d/}/24", "", ""}, {"mx:%{d/}", "", ""},
		{"ptr", "", ""}, {"ptr:x.example", "", ""}, {"ptr:", spf.NeedsDomain, "ptr"}, {"ptr/24", spf.NoArgument, ""},
		{"ip4", spf.NeedsAddress, ""}, {"ip4:", spf.NeedsAddress, ""}, {"ip4:192.0.2.1", "", ""}, {"ip4:192.0.2", spf.BadAddress, ""}, {"ip4:192.0.2.01", spf.BadAddress, ""},
		{"ip4:192.0.2.1/33", spf.BadMask, ""}, {"ip4:192.0.2.1/", spf.BadMask, ""}, {"ip4:192.0.2.1//24", spf.BadMask, ""}, {"ip4:192.0.2.1:25", spf.BadAddress, ""},
		{"ip4:192.0.2.1/+8", spf.BadMask, ""}, {"ip4:2001:db8::1", spf.BadAddress, "ip6:2001:db8::1"}, {"ip4:192.0.2.1,", spf.BadAddress, "ip4:192.0.2.1"},
		{"ip6:2001:db8::/32", "", ""}, {"ip6:::ffff:192.0.2.1", "", ""}, {"ip6:192.0.2.1", spf.BadAddress, "ip4:192.0.2.1"}, {"ip6:2001:db8::1/129", spf.BadMask, ""}, {"ip6:fe80::1%eth0", spf.BadAddress, ""},
		{"ipv4:192.0.2.1", spf.UnknownMechanism, "ip4:192.0.2.1"}, {"-ipv6:2001:db8::1", spf.UnknownMechanism, "-ip6:2001:db8::1"}, {"192.0.2.1", spf.UnknownMechanism, "ip4:192.0.2.1"},
		{"ip:192.0.2.1", spf.UnknownMechanism, "ip4:192.0.2.1"}, {"ip:2001:db8::1", spf.UnknownMechanism, "ip6:2001:db8::1"}, {"2001:db8::1", spf.UnknownMechanism, "ip6:2001:db8::1"},
		{"ip4:8.8.8.8~all", spf.BadAddress, "ip4:8.8.8.8 ~all"},
		{"exists", spf.NeedsDomain, ""}, {"exists:%{i}.x.example", "", ""}, {"exists:%(i).x.example", spf.BadMacro, ""}, {"exists:%{c}.x.example", spf.BadMacro, ""},
		{"exists:%{i", spf.BadMacro, ""}, {"exists:%", spf.BadMacro, ""}, {"exists:%{}", spf.BadMacro, ""}, {"exists:%{d0}", spf.BadMacro, ""}, {"exists:%{d000}", spf.BadMacro, ""},
		{"exists:%{d2r-+.,/_=}", "", ""}, {"exists:%{d2R}", "", ""}, {"exists:%{d2r!}", spf.BadMacro, ""}, {"exists:%{d99999999999r}", "", ""}, {"exists:%{a}", spf.BadMacro, ""},
		{"redirect=x.example", "", ""}, {"redirect=", spf.NeedsDomain, ""}, {"redirect:x.example", spf.UnknownMechanism, "redirect=x.example"}, {"+redirect=x.example", spf.BadModifierName, "redirect=x.example"},
		{"exp=-all", spf.BadDomain, ""}, {"=x", spf.BadModifierName, ""}, {"1x=y", spf.BadModifierName, ""}, {"x/y=z", spf.UnknownMechanism, ""}, {"x=", "", ""}, {"x=%{c}%{r}%{t}", "", ""},
		{"x=\x80", spf.BadCharacter, ""}, {"moo", spf.UnknownMechanism, ""}, {"a\x00", spf.BadCharacter, ""},
	} {
		p, err := spf.Parse("v=spf1 " + c.term)
		var got spf.SyntaxError
		if e, ok := errors.AsType[*spf.SyntaxError](err); ok {
			got = *e
		}
		if got.Problem != c.want || got.Near != c.near || len(p.Terms) != 1 {
			t.Errorf("%q: got %q, near %q; want %q, near %q", c.term, got.Problem, got.Near, c.want, c.near)
		}
	}
}

func TestSyntaxErrorsNameTheTermAndItsColumn(t *testing.T) {
	t.Parallel()
	p, err := spf.Parse("v=spf1 mx ipv4:192.0.2.1 bogus -all")
	e, ok := errors.AsType[*spf.SyntaxError](err)
	if !ok || e.Term != "ipv4:192.0.2.1" || e.Offset != 10 || e.Near != "ip4:192.0.2.1" || p.Terms[2].Err == nil || p.Terms[3].Err != nil {
		t.Fatalf("got %+v", err)
	}
	if want := `SPF record of "", byte 10: "ipv4:192.0.2.1": unknown mechanism, want "ip4:192.0.2.1"`; err.Error() != want {
		t.Errorf("got %s, want %s", err, want)
	}
}

func TestTextsThatAreNoRecord(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "v=spf1a", "v=spf10", "spf1", " v=spf1", "v=spf", "v=spf1\t-all"} {
		if p, err := spf.Parse(text); err == nil || len(p.Terms) != 1 || spf.IsRecord(text) {
			t.Errorf("%q: got %v, want an error", text, err)
		}
	}
}

// A record of many bad terms: guessing what each was meant to be must not cost seconds.
func BenchmarkParse(b *testing.B) {
	for name, term := range map[string]string{"good": " ip4:192.0.2.1", "bad": " includ:x.example", "short": " a", "macro": " a:%{d}%{l}.x.example"} {
		text := "v=spf1" + strings.Repeat(term, 65000/len(term))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = spf.Parse(text)
			}
		})
	}
}
