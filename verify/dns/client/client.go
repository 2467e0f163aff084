// Package client asks the DNS over the wire: UDP first, TCP where the answer is cut, several servers in
// turn. It makes a dns.Answer of what came back and a *dns.Error of what did not.
//
// It validates nothing (the resolver does), caches nothing (dns.Memo does, for one message) and follows
// no referrals.
//
// Where we differ: RFC 2308, 7.1 lets a resolver's SERVFAIL stand; we ask once more with checking
// disabled, because the report must tell a broken DNSSEC from a broken server.
package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mdns "github.com/miekg/dns"

	"checkauth/verify/dns"
	"checkauth/verify/panics"
)

// Config of a Client. The zero values are refused: start from Defaults.
type Config struct {
	Servers []netip.AddrPort // asked in this order
	Tries   int              // rounds over all servers
	Timeout time.Duration    // of one question to one server, over UDP and again over TCP

	// TrustAD believes the AD bit of servers that are not on loopback. On the way from any other
	// server it could have been set by anybody (RFC 4035, 4.9.3). Without it the bit counts where all servers
	// are on loopback: one that does not validate would be asked where one that does said SERVFAIL.
	TrustAD bool
	// Authoritative is for asking a domain's own servers: without RD, and only an answer with AA is
	// taken. A CNAME that leads out of the server's zones ends the answer: Chain has it, Records is empty.
	Authoritative bool
	Now           func() time.Time
}

// Defaults are two tries of three seconds; Servers must be filled in.
func Defaults() Config {
	return Config{Tries: 2, Timeout: 3 * time.Second, Now: time.Now}
}

// Client implements dns.Resolver; any number of goroutines may use it.
type Client struct {
	config   Config
	upstream atomic.Pointer[upstream]
	pools    sync.Map // of sockets, a *sync.Pool by netip.AddrPort
}

// upstream is whom a question goes to from its first try to its last.
type upstream struct {
	servers []netip.AddrPort
	trustAD bool
}

// New checks the configuration; nothing is asked yet.
func New(config Config) (*Client, error) {
	if config.Tries < 1 {
		return nil, fmt.Errorf("DNS client: %d tries: want at least one", config.Tries)
	}
	if config.Timeout <= 0 {
		return nil, fmt.Errorf("DNS client: timeout %s: want more than zero", config.Timeout)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	c := &Client{config: config}
	if _, err := c.Use(config.Servers, config.TrustAD); err != nil {
		return nil, err
	}
	return c, nil
}

// Use puts other servers in the place of those that were asked so far, with what Config says of TrustAD. Questions
// that run end with the servers that they began with. changed is false where these are in use already; with an error
// nothing has changed.
func (c *Client) Use(servers []netip.AddrPort, trustAD bool) (changed bool, err error) {
	if len(servers) == 0 {
		return false, errors.New("DNS client: no server: name one, or read them from /etc/resolv.conf")
	}
	for _, s := range servers {
		if !s.IsValid() || s.Port() == 0 {
			return false, fmt.Errorf("DNS client: server %q: want an address and a port, such as 127.0.0.1:53", s)
		}
	}
	old := c.upstream.Swap(&upstream{slices.Clone(servers), trustAD})
	return old == nil || old.trustAD != trustAD || !slices.Equal(old.servers, servers), nil
}

// Resolve asks for the records of one name and type and follows CNAMEs to where they are. The error is
// always a *dns.Error.
func (c *Client) Resolve(ctx context.Context, q dns.Question) (dns.Answer, error) {
	q.Name = dns.Canonical(q.Name)
	if !dns.Askable(q.Name) {
		return dns.Answer{}, &dns.Error{
			Question: q, Kind: dns.Malformed,
			Err: errors.New("the name cannot be asked for: want labels of 1 to 63 octets, 253 in all"),
		}
	}
	began := c.config.Now()
	walk := newWalk(q)
	walk.here = c.config.Authoritative
	up := c.upstream.Load()
	for !walk.done {
		reply, err := c.ask(ctx, up, walk.question())
		if err == nil {
			err = walk.take(reply.message)
			walk.answer.Server = reply.server.String()
			walk.answer.AD = walk.answer.AD && up.trusts()
		}
		if err != nil {
			err.Question, err.Time = q, c.config.Now()
			err.Took = err.Time.Sub(began)
			return dns.Answer{}, err
		}
	}
	walk.answer.Time = c.config.Now()
	walk.answer.Took = walk.answer.Time.Sub(began)
	return walk.answer, nil
}

// alive is how long each of two datagrams of a probe is waited for.
const alive = time.Second

// Alive tells whether any of the servers answers at all: nil, or why not. All are asked for the name servers of the
// root, side by side, within two seconds; whatever a server says but SERVFAIL is an answer.
func (c *Client) Alive(ctx context.Context) error {
	asked := &Client{config: c.config}
	asked.config.Timeout = alive
	ctx, cancel := context.WithCancel(ctx) // ends the others where one has answered
	defer cancel()
	servers := c.upstream.Load().servers
	said := make(chan error, len(servers))
	for _, server := range servers {
		go func() {
			defer panics.Recover(func(r *panics.Recovered) { said <- r })
			said <- asked.answers(ctx, server)
		}()
	}
	var errs []error
	for range servers {
		err := <-said
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *Client) answers(ctx context.Context, server netip.AddrPort) (err error) {
	root := dns.Question{Type: dns.NS}
	for range 2 {
		query := c.query(root, false)
		query.Id = randomID()
		packed, failed := query.Pack()
		if failed != nil {
			return failed
		}
		m, failed := c.overUDP(ctx, server, query, packed) // a cut answer is one
		switch {
		case failed != nil:
			err = failure(ctx, root, server, failed)
		case m.Rcode == mdns.RcodeServerFailure:
			return &dns.Error{Question: root, Kind: dns.ServFail, Server: server.String()}
		default:
			return nil
		}
	}
	return err
}

// trusts tells whether the AD bit means anything.
func (u *upstream) trusts() bool {
	return u.trustAD || !slices.ContainsFunc(u.servers, func(s netip.AddrPort) bool { return !s.Addr().Unmap().IsLoopback() })
}
