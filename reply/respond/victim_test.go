package respond_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/known"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// saying is what a domain publishes, or what becomes of the question for it.
type saying struct {
	record string
	fault  dns.Kind
	word   result.Word // of SPF, without a fault
	asks   bool        // DMARC: for reject or quarantine
	strict bool        // DMARC: adkim=s
	below  bool        // DMARC: the record is of the domain above, and its sp= applies
}

var spfSayings = map[string]saying{
	"none":      {word: result.None},
	"softfail":  {record: "v=spf1 ~all", word: result.SoftFail},
	"neutral":   {record: "v=spf1 ?all", word: result.Neutral},
	"fail":      {record: "v=spf1 -all", word: result.Fail},
	"fail by":   {record: "v=spf1 redirect=deny.example.net", word: result.Fail},
	"pass":      {record: "v=spf1 ip4:198.18.0.0/16 -all", word: result.Pass},
	"pass all":  {record: "v=spf1 +all", word: "wide"},
	"permerror": {record: "v=spf1 pass-me -all", word: result.PermError},
	"servfail":  {record: "v=spf1 -all", fault: dns.ServFail},
	"budget":    {record: "v=spf1 -all", fault: dns.Budget},
	"silent":    {record: "v=spf1 -all", fault: dns.Timeout},
	"quota":     {record: "v=spf1 -all", fault: dns.Quota},
}

var dmarcSayings = map[string]saying{
	"nothing":        {},
	"none":           {record: "v=DMARC1; p=none"},
	"quarantine":     {record: "v=DMARC1; p=quarantine", asks: true},
	"reject":         {record: "v=DMARC1; p=reject", asks: true},
	"strict":         {record: "v=DMARC1; p=reject; adkim=s", asks: true, strict: true},
	"reject, tested": {record: "v=DMARC1; p=reject; t=y", asks: true}, // RFC 9989, 4.7: quarantine
	"above":          {record: "v=DMARC1; p=none; sp=reject", asks: true, below: true},
	"servfail":       {record: "v=DMARC1; p=reject", fault: dns.ServFail},
	"budget":         {record: "v=DMARC1; p=reject", fault: dns.Budget},
	"silent":         {record: "v=DMARC1; p=reject", fault: dns.Timeout},
	"quota":          {record: "v=DMARC1; p=reject", fault: dns.Quota},
}

// victim is a domain that publishes one of each, in U-labels and as the DNS has it.
type victim struct {
	written, domain string
	spf, dmarc      saying
	net             string // its clients' addresses begin with
}

// hosts are the names that the client's address may have, by its last octet; "" is the domain itself.
var hosts = []string{"none", "", "mx.", "mail.", "vps-4711.", "alice.customers."}

// spellings of one mailbox at a domain in U-labels.
var spellings = []func(written string) string{
	func(w string) string { return "victim@" + w },
	func(w string) string { return "victim@" + naming.Key(w) },
	func(w string) string { return "Victim@" + strings.ToUpper(w) },
	func(w string) string { return "victim@" + strings.ToUpper(naming.Key(w)) },
	func(w string) string { return "victim@" + strings.ReplaceAll(w, ".", "\u3002") },
	func(w string) string { return "victim@" + strings.ReplaceAll(w, ".", "\uff0e") },
	func(w string) string { return "victim@" + strings.ReplaceAll(naming.Key(w), ".", "\uff61") },
	func(w string) string { return "victim@" + strings.ReplaceAll(w, "\u00fc", "u\u0308") },
	func(w string) string { return "victim@" + strings.ReplaceAll(w, "b", "\uff42") },
	func(w string) string { return "victim%" + w + "@" + w },
	func(w string) string { return w + "!victim@" + w },
	func(w string) string { return `"victim"@` + w },
	func(w string) string { return `"vic tim"@` + w },
	func(w string) string { return "victim+tag@" + w },
}

