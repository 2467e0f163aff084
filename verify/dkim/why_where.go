package dkim

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-msgauth/authres"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// signersOwn are causes that no hop has made.
var signersOwn = []result.Code{"dkim-wrong-canonicalization", "dkim-l-tag-wrong", "dkim-empty-body", "dkim-body-line-ends"}

// maxHops is how many hosts a finding names.
const maxHops = 4

// whereChanged names the hops that may have changed a message, as the trace fields claim: those that wrote
// their Received field above the signature, or, with ARC, those after the last that saw it verify.
func (c *check) whereChanged(s *signature) {
	if !c.changed(s) {
		return
	}
	if host, instance := c.verifiedAt(s.Domain); host != "" {
		s.Findings = append(s.Findings, result.Found(result.Info, "dkim-verified-before",
			"domain", result.Domain(s.Domain), "selector", s.selector(), "host", result.Domain(host), "instance", instance))
		return
	}
	switch hops := c.hopsAbove(c.header.signs[s.Index]); {
	case len(hops) == 0:
		s.Findings = append(s.Findings, result.Found(result.Info, "dkim-changed-at-last-hop", "domain", result.Domain(s.Domain), "selector", s.selector()))
	case len(hops) == 1:
		s.Findings = append(s.Findings, result.Found(result.Info, "dkim-changed-by-hop",
			"domain", result.Domain(s.Domain), "selector", s.selector(), "hop", hops[0]))
	default:
		s.Findings = append(s.Findings, result.Found(result.Info, "dkim-changed-by-hops",
			"domain", result.Domain(s.Domain), "selector", s.selector(), "hops", strings.Join(hops[:min(len(hops), maxHops)], ", ")))
	}
}

// changed: a hash differs, by a key that made the signature and no mistake of the signer.
func (c *check) changed(s *signature) bool {
	if s.Word != result.Fail || slices.ContainsFunc(signersOwn, s.has) || s.mismatched() {
		return false
	}
	header := s.HeaderVerifies != nil && !*s.HeaderVerifies && !s.has("dkim-header-or-key")
	return s.HashComputed != "" && !s.BodyVerifies || header
}

// hopsAbove are the hosts that handed the message on after it was signed, the first of them first.
func (c *check) hopsAbove(place int) []string {
	var out []string
	for _, raw := range c.header.raw[:place] {
		name, _, _ := bytes.Cut(raw, []byte(":"))
		if !strings.EqualFold(string(bytes.TrimSpace(name)), "Received") {
			continue
		}
		for _, hop := range (mail.Fields{{Name: "Received", Raw: raw}}).Received() {
			if hop.By != "" && !slices.Contains(out, hop.By) {
				out = append(out, result.Cut(hop.By, maxText))
			}
		}
	}
	slices.Reverse(out)
	return out
}

// verifiedAt gives the last ARC hop that claims to have verified a signature of the domain (RFC 8617,
// 4.1.1).
func (c *check) verifiedAt(domain string) (host string, instance int) {
	ours := 0
	for _, s := range c.signatures {
		if strings.EqualFold(s.Domain, domain) {
			ours++
		}
	}
	if ours > 1 {
		return "", 0 // which of them it saw is not told
	}
	for _, at := range c.header.named["arc-authentication-results"] {
		value := valueOf(c.header.raw[at])
		tag, rest, ok := strings.Cut(value, ";")
		number, isI := strings.CutPrefix(strings.ReplaceAll(tag, " ", ""), "i=")
		n, err := strconv.Atoi(number)
		if !ok || !isI || err != nil || n <= instance || n > 50 {
			continue
		}
		id, results, err := authres.Parse(strings.TrimSpace(rest))
		if err != nil {
			continue
		}
		for _, r := range results {
			if d, ok := r.(*authres.DKIMResult); ok && d.Value == authres.ResultPass && strings.EqualFold(d.Domain, domain) {
				host, instance = result.Cut(id, maxText), n
			}
		}
	}
	return host, instance
}
