package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"checkauth/reply/folder"
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
func (s *settings) openStore(ctx context.Context, c store.PostgresConfig, log *slog.Logger) (store.Store, error) {
	c.Log, c.Wait = log, s.Deliver.longest()
	if c.URL == "" {
		opened, err := store.Open(ctx, s.State, c.Config)
		if err != nil {
			return nil, &exitError{storeExit(err), err}
		}
		return opened, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var before error
	for {
		opened, err := store.OpenPostgres(ctx, c)
		if err == nil {
			return opened, nil
		}
		if ctx.Err() != nil {
			err = cmp.Or(before, err) // it says more than that the time is over
		}
		if code := storeExit(err); code == exitConfig || ctx.Err() != nil {
			return nil, &exitError{code, err}
		}
		before = err
		log.Warn("the database is not there yet", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// openBeside opens the queue of a service that may be running.
func (s *settings) openBeside(ctx context.Context) (store.Admin, error) {
	c, err := s.postgres()
	if err != nil {
		return nil, err
	}
	if c.URL == "" {
		b, err := store.Attach(ctx, s.State)
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: name the service's with --state-dir or --config", err)
		}
		return b, queueError(err)
	}
	b, err := store.AttachPostgres(ctx, c)
	return b, queueError(err)
}

// postgres puts the settings into the store's own terms; without a URL only what both kinds have counts.
func (s *settings) postgres() (store.PostgresConfig, error) {
	c, t := store.PostgresDefaults(), s.Store
	c.URL = t.URL
	if t.Node != "" {
		c.Node = t.Node
	}
	if t.Secret != "" {
		var err error
		if c.Password, err = firstLine(t.Secret); err != nil {
			return c, s.unusable("store.password-file", err)
		}
	}
	if c.URL == "" {
		return c, nil
	}
	if err := c.Check(); err != nil {
		return c, s.unusable("store.url", err)
	}
	return c, nil
}

// firstLine is the password that a file has.
func firstLine(file string) (string, error) {
	b, err := folder.ReadRegular(file)
	if err != nil {
		return "", err
	}
	password, _, _ := strings.Cut(string(b), "\n")
	if password = strings.TrimSuffix(password, "\r"); password == "" {
		return "", fmt.Errorf("%s: its first line is empty: want the password", file)
	}
	return password, nil
}
