package respond_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/reply"
	"checkauth/reply/compose"
	"checkauth/reply/deliver"
	"checkauth/reply/policy"
	"checkauth/reply/respond"
	"checkauth/reply/sign"
	"checkauth/reply/store"
	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/evaluate"
	"checkauth/verify/mail"
)

const (
	host = "verifier.example.net"
	zone = `
example.org.            MX  10 mx.example.org.
example.org.            TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.org.     TXT "v=DMARC1; p=reject"
mx.example.org.         A   192.0.2.1
soft.example.           MX  10 mx.example.org.
soft.example.           TXT "v=spf1 ~all"
_dmarc.soft.example.    TXT "v=DMARC1; p=reject"
null.example.           MX  0 .
1.2.0.192.in-addr.arpa. PTR mx.example.org.
`
	letter = "From: a@example.org\r\nSubject: test\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"
)

// kept is the store on disk, which tells of each Put and may fail at it.
type kept struct {
	*store.SQLite
	before func() error // of Put; an error is Put's

	mu   sync.Mutex
	puts []string // ids, when they are durable
}

func (k *kept) Put(ctx context.Context, e reply.Entry, b []reply.Bucket, now time.Time) (reply.Full, error) {
	if k.before != nil {
		if err := k.before(); err != nil {
			return reply.Full{}, err
		}
	}
	full, err := k.SQLite.Put(ctx, e, b, now)
	if full.Key == "" && err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.puts = append(k.puts, e.ID)
	}
	return full, err
}

func (k *kept) durable() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.puts)
}

// house is a responder with everything real behind it, and a clock of its own.
type house struct {
	*respond.Responder
	store  *kept
	dir    string // of the store
	key    *sign.Key
	now    time.Time
	kicked []reply.Entry
	ids    int
}

// patient: on a busy machine a late answer would be no fault of ours.
var patient = dnstest.WithClient(func(c *client.Config) { c.Timeout = 20 * time.Second })

const lease = time.Minute

func build(t *testing.T) *house {
	t.Helper()
	h := &house{now: time.Now(), dir: t.TempDir()}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	h.open(t, log)
	t.Cleanup(func() { h.close(t) })
	var err error
	if h.key, _, err = sign.Open(t.TempDir(), host, "check-auth"); err != nil {
		t.Fatal(err)
	}
	letters := compose.Defaults()
	letters.Host, letters.Service, letters.From, letters.Operator = host, "check-auth@"+host, "auth-results@"+host, "postmaster@example.net"
	composer, err := compose.New(letters, h.key)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return h.now }
	cfg := respond.Defaults()
	cfg.Host, cfg.Log, cfg.Now = host, log, clock
	h.Responder = &respond.Responder{
		Config: cfg, Compose: composer, Store: h.store,
		Policy: policy.Config{Quotas: policy.DefaultQuotas(), AnswerNoReply: true, Node: "a.example.net",
			Addresses: policy.Addresses{Domains: []string{host}, Service: "check-auth", From: "auth-results"}},
		Run:         evaluate.Evaluator{Config: evaluate.Defaults(), DNS: dnstest.Zone(t, zone+h.key.Record()+"\n", patient), Now: clock},
		Destination: deliver.Destination,
		Enqueue:     func(e reply.Entry) { h.kicked = append(h.kicked, e) },
	}
	return h
}

