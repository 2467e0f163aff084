package inbound_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/inbound"
	"checkauth/verify/result"
)

func check(t *testing.T, zone string) inbound.Result {
	t.Helper()
	return inbound.Evaluator{DNS: dnstest.Zone(t, zone)}.Check(t.Context(), "Example.ORG.")
}

func codes(r inbound.Result) string {
	out := []string{}
	for _, f := range r.Findings {
		out = append(out, string(f.Severity)+" "+string(f.Code))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// RFC 5321, 5.1: the MX hosts, else the domain's own address.
func TestRFC5321_5_1_a_way_to_receive(t *testing.T) {
	t.Parallel()
	const mx = "example.org. MX 10 mx.example.net.\n"
	for _, c := range []struct {
		name, zone     string
		word           result.Word
		code, findings string
	}{
		{"an MX host with an address", mx + "mx.example.net. A 192.0.2.1", result.Pass, "inbound-has-mx", ""},
		{"an address of IPv6", mx + "mx.example.net. AAAA 2001:db8::1", result.Pass, "inbound-has-mx", ""},
		{"no MX, an address", "example.org. AAAA 2001:db8::1", result.Pass, "inbound-has-address", ""},
		{"neither", `example.org. TXT "v=spf1 -all"`, result.Fail, "inbound-has-no-mx", "warning inbound-no-mx"},
		{"the domain does not exist", "", result.Fail, "inbound-has-no-mx", "warning inbound-no-mx"},
		{"an MX host without an address", mx, result.Fail, "inbound-has-dead-mx", "warning inbound-mx-unresolvable"},
		{"the second one has one", mx + "example.org. MX 20 b.example.net.\nb.example.net. A 192.0.2.1", result.Pass, "inbound-has-mx", "warning inbound-mx-unresolvable"},
		{"the third one is not asked", mx + "example.org. MX 20 b.example.net.\nexample.org. MX 30 c.example.net.", result.Pass, "inbound-has-more-mx", "warning inbound-mx-unresolvable"},
		{"the DNS fails", ";FAULT SERVFAIL example.org. MX", result.TempError, "dns-servfail", ""},
		{"the DNS fails for the address", ";FAULT TIMEOUT-TCP x. A\n;FAULT REFUSED example.org. A\n" + `example.org. TXT "x"`, result.TempError, "dns-refused", ""},
		{"the DNS fails for the MX host", mx + ";FAULT SERVFAIL mx.example.net. A", result.TempError, "dns-servfail", ""},
		{"and the second one has an address", mx + ";FAULT SERVFAIL mx.example.net. A\nexample.org. MX 20 b.example.net.\nb.example.net. A 192.0.2.1", result.Pass, "inbound-has-mx", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, c.zone)
			if r.Word != c.word || r.Reason.Code != result.Code(c.code) || codes(r) != c.findings || (r.Cause != nil) != (r.Word == result.TempError) {
				t.Errorf("got %s (%s) with %q, cause %v; want %s (%s) with %q", r.Word, r.Reason, codes(r), r.Cause, c.word, c.code, c.findings)
			}
		})
	}
}

func TestRFC7505_3_null_MX(t *testing.T) {
	t.Parallel()
	r := check(t, "example.org. MX 0 .\nexample.org. A 192.0.2.1")
	if r.Word != result.Fail || !r.NullMX || codes(r) != "warning inbound-null-mx" || len(r.Findings[0].Evidence) != 1 {
		t.Errorf("got %s (%s) with %q", r.Word, r.Reason, codes(r))
	}
	r = check(t, "example.org. MX 0 .\nexample.org. MX 10 mx.example.org.\nmx.example.org. A 192.0.2.1")
	if r.Word != result.Pass || r.NullMX || codes(r) != "info inbound-null-mx-beside" {
		t.Errorf("beside another: got %s (%s) with %q", r.Word, r.Reason, codes(r))
	}
}

// policyOf gives the record of one kind, with the code that is said of it.
func policyOf(t *testing.T, name, rr string, of func(inbound.Result) inbound.Policy) (inbound.Policy, string) {
	t.Helper()
	r := check(t, "example.org. A 192.0.2.1\n"+strings.ReplaceAll(rr, "@", name+".example.org."))
	return of(r), codes(r)
}

type record struct {
	text  string
	state inbound.State
	said  bool
}

