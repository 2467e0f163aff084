package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"checkauth/reply/deliver"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
)

// ours knows the addresses that lead back to this service. Nothing is sent to them, whoever names them: not a reply,
// not a question of the DNS. Loopback is not among them: on the public Internet it is refused as such, and in a closed
// network it is where everything else is.
type ours struct {
	hostname string

	mu    sync.RWMutex
	fixed []netip.Addr // of the configuration, and of the sockets that a service manager handed over
	found []netip.Addr // of the interfaces and of hostname, as of the last look
}

// ours are the addresses of listen, proxy.listen, public-addresses and this machine's interfaces; what the DNS says of
// hostname comes with look.
func (s *settings) ours() *ours {
	o := &ours{hostname: s.Hostname, found: interfaceAddresses()}
	for _, a := range s.endpoints(func(string, string, ...any) {}) { // check tells what cannot be read
		o.add(a.at.Addr())
	}
	public, _ := s.publicAddresses()
	o.add(public...)
	return o
}

func (o *ours) add(all ...netip.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fixed = unique(append(o.fixed, all...))
}

// has tells whether an address is ours.
func (o *ours) has(a netip.Addr) bool {
	a = naming.Plain(a)
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Contains(o.fixed, a) || slices.Contains(o.found, a)
}

const (
	// oursEvery is how often the interfaces and the DNS are looked at: an address may change while the service runs.
	oursEvery = 5 * time.Minute
	// oursTime is how long the DNS may take for it.
	oursTime = 10 * time.Second
)

// look learns the addresses of the interfaces and of hostname. Of a name that cannot be asked for just now those of the
// look before stay.
func (o *ours) look(ctx context.Context, r dns.Resolver) error {
	ctx, cancel := context.WithTimeout(ctx, oursTime)
	defer cancel()
	named, err := hostAddresses(ctx, r, o.hostname)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		named = append(named, o.found...)
	}
	o.found = unique(append(interfaceAddresses(), named...))
	return err
}

// unique are the addresses that lead here and nowhere else, each once.
func unique(all []netip.Addr) (out []netip.Addr) {
	for _, a := range all {
		if a = naming.Plain(a); a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// hostAddresses are the A and AAAA records of a name; none for one that is no name of the DNS.
func hostAddresses(ctx context.Context, r dns.Resolver, name string) (out []netip.Addr, err error) {
	name, ok := naming.Host(name)
	if !ok || isAddress(name) || name == localhost || !dns.Askable(name) {
		return nil, nil
	}
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		found, failed := r.Resolve(ctx, dns.Ask(name, t))
		if failed != nil {
			err = failed
			continue
		}
		for _, record := range found.Records {
			out = append(out, naming.Plain(record.Addr))
		}
	}
	return out, err
}

// publicAddresses are those by which others reach us, as the configuration names them.
func (s *settings) publicAddresses() (out []netip.Addr, err error) {
	for _, text := range s.PublicAddresses {
		a, failed := netip.ParseAddr(text)
		if failed != nil || a.Zone() != "" {
			err = fmt.Errorf("%q: want an address such as \"192.0.2.1\" or \"2001:db8::1\"", text)
			continue
		}
		out = append(out, naming.Plain(a))
	}
	return out, err
}

// interfaceAddresses are those of this machine's interfaces.
func interfaceAddresses() (out []netip.Addr) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil // the other addresses are known all the same
	}
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return unique(out)
}

// loops looks for what would come back here and shows in the DNS alone: a relay's name with an address of ours, an
// operator whose mail is brought to this service. skipped is what could not be asked.
func (s *settings) loops(ctx context.Context, own *ours, r dns.Resolver) (skipped []string, err error) {
	if err := own.look(ctx, r); err != nil {
		return []string{fmt.Sprintf("whether a mail would come back here: %v", err)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, oursTime)
	defer cancel()
	if s.Deliver.Relay != "" {
		return s.relayLoops(ctx, own, r)
	}
	if s.Operator == "" {
		return nil, nil
	}
	places, err := deliver.Destination(ctx, r, s.Operator)
	for i, p := range places {
		// RFC 5321, 5.1: what comes behind ourselves would bring it here too.
		if i == 0 && slices.ContainsFunc(p.Addrs, own.has) {
			return nil, &exitError{exitConfig, fmt.Errorf("configuration: %w", s.fault("operator",
				"%q: its mail server %s is this service: what is passed on to it would come back here: want a mailbox on another server", s.Operator, p.Host))}
		}
	}
	if err != nil {
		skipped = append(skipped, fmt.Sprintf("where mail for the operator is brought: %v", err))
	}
	return skipped, nil
}

func (s *settings) relayLoops(ctx context.Context, own *ours, r dns.Resolver) (skipped []string, err error) {
	host, port, err := net.SplitHostPort(s.Deliver.Relay)
	if err != nil {
		return nil, nil // check has told
	}
	found, err := hostAddresses(ctx, r, host)
	if err != nil {
		skipped = append(skipped, fmt.Sprintf("where the relay is: %v", err))
	}
	all := s.endpoints(func(string, string, ...any) {})
	if slices.ContainsFunc(found, own.has) && slices.ContainsFunc(all, func(e endpoint) bool { return fmt.Sprint(e.at.Port()) == port }) {
		return skipped, &exitError{exitConfig, fmt.Errorf("configuration: %w", s.fault("deliver.relay",
			"%q has an address of this service: replies would come back here: name another server or port", s.Deliver.Relay))}
	}
	return skipped, nil
}
