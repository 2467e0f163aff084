// Package deliver takes entries to their destinations: MX by the DNS or the operator's relay, TLS where
// it is offered, tries until one takes the mail or the entry expires.
//
// Destinations are named by strangers, so nothing that they publish or say is trusted: an address is
// checked at the moment of connecting, what a server sends is bounded, and one that hangs costs nobody
// else their place.
//
// TLS is tried always. Where the domain promises it, by DANE (RFC 7672) or MTA-STS (RFC 8461), a server that
// does not keep the promise gets nothing; else it is opportunistic (RFC 7435), and a server that fails at it
// gets the mail in clear.
//
// Where we differ: REQUIRETLS (RFC 8689) is not offered. The client is our own: net/smtp and go-smtp's read an
// answer of any length into memory, and the latter says EHLO localhost before STARTTLS and takes back every
// deadline that we set.
package deliver

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/verify/dns"
	"checkauth/verify/mtasts"
	"checkauth/verify/share"
)

// Store is what delivery needs of store.Store; it is called from many goroutines.
type Store interface {
	Claim(ctx context.Context, now time.Time, n int) ([]store.Claimed, error)
	Renew(ctx context.Context, id string, now time.Time) error
	Done(ctx context.Context, id string, now time.Time, o store.Outcome) error
	Retry(ctx context.Context, id string, at time.Time, o store.Outcome) error
	Release(ctx context.Context, id string, at time.Time) error
	Fail(ctx context.Context, id string, now time.Time, o store.Outcome) error
}

// Config of a Deliverer.
type Config struct {
	Hostname string // in EHLO; our replies' SPF is that of this name
	Operator string // whose mail must not be lost unseen; empty: nobody's
	Relay    string // host:port that takes everything, on any network; empty: by MX
	// Login is for the relay, where it wants one; RelayTLS: TLS with a certificate of its name is a must there,
	// at port 465 from the first octet (RFC 8314, 3.3).
	Login    Login
	RelayTLS bool
	// From is the envelope sender at the relay, for relays that refuse <>; bounces come back to it.
	From string
	// DANE: the resolver validates DNSSEC, so that what it says is validated may be relied on (RFC 7672).
	DANE bool
	// MTASTS: what domains promise by MTA-STS is obeyed.
	MTASTS bool
	Roots  *x509.CertPool // of MTA-STS and the relay; nil: the system's
	Family string         // AnyFamily, IPv4 or IPv6
	Source []netip.Addr   // addresses to send from, one a family; none: the system chooses
	Six    netip.Addr     // our own IPv6 address, to see whether it has a name; zero: IPv4 is preferred
	Port   int            // of MX hosts
	// AllowPrivate permits addresses that are not on the public Internet. Own stay refused.
	AllowPrivate bool
	Own          func(netip.Addr) bool // tells our own addresses, to which mail would come back; nil: there are none
	Concurrency  int                   // deliveries at once; those that take long do not count, see slots.go
	PerDomain    int                   // deliveries at once to one domain
	// Retries are the times from a failed try to the next; the last one repeats until an entry expires.
	Retries []time.Duration
	Every   time.Duration // between two looks for due entries
	Connect time.Duration // for one connection
	Command time.Duration // for one command and its whole answer
	Data    time.Duration // for the message and the answer to its final dot
	Attempt time.Duration // for one try with all its hosts; shorter than the store's lease
	Lease   time.Duration // the store's: an entry that was put just now is ours for so long
	Grace   time.Duration // for what is running when Run is told to end
	// Took is told of an entry that a mail server took: the host's name and address, and the addresses that were connected
	// to in this try; nil: nobody asks.
	Took func(ctx context.Context, e reply.Entry, host string, at netip.Addr, met []netip.Addr)
	// Count counts an entry at a mail server's address before it is connected to; a full counter postpones the try to its
	// Until, a time of Now. nil: nobody counts.
	Count func(ctx context.Context, e reply.Entry, host string, at netip.Addr) (reply.Full, error)
	// Share tells which testers' networks have no bound in what waits and is under way.
	Share share.Rule
	// Health is that of our own resolver; nil: nobody watches over it. While it is down nothing is sent by MX.
	Health *dns.Health
	Log    *slog.Logger
	Now    func() time.Time
	// Dial connects; nil is the network, guarded as the package says. Another one guards itself.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Defaults are the house's bounds; RFC 5321, 4.5.3.2 asks for 5 minutes a command and 10 for the data.
func Defaults() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return Config{
		Hostname: host, Port: 25, Family: AnyFamily, Concurrency: 20, PerDomain: 4,
		Retries: []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, time.Hour},
		Every:   time.Second, Connect: 30 * time.Second, Command: 5 * time.Minute, Data: 10 * time.Minute,
		Attempt: 15 * time.Minute, Lease: store.Defaults().Lease, Grace: 10 * time.Second,
		Log: slog.Default(), Now: time.Now,
	}
}

