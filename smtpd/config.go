package smtpd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/share"
)

// Config of a Server.
type Config struct {
	Host  string
	TLS   *tls.Config                     // nil: no STARTTLS
	Spool string                          // folder for messages above 64 KiB, and those that Buffer has no room for, while they are here
	Role  func(local, domain string) Role // local unquoted, domain as written, "" for <postmaster>

	Message    int64       // octets; exactly that many are accepted
	Header     mail.Bounds // beyond: 552 at the final dot
	Recipients int         // of one transaction

	Connections, PerIP, PerNetwork int // at once; a network is a /24 or /64
	Errors, Commands, UnknownUsers int // of one session

	Command  time.Duration // for one command; 60 s above half of the connections, 10 s above 90 %, and then for a step towards a mail too
	DataIdle time.Duration // without an octet in DATA
	Session  time.Duration // of one session, without our own evaluations
	Stop     time.Duration // that open transactions have at a stop
	MinRate  int           // octets a second over any 60 s of DATA

	Evaluations   int        // at once, at the final dot; beyond: 451. Nearly all of the time they wait for the DNS
	Share         share.Rule // of connections, evaluations and Buffer, for one client network
	Buffer        int64      // octets of messages in memory, over all sessions; what is more goes to Spool at once, and a header hears 452
	BeginsSession int        // transactions that begin in one session
	BeginsNetwork int        // and in a minute from a client network

	Trusted  []netip.Prefix // private networks whose clients are taken as they are
	Loopback bool           // so are clients on loopback; else their tests are put off

	Log *slog.Logger
	Now func() time.Time
	ID  func() string // a new report id
}

// Defaults of Config; Host, TLS, Spool, Role and ID are the caller's.
func Defaults() Config {
	return Config{
		Message: 10 << 20, Header: mail.DefaultBounds(), Recipients: 5,
		Connections: 1000, PerIP: 20, PerNetwork: 60,
		Errors: 10, Commands: 100, UnknownUsers: 10,
		Command: 5 * time.Minute, DataIdle: 3 * time.Minute, Session: 15 * time.Minute, Stop: 30 * time.Second,
		MinRate: 500, Evaluations: 256, Share: share.Rule{Part: 8}, Buffer: 16 << 20, BeginsSession: 10, BeginsNetwork: 60,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

const maxHeader = 64 << 20

// Check names every value that cannot be used, all at once.
func (c Config) Check() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", field, fmt.Errorf(format, args...)))
	}
	for _, n := range c.numbers() {
		if n.value <= 0 {
			bad(n.field, "%d: want a number above zero", n.value)
		}
	}
	for _, d := range c.times() {
		if d.value <= 0 {
			bad(d.field, "%s: want a time above zero", d.value)
		}
	}
	if c.Header.Bytes > maxHeader {
		bad("Header.Bytes", "%d: want at most %d, for it is held in memory", c.Header.Bytes, maxHeader)
	}
	for field, missing := range map[string]bool{"Role": c.Role == nil, "Log": c.Log == nil, "Now": c.Now == nil, "ID": c.ID == nil} {
		if missing {
			bad(field, "is missing")
		}
	}
	if !isName(c.Host) {
		bad("Host", "%q: want a host name such as verifier.example.org", c.Host)
	}
	if c.Spool == "" {
		bad("Spool", "want a folder for large messages")
	}
	for _, p := range c.Trusted {
		if !p.IsValid() {
			bad("Trusted", "%s: want a network such as 192.0.2.0/24", p)
		}
	}
	return errors.Join(errs...)
}

type bound[T any] struct {
	field string
	value T
}

func (c Config) numbers() []bound[int64] {
	return []bound[int64]{
		{"Message", c.Message}, {"Header.Bytes", int64(c.Header.Bytes)}, {"Header.Fields", int64(c.Header.Fields)},
		{"Header.Folds", int64(c.Header.Folds)}, {"Recipients", int64(c.Recipients)},
		{"Connections", int64(c.Connections)}, {"PerIP", int64(c.PerIP)}, {"PerNetwork", int64(c.PerNetwork)},
		{"Errors", int64(c.Errors)}, {"Commands", int64(c.Commands)}, {"UnknownUsers", int64(c.UnknownUsers)},
		{"MinRate", int64(c.MinRate)}, {"Evaluations", int64(c.Evaluations)}, {"Buffer", c.Buffer},
		{"BeginsSession", int64(c.BeginsSession)}, {"BeginsNetwork", int64(c.BeginsNetwork)},
	}
}

func (c Config) times() []bound[time.Duration] {
	return []bound[time.Duration]{
		{"Command", c.Command}, {"DataIdle", c.DataIdle}, {"Session", c.Session}, {"Stop", c.Stop},
	}
}

// isName: letters, digits, hyphens and dots; it is written into replies.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' {
			continue
		}
		return false
	}
	return s != ""
}
