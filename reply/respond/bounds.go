package respond

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"checkauth/reply/policy"
)

// keyring has the keys of tokens as of one period; the store has them for all nodes.
type keyring struct {
	mu     sync.Mutex
	period int64
	keys   policy.Keys
}

// tokenKeys are what the names of tokens' keys begin with in the store.
const tokenKeys = "token/"

func keyName(period int64) string { return fmt.Sprintf(tokenKeys+"%08d", period) }

// keys gives the keys of tokens, the newest first. Each period has a key of its own, made by whoever needs it
// first.
func (r *Responder) keys(ctx context.Context, now time.Time) (policy.Keys, error) {
	k := &r.tokens
	k.mu.Lock()
	defer k.mu.Unlock()
	const day, length = 24 * time.Hour, int64(policy.KeyLife * 24 * time.Hour / time.Second)
	period := now.Unix() / length
	if k.keys != nil && k.period == period {
		return k.keys, nil
	}
	offer := make([]byte, 32)
	if _, err := rand.Read(offer); err != nil {
		return nil, fmt.Errorf("making a key for tokens: %w", err)
	}
	name := keyName(period)
	expires := time.Unix((period+1)*length, 0).Add(policy.TokenLife*day + day)
	all, err := r.Store.Secrets(ctx, name, offer, expires, now)
	if err != nil {
		return nil, err
	}
	k.keys, k.period = nil, period
	// Another node's clock may be a little ahead; a key of a later time was made while one was far ahead.
	newest := keyName(period + 1)
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(all))) {
		if strings.HasPrefix(n, tokenKeys) && n <= newest {
			k.keys = append(k.keys, all[n])
		}
	}
	return k.keys, nil
}

// hourly counts this node's replies: whatever else fails, there are no more than these.
type hourly struct {
	mu    sync.Mutex
	until time.Time
	n     int64
}

// take counts one; where there are enough it tells until when.
func (h *hourly) take(limit int64, now time.Time) (until time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// One that ends later than in an hour was begun by a clock that has been set back since.
	if !now.Before(h.until) || h.until.Sub(now) > time.Hour {
		h.until, h.n = now.Add(time.Hour), 0
	}
	if h.n >= limit {
		return h.until, false
	}
	h.n++
	return h.until, true
}

// giveBack takes back what did not become a reply.
func (h *hourly) giveBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n = max(h.n-1, 0)
}
