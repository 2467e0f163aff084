package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"checkauth/reply"
	"checkauth/reply/compose"
	"checkauth/reply/deliver"
	"checkauth/reply/policy"
	"checkauth/reply/respond"
	"checkauth/reply/sign"
	"checkauth/reply/store"
	"checkauth/smtpd"
	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dnsbl"
	"checkauth/verify/evaluate"
	"checkauth/verify/naming"
	"checkauth/verify/panics"
	"checkauth/verify/receivers"
	"checkauth/verify/share"
	"checkauth/verify/spam"
)

// service is the whole house: what takes mail, what answers it, what sends the answers.
type service struct {
	log            *slog.Logger
	now            func() time.Time
	stop           time.Duration
	store          store.Store
	deliverer      *deliver.Deliverer
	health         *dns.Health // of our own resolver
	smtp           *smtpd.Server
	certificate    *certificate
	plain, proxied []net.Listener

	ours *ours
	dns  dns.Resolver // not on behalf of strangers

	hangUps   <-chan os.Signal // SIGHUP; nil: none comes
	resolvers *systemResolvers // nil where the configuration names them
}

// openService opens everything and listens; nothing is taken before run. What was opened is closed again
// where something cannot be.
func openService(ctx context.Context, s *settings, log *slog.Logger, e env) (_ *service, err error) {
	if err := s.makeState(); err != nil {
		return nil, err
	}
	v := &service{log: log, now: e.now, stop: time.Duration(s.SMTP.Stop)}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	key, err := s.key(log)
	if err != nil {
		return nil, err
	}
	p, err := s.prepare(key, log, e)
	if err != nil {
		return nil, err
	}
	v.ours, v.dns = p.ours, p.upstream
	v.health = &dns.Health{Probe: p.upstream.Alive, Changed: v.resolverChanged, Now: e.now}
	if len(s.Resolver.Servers) == 0 {
		v.resolvers = &systemResolvers{client: p.upstream, file: e.resolvers(), trust: s.Resolver.TrustAD, log: log}
	}
	// All that is asked from here on is asked on behalf of strangers.
	resolver := dns.Public{Up: p.upstream, Now: e.now}
	if v.store, err = s.openStore(ctx, p.store, log); err != nil {
		return nil, err
	}
	p.delivery.Health, p.delivery.Took = v.health, v.took(s.rules(p))
	p.delivery.Count, p.delivery.Share = v.counts(s.rules(p)), s.share(func(string, string, ...any) {})
	if v.deliverer, err = s.deliverer(p.delivery, v.store, resolver); err != nil {
		return nil, err
	}
	if v.certificate, err = s.openCertificate(e.now, log); err != nil {
		return nil, err
	}
	if err := v.openSMTP(s, s.responder(v, resolver, p, e), e); err != nil {
		return nil, err
	}
	return v, v.listen(s)
}

// resolverChanged tells the operator that nothing can be tested, and when it can again.
func (v *service) resolverChanged(down error) {
	if down != nil {
		v.log.Warn("our own DNS resolver does not answer: mail is put off (451) until it does", "error", down)
		return
	}
	v.log.Info("our own DNS resolver answers again")
}

func (v *service) openSMTP(s *settings, responder *respond.Responder, e env) error {
	config, err := s.smtpd(s.addresses(), v.certificate, v.log, e)
	if err != nil {
		return err
	}
	v.smtp, err = smtpd.New(config, responder)
	return err
}

// key is the DKIM key of our replies; at its first use the operator is told what to publish.
func (s *settings) key(log *slog.Logger) (*sign.Key, error) {
	key, made, err := sign.Open(s.State, s.Hostname, s.Reply.Selector)
	if err != nil {
		return nil, s.unusable("state", err)
	}
	if made {
		log.Info("a DKIM key was made for our replies: publish its record", "record", key.Record(),
			"file", filepath.Join(s.State, s.Reply.Selector+".dns"))
	}
	return key, nil
}

func (s *settings) resolver(e env) (*client.Client, error) {
	c := client.Defaults()
	c.Tries, c.Timeout, c.TrustAD = s.Resolver.Tries, time.Duration(s.Resolver.Timeout), s.Resolver.TrustAD
	for _, r := range s.Resolver.Servers {
		server, err := addrPort(r, 53)
		if err != nil {
			return nil, s.unusable("resolver.servers", err)
		}
		c.Servers = append(c.Servers, server)
	}
	if len(c.Servers) == 0 {
		servers, trust, err := client.FromResolvConf(e.resolvers())
		if err != nil {
			return nil, &exitError{resolvConfExit(err), fmt.Errorf("configuration: resolver.servers is empty and %w", err)}
		}
		c.Servers, c.TrustAD = servers, c.TrustAD || trust
	}
	return client.New(c)
}

