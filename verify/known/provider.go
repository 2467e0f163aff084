package known

import (
	"fmt"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// What stands in MAIL FROM of mail that a provider sends.
const (
	BounceOwn    = "own"    // the provider's domain, so that SPF never aligns
	BounceCustom = "custom" // that, or a domain below the customer's where the customer sets it up
	BounceSame   = "same"   // the customer's domain
)

// AtBounce: the term belongs to the domain of MAIL FROM, and does nothing at that of the address.
const AtBounce = "bounce"

// Fact is one kind of what is said of a provider.
type Fact string

// The kinds.
const (
	TermFact     Fact = "spf"
	SelectorFact Fact = "dkim"
	TargetFact   Fact = "target" // where the names of selectors lead
	HostFact     Fact = "host"   // how the provider's hosts and MX targets are called
	BounceFact   Fact = "bounce"
)

// Provider is a mail service, or a gateway or a panel that sends in the name of its customers.
type Provider struct {
	ID   string `toml:"id"`
	Name string `toml:"name"`

	// SPF is the one term that customers publish: "" where none is needed, or where it differs from one
	// customer to the next.
	SPF          string   `toml:"spf"`
	SPFAt        string   `toml:"spf_at"`       // AtBounce, or "" for the domain of the address
	Optional     bool     `toml:"optional"`     // not every customer needs it
	Alternatives []string `toml:"alternatives"` // of other regions, or for a record that has other terms
	Old          []string `toml:"old"`          // given out once, or by others
	Proposes     string   `toml:"proposes"`     // by a panel for the server itself, with {ip} and {host}

	DKIM []Selector `toml:"dkim"`

	Bounce        string   `toml:"bounce"`      // BounceOwn, BounceCustom, BounceSame
	BounceHost    []Record `toml:"bounce_host"` // that make it the customer's; those of one name are alternatives
	BounceDomains []string `toml:"bounce_domains"`

	SignsAs []string        `toml:"signs_as"` // domains below which it signs until it is told another, with a dot in front
	Via     string          `toml:"via"`      // ID of the provider whose hosts send the mail; "" for its own
	Traps   []result.Reason `toml:"-"`
	Sure    []Fact          `toml:"sure"`
}

// Selector is a DKIM selector that customers have. Type is TXT where the customer publishes the key, CNAME
// where the name leads to it. {domain}, {dashed} (with hyphens for dots) and {given} (what the provider
// tells each customer) stand for what differs.
type Selector struct {
	Selector string `toml:"selector"`
	Type     string `toml:"type"`
	Target   string `toml:"target"` // of the CNAME; "" where it is not known
}

// Record is a record that a customer publishes, with the same places to fill in. Type and Target are ""
// where they are not known.
type Record struct {
	Name   string `toml:"name"`
	Type   string `toml:"type"`
	Target string `toml:"target"`
}

// providerEntry is a provider in the file.
type providerEntry struct {
	Provider
	Includes []string      `toml:"includes"`
	MX       []string      `toml:"mx"`
	MXRegexp string        `toml:"mx_regexp"`
	BounceMX []string      `toml:"bounce_mx"`
	Host     []string      `toml:"host"`
	NotHost  []string      `toml:"not_host"`
	Traps    []result.Code `toml:"traps"`
}

func (a *Atlas) readProviders() error {
	var file struct {
		Providers []providerEntry `toml:"provider"`
	}
	if err := decode(providersFile, &file); err != nil {
		return err
	}
	for i := range file.Providers {
		e := &file.Providers[i]
		traps, err := said(e.Traps)
		if err != nil {
			return fmt.Errorf("provider %q: %w", e.ID, err)
		}
		p := e.Provider
		p.Traps = traps
		a.providers = append(a.providers, p)
		if err := a.indexProvider(i, e); err != nil {
			return fmt.Errorf("provider %q: %w", e.ID, err)
		}
	}
	return nil
}

func (a *Atlas) indexProvider(i int, e *providerEntry) error {
	a.targets.add(i, e.MX...)
	a.hosts.add(i, e.Host...)
	a.hosts.add(nobody, e.NotHost...)
	a.hosts.add(i, e.SignsAs...)
	for _, d := range e.BounceDomains {
		a.hosts.add(i, "."+d)
		a.bounces.add(i, "."+d)
	}
	a.returns.add(i, e.BounceMX...)
	a.includes.add(i, e.Includes...)
	for _, term := range slices.Concat([]string{e.SPF}, e.Alternatives, e.Old) {
		if target, ok := included(term); ok {
			a.includes.add(i, target)
		}
	}
	return a.targets.addPattern(i, e.MXRegexp)
}

// included is the domain of a term that names another's record.
func included(term string) (domain string, ok bool) {
	if domain, ok = strings.CutPrefix(term, "include:"); ok {
		return domain, true
	}
	return strings.CutPrefix(term, "redirect=")
}

// ProviderOfMX finds whose mail service takes a domain's mail: of the first MX target that tells.
func (a *Atlas) ProviderOfMX(targets ...string) (Provider, bool) {
	return a.provider(a.targets.first(targets))
}

// ProviderOf finds whose mail service a host belongs to: of the first name that tells. Names are those of
// hosts (confirmed ones of the client; HELO, which the client chooses), and the domains of MAIL FROM and of
// d=. It is not for MX targets: at many a provider the machines of customers are called as those are.
func (a *Atlas) ProviderOf(names ...string) (Provider, bool) {
	return a.provider(a.hosts.first(names))
}

// Bounces finds the service whose program reads what comes to an address in MAIL FROM: by its domain, or by the MX
// targets that this has. The local part has to look as if it was made for one message: people at such a service have
// mailboxes too.
func (a *Atlas) Bounces(local, domain string, targets ...string) (Provider, bool) {
	if !madeForOne(local) {
		return Provider{}, false
	}
	if p, ok := a.provider(a.bounces.find(domain)); ok {
		return p, true
	}
	return a.provider(a.returns.first(targets))
}

// A local part for one message names the bounce, holds the recipient, or is long and full of digits.
const (
	longLocal  = 20
	manyDigits = 6
)

func madeForOne(local string) bool {
	local = strings.ToLower(local)
	digits := 0
	for _, r := range local {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	return strings.HasPrefix(local, "bounce") || strings.HasPrefix(local, "pm_bounces") || strings.Contains(local, "=") ||
		len(local) >= longLocal && digits >= manyDigits
}

// ByInclude finds whose record an include or a redirect names.
func (a *Atlas) ByInclude(target string) (Provider, bool) {
	if entry, ok := a.includes.find(target); ok {
		return a.providers[entry], true
	}
	return a.provider(a.hosts.find(target))
}

// ProviderByID finds a provider that was recognised otherwise.
func (a *Atlas) ProviderByID(id string) (Provider, bool) {
	for i := range a.providers {
		if a.providers[i].ID == id {
			return a.providers[i], true
		}
	}
	return Provider{}, false
}

func (a *Atlas) provider(entry int, ok bool) (Provider, bool) {
	if !ok {
		return Provider{}, false
	}
	return a.providers[entry], true
}

// Certain tells whether the facts of that kind were read in documents or in real zones. Where not, they are
// general knowledge: print them as what is usual.
func (p Provider) Certain(f Fact) bool { return slices.Contains(p.Sure, f) }

// Redirect tells that the term is a redirect, which has no effect beside all (RFC 7208, 6.1).
func (p Provider) Redirect() bool { return strings.HasPrefix(p.SPF, "redirect=") }

// Record is the CNAME that a customer with that domain publishes; false where the key itself is to be
// published, or something is not known but to provider and customer.
func (s Selector) Record(domain string) (Record, bool) {
	return Record{Name: s.Selector + "._domainkey.{domain}", Type: s.Type, Target: s.Target}.For(domain)
}

// For is the record of a customer with that domain, without final dots; false where something is not known
// but to provider and customer.
func (r Record) For(domain string) (Record, bool) {
	domain = dns.Canonical(domain)
	fill := strings.NewReplacer("{domain}", domain, "{dashed}", strings.ReplaceAll(domain, ".", "-"))
	if r.Type == "" || r.Target == "" || domain == "" || strings.Contains(r.Name+r.Target, "{given}") {
		return Record{}, false
	}
	return Record{Name: fill.Replace(r.Name), Type: r.Type, Target: fill.Replace(r.Target)}, true
}
