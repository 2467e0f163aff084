package dnsbl_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/dnsbl"
	"checkauth/verify/result"
)

var (
	block  = dnsbl.List{Zone: "bl.example.net", Kind: dnsbl.Block, Of: dnsbl.IP, Name: "Example", URL: "https://bl.example.net/"}
	bare   = dnsbl.List{Zone: "bare.example.net", Kind: dnsbl.Block, Of: dnsbl.IP, Name: "Bare"}
	allow  = dnsbl.List{Zone: "wl.example.net", Kind: dnsbl.Allow, Of: dnsbl.IP, Name: "Good"}
	domain = dnsbl.List{Zone: "dbl.example.net", Kind: dnsbl.Block, Of: dnsbl.Domain, Name: "Domains"}
	zen    = dnsbl.List{Zone: "secretkey.zen.dq.spamhaus.net"}
	uribl  = dnsbl.List{Zone: "multi.uribl.com"}
	dnswl  = dnsbl.List{Zone: "list.dnswl.org"}
)

func check(t *testing.T, r dns.Resolver, ip string, domains []string, lists ...dnsbl.List) dnsbl.Result {
	t.Helper()
	addr, _ := netip.ParseAddr(ip)
	return dnsbl.Evaluator{DNS: r, Lists: lists}.Check(t.Context(), addr, domains)
}

func codes(r dnsbl.Result) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Severity)+" "+string(f.Code))
	}
	return strings.Join(out, ", ")
}

func states(r dnsbl.Result) string {
	var out []string
	for _, e := range r.Entries {
		out = append(out, e.Subject+" "+string(e.State))
	}
	return strings.Join(out, ", ")
}

func TestRFC5782_2_1_listings(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, `
1.2.0.192.bl.example.net. A 127.0.0.2
2.2.0.192.bl.example.net. TXT "no A, no listing"
3.2.0.192.bl.example.net. A 127.255.255.254
4.2.0.192.bl.example.net. A 192.0.2.99
5.2.0.192.bl.example.net. A 192.0.2.99
5.2.0.192.bl.example.net. A 127.0.0.9
6.2.0.192.bl.example.net. A 127.0.0.2
6.2.0.192.bl.example.net. A 127.255.255.255
7.2.0.192.bl.example.net. CNAME listed.example.net.
listed.example.net.       A 127.0.0.3
1.2.0.192.bare.example.net. A 127.0.0.2
;FAULT SERVFAIL 8.2.0.192.bl.example.net. A
;FAULT REFUSED 9.2.0.192.bl.example.net. A
;FAULT TIMEOUT 10.2.0.192.bl.example.net. A
;FAULT TRUNCATE 11.2.0.192.bl.example.net. A
11.2.0.192.bl.example.net. A 127.0.0.2
`)
	for _, c := range []struct {
		name, ip string
		list     dnsbl.List
		word     result.Word
		state    dnsbl.State
		findings string
	}{
		{"listed", "192.0.2.1", block, result.Fail, dnsbl.Listed, "warning dnsbl-listed"},
		{"a mapped address is what it maps", "::ffff:192.0.2.1", block, result.Fail, dnsbl.Listed, "warning dnsbl-listed"},
		{"listed, and nobody says where to look", "192.0.2.1", bare, result.Fail, dnsbl.Listed, "warning dnsbl-listed-untold"},
		{"NXDOMAIN", "192.0.2.100", block, result.Pass, dnsbl.NotListed, ""},
		{"no A record", "192.0.2.2", block, result.Pass, dnsbl.NotListed, ""},
		{"the list refuses our resolver", "192.0.2.3", block, result.TempError, dnsbl.Refused, "info dnsbl-refused"},
		{"an address outside of 127.0.0.0/8", "192.0.2.4", block, result.TempError, dnsbl.Wrong, "info dnsbl-wrong-answer"},
		{"one outside and one inside", "192.0.2.5", block, result.Fail, dnsbl.Listed, "warning dnsbl-listed"},
		{"a refusal beside a listing", "192.0.2.6", block, result.TempError, dnsbl.Refused, "info dnsbl-refused"},
		{"by a CNAME", "192.0.2.7", block, result.Fail, dnsbl.Listed, "warning dnsbl-listed"},
		{"SERVFAIL", "192.0.2.8", block, result.TempError, dnsbl.Unanswered, "info dnsbl-unanswered"},
		{"REFUSED", "192.0.2.9", block, result.TempError, dnsbl.Unanswered, "info dnsbl-unanswered"},
		{"silence", "192.0.2.10", block, result.TempError, dnsbl.Unanswered, "info dnsbl-unanswered"},
		{"over TCP", "192.0.2.11", block, result.Fail, dnsbl.Listed, "warning dnsbl-listed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, zone, c.ip, nil, c.list)
			if r.Word != c.word || len(r.Entries) != 1 || r.Entries[0].State != c.state || codes(r) != c.findings {
				t.Errorf("%s: got %s (%s), %s, %q; want %s, %s, %q", c.ip, r.Word, r.Reason, states(r), codes(r), c.word, c.state, c.findings)
			}
			if (r.Cause != nil) != (c.word == result.TempError) {
				t.Errorf("%s: got cause %v with %s", c.ip, r.Cause, r.Word)
			}
		})
	}
}

