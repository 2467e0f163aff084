package advise

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/known"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// ttl of records that are advised, seconds.
const ttl = 3600

// longest string of a TXT record: RFC 1035, 3.3.
const longest = 255

// host makes an action in words, for a mail system, a name server or a provider.
func host(r rank, do result.Reason, mends ...result.Code) candidate {
	return candidate{rank: r, Action: verify.Action{Type: verify.ActionHost, Code: do.Code, Args: do.Args, For: mends}}
}

// txt makes an action that publishes value as a TXT record; it takes the place of those that gone picks,
// and leaves the name's other TXT records.
func (a *adviser) txt(ctx context.Context, r rank, name, value string, gone func(text string) bool, do result.Reason, mends ...result.Code) candidate {
	name = dns.Canonical(name)
	c := candidate{rank: r, Action: verify.Action{
		Name: name, Type: dns.TXT.String(), TTL: ttl, Value: value, Code: do.Code, Args: do.Args, For: mends}}
	a.settle(ctx, &c)
	record := dns.Record{Name: c.Name, Type: dns.TXT, TTL: ttl, Strings: split(value)}
	set := []dns.Record{record}
	for _, old := range a.find(ctx, name, dns.TXT) {
		if gone(old.Text()) {
			c.Replaces = append(c.Replaces, old.Text())
		} else if len(c.first) == 0 {
			set = append(set, old)
		}
	}
	c.Zone = line(record)
	c.changes = []Change{{c.Name, dns.TXT, set}}
	return c
}

// settle finds where the record of a name is to be: RFC 1034, 3.6.2: beside a CNAME there is nothing else. Where
// that leads within the organisation, the record is there. Of a name that has no other use than its record the
// CNAME may go; any other would lose its addresses and its MX with it.
func (a *adviser) settle(ctx context.Context, c *candidate) {
	target := a.alias(ctx, c.Name)
	if target == "" {
		return
	}
	key := strings.Contains(c.Name, "._domainkey.")
	switch {
	case naming.SameOrganisation(c.Name, target) && !key: // a key is looked for, and tried, by its own name
		c.Name = target
	case strings.HasPrefix(c.Name, "_dmarc.") || key:
		c.first = []result.Reason{result.Because("before-cname", "name", result.Domain(c.Name), "target", result.Domain(target))}
	default:
		c.barred = true
	}
}

// alias is where the CNAME of a name leads; empty where it has none.
func (a *adviser) alias(ctx context.Context, name string) string {
	if !dns.Askable(name) {
		return ""
	}
	answer, err := a.Resolver.Resolve(ctx, dns.Ask(name, dns.TXT))
	if err != nil || len(answer.Chain) == 0 {
		return ""
	}
	return dns.Canonical(answer.Chain[len(answer.Chain)-1].Target)
}

// anyText picks every record of a name: what else stands beside a key does harm.
func anyText(string) bool { return true }

// split cuts a value into strings that fit.
func split(value string) (out []string) {
	for len(value) > longest {
		out, value = append(out, value[:longest]), value[longest:]
	}
	return append(out, value)
}

// line is a record as it stands in a zone file.
func line(r dns.Record) string {
	return r.Name + ". " + strconv.FormatUint(uint64(r.TTL), 10) + " IN " + r.Type.String() + " " + r.Data()
}

// finish adds to a chosen action where the change is made and when it is seen.
func (a *adviser) finish(ctx context.Context, c *candidate) {
	c.Before = slices.Concat(c.first, c.Before)
	if c.Name == "" {
		return
	}
	c.Where = a.where(ctx, c.Name)
	c.When = a.when(ctx, c)
}

// where finds who serves the zone of a name, and how its panel wants the name.
func (a *adviser) where(ctx context.Context, name string) *verify.Place {
	if a.Zone == nil {
		return nil
	}
	z := a.Zone(ctx, name)
	if z.Name == "" || len(z.Servers) == 0 {
		return nil
	}
	p := &verify.Place{Zone: z.Name, Servers: z.Servers}
	if panel, ok := a.Atlas.Panel(z.Servers); ok {
		p.Panel, p.Path = panel.Name, panel.Path
		p.Traps = panel.Traps
		p.Field = panel.NameIn(name, z.Name)
		return p
	}
	p.Field = known.Panel{NameField: "relative"}.NameIn(name, z.Name)
	return p
}

// when tells how long caches may go on with what is there now.
func (a *adviser) when(ctx context.Context, c *candidate) []result.Reason {
	answer, err := a.Resolver.Resolve(ctx, dns.Ask(c.Name, c.changes[0].Type))
	if err != nil || answer.Left() == 0 {
		return nil
	}
	until, seconds := result.Clock(answer.Forgotten(), answer.Time), strconv.FormatUint(uint64(answer.Left()), 10)
	if len(answer.Records) > 0 {
		return []result.Reason{result.Because("when-cached", "until", result.Ours(until), "seconds", result.Ours(seconds))}
	}
	return []result.Reason{result.Because("when-negative", "until", result.Ours(until), "seconds", result.Ours(seconds))}
}
