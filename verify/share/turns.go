package share

import "context"

// Turns bounds how many compute at once. Who waits for the DNS, a client or a store has none meanwhile: hundreds may
// wait, and as many as there are processors compute. The zero value bounds nothing.
type Turns struct{ room chan struct{} }

// NewTurns has n.
func NewTurns(n int) Turns { return Turns{make(chan struct{}, n)} }

// Take waits for a turn; false where ctx ends before there is one. Give follows a true.
func (t Turns) Take(ctx context.Context) bool {
	if t.room == nil {
		return true
	}
	select {
	case t.room <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// Give returns a turn.
func (t Turns) Give() {
	if t.room != nil {
		<-t.room
	}
}

// Do runs f with a turn. Where ctx ends before there is one, f runs all the same: it looks at ctx, and ends soon. f must
// take no turn of t itself.
func (t Turns) Do(ctx context.Context, f func()) {
	if t.Take(ctx) {
		defer t.Give()
	}
	f()
}
