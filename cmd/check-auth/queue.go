package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/verify/result"
)

// queueCmd is `check-auth queue`, with what its four ways have in common.
type queueCmd struct {
	List  queueListCmd  `cmd:"" help:"List what is on its way."`
	Show  queueShowCmd  `cmd:"" help:"Show all that is known of an entry, or its message."`
	Retry queueRetryCmd `cmd:"" help:"Try entries now that wait for their next try."`
	Drop  queueDropCmd  `cmd:"" help:"Give up entries that wait: they are not sent."`

	StateDir string `help:"State folder of the service. Without it and --config: systemd's STATE_DIRECTORY, else ~/.local/state/check-auth." placeholder:"DIR" xor:"where"`
	Config   string `help:"Configuration file of the service, which names its state folder or its database." placeholder:"FILE" xor:"where"`
}

// queueListCmd is `check-auth queue list`.
type queueListCmd struct {
	State  string `help:"Those in this state: leased (being tried), waiting (for the next try), done, failed, or all. Without it: leased and waiting. What has ended stays for a day, without its addresses." placeholder:"STATE"`
	Domain string `help:"Those for recipients at this domain." placeholder:"DOMAIN"`
	Limit  int    `default:"1000" help:"So many at most, the oldest first." placeholder:"1000"`
	JSON   bool   `help:"Print JSON."`
}

// queueShowCmd is `check-auth queue show`.
type queueShowCmd struct {
	ID      string `arg:"" help:"Report id, as in the SMTP answer and in the log."`
	Message bool   `help:"Print the message alone: as it is to a pipe or a file, without control characters on a terminal." xor:"what"`
	Raw     bool   `help:"With --message: as it is, on a terminal too."`
	JSON    bool   `help:"Print JSON." xor:"what"`
}

// queueRetryCmd is `check-auth queue retry`.
type queueRetryCmd struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Report ids."`
	All bool     `help:"All that wait."`
}

// queueDropCmd is `check-auth queue drop`.
type queueDropCmd struct {
	IDs []string `arg:"" name:"id" help:"Report ids."`
}

// dropReason stands with an entry that was dropped.
const dropReason = "dropped by the operator"

// open opens the queue of the service that the command line names.
func (c *queueCmd) open(ctx context.Context, e env) (store.Admin, error) {
	s := defaults(e.getenv)
	if c.Config != "" {
		if err := s.load(c.Config); err != nil {
			return nil, err
		}
	}
	if c.StateDir != "" {
		s.State, s.Store = c.StateDir, storeSettings{}
	}
	return s.openBeside(ctx)
}

// queueError gives an error of the store its exit code.
func queueError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrOlder):
		return &exitError{exitConfig, err}
	case errors.Is(err, store.ErrUnknown), errors.Is(err, store.ErrLeased), errors.Is(err, store.ErrEnded):
		return &exitError{exitFail, err}
	}
	return &exitError{storeExit(err), err}
}

// with runs what is to be done with the queue, and closes it.
func (c *queueCmd) with(ctx context.Context, e env, do func(store.Admin) error) (err error) {
	b, err := c.open(ctx, e)
	if err != nil {
		return err
	}
	defer func() {
		if failed := b.Close(); err == nil {
			err = queueError(failed)
		}
	}()
	return do(b)
}

// Run lists; exit 1 where nothing is found.
func (c *queueListCmd) Run(ctx context.Context, e env, shared *queueCmd) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	return shared.with(ctx, e, func(b store.Admin) error {
		found, err := b.List(ctx, f, c.Limit+1)
		if err != nil {
			return queueError(err)
		}
		show := queueShow{now: e.now(), limit: c.Limit, more: len(found) > c.Limit, entries: found[:min(len(found), c.Limit)]}
		if show.stats, err = b.Stats(ctx); err != nil {
			return queueError(err)
		}
		if err := write(e, &show, c.JSON); err != nil {
			return err
		}
		if len(found) == 0 {
			return &exitError{exitFail, nil}
		}
		return nil
	})
}

// queueStates are what --state names; "" is what is on its way.
var queueStates = map[string][]reply.State{
	"":        {reply.Leased, reply.Waiting},
	"leased":  {reply.Leased},
	"waiting": {reply.Waiting},
	"done":    {reply.Done},
	"failed":  {reply.Failed},
	"all":     nil,
}

