package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"checkauth/verify/dns/client"
	"checkauth/verify/result"
	"checkauth/verify/visible"
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
		show.round, err = c.wait(ctx, e, r)
	} else {
		show.round = r.Ask(ctx, false)
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
func (c *visibleCmd) rounds(e env) (*visible.Rounds, error) {
	q, err := visible.Question(c.Name, c.Type)
	if err != nil {
		return nil, usage("%w", err)
	}
	want, err := visible.Wanted(q.Type, c.Want)
	if err != nil {
		return nil, usage("--want %w", err)
	}
	if c.Timeout <= 0 {
		return nil, usage("--timeout %s: give more than zero, such as 30m", c.Timeout)
	}
	system, err := openResolver(c.Resolver)
	if err != nil {
		return nil, err
	}
	r := &visible.Rounds{Question: q, Want: want, Now: e.now, Resolvers: []visible.Resolver{{Name: c.Resolver, Resolver: system}}}
	if c.Resolver == "" {
		r.Resolvers[0].Name = "the system's"
	}
	if err := c.also(r); err != nil {
		return nil, err
	}
	r.Servers = *(&verifyCmd{Resolver: c.Resolver}).authorities()
	r.Servers.Top = true // it is one's own question, not a stranger's
	return r, nil
}

// publicResolvers are asked where the command line names none. Each has many caches of its own, of which
// one answers.
var publicResolvers = []struct{ name, address string }{
	{"Cloudflare", "1.1.1.1"}, {"Google", "8.8.8.8"}, {"Quad9", "9.9.9.9"},
}

// also adds the resolvers beside the first.
func (c *visibleCmd) also(r *visible.Rounds) error {
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
		r.Resolvers = append(r.Resolvers, visible.Resolver{Name: name, Resolver: up})
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

// wait asks until all is visible everywhere, the time is over or the context ends, and tells on standard error how far
// it is.
func (c *visibleCmd) wait(ctx context.Context, e env, r *visible.Rounds) (visible.Round, error) {
	over := fmt.Errorf("%s are over", c.Timeout)
	limited, cancel := context.WithTimeoutCause(ctx, c.Timeout, over)
	defer cancel()
	progress := newProgress(e)
	defer progress.clear()
	last := r.Wait(limited, func(ctx context.Context, now visible.Round, d time.Duration) error {
		progress.say(progressLine(&now, r.Now(), d))
		if c.pause != nil {
			return c.pause(ctx, d)
		}
		return visible.Sleep(ctx, d)
	})
	if last.Word != result.Pass && errors.Is(context.Cause(limited), over) {
		return last, &exitError{exitUnknown, fmt.Errorf("not visible everywhere, and %w: missing: %s", over, result.Clean(strings.Join(last.Missing(), ", ")))}
	}
	return last, nil
}
