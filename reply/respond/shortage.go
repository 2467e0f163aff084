package respond

import (
	"context"
	"sync"
	"time"

	"checkauth/reply"
	"checkauth/reply/policy"
	"checkauth/verify/naming"
)

// What all share and somebody has had his part of is the operator's to know: it may be an attack, or a trusted network
// that policy.unlimited is to name.

const (
	// shortEvery is how often one network's shortage is told.
	shortEvery = time.Minute
	// mostShorts bounds how many networks are told of in that time; of the others there is a number.
	mostShorts = 20
)

// shortages are the networks that were told of in this minute.
type shortages struct {
	mu     sync.Mutex
	began  time.Time
	told   map[string]bool
	others int
}

// due is true where this network's shortage is to be told now. others is how many were not told of in the minute
// before.
func (s *shortages) due(what string, now time.Time) (due bool, others int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since := now.Sub(s.began); s.told == nil || since >= shortEvery || since < 0 {
		others, s.others = s.others, 0
		s.began, s.told = now, map[string]bool{}
	}
	switch {
	case s.told[what]:
		return false, others
	case len(s.told) >= mostShorts:
		s.others++
		return false, others
	}
	s.told[what] = true
	return true, others
}

// short tells the operator of a pot that is empty, or of a network that has had its share.
func (t *Transaction) short(ctx context.Context, full reply.Full) {
	pot := policy.Pot(full.Key)
	if pot == "" {
		return // his own quota
	}
	network := naming.Network(t.env.Client.Addr()).String()
	due, others := t.r.shorts.due(pot+" "+network, t.r.Config.Now())
	if others > 0 {
		t.r.Config.Log.WarnContext(ctx, "more networks had their share in the minute before", "refused", others)
	}
	if due {
		t.r.Config.Log.WarnContext(ctx, "a network had its share", "report", t.env.ID, "network", network, "counter", full.Key, "until", full.Until)
	}
}
