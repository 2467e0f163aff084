package respond_test

import (
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/deliver"
	"checkauth/reply/store"
	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mtasts"
)

// anotherClient is nobody's server.
var anotherClient = netip.MustParseAddrPort("192.0.2.77:4025")

// withOpen has a domain that publishes nothing of who may send its mail.
const withOpen = zone + "open.example. MX 10 mx.example.org.\n"

// partsOf are the parts of a reply by their type, as a reader sees them, each on one line.
func partsOf(t *testing.T, e reply.Entry) map[string]string {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(string(e.Body)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var read func(kind, encoding string, in io.Reader)
	read = func(kind, encoding string, in io.Reader) {
		kind, params, err := mime.ParseMediaType(kind)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(kind, "multipart/") {
			for r := multipart.NewReader(in, params["boundary"]); ; {
				p, err := r.NextRawPart()
				if err == io.EOF {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				read(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p)
			}
		}
		if strings.EqualFold(encoding, "quoted-printable") {
			in = quotedprintable.NewReader(in)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		out[kind] = strings.Join(strings.Fields(string(b)), " ")
	}
	read(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
	return out
}

// everywhere checks that text, page and JSON have something, or none of them.
func everywhere(t *testing.T, e reply.Entry, has bool, text, code string) {
	t.Helper()
	parts := partsOf(t, e)
	for kind, want := range map[string]string{"text/plain": text, "text/html": text, "application/json": `"` + code + `"`} {
		if strings.Contains(parts[kind], want) != has {
			t.Errorf("%s: %q is there: %t, want %t:\n%s", kind, want, !has, has, parts[kind])
		}
	}
}

// A policy that does not name the MX keeps the reply from arriving: the sender hears it with the 250.
func TestAnMTASTSPolicyThatDoesNotNameTheMX(t *testing.T) {
	t.Parallel()
	policyFor := func(mode mtasts.Mode, mx ...string) mtasts.Policy {
		return mtasts.Policy{ID: "1", Mode: mode, MX: mx, MaxAge: time.Hour}
	}
	const line = "but the MTA-STS policy of example.org does not name its MX hosts (mx.example.org): no report can be delivered before that is fixed"
	for _, c := range []struct {
		name   string
		from   string
		policy mtasts.Policy
		fetch  bool
		said   bool
	}{
		{"it names another host", "a@example.org", policyFor(mtasts.Enforce, "old.example.org", "*.mx.example.org"), true, true},
		{"it names the host", "a@example.org", policyFor(mtasts.Enforce, "mx.example.org"), true, false},
		{"by a wildcard", "a@example.org", policyFor(mtasts.Enforce, "*.example.org"), true, false},
		{"it only tests", "a@example.org", policyFor(mtasts.Testing, "old.example.org"), true, false},
		{"there is none", "a@example.org", mtasts.Policy{}, true, false},
		{"who is not proved makes nobody fetch", "a@open.example", mtasts.Policy{}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.Run.DNS = dnstest.Zone(t, withOpen, patient)
			asked := ""
			h.Promised = func(_ context.Context, domain string, fetch bool) mtasts.Policy {
				asked += fmt.Sprint(domain, " ", fetch, ";")
				return c.policy
			}
			from := func(e *verify.Envelope) {
				if e.MailFrom = c.from; !c.fetch {
					e.Client, e.Helo = anotherClient, "elsewhere.example"
				}
			}
			raw := strings.Replace(letter, "a@example.org", c.from, 1)
			a := h.answers(t, h.message(t, raw, from), 250, "report report1 to <"+c.from+">")
			_, domain, _ := strings.Cut(c.from, "@")
			if want := fmt.Sprint(domain, " ", c.fetch, ";"); asked != want {
				t.Errorf("asked %q, want %q", asked, want)
			}
			if said := a.Lines[len(a.Lines)-1] == line; said != c.said || len(h.kicked) != 1 {
				t.Errorf("got %q and %d replies, want the line: %t", a.Lines, len(h.kicked), c.said)
			}
			everywhere(t, h.kicked[0], c.said, "(mode enforce) names old.example.org, *.mx.example.org, and its MX hosts are mx.example.org", "reply-mta-sts")
		})
	}
}

// TLSA records that nothing can match do so, too; and where they may match, MTA-STS has no say.
func TestDANEThatCannotMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, tlsa string
		line       string
	}{
		{"the digest of nothing", "3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "but no certificate can match the TLSA records of the MX hosts (mx.example.org): no report can be delivered before that is fixed"},
		{"a digest", "3 1 1 " + strings.Repeat("0123456789abcdef", 4), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			d := deliver.Defaults()
			d.Hostname, d.DANE = host, true
			resolver := dnstest.Zone(t, zone+h.key.Record()+"\n_25._tcp.mx.example.org. TLSA "+c.tlsa+"\n;FAULT AD *.example.org ANY\n", patient)
			deliverer, err := deliver.New(d, h.store, resolver)
			if err != nil {
				t.Fatal(err)
			}
			h.Run.DNS, h.Destination = resolver, deliverer.Destination
			h.Promised = func(context.Context, string, bool) mtasts.Policy {
				return mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"old.example.org"}}
			}
			a := h.answers(t, h.message(t, letter, nil), 250, "report report1")
			if want := a.Lines[0] + "|" + c.line; strings.Join(a.Lines, "|") != strings.TrimSuffix(want, "|") {
				t.Errorf("got %q, want %q", a.Lines, want)
			}
			everywhere(t, h.kicked[0], c.line != "", "TLSA records of mx.example.org hold no digest of a key", "reply-dane")
		})
	}
}

