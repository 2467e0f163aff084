package receivers

import (
	"maps"
	"slices"

	"checkauth/verify/dmarc"
	"checkauth/verify/result"
)

// predicate asks one thing of a message on behalf of a receiver.
type predicate func(Facts, *receiver) State

// predicates are all that a rule may need. There is no language of expressions: what a rule asks for
// beyond these becomes a function here.
var predicates = map[string]predicate{
	"spf-pass":                spfPass,
	"spf-not-fail":            spfNotFail,
	"spf-not-hard-fail-alone": spfNotHardFailAlone,
	"spf-not-plus-all":        spfNotPlusAll,
	"spf-not-never":           spfNotNever,
	"dkim-pass":               dkimPass,
	"dkim-key-1024":           dkimKey1024,
	"spf-or-dkim":             spfOrDKIM,
	"spf-and-dkim":            spfAndDKIM,
	"aligned-dkim":            alignedDKIM,
	"aligned-spf-or-dkim":     alignedSPFOrDKIM,

	"dmarc-pass":                  dmarcPass,
	"dmarc-pass-or-no-policy":     dmarcUnlessAsked(dmarc.PolicyQuarantine, dmarc.PolicyReject),
	"dmarc-pass-or-no-quarantine": dmarcUnlessAsked(dmarc.PolicyQuarantine),
	"dmarc-pass-or-no-reject":     dmarcUnlessAsked(dmarc.PolicyReject),
	"dmarc-record":                dmarcRecord,
	"dmarc-policy-published":      dmarcPolicyPublished,

	"ptr":              ptr,
	"fcrdns":           fcrdns,
	"ptr-not-generic":  func(f Facts, _ *receiver) State { return f.Generic.test(isFalse) },
	"ptr-not-dynamic":  func(f Facts, _ *receiver) State { return f.Dynamic.test(isFalse) },
	"ipv6-ok":          overIPv6(fcrdns, spfOrDKIM),
	"ipv6-ptr":         overIPv6(ptr),
	"ipv6-spf-or-dkim": overIPv6(spfOrDKIM),

	"tls":           func(f Facts, _ *receiver) State { return f.TLS.test(isTrue) },
	"helo-valid":    func(f Facts, _ *receiver) State { return f.HeloGood.test(isTrue) },
	"helo-fqdn":     func(f Facts, _ *receiver) State { return f.HeloFull.test(isTrue) },
	"helo-own-name": func(f Facts, _ *receiver) State { return f.HeloOwn.test(isTrue) },

	"one-from":                 oneFrom,
	"not-from-receiver-domain": notFromReceiverDomain,
	"no-duplicate-fields":      noDuplicateFields,
	"header-sound":             func(f Facts, _ *receiver) State { return f.HeaderUnsound.test(isFalse) },
	"header-well-formed":       func(f Facts, _ *receiver) State { return f.HeaderMalformed.test(isFalse) },
	"message-id":               func(f Facts, _ *receiver) State { return f.HasMessageID.test(isTrue) },
	"date-in-range":            func(f Facts, _ *receiver) State { return f.DateOK.test(isTrue) },

	"envelope-resolvable": func(f Facts, _ *receiver) State { return f.EnvelopeResolvable.test(isTrue) },
	"from-resolvable":     func(f Facts, _ *receiver) State { return f.FromResolvable.test(isTrue) },
	"from-takes-mail":     func(f Facts, _ *receiver) State { return f.FromTakesMail.test(isTrue) },

	"arc-or-not-forwarded": arcOrNotForwarded,
	"unsubscribe":          func(f Facts, _ *receiver) State { return f.Unsubscribe.test(isTrue) },
	"one-click":            func(f Facts, _ *receiver) State { return f.OneClick.test(isTrue) },
	"unsubscribe-signed":   func(f Facts, _ *receiver) State { return f.UnsubscribeSigned.test(isTrue) },
}

// Predicates lists the names that a rule may need.
func Predicates() []string { return slices.Sorted(maps.Keys(predicates)) }

// word gives the state of a rule about the result of a check.
func word(w result.Word, met func(result.Word) bool) State {
	switch {
	case undecided(w):
		return Undecided
	case met(w):
		return Met
	}
	return NotMet
}

func passes(w result.Word) bool { return w == result.Pass }

func spfPass(f Facts, _ *receiver) State { return word(f.SPF, passes) }

func spfNotFail(f Facts, _ *receiver) State {
	return word(f.SPF, func(w result.Word) bool { return w != result.Fail })
}

// spfNotHardFailAlone: a fail that the domain asked to be refused, with no signature beside it.
func spfNotHardFailAlone(f Facts, rc *receiver) State {
	return either(spfNotFail(f, rc), dkimPass(f, rc))
}

