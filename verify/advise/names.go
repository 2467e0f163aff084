package advise

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/iprev"
	"checkauth/verify/known"
	"checkauth/verify/result"
)

// nameRules are the findings of the client's names, its address and its connection that an action mends.
var nameRules = map[result.Code]func(*adviser, context.Context, result.Finding) []candidate{
	"iprev-no-ptr":       (*adviser).pointer,
	"iprev-mismatch":     (*adviser).pointer,
	"iprev-generic-name": (*adviser).pointer,
	"helo-invalid":       (*adviser).helo,
	"helo-not-fqdn":      (*adviser).helo,
	"helo-not-public":    (*adviser).helo,
	"helo-literal":       (*adviser).helo,
	"helo-literal-other": (*adviser).helo,
	"helo-unresolvable":  (*adviser).helo,
	"tls-none":           (*adviser).encrypt,
	"tls-old":            (*adviser).encryptAnew,

	"tls-failed-cipher":      (*adviser).handshake,
	"tls-failed-version":     (*adviser).handshake,
	"tls-failed-certificate": (*adviser).handshake,
	"tls-failed-alert":       (*adviser).handshake,
	"tls-failed-closed":      (*adviser).handshake,
	"tls-failed-timeout":     (*adviser).handshake,
	"tls-failed-not-tls":     (*adviser).handshake,
	"tls-failed-other":       (*adviser).handshake,
}

func (a *adviser) hostNames(ctx context.Context) (out []candidate) {
	for _, f := range a.Report.Findings {
		if rule := nameRules[f.Code]; rule != nil && f.Severity != result.Info {
			out = append(out, rule(a, ctx, f)...)
		}
	}
	return out
}

// bestName is the best full name that the client's address may be called: one whose own zone has the
// address. HELO's first, since that is what the server calls itself.
func (a *adviser) bestName(ctx context.Context) string {
	for _, n := range a.heloName() {
		if !dns.IsLocal(n) && !iprev.Generic(n, a.client) {
			return n
		}
	}
	for _, kind := range []linkKind{isExchanger, ownName, isAddress} {
		if l, ok := a.link(ctx, kind); ok {
			return l.host
		}
	}
	return ""
}

// pointer: RFC 8601, 3 and RFC 1912, 2.1: the name of the address leads back to it. Only the network's owner can
// set it. Where no name leads to the address yet there is nothing that could be proved.
func (a *adviser) pointer(ctx context.Context, f result.Finding) []candidate {
	name := a.bestName(ctx)
	ip := a.client.String()
	if name == "" {
		c := host(path, result.Because("action-ptr-choose", "ip", result.Ours(ip), "reverse", result.Ours(dns.ReverseName(a.client))), f.Code)
		c.Why = result.Because("why-ptr", "ip", result.Ours(ip))
		c.Before = a.overIPv4()
		return []candidate{c}
	}
	record := dns.Record{Name: dns.ReverseName(a.client), Type: dns.PTR, TTL: ttl, Target: name}
	c := candidate{rank: path, changes: []Change{{record.Name, dns.PTR, []dns.Record{record}}}, Action: verify.Action{
		Name: record.Name, Type: dns.PTR.String(), TTL: ttl, Value: record.Data(), Zone: line(record),
		Code: "action-ptr", For: []result.Code{f.Code},
	}}
	do := result.Because("action-ptr", "ip", result.Ours(ip), "host", result.Domain(name))
	c.Args = do.Args
	for _, old := range a.find(ctx, record.Name, dns.PTR) {
		c.Replaces = append(c.Replaces, old.Data())
	}
	c.Why = result.Because("why-ptr", "ip", result.Ours(ip))
	c.Before = append([]result.Reason{result.Because("before-ptr-owner", "ip", result.Ours(ip))}, a.overIPv4()...)
	return []candidate{c}
}

// overIPv4: a server whose IPv6 address nobody has named may do without it.
func (a *adviser) overIPv4() []result.Reason {
	if a.client.Is4() {
		return nil
	}
	return []result.Reason{result.Because("before-ptr-ipv4")}
}

