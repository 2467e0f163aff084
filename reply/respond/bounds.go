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
	"checkauth/verify/panics"
)

// keyring has the keys of tokens as of one period; the store has them for all nodes.
type keyring struct {
	mu      sync.Mutex // never held while the store is asked
	period  int64
	keys    policy.Keys
	loading *keyLoad // nil: nobody asks the store
}

// keyLoad is one question to the store, which all wait for that need its answer.
type keyLoad struct {
	period int64
	done   chan struct{} // closed when keys and err are there
	keys   policy.Keys
	err    error
}

// tokenKeys are what the names of tokens' keys begin with in the store.
const tokenKeys = "token/"

func keyName(period int64) string { return fmt.Sprintf(tokenKeys+"%08d", period) }

// keys gives the keys of tokens, the newest first. Each period has a key of its own, made by whoever needs it
// first. Whoever waits for the store does so until his own context ends.
func (r *Responder) keys(ctx context.Context, now time.Time) (policy.Keys, error) {
	period := now.Unix() / keyPeriod
	k := &r.tokens
	k.mu.Lock()
	if k.keys != nil && k.period == period {
		defer k.mu.Unlock()
		return k.keys, nil
	}
	load := k.loading
	if load == nil || load.period != period {
		load = &keyLoad{period: period, done: make(chan struct{})}
		k.loading = load
		// Not the first one's context: others wait for the answer too. The store bounds its own time.
		go r.loadKeys(context.WithoutCancel(ctx), load, now)
	}
	k.mu.Unlock()
	select {
	case <-load.done:
		return load.keys, load.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// loadKeys asks the store, and keeps what it says.
func (r *Responder) loadKeys(ctx context.Context, load *keyLoad, now time.Time) {
	defer func() {
		k := &r.tokens
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.loading == load {
			k.loading = nil
			if load.err == nil {
				k.keys, k.period = load.keys, load.period
			}
		}
		close(load.done)
	}()
	defer panics.Recover(func(p *panics.Recovered) { load.err = fmt.Errorf("the keys of tokens were not read: %w", p) })
	load.keys, load.err = r.storedKeys(ctx, load.period, now)
}

// keyPeriod is how long a key makes tokens, in seconds.
const keyPeriod = int64(policy.KeyLife * 24 * 3600)

func (r *Responder) storedKeys(ctx context.Context, period int64, now time.Time) (keys policy.Keys, err error) {
	const day = 24 * time.Hour
	offer := make([]byte, 32)
	if _, err := rand.Read(offer); err != nil {
		return nil, fmt.Errorf("making a key for tokens: %w", err)
	}
	expires := time.Unix((period+1)*keyPeriod, 0).Add(policy.TokenLife*day + day)
	all, err := r.Store.Secrets(ctx, keyName(period), offer, expires, now)
	if err != nil {
		return nil, err
	}
	// Another node's clock may be a little ahead; a key of a later time was made while one was far ahead.
	newest := keyName(period + 1)
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(all))) {
		if strings.HasPrefix(n, tokenKeys) && n <= newest {
			keys = append(keys, all[n])
		}
	}
	return keys, nil
}