func (h *house) open(t *testing.T, log *slog.Logger) {
	t.Helper()
	s, err := store.Open(t.Context(), h.dir, store.Config{Lease: lease, Node: "a.example.net", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	h.store = &kept{SQLite: s}
}

func (h *house) close(t *testing.T) {
	t.Helper()
	if err := h.store.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// restart is what a new process finds: the store, and nothing that was in memory.
func (h *house) restart(t *testing.T) {
	t.Helper()
	h.close(t)
	h.open(t, h.Config.Log)
	h.Responder = &respond.Responder{Config: h.Config, Run: h.Run, Policy: h.Policy, Compose: h.Compose, Store: h.store,
		Enqueue: h.Enqueue, Destination: h.Destination}
}

// message is one that came in; change may be nil.
func (h *house) message(t *testing.T, raw string, change func(*verify.Envelope)) *verify.Message {
	t.Helper()
	h.ids++
	m := &verify.Message{
		Envelope: verify.Envelope{ID: fmt.Sprintf("report%d", h.ids), Host: host, Time: h.now, Helo: "mx.example.org", Purpose: verify.ForTest,
			Client: netip.MustParseAddrPort("192.0.2.1:4025"), MailFrom: "a@example.org", RcptTo: []string{"check-auth@" + host}},
		Whole: mail.Data{At: strings.NewReader(raw), Size: int64(len(raw))}, Received: h.now,
	}
	if change != nil {
		change(&m.Envelope)
	}
	var err error
	if m.Fields, m.Body, err = mail.Split(m.Whole, mail.DefaultBounds()); err != nil {
		t.Fatal(err)
	}
	return m
}

// takes gives a message in as smtpd does.
func (h *house) takes(t *testing.T, ctx context.Context, m *verify.Message) (reply.Answer, error) {
	t.Helper()
	tx := h.Begin(ctx, m.Envelope)
	tx.Header(m.Fields)
	return tx.Finish(ctx, m)
}

func (h *house) answers(t *testing.T, m *verify.Message, code int, line string) reply.Answer {
	t.Helper()
	a, err := h.takes(t, t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(a.Lines, "\n"); a.Code != code || a.Enhanced[0] != code/100 || !strings.Contains(all, line) {
		t.Errorf("got %d %v %q, want %d with %q", a.Code, a.Enhanced, a.Lines, code, line)
	}
	return a
}

// stored reads from the disk what is on its way, and leases it.
func (h *house) stored(t *testing.T) (ids []string, all []store.Claimed) {
	t.Helper()
	h.now = h.now.Add(2 * lease)
	all, err := h.store.Claim(t.Context(), h.now, 10000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	return ids, all
}

// nothing checks that nobody hears of a message.
func (h *house) nothing(t *testing.T) {
	t.Helper()
	if ids, _ := h.stored(t); len(ids) != 0 || len(h.kicked) != 0 {
		t.Errorf("stored %q, %d kicked, want nothing", ids, len(h.kicked))
	}
}

func TestReplyIsStored(t *testing.T) {
	t.Parallel()
	h := build(t)
	m := h.message(t, letter, nil)
	h.answers(t, m, 250, "spf=pass dkim=none dmarc=pass; report report1 to <a@example.org>")
	if len(h.kicked) != 1 || h.kicked[0].ID != "report1" {
		t.Errorf("kicked %d entries, want the one", len(h.kicked))
	}
	now := h.now
	_, all := h.stored(t)
	if len(all) != 1 {
		t.Fatalf("stored %d entries, want 1", len(all))
	}
	e := all[0].Entry
	if e.From != "" || e.To != "a@example.org" || e.MessageID != "<report1@"+host+">" || e.UTF8 || e.EightBit || !e.Expires.Equal(now.Add(24*time.Hour)) {
		t.Errorf("got from %q to %q, %s, UTF8 %t, until %s", e.From, e.To, e.MessageID, e.UTF8, e.Expires)
	}
	if !bytes.Equal(e.Body, h.kicked[0].Body) {
		t.Error("what was kicked is not what was stored")
	}
	signatures, err := dkim.VerifyWithOptions(bytes.NewReader(e.Body), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		a, err := h.Run.DNS.Resolve(t.Context(), dns.Ask(name, dns.TXT))
		return a.Texts(), err
	}})
	if err != nil || len(signatures) != 1 || signatures[0].Err != nil {
		t.Errorf("the reply's signature: %+v, %v", signatures, err)
	}
}

// 250 is said when the entry is durable and not before; then the delivery is told.
func TestRFC5321_6_1_responsibility(t *testing.T) {
	t.Parallel()
	h := build(t)
	kick := h.Enqueue
	h.Enqueue = func(e reply.Entry) {
		if got := h.store.durable(); !slices.Equal(got, []string{e.ID}) {
			t.Errorf("kicked %s when %q were stored", e.ID, got)
		}
		kick(e)
	}
	arrived, open := make(chan struct{}), make(chan struct{})
	h.store.before = func() error { close(arrived); <-open; return nil }
	answered := make(chan reply.Answer, 1)
	m := h.message(t, letter, nil)
	go func() {
		a, err := h.takes(t, t.Context(), m)
		if err != nil {
			t.Errorf("got %v", err)
		}
		answered <- a
	}()
	<-arrived
	select {
	case a := <-answered:
		t.Errorf("answered %d before the entry was stored", a.Code)
	default:
	}
	close(open)
	if a := <-answered; a.Code != 250 || len(h.store.durable()) != 1 || len(h.kicked) != 1 {
		t.Errorf("got %d with %d stored, %d kicked", a.Code, len(h.store.durable()), len(h.kicked))
	}
}

func TestAStoreThatFails(t *testing.T) {
	t.Parallel()
	h := build(t)
	broken := errors.New("no space left on device")
	h.store.before = func() error { return broken }
	for name, change := range map[string]func(*verify.Envelope){
		"a test": nil, "mail for the operator": func(e *verify.Envelope) { e.Purpose = verify.ForOperator },
	} {
		if a, err := h.takes(t, t.Context(), h.message(t, letter, change)); !errors.Is(err, broken) || a.Code != 0 {
			t.Errorf("%s: got %+v, %v, want %v", name, a, err, broken)
		}
	}
	h.nothing(t)
	// The client tries again, and that is no repetition.
	h.store.before = nil
	h.answers(t, h.message(t, letter, nil), 250, "report report3 to")
}

// looking is a store that has something happen after a look-up.
type looking struct {
	*kept
	after func() error
}

func (l looking) Seen(ctx context.Context, digest []byte, since, now time.Time) (string, error) {
	id, err := l.kept.Seen(ctx, digest, since, now)
	return id, errors.Join(err, l.after())
}

func TestALookUpThatFails(t *testing.T) {
	t.Parallel()
	h := build(t)
	broken := errors.New("disk I/O error")
	h.Store = looking{h.store, func() error { return broken }}
	if a, err := h.takes(t, t.Context(), h.message(t, letter, nil)); !errors.Is(err, broken) || a.Code != 0 {
		t.Errorf("got %+v, %v, want %v", a, err, broken)
	}
	h.nothing(t)
}

// Where replies leave more slowly than they come in, nothing new is made.
func TestRepliesThatLeaveTooSlowly(t *testing.T) {
	t.Parallel()
	h := build(t)
	asked := 0
	h.Admit = func(_ context.Context, client netip.Addr, to string) error {
		if client != netip.MustParseAddr("192.0.2.1") || to != "a@example.org" {
			t.Errorf("asked for the client %s and the recipient %q", client, to)
		}
		if asked++; asked == 1 {
			return deliver.ErrBehind
		}
		return nil
	}
	m := h.message(t, letter, nil)
	h.answers(t, m, 451, "Too many replies wait")
	h.nothing(t)
	h.answers(t, m, 250, "")
}

// A refuted sender hears the verdict in the session; a forger's victim hears nothing.
func TestHostile_39(t *testing.T) {
	t.Parallel()
	h := build(t)
	for range 3 {
		m := h.message(t, letter, func(e *verify.Envelope) { e.Client = netip.MustParseAddrPort("198.51.100.7:4025") })
		h.answers(t, m, 550, "spf=fail dkim=none dmarc=fail")
	}
	h.nothing(t)
}

func TestHostile_30(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.answers(t, h.message(t, letter, func(e *verify.Envelope) { e.MailFrom = "" }), 250, "no report: null sender")
	h.answers(t, h.message(t, "Auto-Submitted: auto-replied\r\n"+letter, nil), 250, "no report: Auto-Submitted")
	h.answers(t, h.message(t, letter, func(e *verify.Envelope) { e.MailFrom = "auth-results@" + host }), 250, "no report: sender is one of our own")
	h.answers(t, h.message(t, strings.Repeat("Received: x\r\n", 101)+letter, nil), 554, "loop")
	h.nothing(t)
}

// A client that did not hear our 250 sends the message again (RFC 1047).
func TestRFC1047_the_same_message_again(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Quotas.AddressMinute, h.Policy.Quotas.AddressDay = policy.Unlimited, policy.Unlimited
	h.answers(t, h.message(t, letter, nil), 250, "report report1 to")
	h.now = h.now.Add(time.Hour - time.Minute)
	h.answers(t, h.message(t, letter, nil), 250, "report report1")
	if got := h.store.durable(); !slices.Equal(got, []string{"report1"}) || len(h.kicked) != 1 {
		t.Errorf("stored %q, %d kicked, want the first alone", got, len(h.kicked))
	}
	for _, c := range []struct {
		name   string
		raw    string
		change func(*verify.Envelope)
	}{
		{"another body", letter + "more\r\n", nil},
		{"another Message-ID", strings.Replace(letter, "<1@", "<2@", 1), nil},
		{"another sender", letter, func(e *verify.Envelope) { e.MailFrom = "b@example.org" }},
		{"another recipient", letter, func(e *verify.Envelope) { e.RcptTo = []string{"check-auth+2@" + host} }},
		{"another Subject", strings.Replace(letter, "Subject: test", "Subject: test 2", 1), nil},
		{"another Date", "Date: Tue, 24 Nov 2026 02:10:05 +0000\r\n" + letter, nil},
		{"another signature", "DKIM-Signature: v=1; d=example.org; t=2\r\n" + letter, nil},
		{"another signature beside it", "DKIM-Signature: v=1; d=example.org; t=3\r\nDKIM-Signature: v=1; d=example.org; t=2\r\n" + letter, nil},
		{"sent anew through the same server", "Received: by mx.example.org with SMTP id 2\r\n" + letter, nil},
		{"no Message-ID", strings.Replace(letter, "Message-ID: <1@example.org>\r\n", "", 1), nil},
	} {
		m := h.message(t, c.raw, c.change)
		h.answers(t, m, 250, "report "+m.Envelope.ID+" to")
	}
	h.now = h.now.Add(2 * time.Minute)
	m := h.message(t, letter, nil)
	h.answers(t, m, 250, "report "+m.Envelope.ID+" to")
}

// A second try needs no Message-ID to be known as one.
func TestRFC1047_the_same_message_without_a_Message_ID(t *testing.T) {
	t.Parallel()
	h := build(t)
	bare := strings.Replace(letter, "Message-ID: <1@example.org>\r\n", "", 1)
	h.answers(t, h.message(t, bare, nil), 250, "report report1 to")
	h.answers(t, h.message(t, bare, nil), 250, "answered already; report report1")
}

// Whose client heard the answer is tested anew, from whatever address it comes; the newest report counts.
func TestRFC1047_the_answer_was_heard(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Quotas.AddressMinute = policy.Unlimited
	if a := h.answers(t, h.message(t, letter, nil), 250, "report report1 to"); a.Report != "report1" {
		t.Errorf("the answer is of %q, want report1", a.Report)
	}
	h.Heard("report1")
	h.now = h.now.Add(time.Second)
	h.answers(t, h.message(t, letter, nil), 250, "report report2 to")
	if a := h.answers(t, h.message(t, letter, nil), 250, "answered already; report report2"); a.Report != "report2" {
		t.Errorf("the answer is of %q, want report2", a.Report)
	}
	// It heard of it at its second try.
	h.Heard("report2")
	h.now = h.now.Add(time.Second)
	h.answers(t, h.message(t, letter, nil), 250, "report report4 to")
}

// What was heard is forgotten when its time is over, and the oldest where it is too much.
func TestHeardIsBounded(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Quotas.AddressMinute = policy.Unlimited
	h.answers(t, h.message(t, letter, nil), 250, "report report1 to")
	h.Heard("report1")
	for i := range 100_000 {
		h.Heard(fmt.Sprint(i))
	}
	h.answers(t, h.message(t, letter, nil), 250, "answered already; report report1")
}

// RFC 5321, 4.5.1 and RFC 2142: postmaster and abuse reach the operator, and nobody is answered.
func TestHostile_26(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.now = h.now.Truncate(time.Hour).Add(time.Minute)
	h.Policy.Quotas.OperatorHour = 20
	operator := func(e *verify.Envelope) {
		e.Purpose, e.RcptTo = verify.ForOperator, []string{"postmaster@" + host}
	}
	for i := range 20 {
		h.answers(t, h.message(t, letter, operator), 250, fmt.Sprintf("passed on to the operator as report%d", i+1))
	}
	for range 3 {
		h.answers(t, h.message(t, letter, operator), 452, "too much mail for the operator")
	}
	if len(h.kicked) != 20 {
		t.Errorf("%d kicked, want 20", len(h.kicked))
	}
	// A test is not held up by that.
	h.answers(t, h.message(t, letter, nil), 250, "to <a@example.org>")
	h.now = h.now.Add(time.Hour)
	h.answers(t, h.message(t, letter, operator), 250, "passed on")
	_, all := h.stored(t)
	for _, c := range all {
		if c.ID != "report24" && (c.To != "postmaster@example.net" || c.From != "" || !bytes.Contains(c.Body, []byte("message.eml"))) {
			t.Errorf("%s goes to %q from %q", c.ID, c.To, c.From)
		}
	}
	if len(all) != 22 {
		t.Errorf("%d are stored, want 22", len(all))
	}
}

// silent is a DNS that answers at the context's end.
var silent = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
	<-ctx.Done()
	return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled, Err: context.Cause(ctx)}
})

