package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/verify/mtasts"
	"checkauth/verify/result"
)

// outcome is who took an entry, or whom it was tried with last.
type outcome struct {
	host   string // name, and the address where we chose it
	alias  string // what a CNAME made of the host's name, or empty
	tls    string // version, and who wants it; or "no: " and why; empty where it did not come to that
	said   string // the server's last answer; a stranger's text
	talked bool   // some server was there to hear about the entry
	name   string // of the host alone
	at     netip.Addr
	met    []netip.Addr // that were connected to, at among them
	// bye keeps the connection for the next entry or says goodbye, which waits for the server; nil where nobody
	// took the entry. It comes when the outcome is stored: a process that ends between the two sends the entry
	// again.
	bye func()
}

// or is the outcome after another server failed too: that of the last one that gave a reason.
func (t outcome) or(next outcome) outcome {
	talked, met := t.talked || next.talked, slices.Concat(t.met, next.met)
	if next.said != "" || t.said == "" && (next.tls != "" || t.tls == "") {
		t = next
	}
	t.talked, t.met = talked, met
	return t
}

// outcome is what the store keeps beside the reason.
func (t outcome) outcome(kind, reason, to string) store.Outcome {
	kept := func(text string) string { return result.Cut(discreet(text, to), maxText) }
	return store.Outcome{Reason: reason, Kind: kind, Answer: kept(t.said), TLS: kept(t.tls), Host: kept(t.host)}
}

func (t outcome) attrs() []any {
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
	// ourAddress: the address that we came from was refused, so that one of the other family may do better.
	ourAddress bool
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// permanent: there is no use in another host or another try.
func permanent(err error) error { return &failure{err: err, permanent: true, stop: true} }

// verdictOf is what an error means for the entry, without the error.
func verdictOf(err error) failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return failure{permanent: f.permanent, stop: f.stop, ourAddress: f.ourAddress}
	}
	return failure{}
}

func isPermanent(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.permanent
}

func isFinal(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.stop
}

// try goes through the hosts of an entry until one takes it.
func (d *Deliverer) try(ctx context.Context, a *attempt) (outcome, error) {
	if err := sendable(a.Entry); err != nil {
		return outcome{}, permanent(err)
	}
	if d.cfg.Relay != "" {
		return d.relay(ctx, a)
	}
	key := domainOf(a.To)
	if what, done, err := d.reuse(ctx, key, a); done {
		return what, err
	}
	hosts, err := route(ctx, d.dns, a.To)
	if err != nil {
		return outcome{}, err
	}
	promised, err := d.policy(ctx, key)
	if err != nil {
		return outcome{}, err
	}
	return d.hosts(ctx, hosts, promised, a)
}

func (d *Deliverer) hosts(ctx context.Context, hosts []host, promised mtasts.Policy, a *attempt) (last outcome, err error) {
	var failed []error
	for i, h := range hosts {
		a.host(len(hosts) - 1 - i)
		what, errs := d.host(ctx, h, promised, a)
		if what.bye != nil {
			what.met = slices.Concat(last.met, what.met)
			return what, nil
		}
		last = last.or(what)
		failed = append(failed, errs...)
		if n := len(errs); n > 0 && isFinal(errs[n-1]) {
			break
		}
		if ctx.Err() != nil {
			// Hosts are left that nobody asked: what the others said is not the last word.
			failed = append(failed, context.Cause(ctx))
			break
		}
	}
	return last, together(failed)
}

