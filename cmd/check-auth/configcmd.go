package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
)

// configCmd is `check-auth config`.
type configCmd struct {
	Config string `help:"Configuration file; without one the defaults are printed." placeholder:"FILE"`
	Check  bool   `help:"Make all checks of a start but listening, and print what is wrong: files, certificate, state folder, database."`
}

// Run prints every key with its value, as a file that serve would take.
func (c *configCmd) Run(ctx context.Context, e env) error {
	s := defaults(e.getenv)
	if c.Config != "" {
		if err := s.load(c.Config); err != nil {
			return err
		}
	}
	if err := s.check(); err != nil {
		return err
	}
	if c.Check {
		return s.report(ctx, e)
	}
	_, err := e.out.Write([]byte(s.print()))
	return err
}

// report prints what a start would find.
func (s *settings) report(ctx context.Context, e env) error {
	for _, w := range s.warnings {
		fmt.Fprintf(e.out, "warning: %v\n", w)
	}
	skipped, err := s.preflight(ctx, slog.New(slog.DiscardHandler), e)
	for _, what := range skipped {
		fmt.Fprintf(e.out, "not checked: %s\n", what)
	}
	if err != nil {
		return &exitError{exitConfig, err}
	}
	_, err = fmt.Fprintln(e.out, "nothing is wrong with the configuration")
	return err
}

// print writes the settings as TOML with each key's help over it.
func (s *settings) print() string {
	var b strings.Builder
	table := ""
	for _, f := range s.all() {
		prefix, key, nested := strings.Cut(f.key, ".")
		if !nested {
			key = prefix
		} else if prefix != table {
			table = prefix
			fmt.Fprintf(&b, "\n[%s]\n", table)
		}
		value := f.toml()
		if shown := f.shown(); shown != f.text() {
			value = strconv.Quote(shown) + " # the password is not shown"
		}
		fmt.Fprintf(&b, "# %s\n%s = %s\n", f.help, key, value)
	}
	return b.String()
}

// toml is the value as the file takes it.
func (f setting) toml() string {
	switch v := f.value.Interface().(type) {
	case bool, int:
		return fmt.Sprint(v)
	case limit:
		if v != unlimited {
			return f.text()
		}
	case []string:
		return list(v)
	case []netip.Prefix, []duration:
		return list(strings.FieldsFunc(f.text(), func(r rune) bool { return r == ',' }))
	}
	return strconv.Quote(f.text())
}

func list(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
