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

// trouble is one of ours that passes by itself: the message is put off, nothing is mailed and nobody's quota is spent.
type trouble struct {
	kind     error
	code     int
	enhanced [3]int
	says     result.Code
	level    slog.Level
}

// troubles are all that a message is put off for, the only answers with a 4 for which no policy asked. One place makes
// them, for the difference between "our trouble" and "your mail" is what the client goes by.
var troubles = []trouble{
	// Health tells the operator, once; a line for each message would say nothing more.
	{dns.ErrDown, 451, [3]int{4, 4, 3}, "answer-resolver-down", slog.LevelInfo},
	{deliver.ErrBehind, 451, [3]int{4, 3, 2}, "answer-behind", slog.LevelWarn},
	// RFC 5321, 4.2.3 and RFC 3463, 3.4: 452 and X.3.1 are what a full disk is called.
	{store.ErrFull, 452, [3]int{4, 3, 1}, "answer-no-room", slog.LevelError},
	{errTwice, 451, [3]int{4, 3, 0}, "answer-at-once", slog.LevelInfo},
}

// putOff is the answer to a trouble of ours that passes; any other error stays one.
func (t *Transaction) putOff(ctx context.Context, err error) (reply.Answer, error) {
	if spent, ok := errors.AsType[*dns.QuotaError](err); ok {
		t.warn(ctx, err, "messages are put off")
		return t.later(451, [3]int{4, 7, 1}, result.Because(result.Code("answer-quota-"+string(spent.Bound)),
			"seconds", seconds(spent.Until.Sub(t.r.Config.Now())))), nil
	}
	for _, k := range troubles {
		if errors.Is(err, k.kind) {
			t.r.Config.Log.Log(ctx, k.level, "message put off", "report", t.env.ID, "code", k.code, "reason", err)
			return t.later(k.code, k.enhanced, result.Because(k.says)), nil
		}
	}
	return reply.Answer{}, err
}

func (t *Transaction) later(code int, enhanced [3]int, why result.Reason) reply.Answer {
	return t.r.Compose.Answer(policy.Decision{Code: code, Enhanced: enhanced, Lines: []result.Reason{why}})
}

// seconds until then, rounded up: who comes so much later finds room.
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
