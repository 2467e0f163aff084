package advise

import (
	"context"
	"strconv"
	"strings"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// faultRules are the findings of the DNS itself that an action mends.
var faultRules = map[result.Code]func(*adviser, context.Context, result.Finding) candidate{
	"dns-stale-cache":     (*adviser).wait,
	"dns-secondary-stale": (*adviser).oldZone,
	"dns-dnssec-bogus":    (*adviser).bogus,
	"dns-lame-delegation": (*adviser).lame,
	"dns-servfail":        (*adviser).noAnswer,
	"dns-refused":         (*adviser).noAnswer,
	"dns-timeout":         (*adviser).noAnswer,
	"dns-unreachable":     (*adviser).noAnswer,
}

// dnsFaults gives one action a zone and cause, however many questions failed there.
func (a *adviser) dnsFaults(ctx context.Context) (out []candidate) {
	seen := map[string]bool{}
	for _, f := range a.Report.Findings {
		rule := faultRules[f.Code]
		if rule == nil {
			continue
		}
		c := rule(a, ctx, f)
		key := string(c.Code) + c.Args.Get("zone") + c.Args.Get("name")
		if !seen[key] {
			seen[key] = true
			out = append(out, c)
		}
	}
	return out
}

// wait: the zone has what is wanted, a cache does not yet.
func (a *adviser) wait(ctx context.Context, f result.Finding) candidate {
	seconds, _ := strconv.Atoi(f.Args.Get("seconds"))
	seen := a.Report.Time
	name := f.Args.Get("name")
	if answer, err := a.Resolver.Resolve(ctx, dns.Ask(name, dns.TXT)); err == nil {
		seen = answer.Time
	}
	until := result.Clock(seen.Add(time.Duration(seconds)*time.Second), seen)
	c := host(outage, result.Because("action-wait", "name", result.Domain(name), "until", result.Ours(until), "minutes", (seconds+59)/60), f.Code)
	c.Type = verify.ActionWait
	c.Why = result.Because("why-wait", "name", result.Domain(name))
	return c
}

func (a *adviser) oldZone(_ context.Context, f result.Finding) candidate {
	c := host(outage, result.Because("action-zone-transfer", "zone", result.Domain(f.Args.Get("zone")), "servers", f.Args.Text("servers")), f.Code)
	c.Why = result.Because("why-zone-transfer", "name", result.Domain(f.Args.Get("name")))
	return c
}

// zoneOf is the zone that most likely holds a name for which the DNS gives no answer.
func (a *adviser) zoneOf(ctx context.Context, name string) string {
	if a.Zone != nil {
		if z := a.Zone(ctx, name).Name; z != "" {
			return z
		}
	}
	return naming.Registered(name)
}

// bogus: RFC 8914, 4: the extended error tells what is wrong with the signatures.
func (a *adviser) bogus(ctx context.Context, f result.Finding) candidate {
	zone := a.zoneOf(ctx, f.Args.Get("name"))
	do := result.Because("action-dnssec-chain", "zone", result.Domain(zone))
	switch extended(a.evidence(f)) {
	case 7:
		do = result.Because("action-dnssec-expired", "zone", result.Domain(zone))
	case 8:
		do = result.Because("action-dnssec-not-yet", "zone", result.Domain(zone))
	case 9, 10, 11, 12:
		do = result.Because("action-dnssec-missing", "zone", result.Domain(zone))
	}
	c := host(outage, do, f.Code)
	c.Why = result.Because("why-dnssec", "zone", result.Domain(zone))
	return c
}

// evidence is what the resolver said beside the failure of the finding's question; a stranger's text.
func (a *adviser) evidence(f result.Finding) string {
	for _, c := range a.Report.Checks {
		for _, e := range c.Evidence {
			if e.Name == f.Args.Get("name") && e.Type == f.Args.Get("type") {
				return e.Extended
			}
		}
	}
	return ""
}

// extended is the number of an extended error, 0 where there is none.
func extended(text string) int {
	rest, ok := strings.CutPrefix(text, "extended error ")
	if !ok {
		return 0
	}
	digits, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.Atoi(strings.TrimSuffix(digits, ":"))
	return n
}

func (a *adviser) lame(ctx context.Context, f result.Finding) candidate {
	zone := a.zoneOf(ctx, f.Args.Get("name"))
	c := host(outage, result.Because("action-lame", "zone", result.Domain(zone)), f.Code)
	c.Why = result.Because("why-no-answer", "name", result.Domain(f.Args.Get("name")))
	return c
}

func (a *adviser) noAnswer(ctx context.Context, f result.Finding) candidate {
	zone := a.zoneOf(ctx, f.Args.Get("name"))
	c := host(outage, result.Because("action-no-answer", "zone", result.Domain(zone), "name", result.Domain(f.Args.Get("name")), "type", f.Args.Text("type")), f.Code)
	c.Why = result.Because("why-no-answer", "name", result.Domain(f.Args.Get("name")))
	return c
}
