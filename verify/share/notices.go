package share

import (
	"sync"
	"time"
)

// Notices allows one notice a minute about each thing, so that a log names who has used up a share, and is not filled. The
// zero value is ready.
type Notices struct {
	mu     sync.Mutex
	began  time.Time
	said   map[string]bool
	others int
}

const (
	noticeEvery = time.Minute
	// mostNotices bounds what is told in that time, for strangers choose the networks; of the others there is a number.
	mostNotices = 20
)

// Due is true where this is to be told now. others is how many times one was not told of in the minute before, because
// there were too many different ones.
func (n *Notices) Due(what string, now time.Time) (due bool, others int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if since := now.Sub(n.began); n.said == nil || since >= noticeEvery || since < 0 {
		others, n.others = n.others, 0
		n.began, n.said = now, map[string]bool{}
	}
	switch {
	case n.said[what]:
		return false, others
	case len(n.said) >= mostNotices:
		n.others++
		return false, others
	}
	n.said[what] = true
	return true, others
}
