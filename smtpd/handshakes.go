package smtpd

import (
	"net/netip"
	"sync"
	"time"

	"checkauth/verify"
	"checkauth/verify/naming"
)

// handshakes remembers which clients tried TLS and gave up: many come back in clear text, and want to know why. An
// IPv6 client is its /64, for it may come back by another address.
type handshakes struct {
	mu sync.Mutex
	by map[netip.Prefix]verify.TLSFailure
}

const (
	brokenFor  = 10 * time.Minute
	brokenMost = 4096 // clients
)

func (h *handshakes) add(client netip.Addr, f verify.TLSFailure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by == nil {
		h.by = map[netip.Prefix]verify.TLSFailure{}
	}
	key := neighbours(client)
	if _, there := h.by[key]; !there && len(h.by) >= brokenMost {
		h.makeRoom(f.Time)
	}
	h.by[key] = f
}

// makeRoom forgets what is over, and somebody where nothing is: it is only a hint in a report.
func (h *handshakes) makeRoom(now time.Time) {
	for key, f := range h.by {
		if !lately(f, now) {
			delete(h.by, key)
		}
	}
	for key := range h.by {
		if len(h.by) < brokenMost {
			return
		}
		delete(h.by, key)
	}
}

// of gives the client's last one, nil where there was none lately.
func (h *handshakes) of(client netip.Addr, now time.Time) *verify.TLSFailure {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.by[neighbours(client)]
	if !ok || !lately(f, now) {
		return nil
	}
	return &f
}

func lately(f verify.TLSFailure, now time.Time) bool {
	age := now.Sub(f.Time)
	return age >= 0 && age < brokenFor
}

// neighbours are the addresses of one client.
func neighbours(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.PrefixFrom(a, 32)
	}
	return naming.Networks(a)[0]
}
