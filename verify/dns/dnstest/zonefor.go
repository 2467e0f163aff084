package dnstest

import (
	"net/netip"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
)

// T is what is needed of a *testing.T: the product's own demonstration serves zones too, and must not
// carry package testing.
type T interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Option changes how a zone is served or asked.
type Option func(*options)

type options struct {
	authoritative bool
	client        client.Config
}

// WithAuthoritative starts the authoritative servers too: name servers (of NS records and directives)
// whose A record lies in 127.0.0.0/8 listen there, on the resolver's port.
func WithAuthoritative() Option { return func(o *options) { o.authoritative = true } }

// WithClient changes the Config with which Zone asks the server.
func WithClient(change func(*client.Config)) Option {
	return func(o *options) { change(&o.client) }
}

func apply(opts []Option) options {
	o := options{client: client.Defaults()}
	// Short, so that a TIMEOUT costs a test one second; not shorter, as a busy machine may well take a
	// quarter of a second for an answer over loopback.
	o.client.Tries, o.client.Timeout = 2, 500*time.Millisecond
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// New serves the zone text until the test is over.
func New(t T, zone string, opts ...Option) *Server {
	t.Helper()
	s, err := Start(zone, opts...)
	if err != nil {
		t.Fatalf("dnstest: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Zone serves the zone text until the test is over and gives a real client that asks it, twice at
// most, 500 ms each.
func Zone(t T, zone string, opts ...Option) dns.Resolver {
	t.Helper()
	return New(t, zone, opts...).Client(t, opts...)
}

// Client gives a client that asks this server.
func (s *Server) Client(t T, opts ...Option) *client.Client {
	t.Helper()
	config := apply(opts).client
	config.Servers = []netip.AddrPort{s.addr}
	c, err := client.New(config)
	if err != nil {
		t.Fatalf("dnstest: %v", err)
	}
	return c
}
