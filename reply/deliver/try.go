package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"checkauth/reply"
	"checkauth/verify/result"
)

// taken is who took an entry, for the log.
type taken struct {
	host  string // name, and the address where we chose it
	alias string // what a CNAME made of the host's name, or empty
	tls   string // version; or "no" and why
	// bye says goodbye, which waits for the server; nil where nobody took the entry. It comes when the
	// outcome is stored: a process that ends between the two sends the entry again.
	bye func()
}

func (t taken) attrs() []any {
	out := []any{"host", t.host, "tls", t.tls}
	if t.alias != "" {
		out = append(out, "alias", t.alias)
	}
	return out
}

// failure is an error with what it means for the entry. An error that is none is temporary, and
// another host may do better.
type failure struct {
	err       error
	permanent bool
	stop      bool // no other host is asked
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// permanent: there is no use in another host or another try.
func permanent(err error) error { return &failure{err: err, permanent: true, stop: true} }

func isPermanent(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.permanent
}

func isFinal(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.stop
}

// try goes through the hosts of an entry until one takes it.
func (d *Deliverer) try(ctx context.Context, e reply.Entry) (taken, error) {
	if err := sendable(e); err != nil {
		return taken{}, permanent(err)
	}
	if d.cfg.Relay != "" {
		return d.relay(ctx, e)
	}
	hosts, err := d.route(ctx, e.To)
	if err != nil {
		return taken{}, err
	}
	var failed []error
	for _, h := range hosts {
		what, errs := d.host(ctx, h, e)
		if len(errs) == 0 {
			return what, nil
		}
		failed = append(failed, errs...)
		if isFinal(errs[len(errs)-1]) {
			break
		}
		if ctx.Err() != nil {
			// Hosts are left that nobody asked: what the others said is not the last word.
			failed = append(failed, context.Cause(ctx))
			break
		}
	}
	return taken{}, together(failed)
}

// sendable: an address with a control character would end the command that it stands in.
func sendable(e reply.Entry) error {
	for _, a := range []string{e.From, e.To} {
		if strings.ContainsFunc(a, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%w: control character in %q", errBadAddress, a)
		}
	}
	return nil
}

// relay hands the entry to the operator's relay.
func (d *Deliverer) relay(ctx context.Context, e reply.Entry) (taken, error) {
	name, _, err := net.SplitHostPort(d.cfg.Relay)
	if err != nil {
		return taken{}, err
	}
	what, err := d.at(ctx, server{host: name, addr: d.cfg.Relay}, e)
	if err != nil && !isFinal(err) {
		// It is the operator's, who will mend it; the entries wait for that.
		err = &failure{err: err}
	}
	return what, err
}

// host goes through the addresses of one host. The last error is the one that ended it.
func (d *Deliverer) host(ctx context.Context, h host, e reply.Entry) (taken, []error) {
	addrs, alias, err := d.addresses(ctx, h)
	if err != nil {
		return taken{}, []error{err}
	}
	var failed []error
	for _, a := range addrs {
		s := server{host: h.name, addr: netip.AddrPortFrom(a, uint16(d.cfg.Port)).String()} // check saw to the range
		what, err := d.at(ctx, s, e)
		if err == nil {
			what.alias = alias
			return what, nil
		}
		failed = append(failed, err)
		if isFinal(err) || ctx.Err() != nil {
			break
		}
	}
	return taken{}, failed
}

// together makes one error of those of all hosts. One that ended the try decides alone; else it is
// permanent where every one is: RFC 5321, 5.1 wants each host tried before that.
func together(failed []error) error {
	last := failed[len(failed)-1]
	if isFinal(last) || len(failed) == 1 {
		return last
	}
	all := &failure{permanent: true}
	for i, err := range failed {
		all.permanent = all.permanent && isPermanent(err)
		if i == 0 {
			all.err = err
			continue
		}
		all.err = fmt.Errorf("%w; %w", all.err, err)
	}
	return all
}

// server is one address that is spoken to.
type server struct {
	host string
	addr string // host:port, as Dial takes it
}

func (s server) String() string {
	name := result.Clean(s.host) // DNS gives any octets
	if ip, _, err := net.SplitHostPort(s.addr); err == nil && ip != name && !strings.HasPrefix(name, "[") {
		name += " [" + ip + "]"
	}
	return name
}

// at tries one server, in clear where it offers TLS and then fails at it: RFC 7435, 3: better so than
// not at all, as long as nobody promised TLS.
func (d *Deliverer) at(ctx context.Context, s server, e reply.Entry) (taken, error) {
	what := taken{host: s.String()}
	version, bye, err := d.speak(ctx, s, e, true)
	if handshake := err; errors.Is(err, errHandshake) && ctx.Err() == nil {
		_, bye, err = d.speak(ctx, s, e, false)
		version = "no: " + handshake.Error()
	}
	what.tls, what.bye = version, bye
	return what, err
}