func TestRFC5782_2_1_reason(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, `
1.2.0.192.bl.example.net. A 127.0.0.2
1.2.0.192.bl.example.net. TXT "Spam at noon," " see\027[2J https://bl.example.net/1"
2.2.0.192.bl.example.net. A 127.0.0.2
;FAULT SERVFAIL 2.2.0.192.bl.example.net. TXT
3.2.0.192.bl.example.net. A 127.0.0.2
3.2.0.192.bl.example.net. TXT "\255`+strings.Repeat("x", 250)+`" "`+strings.Repeat("y", 250)+`"
`)
	r := check(t, s.Client(t), "192.0.2.1", nil, block)
	if got := r.Entries[0].Text; got != "Spam at noon, see\x1b[2J https://bl.example.net/1" || codes(r) != "warning dnsbl-listed, info dnsbl-says" {
		t.Errorf("got %q, %s", got, codes(r))
	}
	if got := r.Findings[0].Args.Get("url"); got != block.URL {
		t.Errorf("got url %q, want %q", got, block.URL)
	}
	if want := []string{"1.2.0.192.bl.example.net A", "1.2.0.192.bl.example.net TXT"}; !slices.Equal(s.Queries(), want) {
		t.Errorf("asked %q, want %q", s.Queries(), want)
	}
	if r := check(t, s.Client(t), "192.0.2.2", nil, block); r.Word != result.Fail || r.Entries[0].Text != "" {
		t.Errorf("text without an answer: got %s, %q; want fail all the same", r.Word, r.Entries[0].Text)
	}
	if r := check(t, s.Client(t), "192.0.2.3", nil, block); len(r.Entries[0].Text) > 300 || !strings.HasPrefix(r.Entries[0].Text, "\uFFFDx") {
		t.Errorf("got a text of %d octets, %.8q", len(r.Entries[0].Text), r.Entries[0].Text)
	}
}

func TestRFC5782_2_2_allow_lists(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, `
1.2.0.192.wl.example.net.  A 127.0.0.2
2.2.0.192.list.dnswl.org.  A 127.0.9.3
3.2.0.192.list.dnswl.org.  A 127.0.0.255
3.2.0.192.list.dnswl.org.  A 127.0.9.3
`)
	if r := check(t, zone, "192.0.2.1", nil, allow, block); r.Word != result.Pass || codes(r) != "info dnsbl-allow-listed" {
		t.Errorf("got %s (%s), %s; want pass", r.Word, r.Reason, codes(r))
	}
	if r := check(t, zone, "192.0.2.2", nil, dnswl); !slices.Equal(r.Entries[0].Meanings, []string{"medium"}) && !slices.Equal(r.Entries[0].Meanings, []string{"high"}) {
		t.Errorf("got %q", r.Entries[0].Meanings)
	}
	if r := check(t, zone, "192.0.2.3", nil, dnswl); r.Entries[0].State != dnsbl.Refused {
		t.Errorf("over the list's limit: got %s, want refused", r.Entries[0].State)
	}
}

