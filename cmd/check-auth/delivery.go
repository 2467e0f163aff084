package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"checkauth/reply/deliver"
	"checkauth/reply/store"
	"checkauth/verify/dns"
)

// deliverSettings are how replies leave. The defaults are deliver's own.
type deliverSettings struct {
	Relay        string     `toml:"relay" help:"HOST:PORT of a mail server that takes all replies; empty: each goes to its domain's MX."`
	Retries      []duration `toml:"retries" help:"Times from a failed try to the next; the last one repeats."`
	Concurrency  limit      `toml:"concurrency" help:"Deliveries at once."`
	PerDomain    limit      `toml:"per-domain" help:"Deliveries at once to one domain."`
	Connect      duration   `toml:"connect" help:"How long to wait for a connection."`
	Command      duration   `toml:"command" help:"How long to wait for the answer to a command."`
	Data         duration   `toml:"data" help:"How long to wait for the answer to a message."`
	Port         int        `toml:"port" help:"Port of the MX hosts."`
	AllowPrivate bool       `toml:"allow-private" help:"Deliver also to addresses that are not on the public Internet: for tests in a closed network."`
}

func deliverDefaults() deliverSettings {
	d := deliver.Defaults()
	s := deliverSettings{Concurrency: limit(d.Concurrency), PerDomain: limit(d.PerDomain), Connect: duration(d.Connect),
		Command: duration(d.Command), Data: duration(d.Data), Port: d.Port}
	for _, r := range d.Retries {
		s.Retries = append(s.Retries, duration(r))
	}
	return s
}

// deliverer makes the delivery from its settings.
func (s *settings) deliverer(st store.Store, resolver dns.Resolver, log *slog.Logger, e env) (*deliver.Deliverer, error) {
	c := deliver.Defaults()
	t := s.Deliver
	c.Hostname, c.Relay, c.Port, c.AllowPrivate = s.Hostname, t.Relay, t.Port, t.AllowPrivate
	c.Concurrency, c.PerDomain = t.Concurrency.number(), t.PerDomain.number()
	c.Connect, c.Command, c.Data = time.Duration(t.Connect), time.Duration(t.Command), time.Duration(t.Data)
	c.Retries = nil
	for _, r := range t.Retries {
		c.Retries = append(c.Retries, time.Duration(r))
	}
	c.Own, c.Log, c.Now = ownAddresses(), log, e.now
	d, err := deliver.New(c, st, resolver)
	if err != nil {
		return nil, &exitError{exitConfig, fmt.Errorf("configuration: %w", err)}
	}
	return d, nil
}

// ownAddresses are those of this machine's interfaces: a reply to one of them would come back to us.
// Loopback is refused as such.
func ownAddresses() []netip.Addr {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil // what is left then is that our own domains are not answered
	}
	var out []netip.Addr
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out
}
