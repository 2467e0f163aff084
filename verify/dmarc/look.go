package dmarc

import (
	"context"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// Lookup is what a domain publishes for mail that has it in From.
type Lookup struct {
	Word     result.Word      `json:"-"` // pass where a record applies, else none, permerror, temperror
	Reason   result.Reason    `json:"-"`
	Findings []result.Finding `json:"-"`
	Cause    error            `json:"-"`

	Domain     string     `json:"domain"`
	Org        string     `json:"org"` // organisational domain; "" where the DNS failed
	Walks      []Walk     `json:"walks"`
	PolicyName string     `json:"policy_name"` // domain whose record applies; "" where none does
	Record     string     `json:"record"`      // that record's text, also where it cannot be used
	Tags       []Tag      `json:"tags"`        // of that record, as written
	Policy     Policy     `json:"policy"`      // none, quarantine, reject: what is asked for, after sp, np and t
	Tag        string     `json:"tag"`         // p, sp or np: which tag gave it
	Testing    bool       `json:"testing,omitempty"`
	SPFMode    string     `json:"aspf"`  // r or s
	DKIMMode   string     `json:"adkim"` // r or s
	Reports    []Report   `json:"reports"`
	Old        *View      `json:"rfc7489,omitempty"` // where its policy is another
	SPF        *Alignment `json:"spf,omitempty"`     // how a pass of SPF for the other domain would count
	DKIM       *Alignment `json:"dkim,omitempty"`    // and that of a signature
}

// Tag is one tag of a record as it stands there.
type Tag struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Column int    `json:"column"` // octet of the record, from 1
}

// maxTags of a record are listed.
const maxTags = 40

// Tags takes a record apart, right or wrong; what has no = is a name without a value.
func Tags(text string) []Tag {
	out := []Tag{}
	for _, t := range split(text) {
		if t.blank() || len(out) == maxTags {
			continue
		}
		if t.name == "" {
			t.name = t.text
		}
		out = append(out, Tag{Name: shown(t.name, maxShown), Value: shown(t.value, 500), Column: t.column})
	}
	return out
}

// Look finds what applies to mail from an author domain, which is canonical, without any mail. With
// another domain it tells too whether what passes for that one would align.
func (e Evaluator) Look(ctx context.Context, domain, other string) Lookup {
	q := Query{From: mail.From{Domain: domain}, SPF: Identifier{Domain: other, Word: result.Pass}}
	q.DKIM = []Identifier{q.SPF}
	s := e.begin(q)
	s.looking = true
	s.withAuthor(ctx, domain)
	l := Lookup{
		Word: s.res.Word, Reason: s.res.Reason, Findings: s.res.Findings, Cause: s.res.Cause,
		Domain: domain, Org: s.res.Org, Walks: s.shownWalks(), PolicyName: s.res.PolicyName, Record: s.res.Record,
		Tags: []Tag{}, Policy: s.res.Policy, Tag: s.res.Tag, Testing: s.res.Testing,
		SPFMode: s.res.SPFMode, DKIMMode: s.res.DKIMMode, Reports: append([]Report{}, s.res.Reports...), Old: s.res.Old,
	}
	if text := s.seen[s.source].record.Text; text != "" {
		l.Record, l.Tags = shown(text, len(text)), Tags(text)
	}
	if other != "" {
		l.SPF, l.DKIM = &s.rows[0].out, &s.rows[1].out
	}
	for _, w := range l.Walks {
		for i := range w.Asked {
			for _, text := range s.seen[w.Asked[i].Name[len("_dmarc."):]].texts {
				w.Asked[i].Texts = append(w.Asked[i].Texts, shown(text, len(text)))
			}
		}
	}
	return l
}

// applied concludes a Lookup whose record can be used.
func (s *state) applied() {
	s.conclude(result.Pass, result.Because("dmarc-record-applies", "name", result.Domain("_dmarc."+s.source)), nil)
	switch {
	case s.policyErr != nil:
		s.temperror(s.policyErr)
	case s.author.err != nil: // it matters for alignment alone
		s.found(failed(result.Warning, s.author.err))
	}
}
