package compose

import (
	"fmt"
	"strings"

	"checkauth/verify/arc"
	"checkauth/verify/inbound"
	"checkauth/verify/spam"
)

// arcDetails has a line for each set of the chain, the oldest first: what one host sealed, and its claim.
func (c *Voice) arcDetails(a *arc.Result) []string {
	var out []string
	for _, i := range a.Instances {
		line := fmt.Sprintf("i=%d cv=%s, sealed by %s", i.Instance, safe(i.CV), safe(i.Seal.Domain))
		if i.Seal.Word != "" {
			line += ": " + string(i.Seal.Word)
		}
		out = append(out, wrapped("ARC set:", line))
		if i.Results != "" {
			out = append(out, wrapped("", safe(i.Authserv)+" claims: "+safe(i.Results)))
		}
		for _, p := range i.Problems {
			out = append(out, wrapped("", c.reason(p)))
		}
	}
	return out
}

// inboundDetails is what the author's domain has for those who send to it.
func inboundDetails(d *inbound.Result) []string {
	out := []string{field("Domain:", safe(d.Domain))}
	var hosts []string
	for _, m := range d.MX {
		hosts = append(hosts, fmt.Sprintf("%s (%d)", safe(m.Host), m.Pref))
	}
	switch {
	case d.NullMX:
		out = append(out, field("MX:", "null MX"))
	case len(hosts) > 0:
		out = append(out, wrapped("MX:", strings.Join(hosts, ", ")))
	case d.Implicit:
		out = append(out, field("MX:", "none; its address takes the place"))
	}
	for _, p := range []struct {
		label string
		state inbound.State
	}{{"MTA-STS:", d.MTASTS.State}, {"TLS-RPT:", d.TLSRPT.State}, {"DANE:", d.DANE.State}, {"BIMI:", d.BIMI.State}} {
		if p.state != "" {
			out = append(out, field(p.label, string(p.state)))
		}
	}
	return out
}

// spamDetails is the table that SpamAssassin prints.
func spamDetails(s *spam.Result) []string {
	if len(s.Rules) == 0 {
		return nil
	}
	out := []string{" pts rule name              description", "---- ---------------------- --------------------------------------------------"}
	for _, r := range s.Rules {
		out = append(out, fmt.Sprintf("%4.1f %-22s %s", r.Points, safe(r.Name), safe(r.Text)))
	}
	return out
}
