package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"checkauth/reply/compose"
	"checkauth/reply/deliver"
	"checkauth/reply/folder"
	"checkauth/reply/sign"
	"checkauth/reply/store"
	"checkauth/verify/dns/client"
	"checkauth/verify/dnsbl"
	"checkauth/verify/known"
	"checkauth/verify/receivers"
)

// parts are what a service is made of before it takes anything for itself: no file is written, no port and no
// lock is taken for them.
type parts struct {
	upstream *client.Client
	composer *compose.Composer
	rules    *receivers.Set
	atlas    *known.Atlas
	lists    []dnsbl.List
	delivery deliver.Config
	store    store.PostgresConfig
	ours     *ours
}

// prepare reads all that the settings name beside the state folder, and tells everything that cannot be used at
// once. Start and config --check share it. key is nil where none was made yet.
func (s *settings) prepare(key *sign.Key, log *slog.Logger, e env) (p parts, err error) {
	var faults []error
	failed := func(err error) { faults = append(faults, err) }
	if p.upstream, err = s.resolver(e); err != nil {
		failed(err)
	}
	if err := s.templates(); err != nil {
		failed(s.unusable("reply.templates", err))
	} else if p.composer, err = s.composer(key); err != nil {
		failed(s.unusable("reply.templates", err))
	}
	if p.rules, err = receiverRules(s.Evaluate.Receivers); err != nil {
		failed(s.unusable("evaluate.receivers", err))
	}
	if p.lists, err = s.lists(); err != nil {
		failed(s.unusable("evaluate.blocklists", err))
	}
	if p.atlas, err = known.Load(); err != nil {
		failed(err)
	}
	p.ours = s.ours()
	if p.delivery, err = s.delivery(p.ours, log, e); err != nil {
		failed(err)
	}
	if p.store, err = s.postgres(); err != nil {
		p.store = store.PostgresConfig{} // there is nothing to connect to
		failed(err)
	}
	return p, together(faults)
}

// templates: what is not in the folder is built in, so that a folder that is not there would change nothing and
// nobody would hear of it.
func (s *settings) templates() error {
	if s.Reply.Templates == "" {
		return nil
	}
	dir, err := os.Open(s.Reply.Templates)
	if err != nil {
		return fmt.Errorf("%w: make the folder, or leave reply.templates empty", err)
	}
	defer func() { _ = dir.Close() }()
	if _, err := dir.ReadDir(1); errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: want a folder", err)
	}
	return nil
}

// resolvConfExit: the file is often written after the boot has begun, by who gets the network's address. Only a
// right that is missing stays away.
func resolvConfExit(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return exitConfig
	}
	return exitTemp
}

// makeState makes the state folder, for us alone, and refuses one that is not. What keeps it from being made may be a
// disk that is not there yet; what stands in its place stays.
func (s *settings) makeState() error {
	err := folder.Make(s.State)
	if err == nil {
		return nil
	}
	if notOurs(err) {
		return s.unusable("state", err)
	}
	code := exitTemp
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.EINVAL) {
		code = exitConfig
	}
	return &exitError{code, fmt.Errorf("configuration: %w", s.fault("state", "%w: make the folder, or name another one with state or --state", err))}
}

// notOurs: the folder is not this user's alone, so that somebody has to look.
func notOurs(err error) bool {
	return errors.Is(err, folder.ErrOpen) || errors.Is(err, folder.ErrForeign)
}

// lookTime is how long the look at a database may take.
const lookTime = 10 * time.Second

// preflight makes all checks of a start but listening, and leaves nothing behind. It tells everything that is
// wrong, and what could not be looked at.
func (s *settings) preflight(ctx context.Context, log *slog.Logger, e env) (skipped []string, err error) {
	var faults []error
	key, err := s.lookState()
	if err != nil {
		faults = append(faults, err)
	}
	cert := s.certificate(e.now, log)
	if s.TLS.Certificate != "" {
		cert.read()
		if cert.fault != nil {
			faults = append(faults, s.certificateFault(cert.fault))
		}
	}
	if _, err := s.smtpd(s.addresses(), cert, log, e); err != nil {
		faults = append(faults, err)
	}
	p, err := s.prepare(key, log, e)
	if err != nil {
		faults = append(faults, err)
	}
	if _, err := s.deliverer(p.delivery, nil, p.upstream); err != nil {
		faults = append(faults, err)
	}
	if p.upstream != nil {
		unasked, err := s.loops(ctx, p.ours, p.upstream)
		if err != nil {
			faults = append(faults, err)
		}
		skipped = append(skipped, unasked...)
	}
	user, err := s.lookStore(ctx, p.store)
	if err != nil {
		faults = append(faults, err)
	}
	if user != "" {
		skipped = append(skipped, fmt.Sprintf("the queue in %s: %s uses it", s.State, user))
	}
	if os.Geteuid() == 0 {
		skipped = append(skipped, "whether the service's user may read the files: root may read them all (sudo -u check-auth check-auth config --check ... tells)")
	}
	return append(skipped, "whether the addresses to listen on are free"), together(faults)
}

// certificateFault puts the line of the file that is meant in front.
func (s *settings) certificateFault(err error) error {
	if f, ok := errors.AsType[*pairFault](err); ok && s.places[f.key] != "" {
		err = fmt.Errorf("%s: %w", s.places[f.key], err)
	}
	return &exitError{exitConfig, fmt.Errorf("configuration: %w", err)}
}

// lookState reads the DKIM key, where there is one.
func (s *settings) lookState() (*sign.Key, error) {
	key, err := sign.Read(s.State, s.Hostname, s.Reply.Selector)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, s.unusable("state", err)
	}
	return key, nil
}

// lookStore looks at the state folder, and at the database where there is one.
func (s *settings) lookStore(ctx context.Context, c store.PostgresConfig) (user string, err error) {
	user, err = store.Look(ctx, s.State)
	if err == nil {
		if err = folder.Look(s.State); errors.Is(err, fs.ErrNotExist) {
			err = nil // it is made for us alone
		}
	}
	if err != nil {
		return "", s.unusable("state", err)
	}
	if c.URL == "" {
		return user, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lookTime, fmt.Errorf("no answer within %s", lookTime))
	defer cancel()
	if err := store.LookPostgres(ctx, c); err != nil {
		return "", &exitError{storeExit(err), fmt.Errorf("configuration: %w", s.fault("store.url", "%w", err))}
	}
	return "", nil
}
