// Package iprev checks that the client's address has a name that resolves back to it: RFC 8601, 3 and
// 2.7.3. It does not judge the name; package helo compares it with what the client said.
package iprev

import (
	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// Evaluator has no state: one serves any number of goroutines.
type Evaluator struct {
	DNS dns.Resolver
}

// Result is what was found of the address.
type Result struct {
	Word     result.Word      `json:"-"` // pass, fail, temperror, permerror (RFC 8601, 2.7.3)
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"`

	Names     []string `json:"names"`     // of the PTR records, at most 10, in the server's order
	Confirmed []string `json:"confirmed"` // those of them that resolve to the address
}