// The next report says what became of the one before, in our words: the server's stay out.
func TestTheNextReportSaysThatTheLastDidNotArrive(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"a@example.org", "a@open.example"} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.Run.DNS = dnstest.Zone(t, withOpen, patient)
			unproved := from != "a@example.org"
			h.Policy.Quotas.OpenAddressDay = 9
			test := func(n int) reply.Entry {
				raw := strings.NewReplacer("a@example.org", from, "<1@", fmt.Sprintf("<%d@", n)).Replace(letter)
				h.answers(t, h.message(t, raw, func(e *verify.Envelope) {
					if e.MailFrom = from; unproved {
						e.Client, e.Helo = anotherClient, "elsewhere.example"
					}
				}), 250, "report")
				h.now = h.now.Add(2 * time.Minute)
				return h.kicked[len(h.kicked)-1]
			}
			first := test(1)
			everywhere(t, first, false, "has not been delivered", "reply-undelivered-later")
			out := store.Outcome{Reason: "mx: RCPT: 450 Buy pills", Answer: "450 Buy pills", Host: "mx.example.org [192.0.2.1]", Kind: deliver.KindLater}
			for range 3 {
				if err := h.store.Retry(t.Context(), first.ID, h.now, out); err != nil {
					t.Fatal(err)
				}
			}
			_, domain, _ := strings.Cut(from, "@")
			date := first.Created.UTC().Format("2006-01-02 15:04 UTC")
			second := test(2)
			everywhere(t, second, true, "The report on your test of "+date+" has not been delivered (tries: 3): the mail servers of "+domain+" put it off", "reply-undelivered-later")
			if strings.Contains(string(second.Body), "pills") {
				t.Error("the report has the server's words")
			}
			if err := h.store.Done(t.Context(), first.ID, h.now, store.Outcome{}); err != nil {
				t.Fatal(err)
			}
			everywhere(t, test(3), false, "has not been delivered", "reply-undelivered-later")
		})
	}
}

// Each kind of failure has its sentence, also where a relay takes the replies.
func TestEveryKindOfFailureIsSaid(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		deliver.KindPromise: "reply-undelivered-promise", deliver.KindTLS: "reply-undelivered-tls", deliver.KindOurs: "reply-undelivered-ours",
		deliver.KindRecipient: "reply-undelivered-recipient", deliver.KindContent: "reply-undelivered-content", deliver.KindLater: "reply-undelivered-later",
		deliver.KindNeeds: "reply-undelivered-needs", deliver.KindNowhere: "reply-undelivered-nowhere", deliver.KindDNS: "reply-undelivered-dns",
		deliver.KindReach: "reply-undelivered-reach", "relay": "reply-undelivered-relay",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			if kind == "relay" {
				h.Destination = nil
			}
			h.answers(t, h.message(t, letter, nil), 250, "report report1")
			h.now = h.now.Add(2 * time.Minute)
			if err := h.store.Fail(t.Context(), "report1", h.now, store.Outcome{Kind: kind}); err != nil {
				t.Fatal(err)
			}
			h.answers(t, h.message(t, strings.Replace(letter, "<1@", "<2@", 1), nil), 250, "report report2")
			everywhere(t, h.kicked[1], true, "has not been delivered (tries: 1): ", want)
		})
	}
}
