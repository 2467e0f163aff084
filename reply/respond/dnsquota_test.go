package respond_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

// beside is what serve has between its quotas and the DNS, with the questions that come out of it.
func (h *house) beside(t *testing.T, zone string) *dnstest.Server {
	t.Helper()
	server := dnstest.New(t, zone+h.key.Record()+"\n", patient)
	h.Run.DNS = dns.NewNegatives(server.Client(t, patient), h.Run.Now)
	return server
}

// comes is a mail of an envelope sender from a server of that address and name.
func (h *house) comes(t *testing.T, from, helo, addr string) *verify.Message {
	t.Helper()
	domain := from[strings.IndexByte(from, '@')+1:]
	raw := fmt.Sprintf("From: %s\r\nSubject: test\r\nMessage-ID: <%d@%s>\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\nhello\r\n", from, h.ids, domain)
	return h.message(t, raw, func(e *verify.Envelope) {
		e.MailFrom, e.Helo = from, helo
		e.Client = netip.AddrPortFrom(netip.MustParseAddr(addr), 4025)
	})
}

// normally: the mail is tested as if nobody else had written.
func (h *house) normally(t *testing.T, m *verify.Message) {
	t.Helper()
	a := h.answers(t, m, 250, "spf=pass")
	if all := strings.Join(a.Lines, " "); strings.Contains(all, "temperror") {
		t.Errorf("%s from %s: %s", m.Envelope.MailFrom, m.Envelope.Client, all)
	}
}

// host of a zone: its address, and back.
func named(b *strings.Builder, name, addr string) {
	kind := "A"
	if strings.Contains(addr, ":") {
		kind = "AAAA"
	}
	fmt.Fprintf(b, "%s. %s %s\n%s. PTR %s.\n", name, kind, addr, dns.ReverseName(netip.MustParseAddr(addr)), name)
}

// Forty users of one provider, each from another network, test within a minute.
func TestUsersOfOneProvider(t *testing.T) {
	t.Parallel()
	var zone strings.Builder
	zone.WriteString(`
big.example.        TXT "v=spf1 redirect=_spf.big.example"
_spf.big.example.   TXT "v=spf1 include:_blocks.big.example include:_blocks2.big.example include:_blocks3.big.example ~all"
_blocks.big.example.  TXT "v=spf1 ip4:45.9.0.0/16 ~all"
_blocks2.big.example. TXT "v=spf1 ip6:2a00:1::/32 ~all"
_blocks3.big.example. TXT "v=spf1 ip4:45.8.0.0/16 ~all"
_dmarc.big.example. TXT "v=DMARC1; p=none; rua=mailto:d@reports.example"
`)
	for i := range 5 {
		fmt.Fprintf(&zone, "big.example. MX %d mx%d.big.example.\nmx%d.big.example. A 45.7.0.%d\n", i, i, i, i)
	}
	client := func(i int) string { return fmt.Sprintf("45.8.%d.7", i) }
	for i := range 40 {
		named(&zone, fmt.Sprintf("out-%d.big.example", i), client(i))
	}
	h, w := served(t, "")
	h.beside(t, zone.String())
	for i := range 40 {
		h.normally(t, h.comes(t, fmt.Sprintf("user%d@big.example", i), fmt.Sprintf("out-%d.big.example", i), client(i)))
		h.now = h.now.Add(time.Second)
	}
	if len(h.kicked) != 40 || len(w.all()) != 0 {
		t.Errorf("%d mailed, warnings %q, want 40 and none", len(h.kicked), w.all())
	}
}

