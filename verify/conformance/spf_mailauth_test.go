package conformance

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

const mailAuthOrigin = "https://github.com/stalwartlabs/mail-auth (resources/spf)"

// mailAuthChecks is how many checks the files have that we run; those in notFollowed are among them.
const mailAuthChecks = 85

// notFollowed are the checks whose expected word is not ours, with the reason.
var notFollowed = map[string]struct {
	ours result.Word
	why  string
}{
	"All test/test.org/10.0.0.1": {result.PermError,
		`the record has "ip:10.0.0.1" behind -all; RFC 7208, 4.6: a syntax error anywhere in the record is permerror`},
	"DNS Lookup Limits/ok.test.org/172.168.0.1": {result.PermError,
		"none of its ten names exists; RFC 7208, 4.6.4: more than two void look-ups are permerror"},
	"Exists/ip6.test.org/167.1.2.3": {result.Fail,
		"the name has AAAA records alone; RFC 7208, 5.7: exists asks for A, whatever the client's address"},
	"IPv6 match/test.org/10.1.2.3": {result.Fail,
		"the record lists ip6:::ffff:10.1.2.3; RFC 7208, 5: such a client is an IPv4 client, which ip6 does not match"},
}

type mailAuthCheck struct{ domain, sender, ip, expect string }

func TestSPFMailAuth(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(Suite(t, "spf/mail-auth", mailAuthOrigin), "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	count, skipped := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---") {
			name, z, checks, err := readMailAuth(document)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			count += len(checks)
			for _, c := range checks {
				if runMailAuth(t, name, z, c) {
					skipped++
				}
			}
		}
	}
	if count != mailAuthChecks || skipped != len(notFollowed) {
		t.Errorf("got %d checks, %d not followed; want %d and %d", count, skipped, mailAuthChecks, len(notFollowed))
	}
}

// runMailAuth judges one check. The suite judges HELO first, and MAIL FROM where that does not fail.
func runMailAuth(t *testing.T, name string, z dns.Resolver, c mailAuthCheck) (skipped bool) {
	t.Helper()
	ip, err := netip.ParseAddr(c.ip)
	if err != nil {
		t.Fatal(err)
	}
	e, q := spf.Evaluator{DNS: z}, spf.Query{IP: ip, Helo: c.domain, MailFrom: c.sender}
	got := e.CheckHelo(t.Context(), q)
	if got.Word != result.Fail {
		got = e.Check(t.Context(), q)
	}
	key := name + "/" + c.domain + "/" + c.ip
	if other, ok := notFollowed[key]; ok {
		if got.Word != other.ours {
			t.Errorf("%s: got %s (%s), want our own %s: %s", key, got.Word, got.Reason, other.ours, other.why)
		}
		return true
	}
	word, explanation, explained := strings.Cut(c.expect, " ")
	if string(got.Word) != word || explained && got.Explanation != explanation {
		t.Errorf("%s: got %s %q (%s), want %s", key, got.Word, got.Explanation, got.Reason, c.expect)
	}
	return false
}

// readMailAuth reads one document line by line: its records have repeated keys, which YAML forbids.
func readMailAuth(document string) (name string, z *zone, checks []mailAuthCheck, err error) {
	z = newZone()
	z.broken = func(name string) bool { return strings.HasPrefix(name, "_dns_error.") }
	for line := range strings.Lines(document) {
		line = strings.TrimRight(line, "\r\n")
		key, value, ok := strings.Cut(strings.TrimLeft(line, " -"), ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.TrimLeft(value, " ")
		switch key {
		case "name":
			name = value
		case "records", "tests":
		case "domain":
			checks = append(checks, mailAuthCheck{domain: value})
		case "sender", "ip", "expect":
			c := &checks[len(checks)-1]
			*map[string]*string{"sender": &c.sender, "ip": &c.ip, "expect": &c.expect}[key] = strings.TrimSpace(value)
		default:
			owner, data, _ := strings.Cut(value, " ")
			if err := z.mailAuth(key, owner, data); err != nil {
				return "", nil, nil, fmt.Errorf("%q: %w", line, err)
			}
		}
	}
	return name, z, checks, nil
}

func (z *zone) mailAuth(key, owner, data string) error {
	list := strings.FieldsFunc(data, func(r rune) bool { return r == ',' || r == ' ' })
	switch key {
	case "spf", "exp":
		z.add(owner, dns.Record{Type: dns.TXT, Strings: []string{data}})
	case "a", "aaaa":
		for _, ip := range list {
			if err := z.address(owner, ip); err != nil {
				return err
			}
		}
	case "ptr":
		ip, err := netip.ParseAddr(owner)
		if err != nil {
			return err
		}
		for _, name := range list {
			z.add(dns.ReverseName(ip), dns.Record{Type: dns.PTR, Target: dns.Canonical(name)})
		}
	case "mx":
		// The suite lists the addresses of the hosts; they get names here.
		for i, ip := range list {
			host := fmt.Sprintf("host%d.mx-of.%s", i, owner)
			z.add(owner, dns.Record{Type: dns.MX, Pref: uint16(i), Target: host})
			if err := z.address(host, ip); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("record of kind %q", key)
	}
	return nil
}

func TestSPFMailAuthReasonsAreGiven(t *testing.T) {
	t.Parallel()
	for key, other := range notFollowed {
		if other.why == "" || !slices.Contains([]result.Word{result.PermError, result.Fail}, other.ours) {
			t.Errorf("%s: got no reason or an odd word", key)
		}
	}
}
