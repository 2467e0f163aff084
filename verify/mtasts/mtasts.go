// Package mtasts learns the MTA-STS policy of a domain that mail is brought to (RFC 8461): the record in
// the DNS, the policy over HTTPS, and a cache of what was learnt. It enforces nothing: whoever delivers
// asks Policy.Allows and sees to the certificate of the MX host.
//
// Where we differ: 3.3: a policy is fetched again when somebody asks for it, not by the clock: a domain
// that gets no mail costs nothing. 5.1: the record is asked for each time, not only where delivery failed,
// so that a domain that changed its policy is obeyed at once. 10: the cache lives in memory, and a restart
// forgets it.
package mtasts

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/panics"
)

// Mode is what a policy wants of a sender: RFC 8461, 5.
type Mode string

// The modes. The empty Mode is that of no policy at all.
const (
	Enforce Mode = "enforce" // deliver to no host that does not satisfy the policy
	Testing Mode = "testing" // deliver all the same, and report
	None    Mode = "none"    // as if there were no policy
)

// Policy is what a domain asks for. The zero Policy means that none applies. It is shared: callers do not
// write to MX.
type Policy struct {
	ID      string // of the record that announced it
	Mode    Mode
	MX      []string // patterns in lower case, A-labels; may be empty with mode none alone
	MaxAge  time.Duration
	Expires time.Time // MaxAge after it was fetched
}

// Allows tells whether a host, by the name in its MX record, is one of the policy's. Where the policy asks
// for nothing (mode none, or no policy) every host is; in testing the answer is for the log alone.
//
// RFC 8461, 4.1: labels are compared without regard to case, and "*" stands for exactly one label at the
// left.
func (p Policy) Allows(mxHost string) bool {
	if p.Mode == None || p.Mode == "" {
		return true
	}
	host, ok := naming.ASCII(mxHost)
	if !ok || host == "" {
		return false
	}
	label, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(p.MX, func(pattern string) bool {
		if under, ok := strings.CutPrefix(pattern, "*."); ok {
			return label != "" && parent == under
		}
		return host == pattern
	})
}

// Config of a Client.
type Config struct {
	// Dial connects to an address and port; it is asked for addresses that strangers named, and refuses
	// those that nobody has to reach. There is no default.
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	Port    int            // of policy hosts
	Roots   *x509.CertPool // nil: the system's
	Timeout time.Duration  // for one fetch with its look-ups, at most a minute
	Size    int            // octets of a policy
	Refresh time.Duration  // after which a cached policy is fetched again though its id is the same
	Again   time.Duration  // after which a fetch that failed is tried again with the same id
	Entries int            // domains in the cache; the least recently asked for goes first
	Now     func() time.Time
}

// maxTimeout: RFC 8461, 3.3: one minute is suggested. A delivery waits for the fetch, so it is no more.
const maxTimeout = time.Minute

// Defaults are those of RFC 8461, 3.3 (64 KiB, one day, five minutes), with a shorter time: a policy is a
// few lines of text.
func Defaults() Config {
	return Config{
		Port: 443, Timeout: 10 * time.Second, Size: 64 << 10, Refresh: 24 * time.Hour, Again: 5 * time.Minute,
		Entries: 10_000, Now: time.Now,
	}
}

func (c Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("mtasts: "+format, args...)) }
	if c.Dial == nil {
		bad("Dial is nil: want one that refuses addresses off the public Internet")
	}
	if c.Now == nil {
		bad("Now is nil: start from Defaults()")
	}
	if c.Port < 1 || c.Port > 65535 {
		bad("Port %d: want 1 to 65535", c.Port)
	}
	if c.Timeout <= 0 || c.Timeout > maxTimeout {
		bad("Timeout is %s: want a time above zero, at most %s", c.Timeout, maxTimeout)
	}
	if c.Refresh <= 0 || c.Again <= 0 {
		bad("Refresh %s, Again %s: want times above zero", c.Refresh, c.Again)
	}
	if c.Size < 1 || c.Entries < 1 {
		bad("Size %d, Entries %d: want at least 1", c.Size, c.Entries)
	}
	return errors.Join(errs...)
}

// Client learns policies and remembers them. Its methods may be called from any goroutine.
type Client struct {
	cfg Config
	dns dns.Resolver
	ctx context.Context // of all fetches; ends with Close
	end context.CancelCauseFunc

	mu      sync.Mutex
	cache   *cache
	flights map[string]*flight // fetches that run, by domain
	closed  bool
	running sync.WaitGroup
	room    chan struct{} // of fetches at once
}

// mostFetches run at once: strangers name the hosts. Who waits for room has the same deadline, so that no domain delays
// another's mail for longer.
const mostFetches = 20

// flight is one fetch that several may wait for. policy and err are set when done is closed.
type flight struct {
	done   chan struct{}
	policy Policy
	err    error
}

// New makes a Client that asks resolver for records and for the addresses of policy hosts.
func New(cfg Config, resolver dns.Resolver) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, dns: resolver, cache: newCache(cfg.Entries, heldOctets), flights: map[string]*flight{}, room: make(chan struct{}, mostFetches)}
	c.ctx, c.end = context.WithCancelCause(context.Background())
	return c, nil
}

