package main

import (
	"fmt"
	"strings"

	"checkauth/reply/compose"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// dkimShow prints the signatures of a message.
type dkimShow struct {
	terminal
	fields mail.Fields
	res    dkim.Result
	dmarc  dmarc.Result // its rows are those of the signatures
	canon  bool
}

// text is each signature with what was found of it, then what was found of all.
func (s *dkimShow) text() string {
	var b strings.Builder
	line := func(l string) { b.WriteString(l + "\n") }
	line(compose.Field("From:", result.Clean(result.Cut(mail.ParseFrom(s.fields).Raw, maxShown))))
	if len(s.res.Signatures) == 0 {
		s.result(line, result.None, result.Because("dkim-message-not-signed"))
	}
	for i := range s.res.Signatures {
		line(fmt.Sprintf("\nSignature %d of %d", i+1, len(s.res.Signatures)))
		s.signature(line, &s.res.Signatures[i])
		line("")
		if len(s.res.Signatures[i].Findings) == 0 {
			line(nothingFound)
		}
		s.findings(line, s.res.Signatures[i].Findings)
	}
	if len(s.res.Findings) > 0 {
		line("\nThe message")
		s.findings(line, s.res.Findings)
	}
	return b.String()
}

// signature are the facts of one.
func (s *dkimShow) signature(line func(string), x *dkim.Signature) {
	s.result(line, x.Word, x.Reason)
	var o result.Outcome
	x.Describe(&o)
	for _, l := range s.Facts(o.Facts, func(f result.Fact) bool { return f.Only != result.OnPage && !f.Last && (s.canon || !f.Pre) }) {
		line(l)
	}
}

// wholeLine is a record on one line, to be copied.
func wholeLine(label, text string) string { return fmt.Sprintf("%-16s%s", label, result.Clean(text)) }

// dkimJSON is a message for programs.
type dkimJSON struct {
	Signatures []signatureJSON  `json:"signatures"`
	Findings   []result.Finding `json:"findings"` // of the message as a whole
}

type signatureJSON struct {
	Word     result.Word      `json:"result"`
	Reason   result.Reason    `json:"reason,omitzero"`
	Cause    string           `json:"cause,omitempty"` // of temperror and permerror: the error, in English
	Findings []result.Finding `json:"findings"`
	dkim.Signature
	OverSigned []string        `json:"oversigned"` // a list where it has none as well
	Broken     result.Reason   `json:"broken,omitzero"`
	Readers    result.Reason   `json:"verified_by"`
	ForDMARC   result.Reason   `json:"for_dmarc"`
	Alignment  dmarc.Alignment `json:"alignment"`
}

func (s *dkimShow) forJSON() any {
	out := dkimJSON{Signatures: []signatureJSON{}, Findings: s.sentences(s.res.Findings)}
	for i := range s.res.Signatures {
		x := &s.res.Signatures[i]
		j := signatureJSON{Word: x.Word, Reason: x.Reason, Cause: causeText(x.Cause), Findings: s.sentences(x.Findings), Signature: *x,
			OverSigned: append([]string{}, x.OverSigned...), Broken: x.Broken(), Readers: x.Readers(), ForDMARC: x.Counts}
		j.Alignment, _ = s.dmarc.Row(x.Index)
		for _, r := range []*result.Reason{&j.Reason, &j.Broken, &j.Readers, &j.ForDMARC, &j.Alignment.Why} {
			s.say(r)
		}
		out.Signatures = append(out.Signatures, j)
	}
	return out
}

// keyShow prints one key.
type keyShow struct {
	terminal
	key dkim.KeyReport
}

func (s *keyShow) text() string {
	var b strings.Builder
	line := func(l string) { b.WriteString(l + "\n") }
	s.result(line, s.key.Word, s.key.Reason)
	facts := dkim.KeyFacts("", s.key.Name, s.key.TTL, s.key.Key)
	if k := s.key.Key; k != nil && k.Bits > 0 {
		facts = append(facts, dkim.VerifiedBy(dkim.Readers(k.Type+"-sha256", k)))
	}
	for _, l := range s.Facts(facts, func(f result.Fact) bool { return f.Only != result.OnPage }) {
		line(l)
	}
	if n := len(s.key.Strings); n > 0 {
		line(wholeLine("Record:", s.key.Record))
		line(compose.Field("", fmt.Sprintf("%d octets, strings: %d", len(s.key.Record), n)))
	}
	for _, l := range compose.Records(s.key.Evidence) {
		line(l)
	}
	line("")
	if len(s.key.Findings) == 0 {
		line(nothingFound)
	}
	s.findings(line, s.key.Findings)
	return b.String()
}

// keyJSON is a key for programs.
type keyJSON struct {
	Word     result.Word      `json:"result"`
	Reason   result.Reason    `json:"reason,omitzero"`
	Cause    string           `json:"cause,omitempty"`
	Findings []result.Finding `json:"findings"`
	dkim.KeyReport
}

func (s *keyShow) forJSON() any {
	out := keyJSON{Word: s.key.Word, Reason: s.key.Reason, Cause: causeText(s.key.Cause), Findings: s.sentences(s.key.Findings), KeyReport: s.key}
	s.say(&out.Reason)
	return out
}
