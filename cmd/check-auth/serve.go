package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"checkauth/reply/compose"
	"checkauth/reply/respond"
	"checkauth/verify/dns/client"
	evaluate "checkauth/verify/run"
)

// serveCmd is `check-auth serve`: a file of settings, each of them a flag too.
type serveCmd struct {
	Config string `help:"Configuration file (TOML); flags win over it." placeholder:"FILE" type:"path"`
	settings

	broken error // the configuration file's fault, said by Run
}

// Run serves until the context ends.
func (c *serveCmd) Run(ctx context.Context, e env) error {
	if c.broken != nil {
		return c.broken
	}
	if err := c.settings.check(); err != nil {
		return err
	}
	tune(e)
	log := c.Log.logger(e)
	s, err := openService(&c.settings, log, e)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// tune lets the garbage collector run less often than it would by itself: what lives is small, and what a message
// needs is much. GOGC and GOMEMLIMIT in the environment win.
func tune(e env) {
	if e.getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if e.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(38 << 20)
	}
}

// defaults joins what each package says of its own.
func defaults(getenv func(string) string) settings {
	run, answers, letters, asks := evaluate.Defaults(), respond.Defaults(), compose.Defaults(), client.Defaults()
	return settings{
		Hostname: "localhost", State: stateDir(getenv), Listen: []string{"127.0.0.1:2525"},
		Proxy:    proxySettings{Timeout: duration(5 * time.Second)},
		Resolver: resolverSettings{Tries: asks.Tries, Timeout: duration(asks.Timeout), PerNet: 300, PerFrom: 300, PerVoid: 100},
		SMTP:     smtpDefaults(),
		Evaluate: evaluateSettings{Time: duration(run.Evaluation), SPF: duration(run.SPF), Signatures: run.Signatures},
		Reply: replySettings{Service: "check-auth", From: "auth-results", Selector: "check-auth", Parts: letters.Parts, Size: size(letters.Size),
			Queue: duration(answers.Queue), Again: duration(answers.Again), Operator: int(answers.Operator)},
		Policy:  policyDefaults(answers.Hourly),
		Deliver: deliverDefaults(),
		Log:     logSettings{Level: "info"},
	}
}

// bounds tells every value that must be above zero and is not.
func (s *settings) bounds() error {
	var errs []error
	for _, f := range s.all() {
		if !f.usable() {
			errs = append(errs, s.fault(f.key, "%q: want %s", f.text(), f.allowed()))
		}
	}
	return badConfig(errs)
}

// fault names a key, with its place in the file where it is there.
func (s *settings) fault(key, format string, args ...any) error {
	if at := s.places[key]; at != "" {
		key = at + ": " + key
	}
	return fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...))
}

func badConfig(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return &exitError{exitConfig, fmt.Errorf("configuration: %w", errors.Join(errs...))}
}

// check tells every value that cannot be used, all at once.
func (s *settings) check() error {
	if err := s.bounds(); err != nil {
		return err
	}
	var errs []error
	bad := func(key, format string, args ...any) { errs = append(errs, s.fault(key, format, args...)) }
	if s.Hostname == "" || strings.ContainsAny(s.Hostname, " @<>\t") {
		bad("hostname", "%q: want this machine's name, such as \"verifier.example.org\"", s.Hostname)
	}
	if s.Operator != "" && !strings.Contains(s.Operator, "@") {
		bad("operator", "%q: want your address, such as \"you@example.org\"", s.Operator)
	}
	if len(s.Listen)+len(s.Proxy.Listen) == 0 {
		bad("listen", "no address to listen on: want such as [\"0.0.0.0:25\"]")
	}
	for _, a := range s.Listen {
		s.checkListen("listen", a, bad)
	}
	for _, a := range s.Proxy.Listen {
		s.checkListen("proxy.listen", a, bad)
	}
	if len(s.Proxy.Listen) > 0 && len(s.Proxy.Trusted) == 0 {
		bad("proxy.trusted", "no network: name those of your load balancers, such as [\"192.0.2.0/24\"]")
	}
	if (s.TLS.Certificate == "") != (s.TLS.Key == "") {
		bad("tls", "certificate and key go together: give both or none")
	}
	for _, r := range s.Resolver.Servers {
		if _, err := addrPort(r, 53); err != nil {
			bad("resolver.servers", "%q: %w", r, err)
		}
	}
	if s.Deliver.Relay != "" {
		if _, _, err := net.SplitHostPort(s.Deliver.Relay); err != nil {
			bad("deliver.relay", "%q: want HOST:PORT, such as \"smtp.example.org:25\"", s.Deliver.Relay)
		}
	}
	for _, p := range s.Reply.Parts {
		if err := compose.CheckPart(p); err != nil {
			bad("reply.parts", "%w", err)
		}
	}
	s.policy(bad)
	if s.Deliver.Port > 65535 {
		bad("deliver.port", "%d: want 1 to 65535", s.Deliver.Port)
	}
	if _, ok := levels[s.Log.Level]; !ok {
		bad("log.level", "%q: want debug, info, warn or error", s.Log.Level)
	}
	return badConfig(errs)
}

// checkListen: RFC 5321, 4.5.1 and RFC 2142: whoever takes mail from the Internet must be reachable.
func (s *settings) checkListen(key, address string, bad func(key, format string, args ...any)) {
	host, _, err := splitListen(address)
	if err != nil {
		bad(key, "%q: want ADDRESS:PORT, such as \"0.0.0.0:25\" or \"127.0.0.1:2525\"", address)
		return
	}
	if !host.IsLoopback() && s.Operator == "" {
		bad("operator", "%s %q is a public address: set operator to your own address, mail for postmaster and abuse goes there", key, address)
	}
}

// splitListen reads an address to listen on; port 0 is any free one.
func splitListen(s string) (netip.Addr, uint16, error) {
	if s, ok := strings.CutPrefix(s, "localhost:"); ok {
		return splitListen("127.0.0.1:" + s)
	}
	if p, ok := strings.CutPrefix(s, ":"); ok {
		return splitListen("[::]:" + p)
	}
	a, err := netip.ParseAddrPort(s)
	return a.Addr(), a.Port(), err
}

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

func (l logSettings) logger(e env) *slog.Logger {
	opts := &slog.HandlerOptions{Level: levels[l.Level]}
	if l.JSON {
		return slog.New(slog.NewJSONHandler(asciiLines{e.err}, opts))
	}
	return slog.New(slog.NewTextHandler(e.err, opts))
}

// asciiLines writes JSON without a rune beyond ASCII: slog leaves those that turn a line around as they are.
type asciiLines struct{ to io.Writer }

func (w asciiLines) Write(b []byte) (int, error) {
	if _, err := w.to.Write(compose.ASCII(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// selfSigned tells whether TLS has to be made up.
func (s *settings) selfSigned() bool { return s.TLS.Certificate == "" }

// makeState makes the state folder, for us alone.
func (s *settings) makeState() error {
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		return &exitError{exitConfig, fmt.Errorf("state folder: %w: make it, or name another one with state or --state", err)}
	}
	return nil
}
