package compose

import (
	"fmt"
	"strings"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/arc"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/inbound"
	"checkauth/verify/result"
	"checkauth/verify/spam"
	"checkauth/verify/spf"
)

// details are the lines of one check: Result, ID(s) verified, its own facts, the records.
func (c *Voice) details(r *verify.Report, k result.Outcome, class policy.Class) []string {
	out := []string{c.resultLine(k)}
	out = append(out, strings.TrimRight(field("ID(s) verified:", identities(k)), " "))
	switch d := k.Detail.(type) {
	case *spf.Result:
		out = append(out, c.spfDetails(d, k.Reason)...)
	case *dkim.Signature:
		out = append(out, c.dkimDetails(signature(k, r), class)...)
	case *dmarc.Result:
		out = append(out, c.dmarcDetails(d)...)
	case *arc.Result:
		out = append(out, c.arcDetails(d)...)
	case *inbound.Result:
		out = append(out, inboundDetails(d)...)
	case *spam.Result:
		out = append(out, spamDetails(d)...)
	}
	if k.Method == verify.MethodTLS && r.Session.TLS != nil && r.Session.TLS.Client != "" {
		out = append(out, wrapped("Certificate:", safe(r.Session.TLS.Client)+" (the client's own word)"))
	}
	if withoutRecords[k.Method] || len(k.Evidence) == 0 && (k.Method == verify.MethodARC || k.Method == verify.MethodInbound) {
		return out
	}
	out = append(out, Records(k.Evidence)...)
	if s := result.Detail[dkim.Signature](k); s != nil && s.Key != nil && s.Key.Bits > 0 {
		out = append(out, fmt.Sprintf("Public key used for verification: %s (%d bits)", safe(s.KeyName), s.Key.Bits))
	}
	return out
}

// withoutRecords are the checks that ask nothing of the DNS, or whose questions are not shown.
var withoutRecords = map[string]bool{
	verify.MethodTLS: true, verify.MethodHeader: true, verify.MethodSpam: true, verify.MethodDNSBL: true,
}

// whole are the reasons that scripts look for: no line break within.
var whole = map[result.Code]bool{
	"dkim-matches-from": true, "dkim-matches-no-header": true, "dkim-key-does-not-exist": true,
	"dkim-message-not-signed": true, "iprev-matches": true,
}

func (c *Voice) resultLine(k result.Outcome) string {
	value := string(k.Result) + c.inBrackets(k)
	if whole[k.Reason.Code] {
		return field("Result:", value)
	}
	return wrapped("Result:", value)
}

func (c *Voice) inBrackets(k result.Outcome) string {
	if k.Reason.IsZero() {
		return ""
	}
	return " (" + strings.TrimSuffix(c.reason(k.Reason), ".") + ")"
}

// identities: what a check verified, by the registered property; empty where it verified nothing.
func identities(k result.Outcome) string {
	switch k.Method {
	case verify.MethodDKIM:
		if k.Result != result.Pass {
			return ""
		}
	case verify.MethodTLS, verify.MethodARC, verify.MethodHeader, verify.MethodInbound, verify.MethodDNSBL, verify.MethodSpam:
		return ""
	}
	for _, property := range []string{"smtp.mailfrom", "smtp.helo", "policy.iprev", "header.d", "header.from"} {
		if v, ok := k.Identities[property]; ok {
			return property + "=" + safe(v)
		}
	}
	return ""
}

// Records are answers of the DNS, as in the details of a check.
func Records(answers []result.Evidence) []string {
	out := []string{"DNS record(s):"}
	for _, e := range answers {
		out = append(out, records(e)...)
	}
	return out
}

// records writes one answer as lines of a zone file, with the CNAMEs on the way, whose TTL is not known.
func records(e result.Evidence) []string {
	name := inZone(e.Name) + "."
	var out []string
	for _, target := range e.Chain {
		target = inZone(target) + "."
		out = append(out, fmt.Sprintf("    %s IN CNAME %s", name, target))
		name = target
	}
	if len(e.Data) == 0 {
		why := e.Rcode
		if why == "NOERROR" || why == "NXDOMAIN" {
			why = "no records"
		}
		return append(out, fmt.Sprintf("    %s %s (%s)", name, e.Type, why))
	}
	for _, d := range e.Data {
		out = append(out, fmt.Sprintf("    %s %d IN %s %s", name, e.TTL, e.Type, inZone(d)))
	}
	return out
}

// inZone is text of a zone file, to be copied: a link in it is broken by an escape that a zone file may
// have (RFC 1035, 5.1).
func inZone(s string) string { return strings.ReplaceAll(result.Clean(s), "://", `\058//`) }

// dmarcDetails: the policy that applies, and alignment as a table in words.
func (c *Voice) dmarcDetails(d *dmarc.Result) []string {
	var out []string
	if d.Policy != "" {
		testing := ""
		if d.Testing {
			testing = ", testing"
		}
		out = append(out, field("Policy:", fmt.Sprintf("%s (%s= of _dmarc.%s%s)", safe(d.Policy), safe(d.Tag), safe(d.PolicyName), testing)))
	}
	if d.Author != "" {
		out = append(out, field("Domain of From:", safe(d.Author)+organisation(d.Author, d.Org)))
	}
	if d.SPF.Domain != "" {
		out = append(out, c.alignment("SPF domain:", d.SPF))
	}
	for _, a := range d.DKIM {
		out = append(out, c.alignment("DKIM domain:", a))
	}
	return out
}

func (c *Voice) alignment(label string, a dmarc.Alignment) string {
	value := fmt.Sprintf("%s%s: %s, ", safe(a.Domain), organisation(a.Domain, a.Org), a.Word)
	switch {
	case notCompared[a.Why.Code]:
		return wrapped(label, value+c.reason(a.Why))
	case a.Aligned:
		value += "aligned"
	default:
		value += "not aligned"
	}
	if !a.Why.IsZero() {
		value += " (" + c.reason(a.Why) + ")"
	}
	return wrapped(label, value)
}

// notCompared: whether it aligns was no question, or had no answer.
var notCompared = map[result.Code]bool{
	"dmarc-align-no-record": true, "dmarc-align-no-author": true, "dmarc-align-unknown": true,
}

// organisation says under which domain alignment is looked at, where that is another one.
func organisation(domain, org string) string {
	if org == "" || org == domain {
		return ""
	}
	return " (organisational domain " + safe(org) + ")"
}