// authorities are asked at port 53, on the public Internet alone, and never ourselves.
func authorities(own *ours) *dns.Authorities {
	a := client.Authorities(53, func(a netip.Addr) bool { return deliver.Routable(a, own.has) == nil })
	return &a
}

// authorities are those that may be asked on behalf of strangers: four of a zone tell whether they agree. In a closed
// network they have other addresses.
func (s *settings) authorities(own *ours) *dns.Authorities {
	a := authorities(own)
	if s.Deliver.AllowPrivate {
		a.Permit = func(a netip.Addr) bool { return !own.has(a) }
	}
	a.Servers = 4
	return a
}

func (s *settings) quota(lists []dnsbl.List, e env) *dns.Quotas {
	r := s.Resolver
	q := &dns.Quotas{PerNetwork: r.PerNetwork.number(), PerTarget: r.PerTarget.number(), Made: r.Made.number(), PerServer: r.PerServer.number(),
		Share: s.share(func(string, string, ...any) {}), Selectors: dkim.UsualSelectors, Now: e.now}
	for _, l := range lists {
		q.Free = append(q.Free, dns.Canonical(l.Zone))
	}
	return q
}

func (s *settings) addresses() policy.Addresses {
	a := policy.Addresses{Service: s.Reply.Service, From: strings.ToLower(s.Reply.From), Author: s.Policy.Author, Named: s.Policy.Named}
	for _, d := range append([]string{s.Hostname}, s.Domains...) {
		a.Domains = append(a.Domains, naming.Key(d))
	}
	return a
}

func (s *settings) composer(key *sign.Key) (*compose.Composer, error) {
	letters := compose.Defaults()
	letters.Host, letters.Service, letters.From = s.Hostname, s.Reply.Service+"@"+s.Hostname, s.Reply.From+"@"+s.Hostname
	letters.Operator, letters.Templates, letters.Compatible, letters.Parts = s.Operator, s.Reply.Templates, s.Reply.Compatible, s.Reply.Parts
	letters.Size = int(s.Reply.Size)
	return compose.New(letters, key)
}

// rules are the policy of a running service.
func (s *settings) rules(p parts) policy.Config {
	c := s.policy(func(string, string, ...any) {}) // check has read the lists
	c.Node, c.Ours = p.store.Node, p.ours.has
	return c
}

// took says of each reply what its mail server took, so that the next ones to that organisation are not counted there.
func (v *service) took(rules policy.Config) func(context.Context, reply.Entry, string, netip.Addr, []netip.Addr) {
	to := respond.Destinations{Policy: rules, Store: v.store, Now: v.now}
	return func(ctx context.Context, e reply.Entry, host string, at netip.Addr, met []netip.Addr) {
		if err := to.Took(ctx, e, host, at, met); err != nil {
			v.log.Warn("what a mail server took counts at it all the same", "report", e.ID, "error", err)
		}
	}
}

// counts counts each reply at the mail servers that it is brought to, where the decision has not.
func (v *service) counts(rules policy.Config) func(context.Context, reply.Entry, string, netip.Addr) (reply.Full, error) {
	return respond.Destinations{Policy: rules, Store: v.store, Now: v.now}.Connect
}

func (s *settings) responder(v *service, resolver dns.Resolver, p parts, e env) *respond.Responder {
	answers := respond.Defaults()
	answers.Host, answers.Queue, answers.Again = s.Hostname, time.Duration(s.Reply.Queue), time.Duration(s.Reply.Again)
	answers.Log, answers.Now = v.log, e.now
	checks := evaluate.Config{Evaluation: time.Duration(s.Evaluate.Time), SPF: time.Duration(s.Evaluate.SPF), Signatures: s.Evaluate.Signatures}
	spamd := spam.Defaults()
	spamd.Address = s.Evaluate.Spamd
	destination := v.deliverer.Destination
	if s.Deliver.Relay != "" {
		destination = nil
	}
	return &respond.Responder{
		Destination: destination,
		Promised:    v.deliverer.Promised,
		Config:      answers, Compose: p.composer, Store: v.store, Enqueue: v.deliverer.Enqueue, Admit: v.deliverer.Admit,
		Policy: s.rules(p),
		Run: evaluate.Evaluator{Config: checks, Servers: s.Policy.Servers, DNS: dns.NewNegatives(resolver, e.now),
			Quota: s.quota(p.lists, e), Health: v.health, Authorities: s.authorities(p.ours), Now: e.now,
			Receivers: p.rules, Atlas: p.atlas, Lists: p.lists, Spamd: spamd, Loopback: s.evaluateLoopback(),
			Turns: share.NewTurns(runtime.GOMAXPROCS(0)), Searches: share.NewTurns(runtime.GOMAXPROCS(0)), Panicked: func(id, method string, p any, stack []byte) {
				v.log.Error("a check panicked", "report", id, "check", method, "panic", fmt.Sprint(p), "stack", string(stack))
			}},
	}
}

