// Package arc validates the Authenticated Received Chain of a message (RFC 8617): which hosts sealed it,
// what each says that it saw, and behind which of them the mail was changed. It is information alone: no
// other check asks for it, and what the hosts say is a claim of theirs.
//
// It does not seal, and it does not judge whom to trust.
//
// Where we differ: RFC 8617, 5.2.1 makes every failure of the DNS a fail; what we could not learn is
// temperror here. 4.1.2 forbids fields of ARC and Authentication-Results in h=, and many sign them: of
// these ARC-Seal alone breaks the chain. Where l= leaves a part of the body unsigned the signature does
// not count, as in package dkim. Chains with more than 10 keys are beyond a bound of ours.
package arc

import (
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

// Evaluator has no state: one serves any number of goroutines.
type Evaluator struct {
	DNS   dns.Resolver
	Now   func() time.Time // nil is time.Now
	Turns share.Turns      // to hash the body
}

// Result is what became of the chain.
type Result struct {
	Word     result.Word      `json:"-"` // none, pass, fail; temperror
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"` // set with temperror

	Length int `json:"length"` // of the chain: the highest instance
	// OldestPass is that of RFC 8617, 5.2: the oldest instance from which on all signatures of the message
	// still verify, 0 where all of them do; nil where that was not found out.
	OldestPass *int       `json:"oldest_pass,omitempty"`
	Instances  []Instance `json:"instances"` // from the oldest, at most 50; empty where the header has more
}

// Instance is one ARC Set: what one host said and sealed. What it lacks is empty.
type Instance struct {
	Instance int             `json:"i"`
	CV       string          `json:"cv"` // what the seal says of the chain before it
	Seal     Signature       `json:"seal"`
	Message  Signature       `json:"message_signature"`
	Authserv string          `json:"authserv_id"` // who reports the results, by its own word; cleaned
	Results  string          `json:"results"`     // what it reports, a claim; cleaned, at most 1000 octets
	Problems []result.Reason `json:"problems,omitempty"`
}

// Signature is an ARC-Seal or an ARC-Message-Signature. Texts are a stranger's, as written.
type Signature struct {
	Domain    string `json:"d"`
	Selector  string `json:"s"`
	Algorithm string `json:"a"`
	KeyName   string `json:"key_name"`
	// Word: pass, fail, policy, temperror, permerror as of a DKIM signature; empty where it was not
	// verified. The newest message signature and all seals must pass.
	Word result.Word `json:"result,omitempty"`
}