func (c *queueListCmd) filter() (store.Filter, error) {
	states, ok := queueStates[c.State]
	if !ok {
		return store.Filter{}, usage("--state %q: give leased, waiting, done, failed or all", c.State)
	}
	if c.Limit < 1 {
		return store.Filter{}, usage("--limit %d: give more than zero", c.Limit)
	}
	return store.Filter{States: states, Domain: strings.TrimPrefix(c.Domain, "@")}, nil
}

// Run shows an entry; exit 1 where there is none, or no message any more.
func (c *queueShowCmd) Run(ctx context.Context, e env, shared *queueCmd) error {
	if c.Raw && !c.Message {
		return usage("--raw is for the message: give --message too")
	}
	return shared.with(ctx, e, func(b store.Admin) error {
		found, err := b.Show(ctx, c.ID)
		if errors.Is(err, store.ErrUnknown) {
			return &exitError{exitFail, fmt.Errorf("no entry %q in the queue: what has ended is forgotten after a day", c.ID)}
		}
		if err != nil {
			return queueError(err)
		}
		if !c.Message {
			return write(e, &queueOne{found, e.now()}, c.JSON)
		}
		return printMessage(e, found, c.Raw || !onTerminal(e.out))
	})
}

// printMessage prints an entry's message, raw or fit for a terminal.
func printMessage(e env, s store.Stored, raw bool) error {
	switch {
	case s.Fault != nil:
		return &exitError{exitFail, fmt.Errorf("entry %s: its message cannot be read: %w", s.ID, s.Fault)}
	case len(s.Body) == 0:
		return &exitError{exitFail, fmt.Errorf("entry %s: it is %s, its message is forgotten", s.ID, s.State)}
	case raw:
		_, err := e.out.Write(s.Body)
		return err
	}
	var b strings.Builder
	for line := range bytes.Lines(s.Body) {
		b.WriteString(result.Clean(strings.TrimRight(string(line), "\r\n")) + "\n")
	}
	_, err := io.WriteString(e.out, b.String())
	return err
}

// onTerminal tells whether somebody's terminal reads what is written.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Run makes entries due; exit 1 where one of them is not.
func (c *queueRetryCmd) Run(ctx context.Context, e env, shared *queueCmd) error {
	if c.All == (len(c.IDs) > 0) {
		return usage("give report ids, or --all")
	}
	return shared.with(ctx, e, func(b store.Admin) error {
		if !c.All {
			return each(e, c.IDs, "is due now", func(id string) error { return b.Retry(ctx, id, e.now()) })
		}
		n, err := b.RetryAll(ctx, e.now())
		if err != nil {
			return queueError(err)
		}
		if n == 0 {
			return &exitError{exitFail, errors.New("nothing waits for a later try")}
		}
		_, err = fmt.Fprintf(e.out, "due now: %d\n", n)
		return err
	})
}

// Run drops entries; exit 1 where one of them is not dropped.
func (c *queueDropCmd) Run(ctx context.Context, e env, shared *queueCmd) error {
	return shared.with(ctx, e, func(b store.Admin) error {
		return each(e, c.IDs, "is dropped", func(id string) error { return b.Drop(ctx, id, e.now(), dropReason) })
	})
}

// each does something with entries, one after the other, and says of each what came of it.
func each(e env, ids []string, done string, do func(id string) error) error {
	left := 0
	for _, id := range ids {
		err := do(id)
		if err == nil {
			fmt.Fprintf(e.out, "%s %s\n", result.Clean(id), done)
			continue
		}
		if refused(err) == "" {
			return queueError(err)
		}
		left++
		fmt.Fprintf(e.err, "check-auth: %s\n", result.Clean(err.Error()+": "+refused(err)))
	}
	if left > 0 {
		return &exitError{exitFail, nil}
	}
	return nil
}

// refused is what to do about an entry that was left as it is; "": the store itself has failed.
func refused(err error) string {
	switch {
	case errors.Is(err, store.ErrLeased):
		return "see what comes of that try, or ask again when the lease is over"
	case errors.Is(err, store.ErrEnded):
		return "there is nothing left to do"
	case errors.Is(err, store.ErrUnknown):
		return "see check-auth queue list; what has ended is forgotten after a day"
	}
	return ""
}
