package inbound

import "checkauth/verify/result"

// Outcome is the result as a report has it.
func (r *Result) Outcome() result.Outcome {
	o := result.Outcome{Result: r.Word, Reason: r.Reason, Cause: result.CauseText(r.Cause), Findings: r.Findings, Detail: r}
	r.Describe(&o)
	return o
}

// Describe has what the author's domain has for those who send to it.
func (r *Result) Describe(o *result.Outcome) {
	var servers result.Line
	var hosts, policies []result.Line
	for _, m := range r.MX {
		host := result.LineOf(result.Domain(m.Host), result.Ours(" ("), m.Pref, result.Ours(")"))
		if hosts = append(hosts, host); len(servers) > 0 {
			servers = append(servers, result.LineOf(result.Ours(", "))...)
		}
		servers = append(servers, host...)
	}
	switch {
	case r.NullMX:
		servers, hosts = result.LineOf(result.Ours("null MX")), []result.Line{result.LineOf(result.Because("html-null-mx"))}
	case len(hosts) == 0 && r.Implicit:
		servers, hosts = result.LineOf(result.Ours("none; its address takes the place")), []result.Line{result.LineOf(result.Because("html-implicit-mx"))}
	}
	o.Facts = []result.Fact{
		{Label: "Domain:", Code: "html-domain", Lines: []result.Line{result.LineOf(result.Domain(r.Domain))}},
		{Label: "MX:", Lines: []result.Line{servers}, Only: result.OnText},
		{Code: "html-mx", Lines: hosts, Only: result.OnPage},
	}
	for _, p := range []struct {
		name  result.Ours
		state State
	}{{"MTA-STS", r.MTASTS.State}, {"TLS-RPT", r.TLSRPT.State}, {"DANE", r.DANE.State}, {"BIMI", r.BIMI.State}} {
		if p.state != "" {
			o.Facts = append(o.Facts, result.Fact{Label: string(p.name) + ":", Lines: []result.Line{result.LineOf(result.Ours(p.state))}, Only: result.OnText})
			policies = append(policies, result.LineOf(p.name, result.Ours(": "), result.Ours(p.state)))
		}
	}
	o.Facts = append(o.Facts, result.Fact{Code: "html-policies", Lines: policies, Only: result.OnPage})
}
