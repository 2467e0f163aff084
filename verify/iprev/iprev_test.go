package iprev_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/iprev"
	"checkauth/verify/result"
)

func check(t *testing.T, r dns.Resolver, ip string) iprev.Result {
	t.Helper()
	return iprev.Evaluator{DNS: r}.Check(t.Context(), netip.MustParseAddr(ip))
}

func codes(r iprev.Result) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Severity)+" "+string(f.Code))
	}
	return strings.Join(out, ", ")
}

func TestRFC8601_2_7_3_words(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, `
1.2.0.192.in-addr.arpa.  PTR   Mail.Example.org.
mail.example.org.        A     192.0.2.1
2.2.0.192.in-addr.arpa.  PTR   mail.example.org.
3.2.0.192.in-addr.arpa.  PTR   gone.example.org.
4.2.0.192.in-addr.arpa.  PTR   text.example.org.
text.example.org.        TXT   "no address"
5.2.0.192.in-addr.arpa.  TXT   "no PTR"
7.2.0.192.in-addr.arpa.  PTR   broken.example.org.
;FAULT SERVFAIL broken.example.org. A
;FAULT SERVFAIL 8.2.0.192.in-addr.arpa. PTR
;FAULT BOGUS 9.2.0.192.in-addr.arpa. PTR
10.2.0.192.in-addr.arpa. CNAME 10.0-15.2.0.192.in-addr.arpa.
10.0-15.2.0.192.in-addr.arpa. PTR ten.example.org.
ten.example.org.         CNAME host.example.net.
host.example.net.        A     192.0.2.10
11.2.0.192.in-addr.arpa. PTR   .
`)
	for _, c := range []struct {
		name, ip string
		word     result.Word
		reason   string
		findings string
	}{
		{"the name leads back", "192.0.2.1", result.Pass, `iprev-matches host="mail.example.org"`, ""},
		{"a mapped address is what it maps", "::ffff:192.0.2.1", result.Pass, `iprev-matches host="mail.example.org"`, ""},
		{"by CNAMEs on both ways", "192.0.2.10", result.Pass, `iprev-matches host="ten.example.org"`, ""},
		{"the name has another address", "192.0.2.2", result.Fail, `iprev-names-disagree ip="192.0.2.2" names="mail.example.org"`, "error iprev-mismatch"},
		{"the name does not exist", "192.0.2.3", result.Fail, `iprev-names-disagree ip="192.0.2.3" names="gone.example.org"`, "error iprev-mismatch"},
		{"the name has no address", "192.0.2.4", result.Fail, `iprev-names-disagree ip="192.0.2.4" names="text.example.org"`, "error iprev-mismatch"},
		{"the name is the root, which is not asked for", "192.0.2.11", result.Fail, `iprev-names-disagree ip="192.0.2.11" names=""`, "error iprev-mismatch"},
		{"no records", "192.0.2.5", result.PermError, `iprev-no-name ip="192.0.2.5"`, "error iprev-no-ptr"},
		{"NXDOMAIN", "192.0.2.6", result.PermError, `iprev-no-name ip="192.0.2.6"`, "error iprev-no-ptr"},
		{"the name's look-up fails", "192.0.2.7", result.TempError, `dns-servfail name="broken.example.org" type="A"`, ""},
		{"the PTR look-up fails", "192.0.2.8", result.TempError, `dns-servfail name="8.2.0.192.in-addr.arpa" type="PTR"`, ""},
		{"DNSSEC is broken", "192.0.2.9", result.TempError, `dns-dnssec-bogus name="9.2.0.192.in-addr.arpa" type="PTR"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, zone, c.ip)
			if r.Word != c.word || r.Reason.String() != c.reason || codes(r) != c.findings {
				t.Errorf("%s: got %s (%s), %q; want %s (%s), %q", c.ip, r.Word, r.Reason, codes(r), c.word, c.reason, c.findings)
			}
			if _, isDNS := errors.AsType[*dns.Error](r.Cause); isDNS != (c.word == result.TempError) {
				t.Errorf("%s: got cause %v with %s", c.ip, r.Cause, r.Word)
			}
			if r.Names == nil || r.Confirmed == nil {
				t.Errorf("%s: nil lists, which JSON shows as null", c.ip)
			}
		})
	}
}

func TestRFC8601_3_several_names(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, `
1.2.0.192.in-addr.arpa. PTR other.example.org.
1.2.0.192.in-addr.arpa. PTR a.example.org.
1.2.0.192.in-addr.arpa. PTR b.example.org.
other.example.org.      A   192.0.2.99
a.example.org.          A   192.0.2.98
a.example.org.          A   192.0.2.1
b.example.org.          A   192.0.2.1
2.2.0.192.in-addr.arpa. PTR broken.example.org.
2.2.0.192.in-addr.arpa. PTR good.example.org.
good.example.org.       A   192.0.2.2
3.2.0.192.in-addr.arpa. PTR other.example.org.
3.2.0.192.in-addr.arpa. PTR broken.example.org.
;FAULT SERVFAIL broken.example.org. A
`)
	for _, c := range []struct {
		name, ip  string
		word      result.Word
		confirmed []string
	}{
		{"the second and the third lead back", "192.0.2.1", result.Pass, []string{"a.example.org", "b.example.org"}},
		{"one look-up fails, another leads back", "192.0.2.2", result.Pass, []string{"good.example.org"}},
		{"one leads elsewhere, one look-up fails", "192.0.2.3", result.TempError, []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if r := check(t, zone, c.ip); r.Word != c.word || !slices.Equal(r.Confirmed, c.confirmed) {
				t.Errorf("%s: got %s by %q, want %s by %q", c.ip, r.Word, r.Confirmed, c.word, c.confirmed)
			}
		})
	}
}

func TestRFC8601_3_ten_names_at_most(t *testing.T) {
	t.Parallel()
	var zone strings.Builder
	for i := range 12 {
		fmt.Fprintf(&zone, "1.2.0.192.in-addr.arpa. PTR n%02d.example.org.\n", i)
	}
	zone.WriteString("n10.example.org. A 192.0.2.1\n")
	s := dnstest.New(t, zone.String())
	r := check(t, s.Client(t), "192.0.2.1")
	if r.Word != result.Fail || len(r.Names) != 10 || codes(r) != "error iprev-mismatch, info iprev-many-names" {
		t.Errorf("got %s, %q, %s; want fail, ten names, and their count", r.Word, r.Names, codes(r))
	}
	if got := s.Queries(); len(got) != 11 {
		t.Errorf("asked %q, want PTR and ten names", got)
	}
}

// RFC 3596, 2.5 has the name; no A is asked for where the client came over IPv6.
func TestRFC8601_3_only_the_clients_family_is_asked(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.example.org.
1.2.0.192.in-addr.arpa. PTR mail.example.org.
mail.example.org. AAAA 2001:db8::25
mail.example.org. A    192.0.2.1
`)
	r := s.Client(t)
	for _, ip := range []string{"2001:db8::25", "192.0.2.1"} {
		if got := check(t, r, ip); got.Word != result.Pass || !slices.Equal(got.Confirmed, []string{"mail.example.org"}) {
			t.Errorf("%s: got %s (%s), %q; want pass by mail.example.org", ip, got.Word, got.Reason, got.Confirmed)
		}
	}
	want := []string{
		"5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR", "mail.example.org AAAA",
		"1.2.0.192.in-addr.arpa PTR", "mail.example.org A",
	}
	if got := s.Queries(); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestNames_as_a_provider_gives_them(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ip, name, want string }{
		{"203.0.113.7", "mail.example.org", ""},
		{"203.0.113.7", "smtp-out-7.example.org", ""},
		{"203.0.113.7", "mail.pool.example.org", ""},
		{"203.0.113.7", "mx1.dsl.example", ""}, // the last two labels are a company's name
		{"203.0.113.7", "203-0-113-8.example.org", ""},
		{"203.0.113.7", "203-0-113-7.example.org", "info"},
		{"203.0.113.7", "static.7.113.0.203.clients.example.org", "info"},
		{"203.0.113.7", "ip203.000.113.007.example.org", "info"},
		{"203.0.113.7", "h203000113007.example.org", "info"},
		{"203.0.113.7", "xcb007107.example.org", "info"},
		{"203.0.113.7", "p7.dyn.example.org", "warning"},
		{"203.0.113.7", "adsl-203-0-113-7.example.org", "warning"},
		{"203.0.113.7", "pool-203-0-113-7.city.example.net", "warning"},
		{"2001:db8::7", "2001-db8--7.example.org", "info"},
		{"2001:db8::7", "2001-0db8-0000-0000-0000-0000-0000-0007.ipv6.example.org", "info"},
		{"2001:db8::7", "mail.example.org", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ip := netip.MustParseAddr(c.ip)
			kind := "A"
			if ip.Is6() {
				kind = "AAAA"
			}
			zone := dnstest.Zone(t, fmt.Sprintf("%s. PTR %s.\n%s. %s %s\n", dns.ReverseName(ip), c.name, c.name, kind, c.ip))
			want := ""
			if c.want != "" {
				want = c.want + " iprev-generic-name"
			}
			if r := check(t, zone, c.ip); r.Word != result.Pass || codes(r) != want {
				t.Errorf("%s: got %s, %q; want pass, %q", c.name, r.Word, codes(r), want)
			}
		})
	}
}