// helo names the setting. The name that the address is called is the one to take.
func (a *adviser) helo(ctx context.Context, f result.Finding) []candidate {
	name := ""
	if names := slices.DeleteFunc(a.clientNames(), func(n string) bool { return iprev.Generic(n, a.client) }); len(names) > 0 {
		name = names[0]
	}
	for _, kind := range []linkKind{isExchanger, ownName} {
		if l, ok := a.link(ctx, kind); ok && name == "" {
			name = l.host
		}
	}
	do := result.Because("action-helo-choose")
	if name != "" {
		do = result.Because("action-helo", "host", result.Domain(name))
	}
	c := host(path, do, f.Code)
	c.Settings = a.settings(known.Helo, name) // none without a name: nobody is to copy an example's
	c.Why = result.Because("why-helo", "helo", result.Domain(a.Report.Session.Helo))
	const inMarks result.Code = "helo-private-in-marks"
	if slices.ContainsFunc(a.Report.Findings, func(x result.Finding) bool { return x.Code == inMarks }) {
		c.For = append(c.For, inMarks)
	}
	return []candidate{c}
}

func (a *adviser) encrypt(_ context.Context, f result.Finding) []candidate {
	c := host(hygiene, result.Because("action-tls"), f.Code)
	c.Settings = a.settings(known.TLS, "")
	c.Why = result.Because("why-tls")
	return []candidate{c}
}

func (a *adviser) encryptAnew(_ context.Context, f result.Finding) []candidate {
	c := host(hygiene, result.Because("action-tls-version", "version", f.Args.Text("version")), f.Code)
	c.Why = result.Because("why-tls")
	return []candidate{c}
}

// handshake: the server tried TLS, so that what stopped it is to be fixed. What the handshake does not tell stands in
// that server's log.
func (a *adviser) handshake(_ context.Context, f result.Finding) []candidate {
	do := result.Because("action-tls-failed-log", "at", f.Args.Text("at"), "host", result.Domain(a.Report.Host))
	switch f.Code {
	case "tls-failed-cipher":
		do = result.Because("action-tls-failed-cipher")
	case "tls-failed-version":
		do = result.Because("action-tls-failed-version")
	case "tls-failed-certificate":
		do = result.Because("action-tls-failed-certificate", "host", result.Domain(a.Report.Host))
	}
	c := host(hygiene, do, f.Code)
	c.Why = result.Because("why-tls")
	return []candidate{c}
}

// settings says where to make a change: in the software that wrote the last Received field, else in those that most
// servers run. What is set in another product is never said to somebody whose own is known.
func (a *adviser) settings(kind known.Kind, name string) (out []result.Text) {
	args := known.Args{Host: name, Domain: cmp.Or(a.author, a.sender), IP: a.client}
	servers := a.Atlas.Servers()
	if m, ok := a.server(); ok {
		servers = []known.MailServer{m}
	}
	for _, m := range servers {
		if s := m.Directive(kind, args); s != "" {
			from := result.Ourselves
			for _, put := range []string{args.Host, args.Domain} {
				if put != "" && strings.Contains(s, put) {
					from = from.And(result.Of(put))
				}
			}
			out = append(out, result.Text{Value: m.Name + ": " + s, From: from})
		}
	}
	return out
}

// server is the software of the host that handed the mail to us, as its Received field tells, or the form of its HELO.
func (a *adviser) server() (known.MailServer, bool) {
	fields := a.Report.Message.Fields
	var received, names []string
	for _, f := range fields.All("Received") {
		received = append(received, f.Value())
	}
	for _, f := range fields {
		names = append(names, f.Name)
	}
	if m, ok := a.Atlas.ServerOf(received, names); ok {
		return m, true
	}
	if slices.ContainsFunc(a.Report.Findings, func(f result.Finding) bool { return f.Code == "helo-private-in-marks" }) {
		return a.Atlas.ServerByID("qmail-plesk")
	}
	return known.MailServer{}, false
}
