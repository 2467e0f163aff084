// Package helo looks at the name that the client gave in HELO or EHLO: RFC 5321, 4.1.1.1, 4.1.4 and
// 2.3.5. A wrong name is no failure of authentication; receivers mind it all the same.
package helo

import (
	"net/netip"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// Query is what the session said.
type Query struct {
	Helo string // any bytes
	IP   netip.Addr
	// Unseen: why IP is not how the Internet sees the client, so that nothing can be compared with it; zero: it is.
	Unseen result.Reason
}

// Evaluator has no state: one serves any number of goroutines.
type Evaluator struct {
	DNS dns.Resolver
}

// Result is what was found of the name.
type Result struct {
	Word     result.Word      `json:"-"` // pass, fail, temperror, not run; RFC 8601 has no such method
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"`

	Kind      string   `json:"kind"`      // name, literal, invalid
	Addresses []string `json:"addresses"` // that the name resolves to, of the client's family and, where there are none, of the other
	Matches   bool     `json:"matches"`   // one of them is the client's address
}

// Named tells whether the client gave a name, not an address.
func (r *Result) Named() bool { return r.Kind == kindName }