// sendable: an address with a control character would end the command that it stands in.
func sendable(e reply.Entry) error {
	for _, a := range []string{e.From, e.To} {
		if strings.ContainsFunc(a, control) {
			return fmt.Errorf("%w: control character in %q", ErrBadAddress, a)
		}
	}
	return nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// relay hands the entry to the operator's relay.
func (d *Deliverer) relay(ctx context.Context, a *attempt) (outcome, error) {
	if what, done, err := d.reuse(ctx, "", a); done {
		return what, err
	}
	name, port, err := net.SplitHostPort(d.cfg.Relay)
	if err != nil {
		return outcome{}, err
	}
	s := server{host: name, addr: d.cfg.Relay, login: d.cfg.Login}
	if d.cfg.RelayTLS {
		s.implicit = port == submissions
		s.security = security{mandatory: true, by: "relay", verify: d.webPKI(name)}
	}
	var all []server
	if ip, err := netip.ParseAddr(name); err == nil {
		s.network = family(ip)
		all = append(all, s)
	} else {
		for _, s.network = range d.families(ctx) {
			all = append(all, s)
		}
	}
	what, failed := d.servers(ctx, "", all, a)
	if what.bye != nil {
		return what, nil
	}
	err = together(existing(failed))
	if !isFinal(err) {
		// It is the operator's, who will mend it; the entries wait for that.
		err = &failure{err: err}
	}
	return what, err
}

// existing leaves out what only says that the relay's name has no address of one family.
func existing(failed []error) []error {
	out := slices.DeleteFunc(slices.Clone(failed), func(err error) bool {
		name, unknown := errors.AsType[*net.DNSError](err)
		_, unsuitable := errors.AsType[*net.AddrError](err)
		return unsuitable || unknown && name.IsNotFound
	})
	if len(out) == 0 {
		return failed[:1]
	}
	return out
}

// submissions is the port of RFC 8314, 3.3, where TLS begins with the first octet.
const submissions = "465"

// host goes through the addresses of one host. The last error is the one that ended it.
func (d *Deliverer) host(ctx context.Context, h host, promised mtasts.Policy, a *attempt) (last outcome, failed []error) {
	last.host = server{host: h.name}.String()
	addrs, alias, err := addresses(ctx, d.dns, h)
	if err != nil {
		return last, []error{err}
	}
	secure, err := d.security(ctx, domainOf(a.To), h, promised)
	if err != nil {
		return last, []error{err}
	}
	var all []server
	for _, ip := range d.inOrder(ctx, addrs) {
		// check saw to the port's range
		addr := netip.AddrPortFrom(ip, uint16(d.cfg.Port)).String()
		all = append(all, server{host: h.name, alias: alias, addr: addr, network: family(ip), security: secure})
	}
	if len(all) == 0 {
		return last, []error{fmt.Errorf("%w of the family %s: %q", ErrNoAddress, d.cfg.Family, h.name)}
	}
	return d.servers(ctx, domainOf(a.To), all, a)
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
	host  string
	alias string // of the host's name, or empty
	addr  string // host:port, as Dial takes it
	// network is the family that is dialled, as Dial takes it: a relay's name may have addresses of both.
	network string

	security security
	implicit bool // TLS from the first octet
	login    Login
}

func (s server) String() string {
	name := result.Clean(s.host) // DNS gives any octets
	if ip, _, err := net.SplitHostPort(s.addr); err == nil && ip != name && !strings.HasPrefix(name, "[") {
		name += " [" + ip + "]"
	}
	return name
}

// server connects to one address and gives it the entry, in clear where it offers TLS and then fails at it: RFC 7435,
// 3: better so than not at all, as long as nobody promised TLS.
func (d *Deliverer) server(ctx context.Context, key string, s server, left int, a *attempt) (outcome, error) {
	if err := d.counted(ctx, a, s); err != nil {
		return s.outcomeOf(&session{}), err
	}
	var failed error // how TLS failed at this host, maybe at another address of it
	if !s.security.mandatory {
		failed = a.failedTLS(s)
	}
	said, err := d.converse(ctx, s, left, a, failed)
	if failed == nil && errors.Is(err, errHandshake) && !s.security.mandatory && ctx.Err() == nil {
		a.noTLS[s.host], a.noTLS[s.addr] = err, err
		if !a.more() {
			err = inClear(err, errConnections)
		} else {
			var again *session
			again, err = d.converse(ctx, s, left, a, err)
			said = cmp.Or(again, said)
		}
	}
	if err != nil {
		return s.outcomeOf(cmp.Or(said, &session{})), err
	}
	return d.keeping(key, said, s.outcomeOf(said)), nil
}

// converse connects and gives the server the entry: in clear where failed says how TLS did. There is no session where
// it could not connect.
func (d *Deliverer) converse(ctx context.Context, s server, left int, a *attempt, failed error) (of *session, err error) {
	conn, err := d.connect(ctx, s, left, a)
	if err == nil {
		of, err = d.speak(ctx, conn, s, a, failed)
	}
	if err != nil && failed != nil {
		// What failed first is what somebody has to fix: in clear a server that insists on TLS says only that.
		err = inClear(failed, err)
	}
	return of, err
}

// inClear joins why TLS failed with what came of the try without it, which decides.
func inClear(tls, err error) error {
	out := verdictOf(err)
	out.err = fmt.Errorf("%w; in clear then: %w", tls, err)
	return &out
}

// outcomeOf is what came of a session.
func (s server) outcomeOf(of *session) outcome {
	out := outcome{host: s.String(), alias: s.alias, tls: of.tls, said: of.said, talked: of.talked, name: s.host}
	if at, err := netip.ParseAddrPort(s.addr); err == nil { // a relay may have a name
		out.at, out.met = at.Addr(), []netip.Addr{at.Addr()}
	}
	return out
}
