package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"checkauth/reply/compose"
	"checkauth/reply/policy"
	"checkauth/reply/respond"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/evaluate"
)

// serveCmd is `check-auth serve`: a file of settings, each of them a flag too.
type serveCmd struct {
	Config string `help:"Configuration file (TOML); flags win over it." placeholder:"FILE" type:"path"`
	settings

	broken error // the configuration file's fault, said by Run
}

// Run serves until the context ends.
func (c *serveCmd) Run(ctx context.Context, e env) error {
	var hangUps <-chan os.Signal
	if e.stay != nil {
		hangUps = e.stay()
	}
	if c.broken != nil {
		return c.broken
	}
	if err := c.settings.check(); err != nil {
		return err
	}
	memory := tune(e, int64(c.Memory), procFiles)
	log := c.Log.logger(e)
	log.Info("check-auth starts", "version", version(), "go", runtime.Version(), "hostname", c.Hostname, "memory-limit", memory)
	for _, w := range c.warnings {
		log.Warn("configuration put right", "reason", w)
	}
	s, err := openService(ctx, &c.settings, log, e)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // told to stop while it waited for the database
	case err != nil:
		return err
	}
	s.hangUps = hangUps
	return s.run(ctx)
}

// tune lets the garbage collector run less often than it would by itself: what lives is small, and what a message
// needs is much. It gives the limit of memory that holds, in octets. GOGC and GOMEMLIMIT in the environment win.
func tune(e env, limit int64, files memoryFiles) int64 {
	if e.getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if e.getenv("GOMEMLIMIT") == "" {
		if limit == 0 {
			limit = files.limit()
		}
		debug.SetMemoryLimit(limit)
	}
	return debug.SetMemoryLimit(-1)
}

// localhost is the name of who only tries it on one machine.
const localhost = "localhost"

// defaults joins what each package says of its own.
func defaults(getenv func(string) string) settings {
	run, answers, letters, asks := evaluate.Defaults(), respond.Defaults(), compose.Defaults(), client.Defaults()
	questions := dns.DefaultQuotas()
	return settings{
		Hostname: localhost, State: stateDir(getenv), Listen: []string{"127.0.0.1:2525"},
		Proxy: proxySettings{Timeout: duration(5 * time.Second)},
		Resolver: resolverSettings{Tries: asks.Tries, Timeout: duration(asks.Timeout), PerNetwork: limit(questions.PerNetwork),
			PerTarget: limit(questions.PerTarget), Made: limit(questions.Made), PerServer: limit(questions.PerServer)},
		SMTP:     smtpDefaults(),
		Evaluate: evaluateSettings{Time: duration(run.Evaluation), SPF: duration(run.SPF), Signatures: run.Signatures},
		Reply: replySettings{Service: "check-auth", From: "auth-results", Selector: "check-auth", Parts: letters.Parts, Size: size(letters.Size),
			Queue: duration(answers.Queue), Again: duration(answers.Again), Operator: int(policy.DefaultQuotas().OperatorHour)},
		Policy:  policyDefaults(),
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

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

func (l logSettings) logger(e env) *slog.Logger {
	if isJournal(e.err, e.getenv) {
		return slog.New(newJournal(cmp.Or(e.journal, journalSocket), e.err, l.handler))
	}
	return slog.New(l.handler(e.err))
}

// handler writes a line for each record.
func (l logSettings) handler(to io.Writer) slog.Handler {
	opts := &slog.HandlerOptions{Level: levels[l.Level]}
	if l.JSON {
		return slog.NewJSONHandler(asciiLines{to}, opts)
	}
	return slog.NewTextHandler(to, opts)
}

// asciiLines writes JSON without a rune beyond ASCII: slog leaves those that turn a line around as they are.
type asciiLines struct{ to io.Writer }

func (w asciiLines) Write(b []byte) (int, error) {
	if _, err := w.to.Write(compose.ASCII(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}