// errClosed is why no policy is fetched after Close.
var errClosed = errors.New("the MTA-STS client is closed")

// Close ends the fetches that run and waits for them. A Client that is not closed leaves nothing behind
// either, once the last fetch's time is over.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end(errClosed)
	c.running.Wait()
}

// Policy gives the policy that applies to mail for a domain: of the envelope recipient, or the smart
// host's name (RFC 8461, 3.4: never of a domain above). It blocks while the policy is fetched.
//
// A *FetchError beside it is for the log: the policy, cached or none, applies all the same, and the mail
// goes on its way (RFC 8461, 3.3). Any other error is the end of ctx: no more than what is cached is known,
// and the mail waits.
func (c *Client) Policy(ctx context.Context, domain string) (Policy, error) {
	name, ok := naming.ASCII(domain)
	if !ok || !isDomain(name) || !dns.Askable(policyHost(name)) {
		return Policy{}, nil // no policy host can have such a name; an address literal is among them
	}
	answer, err := c.dns.Resolve(ctx, dns.Ask("_mta-sts."+name, dns.TXT))
	if ctx.Err() != nil {
		return c.cached(name), over(ctx, name)
	}
	if err != nil {
		return c.cached(name), &FetchError{Domain: name, Step: Record, Err: err}
	}
	id := recordID(answer.Texts())
	if id == "" {
		// RFC 8461, 3.1: a missing record alone does not take back what is cached.
		return c.cached(name), nil
	}
	f := c.begin(name, id)
	select {
	case <-f.done:
		return f.policy, f.err
	default:
	}
	select {
	case <-f.done:
		return f.policy, f.err
	case <-ctx.Done():
		return c.cached(name), over(ctx, name)
	}
}

// Cached is the policy of a domain that is remembered; nothing is asked for it.
func (c *Client) Cached(domain string) Policy {
	name, ok := naming.ASCII(domain)
	if !ok {
		return Policy{}
	}
	return c.cached(name)
}

func over(ctx context.Context, name string) error {
	return fmt.Errorf("MTA-STS policy of %q: %w", name, context.Cause(ctx))
}

// cached is the policy that is remembered and has not expired.
func (c *Client) cached(name string) Policy {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.cache.get(name); e != nil {
		return e.valid(c.cfg.Now())
	}
	return Policy{}
}

// begin gives what the cache knows of a policy with this id, else the fetch of it, which it starts where
// none runs.
func (c *Client) begin(name, id string) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	var held Policy
	if e := c.cache.get(name); e != nil {
		held = e.valid(now)
		if held.ID == id && within(now, e.fetched, min(c.cfg.Refresh, held.MaxAge/2)) {
			return ended(held, nil)
		}
		// RFC 8461, 3.3: a fetch that failed is not tried again for five minutes, with the same id.
		if e.failed != nil && e.failed.ID == id && within(now, e.failedAt, c.cfg.Again) {
			return ended(held, e.failed)
		}
	}
	if f := c.flights[name]; f != nil {
		return f
	}
	if c.closed {
		return ended(held, &FetchError{Domain: name, ID: id, Step: Connect, Err: errClosed})
	}
	f := &flight{done: make(chan struct{})}
	c.flights[name] = f
	c.running.Go(func() { c.fly(f, name, id) })
	return f
}

// fetchInTurn fetches when there is room.
func (c *Client) fetchInTurn(ctx context.Context, name, id string) (Policy, *FetchError) {
	select {
	case c.room <- struct{}{}:
		defer func() { <-c.room }()
		return c.fetch(ctx, name, id)
	case <-ctx.Done():
		return Policy{}, &FetchError{Domain: name, ID: id, Step: Connect, Err: context.Cause(ctx)}
	}
}

// within: less than d has gone by since then. Nothing has since a time that has not come: the clock was set back.
func within(now, since time.Time, d time.Duration) bool {
	return !now.Before(since) && now.Sub(since) < d
}

func ended(p Policy, err error) *flight {
	f := &flight{done: make(chan struct{}), policy: p, err: err}
	close(f.done)
	return f
}

// fly fetches under the Client's context: the first asker's end must not answer the others.
func (c *Client) fly(f *flight, name, id string) {
	defer close(f.done)
	defer panics.Recover(func(r *panics.Recovered) {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.flights, name)
		f.err = &FetchError{Domain: name, ID: id, Step: Connect, Err: r}
	})
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.cfg.Timeout, errTimeout)
	defer cancel()
	p, err := c.fetchInTurn(ctx, name, id)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, name)
	now := c.cfg.Now()
	if err == nil {
		p.ID, p.Expires = id, now.Add(p.MaxAge)
		f.policy = p
		c.cache.put(&entry{domain: name, policy: p, fetched: now})
		return
	}
	f.err = err
	kept := &entry{domain: name, failed: err.remember(), failedAt: now}
	if e := c.cache.get(name); e != nil {
		kept.policy, kept.fetched = e.valid(now), e.fetched
	}
	f.policy = kept.policy
	if c.ctx.Err() == nil { // else it was ours, not the host's
		c.cache.put(kept)
	}
}
