package helo_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/helo"
	"checkauth/verify/result"
)

const client = "192.0.2.1"

func check(t *testing.T, r dns.Resolver, name, ip string) helo.Result {
	t.Helper()
	q := helo.Query{Helo: name}
	if ip != "" {
		q.IP = netip.MustParseAddr(ip)
	}
	return helo.Evaluator{DNS: r}.Check(t.Context(), q)
}

func codes(r helo.Result) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Severity)+" "+string(f.Code))
	}
	return strings.Join(out, ", ")
}

// nobody is asked where the name alone tells.
func nobody(t *testing.T) dns.Resolver {
	return dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		t.Errorf("asked for %s", q)
		return dns.Answer{Question: q, NX: true}, nil
	})
}

func TestRFC5321_4_1_1_1_kinds(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, "mail.example.org. A 192.0.2.1\n")
	for _, c := range []struct{ helo, kind string }{
		{"mail.example.org", "name"},
		{"localhost", "name"},
		{"[192.0.2.1]", "literal"},
		{"[IPv6:2001:db8::1]", "literal"},
		{"[192.0.2.1", "invalid"},
		{"?192.168.1.5?", "invalid"},
		{"", "invalid"},
	} {
		if got := check(t, zone, c.helo, client).Kind; got != c.kind {
			t.Errorf("%q: got %s, want %s", c.helo, got, c.kind)
		}
	}
}

func TestRFC5321_4_1_2_domain(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	for _, c := range []struct{ name, helo, reason string }{
		{"nothing", "", "helo-empty"},
		{"ESC", "mail\x1b[2J.example.org", "helo-control-character"},
		{"NUL", "mail.example.org\x00", "helo-control-character"},
		{"CR in front of a bracket is still a literal", "[\r]", "helo-literal-syntax"},
		{"UTF-8", "m\u00fcller.example.org", "helo-not-ascii"},
		{"bytes that are no UTF-8", "m\xfcller.example.org", "helo-not-ascii"},
		{"a bidirectional control", "mail\u202e.example.org", "helo-not-ascii"},
		{"an address without brackets", "192.0.2.1", "helo-bare-address"},
		{"an IPv6 address without brackets", "2001:db8::1", "helo-bare-address"},
		{"numbers that are no address", "999.1.1.1", "helo-syntax"},
		{"a public address in question marks", "?192.0.2.1?", "helo-marked-address"},
		{"question marks without an address", "?mail.example.org?", "helo-syntax"},
		{"underscore", "my_pc.example.org", "helo-underscore"},
		{"underscore and worse", "my_pc..example.org", "helo-syntax"},
		{"a space", "mail example.org", "helo-syntax"},
		{"an empty label", "mail..example.org", "helo-syntax"},
		{"a final dot", "mail.example.org.", "helo-syntax"},
		{"a dot alone", ".", "helo-syntax"},
		{"a hyphen in front", "-mail.example.org", "helo-syntax"},
		{"a hyphen at the end of a label", "mail-.example.org", "helo-syntax"},
		{"an angle bracket", "<mail.example.org>", "helo-syntax"},
		{"a label of 64 octets", label + "a.example.org", "helo-too-long"},
		{"254 octets", strings.Repeat("abcdefg.", 31) + "abcdef", "helo-too-long"},
		{"4096 octets", strings.Repeat("a", 4096), "helo-too-long"},
		{"a route", "mail.example.org@192.0.2.1", "helo-syntax"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, nobody(t), c.helo, client)
			if r.Word != result.Fail || string(r.Reason.Code) != c.reason || codes(r) != "warning helo-invalid" || r.Kind != "invalid" {
				t.Errorf("%q: got %s %s (%s), %s; want fail (%s), helo-invalid", c.helo, r.Kind, r.Word, r.Reason, codes(r), c.reason)
			}
		})
	}
}