// Customers of a provider of SPF records, each with a name of its own there, test while three networks make up names
// below the provider.
func TestCustomersOfASharedProvider(t *testing.T) {
	t.Parallel()
	var zone strings.Builder
	zone.WriteString(`
attacker.example.    TXT "v=spf1 exists:%{i}.%{l}.spf.shared.example exists:%{i}.%{l}.b.shared.example include:%{l}.c.shared.example -all"
attacker.example.    MX 1 mx.attacker.example.
mx.attacker.example. A 45.1.1.1
_ok.shared.example.  TXT "v=spf1 ip4:45.6.0.0/16 -all"
`)
	for i := range 30 {
		d, addr := fmt.Sprintf("customer%d.example", i), fmt.Sprintf("45.6.%d.9", i)
		fmt.Fprintf(&zone, "%[1]s. TXT \"v=spf1 exists:%%{i}.%%{d}.spf.shared.example include:_ok.shared.example -all\"\n%[1]s. MX 1 %[2]s.mx.shared.example.\n%[2]s.mx.shared.example. A 45.6.0.200\n", d, strings.TrimSuffix(d, ".example"))
		named(&zone, fmt.Sprintf("out%d.shared.example", i), addr)
	}
	h, w := served(t, "")
	server := h.beside(t, zone.String())
	for i := range 30 {
		for range 3 {
			m := h.comes(t, fmt.Sprintf("u%d@attacker.example", h.ids), "mx.attacker.example", fmt.Sprintf("45.5.%d.%d", i%3, i))
			if _, err := h.takes(t, t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		h.normally(t, h.comes(t, fmt.Sprintf("ann@customer%d.example", i), fmt.Sprintf("out%d.shared.example", i), fmt.Sprintf("45.6.%d.9", i)))
		h.now = h.now.Add(time.Second)
	}
	if made := made(server, "shared.example"); made > 100+30+8+1 { // the servers, MX names of one address, the record
		t.Errorf("%d names were asked for below the provider", made)
	}
	for _, line := range w.all() {
		if !strings.Contains(line, "network=45.5.") {
			t.Errorf("warning %q", line)
		}
	}
}

// A domain in whose name mail is forged from everywhere is tested; the forgeries are refused as ever.
func TestADomainUnderForgery(t *testing.T) {
	t.Parallel()
	var zone strings.Builder
	zone.WriteString(`
victim.example.    TXT "v=spf1 exists:%{i}._spf.victim.example include:_spf.other.example -all"
_spf.other.example. TXT "v=spf1 ip4:45.4.0.0/24 -all"
victim.example.    MX 1 mx.victim.example.
mx.victim.example. A 45.4.0.1
_dmarc.victim.example. TXT "v=DMARC1; p=reject"
`)
	named(&zone, "out.victim.example", "45.4.0.2")
	h, w := served(t, "")
	h.beside(t, zone.String())
	for i := range 200 {
		h.answers(t, h.comes(t, fmt.Sprintf("forged%d@victim.example", i), "mx.victim.example", fmt.Sprintf("45.3.%d.1", i)), 550, "spf=fail")
		if i%20 == 19 {
			h.normally(t, h.comes(t, fmt.Sprintf("user%d@victim.example", i), "out.victim.example", "45.4.0.2"))
		}
		h.now = h.now.Add(250 * time.Millisecond)
	}
	if len(h.kicked) != 10 || len(w.all()) != 0 {
		t.Errorf("%d mailed, warnings %q, want 10 and none", len(h.kicked), w.all())
	}
}

// made is how many names below an organisation have been asked for.
func made(s *dnstest.Server, org string) int {
	names := map[string]bool{}
	for _, q := range s.Queries() {
		name, _, _ := strings.Cut(q, " ")
		if strings.HasSuffix(name, "."+org) {
			names[strings.TrimPrefix(name, "_25._tcp.")] = true
		}
	}
	return len(names)
}

// 65: 120 mails from 40 networks make up names below a domain with a wildcard: by macros, by records that are others for
// each mail, by MX names and CNAMEs, and by mail in the victim's own name.
func TestHostile_65_a_wildcard_victim(t *testing.T) {
	t.Parallel()
	const victim = `
wild.example.    MX 1 mx.wild.example.
*.wild.example.  A 45.2.0.1
*.wild.example.  AAAA 2a00:ffff::1
*.wild.example.  MX 1 mx.wild.example.
*.wild.example.  TXT "v=spf1 ?all"
`
	const macros = "v=spf1 include:%{i}.%{d1r}.a.wild.example include:%{i}.%{d1r}.b.wild.example include:%{i}.%{d1r}.c.wild.example mx:%{i}.%{d1r}.d.wild.example " +
		"a:%{i}.%{d1r}.e.wild.example exists:%{i}.%{d1r}.f.wild.example exists:%{i}.%{d1r}.g.wild.example exists:%{d1r}.h.wild.example include:%{d1r}.i.wild.example -all"
	const made8 = 100 + 4*8 + 2 // eight with each set of the wildcard, and what is there
	for _, c := range []struct {
		what string
		from string
		mail func(b *strings.Builder, domain string, n int)
		most int
	}{
		{"macros", "u@m%d-attacker.example", func(b *strings.Builder, domain string, n int) {
			fmt.Fprintf(b, "%s. TXT \"%s\"\n", domain, macros)
		}, made8},
		{"a record for each mail", "u@m%d-attacker.example", func(b *strings.Builder, domain string, n int) {
			fmt.Fprintf(b, "%s. TXT \"v=spf1", domain)
			for k := range 9 {
				fmt.Fprintf(b, " include:r%d-%d.wild.example", n, k)
			}
			fmt.Fprintf(b, " -all\"\n")
			for k := range 5 {
				fmt.Fprintf(b, "%s. MX %d mx%d-%d.wild.example.\n", domain, k, n, k)
			}
		}, made8},
		{"CNAMEs", "u@m%d-attacker.example", func(b *strings.Builder, domain string, n int) {
			fmt.Fprintf(b, "%s. TXT \"v=spf1", domain)
			for k := range 9 {
				fmt.Fprintf(b, " include:c%d.%s", k, domain)
			}
			fmt.Fprintf(b, " -all\"\n")
			for k := range 9 {
				fmt.Fprintf(b, "c%d.%s. CNAME l%d-%d.wild.example.\n", k, domain, n, k)
			}
		}, made8 + 40*(8+9)}, // each network, until it has no more questions
		{"in the victim's name", "u@r%d.wild.example", func(*strings.Builder, string, int) {}, 120*(4+4) + made8}, // four, and what every mail asks about one of them
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			var zone strings.Builder
			zone.WriteString(victim)
			for n := range 120 {
				from := fmt.Sprintf(c.from, n)
				c.mail(&zone, from[strings.IndexByte(from, '@')+1:], n)
			}
			h, _ := served(t, "")
			server := h.beside(t, zone.String())
			for n := range 120 {
				client := fmt.Sprintf("2a00:%x:0:1::1", n%40+1)
				if _, err := h.takes(t, t.Context(), h.comes(t, fmt.Sprintf(c.from, n), "mx.attacker.example", client)); err != nil {
					t.Fatal(err)
				}
			}
			questions := 0
			for _, q := range server.Queries() {
				if name, _, _ := strings.Cut(q, " "); strings.HasSuffix(name, ".wild.example") || strings.HasPrefix(name, "c") && strings.HasSuffix(name, "-attacker.example") {
					questions++
				}
			}
			names := made(server, "wild.example")
			if names == 0 { // the server has followed CNAMEs by itself
				names = questions
			}
			t.Logf("%d questions about %d names of the victim", questions, names)
			if names > c.most {
				t.Errorf("%d names of the victim were asked for, want at most %d", names, c.most)
			}
		})
	}
}
