package respond

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"checkauth/reply"
	"checkauth/reply/deliver"
	"checkauth/reply/policy"
	"checkauth/reply/store"
	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// errTwice: the same message comes over two connections at once. Whether it is answered is not known yet,
// so the second one is put off; its next try hears that it was answered.
var errTwice = errors.New("the same message is being answered on another connection")

// troubles are the errors that a message is put off for, and how loudly the operator is told.
var troubles = []struct {
	kind  error
	is    policy.Trouble
	level slog.Level
}{
	// Health tells the operator, once; a line for each message would say nothing more.
	{dns.ErrDown, policy.ResolverDown, slog.LevelInfo},
	{deliver.ErrBehind, policy.Behind, slog.LevelWarn},
	{store.ErrFull, policy.NoRoom, slog.LevelError},
	{errTwice, policy.AtOnce, slog.LevelInfo},
}

// putOff is the answer to a trouble of ours that passes; any other error stays one.
func (t *Transaction) putOff(ctx context.Context, err error) (reply.Answer, error) {
	if spent, ok := errors.AsType[*dns.QuotaError](err); ok {
		t.warn(ctx, err, "messages are put off")
		why := result.Because(result.Code("answer-quota-"+string(spent.Bound)), "seconds", seconds(spent.Until.Sub(t.r.Config.Now())))
		return t.r.Compose.Answer(policy.PutOff(policy.DNSQuota, why)), nil
	}
	for _, k := range troubles {
		if errors.Is(err, k.kind) {
			d := policy.PutOff(k.is, result.Because(result.Code("answer-"+string(k.is))))
			t.r.Config.Log.Log(ctx, k.level, "message put off", "report", t.env.ID, "code", d.Code, "reason", err)
			return t.r.Compose.Answer(d), nil
		}
	}
	return reply.Answer{}, err
}

// seconds until then, rounded up, so that a client that waits so long finds room.
func seconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

// lastWarning bounds how often the operator hears of a full quota.
type lastWarning struct {
	mu sync.Mutex
	at time.Time
}

// due is true once a minute.
func (w *lastWarning) due(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.at.IsZero() && now.Sub(w.at) < time.Minute && !now.Before(w.at) {
		return false
	}
	w.at = now
	return true
}

// warn tells the operator that a quota of DNS questions is full, and what comes of it; nil is none.
func (t *Transaction) warn(ctx context.Context, err error, what string) {
	spent, ok := errors.AsType[*dns.QuotaError](err)
	if !ok || !t.r.warned.due(t.r.Config.Now()) {
		return
	}
	t.r.Config.Log.WarnContext(ctx, "DNS quota is full", "effect", what, "report", t.env.ID, "network", spent.Network,
		"bound", spent.Bound.Key(), "limit", spent.Limit, "until", spent.Until)
}