// receiverRules are the built-in ones, and those of a file; "" is none.
func receiverRules(file string) (*receivers.Set, error) {
	if file == "" {
		return receivers.Load()
	}
	return receivers.Load(file)
}

// lists are the block lists to ask. One that is not known needs a name, for its zone may hold a key of the
// operator's, and is taken for a block list of addresses.
func (s *settings) lists() ([]dnsbl.List, error) {
	var out []dnsbl.List
	for _, text := range s.Evaluate.Blocklists {
		name, zone, named := strings.Cut(text, "=")
		if !named {
			name, zone = "", text
		}
		l := dnsbl.Complete(dnsbl.List{Zone: zone, Name: name})
		if l.Name == "" {
			return nil, fmt.Errorf("list %d is not known: give it a name for the reports, as in \"Our list=%s\"", len(out)+1, zone)
		}
		l.Kind, l.Of = cmp.Or(l.Kind, dnsbl.Block), cmp.Or(l.Of, dnsbl.IP)
		out = append(out, l)
	}
	return out, dnsbl.Config{Lists: out}.Valid()
}

// sweep is how often what has expired is forgotten.
const sweep = 5 * time.Minute

// run serves until the context ends, then stops in order: no new mail, open transactions to their end,
// then the delivery, then the store.
func (v *service) run(ctx context.Context) error {
	house, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	all := []func() error{
		func() error { return v.deliverer.Run(house) },
		func() error { return every(house, sweep, func() { v.sweep(house) }) },
		// Certificates live for weeks, and a server for months.
		func() error { return every(house, lookEvery, v.certificate.look) },
		func() error { v.health.Watch(house); return nil },
		func() error { return v.keepUp(house) },
		func() error { v.lookAtOurs(house); return every(house, oursEvery, func() { v.lookAtOurs(house) }) },
	}
	for _, l := range slices.Concat(v.plain, v.proxied) {
		v.log.Info("taking mail", "address", l.Addr().String())
		all = append(all, func() error { return v.smtp.Serve(l) })
	}
	ended := make(chan error, len(all))
	for _, f := range all {
		go func() {
			defer panics.Recover(func(r *panics.Recovered) {
				v.log.Error("panic: the service stops", "panic", r.Value, "stack", string(r.Stack))
				ended <- r
			})
			ended <- f()
		}()
	}
	back := len(all)
	notify(daemon.SdNotifyReady, v.log)
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-ended: // something ended that should not
		back--
		errs = append(errs, err)
	}
	v.log.Info("stopping")
	notify(daemon.SdNotifyStopping, v.log)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.stop+10*time.Second)
	defer cancel()
	errs = append(errs, v.smtp.Shutdown(grace))
	stop()
	for range back {
		errs = append(errs, <-ended)
	}
	v.plain, v.proxied = nil, nil
	return errors.Join(append(errs, v.close())...)
}

// notify tells the service manager, where there is one.
func notify(state string, log *slog.Logger) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("the service manager is not told", "state", state, "error", err)
	}
}

// every does something again and again until the context ends.
func every(ctx context.Context, interval time.Duration, do func()) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			do()
		}
	}
}

func (v *service) sweep(ctx context.Context) {
	if err := v.store.Sweep(ctx, v.now()); err != nil && ctx.Err() == nil {
		v.log.Error("what has expired is not forgotten yet", "error", err)
	}
}

// lookAtOurs learns which addresses are ours. Without the DNS we know enough to be no loop of our own: health tells of a
// resolver that does not answer.
func (v *service) lookAtOurs(ctx context.Context) {
	if err := v.ours.look(ctx, v.dns); err != nil && ctx.Err() == nil {
		v.log.Debug("the addresses of hostname are not known yet", "error", err)
	}
}

// close gives back what openService took.
func (v *service) close() error {
	var errs []error
	for _, l := range append(v.plain, v.proxied...) {
		errs = append(errs, l.Close())
	}
	if v.store != nil {
		errs = append(errs, v.store.Close())
		v.store = nil
	}
	return errors.Join(errs...)
}
