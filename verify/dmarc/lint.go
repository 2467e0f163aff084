package dmarc

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

func (s *state) found(f result.Finding) { s.res.Findings = append(s.res.Findings, f) }

// noRecord: nothing applies to the message, so it asks for nothing: RFC 9989, 4.10.1. Why there is
// nothing is worth a few questions more.
func (s *state) noRecord(ctx context.Context) {
	why := result.Because("dmarc-no-record", "domain", result.Domain(s.res.Author))
	several := false
	for _, n := range s.author.empty {
		if n.dropped > 0 {
			why, several = result.Because("dmarc-records-dropped", "name", result.Domain("_dmarc."+n.name)), true
			break
		}
	}
	s.lintNodes()
	unreadable := s.has("dmarc-syntax")
	if unreadable && !several {
		why = result.Because("dmarc-record-unreadable", "domain", result.Domain(s.res.Author))
	}
	s.conclude(result.None, why, nil)
	misplaced := !several && s.lintMisplaced(ctx)
	if !several && !misplaced && !unreadable {
		s.found(result.Found(result.Warning, "dmarc-none", "domain", result.Domain(s.res.Author)))
	}
	s.lintSPF(ctx)
	s.lintOld(ctx)
}

// lintSPF tells of an SPF record where a DMARC record is looked for. A wildcard puts one there too, which
// is nobody's mistake; what it gives every name below the domain has as well.
func (s *state) lintSPF(ctx context.Context) {
	for _, n := range s.author.empty {
		i := slices.IndexFunc(n.texts, isSPF)
		if n.name != s.res.Author || n.dropped > 0 || i < 0 {
			continue
		}
		q := dns.Ask("_any."+n.name, dns.TXT)
		if !dns.Askable(q.Name) {
			continue
		}
		if a, err := s.why(ctx, q); err != nil || slices.Contains(a.Texts(), n.texts[i]) {
			continue
		}
		// That it does no harm, or that there is no record, is not what the reader has to hear.
		s.res.Findings = slices.DeleteFunc(s.res.Findings, func(f result.Finding) bool {
			return f.Code == "dmarc-none" || f.Code == "dmarc-other-text" && f.Args.Get("name") == "_dmarc."+n.name
		})
		s.found(result.Found(result.Warning, "dmarc-spf-record", "name", result.Domain("_dmarc."+n.name), "domain", result.Domain(n.name), "text", result.Said(n.name, shown(n.texts[i], maxShown))))
	}
}

// isSPF: RFC 7208, 4.5.
func isSPF(text string) bool {
	version, _, _ := strings.Cut(text, " ")
	return strings.EqualFold(version, "v=spf1")
}

// shown makes a stranger's octets fit for JSON, which would print them once so and once otherwise.
func shown(s string, n int) string { return strings.ToValidUTF8(result.Cut(s, n), "\uFFFD") }

func (s *state) has(code result.Code) bool {
	return slices.ContainsFunc(s.res.Findings, func(f result.Finding) bool { return f.Code == code })
}

// lintMisplaced looks where records are put by mistake. A failure of these questions changes nothing.
func (s *state) lintMisplaced(ctx context.Context) (any bool) {
	author := s.res.Author
	for _, name := range []string{author, "dmarc." + author, "_dmarc." + author + "." + author} {
		q := dns.Ask(name, dns.TXT)
		if !dns.Askable(q.Name) {
			continue
		}
		a, err := s.why(ctx, q)
		if err != nil {
			continue
		}
		for _, text := range a.Texts() {
			if _, ok := Parse(text); ok {
				f := result.Found(result.Error, "dmarc-wrong-name", "name", result.Domain(name), "right", result.Said(name, "_dmarc."+author), "record", result.Said(name, shown(text, 300)))
				f.Evidence = []result.Evidence{a.Evidence()}
				s.found(f)
				any = true
				break
			}
		}
	}
	return any
}

// lint says what the record and the table mean for the sender.
func (s *state) lint(ctx context.Context) {
	s.lintNodes()
	s.lintSubdomain()
	s.lintSuffix()
	if s.res.Testing {
		s.found(result.Found(result.Info, "dmarc-testing", "name", result.Domain("_dmarc."+s.res.PolicyName), "policy", s.res.Policy.Text()))
	}
	if !s.looking {
		s.lintAlignment()
	}
	s.lintOld(ctx)
	s.lintReports(ctx)
}

func (s *state) lintSubdomain() {
	if s.res.Tag != "sp" && s.res.Tag != "np" {
		return
	}
	severity := result.Info
	if s.res.Word == result.Fail && s.res.Policy != PolicyNone {
		severity = result.Warning
	}
	s.found(result.Found(severity, "dmarc-subdomain-policy",
		"domain", result.Domain(s.res.Author), "name", result.Domain("_dmarc."+s.res.PolicyName), "tag", result.Said(s.res.PolicyName, s.res.Tag), "policy", s.res.Policy.Text()))
}

// lintSuffix: RFC 9989, 11.8: a public suffix that publishes a record without psd=y makes one organisation
// of everybody below it, so that strangers align.
func (s *state) lintSuffix() {
	org := s.res.Org
	if org == "" || org == s.res.Author {
		return
	}
	suffix, _ := publicsuffix.PublicSuffix(org)
	if n, ok := s.author.at(org); ok && n.record.PSD == "u" && suffix == org {
		s.found(result.Found(result.Warning, "dmarc-suffix-without-psd", "suffix", result.Domain(org), "domain", result.Domain(s.res.Author)))
	}
}

