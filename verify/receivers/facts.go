package receivers

import (
	"net/netip"

	"checkauth/verify/dmarc"
	"checkauth/verify/result"
)

// Fact is one thing known of a message. The zero Fact is what nobody looked at.
type Fact[T any] struct {
	Value T
	Known bool
	// Failed: somebody looked and could not learn it.
	Failed bool
}

// Known is a fact.
func Known[T any](v T) Fact[T] { return Fact[T]{Value: v, Known: true} }

// Failed is a fact that could not be learnt.
func Failed[T any]() Fact[T] { return Fact[T]{Failed: true} }

// test gives the state of a rule about the fact.
func (f Fact[T]) test(met func(T) bool) State {
	switch {
	case f.Failed:
		return Undecided
	case !f.Known:
		return NotSeen
	case met(f.Value):
		return Met
	}
	return NotMet
}

func isTrue(b bool) bool  { return b }
func isFalse(b bool) bool { return !b }

// Facts is what the predicates read. FactsOf fills it from a report; whoever knows more may add it. A
// result that is temperror, not run or not there ("") could not be learnt.
type Facts struct {
	Client netip.Addr // invalid where not known

	SPF       result.Word       // of MAIL FROM, or of HELO with the null reverse-path
	SPFAll    Fact[result.Word] // what the record says of everybody else: pass for +all, fail for -all; "" without all
	SPFNever  Fact[bool]        // the record is -all and nothing else: the domain sends no mail
	DKIM      Fact[[]Signature] // from the top; empty where the message is not signed
	DMARC     result.Word       // by RFC 9989
	Policy    dmarc.Policy      // that DMARC asks for with this message: none, quarantine, reject; "" without one
	Record    Fact[string]      // the DMARC record that applies; "" where there is none
	Author    Fact[string]      // the one author domain, A-labels, lower case; "" where there is not exactly one
	SPFDomain string            // that SPF was checked for
	IPRev     result.Word
	Generic   Fact[bool] // the address has only names that were made of it or of its line
	Dynamic   Fact[bool] // the names are those of lines with changing addresses

	TLS      Fact[bool]
	HeloGood Fact[bool] // a name or an address literal by the grammar
	HeloFull Fact[bool] // a name that may stand in the public DNS, with a dot
	HeloOwn  Fact[bool] // not the name of the server or the domain that the mail goes to

	FromCount        Fact[int] // From fields
	FromAuthors      Fact[int] // addresses in them
	HeaderDuplicates Fact[[]string]
	HeaderMalformed  Fact[bool] // a line that is no field, or a field that is not as it must be
	HeaderUnsound    Fact[bool] // the same but for Date and Message-ID, of which HasMessageID and DateOK tell
	HasMessageID     Fact[bool] // one that is well-formed
	DateOK           Fact[bool] // a Date that can be read and is not far off

	EnvelopeResolvable Fact[bool] // the domain of MAIL FROM exists
	FromResolvable     Fact[bool] // the author domain exists
	FromTakesMail      Fact[bool] // the author domain has MX or address, and no null MX

	Forwarded Fact[bool] // the mail came through a forwarder or a mailing list
	ARC       Fact[bool] // it carries an ARC set

	Unsubscribe       Fact[bool] // List-Unsubscribe (RFC 2369)
	OneClick          Fact[bool] // with https and List-Unsubscribe-Post (RFC 8058)
	UnsubscribeSigned Fact[bool] // both fields are covered by a signature that passes
}

// Signature is one DKIM signature.
type Signature struct {
	Domain  string
	Word    result.Word
	RSA     bool
	Bits    int // of the key; 0 where not known
	Aligned bool
	Signed  []string // names in h=
}