func TestRFC5782_2_3_combined(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, `
1.2.0.192.secretkey.zen.dq.spamhaus.net. A 127.0.0.4
1.2.0.192.secretkey.zen.dq.spamhaus.net. A 127.0.0.10
2.2.0.192.secretkey.zen.dq.spamhaus.net. A 127.0.0.10
3.2.0.192.secretkey.zen.dq.spamhaus.net. A 127.0.0.77
example.org.multi.uribl.com.  A 127.0.0.12
refused.example.multi.uribl.com.  A 127.0.0.1
`)
	for _, c := range []struct {
		name, ip, domain string
		list             dnsbl.List
		answer, findings string
	}{
		{"two lists in one zone", "192.0.2.1", "", zen, "XBL, PBL", "error dnsbl-listed"},
		{"a listing that accuses nobody", "192.0.2.2", "", zen, "PBL", "error dnsbl-policy-listed"},
		{"a code without a word", "192.0.2.3", "", zen, "", "error dnsbl-listed"},
		{"bits", "", "example.org", uribl, "grey, red", "warning dnsbl-listed"},
		{"an answer that is a refusal there alone", "", "refused.example", uribl, "", "info dnsbl-refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, zone, c.ip, []string{c.domain}, c.list)
			got := strings.Split(strings.Join(r.Entries[0].Meanings, ", "), ", ")
			want := strings.Split(c.answer, ", ")
			slices.Sort(got) // the server may turn the records
			slices.Sort(want)
			if !slices.Equal(got, want) || codes(r) != c.findings {
				t.Errorf("got %q, %s; want %q, %s", got, codes(r), want, c.findings)
			}
		})
	}
}

func TestRFC5782_2_4_IPv6(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example.net. A 127.0.0.2\n")
	r := check(t, s.Client(t), "2001:db8::25", nil, block, dnsbl.List{Zone: "bl.spamcop.net"})
	if r.Word != result.Fail || states(r) != "2001:db8::25 listed, 2001:db8::25 not-asked" {
		t.Errorf("got %s, %s; want the second, which has no IPv6, not asked", r.Word, states(r))
	}
}

func TestRFC5782_3_domains(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "bad.example.dbl.example.net. A 127.0.0.2\n")
	r := check(t, s.Client(t), "192.0.2.1", []string{"Example.org.", "example.org", "single", "192.0.2.1", "a..b", "", "bad.example"}, domain)
	if r.Word != result.Fail || states(r) != "example.org not-listed, bad.example listed" {
		t.Errorf("got %s, %s", r.Word, states(r))
	}
	if want := []string{"example.org.dbl.example.net A", "bad.example.dbl.example.net A", "bad.example.dbl.example.net TXT"}; !slices.Equal(s.Queries(), want) {
		t.Errorf("asked %q, want %q", s.Queries(), want)
	}
}

func TestNothing_is_asked_of_private_addresses(t *testing.T) {
	t.Parallel()
	s := dnstest.New(t, "example.org. A 192.0.2.1\n")
	for _, ip := range []string{"", "10.0.0.1", "100.64.0.1", "127.0.0.2", "::1", "fe80::1", "fd00::1", "0.0.0.0", "224.0.0.1"} {
		if r := check(t, s.Client(t), ip, nil, block, domain); r.Word != result.NotRun || r.Reason.Code != "dnsbl-nothing-to-ask" {
			t.Errorf("%s: got %s (%s), want not run", ip, r.Word, r.Reason)
		}
	}
	if r := check(t, s.Client(t), "192.0.2.1", nil); r.Word != result.NotRun || r.Reason.Code != "dnsbl-none-configured" {
		t.Errorf("no list: got %s (%s), want not run", r.Word, r.Reason)
	}
	if got := s.Queries(); len(got) != 0 {
		t.Errorf("asked %q, want nothing", got)
	}
}

// One list that has it decides; without one, what a silent list would have said stays open.
func TestWord_of_several_lists(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, `
1.2.0.192.bl.example.net. A 127.0.0.2
;FAULT SERVFAIL *.bare.example.net. ANY
`)
	if r := check(t, zone, "192.0.2.1", nil, bare, block); r.Word != result.Fail || r.Reason.String() != `dnsbl-listed-by lists="Example"` || r.Cause != nil {
		t.Errorf("got %s (%s), %v", r.Word, r.Reason, r.Cause)
	}
	r := check(t, zone, "192.0.2.2", nil, bare, block)
	if _, ok := errors.AsType[*dns.Error](r.Cause); r.Word != result.TempError || r.Reason.String() != `dnsbl-could-not-tell lists="Bare"` || !ok {
		t.Errorf("got %s (%s), %v", r.Word, r.Reason, r.Cause)
	}
}