func TestNames_one_of_its_own_is_enough(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, `
7.113.0.203.in-addr.arpa.  PTR dsl-203-0-113-7.example.net.
7.113.0.203.in-addr.arpa.  PTR mail.example.org.
dsl-203-0-113-7.example.net. A 203.0.113.7
mail.example.org.            A 203.0.113.7
`)
	if r := check(t, zone, "203.0.113.7"); len(r.Confirmed) != 2 || codes(r) != "" {
		t.Errorf("got %q, %s; want two names and no finding", r.Confirmed, codes(r))
	}
}

// Whatever a PTR record holds, the words and lists keep together.
func FuzzNames(f *testing.F) {
	f.Add("mail.example.org", true)
	f.Add("", false)
	f.Add("dsl-192-0-2-1..example", true)
	f.Add("\xff\x00.256.192.0.2.1", true)
	f.Fuzz(func(t *testing.T, name string, back bool) {
		ip := netip.MustParseAddr("192.0.2.1")
		r := check(t, dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			a := dns.Answer{Question: q}
			switch {
			case q.Type == dns.PTR:
				a.Records = []dns.Record{{Type: dns.PTR, Target: name}}
			case !dns.Askable(q.Name):
				t.Fatalf("asked for %q", q.Name)
			case back:
				a.Records = []dns.Record{{Type: dns.A, Addr: ip}}
			}
			return a, nil
		}), ip.String())
		if passed := r.Word == result.Pass; passed != (len(r.Confirmed) > 0) || passed != (back && dns.Askable(name)) {
			t.Fatalf("%q: got %s, confirmed %q", name, r.Word, r.Confirmed)
		}
	})
}
