package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"checkauth/smtpd"
)

// endpoint is an address to listen on, as the configuration has it.
type endpoint struct {
	key, text string         // its key, and how it stands there
	at        netip.AddrPort // port 0 is any free one
	network   string         // tcp4, tcp6, or tcp for both
}

// parseEndpoint reads an address to listen on. A literal is of its own family alone: 0.0.0.0 is all of IPv4, [::]
// all of IPv6, so that both can stand in one list; ":25" is both at once, as one socket. localhost is 127.0.0.1,
// whatever the hosts file says.
func parseEndpoint(key, text string) (endpoint, error) {
	s, network := text, ""
	switch host, port, _ := strings.Cut(text, ":"); host {
	case "":
		s, network = "[::]:"+port, "tcp"
	case "localhost":
		s = "127.0.0.1:" + port
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil {
		return endpoint{}, err
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	switch {
	case network != "":
	case at.Addr().Is4():
		network = "tcp4"
	default:
		network = "tcp6"
	}
	return endpoint{key: key, text: text, at: at, network: network}, nil
}

// address is what is handed to the system.
func (a endpoint) address() string {
	if a.network == "tcp" {
		return fmt.Sprintf(":%d", a.at.Port())
	}
	return a.at.String()
}

// public tells whether others than this machine reach it.
func (a endpoint) public() bool { return !a.at.Addr().IsLoopback() }

// clashes tells whether two cannot be listened on at once.
func (a endpoint) clashes(b endpoint) bool {
	if a.at.Port() != b.at.Port() || a.at.Port() == 0 {
		return false
	}
	if a.network != b.network {
		return a.network == "tcp" || b.network == "tcp"
	}
	return a.at.Addr() == b.at.Addr() || a.at.Addr().IsUnspecified() || b.at.Addr().IsUnspecified()
}

// endpoints are all that can be read of listen and proxy.listen; bad is told of the others.
func (s *settings) endpoints(bad func(key, format string, args ...any)) (all []endpoint) {
	for _, list := range []struct {
		key   string
		texts []string
	}{{"listen", s.Listen}, {"proxy.listen", s.Proxy.Listen}} {
		for _, text := range list.texts {
			a, err := parseEndpoint(list.key, text)
			if err != nil {
				bad(list.key, "%q: want ADDRESS:PORT, such as \"0.0.0.0:25\", \"[::]:25\" or \"127.0.0.1:2525\"", text)
				continue
			}
			all = append(all, a)
		}
	}
	return all
}

// checkListen: what one socket takes another one cannot have; the system would say only that it is in use.
func (s *settings) checkListen(all []endpoint, bad func(key, format string, args ...any)) {
	if len(s.Listen)+len(s.Proxy.Listen) == 0 {
		bad("listen", "no address to listen on: want such as [\"0.0.0.0:25\", \"[::]:25\"]")
	}
	for i, b := range all {
		for _, a := range all[:i] {
			if a.clashes(b) {
				bad(b.key, "%q takes in what %s %q listens on: leave one of them out", b.text, a.key, a.text)
			}
		}
	}
	if len(s.Proxy.Listen) > 0 && len(s.Proxy.Trusted) == 0 {
		bad("proxy.trusted", "no network: name those of your load balancers, such as [\"192.0.2.0/24\"]")
	}
}

// listen opens all addresses before anything is served, so that a port in use is seen at once. Sockets that the
// service manager holds take their place: it keeps them while the program is started anew, and nobody is refused.
func (v *service) listen(s *settings) error {
	handed, err := activation.ListenersWithNames()
	if err != nil {
		return &exitError{exitConfig, fmt.Errorf("the service manager's sockets: %w", err)}
	}
	for name, all := range handed {
		for _, l := range all {
			if l == nil {
				return &exitError{exitConfig, fmt.Errorf("the service manager's socket %q is no TCP socket: want ListenStream", name)}
			}
			v.take(l, name == "proxy", s)
			if err := s.checkHanded(name, l.Addr()); err != nil {
				return err
			}
		}
	}
	if len(handed) > 0 {
		return nil
	}
	return v.open(s)
}

func (v *service) take(l net.Listener, proxied bool, s *settings) {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		v.ours.add(a.AddrPort().Addr())
	}
	if proxied {
		v.proxied = append(v.proxied, smtpd.Proxy(l, s.Proxy.Trusted, time.Duration(s.Proxy.Timeout)))
		return
	}
	v.plain = append(v.plain, l)
}

// open listens on what the configuration names. A machine without IPv6 has nobody who could come by [::].
func (v *service) open(s *settings) error {
	all := s.endpoints(func(string, string, ...any) {}) // check has read them
	for _, a := range all {
		l, err := net.Listen(a.network, a.address())
		if a.at.Addr() == netip.IPv6Unspecified() && errors.Is(err, syscall.EAFNOSUPPORT) && len(all) > 1 {
			v.log.Warn("not listened on: this machine has no IPv6", "key", a.key, "address", a.text)
			continue
		}
		if err != nil {
			return s.listenError(a, err)
		}
		v.take(l, a.key == "proxy.listen", s)
	}
	if len(v.plain)+len(v.proxied) == 0 {
		return &exitError{exitConfig, s.fault("listen", "this machine has no IPv6: name an IPv4 address, such as \"0.0.0.0:25\"")}
	}
	return nil
}

// checkHanded: what holds for an address to listen on holds for a socket of the service manager.
func (s *settings) checkHanded(name string, at net.Addr) error {
	tcp, ok := at.(*net.TCPAddr)
	if !ok {
		return &exitError{exitConfig, fmt.Errorf("the service manager's socket %q is no TCP socket: want ListenStream=25", name)}
	}
	var errs []error
	a := endpoint{key: "the service manager's socket", text: at.String(), at: tcp.AddrPort()}
	s.checkPublic([]endpoint{a}, func(key, format string, args ...any) { errs = append(errs, s.fault(key, format, args...)) })
	return badConfig(errs)
}

// listenError: an address that another process has, or that is not there yet, is tried again by the service
// manager. A right that is missing, or a kind of address that the machine does not have, is not there the next
// time either.
func (s *settings) listenError(a endpoint, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	code, wayOut := exitTemp, "name a free address and port of this machine"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		wayOut = fmt.Sprintf("another program listens there (ss -ltnp 'sport = :%d' names it): stop it, or name another address or port", a.at.Port())
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		wayOut = "this machine does not have the address yet: it is tried again where a service manager does so"
	case errors.Is(err, fs.ErrPermission):
		code, wayOut = exitConfig, "a port below 1024 wants root or CAP_NET_BIND_SERVICE, as in deploy/check-auth.service"
	case errors.Is(err, syscall.EAFNOSUPPORT):
		code, wayOut = exitConfig, "this machine has no IPv6: leave the address out"
	}
	return &exitError{code, fmt.Errorf("configuration: %w", s.fault(a.key, "%q: %w: %s", a.text, err, wayOut))}
}