func checkRecords(t *testing.T, name string, of func(inbound.Result) inbound.Policy, records []record) {
	t.Helper()
	for _, c := range records {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			// As a server would send it, whatever octets are in it.
			r := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
				a := dns.Answer{Question: q}
				if q.Name == name+".example.org" {
					a.Records = []dns.Record{{Name: q.Name, Type: dns.TXT, Strings: []string{c.text}}}
				}
				return a, nil
			})
			got := inbound.Evaluator{DNS: r}.Check(t.Context(), "example.org")
			want := "warning inbound-no-mx"
			if c.said {
				want = "info inbound-malformed, " + want
			}
			if p := of(got); p.State != c.state || p.Name != name+".example.org" || codes(got) != want {
				t.Errorf("got %+v with %q, want %s with %q", p, codes(got), c.state, want)
			}
		})
	}
}

func TestRFC8461_3_1_record(t *testing.T) {
	t.Parallel()
	checkRecords(t, "_mta-sts", func(r inbound.Result) inbound.Policy { return r.MTASTS }, []record{
		{"v=STSv1; id=20160831085700Z;", inbound.Present, false},
		{"v=STSv1;id=a", inbound.Present, false},
		{"v=STSv1 ; id=a ; x.y-z_=1:2 ", inbound.Present, false},
		{"v=STSv1; x=1; id=a", inbound.Present, false},
		{"v=STSv1", inbound.Malformed, true},
		{"v=STSv1;", inbound.Malformed, true},
		{"v=STSv1; id=", inbound.Malformed, true},
		{"v=STSv1; id=2026-01-01", inbound.Malformed, true},
		{"v=STSv1; id=" + strings.Repeat("a", 33), inbound.Malformed, true},
		{"v=STSv1; id=a; id=b", inbound.Malformed, true},
		{"v=STSv1; id=a; x", inbound.Malformed, true},
		{"v=STSv1; id=a; x=", inbound.Malformed, true},
		{"v=STSv1; id=a;;", inbound.Malformed, true},
		{"v=STSv1; id = a", inbound.Malformed, true},
		{"v=STSv1; ID=a", inbound.Malformed, true},
		{"v=STSv1; id=\x1b\xff", inbound.Malformed, true},
		{"v=stsv1; id=a", inbound.Absent, true},
		{" v=STSv1; id=a", inbound.Absent, true},
		{"v=STSv10; id=a", inbound.Absent, true},
		{"v=spf1 -all", inbound.Absent, false},
	})
}

func TestRFC8460_3_record(t *testing.T) {
	t.Parallel()
	checkRecords(t, "_smtp._tls", func(r inbound.Result) inbound.Policy { return r.TLSRPT }, []record{
		{"v=TLSRPTv1; rua=mailto:t@example.org", inbound.Present, false},
		{"v=TLSRPTv1;rua=mailto:t@example.org , https://example.org/t;", inbound.Present, false},
		{"v=TLSRPTv1; x=1; rua=https://example.org/t?a=b", inbound.Present, false},
		{"v=TLSRPTv1", inbound.Malformed, true},
		{"v=TLSRPTv1; rua=", inbound.Malformed, true},
		{"v=TLSRPTv1; rua=t@example.org", inbound.Malformed, true},
		{"v=TLSRPTv1; rua=mailto:", inbound.Malformed, true},
		{"v=TLSRPTv1; rua=mailto:@example.org", inbound.Malformed, true},
		{"v=TLSRPTv1; rua=http://example.org", inbound.Malformed, true},
		{"v=TLSRPTv1; rua=https:///x", inbound.Malformed, true},
		{"v=TLSRPTv1; rua=mailto:t!1m@example.org", inbound.Malformed, true},
		{"v=TLSRPTv1; rua=mailto:a@b; rua=mailto:a@b", inbound.Malformed, true},
		{"v=TLSRPTv1 rua=mailto:t@example.org", inbound.Malformed, true},
		{"v=TLSRPT1; rua=mailto:t@example.org", inbound.Absent, false},
	})
}

func TestBIMI_record(t *testing.T) {
	t.Parallel()
	checkRecords(t, "default._bimi", func(r inbound.Result) inbound.Policy { return r.BIMI }, []record{
		{"v=BIMI1; l=https://example.org/l.svg; a=https://example.org/a.pem;", inbound.Present, false},
		{"v=BIMI1; l = https://example.org/l.svg", inbound.Present, false},
		{"v=BIMI1; l=; a=;", inbound.Present, false},
		{"v=BIMI1", inbound.Malformed, true},
		{"v=BIMI1; a=https://example.org/a.pem", inbound.Malformed, true},
		{"v=BIMI1; l=http://example.org/l.svg", inbound.Malformed, true},
		{"v=BIMI1; l=https://example.org/l.svg; a=x", inbound.Malformed, true},
		{"v=BIMI2; l=https://example.org/l.svg", inbound.Absent, false},
	})
}