// qmail writes the brackets of an address literal as question marks, and what stands in them is the
// private address of the PC that wrote the mail.
func TestRFC5321_4_1_1_1_private_address_in_question_marks(t *testing.T) {
	t.Parallel()
	for helo, address := range map[string]string{
		"?192.168.1.5?": "192.168.1.5", "?10.0.0.7?": "10.0.0.7", "?127.0.0.1?": "127.0.0.1", "?fd00::1?": "fd00::1",
	} {
		r := check(t, nobody(t), helo, client)
		if r.Word != result.Fail || r.Reason.String() != "helo-marked-address" || codes(r) != "warning helo-invalid, info helo-private-in-marks" {
			t.Errorf("%s: got %s (%s), %s; want fail with both findings", helo, r.Word, r.Reason, codes(r))
			continue
		}
		if got := r.Findings[1].Args; got.Get("address") != address || got.Get("helo") != helo {
			t.Errorf("%s: got arguments %q, want the address %s", helo, got, address)
		}
	}
}

func TestRFC5321_4_1_3_literals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, helo, ip string
		word           result.Word
	}{
		{"IPv4", "[192.0.2.1]", "192.0.2.1", result.Pass},
		{"IPv4 of a mapped client", "[192.0.2.1]", "::ffff:192.0.2.1", result.Pass},
		{"numbers of three digits", "[192.000.002.001]", "192.0.2.1", result.Pass},
		{"IPv6", "[IPv6:2001:db8::1]", "2001:db8::1", result.Pass},
		{"the tag in other case", "[ipv6:2001:0DB8:0:0:0:0:0:1]", "2001:db8::1", result.Pass},
		{"a mapped IPv4 address", "[IPv6:::ffff:192.0.2.1]", "192.0.2.1", result.Pass},
		{"another's address", "[192.0.2.2]", "192.0.2.1", result.Fail},
		{"a private address", "[192.168.1.5]", "192.0.2.1", result.Fail},
		{"the other family", "[IPv6:2001:db8::1]", "192.0.2.1", result.Fail},
		{"IPv6 without the tag", "[2001:db8::1]", "2001:db8::1", result.Fail},
		{"a zone", "[IPv6:fe80::1%eth0]", "fe80::1", result.Fail},
		{"no closing bracket", "[192.0.2.1", "192.0.2.1", result.Fail},
		{"something behind it", "[192.0.2.1] x", "192.0.2.1", result.Fail},
		{"four digits", "[192.0.2.0001]", "192.0.2.1", result.Fail},
		{"a number over 255", "[999.1.1.1]", "192.0.2.1", result.Fail},
		{"three numbers", "[192.0.2]", "192.0.2.1", result.Fail},
		{"an empty number", "[192.0..1]", "192.0.2.1", result.Fail},
		{"nothing", "[]", "192.0.2.1", result.Fail},
		{"another tag", "[X:192.0.2.1]", "192.0.2.1", result.Fail},
		{"the tag alone", "[IPv6:]", "192.0.2.1", result.Fail},
		{"IPv4 under the tag", "[IPv6:192.0.2.1]", "192.0.2.1", result.Fail},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if r := check(t, nobody(t), c.helo, c.ip); r.Word != c.word || r.Matches != (c.word == result.Pass) {
				t.Errorf("%s from %s: got %s (%s), want %s", c.helo, c.ip, r.Word, r.Reason, c.word)
			}
		})
	}
}

func TestRFC5321_4_1_4_literal_of_the_client(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		helo, ip string
		word     result.Word
		reason   string
		findings string
	}{
		{"[192.0.2.1]", "192.0.2.1", result.Pass, "helo-literal-matches", "warning helo-literal"},
		{"[192.0.2.2]", "192.0.2.1", result.Fail, `helo-other-literal ip="192.0.2.1"`, "warning helo-literal-other"},
		{"[10.0.0.1]", "10.0.0.1", result.Pass, "helo-literal-matches", "warning helo-literal"},
		// Behind NAT we do not see the client's address.
		{"[192.0.2.2]", "10.0.0.1", result.NotRun, `client-address-private ip="10.0.0.1"`, ""},
		{"[192.0.2.2]", "100.64.0.1", result.NotRun, `client-address-private ip="100.64.0.1"`, ""},
	} {
		r := check(t, nobody(t), c.helo, c.ip)
		if r.Word != c.word || r.Reason.String() != c.reason || codes(r) != c.findings {
			t.Errorf("%s from %s: got %s (%s), %q; want %s (%s), %q", c.helo, c.ip, r.Word, r.Reason, codes(r), c.word, c.reason, c.findings)
		}
	}
}

