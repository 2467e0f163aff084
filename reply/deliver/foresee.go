package deliver

import (
	"context"
	"errors"
	"strings"

	"checkauth/verify/dane"
	"checkauth/verify/dns"
	"checkauth/verify/mtasts"
)

// What can be known of a delivery before it is tried, for whoever promises a reply. It connects to no mail server.

// Destination is the function of that name, with what DANE has to say of each host, as far as we obey it. A TLSA set
// that cannot be asked says nothing here: the delivery waits for it.
func (d *Deliverer) Destination(ctx context.Context, resolver dns.Resolver, to string) ([]Place, error) {
	hosts, places, err := destination(ctx, resolver, to)
	if !d.cfg.DANE {
		return places, err
	}
	for i, h := range hosts {
		if len(h.addrs) > 0 {
			continue // an address literal
		}
		if records, failed := dane.Lookup(ctx, resolver, h.name, d.cfg.Port, h.secure); failed == nil {
			places[i].DANE, places[i].Impossible = records.Usable(), records.Impossible()
		}
	}
	return places, err
}

// Promised is the MTA-STS policy of a domain, as far as we obey it: the one that is remembered or, with fetch, what the
// domain says now. What cannot be had within the context is none; its fetch goes on, for the delivery.
func (d *Deliverer) Promised(ctx context.Context, domain string, fetch bool) mtasts.Policy {
	switch {
	case d.sts == nil, strings.HasPrefix(domain, "["):
		return mtasts.Policy{}
	case !fetch:
		return d.sts.Cached(domain)
	}
	p, err := d.sts.Policy(ctx, domain)
	if _, failed := errors.AsType[*mtasts.FetchError](err); err != nil && !failed {
		return mtasts.Policy{} // what is remembered may be out of date: the domain was not heard in time
	}
	return p
}