func TestRFC8461_3_1_several(t *testing.T) {
	t.Parallel()
	const two = "@ TXT \"v=STSv1; id=a\"\n@ TXT \"v=STSv1; id=b\""
	p, said := policyOf(t, "_mta-sts", two, func(r inbound.Result) inbound.Policy { return r.MTASTS })
	if p.State != inbound.Malformed || said != "info inbound-several-records" {
		t.Errorf("got %+v with %q", p, said)
	}
	p, said = policyOf(t, "_mta-sts", "@ TXT \"v=STSv1; id=a\"\n@ TXT \"other\"", func(r inbound.Result) inbound.Policy { return r.MTASTS })
	if p.State != inbound.Present || said != "" {
		t.Errorf("beside another text: got %+v with %q", p, said)
	}
	p, said = policyOf(t, "_mta-sts", ";FAULT SERVFAIL @ TXT", func(r inbound.Result) inbound.Policy { return r.MTASTS })
	if p.State != inbound.Unknown || said != "" {
		t.Errorf("DNS fails: got %+v with %q", p, said)
	}
}

func TestRFC8460_3_several(t *testing.T) {
	t.Parallel()
	const two = "@ TXT \"v=TLSRPTv1; rua=mailto:a@b.c\"\n@ TXT \"v=TLSRPTv1; rua=mailto:a@b.d\""
	p, said := policyOf(t, "_smtp._tls", two, func(r inbound.Result) inbound.Policy { return r.TLSRPT })
	if p.State != inbound.Malformed || said != "info inbound-several-records" {
		t.Errorf("got %+v with %q", p, said)
	}
}

const hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// RFC 7672, 2.2: one answer on the way that nobody validated, and the records protect nothing.
func TestRFC7672_2_2_validated(t *testing.T) {
	t.Parallel()
	zone := "example.org. MX 20 b.example.org.\nexample.org. MX 10 a.example.org.\na.example.org. A 192.0.2.1\n_25._tcp.a.example.org. TLSA 3 1 1 " + hash + "\n"
	secure := []string{";FAULT AD example.org. MX\n", ";FAULT AD a.example.org. A\n", ";FAULT AD _25._tcp.a.example.org. TLSA\n"}
	for left := range 4 {
		text, usable := zone, left == 3
		for i, line := range secure {
			if i != left {
				text += line
			}
		}
		r := check(t, text)
		want := "info inbound-tlsa-not-validated"
		if usable {
			want = ""
		}
		if r.DANE.State != inbound.Present || r.DANE.Usable != usable || r.DANE.Validated != usable || codes(r) != want || r.DANE.Name != "_25._tcp.a.example.org" {
			t.Errorf("without line %d: got %+v with %q", left, r.DANE, codes(r))
		}
	}
	// Without MX the domain is its own server.
	r := check(t, "example.org. A 192.0.2.1\n_25._tcp.example.org. TLSA 3 1 1 "+hash+"\n;FAULT AD example.org. ANY\n;FAULT AD _25._tcp.example.org. TLSA")
	if !r.DANE.Usable || !r.Implicit {
		t.Errorf("without MX: got %+v", r)
	}
	for zone, state := range map[string]inbound.State{
		"example.org. A 192.0.2.1": inbound.Absent,
		"":                         inbound.NotAsked,
		"example.org. MX 0 .":      inbound.NotAsked,
		"example.org. A 192.0.2.1\n;FAULT SERVFAIL _25._tcp.example.org. TLSA": inbound.Unknown,
	} {
		if r := check(t, zone); r.DANE.State != state || r.DANE.Usable {
			t.Errorf("%q: got %+v, want %s", zone, r.DANE, state)
		}
	}
}

func TestRFC7672_3_1_usable(t *testing.T) {
	t.Parallel()
	for data, state := range map[string]inbound.State{
		"3 1 1 " + hash:        inbound.Present,
		"2 0 1 " + hash:        inbound.Present,
		"3 1 2 " + hash + hash: inbound.Present,
		"3 1 0 3000":           inbound.Present,
		"3 1 0 00ff":           inbound.Malformed, // no certificate or key
		"0 1 1 " + hash:        inbound.Malformed,
		"1 1 1 " + hash:        inbound.Malformed,
		"4 1 1 " + hash:        inbound.Malformed,
		"3 2 1 " + hash:        inbound.Malformed,
		"3 1 3 " + hash:        inbound.Malformed,
		"3 1 2 " + hash:        inbound.Malformed,
		"3 1 1 00":             inbound.Malformed,
	} {
		r := check(t, "example.org. A 192.0.2.1\n_25._tcp.example.org. TLSA "+data+"\n;FAULT AD example.org. ANY\n;FAULT AD _25._tcp.example.org. TLSA")
		want := ""
		if state == inbound.Malformed {
			want = "info inbound-tlsa-unusable"
		}
		if r.DANE.State != state || codes(r) != want || r.DANE.Usable != (state == inbound.Present) {
			t.Errorf("%s: got %+v with %q, want %s", data, r.DANE, codes(r), state)
		}
	}
}

