package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"checkauth/reply/deliver"
	"checkauth/reply/store"
	"checkauth/smtpd"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// deliverSettings are how replies leave. The defaults are deliver's own.
type deliverSettings struct {
	Relay        string     `toml:"relay" help:"HOST:PORT of a mail server that takes all replies; empty: each goes to its domain's MX."`
	RelayUser    string     `toml:"relay-user" name:"relay-user" help:"User name at the relay, where it wants one."`
	RelaySecret  string     `toml:"relay-password-file" name:"relay-password-file" help:"File with the password at the relay, on its first line."`
	RelayTLS     bool       `toml:"relay-tls" name:"relay-tls" negatable:"" help:"TLS with a valid certificate of its name is a must at the relay, at port 465 from the first octet; a login needs it, unless the relay is on this machine."`
	From         string     `toml:"envelope-from" name:"envelope-from" help:"Envelope sender of our replies at a relay that refuses mail without one (Amazon SES: 501); bounces then come back to it, so a person has to read there, never a program that answers. Only with relay; empty: <>, as RFC 5321 wants it."`
	Helo         string     `toml:"helo" help:"Name that we give in EHLO; empty: hostname. Its SPF record is that of our replies."`
	Family       string     `toml:"family" help:"auto, ipv4 or ipv6. auto tries one address after another, IPv4 first, or IPv6 first where our own IPv6 address has a PTR record that leads back to it."`
	Source       []string   `toml:"source" help:"Addresses of this machine to send from, one a family; empty: the system chooses."`
	MTASTS       bool       `toml:"mta-sts" name:"mta-sts" negatable:"" help:"Obey what domains promise by MTA-STS."`
	DANE         bool       `toml:"dane" negatable:"" help:"Obey TLSA records. It needs a resolver that validates DNSSEC and is trusted to say so; without one it does nothing."`
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
		Command: duration(d.Command), Data: duration(d.Data), Port: d.Port, Family: d.Family, MTASTS: true, DANE: true}
	for _, r := range d.Retries {
		s.Retries = append(s.Retries, duration(r))
	}
	return s
}

// longest is the most that a reply waits for its next try, with the tenth that the delivery adds.
func (t deliverSettings) longest() time.Duration {
	var most time.Duration
	for _, r := range t.Retries {
		most = max(most, time.Duration(r))
	}
	return most + most/10
}

// deliverer makes the delivery from its settings.
func (s *settings) deliverer(c deliver.Config, st store.Store, resolver dns.Resolver) (*deliver.Deliverer, error) {
	d, err := deliver.New(c, st, resolver)
	if err != nil {
		return nil, &exitError{exitConfig, fmt.Errorf("configuration: %w", err)}
	}
	return d, nil
}

// delivery puts the settings into the delivery's own terms.
func (s *settings) delivery(own *ours, log *slog.Logger, e env) (deliver.Config, error) {
	c := deliver.Defaults()
	t := s.Deliver
	c.Hostname, c.Relay, c.Port, c.AllowPrivate = s.Hostname, t.Relay, t.Port, t.AllowPrivate
	c.Concurrency, c.PerDomain = t.Concurrency.number(), t.PerDomain.number()
	c.Connect, c.Command, c.Data = time.Duration(t.Connect), time.Duration(t.Command), time.Duration(t.Data)
	c.Retries = nil
	for _, r := range t.Retries {
		c.Retries = append(c.Retries, time.Duration(r))
	}
	c.Own, c.Log, c.Now = own.has, log, e.now
	if t.Helo != "" {
		c.Hostname = t.Helo
	}
	c.Family, c.DANE, c.RelayTLS, c.From = t.Family, t.DANE, t.RelayTLS, t.From
	c.MTASTS, c.Operator = t.MTASTS, s.Operator
	var err error
	if c.Login, err = t.login(); err != nil {
		return c, s.unusable("deliver.relay-password-file", err)
	}
	if c.Source, err = t.sources(); err != nil {
		return c, s.unusable("deliver.source", err)
	}
	c.Six = ownSix(c.Source)
	return c, nil
}

// checkFrom: what comes back to the envelope sender must not be answered, lest two programs write to each other for
// ever, and none of our own addresses is a mailbox that somebody reads.
func (s *settings) checkFrom(bad func(key, format string, args ...any)) {
	from := s.Deliver.From
	if from == "" {
		return
	}
	const key = "deliver.envelope-from"
	_, domain, err := smtpd.Mailbox(from)
	name, ok := naming.Host(domain)
	switch {
	case err != nil || !ok || isAddress(name) || from != result.ASCII(from):
		bad(key, "%q: want an address in ASCII, such as \"bounces@example.org\"", from)
	case s.Deliver.Relay == "":
		bad(key, "%q without deliver.relay: mail servers that we bring a reply to ourselves take <>", from)
	case slices.ContainsFunc(append([]string{s.Hostname}, s.Domains...), func(d string) bool { return sameDomain(d, name) }):
		bad(key, "%q is an address of this service: a bounce to it would be a mail loop; want a mailbox elsewhere that a person reads", from)
	}
}

// login is how we are known to the relay.
func (t deliverSettings) login() (deliver.Login, error) {
	if t.RelayUser == "" && t.RelaySecret == "" {
		return deliver.Login{}, nil
	}
	if t.Relay == "" || t.RelayUser == "" || t.RelaySecret == "" {
		return deliver.Login{}, errors.New("relay, relay-user and relay-password-file go together: give all three")
	}
	password, err := firstLine(t.RelaySecret)
	return deliver.Login{User: t.RelayUser, Password: password}, err
}

func (t deliverSettings) sources() (out []netip.Addr, err error) {
	for _, s := range t.Source {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return nil, fmt.Errorf("%q: want an address of this machine such as \"192.0.2.1\" or \"2001:db8::1\"", s)
		}
		out = append(out, a.Unmap())
	}
	return out, nil
}

// ownSix is the IPv6 address that we send from; the zero address where there is none. Nothing is sent to find
// out: the system is asked for its route to a root server of the DNS.
func ownSix(sources []netip.Addr) netip.Addr {
	for _, a := range sources {
		if a.Is6() {
			return a
		}
	}
	conn, err := net.Dial("udp6", "[2001:500:2::c]:53")
	if err != nil {
		return netip.Addr{}
	}
	defer func() { _ = conn.Close() }()
	a, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().WithZone("")
}
