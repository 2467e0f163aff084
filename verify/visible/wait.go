package visible

import (
	"context"
	"time"

	"checkauth/verify/result"
)

// Bounds of the pause between two rounds.
const (
	minPause    = 5 * time.Second
	maxPause    = time.Minute
	serverPause = 30 * time.Second // a zone comes to its servers without a TTL
)

// Wait asks until all is visible everywhere, pause gives an error or the context ends. Between two rounds it calls
// pause with the last one and with how long to wait. What it returns is the last whole round.
func (r *Rounds) Wait(ctx context.Context, pause func(context.Context, Round, time.Duration) error) Round {
	last := r.Ask(ctx, true)
	for last.Word != result.Pass && ctx.Err() == nil {
		if pause(ctx, last, last.pause()) != nil {
			break
		}
		if next := r.Ask(ctx, true); ctx.Err() == nil || next.Word == result.Pass {
			last = next
		}
	}
	return last
}

// Sleep waits, and gives the context's cause where that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pause follows the resolver that forgets first.
func (v *Round) pause() time.Duration {
	d := maxPause
	if v.Held {
		d = serverPause
	}
	for _, h := range v.Resolvers {
		if h.State == NotYet {
			d = min(d, time.Duration(h.TTL+1)*time.Second)
		}
	}
	return max(d, minPause)
}