// Nothing is compared with an address that the Internet does not see.
func TestUnseenClient(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, "mail.example.org. A 192.0.2.1\n")
	why := result.Because("client-address-loopback", "ip", "127.0.0.1")
	for name, want := range map[string]string{
		"[192.0.2.2]":      `not run client-address-loopback ip="127.0.0.1"`,
		"mail.example.org": "pass helo-resolves",
	} {
		r := helo.Evaluator{DNS: zone}.Check(t.Context(), helo.Query{Helo: name, IP: netip.MustParseAddr("127.0.0.1"), Unseen: why})
		if got := string(r.Word) + " " + r.Reason.String(); got != want || len(r.Findings) > 0 {
			t.Errorf("%s: got %s, %v, want %s", name, got, r.Findings, want)
		}
	}
}

func TestRFC5321_2_3_5_fully_qualified(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ helo, reason, findings string }{
		{"localhost", "helo-single-label", "warning helo-not-fqdn"},
		{"vz12160", "helo-single-label", "warning helo-not-fqdn"},
		{"DESKTOP-1A2B3C", "helo-single-label", "warning helo-not-fqdn"},
		{"mail.local", "helo-private-name", "warning helo-not-public"},
		{"Mail.Office.LAN", "helo-private-name", "warning helo-not-public"},
		{"mail.corp.internal", "helo-private-name", "warning helo-not-public"},
		{"localhost.localdomain", "helo-private-name", "warning helo-not-public"},
		{"nas.home.arpa", "helo-private-name", "warning helo-not-public"},
	} {
		r := check(t, nobody(t), c.helo, client)
		if r.Word != result.Fail || r.Reason.String() != c.reason || codes(r) != c.findings || r.Kind != "name" {
			t.Errorf("%s: got %s (%s), %s; want fail (%s), %s", c.helo, r.Word, r.Reason, codes(r), c.reason, c.findings)
		}
	}
}

const zone = `
mail.example.org.  A     192.0.2.7
mail.example.org.  A     192.0.2.1
mail.example.org.  AAAA  2001:db8::1
six.example.org.   AAAA  2001:db8::1
alias.example.org. CNAME mail.example.org.
lost.example.org.  CNAME gone.example.org.
text.example.org.  TXT   "no address"
local.example.org. A     192.0.2.1
;FAULT SERVFAIL broken.example.org. A
half.example.org.  TXT   "no A, and AAAA fails"
;FAULT SERVFAIL half.example.org. AAAA
both.example.org.  A     192.0.2.1
;FAULT SERVFAIL both.example.org. AAAA
`

func TestRFC5321_2_3_5_resolvable(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, zone)
	for _, c := range []struct {
		name, helo string
		word       result.Word
		reason     string
		findings   string
	}{
		{"to the client's address", "mail.example.org", result.Pass, "helo-matches", ""},
		{"in another case", "MAIL.Example.ORG", result.Pass, "helo-matches", ""},
		{"by a CNAME", "alias.example.org", result.Pass, "helo-matches", ""},
		{"a label that looks special", "local.example.org", result.Pass, "helo-matches", ""},
		{"no address", "text.example.org", result.Fail, "helo-no-address", "warning helo-unresolvable"},
		{"no such name", "gone.example.org", result.Fail, "helo-no-such-name", "warning helo-unresolvable"},
		{"a CNAME to nowhere", "lost.example.org", result.Fail, "helo-no-such-name", "warning helo-unresolvable"},
		{"the DNS fails", "broken.example.org", result.TempError, `dns-servfail name="broken.example.org" type="A"`, ""},
		{"the DNS fails for the other family", "half.example.org", result.TempError, `dns-servfail name="half.example.org" type="AAAA"`, ""},
		{"the other family is not needed", "both.example.org", result.Pass, "helo-matches", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := check(t, r, c.helo, client)
			if got.Word != c.word || got.Reason.String() != c.reason || codes(got) != c.findings {
				t.Errorf("%s: got %s (%s), %q; want %s (%s), %q", c.helo, got.Word, got.Reason, codes(got), c.word, c.reason, c.findings)
			}
			if _, isDNS := errors.AsType[*dns.Error](got.Cause); isDNS != (c.word == result.TempError) {
				t.Errorf("%s: got cause %v with %s", c.helo, got.Cause, got.Word)
			}
		})
	}
}