// world has a domain for each pair of what SPF and DMARC may say, and a resolver that knows which questions fail.
func world(t *testing.T, key ed25519.PublicKey) (all []victim, r dns.Resolver) {
	t.Helper()
	faults := map[dns.Question]dns.Kind{}
	var z strings.Builder
	keyText := base64.StdEncoding.EncodeToString(key)
	sign := func(d string) { fmt.Fprintf(&z, "s._domainkey.%s. TXT \"v=DKIM1; k=ed25519; p=%s\"\n", d, keyText) }
	z.WriteString("deny.example.net. TXT \"v=spf1 -all\"\nin.example.net. A 192.0.2.25\n")
	sign("other.example")
	for _, s := range slices.Sorted(keys(spfSayings)) {
		for _, d := range slices.Sorted(keys(dmarcSayings)) {
			v := victim{spf: spfSayings[s], dmarc: dmarcSayings[d], net: fmt.Sprintf("198.18.%d.", len(all))}
			top := fmt.Sprintf("b\u00fccher%d.example", len(all))
			v.written = top
			if v.dmarc.below {
				v.written = "post." + top
			}
			v.domain = naming.Key(v.written)
			fmt.Fprintf(&z, "%s. MX 10 mx.%s.\n", v.domain, v.domain)
			for _, r := range []struct{ name, text string }{{v.domain, v.spf.record}, {"_dmarc." + naming.Key(top), v.dmarc.record}} {
				if r.text != "" {
					fmt.Fprintf(&z, "%s. TXT %q\n", r.name, r.text)
				}
			}
			for i, name := range hosts {
				if name != "none" {
					ip := netip.MustParseAddr(v.net + fmt.Sprint(i))
					fmt.Fprintf(&z, "%s. PTR %s%s.\n%s%s. A %s\n", dns.ReverseName(ip), name, v.domain, name, v.domain, ip)
				}
			}
			sign(v.domain)
			sign("news." + v.domain)
			if v.spf.fault != "" {
				faults[dns.Ask(v.domain, dns.TXT)] = v.spf.fault
			}
			if v.dmarc.fault != "" {
				faults[dns.Ask("_dmarc."+v.domain, dns.TXT)] = v.dmarc.fault
			}
			all = append(all, v)
		}
	}
	up := dnstest.Zone(t, z.String(), patient)
	return all, dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		kind, bad := faults[q]
		if !bad {
			return up.Resolve(ctx, q)
		}
		err := &dns.Error{Question: q, Kind: kind}
		if kind == dns.Quota {
			err.Err = &dns.QuotaError{Bound: dns.PerNetwork, Limit: 1, Until: time.Now().Add(time.Minute)}
		}
		return dns.Answer{}, err
	})
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// forged is one mail in a victim's name.
type forged struct {
	victim
	host     int
	spelling int
	signer   string // "", "news.", "" with signs: below the victim's domain; or another's domain
	signs    bool
	author   string // of From
	quotable bool   // the author is the very mailbox of MAIL FROM
}

