package respond

import (
	"context"

	"checkauth/reply"
	"checkauth/reply/policy"
	"checkauth/verify/naming"
)

// What all share and somebody has had his part of is the operator's to know: it may be an attack, or a trusted network
// that policy.unlimited is to name.

// short tells the operator of a pot that is empty, or of a network that has had its share.
func (t *Transaction) short(ctx context.Context, full reply.Full) {
	pot := policy.Pot(full.Key)
	if pot == "" {
		return // his own quota
	}
	network := naming.Network(t.env.Client.Addr()).String()
	due, others := t.r.shorts.Due(pot+" "+network, t.r.Config.Now())
	if others > 0 {
		t.r.Config.Log.WarnContext(ctx, "more networks had their share in the minute before", "refused", others)
	}
	if due {
		t.r.Config.Log.WarnContext(ctx, "a network had its share", "report", t.env.ID, "network", network, "counter", full.Key, "until", full.Until)
	}
}
