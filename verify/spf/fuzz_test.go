package spf_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

var seeds = []string{
	"v=spf1", "v=spf1 ", "v=spf1 mx ipv4:192.0.2.1 -all", "V=SPF1 A/24//64 ?include:%{ir}.%{v}.x.example exp=%{d2r-+}.example",
	"v=spf1 ip4:192.0.2.0/25 ip6:2001:db8::/32 ip6:::ffff:192.0.2.1 ~all", "v=spf1 redirect=%{L1r}._spf.%{D}", "v=spf1 a:foo:bar/baz.example.net/0 x=%%%_%-",
	"v=spf1 exists:%", "v=spf1 \x1b[2J\u202e", "v=spf1 ip4:8.8.8.8~all \u2013all", "v=spf1 ptr mx//128 a:x. a:%{d/}/24",
	"v=spf1 include:a.example include:b.example include:example.org a mx ptr exists:%{p}.x.example redirect=example.org",
}

// A record that can be read survives printing; one that cannot names a term that stands there.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := spf.Parse(text)
		for _, d := range p.Terms {
			if !strings.HasPrefix(text[d.Offset:], d.Text) {
				t.Fatalf("%q: no %q at %d", text, d.Text, d.Offset)
			}
			if d.Err == nil {
				continue
			}
			if near := d.Err.Near; near != "" {
				if _, err := spf.Parse("v=spf1 " + near); err != nil || near == d.Text {
					t.Fatalf("%q: the guess %q cannot be read: %v", d.Text, near, err)
				}
			}
		}
		if err != nil {
			return
		}
		once := p.String()
		again, err := spf.Parse(once)
		if err != nil || again.String() != once {
			t.Fatalf("%q does not survive printing: %q, then %q (%v)", text, once, again, err)
		}
		if len(again.Terms) != len(p.Terms) {
			t.Fatalf("%q: %d terms, printed %d", text, len(p.Terms), len(again.Terms))
		}
		for i, d := range p.Terms {
			d2 := again.Terms[i]
			if d.Name != d2.Name || d.Domain != d2.Domain || d.Addr != d2.Addr || d.Mask4 != d2.Mask4 || d.Mask6 != d2.Mask6 || d.Qualifier != d2.Qualifier {
				t.Fatalf("%q: term %+v became %+v", text, d, d2)
			}
		}
	})
}

// What macros expand to is a name that can be asked for, or nothing is asked; and text that fits into
// one line.
func FuzzMacros(f *testing.F) {
	for _, s := range []string{"%{d}", "%{l1r-}.%{o}", "%{S}%{L}%{H}", "%{ir}.%{v}", "%%%_%-", "%{c}%{r}%{t}%{p}", "%{l9.}", "%{"} {
		f.Add(s, "strong-bad", "mail.example.net")
		f.Add(s, "a..b\xff\x00", "[192.0.2.1]")
	}
	f.Fuzz(func(t *testing.T, spec, local, helo string) {
		zone := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			if !dns.Askable(q.Name) || q.Name != dns.Canonical(q.Name) {
				t.Fatalf("%q was asked", q.Name)
			}
			a := dns.Answer{Question: q}
			switch {
			case q.Type != dns.TXT:
			case q.Name == "example.org":
				a.Records = []dns.Record{{Type: dns.TXT, Strings: []string{"v=spf1 exists:" + spec + " -all exp=why.example.org"}}}
			case q.Name == "why.example.org":
				a.Records = []dns.Record{{Type: dns.TXT, Strings: []string{spec}}}
			}
			return a, nil
		})
		e := spf.Evaluator{DNS: zone, Host: "mx.example.net", Now: func() time.Time { return time.Unix(0, 0) }}
		got := e.Check(t.Context(), spf.Query{IP: netip.MustParseAddr("2001:db8::1"), Helo: helo, MailFrom: local + "@example.org"})
		if len(got.Explanation) > 1024 {
			t.Fatalf("explanation of %d octets", len(got.Explanation))
		}
		for _, c := range []byte(got.Explanation) {
			if c < ' ' || c > '~' {
				t.Fatalf("explanation %q", got.Explanation)
			}
		}
	})
}

