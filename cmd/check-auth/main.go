// The servers that we bring reports to, and those that bring us tests, may be old. Where nobody promised TLS an old
// certificate is better than none; where somebody did, and in DKIM, short keys count for nothing all the same.

//go:debug rsa1024min=0
//go:debug tlssha1=1
//go:debug x509negativeserial=1

// Command check-auth is an e-mail authentication tester: a mail comes in, a report goes back.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// env is all that a command touches of the outside, so that tests run it whole.
type env struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
	getenv   func(string) string

	stay       func() <-chan os.Signal // signals.go; nil: no signal comes
	resolvConf string                  // the system's resolvers; empty: /etc/resolv.conf
	journal    string                  // journald's socket; empty: its usual place
}

// Exit codes of every command.
const (
	exitPass     = 0
	exitFail     = 1
	exitUnknown  = 2
	exitUsage    = 64 // EX_USAGE of sysexits.h: bad arguments or unreadable input
	exitSoftware = 70 // EX_SOFTWARE: our fault
	exitTemp     = 75 // EX_TEMPFAIL: something is away that comes back; starting again may do
	exitConfig   = 78 // EX_CONFIG: somebody has to change something; the service manager does not start us again
)

// exitError carries the code with which the program ends. err is nil where everything was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// commands of the program, a file each.
type commands struct {
	Version kong.VersionFlag `help:"Print the version and end."`

	Demo    demoCmd    `cmd:"" help:"Show what it does: servers on loopback, five mails, five answers. Needs nothing."`
	Serve   serveCmd   `cmd:"" help:"Take mail and answer it with reports."`
	Verify  verifyCmd  `cmd:"" help:"Evaluate a saved message and print the report that would be mailed."`
	Explain explainCmd `cmd:"" help:"Put a saved report (report.json) into words: actions with their proof, trees, evidence."`
	SPF     spfCmd     `cmd:"" help:"Evaluate an SPF record, published or typed, and show how the result comes about."`
	DKIM    dkimCmd    `cmd:"" help:"Verify the DKIM signatures of a saved message, or look at a published key."`
	DMARC   dmarcCmd   `cmd:"" help:"Show which DMARC record applies to a domain, what it asks for and what is wrong with it."`
	Visible visibleCmd `cmd:"" help:"Ask each name server of a zone, and some resolvers, what they have at a name: when is a change visible?"`
	Keygen  keygenCmd  `cmd:"" help:"Make a DKIM key and show the record to publish."`
	Queue   queueCmd   `cmd:"" help:"Look into the queue of a service that runs or is stopped: list, show, retry, drop."`
	Config  configCmd  `cmd:"" help:"Print the configuration in force, with a comment over each key, or check it."`
}

func main() {
	process(env{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now, getenv: os.Getenv, stay: stay})
}

// process runs the program until it ends or is told to.
func process(e env) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], e)
	stop()
	os.Exit(code)
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, e env) (code int) {
	// Go's own exit code of a panic is 2, which is a verdict here.
	defer panics.Recover(func(r *panics.Recovered) {
		fmt.Fprintf(e.err, "%s\n", r.Stack)
		code = fail(e, &exitError{exitSoftware, fmt.Errorf("%w: this is a fault of the program, please report it", r)})
	})
	var c commands
	ended := -1
	k, err := kong.New(&c,
		kong.Name("check-auth"), kong.Description("E-mail authentication tester."),
		kong.Vars{"version": fmt.Sprintf("check-auth %s, %s, %s/%s", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)},
		kong.Writers(e.out, e.err), kong.Exit(func(n int) { ended = n }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(e),
	)
	if err != nil {
		return fail(e, &exitError{exitSoftware, err})
	}
	setDefaults(k.Model.Node, &c.Serve, args, e)
	k2, err := k.Parse(args)
	if ended >= 0 { // --help, --version
		return ended
	}
	if err != nil {
		return fail(e, &exitError{exitUsage, fmt.Errorf("%s (see check-auth --help)", result.Clean(err.Error()))})
	}
	return fail(e, k2.Run())
}

// fail prints an error in one line and gives its exit code; nil is 0.
func fail(e env, err error) int {
	if err == nil {
		return exitPass
	}
	x, ok := errors.AsType[*exitError](err)
	if !ok {
		x = &exitError{exitSoftware, err}
	}
	if x.err != nil {
		fmt.Fprintln(e.err, lastWords(e, x.err))
	}
	return x.code
}
