package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"checkauth/reply/store"
)

// storeSettings say where replies and counters are kept.
type storeSettings struct {
	URL    string `toml:"url" name:"url" help:"PostgreSQL database of several nodes, such as postgres://check_auth@db.example.org/check_auth?sslmode=verify-full; empty: a file in the state folder, for one node."`
	Secret string `toml:"password-file" name:"password-file" help:"File with the password at the database, on its first line."`
	Node   string `toml:"node" name:"node" help:"This node's name among those that share the database, each with its own; empty: the machine's name."`
}

// patience is how long a start waits for the database, as where both machines start at once, and for the process
// before it to give this node's name back.
const patience = time.Minute

// openStore opens what keeps replies.
func (s *settings) openStore(ctx context.Context, log *slog.Logger) (store.Store, error) {
	c, err := s.Store.postgres()
	if err != nil {
		return nil, err
	}
	c.Log = log
	if c.URL == "" {
		opened, err := store.Open(ctx, s.State, c.Config)
		if err != nil {
			return nil, &exitError{storeExit(err), err}
		}
		return opened, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		opened, err := store.OpenPostgres(ctx, c)
		if err == nil {
			return opened, nil
		}
		if code := storeExit(err); code == exitConfig || ctx.Err() != nil {
			return nil, &exitError{code, err}
		}
		log.Warn("the database is not there yet", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// openBeside opens the queue of a service that may be running.
func (s *settings) openBeside(ctx context.Context) (store.Keeper, error) {
	c, err := s.Store.postgres()
	if err != nil {
		return nil, err
	}
	if c.URL == "" {
		b, err := store.OpenBeside(ctx, s.State)
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: name the service's with --state-dir or --config", err)
		}
		return b, queueError(err)
	}
	b, err := store.OpenPostgresBeside(ctx, c)
	return b, queueError(err)
}

// postgres puts the settings into the store's own terms; without a URL only what both kinds have counts.
func (t storeSettings) postgres() (store.PostgresConfig, error) {
	c := store.PostgresDefaults()
	c.URL = t.URL
	if t.Node != "" {
		c.Node = t.Node
	}
	if t.Secret == "" {
		return c, nil
	}
	b, err := os.ReadFile(t.Secret)
	if err != nil {
		return c, &exitError{exitConfig, fmt.Errorf("configuration: store.password-file: %w", err)}
	}
	c.Password, _, _ = strings.Cut(string(b), "\n")
	if c.Password = strings.TrimSuffix(c.Password, "\r"); c.Password == "" {
		return c, &exitError{exitConfig, fmt.Errorf("configuration: store.password-file: %s: its first line is empty: want the password", t.Secret)}
	}
	return c, nil
}
