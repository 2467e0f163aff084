package respond

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"checkauth/reply"
	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/result"
)

// ofDigest are the fields that tell one message from the next. A queue gives each message a Received field of its
// own and keeps it over all tries.
var ofDigest = []string{"Message-ID", "Date", "Subject", "DKIM-Signature", "Received"}

// digestOf names a message for the rule that the same one is not answered twice. It needs no Message-ID: who heard
// that it was answered is not held to have sent it again by mistake.
func digestOf(m *verify.Message) ([]byte, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q\n", m.Envelope.MailFrom, m.Envelope.RcptTo)
	for _, name := range ofDigest {
		for _, f := range m.Fields.All(name) {
			fmt.Fprintf(h, "%s %q\n", name, f.Value())
		}
	}
	if _, err := m.Body.CopyTo(h); err != nil {
		return nil, fmt.Errorf("reading the message: %w", err)
	}
	return h.Sum(nil), nil
}

// answeredBefore gives the report id of the same message, where its client may not have heard of it: it is a second try then,
// and no second test (RFC 1047).
func (t *Transaction) answeredBefore(ctx context.Context, digest []byte) (string, error) {
	now := t.r.Config.Now()
	id, err := t.r.Store.Seen(ctx, digest, now.Add(-t.r.Config.Again), now)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // database/sql does not know it
	}
	if t.r.heard.has(id, now) {
		return "", err
	}
	return id, err
}

func (t *Transaction) sameAgain(id string) reply.Answer {
	if id == "" {
		return reply.Answer{}
	}
	t.r.Config.Log.Info("message seen before", "report", t.env.ID, "answered-by", id, "client", t.env.Client.Addr())
	a := t.r.Compose.Answer(policy.Answered(result.Because("answer-again", "id", result.Ours(id))))
	a.Report = id
	return a
}

// Heard tells that a client heard the answer that told of a report: the same message again is a new test.
func (r *Responder) Heard(report string) {
	now := r.Config.Now()
	r.heard.add(report, now.Add(r.Config.Again), now)
}

// heardReports are the reports whose answers were heard by this node's clients. After a restart it is empty: nobody knows
// then, and the same message is a second try.
type heardReports struct {
	mu    sync.Mutex
	until map[string]time.Time // by report
	order []string             // as they came, which is as they end
}

// mostHeard bounds the memory, to some 10 MB. The oldest go first.
const mostHeard = 100_000

func (h *heardReports) add(report string, until, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until == nil {
		h.until = map[string]time.Time{}
	}
	if _, known := h.until[report]; !known {
		h.order = append(h.order, report)
	}
	h.until[report] = until
	for len(h.order) > mostHeard || len(h.order) > 0 && !now.Before(h.until[h.order[0]]) {
		delete(h.until, h.order[0])
		h.order = h.order[1:]
	}
}

func (h *heardReports) has(report string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Before(h.until[report])
}
