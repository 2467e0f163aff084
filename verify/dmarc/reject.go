package dmarc

import (
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// UnderReject is what would become of a message if its domain asked for p=reject, at a receiver that
// obeys.
type UnderReject string

// What p=reject can do to a message.
const (
	WouldAccept  UnderReject = "accept"
	WouldReject  UnderReject = "reject"
	WouldUnknown UnderReject = "unknown"
)

// lintUnderReject says what a stricter policy would do, where the domain does not have it yet.
func (s *state) lintUnderReject() {
	s.res.UnderReject = s.underReject()
	if s.policyErr != nil || s.res.Policy == PolicyReject {
		return
	}
	switch s.res.UnderReject {
	case WouldAccept:
		s.found(result.Found(result.Info, "dmarc-under-reject-passes", "domain", result.Domain(s.res.Author)))
		s.nextStep()
	case WouldReject:
		s.found(result.Found(result.Info, "dmarc-under-reject-fails", "domain", result.Domain(s.res.Author)))
	}
}

// nextStep gives the record with the next stricter policy, where the record has this one for all mail.
func (s *state) nextStep() {
	next := map[Policy]Policy{PolicyNone: PolicyQuarantine, PolicyQuarantine: PolicyReject}[s.res.Policy]
	r, _ := Parse(s.res.Record)
	if next == "" || s.res.Tag != "p" || r.P != s.res.Policy || s.res.Word != result.Pass {
		return
	}
	s.found(result.Found(result.Info, "dmarc-next-step", "domain", result.Domain(s.res.Author), "name", result.Domain("_dmarc."+s.res.PolicyName),
		"record", result.Said(s.res.Author, With(s.res.Record, "p", string(next)))))
}

func (s *state) underReject() UnderReject {
	word := s.res.Word
	if word == result.None || word == result.PermError {
		// There is no record that can be used, so one is assumed at the registered domain, where it
		// belongs: then that is the organisational domain.
		word = s.judgeOld(Record{ADKIM: Relaxed, ASPF: Relaxed}, naming.Registered(s.res.Author))
	}
	switch word {
	case result.Pass:
		return WouldAccept
	case result.Fail:
		return WouldReject
	}
	return WouldUnknown
}