func (c Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("deliver: "+format, args...)) }
	if c.Hostname == "" {
		bad("Hostname is empty: want this machine's name")
	}
	if c.Relay != "" {
		if _, _, err := net.SplitHostPort(c.Relay); err != nil {
			bad("Relay %q: %w: want host:port, such as \"smtp.example.org:25\"", c.Relay, err)
		}
	}
	if strings.ContainsFunc(c.From, control) {
		bad("From %q: want an address, without control characters", c.From)
	}
	if c.From != "" && c.Relay == "" {
		bad("From %q: it is for a relay alone: RFC 5321, 4.5.5 wants <> taken everywhere", c.From)
	}
	if c.Port < 1 || c.Port > 65535 {
		bad("Port %d: want 1 to 65535", c.Port)
	}
	if c.Concurrency < 1 || c.PerDomain < 1 {
		bad("Concurrency %d, PerDomain %d: want at least 1", c.Concurrency, c.PerDomain)
	}
	if !slices.Contains([]string{AnyFamily, IPv4, IPv6}, c.Family) {
		bad("Family %q: want %s, %s or %s", c.Family, AnyFamily, IPv4, IPv6)
	}
	if c.Login.User != "" && !c.RelayTLS && !onThisMachine(c.Relay) {
		bad("Login without RelayTLS would show the password to whoever listens: want TLS, or a relay on this machine")
	}
	if len(c.Retries) == 0 {
		bad("Retries is empty: want at least one time")
	}
	for name, d := range map[string]time.Duration{
		"Every": c.Every, "Connect": c.Connect, "Command": c.Command, "Data": c.Data, "Attempt": c.Attempt, "Grace": c.Grace,
	} {
		if d <= 0 {
			bad("%s is %s: want a time above zero", name, d)
		}
	}
	if c.Log == nil || c.Now == nil {
		bad("Log or Now is nil: start from Defaults()")
	}
	return errors.Join(errs...)
}

// onThisMachine tells whether a host:port is a loopback address.
func onThisMachine(relay string) bool {
	host, _, err := net.SplitHostPort(relay)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Deliverer takes entries to their destinations while Run runs.
type Deliverer struct {
	cfg        Config
	store      Store
	dns        dns.Resolver
	queue      *queue
	idle       connectionPool
	sts        *mtasts.Client // nil where MTA-STS is not asked
	six        addressOf
	complaints complaints
	wake       chan struct{} // there is something to start
	tasks      sync.WaitGroup
}

// New makes a Deliverer; nothing is sent before Run.
func New(cfg Config, st Store, resolver dns.Resolver) (*Deliverer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Dial == nil {
		cfg.Dial = dialer(cfg)
	}
	d := &Deliverer{
		cfg: cfg, store: st, dns: resolver, wake: make(chan struct{}, 1),
		queue: newQueue(cfg.Concurrency, cfg.PerDomain, cfg.Share),
	}
	d.queue.relayed = cfg.Relay != ""
	if cfg.MTASTS && cfg.Relay == "" { // the relay's dialer is not guarded
		sts := mtasts.Defaults()
		sts.Dial, sts.Roots, sts.Now = cfg.Dial, cfg.Roots, cfg.Now
		var err error
		if d.sts, err = mtasts.New(sts, resolver); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Enqueue hands over an entry right after Put, so that it leaves without waiting for the next look. It
// never blocks: where the queue is full, the entry goes back to the store and is claimed later.
func (d *Deliverer) Enqueue(e reply.Entry) {
	d.queue.add(store.Claimed{Entry: e, Until: e.Created.Add(d.cfg.Lease)}, d.cfg.Now())
	d.signal()
}

// ErrBehind: more replies come in than leave.
var ErrBehind = errors.New("replies leave too slowly: too many of them wait")

// The wait of Admit.
const (
	easeLook  = 50 * time.Millisecond
	admitMost = 5 * time.Second // it takes one of the slots to evaluate in
)

// Admit waits until replies leave about as fast as they come in, so that new ones are made more slowly before they get old. It
// waits only for those who cause the queue: where the network of client, which sends the test, or the organisation of to, the
// recipient, has had its share of it (queue.isBehind). After too long a wait it gives ErrBehind; after the context's end its
// cause.
func (d *Deliverer) Admit(ctx context.Context, client netip.Addr, to string) error {
	for end := time.Now().Add(admitMost); d.queue.isBehind(client, to, d.cfg.Now()); {
		if time.Now().After(end) {
			return ErrBehind
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(easeLook):
		}
	}
	return nil
}

func (d *Deliverer) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}
