package dnsbl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// Check asks every list once: those of addresses for ip, those of domains for as many of the domains as
// the bound allows, the first of them at every list before the second at any. Each pair costs one
// question, and one more where it is listed.
func (e Evaluator) Check(ctx context.Context, ip netip.Addr, domains []string) Result {
	r := Result{Entries: []Entry{}}
	if len(e.Lists) == 0 {
		r.Word, r.Reason = result.NotRun, result.Because("dnsbl-none-configured")
		return r
	}
	pairs := e.plan(ip.Unmap().WithZone(""), domains)
	for _, p := range pairs {
		if e.Expect != nil && p.name != "" {
			e.Expect(dns.Ask(p.name, dns.A))
		}
	}
	for _, p := range pairs {
		r.Entries = append(r.Entries, e.ask(ctx, p))
	}
	r.conclude()
	return r
}

// pair is a list and what is looked for in it; name is empty where nothing is to be asked.
type pair struct {
	list    List
	subject string
	name    string
}

// plan: at most MaxLists pairs are asked; those that are not stand in the report too.
func (e Evaluator) plan(ip netip.Addr, domains []string) []pair {
	lists := make([]List, 0, MaxLists)
	for _, l := range e.Lists[:min(len(e.Lists), MaxLists)] {
		lists = append(lists, Complete(l))
	}
	domains = hosts(domains)
	var out []pair
	for round := range max(len(domains), 1) {
		for _, l := range lists {
			switch {
			case l.Of == IP && round == 0:
				out = append(out, pair{l, ip.String(), addressName(l, ip)})
			case l.Of == Domain && round < len(domains):
				out = append(out, pair{l, domains[round], under(domains[round], l.Zone)})
			}
		}
	}
	asked := 0
	for i := range out {
		if out[i].name == "" {
			continue
		}
		if asked++; asked > MaxLists {
			out[i].name = ""
		}
	}
	return out
}

// maxDomains of a message are looked at, be they asked for or not.
const maxDomains = 10

// hosts are the domains that a list of domains can have: names of two labels or more, once each. Lists of
// domains do not want to be asked for addresses.
func hosts(domains []string) []string {
	var out []string
	for _, d := range domains {
		d = dns.Canonical(d)
		if dns.Askable(d) && strings.Contains(d, ".") && !endsInDigits(d) && !slices.Contains(out, d) && len(out) < maxDomains {
			out = append(out, d)
		}
	}
	return out
}

// endsInDigits: RFC 1123, 2.1: the last label of a host name is not all digits, that of an address is.
func endsInDigits(d string) bool {
	last := d[strings.LastIndexByte(d, '.')+1:]
	return strings.Trim(last, "0123456789") == ""
}

// addressName: RFC 5782, 2.1 and 2.4: the octets of IPv4, the nibbles of IPv6, backwards in front of the
// zone. An address of somebody's own network is nobody else's business.
func addressName(l List, ip netip.Addr) string {
	if !ip.IsValid() || naming.Private(ip) || ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() {
		return ""
	}
	if k := knowledgeOf(l.Zone); ip.Is6() && k != nil && !k.ipv6 {
		return ""
	}
	reversed := strings.TrimSuffix(strings.TrimSuffix(dns.ReverseName(ip), ".in-addr.arpa"), ".ip6.arpa")
	return under(reversed, l.Zone)
}

func under(prefix, zone string) string {
	name := prefix + "." + dns.Canonical(zone)
	if !dns.Askable(name) {
		return ""
	}
	return name
}

func (e Evaluator) ask(ctx context.Context, p pair) Entry {
	out := Entry{
		List: p.list.Name, Kind: p.list.Kind, Of: p.list.Of, Subject: p.subject, URL: p.list.URL,
		State: NotAsked, Answers: []string{}, Meanings: []string{},
	}
	if p.name == "" {
		return out
	}
	q := dns.Ask(p.name, dns.A)
	a, err := e.DNS.Resolve(ctx, q)
	if err != nil {
		out.State, out.err = Unanswered, &UnansweredError{List: p.list.Name, Err: dns.AsError(q, err)}
		return out
	}
	out.read(a, knowledgeOf(p.list.Zone))
	if out.State == Listed {
		out.Text = e.text(ctx, p.name)
	}
	return out
}

var (
	inside = netip.MustParsePrefix("127.0.0.0/8")
	// Whichever list answers with them, they are messages to the operator: a public resolver, too many
	// questions, a slip in the zone's name.
	messages = netip.MustParsePrefix("127.255.255.0/24")
)

// maxAnswers of one list are kept.
const maxAnswers = 10

// read sorts the answers. One that refuses overrules the others: some lists answer with a listing beside
// it, so that it is noticed.
func (x *Entry) read(a dns.Answer, k *knowledge) {
	x.State = NotListed
	for _, rec := range a.Records[:min(len(a.Records), maxAnswers)] {
		x.Answers = append(x.Answers, rec.Shown())
		switch state := k.stateOf(rec.Addr); {
		case x.State == Refused || state == Refused:
			x.State = Refused
		case x.State == NotListed || state == Listed:
			x.State = state
		}
	}
	switch x.State {
	case Refused:
		x.err = fmt.Errorf("%s: %w", x.List, ErrRefused)
	case Wrong:
		x.err = fmt.Errorf("%s: %w", x.List, ErrWrong)
	case Listed:
		x.policy, x.wide = k.onlyPolicy(a.Records), k != nil && k.wide
		for _, rec := range a.Records[:len(x.Answers)] {
			x.Meanings = append(x.Meanings, k.meanings(rec.Addr)...)
		}
	}
}

// maxText octets of a list's text are kept.
const maxText = 300

// text: RFC 5782, 2.1: a TXT record may say why. It decides nothing, so no answer is no text.
func (e Evaluator) text(ctx context.Context, name string) string {
	a, err := e.DNS.Resolve(ctx, dns.Ask(name, dns.TXT))
	if err != nil || len(a.Records) == 0 {
		return ""
	}
	return result.Cut(strings.ToValidUTF8(a.Records[0].Text(), "\uFFFD"), maxText)
}

// conclude: one block list that has it is enough; without one, whatever could not be told leaves it open.
func (r *Result) conclude() {
	var blocked, open []string
	var causes []error
	asked := false
	for _, x := range r.Entries {
		asked = asked || x.State != NotAsked
		switch {
		case x.State == Listed && x.Kind == Block:
			blocked = add(blocked, x.List)
		case x.err != nil:
			open = add(open, x.List)
			causes = append(causes, x.err)
		}
	}
	r.findings()
	switch {
	case !asked:
		r.Word, r.Reason = result.NotRun, result.Because("dnsbl-nothing-to-ask")
	case len(blocked) > 0:
		r.Word, r.Reason = result.Fail, result.Because("dnsbl-listed-by", "lists", result.Ours(strings.Join(blocked, ", ")))
	case len(open) > 0:
		r.Word, r.Reason, r.Cause = result.TempError, result.Because("dnsbl-could-not-tell", "lists", result.Ours(strings.Join(open, ", "))), errors.Join(causes...)
	default:
		r.Word, r.Reason = result.Pass, result.Because("dnsbl-not-listed")
	}
}

func add(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}
