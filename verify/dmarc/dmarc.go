// Package dmarc evaluates DMARC by RFC 9989: the tree walk, the policy that applies, alignment. It
// takes identifiers and their results; it verifies no signature itself.
package dmarc

import (
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// Query is what the other checks found.
type Query struct {
	From mail.From // of the message
	// SPF of MAIL FROM alone: the result of a separate HELO check never counts. With the null
	// reverse-path the domain is that of HELO (RFC 7208, 2.4).
	SPF  Identifier
	DKIM []Identifier // a signature each, from the top
}

// Identifier is a domain with what its check concluded.
type Identifier struct {
	Domain   string      `json:"domain"`
	Selector string      `json:"selector,omitempty"` // DKIM only
	Word     result.Word `json:"result"`
}

// Evaluator has no state: one serves any number of goroutines.
type Evaluator struct {
	DNS dns.Resolver
	// Diagnose is asked why there is no record and whether reports can arrive, once the result is fixed;
	// it changes nothing else. nil is DNS.
	Diagnose dns.Resolver
	// Expect is told what Diagnose will be asked, so that it can be asked ahead. It may be nil.
	Expect func(dns.Question)
}

// Questions are enough for DNS in all mail but what was made to ask more: a walk of the longest author
// domain, whether it exists, and as many names of other identifiers again. Beyond them an identifier is
// not told, never a pass lost: those that pass are asked about first. Diagnosis is what Diagnose is asked
// at most.
const (
	Questions = 26
	Diagnosis = 8
)

// Result is what DMARC says of the message.
type Result struct {
	Word     result.Word      `json:"-"` // none, pass, fail, temperror, permerror
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"`

	Author     string      `json:"author"`            // author domain, A-labels, lower case; "" where there is not exactly one
	Org        string      `json:"org"`               // organisational domain of the author domain
	PolicyName string      `json:"policy_name"`       // domain whose record applies; "" where none does
	Record     string      `json:"record"`            // that record's text
	Policy     Policy      `json:"policy"`            // none, quarantine, reject: what is asked for of this message, after sp, np and t
	Tag        string      `json:"tag"`               // p, sp or np: which tag gave it
	Testing    bool        `json:"testing,omitempty"` // t=y
	SPFMode    string      `json:"aspf"`              // r or s
	DKIMMode   string      `json:"adkim"`             // r or s
	SPF        Alignment   `json:"spf"`
	DKIM       []Alignment `json:"dkim,omitempty"`

	UnderReject UnderReject `json:"under_reject,omitempty"` // what p=reject would do to this message; "" without an author
	Walks       []Walk      `json:"walks,omitempty"`        // that led to the organisational domains, the author's first
	Reports     []Report    `json:"reports,omitempty"`      // where the record wants reports to go
	Old         *View       `json:"rfc7489,omitempty"`      // by the rules before RFC 9989, where word or policy differ
}

// Alignment is one row of the table.
type Alignment struct {
	Identifier
	Org     string        `json:"org"`     // organisational domain, "" where it was not needed
	Aligned bool          `json:"aligned"` // whatever the identifier's result is
	Why     result.Reason `json:"why"`
}
