package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// visibleCmd is `check-auth visible`.
type visibleCmd struct {
	Name     string        `arg:"" help:"Name of the record, such as _dmarc.example.org. With PTR an IP address will do."`
	Type     string        `arg:"" help:"Its type: TXT, CNAME, A, AAAA, MX, PTR or NS."`
	Want     string        `help:"The value that is wanted, such as the text of a new record. Without it all servers must have the same." placeholder:"VALUE"`
	Wait     bool          `help:"Ask again until all servers and resolvers agree and have what is wanted."`
	Timeout  time.Duration `default:"1h" help:"With --wait: give up after this time."`
	Resolver string        `help:"Ask this DNS resolver instead of the system's, and none of the public ones." placeholder:"HOST:PORT"`
	Also     []string      `help:"Ask this resolver too, several times if need be. Without --also and --resolver these are asked: 1.1.1.1 (Cloudflare), 8.8.8.8 (Google), 9.9.9.9 (Quad9). --also=none: none." placeholder:"HOST:PORT" sep:"none"`
	JSON     bool          `help:"Print JSON."`

	// pause waits between two rounds of --wait; nil: on a timer. It ends with the context.
	pause func(context.Context, time.Duration) error
}

// Run asks; exit 0 where all agree and have what is wanted, 1 where not, 2 where nobody could tell or the
// time of --wait is over.
func (c *visibleCmd) Run(ctx context.Context, e env) error {
	r, err := c.rounds(e)
	if err != nil {
		return err
	}
	lines, err := newTerminal(e)
	if err != nil {
		return err
	}
	show := visibleShow{terminal: lines}
	if c.Wait {
		show.round, err = c.wait(ctx, e, r, lines)
	} else {
		show.round = r.ask(ctx, false)
	}
	if failed := write(e, &show, c.JSON); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	return exitFor(show.round.Word)
}

// rounds is what the command line names, checked.
func (c *visibleCmd) rounds(e env) (*visibleRounds, error) {
	q, err := c.question()
	if err != nil {
		return nil, err
	}
	want, err := wantedValue(q.Type, c.Want)
	if err != nil {
		return nil, err
	}
	if c.Timeout <= 0 {
		return nil, usage("--timeout %s: give more than zero, such as 30m", c.Timeout)
	}
	system, err := openResolver(c.Resolver)
	if err != nil {
		return nil, err
	}
	r := &visibleRounds{q: q, want: want, up: system, now: e.now, resolvers: []visibleResolver{{c.Resolver, system}}}
	if c.Resolver == "" {
		r.resolvers[0].name = "the system's"
	}
	if err := c.also(r); err != nil {
		return nil, err
	}
	r.servers = *(&verifyCmd{Resolver: c.Resolver}).authorities()
	r.servers.Top = true // it is one's own question, not a stranger's
	return r, nil
}

// visibleTypes are those whose values people publish and compare.
var visibleTypes = []dns.Type{dns.TXT, dns.CNAME, dns.A, dns.AAAA, dns.MX, dns.PTR, dns.NS}

func (c *visibleCmd) question() (dns.Question, error) {
	var q dns.Question
	for _, t := range visibleTypes {
		if strings.EqualFold(c.Type, t.String()) {
			q.Type = t
		}
	}
	if q.Type == 0 {
		return q, usage("type %q: give one of TXT, CNAME, A, AAAA, MX, PTR, NS", c.Type)
	}
	if ip, err := netip.ParseAddr(c.Name); err == nil {
		if q.Type != dns.PTR {
			return q, usage("%q is an IP address, which has a PTR record alone: give a name, or the type PTR", c.Name)
		}
		q.Name = dns.ReverseName(ip)
		return q, nil
	}
	name, ok := asciiName(c.Name)
	if !ok {
		return q, usage("%q is no name: give one such as _dmarc.example.org", c.Name)
	}
	q.Name = name
	return q, nil
}

// asciiName reads a name as people type it. A wildcard's asterisk may stand in front.
func asciiName(s string) (string, bool) {
	rest, star := strings.CutPrefix(s, "*.")
	name, ok := naming.Host(strings.TrimSuffix(rest, "."))
	if star {
		name = "*." + name
	}
	return name, ok && dns.Askable(name)
}

// publicResolvers are asked where the command line names none. Each has many caches of its own, of which
// one answers.
var publicResolvers = []struct{ name, address string }{
	{"Cloudflare", "1.1.1.1"}, {"Google", "8.8.8.8"}, {"Quad9", "9.9.9.9"},
}

// also adds the resolvers beside the first.
func (c *visibleCmd) also(r *visibleRounds) error {
	add := func(name, address string) error {
		at, err := addrPort(address, 53)
		if err != nil {
			return usage("--also %q: %w; or none", address, err)
		}
		cfg := client.Defaults()
		cfg.Servers = []netip.AddrPort{at}
		up, err := client.New(cfg)
		if err != nil {
			return usage("--also %q: %w", address, err)
		}
		r.resolvers = append(r.resolvers, visibleResolver{name, up})
		return nil
	}
	if slices.Equal(c.Also, []string{"none"}) {
		return nil
	}
	for _, a := range c.Also {
		if err := add(a, a); err != nil {
			return err
		}
	}
	if len(c.Also) > 0 || c.Resolver != "" {
		return nil
	}
	for _, p := range publicResolvers {
		if err := add(p.name, p.address); err != nil {
			return err
		}
	}
	return nil
}

// Bounds of the pause between two rounds.
const (
	minPause    = 5 * time.Second
	maxPause    = time.Minute
	serverPause = 30 * time.Second // a zone comes to its servers without a TTL
)

// wait asks until all is visible everywhere, the time is over or the context ends. What it returns is the
// last whole round.
func (c *visibleCmd) wait(ctx context.Context, e env, r *visibleRounds, t terminal) (visibleRound, error) {
	over := fmt.Errorf("%s are over", c.Timeout)
	limited, cancel := context.WithTimeoutCause(ctx, c.Timeout, over)
	defer cancel()
	progress := newProgress(e)
	defer progress.clear()
	pause := c.pause
	if pause == nil {
		pause = sleep
	}
	last := r.ask(limited, true)
	for last.Word != result.Pass && limited.Err() == nil {
		d := last.pause()
		progress.say(last.progress(r.now(), d))
		if pause(limited, d) != nil {
			break
		}
		if next := r.ask(limited, true); limited.Err() == nil || next.Word == result.Pass {
			last = next
		}
	}
	if last.Word != result.Pass && errors.Is(context.Cause(limited), over) {
		return last, &exitError{exitUnknown, fmt.Errorf("not visible everywhere, and %w: missing: %s", over, result.Clean(strings.Join(last.missing(), ", ")))}
	}
	return last, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