// However the domain is made, it is asked at most ten questions.
func TestAsks_at_most_ten_questions(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{
		"", "example.org. A 192.0.2.1", "example.org. AAAA 2001:db8::1",
		"example.org. MX 1 a.example.org.\nexample.org. MX 2 b.example.org.\nexample.org. MX 3 c.example.org.\na.example.org. TXT x\nb.example.org. TXT x",
	} {
		s := dnstest.New(t, zone)
		inbound.Evaluator{DNS: s.Client(t)}.Check(t.Context(), "example.org")
		if n := len(s.Queries()); n > inbound.Questions {
			t.Errorf("%q: %d questions: %q", zone, n, s.Queries())
		}
	}
}

// What is asked ahead is what is asked.
func TestAhead(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "example.org. A 192.0.2.1")
	var told []dns.Question
	inbound.Evaluator{DNS: s.Client(t), Expect: func(q dns.Question) { told = append(told, q) }}.Check(t.Context(), "example.org")
	for _, q := range told {
		if !slices.Contains(s.Queries(), q.Name+" "+q.Type.String()) {
			t.Errorf("%s was told and not asked: %q", q, s.Queries())
		}
	}
	if len(told) != 4 {
		t.Errorf("told %q, want four", told)
	}
	if got := inbound.Ahead(strings.Repeat("abcdefg.", 31) + "x.org"); len(got) != 1 {
		t.Errorf("a long name: got %q, want its MX alone", got)
	}
}

// Whatever lies there: the result holds together, and what is shown is UTF-8.
func FuzzCheck(f *testing.F) {
	f.Add("v=STSv1; id=a;", "v=TLSRPTv1; rua=mailto:a@b", "v=BIMI1; l=", "3 1 1 "+hash, "mx.example.org")
	f.Add("v=STSv1;;=\xff", "v=TLSRPTv1;rua=,", " V=bimi1;", "3 1", "")
	f.Add("\x00", "v=TLSRPTv1; rua=https://x/?q=;", "v=BIMI1;l=https://\x1b", "3 1 0 zz", "\xff\x00.b")
	f.Fuzz(func(t *testing.T, sts, rpt, bimi, tlsa, host string) {
		r := inbound.Evaluator{DNS: dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			a := dns.Answer{Question: q, AD: len(host)%2 == 0}
			add := func(r dns.Record) { r.Name, r.Type = q.Name, q.Type; a.Records = append(a.Records, r) }
			texts := map[string]string{"_mta-sts.example.org": sts, "_smtp._tls.example.org": rpt, "default._bimi.example.org": bimi}
			switch q.Type {
			case dns.TXT:
				add(dns.Record{Strings: []string{texts[q.Name]}})
			case dns.TLSA:
				add(dns.Record{Other: tlsa})
			case dns.MX:
				add(dns.Record{Target: host})
			default:
				a.NX = len(host)%3 == 0
			}
			return a, nil
		})}.Check(t.Context(), "example.org")
		for _, f := range r.Findings {
			for _, a := range f.Args {
				if !utf8.ValidString(a.Value) || len(a.Value) > 1000 {
					t.Fatalf("%s: %s is %q", f.Code, a.Name, a.Value)
				}
			}
		}
		if r.Reason.IsZero() || r.Word != result.Pass && r.Word != result.Fail || r.NullMX != (host == "") {
			t.Fatalf("%s (%s) of %q", r.Word, r.Reason, host)
		}
		for _, p := range []inbound.Policy{r.MTASTS, r.TLSRPT, r.BIMI} {
			if p.State == inbound.Present && (p.Text == "" || !strings.Contains(p.Text, "=") || len(p.Text) > 1000) {
				t.Fatalf("%+v", p)
			}
		}
		if r.DANE.Usable && (!r.DANE.Validated || r.DANE.State != inbound.Present) {
			t.Fatalf("%+v", r.DANE)
		}
		if b, err := json.Marshal(r); err != nil || !json.Valid(b) {
			t.Fatal(fmt.Sprint(string(b), err))
		}
	})
}
