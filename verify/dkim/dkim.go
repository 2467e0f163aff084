// Package dkim verifies the DKIM signatures of a message (RFC 6376, RFC 8301, RFC 8463) and searches for the
// cause where one does not verify (why*.go). The search begins when the verdicts stand and changes none.
//
// Who decides on a signature, in this order:
//
//  1. Our own rules on the field and its key (requirements.go): the first that objects decides.
//  2. Our own hashes and signature check, with no question to go-msgauth, where go-msgauth cannot answer as
//     RFC 6376 asks (answerable in library.go): l= is there; "b=" stands in another tag; a bare CR under
//     relaxed; h= names DKIM-Signature more often than there are others below; more than 16384 empty lines in a row
//     under a simple body; and a body of more than 1 MiB whose hash is wrong already.
//  3. Else go-msgauth: its pass is a pass. Where it objects and our own check passes, its objection counts,
//     but for five that RFC 6376 does not share (overruled in library.go). Where both object, ours gives the reason.
//
// Where we differ: RFC 6376, 3.5 lets l= pass over a part of the body too, we call that policy (8.2); 6.1.1 lets a verifier ignore
// x=, we do not; RSA keys of over 8192 bits and h= of over 200 names are policy too, as bounds of ours.
package dkim

import (
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/panics"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

// Verifier checks signatures. It has no state: one serves any number of goroutines.
type Verifier struct {
	DNS dns.Resolver
	// Diagnose is asked why a signature does not verify, once that is fixed; it changes no verdict. nil:
	// nobody is asked.
	Diagnose dns.Resolver
	// Expect is told of questions that Diagnose is about to be asked one after the other, so that they can
	// go out side by side; nil: they do not.
	Expect     func(dns.Question)
	Now        func() time.Time // nil is time.Now
	Signatures int              // at most so many are verified; 0 is 10
	// Turns are for hashing and verifying, which take milliseconds; Searches for looking for causes, which hashes a body again
	// and again: a message that only needs its verdict must not wait for them. No turn is held while the DNS is asked.
	Turns, Searches share.Turns
}

// Result is what was found, a signature each, from the top of the message.
type Result struct {
	Signatures []Signature
	Findings   []result.Finding // of the message as a whole; those of one signature are there
	// Fault is a panic in the search for causes, which changes no verdict: a mistake of ours, to be logged; nil mostly.
	Fault *panics.Recovered
}

// Signature is one DKIM-Signature field.
type Signature struct {
	Word     result.Word      `json:"-"` // none, pass, fail, policy, neutral, temperror, permerror (RFC 8601, 2.7.1)
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"` // set with temperror and permerror
	// Counts says what the signature counts for, where DMARC was evaluated; whoever did that sets it.
	Counts result.Reason `json:"-"`

	Index     int      `json:"index"` // from 0, from the top of the message, among the DKIM-Signature fields
	Domain    string   `json:"d"`     // d=, as written
	Selector  string   `json:"s"`
	Algorithm string   `json:"a"`
	Header    string   `json:"header_canon"` // c=, before the slash: simple or relaxed
	Body      string   `json:"body_canon"`
	Identity  string   `json:"i,omitempty"`
	Signed    []string `json:"h"` // names in h=, in order, as written
	// OverSigned: those of them for which the message has no field left (RFC 6376, 5.4.2), in order.
	OverSigned []string  `json:"oversigned,omitempty"`
	Length     *int64    `json:"l,omitempty"`
	Time       time.Time `json:"t,omitzero"`
	Expires    time.Time `json:"x,omitzero"`

	HashClaimed  string `json:"bh"`            // base64, white space removed
	HashComputed string `json:"bh_computed"`   // base64; empty where it could not be computed
	BodyVerifies bool   `json:"body_verifies"` // the two are equal
	// HeaderVerifies: the header is as it was signed, whatever became of the body; nil without a usable key.
	HeaderVerifies *bool  `json:"header_verifies,omitempty"`
	KeyName        string `json:"key_name"`            // selector._domainkey.domain
	Key            *Key   `json:"key,omitempty"`       // nil where there is no record that could be read
	KeyRecord      string `json:"key_record"`          // joined text as published; a stranger's text
	KeyTTL         uint32 `json:"key_ttl"`             // seconds
	Strong         bool   `json:"oversigned_from"`     // From stands in h= more often than in the message
	CanonHeader    []byte `json:"canon_header"`        // the canonical header as signed, at most 16 KiB
	CanonBody      []byte `json:"canon_body"`          // the canonical body's first 2 KiB
	CanonLength    int64  `json:"canon_body_length"`   // octets of the whole canonical body
	Evaluated      bool   `json:"evaluated,omitempty"` // false beyond the bound of signatures
}

// Key is what a key record says: RFC 6376, 3.6.1.
type Key struct {
	Type       string   `json:"type"` // rsa, ed25519, or what k= says
	Bits       int      `json:"bits"` // 0 where the key is revoked or cannot be read
	Hashes     []string `json:"hashes,omitempty"`
	Services   []string `json:"services,omitempty"`
	Flags      []string `json:"flags,omitempty"`
	Notes      string   `json:"notes,omitempty"`
	Revoked    bool     `json:"revoked,omitempty"`
	TestMode   bool     `json:"test_mode,omitempty"`   // t=y
	StrictAUID bool     `json:"strict_auid,omitempty"` // t=s
}