// The composed path: any records, any sender; the result keeps its promises.
func FuzzCheck(f *testing.F) {
	for i, s := range seeds {
		f.Add(s, seeds[(i+1)%len(seeds)], "a@example.org", byte(i))
	}
	f.Fuzz(func(t *testing.T, record, other, from string, bits byte) {
		asked := 0
		zone := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			asked++
			return fuzzAnswer(q, record, other, bits)
		})
		ips := []string{"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"}
		q := spf.Query{IP: netip.MustParseAddr(ips[int(bits)%3]), Helo: "mail.example.org", MailFrom: from}
		e := spf.Evaluator{DNS: zone, Now: func() time.Time { return time.Unix(0, 0) }}
		got := e.Check(t.Context(), q)
		promises(t, got)
		// 10 terms of 11 questions, 10 names of the client with their addresses, 20 past the limit, 6 for
		// diagnosis; an IPv6 client's three other addresses are judged too, here without a memo.
		if asked > 4*200 {
			t.Fatalf("%d questions", asked)
		}
		first, _ := json.Marshal(got)
		second, _ := json.Marshal(e.Check(t.Context(), q))
		if string(first) != string(second) {
			t.Fatalf("two runs differ:\n%s\n%s", first, second)
		}
	})
}

func fuzzAnswer(q dns.Question, record, other string, bits byte) (dns.Answer, error) {
	a := dns.Answer{Question: q}
	r := dns.Record{Name: q.Name, Type: q.Type, TTL: 300, Target: "mail.example.org"}
	switch q.Type {
	case dns.TXT, dns.SPF:
		text := record
		if q.Name != "example.org" {
			text = other
		}
		// Cut in two, as a long record is.
		at := len(text) / 2
		r.Strings = []string{text[:at], text[at:]}
	case dns.A:
		r.Addr = netip.MustParseAddr("192.0.2.1")
	case dns.AAAA:
		r.Addr = netip.MustParseAddr("2001:db8::1")
	}
	switch kind := (len(q.Name) + int(bits)) % 8; {
	case kind == 0 && bits&8 != 0 && q.Name != "example.org":
		return a, &dns.Error{Question: q, Kind: dns.ServFail}
	case kind == 1 && bits&16 != 0:
		a.NX = true
		return a, nil
	}
	a.Records = []dns.Record{r}
	if bits&32 != 0 && q.Type == dns.MX {
		a.Records = slices.Repeat(a.Records, 11)
	}
	return a, nil
}

// promises that the doc of Result makes.
func promises(t *testing.T, r spf.Result) {
	t.Helper()
	words := []result.Word{result.None, result.Neutral, result.Pass, result.Fail, result.SoftFail, result.TempError, result.PermError}
	failed := r.Word == result.TempError || r.Word == result.PermError
	switch {
	case !slices.Contains(words, r.Word), r.Reason.IsZero(), failed != (r.Cause != nil):
		t.Fatalf("%s (%s) because of %v", r.Word, r.Reason, r.Cause)
	case r.Explanation != "" && r.Word != result.Fail:
		t.Fatalf("%s with the explanation %q", r.Word, r.Explanation)
	case r.Word == result.Pass && (r.Matched == "" || r.MatchedIn == ""):
		t.Fatalf("pass by %q of %q", r.Matched, r.MatchedIn)
	case r.Lookups > 30 || r.Lookups > 10 && r.Word != result.PermError, r.Voids > 3:
		t.Fatalf("%s with %d look-ups, %d void", r.Word, r.Lookups, r.Voids)
	case r.Word == result.PermError && len(r.Findings) == 0:
		t.Fatalf("permerror (%s) without a finding", r.Reason)
	}
	tree(t, r.Root)
}

func tree(t *testing.T, rec *spf.Record) {
	if rec == nil {
		return
	}
	for _, n := range rec.Terms {
		if !strings.HasPrefix(rec.Text[n.Offset:], n.Text) || n.Outcome == "" {
			t.Fatalf("%q: term %+v", rec.Text, n)
		}
		tree(t, n.Record)
	}
}
