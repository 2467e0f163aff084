package dkim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// KeyReport is what lies at the name of one key, and what is wrong with it.
type KeyReport struct {
	// Word is pass where signatures with the key can verify, else what a signature would get for the key's
	// sake.
	Word     result.Word       `json:"-"`
	Reason   result.Reason     `json:"-"`
	Findings []result.Finding  `json:"-"`
	Cause    error             `json:"-"`        // set with temperror and permerror
	Evidence []result.Evidence `json:"evidence"` // every question that was asked for the verdict

	Name    string   `json:"name"`          // selector._domainkey.domain; empty where no such name can exist
	Record  string   `json:"record"`        // joined text as published; a stranger's text
	Strings []string `json:"strings"`       // the strings that it is made of
	TTL     uint32   `json:"ttl"`           // seconds
	Key     *Key     `json:"key,omitempty"` // nil where there is no record that could be read
}

// keyRules are those that a key can break without a signature.
var keyRules = []rule{hasName, hasKey, keyHash, keyService}

func hasName(s *signature, _ time.Time) *verdict {
	if s.KeyName != "" {
		return nil
	}
	return permanent(result.Because("dkim-key-without-name", "selector", s.selector(), "domain", result.Domain(s.Domain)),
		fmt.Errorf("%w: selector %q of %q is no name", ErrNoKey, clip(s.Selector), clip(s.Domain)))
}

// Key looks at the key of a selector as a verifier of signatures would.
func (v Verifier) Key(ctx context.Context, selector, domain string) KeyReport {
	c := v.begin(nil, mail.Data{}, nil)
	s := &signature{Signature: Signature{Domain: domain, Selector: selector}}
	if isName(selector) && isName(domain) {
		s.KeyName = keyName(selector, domain)
	}
	s.lookUp(ctx, &c.keys)
	s.conclude(c.judgeKey(s))
	for _, r := range []remark{weakKey, testMode} {
		if f := r(c, s); f != nil {
			s.Findings = append(s.Findings, *f)
		}
	}
	if s.Key != nil {
		s.Findings = append(s.Findings, keyTags(s.KeyName, s.KeyRecord)...)
	}
	out := KeyReport{Name: s.KeyName, Record: s.KeyRecord, TTL: s.KeyTTL, Key: s.Key}
	out.Evidence, out.Strings = c.keys.evidence(ctx, s.KeyName)
	if s.has("dkim-key-missing") {
		if f, _ := c.mistyped(ctx, s); f != nil {
			s.replace("dkim-key-missing", *f)
		}
	}
	out.Word, out.Reason, out.Findings, out.Cause = s.Word, s.Reason, s.Findings, s.Cause
	return out
}

// judgeKey is the verdict on a key. The signature is taken to be made as the key wants it, with the one
// hash that counts.
func (c *check) judgeKey(s *signature) verdict {
	if s.Key != nil {
		s.Algorithm = s.Key.Type + "-sha256"
	}
	for _, r := range keyRules {
		if v := r(s, c.now); v != nil {
			return *v
		}
	}
	return verdict{word: result.Pass, reason: result.Because("dkim-key-usable", "name", result.Domain(s.KeyName))}
}

// evidence is the answer at a name, and the strings of its record where there is one alone.
func (k *keys) evidence(ctx context.Context, name string) ([]result.Evidence, []string) {
	if name == "" {
		return []result.Evidence{}, []string{}
	}
	found := k.at(ctx, name)
	if found.err != nil {
		return []result.Evidence{found.err.Evidence()}, []string{}
	}
	out := []string{}
	if records := found.answer.Records; len(records) == 1 {
		out = records[0].Strings
	}
	return []result.Evidence{found.answer.Evidence()}, out
}

// keyTags finds what a key record says beside the point, though it can be read.
func keyTags(name, text string) []result.Finding {
	ts, err := parseTags(text)
	if err != nil {
		return nil
	}
	var out []result.Finding
	for i, t := range ts {
		switch {
		case t.name == "v" && i > 0:
			// RFC 6376, 3.6.1: where it is there it must stand first.
			out = append(out, result.Found(result.Warning, "dkim-key-v-not-first", "name", result.Domain(name)))
		case !slices.Contains([]string{"v", "h", "k", "n", "p", "s", "t"}, t.name):
			out = append(out, result.Found(result.Info, "dkim-key-unknown-tag", "name", result.Domain(name), "tag", t.name))
		}
	}
	for _, flag := range ts.list("t") {
		if flag != "y" && flag != "s" {
			out = append(out, result.Found(result.Info, "dkim-key-unknown-flag", "name", result.Domain(name), "flag", flag))
		}
	}
	return out
}
