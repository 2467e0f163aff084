package respond_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/share"
)

// forgeries are how many forged mails TestHostile_forged_mail_beside_honest_mail sends: few, or CHECK_AUTH_FORGED.
func forgeries() int {
	if n, err := strconv.Atoi(os.Getenv("CHECK_AUTH_FORGED")); err == nil {
		return n
	}
	return 600
}

// Domains that publish -all or p=reject are forged in every spelling from many networks, while quotas of questions fill, the
// resolver is slow or fails, and the clock jumps. Nothing is mailed to them but, where their record could not be read, the
// paragraph; and honest senders of 100 networks are answered beside that.
func TestHostile_forged_mail_beside_honest_mail(t *testing.T) {
	t.Parallel()
	const victims, networks = 20, 100
	var z strings.Builder
	name := func(i int) string {
		if i%2 == 0 {
			return fmt.Sprintf("b\u00fccher%d.example", i)
		}
		return fmt.Sprintf("victim%d.example", i)
	}
	for i := range victims {
		d, _ := naming.ASCII(name(i))
		fmt.Fprintf(&z, "%[1]s. MX 10 mx.%[1]s.\nmx.%[1]s. A 45.0.0.%[2]d\n", d, i+1)
		if i < victims/2 {
			fmt.Fprintf(&z, "%s. TXT \"v=spf1 ip4:45.0.0.0/24 -all\"\n", d)
		} else {
			fmt.Fprintf(&z, "_dmarc.%s. TXT \"v=DMARC1; p=reject\"\n", d)
		}
	}
	honest := forgeries() / 40
	for i := range honest {
		d := fmt.Sprintf("honest%d.org", i)
		fmt.Fprintf(&z, "%[1]s. MX 10 mx.%[1]s.\nmx.%[1]s. A 46.0.%[2]d.%[3]d\n", d, i%networks, i/networks+1)
		switch i % 3 {
		case 0:
			fmt.Fprintf(&z, "%s. TXT \"v=spf1 mx -all\"\n", d)
		case 1:
			fmt.Fprintf(&z, "%s. TXT \"v=spf1 ip4:47.0.0.1 ~all\"\n", d)
		}
	}
	h, _ := served(t, z.String())
	h.Policy.Share = share.Rule{Part: 8}
	h.Run.Quota.Share = h.Policy.Share
	rnd, up := rand.New(rand.NewPCG(17, 4)), h.Run.DNS
	var mu sync.Mutex
	trouble := false // of the resolver: for forged mail alone, whose sender we cannot help
	h.Run.DNS = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		mu.Lock()
		dice := rnd.IntN(100)
		// A domain whose own SPF record fails to be read is class B by the rules: its administrator is who needs the report.
		on := trouble && (q.Type != dns.TXT || strings.HasPrefix(q.Name, "_"))
		mu.Unlock()
		switch {
		case on && dice < 3:
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.ServFail}
		case on && dice < 6:
			return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Timeout}
		case dice < 8:
			time.Sleep(time.Millisecond)
		}
		return up.Resolve(ctx, q)
	})
	spelt := []func(local, domain string) string{
		func(l, d string) string { return l + "@" + d },
		func(l, d string) string { return strings.ToUpper(l) + "@" + strings.ToUpper(d) },
		func(l, d string) string { a, _ := naming.ASCII(d); return l + "+x@" + a },
		func(l, d string) string { return l + "@" + strings.Replace(d, ".", "\u3002", 1) },
		func(l, d string) string { return l + "@" + strings.Replace(d, ".", "\uff0e", 1) },
		func(l, d string) string { return l + "@" + strings.Replace(d, ".", "\uff61", 1) },
		func(l, d string) string { return l + "%" + d + "@" + d },
		func(l, d string) string { return d + "!" + l + "@" + d },
		func(l, d string) string { return `"` + l + ` "@` + d },
		func(l, d string) string { return "prvs=1234abcdef=" + l + "@" + d },
	}
	sent, against, paragraphs, put := 0, 0, 0, 0
	answered, refused := 0, map[string]int{}
	for n := range forgeries() {
		if n%40 == 0 && n/40 < honest {
			i := n / 40
			d := fmt.Sprintf("honest%d.org", i)
			before := len(h.kicked)
			m := h.message(t, fmt.Sprintf("From: ann@%[1]s\r\nMessage-ID: <%[2]d@%[1]s>\r\n\r\nhello\r\n", d, n), func(e *verify.Envelope) {
				e.MailFrom, e.Helo = "ann@"+d, "mx."+d
				e.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{46, 0, byte(i % networks), byte(i/networks + 1)}), 4025)
			})
			a, err := h.takes(t, t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if len(h.kicked) == before+1 && a.Code == 250 {
				answered++
			} else {
				refused[fmt.Sprint(a.Code, " ", strings.Join(a.Lines, "; "))]++
			}
			h.kicked = nil
		}
		mu.Lock()
		trouble = rnd.IntN(2) == 0
		mu.Unlock()
		d := name(rnd.IntN(victims))
		from := spelt[rnd.IntN(len(spelt))]("victim", d)
		author := []string{"victim@" + d, "x@stranger.example", "somebody@" + d}[rnd.IntN(3)]
		m := h.message(t, fmt.Sprintf("From: %s\r\nMessage-ID: <%d@x>\r\n\r\npay\r\n", author, n), func(e *verify.Envelope) {
			e.MailFrom, e.Helo = from, "mail.stranger.example"
			e.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{48, byte(rnd.IntN(4)), byte(rnd.IntN(64)), 1}), 4025)
		})
		before := len(h.kicked)
		a, err := h.takes(t, t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		trouble = false
		mu.Unlock()
		sent++
		for _, e := range h.kicked[before:] {
			if len(e.Body) < 6000 && slices.Equal(kindsOf(t, e), []string{"text/plain"}) {
				paragraphs++
			} else {
				against++
				t.Errorf("mail %d from %q: %d %q, and %d octets go to %s", n, from, a.Code, a.Lines, len(e.Body), e.To)
			}
		}
		if a.Code/100 == 4 {
			put++
		}
		switch {
		case n%500 == 499:
			h.now = h.now.Add(2 * time.Hour)
		case n%501 == 500:
			h.now = h.now.Add(-2 * time.Hour)
		default:
			h.now = h.now.Add(50 * time.Millisecond)
		}
	}
	t.Logf("%d forged mails: %d reports against the domain's word, %d paragraphs, %d put off; honest: %d of %d answered %v", sent, against, paragraphs, put, answered, honest, refused)
	if paragraphs > sent/20 {
		t.Errorf("%d paragraphs of %d", paragraphs, sent)
	}
	if answered*100 < honest*99 {
		t.Errorf("honest senders: %d of %d answered: %v", answered, honest, refused)
	}
}

// kindsOf are the kinds of a reply's parts.
func kindsOf(t *testing.T, e reply.Entry) (out []string) {
	t.Helper()
	for kind := range parts(t, e) {
		out = append(out, kind)
	}
	return out
}
