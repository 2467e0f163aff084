package advise

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/helo"
	"checkauth/verify/iprev"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
	"checkauth/verify/standing"
)

// link is what the sender's own domain says that ties it to the client. What the client says of itself,
// its HELO and the name of its address, is none; nor is anything in a domain of somebody else.
type link struct {
	kind linkKind
	host string // the client's name by that link, or the domain of the term; empty where there is none
	at   string // the domain that says so: the sender's, or its organisational domain
}

type linkKind string

// The kinds of links, in the order in which they are looked for.
const (
	isAddress   linkKind = "a"         // the domain itself has the client's address
	isExchanger linkKind = "mx"        // an MX host of the domain has it
	isServer    linkKind = "ns"        // a name server of its zone has it
	ownName     linkKind = "name"      // a name in the domain's own organisation has it
	neighbour   linkKind = "neighbour" // the client's confirmed name is in the organisation of an MX host
	named       linkKind = "term"      // the record names the organisation of the client's confirmed name
	signed      linkKind = "signature" // a signature of the domain, over the address that the mail came to, verifies
)

// Bounds of the search.
const maxHosts = 6

// link gives the first link of one of the kinds; of any where none are named.
func (a *adviser) link(ctx context.Context, kinds ...linkKind) (link, bool) {
	if a.links == nil {
		a.links = a.findLinks(ctx)
	}
	for _, l := range a.links {
		if len(kinds) == 0 || slices.Contains(kinds, l.kind) {
			return l, true
		}
	}
	return link{}, false
}

// tied: the client sends for the sender, as far as somebody else than the client says.
func (a *adviser) tied(ctx context.Context) bool {
	_, ok := a.link(ctx)
	return a.class == standing.Proved || ok && !a.refuted()
}

// findLinks gives a list, if one without any.
func (a *adviser) findLinks(ctx context.Context) []link {
	out := []link{}
	if a.sender == "" || !a.client.IsValid() {
		return out
	}
	domains := []string{a.sender}
	if org := naming.Organisation(a.sender); org != "" && org != a.sender {
		domains = append(domains, org)
	}
	names := a.clientNames()
	for _, d := range domains {
		if a.has(ctx, d) {
			out = append(out, link{isAddress, d, d})
		}
		for _, host := range a.exchangers(ctx, d) {
			if a.has(ctx, host) {
				out = append(out, link{isExchanger, host, d})
			} else if n := a.neighbour(host, names); n != "" {
				out = append(out, link{neighbour, n, d})
			}
		}
	}
	for _, n := range append(names, a.heloName()...) {
		if a.owns(n) {
			out = append(out, link{ownName, n, a.sender})
		}
	}
	out = append(out, a.namedLinks(ctx, names)...)
	if s := a.signer(); s != "" {
		out = append(out, link{signed, s, s})
	}
	if len(out) == 0 && a.Zone != nil {
		servers := a.Zone(ctx, a.sender).Servers
		for _, s := range servers[:min(len(servers), maxHosts)] {
			if a.has(ctx, s) {
				out = append(out, link{isServer, s, a.sender})
			}
		}
	}
	return out
}

// neighbour is the client's name in the organisation of an MX host of somebody else; empty where there is none.
func (a *adviser) neighbour(host string, names []string) string {
	if naming.SameOrganisation(host, a.sender) {
		return "" // a name of the domain's own says more
	}
	i := slices.IndexFunc(names, func(n string) bool { return naming.SameOrganisation(n, host) && !a.rented(n) })
	if i < 0 {
		return ""
	}
	return names[i]
}

// owns: the name is one of the sender's own organisation, and none that it gives to its customers. Right below
// the domain server1 and vps2 are names of its own.
func (a *adviser) owns(name string) bool {
	if !naming.SameOrganisation(name, a.sender) || iprev.Generic(name, a.client) {
		return false
	}
	_, above, _ := strings.Cut(name, ".")
	return !a.rented(name) || above == a.sender || above == naming.Organisation(a.sender)
}

// rented: a provider gives such names to any of its customers, so that one shows nothing.
func (a *adviser) rented(name string) bool { return iprev.Rented(name, a.client) }