func TestRFC5321_4_1_4_other_addresses(t *testing.T) {
	t.Parallel()
	r := dnstest.Zone(t, zone)
	for _, c := range []struct {
		name, helo, ip, reason, findings string
		addresses                        []string
	}{
		{"of the same family", "mail.example.org", "192.0.2.9", "helo-resolves-elsewhere", "info helo-other-address", []string{"192.0.2.7", "192.0.2.1"}},
		{"of IPv6 for a client of IPv6", "mail.example.org", "2001:db8::1", "helo-matches", "", []string{"2001:db8::1"}},
		{"of the other family alone", "six.example.org", client, "helo-resolves-elsewhere", "info helo-other-address", []string{"2001:db8::1"}},
		{"a client that is behind NAT", "mail.example.org", "10.0.0.1", "helo-resolves", "", []string{"192.0.2.7", "192.0.2.1"}},
		{"a client without address", "mail.example.org", "", "helo-resolves", "", []string{"192.0.2.7", "192.0.2.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := check(t, r, c.helo, c.ip)
			if got.Word != result.Pass || got.Reason.String() != c.reason || codes(got) != c.findings || !slices.Equal(got.Addresses, c.addresses) {
				t.Errorf("%s from %s: got %s (%s), %q, %q; want pass (%s), %q, %q",
					c.helo, c.ip, got.Word, got.Reason, codes(got), got.Addresses, c.reason, c.findings, c.addresses)
			}
		})
	}
}

func TestQuestions_are_two_at_most(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		helo, ip string
		want     []string
	}{
		{"mail.example.org", client, []string{"mail.example.org A"}},
		{"six.example.org", client, []string{"six.example.org A", "six.example.org AAAA"}},
		{"mail.example.org", "2001:db8::9", []string{"mail.example.org AAAA"}},
		{"gone.example.org", client, []string{"gone.example.org A"}},
		{"text.example.org", client, []string{"text.example.org A", "text.example.org AAAA"}},
	} {
		s := dnstest.New(t, zone)
		check(t, s.Client(t), c.helo, c.ip)
		if got := s.Queries(); !slices.Equal(got, c.want) {
			t.Errorf("%s from %s: asked %q, want %q", c.helo, c.ip, got, c.want)
		}
	}
}

func TestJSON_has_lists_and_not_null(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(check(t, nobody(t), "", client))
	if want := `{"kind":"invalid","addresses":[],"matches":false}`; err != nil || string(b) != want {
		t.Errorf("got %s (%v), want %s", b, err, want)
	}
}

// Whatever the client says: nothing is asked that no host name is, and what fails says why.
func FuzzHelo(f *testing.F) {
	for _, s := range []string{
		"mail.example.org", "", ".", "[192.0.2.1]", "[IPv6:2001:db8::1]", "[IPv6:", "?192.168.1.5?", "?", "??",
		"a_b.example", "\x1b[2J", "m\xfcller.example.org", "x.local", "1.2.3.4", "::1", "[0.0.0.0000]", "-a.b",
		strings.Repeat("a.", 127) + "a",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		asked := 0
		r := check(t, dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
			asked++
			if !dns.Askable(q.Name) || !strings.Contains(q.Name, ".") || strings.Trim(q.Name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
				t.Fatalf("%q: asked for %q", s, q.Name)
			}
			return dns.Answer{Question: q}, nil
		}), s, client)
		switch {
		case asked > 2 || asked > 0 && r.Kind != "name":
			t.Fatalf("%q: %s, and %d questions", s, r.Kind, asked)
		case r.Word != result.Fail && r.Word != result.Pass:
			t.Fatalf("%q: got %s", s, r.Word)
		case r.Reason.IsZero() || len(r.Findings) == 0:
			t.Fatalf("%q: %s without reason or finding", s, r.Word)
		case r.Word == result.Pass && (r.Kind != "literal" || !r.Matches):
			t.Fatalf("%q: passes without an address", s)
		}
	})
}