// lintNodes reads the records that have to do with the author: the one that applies, and those at the
// author's and the organisational name that do not count.
func (s *state) lintNodes() {
	for _, n := range s.author.empty {
		// What a top-level domain publishes is nothing that the reader could mend.
		if n.name != s.author.start && !strings.Contains(n.name, ".") {
			continue
		}
		if n.dropped > 0 {
			s.found(result.Found(s.decisive(), "dmarc-multiple-records", "name", result.Domain("_dmarc."+n.name), "count", n.dropped))
			continue
		}
		s.lintStray(n)
	}
	for _, n := range s.author.nodes {
		if n.name == s.source || n.name == s.author.start {
			s.lintFaults(n.name, n.record)
		}
	}
}

// decisive: where another record applies all the same, one that does not count costs less.
func (s *state) decisive() result.Severity {
	if s.applies {
		return result.Warning
	}
	return result.Error
}

// lintStray tells why the texts at a name are no records.
func (s *state) lintStray(n node) {
	for _, text := range n.texts {
		r, _ := Parse(text)
		if Meant(text) {
			s.syntax(s.decisive(), n.name, r.Faults[0])
			continue
		}
		// Most often a wildcard's.
		s.found(result.Found(result.Info, "dmarc-other-text", "name", result.Domain("_dmarc."+n.name), "text", result.Said(n.name, shown(text, maxShown))))
		return
	}
}

func (s *state) lintFaults(name string, r Record) {
	for _, f := range r.Faults {
		column := strconv.Itoa(f.Column)
		switch f.Kind {
		case FaultSyntax:
			severity := result.Warning
			if f.Fatal && r.Unusable {
				severity = result.Error
			}
			s.syntax(severity, name, f)
		case FaultDuplicate:
			s.found(result.Found(result.Warning, "dmarc-duplicate-tag", "name", result.Domain("_dmarc."+name), "tag", result.Said(name, f.Tag), "column", result.Ours(column)))
		case FaultUnknown:
			s.found(result.Found(result.Info, "dmarc-unknown-tag", "name", result.Domain("_dmarc."+name), "tag", result.Said(name, f.Tag), "column", result.Ours(column)))
		case FaultOrder:
			s.found(result.Found(result.Info, "dmarc-p-not-second", "name", result.Domain("_dmarc."+name)))
		case FaultHistoric:
			s.found(result.Found(result.Info, "dmarc-historic-tag", "name", result.Domain("_dmarc."+name), "tag", result.Said(name, f.Tag), "value", result.Said(name, f.Value)))
		}
	}
}

func (s *state) syntax(severity result.Severity, name string, f Fault) {
	s.found(result.Found(severity, "dmarc-syntax", "name", result.Domain("_dmarc."+name), "tag", result.Said(name, f.Tag),
		"column", f.Column, "value", result.Said(name, f.Value), "want", result.Ours(f.Want)))
}

// unusable names the tag that spoils the record.
func unusable(n node) result.Reason {
	tag := "p"
	for _, f := range n.record.Faults {
		if f.Kind == FaultSyntax && f.Fatal {
			tag = f.Tag
			break
		}
	}
	return result.Because("dmarc-record-unusable", "name", result.Domain("_dmarc."+n.name), "tag", result.Said(n.name, tag))
}

// lintAlignment: who passes for a domain that is not the author's.
func (s *state) lintAlignment() {
	dkimAligned := slices.ContainsFunc(s.rows, func(r *row) bool {
		return r.method == "dkim" && r.out.Word == result.Pass && r.out.Aligned
	})
	var strict, others []string
	for _, r := range s.rows {
		if r.out.Word != result.Pass || r.out.Aligned || r.err != nil {
			continue
		}
		switch {
		case r.relaxed:
			strict = append(strict, r.method)
			s.found(result.Found(s.costly(result.Info), "dmarc-strict-alignment",
				"method", result.Ours(r.method), "tag", result.Said(r.out.Domain, modeTag(r.method)), "domain", result.Domain(r.out.Domain), "author", result.Domain(s.res.Author)))
		case r.method == "spf":
			s.found(result.Found(s.costly(result.Info), "spf-not-aligned", "domain", result.Domain(r.out.Domain), "author", result.Domain(s.res.Author)))
		case !slices.Contains(others, r.out.Domain):
			others = append(others, r.out.Domain)
		}
	}
	if len(others) > 0 && !dkimAligned && !slices.Contains(strict, "dkim") {
		f := result.Found(s.costly(result.Warning), "dkim-not-aligned",
			"domain", result.Join(result.Domains(others[:min(len(others), 5)]), ", "), "author", result.Domain(s.res.Author))
		f.About = Signers(others)
		s.found(f)
	}
}

// costly: what decided the fail is an error, else as given.
func (s *state) costly(otherwise result.Severity) result.Severity {
	switch s.res.Word {
	case result.Fail:
		return result.Error
	case result.Pass:
		return otherwise
	}
	return result.Warning
}

func modeTag(method string) string {
	if method == "spf" {
		return "aspf"
	}
	return "adkim"
}