var errStop = errors.New("the service stops")

// A context that ends before Put began stores nothing, wherever the evaluation was.
func TestTheContextsEndBeforePut(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Run.DNS = silent
	ctx, cancel := context.WithCancelCause(t.Context())
	h.Store = looking{h.store, func() error { cancel(errStop); return nil }}
	m := h.message(t, letter, nil)
	tx := h.Begin(t.Context(), m.Envelope)
	if a, err := tx.Finish(ctx, m); !errors.Is(err, errStop) || a.Code != 0 {
		t.Errorf("within the evaluation: got %+v, %v, want %v", a, err, errStop)
	}
	for name, change := range map[string]func(*verify.Envelope){
		"before the evaluation": nil, "mail for the operator": func(e *verify.Envelope) { e.Purpose = verify.ForOperator },
	} {
		m := h.message(t, letter, change)
		if a, err := h.Begin(t.Context(), m.Envelope).Finish(ctx, m); !errors.Is(err, errStop) || a.Code != 0 {
			t.Errorf("%s: got %+v, %v, want %v", name, a, err, errStop)
		}
	}
	h.nothing(t)
}

// A Put that began is waited for, and then the answer is 250, whoever is there to hear it (RFC 1047).
func TestTheContextsEndWithinPut(t *testing.T) {
	t.Parallel()
	h := build(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	h.store.before = func() error { cancel(errStop); return nil }
	m := h.message(t, letter, nil)
	if a, err := h.Begin(t.Context(), m.Envelope).Finish(ctx, m); err != nil || a.Code != 250 {
		t.Errorf("got %+v, %v, want 250", a, err)
	}
	if ids, _ := h.stored(t); !slices.Equal(ids, []string{"report1"}) || len(h.kicked) != 1 {
		t.Errorf("stored %q, %d kicked, want the one", ids, len(h.kicked))
	}
}

// The end of Begin's context ends the checks, which then say so; the transaction is Finish's, and its
// sender has a report.
func TestTheEndOfBeginsContext(t *testing.T) {
	t.Parallel()
	h := build(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	m := h.message(t, letter, nil)
	h.Run.DNS = silent
	tx := h.Begin(ctx, m.Envelope)
	cancel(errStop)
	a, err := tx.Finish(t.Context(), m)
	if err != nil || a.Code != 250 || !strings.Contains(strings.Join(a.Lines, " "), "spf=temperror dkim=none dmarc=temperror; report report1") {
		t.Errorf("got %+v, %v, want 250 with temperror", a, err)
	}
	if ids, _ := h.stored(t); !slices.Equal(ids, []string{"report1"}) {
		t.Errorf("stored %q, want the one", ids)
	}
}

func TestAbandonStoresNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	for _, purpose := range []verify.Purpose{verify.ForTest, verify.ForOperator} {
		m := h.message(t, letter, func(e *verify.Envelope) { e.Purpose = purpose })
		tx := h.Begin(t.Context(), m.Envelope)
		tx.Header(m.Fields)
		tx.Abandon()
	}
	h.nothing(t)
}

// A message that cannot be read is our fault, and not answered 250.
func TestAMessageThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := build(t)
	gone := errors.New("the spool file is gone")
	for _, purpose := range []verify.Purpose{verify.ForTest, verify.ForOperator} {
		m := h.message(t, letter, func(e *verify.Envelope) { e.Purpose = purpose })
		m.Whole.At, m.Body.At = brokenReader{gone}, brokenReader{gone}
		if a, err := h.takes(t, t.Context(), m); !errors.Is(err, gone) || a.Code != 0 {
			t.Errorf("%s: got %+v, %v, want %v", purpose, a, err, gone)
		}
	}
	h.nothing(t)
}