func TestBound_of_questions(t *testing.T) {
	t.Parallel()
	var asked []string
	all := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		asked = append(asked, q.String())
		return dns.Answer{Question: q, Records: []dns.Record{{Type: dns.A, Addr: netip.MustParseAddr("127.0.0.2")}}}, nil
	})
	var lists []dnsbl.List
	for i := range 12 {
		l := domain
		l.Zone, l.Name = fmt.Sprintf("l%d.example.net", i), fmt.Sprint(i)
		if i%2 == 0 {
			l.Of = dnsbl.IP
		}
		lists = append(lists, l)
	}
	expected := 0
	e := dnsbl.Evaluator{DNS: all, Lists: lists, Expect: func(dns.Question) { expected++ }}
	r := e.Check(t.Context(), netip.MustParseAddr("192.0.2.1"), []string{"a.example", "b.example", "c.example"})
	if len(asked) != 20 || expected != 10 {
		t.Errorf("asked %d questions, expected %d: want 20 and 10: %q", len(asked), expected, asked)
	}
	if len(r.Entries) != 20 || r.Entries[9].State != dnsbl.Listed || r.Entries[10].State != dnsbl.NotAsked {
		t.Errorf("got %s", states(r))
	}
	if err := (dnsbl.Config{Lists: lists}).Valid(); err == nil || !strings.Contains(err.Error(), "12 lists") {
		t.Errorf("twelve lists: got %v", err)
	}
}

// The operator's key stands in no report.
func TestKey_of_a_zone_is_not_told(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, `
1.2.0.192.secretkey.zen.dq.spamhaus.net. A 127.0.0.2
2.2.0.192.secretkey.zen.dq.spamhaus.net. A 127.255.255.254
3.2.0.192.secretkey.zen.dq.spamhaus.net. A 192.0.2.1
;FAULT SERVFAIL 4.2.0.192.secretkey.zen.dq.spamhaus.net. A
`)
	for _, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"} {
		r := check(t, zone, ip, nil, zen)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		said := fmt.Sprintf("%s %s %v %v", b, r.Reason, r.Findings, r.Cause)
		if strings.Contains(said, "secretkey") || !strings.Contains(said, "Spamhaus ZEN") {
			t.Errorf("%s: got %s", ip, said)
		}
	}
}

func TestConfig_names_all_faults(t *testing.T) {
	t.Parallel()
	if err := (dnsbl.Config{}).Valid(); err != nil {
		t.Errorf("no list: %v", err)
	}
	if err := (dnsbl.Config{Lists: []dnsbl.List{zen, uribl, dnswl, block, allow, domain}}).Valid(); err != nil {
		t.Errorf("got %v", err)
	}
	err := dnsbl.Config{Lists: []dnsbl.List{
		{Zone: "a..b", Kind: dnsbl.Block, Of: dnsbl.IP, Name: "x"}, {Zone: "x.example", Of: dnsbl.IP, Name: "x"},
		{Zone: "y.example", Kind: dnsbl.Allow, Name: "y"}, {Zone: "z.example", Kind: dnsbl.Allow, Of: dnsbl.Domain},
	}}.Valid()
	for _, want := range []string{`"a..b"`, `"x.example": kind`, `"y.example": of`, `"z.example" has no name`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Whatever a list answers, its states, words and findings keep together.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{127, 0, 0, 2}, "multi.uribl.com")
	f.Add([]byte{127, 255, 255, 254, 127, 0, 0, 2}, "list.dnswl.org")
	f.Add([]byte{192, 0, 2, 1}, "zen.spamhaus.org")
	f.Fuzz(func(t *testing.T, octets []byte, zone string) {
		r := check(t, dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			if !dns.Askable(q.Name) {
				t.Fatalf("asked for %q", q.Name)
			}
			a := dns.Answer{Question: q}
			for len(octets) >= 4 {
				a.Records = append(a.Records, dns.Record{Type: dns.A, Addr: netip.AddrFrom4([4]byte(octets))})
				octets = octets[4:]
			}
			return a, nil
		}), "192.0.2.1", []string{"example.org"}, dnsbl.List{Zone: zone, Kind: dnsbl.Block, Of: dnsbl.IP, Name: "x"})
		for _, e := range r.Entries {
			if listed := e.State == dnsbl.Listed; listed != (r.Word == result.Fail) || !listed && (len(e.Meanings) > 0 || e.Text != "") {
				t.Fatalf("got %s with %+v", r.Word, e)
			}
		}
	})
}
