package spf_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

func TestHostile_49(t *testing.T) {
	rows(t, `
*.h.example.org.     A 198.51.100.1
ten.example.org.     TXT "v=spf1`+terms(10, "a:x%d.h.example.org")+` -all"
eleven.example.org.  TXT "v=spf1`+terms(11, "a:x%d.h.example.org")+` -all"
`, []row{
		{"10 terms", "192.0.2.1", "a@ten.example.org", result.Fail, "spf-decided-by"},
		{"11 terms", "192.0.2.1", "a@eleven.example.org", result.PermError, "spf-lookup-limit"},
	})
}

func TestHostile_50(t *testing.T) {
	rows(t, `
two.example.org.    TXT "v=spf1`+terms(2, "a:x%d.example.org")+` -all"
three.example.org.  TXT "v=spf1`+terms(3, "a:x%d.example.org")+` -all"
`, []row{
		{"2 void", "192.0.2.1", "a@two.example.org", result.Fail, "spf-decided-by"},
		{"3 void", "192.0.2.1", "a@three.example.org", result.PermError, "spf-void-limit"},
	})
}

func TestHostile_51(t *testing.T) {
	rows(t, mxes("ten.example.org", 10)+mxes("eleven.example.org", 11)+`
ten.example.org.     TXT "v=spf1 mx -all"
eleven.example.org.  TXT "v=spf1 mx -all"
`, []row{
		{"10 MX, the last", "203.0.113.9", "a@ten.example.org", result.Pass, ""},
		{"10 MX, none", "192.0.2.1", "a@ten.example.org", result.Fail, ""},
		{"11 MX", "192.0.2.1", "a@eleven.example.org", result.PermError, "spf-mx-limit"},
		{"11 MX, the last", "203.0.113.10", "a@eleven.example.org", result.PermError, "spf-mx-limit"},
	})
	t.Run("PTR", func(t *testing.T) {
		t.Parallel()
		// The order is the server's, so this one is ours.
		answers := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			a := dns.Answer{Question: q}
			switch {
			case q.Type == dns.PTR:
				for i := range 11 {
					a.Records = append(a.Records, dns.Record{Type: dns.PTR, Target: fmt.Sprintf("h%d.example.org", i)})
				}
			case q.Type == dns.A:
				a.Records = []dns.Record{{Type: dns.A, Addr: netip.MustParseAddr("192.0.2.1")}}
			case q.Type == dns.TXT:
				a.Records = []dns.Record{{Type: dns.TXT, Strings: []string{"v=spf1 ptr:" + strings.TrimPrefix(q.Name, "for.") + " -all"}}}
			}
			return a, nil
		})
		for name, want := range map[string]result.Word{"h9": result.Pass, "h10": result.Fail} {
			if got := evaluate(t, answers, "192.0.2.1", "a@for."+name+".example.org"); got.Word != want {
				t.Errorf("%s: got %s, want %s", name, got.Word, want)
			}
		}
	})
}

func TestHostile_52(t *testing.T) {
	var deep strings.Builder
	for i := range 20 {
		fmt.Fprintf(&deep, "d%d.example.org. TXT \"v=spf1 include:d%d.example.org -all\"\n", i, i+1)
	}
	t.Parallel()
	r := dnstest.Zone(t, deep.String()+`
a.example.org.     TXT "v=spf1 include:b.example.org -all"
b.example.org.     TXT "v=spf1 include:a.example.org -all"
self.example.org.  TXT "v=spf1 redirect=self.example.org"
fork.example.org.  TXT "v=spf1`+strings.Repeat(" include:fork.example.org", 30)+` -all"
`)
	for _, name := range []string{"a", "self", "d0", "fork"} {
		asked := 0
		counted := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
			asked++
			return r.Resolve(ctx, q)
		})
		got := evaluate(t, counted, "192.0.2.1", "a@"+name+".example.org")
		if got.Word != result.PermError || !errors.Is(got.Cause, spf.ErrTooManyLookups) || got.Lookups > 30 || asked > 31 {
			t.Errorf("%s: got %s because of %v with %d look-ups and %d questions", name, got.Word, got.Cause, got.Lookups, asked)
		}
	}
}

// asMacro serves a record whose exists has the spec; it fails where a name is asked that cannot be.
func asMacro(t testing.TB, spec string) dns.Resolver {
	return dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		if !dns.Askable(q.Name) || len(q.Name) > 253 {
			t.Errorf("%s: %q was asked", spec, q.Name)
		}
		a := dns.Answer{Question: q}
		if q.Type == dns.TXT {
			a.Records = []dns.Record{{Type: dns.TXT, Strings: []string{"v=spf1 exists:" + spec + " -all"}}}
		}
		return a, nil
	})
}