func (f forged) raw(t *testing.T, key ed25519.PrivateKey, n int) string {
	t.Helper()
	mail := fmt.Sprintf("From: %s\r\nTo: check-auth@%s\r\nSubject: %d\r\nMessage-ID: <%d@example.net>\r\n\r\nMARKER of a stranger\r\n", f.author, host, n, n)
	if !f.signs {
		return mail
	}
	var out bytes.Buffer
	if err := dkim.Sign(&out, strings.NewReader(mail), &dkim.SignOptions{Domain: f.signer, Selector: "s", Signer: key, HeaderKeys: []string{"From", "To"}}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// outcome is what may become of a mail at most.
type outcome int

const (
	putOff   outcome = iota // 451
	nothing                 // 550
	shortly                 // the paragraph
	wordless                // the report without the message's own words
	whole
)

// most is written without a look at the program: what the domain publishes, and what this mail shows.
func (f forged) most() outcome {
	aligned := f.signs && (f.signer == f.domain || f.signer == "news."+f.domain && !f.dmarc.strict)
	proved := f.spf.fault == "" && f.spf.word == result.Pass || aligned && f.quotable
	undecided := f.spf.fault == dns.Budget || f.dmarc.fault != "" && (f.dmarc.fault != dns.Timeout || f.spf.fault != dns.Timeout)
	asks := f.dmarc.asks && f.dmarc.fault == ""
	ownName := f.host == 1 || f.host == 2 || f.host == 3
	fails := f.spf.fault == "" && f.spf.word == result.Fail
	switch {
	case f.spf.fault == dns.Quota, f.dmarc.fault == dns.Quota:
		return putOff
	case proved:
		return whole
	case fails, asks && !aligned:
		return nothing
	case undecided:
		return shortly
	case ownName && !asks && f.dmarc.fault == "":
		return whole
	}
	return wordless
}

// Where our own bound or an unreadable record may hide a refusal a paragraph is mailed, within the quotas of class B; the
// client hears why.
func TestUndecidedIsMailedAParagraph(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Run.DNS = dnstest.Zone(t, zone+"open.example. MX 10 in.open.example.\nin.open.example. A 192.0.2.25\n;FAULT SERVFAIL _dmarc.open.example. TXT\n", patient)
	write := func(code int, says string) {
		t.Helper()
		h.answers(t, h.message(t, free, func(e *verify.Envelope) { e.MailFrom = "a@open.example" }), code, says)
		h.now = h.now.Add(2 * time.Hour)
	}
	write(250, "only the verdict is mailed")
	write(550, "No report is mailed: quota address-day")
	if len(h.kicked) != 1 {
		t.Fatalf("%d mails", len(h.kicked))
	}
	if body := string(h.kicked[0].Body); len(body) > 5000 || strings.Count(body, "Content-Type: ") > 2 || !strings.Contains(body, "this paragraph is") || strings.Contains(body, "hello") {
		t.Errorf("%d octets: %s", len(body), body)
	}
}

// A domain that publishes -all, or p=reject or quarantine, is mailed nothing on what its records refute: in every
// spelling, whatever name the client has, whoever the author says to be, and while questions fail for a reason of ours.
func TestAVictimIsMailedNothingAgainstItsWord(t *testing.T) {
	t.Parallel()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := build(t)
	var all []victim
	all, h.Run.DNS = world(t, public)
	if h.Run.Atlas, err = known.Load(); err != nil {
		t.Fatal(err)
	}
	limits := reflect.ValueOf(&h.Policy.Quotas).Elem()
	for i := range limits.NumField() {
		if limits.Field(i).CanInt() {
			limits.Field(i).SetInt(policy.Unlimited)
		}
	}
	rnd := rand.New(rand.NewPCG(17, 3))
	met := map[outcome]int{}
	for n := range 3 * len(all) {
		f := forged{victim: all[n%len(all)], host: rnd.IntN(len(hosts)), spelling: rnd.IntN(len(spellings))}
		sender := spellings[f.spelling](f.written)
		f.author = "stranger@other.example"
		switch rnd.IntN(3) {
		case 0:
			f.author = "victim@" + f.domain
			f.quotable = naming.Fold(sender) == "victim@"+f.domain
		case 1:
			f.author = "somebody@" + f.domain
		}
		switch rnd.IntN(5) {
		case 0:
			f.signs, f.signer = true, f.domain
		case 1:
			f.signs, f.signer = true, "news."+f.domain
		case 2:
			f.signs, f.signer = true, "other.example"
		}
		m := h.message(t, f.raw(t, key, n), func(e *verify.Envelope) {
			e.MailFrom, e.Client = sender, netip.AddrPortFrom(netip.MustParseAddr(f.net+fmt.Sprint(f.host)), 25)
			e.Helo = "mail.other.example"
			if f.host > 0 {
				e.Helo = hosts[f.host] + f.domain
			}
		})
		before := len(h.kicked)
		a, err := h.takes(t, t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		got := nothing
		switch mailed := h.kicked[before:]; {
		case a.Code == 451:
			got = putOff
		case len(mailed) == 0:
		case bytes.Contains(mailed[0].Body, []byte("MARKER")):
			got = whole
		case len(mailed[0].Body) > 5000:
			got = wordless
		default:
			got = shortly
		}
		most := f.most()
		met[most]++
		if got != most || (most == putOff) != (got == putOff) || most == nothing && a.Code != 550 {
			t.Errorf("mail %d from %s (%s), spf %q %s, dmarc %q %s, name %q, signed %t by %q, From %s:\ngot %d, most %d; %d %q", n, sender, f.net+fmt.Sprint(f.host),
				f.spf.record, f.spf.fault, f.dmarc.record, f.dmarc.fault, hosts[f.host], f.signs, f.signer, f.author, got, most, a.Code, a.Lines)
		}
	}
	for e := putOff; e <= whole; e++ {
		if met[e] < 10 {
			t.Errorf("%d mails of kind %d: the search is broken", met[e], e)
		}
	}
}