type brokenReader struct{ err error }

func (r brokenReader) ReadAt([]byte, int64) (int, error) { return 0, r.err }

// Transactions share nothing but the store.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Quotas.AddressMinute, h.Policy.Quotas.AddressDay = policy.Unlimited, policy.Unlimited
	var mu sync.Mutex
	kicks := 0
	h.Enqueue = func(reply.Entry) { mu.Lock(); defer mu.Unlock(); kicks++ }
	var messages []*verify.Message
	for i := range 20 {
		messages = append(messages, h.message(t, strings.Replace(letter, "<1@", fmt.Sprintf("<%d@", i+1), 1), nil))
	}
	var all sync.WaitGroup
	for _, m := range messages {
		all.Go(func() { h.answers(t, m, 250, "report "+m.Envelope.ID+" to") })
	}
	all.Wait()
	if ids, _ := h.stored(t); len(ids) != len(messages) || kicks != len(messages) {
		t.Errorf("%d stored, %d kicked, want %d", len(ids), kicks, len(messages))
	}
}

// The same message over two connections at once is answered once: the second is put off, and its next
// try hears of the first's report.
func TestRFC1047_the_same_message_at_once(t *testing.T) {
	t.Parallel()
	h := build(t)
	second := h.message(t, letter, nil)
	h.store.before = func() error {
		h.store.before = nil
		if a, err := h.Begin(t.Context(), second.Envelope).Finish(t.Context(), second); err != nil || a.Code != 451 || a.Enhanced != [3]int{4, 3, 0} {
			t.Errorf("the second: got %+v, %v, want 451 4.3.0", a, err)
		}
		return nil
	}
	first := h.message(t, letter, nil)
	h.answers(t, first, 250, "report "+first.Envelope.ID+" to")
	h.answers(t, second, 250, "report "+first.Envelope.ID)
	if got := h.store.durable(); len(got) != 1 {
		t.Errorf("stored %q, want one", got)
	}
}