// macroAttacks are the names' many ways to be long.
var macroAttacks = []struct {
	name, spec, local string
	want              result.Word
}{
	{"long local part", "%{l}.example.org", strings.Repeat("abc.", 2500) + "x", result.Fail},
	{"one long label", "%{l}.example.org", strings.Repeat("a", 10000), result.Fail},
	{"many parts wanted", "%{s1000r}.example.org", "a", result.Fail},
	{"zero parts", "%{d0}.example.org", "a", result.PermError},
	{"URL escape", "%{L}.example.org", strings.Repeat("\x00\x7f/", 3000), result.Fail},
	{"octets beyond ASCII", "%{L}.example.org", strings.Repeat("\xff", 3000), result.Fail},
	{"three percents", "%%%.example.org", "a", result.PermError},
	{"trailing percent", "x.example.org%", "a", result.PermError},
	{"16000 macros", strings.Repeat("%{l}", 16000) + ".example.org", strings.Repeat(".", 10000), result.Fail},
	{"16000 macros of nothing", strings.Repeat("%{h}", 16000) + ".example.org", "a", result.Fail},
	{"9000 macros reversed", strings.Repeat("%{l1r.}", 9000) + ".example.org", strings.Repeat(".", 10000), result.Fail},
	{"9000 macros of the sender", strings.Repeat("%{s1r.}", 9000) + ".example.org", strings.Repeat(".", 10000), result.Fail},
	{"dots alone", "%{l}", strings.Repeat(".", 1000), result.Fail},
}

func TestHostile_53(t *testing.T) {
	t.Parallel()
	for _, c := range macroAttacks {
		got := spf.Evaluator{DNS: asMacro(t, c.spec)}.Check(t.Context(), spf.Query{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: c.local + "@example.org"})
		if got.Word != c.want {
			t.Errorf("%s: got %s (%s), want %s", c.name, got.Word, got.Reason, c.want)
		}
	}
}

func BenchmarkHostile_53(b *testing.B) {
	for _, c := range macroAttacks {
		b.Run(c.name, func(b *testing.B) {
			e, q := spf.Evaluator{DNS: asMacro(b, c.spec)}, spf.Query{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: c.local + "@example.org"}
			for b.Loop() {
				e.Check(b.Context(), q)
			}
		})
	}
}

func TestHostile_54(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, term string
		want       result.Word
	}{
		{"addresses", "ip4:198.51.100.1 ", result.Neutral},
		{"short terms", "x= ", result.Neutral},
		{"look-ups", "a:x.example.org ", result.PermError},
		{"mistakes", "includ:x.example.org ", result.PermError},
		{"spaces", " ", result.Neutral},
		{"one term", "x", result.PermError},
		{"one macro", "%{", result.PermError},
	} {
		text := "v=spf1 " + strings.Repeat(c.term, 65000/len(c.term))
		var record strings.Builder
		for text != "" {
			n := min(len(text), 255)
			fmt.Fprintf(&record, ` "%s"`, text[:n])
			text = text[n:]
		}
		r := dnstest.Zone(t, "example.org. TXT"+record.String()+"\nx.example.org. A 198.51.100.1\n")
		got := evaluate(t, r, "192.0.2.1", "a@example.org")
		if got.Word != c.want || len(got.Root.Text) < 64000 || len(got.Root.Terms) > 1001 {
			t.Errorf("%s: got %s (%s) with %d octets and %d terms, want %s", c.name, got.Word, got.Reason.Code, len(got.Root.Text), len(got.Root.Terms), c.want)
		}
	}
}

// A term behind those that the tree shows still decides, and is shown.
func TestHostile_54_terms_beyond_the_tree(t *testing.T) {
	t.Parallel()
	r := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		text := "v=spf1" + strings.Repeat(" ip4:198.51.100.1", 2000) + " ip4:192.0.2.1 redirect=x.example.org"
		return dns.Answer{Question: q, Records: []dns.Record{{Type: dns.TXT, Strings: []string{text}}}}, nil
	})
	got := evaluate(t, r, "192.0.2.1", "a@example.org")
	if last := got.Root.Terms[len(got.Root.Terms)-1]; got.Word != result.Pass || last.Text != "ip4:192.0.2.1" || last.Outcome != spf.Match {
		t.Errorf("got %s, last term %+v", got.Word, last)
	}
	got = evaluate(t, r, "192.0.2.2", "a@example.org")
	if last := got.Root.Terms[len(got.Root.Terms)-1]; !errors.Is(got.Cause, spf.ErrTooManyLookups) && last.Record == nil {
		t.Errorf("got %s because of %v, last term %+v", got.Word, got.Cause, last)
	}
}

