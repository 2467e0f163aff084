package respond

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"checkauth/reply/deliver"
	"checkauth/reply/policy"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
)

// routeQuestions is how many the way of a reply may cost: the MX, two kinds of addresses and the TLSA records of five
// hosts, which may be aliases.
const routeQuestions = 21

// route is where a reply would be delivered: asked while the message comes in, beside its checks.
type route struct {
	mu     sync.Mutex
	to     string
	known  policy.Route
	places []deliver.Place
}

// recipient is whom a report would go to, as far as the envelope tells; "" where the From field does.
func (t *Transaction) recipient() string {
	switch f := t.r.Policy.Addresses.Of(t.env.RcptTo); f.Kind {
	case policy.ToAuthor:
		return ""
	case policy.ToNamed:
		return f.Named
	}
	return t.env.MailFrom
}

// askRoute begins to ask for the way to an address.
func (t *Transaction) askRoute(to string) {
	if to == "" {
		return
	}
	t.eval.Ask(routeQuestions, func(ctx context.Context, r dns.Resolver) {
		known, places := t.r.destination(ctx, r, to)
		t.to.mu.Lock()
		defer t.to.mu.Unlock()
		t.to.to, t.to.known, t.to.places = to, known, places
	})
}

func (r *Responder) destination(ctx context.Context, resolver dns.Resolver, to string) (policy.Route, []deliver.Place) {
	if r.Destination == nil {
		return policy.Route{}, nil
	}
	places, err := r.Destination(ctx, resolver, to)
	out := policy.Route{Unknown: err != nil}
	for _, p := range places {
		// RFC 5321, 5.1: what stands behind ourselves would bring it here.
		if r.Policy.Ours != nil && slices.ContainsFunc(p.Addrs, r.Policy.Ours) {
			out.Ours = len(out.Hosts) == 0
			break
		}
		out.Hosts = append(out.Hosts, policy.Host{Name: p.Host, Addrs: p.Addrs})
	}
	switch {
	case errors.Is(err, deliver.ErrNullMX):
		out = policy.Route{NullMX: true}
	case errors.Is(err, deliver.ErrNoDomain), errors.Is(err, deliver.ErrNoAddress), errors.Is(err, deliver.ErrBadAddress):
		out = policy.Route{Nowhere: true}
	}
	if err != nil {
		return out, nil // there may be more hosts
	}
	return out, places
}

// hosts are those of an address, where all of them are known.
func (r *route) hosts(to string) []deliver.Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.EqualFold(r.to, to) {
		return nil
	}
	return r.places
}

// found is what is known of the way to an address. What could not be learnt is left to the delivery, and counted as
// such.
func (r *route) found(to string) policy.Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.EqualFold(r.to, to) {
		return policy.Route{Unknown: true}
	}
	return r.known
}

// reader is the sending service whose program reads what comes to a bounce address of it or of a customer's.
func (r *Responder) reader(from string, route policy.Route) string {
	if r.Run.Atlas == nil {
		return ""
	}
	var hosts []string
	for _, h := range route.Hosts {
		hosts = append(hosts, h.Name)
	}
	local, domain := naming.Split(from)
	p, _ := r.Run.Atlas.Bounces(naming.Unquoted(local), domain, hosts...)
	return p.Name
}