// spfNotPlusAll: a record by which everybody may send says nothing.
func spfNotPlusAll(f Facts, _ *receiver) State {
	return f.SPFAll.test(func(w result.Word) bool { return w != result.Pass })
}

func spfNotNever(f Facts, _ *receiver) State { return f.SPFNever.test(isFalse) }

func dkimPass(f Facts, _ *receiver) State {
	return signed(f, func(Signature) bool { return true })
}

func alignedDKIM(f Facts, _ *receiver) State {
	return both(f.Author.test(func(string) bool { return true }), signed(f, func(s Signature) bool { return s.Aligned }))
}

// signed asks for a signature that passes; one that could not be checked might have.
func signed(f Facts, wanted func(Signature) bool) State {
	return then(f.DKIM.test(func([]Signature) bool { return true }), func() State {
		out := NotMet
		for _, s := range f.DKIM.Value {
			if wanted(s) {
				out = either(out, word(s.Word, passes))
			}
		}
		return out
	})
}

// then goes on only where the state is Met.
func then(s State, next func() State) State {
	if s != Met {
		return s
	}
	return next()
}

// dkimKey1024 minds short keys alone; that there is a signature is for other rules.
func dkimKey1024(f Facts, _ *receiver) State {
	return f.DKIM.test(func(all []Signature) bool {
		return !slices.ContainsFunc(all, func(s Signature) bool { return s.RSA && 0 < s.Bits && s.Bits < 1024 })
	})
}

func spfOrDKIM(f Facts, rc *receiver) State { return either(spfPass(f, rc), dkimPass(f, rc)) }

func spfAndDKIM(f Facts, rc *receiver) State { return both(spfPass(f, rc), dkimPass(f, rc)) }

// alignedSPFOrDKIM: alignment in relaxed mode, whether or not there is a DMARC record.
func alignedSPFOrDKIM(f Facts, rc *receiver) State {
	spf := spfPass(f, rc)
	if spf == Met && !aligned(f.SPFDomain, f.Author.Value) {
		spf = NotMet
	}
	return then(f.Author.test(func(string) bool { return true }), func() State { return either(spf, alignedDKIM(f, rc)) })
}

func dmarcPass(f Facts, _ *receiver) State { return word(f.DMARC, passes) }

// dmarcUnlessAsked minds a fail alone, and that only where the domain asks for one of the policies: where
// there is no record, or one that cannot be used, nothing was asked for.
func dmarcUnlessAsked(policies ...dmarc.Policy) predicate {
	return func(f Facts, _ *receiver) State {
		if f.DMARC == result.PermError && f.Author.Known && f.Author.Value == "" {
			return Undecided // From names no single domain, and no receiver says what it does then
		}
		return word(f.DMARC, func(w result.Word) bool {
			return w != result.Fail || !slices.Contains(policies, f.Policy)
		})
	}
}

func dmarcRecord(f Facts, _ *receiver) State {
	return f.Record.test(func(s string) bool { return s != "" })
}

func dmarcPolicyPublished(f Facts, _ *receiver) State { return f.Record.test(hasPolicy) }

// ptr: RFC 8601, 2.7.3: permerror is an address without a name.
func ptr(f Facts, _ *receiver) State {
	return word(f.IPRev, func(w result.Word) bool { return w != result.PermError })
}

func fcrdns(f Facts, _ *receiver) State { return word(f.IPRev, passes) }

// overIPv6 asks for all of these where the client came over IPv6.
func overIPv6(all ...predicate) predicate {
	return func(f Facts, rc *receiver) State {
		if !f.Client.IsValid() {
			return NotSeen
		}
		out := Met
		if !f.Client.Unmap().Is6() {
			return out
		}
		for _, p := range all {
			out = both(out, p(f, rc))
		}
		return out
	}
}

func oneFrom(f Facts, _ *receiver) State {
	one := func(n int) bool { return n == 1 }
	return both(both(f.FromCount.test(one), f.FromAuthors.test(one)), f.Author.test(func(s string) bool { return s != "" }))
}

// notFromReceiverDomain: mail from a receiver's own mailboxes comes from its own servers.
func notFromReceiverDomain(f Facts, rc *receiver) State {
	own := f.Author.test(func(s string) bool { return !slices.Contains(rc.Domains, s) })
	return either(own, dmarcPass(f, rc))
}

func noDuplicateFields(f Facts, _ *receiver) State {
	return f.HeaderDuplicates.test(func(names []string) bool { return len(names) == 0 })
}

func arcOrNotForwarded(f Facts, _ *receiver) State {
	return either(f.Forwarded.test(isFalse), f.ARC.test(isTrue))
}