// Thirty records of 32 000 terms each are not all held: our bound is temperror, never permerror.
func TestHostile_54_many_large_records(t *testing.T) {
	t.Parallel()
	r := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		var text string
		if strings.HasPrefix(q.Name, "in") {
			text = "v=spf1" + strings.Repeat(" x=", 21000)
		} else {
			text = "v=spf1" + terms(9, "include:in%d.example.org") + " -all"
		}
		return dns.Answer{Question: q, Records: []dns.Record{{Type: dns.TXT, Strings: []string{text}}}}, nil
	})
	got := evaluate(t, r, "192.0.2.1", "a@example.org")
	if e, ok := errors.AsType[*dns.Error](got.Cause); got.Word != result.TempError || !ok || e.Kind != dns.Budget {
		t.Errorf("got %s because of %v, want temperror by our bound", got.Word, got.Cause)
	}
}

func TestHostile_55(t *testing.T) {
	rows(t, "example.org. TXT \"v=spf1 +all\"\nexample.org. TXT \"v=spf1 -all\"\n", []row{
		{"two records", "192.0.2.1", "a@example.org", result.PermError, "spf-several-records"}})
}

func TestHostile_56(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, `
example.org.  TXT "v=spf1 a:\027[2J<script>\013\010Bcc:x.example.org -all"
bidi.example.org. TXT "v=spf1 x=\226\128\174 -all"
exp.example.org. TXT "v=spf1 -all exp=why.example.org"
why.example.org. TXT "\027[2J%{l}"
`)
	for _, from := range []string{"a@example.org", "a@bidi.example.org"} {
		got := evaluate(t, r, "192.0.2.1", from)
		if got.Word != result.PermError || got.Reason.Code != "spf-term-character" {
			t.Errorf("%s: got %s (%s), want permerror", from, got.Word, got.Reason)
		}
		// What errors and logs say of it is quoted.
		for _, said := range []string{got.Cause.Error(), got.Reason.String()} {
			if strings.ContainsAny(said, "\x1b\r\n\u202e") {
				t.Errorf("%s: %q holds raw bytes", from, said)
			}
		}
	}
	if got := evaluate(t, r, "192.0.2.1", "a@exp.example.org"); got.Word != result.Fail || got.Explanation != "" {
		t.Errorf("got %s %q, want fail without explanation", got.Word, got.Explanation)
	}
}

func TestHostile_57(t *testing.T) {
	var chain strings.Builder
	for i := range 20 {
		fmt.Fprintf(&chain, "c%d.example.org. CNAME c%d.example.org.\n", i, i+1)
	}
	rows(t, chain.String()+`
c20.example.org.   TXT "v=spf1 -all"
loop.example.org.  CNAME loop2.example.org.
loop2.example.org. CNAME loop.example.org.
`, []row{
		{"loop", "192.0.2.1", "a@loop.example.org", result.TempError, "dns-chain"},
		{"20 links", "192.0.2.1", "a@c0.example.org", result.TempError, "dns-chain"},
		{"8 links", "192.0.2.1", "a@c12.example.org", result.Fail, ""},
	})
}

func TestHostile_58(t *testing.T) {
	rows(t, ";FAULT SERVFAIL example.org TXT\n", []row{{"SERVFAIL", "192.0.2.1", "a@example.org", result.TempError, "dns-servfail"}})
}

func TestHostile_59(t *testing.T) {
	rows(t, "", []row{{"NXDOMAIN", "192.0.2.1", "a@example.org", result.None, "spf-domain-unknown"}})
}

func TestHostile_60(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, ";FAULT TIMEOUT *.example.org ANY\n", dnstest.WithClient(func(c *client.Config) { c.Timeout = time.Minute }))
	ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Millisecond, errors.New("the time for SPF is over"))
	defer cancel()
	got := spf.Evaluator{DNS: r}.Check(ctx, query("192.0.2.1", "a@x.example.org"))
	if got.Word != result.TempError || !strings.Contains(got.Cause.Error(), "the time for SPF is over") {
		t.Errorf("got %s because of %v, want temperror by the deadline", got.Word, got.Cause)
	}
}