// All replies of one server have a bound of their own, which a reply that was not stored does not use up. It survives a
// restart, and is each node's own.
func TestNodeHour(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Quotas.TotalHour = 2
	from := func(local string) func(*verify.Envelope) {
		return func(e *verify.Envelope) { e.MailFrom = local + "@example.org" }
	}
	h.answers(t, h.message(t, letter, from("a")), 250, "report report1 to")
	h.answers(t, h.message(t, letter+"again\r\n", from("a")), 550, "This address had its reports for now")
	h.restart(t)
	h.answers(t, h.message(t, letter, from("b")), 250, "report report3 to")
	h.restart(t)
	h.answers(t, h.message(t, letter, from("c")), 550, "next report after "+clockOf(h.now.Add(time.Hour), h.now)+"\nNo report is mailed: quota node-hour (report id report4)")
	h.Policy.Node = "b.example.net"
	h.answers(t, h.message(t, letter, from("c")), 250, "report report5 to")
	h.Policy.Node = "a.example.net"
	h.answers(t, h.message(t, letter, from("d")), 550, "No report is mailed: quota node-hour (report id report6)")
	h.now = h.now.Add(time.Hour)
	h.answers(t, h.message(t, letter, from("d")), 250, "report report7 to")
}

// A reply that could not be written is none of the hour's.
func TestNodeHourOfRepliesThatFail(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Quotas.TotalHour = 1
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "report.txt"), []byte(`{{if eq .Sender "a@example.org"}}{{.Nosuch}}{{end}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	letters := compose.Defaults()
	letters.Host, letters.Service, letters.From, letters.Templates = host, "check-auth@"+host, "auth-results@"+host, dir
	var err error
	if h.Compose, err = compose.New(letters, h.key); err != nil {
		t.Fatal(err)
	}
	if _, err := h.takes(t, t.Context(), h.message(t, letter, nil)); err == nil || !strings.Contains(err.Error(), "report.txt:1:") {
		t.Errorf("got %v, want the layout's fault", err)
	}
	h.answers(t, h.message(t, letter, func(e *verify.Envelope) { e.MailFrom = "b@example.org" }), 250, "report report2 to")
}

// A victim whose domain asks for reject hears nothing, whatever the forger writes into From.
func TestHostile_39_the_sender_s_own_policy(t *testing.T) {
	t.Parallel()
	h := build(t)
	for i, from := range []string{"From: a@soft.example\r\n", "From: news@example.net\r\n", "From: a@example.net, b@example.net\r\n", ""} {
		m := h.message(t, from+"Subject: x\r\n\r\nhello\r\n", func(e *verify.Envelope) { e.MailFrom = "victim@soft.example" })
		a := h.answers(t, m, 550, fmt.Sprintf("No report is mailed to an unproved address (report id report%d)", i+1))
		const record = "policy (from _dmarc.soft.example) is reject"
		if !strings.Contains(strings.Join(a.Lines, "\n"), record) {
			t.Errorf("%q: got %q, want the record that refuses it: %q", from, a.Lines, record)
		}
	}
}

// The way of a report to the author is asked for when the From field is there, and in whatever case it is written.
func TestTheWayToTheAuthor(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Policy.Addresses.Author, h.Policy.Addresses.Named = true, true
	var err error
	if h.Policy.Trusted, err = policy.ParseList([]string{"null.example"}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"check-auth2@", "check-auth-ann=null.example@"} {
		m := h.message(t, "From: Ann@null.example\r\nSubject: "+to+"\r\n\r\nhello\r\n", func(e *verify.Envelope) { e.RcptTo = []string{to + host} })
		if a := h.answers(t, m, 550, "null MX"); a.Enhanced != [3]int{5, 7, 27} {
			t.Errorf("%s: got %v", to, a.Enhanced)
		}
	}
}