// find gives the records of a name, none where the DNS does not tell; they are the caller's own.
func (a *adviser) find(ctx context.Context, name string, t dns.Type) []dns.Record {
	if !dns.Askable(name) {
		return nil
	}
	answer, err := a.Resolver.Resolve(ctx, dns.Ask(name, t))
	if err != nil {
		return nil
	}
	return slices.Clone(answer.Records) // the memo's own are shared
}

// family is the type of address records that the client's address has.
func (a *adviser) family() dns.Type {
	if a.client.Is4() {
		return dns.A
	}
	return dns.AAAA
}

// has tells whether a name has the client's address.
func (a *adviser) has(ctx context.Context, name string) bool {
	return slices.ContainsFunc(a.find(ctx, name, a.family()), func(r dns.Record) bool { return r.Addr == a.client })
}

// exchangers are the MX hosts of a domain, without a null MX.
func (a *adviser) exchangers(ctx context.Context, domain string) (out []string) {
	for _, r := range a.find(ctx, domain, dns.MX) {
		if r.Target != "" && len(out) < maxHosts {
			out = append(out, r.Target)
		}
	}
	return out
}

// clientNames are the names that the client's address has and that lead back to it.
func (a *adviser) clientNames() (out []string) {
	if d := result.Detail[iprev.Result](a.Report.Check(verify.MethodIPRev)); d != nil {
		for _, n := range d.Confirmed {
			out = append(out, dns.Canonical(n))
		}
	}
	return out
}

// heloName is the name in HELO, where it has the client's address.
func (a *adviser) heloName() []string {
	if d := result.Detail[helo.Result](a.Report.Check(verify.MethodHelo)); d != nil && d.Named() && d.Matches {
		return []string{dns.Canonical(a.Report.Session.Helo)}
	}
	return nil
}

// generic: the client has no other name than one that providers give to any of their customers.
func (a *adviser) generic() bool {
	return slices.ContainsFunc(a.Report.Findings, func(f result.Finding) bool { return f.Code == "iprev-generic-name" })
}

// namedLinks: the sender's own record names a domain in whose organisation the client's confirmed name is.
func (a *adviser) namedLinks(ctx context.Context, names []string) (out []link) {
	for _, text := range a.records(ctx) {
		policy, _ := spf.Parse(text)
		for _, t := range policy.Terms {
			allows := t.Modifier && t.Name == "redirect" || !t.Modifier && t.Qualifier == result.Pass
			if t.Err != nil || t.Domain == "" || strings.Contains(t.Domain, "%") || !allows {
				continue
			}
			for _, n := range names {
				if naming.SameOrganisation(n, t.Domain) && !a.rented(n) {
					out = append(out, link{named, dns.Canonical(t.Domain), a.sender})
				}
			}
		}
	}
	return out
}

// records are the texts of the sender's own SPF records.
func (a *adviser) records(ctx context.Context) (out []string) {
	for _, r := range a.find(ctx, a.sender, dns.TXT) {
		if text := r.Text(); spf.IsRecord(text) {
			out = append(out, text)
		}
	}
	return out
}

// signer is the domain of a signature that verifies, that of the envelope sender or one above it, over a To
// or Cc that names where the mail came to: a signed mail of the domain to somebody else, sent to us again
// by a stranger, says nothing of that stranger's server. What is below a domain may be somebody else's.
func (a *adviser) signer() string {
	for _, c := range a.Report.All(verify.MethodDKIM) {
		d := result.Detail[dkim.Signature](c)
		if c.Result != result.Pass || d == nil || !a.isUnder(d.Domain) {
			continue
		}
		if standing.Addressed(a.Report, d) {
			return dns.Canonical(d.Domain)
		}
	}
	return ""
}

// isUnder: the sender is that domain, or below it in one organisation.
func (a *adviser) isUnder(domain string) bool {
	domain = dns.Canonical(domain)
	return naming.SameOrganisation(domain, a.sender) && naming.Below(a.sender, domain)
}

// literal is the client as an SPF term.
func literal(ip netip.Addr) string {
	if ip.Is4() {
		return "ip4:" + ip.String()
	}
	return "ip6:" + ip.String()
}
