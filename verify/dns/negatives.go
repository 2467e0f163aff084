package dns

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Negatives remembers for a few seconds, over all messages, that there is nothing where every test looks: a flood of mail in
// a domain's name asks that once. A resolver does so too, but not where the domain's SOA record forbids it or there is none
// (RFC 2308, 5). Who publishes a record and tests again waits as long at most.
type Negatives struct {
	up  Resolver
	now func() time.Time

	mu            sync.Mutex
	began         time.Time // of kept
	kept, earlier map[Question]negative
}

type negative struct {
	answer Answer
	at     time.Time
}

const (
	negativeTime = 5 * time.Second
	maxNegatives = 4096 // in negativeTime; more are not kept
)

// NewNegatives remembers nothing yet.
func NewNegatives(up Resolver, now func() time.Time) *Negatives {
	return &Negatives{up: up, now: now, kept: map[Question]negative{}}
}

// Resolve implements Resolver.
func (n *Negatives) Resolve(ctx context.Context, q Question) (Answer, error) {
	if _, all := everyMail(q); !all && !strings.Contains(q.Name, "._domainkey.") {
		return n.up.Resolve(ctx, q)
	}
	if a, ok := n.find(q); ok {
		return a, nil
	}
	a, err := n.up.Resolve(ctx, q)
	if err == nil && len(a.Records) == 0 {
		n.keep(q, a)
	}
	return a, err
}

func (n *Negatives) find(q Question) (Answer, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.window()
	for _, in := range []map[Question]negative{n.kept, n.earlier} {
		if had, ok := in[q]; ok && now.Sub(had.at) < negativeTime && !now.Before(had.at) {
			return had.answer, true
		}
	}
	return Answer{}, false
}

func (n *Negatives) keep(q Question, a Answer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.window(); len(n.kept) < maxNegatives {
		n.kept[q] = negative{a, now}
	}
}

// turn forgets what is too old. n.mu is held.
func (n *Negatives) window() time.Time {
	now := n.now()
	if since := now.Sub(n.began); since >= negativeTime || since < 0 {
		n.earlier, n.kept, n.began = n.kept, map[Question]negative{}, now
	}
	return now
}
