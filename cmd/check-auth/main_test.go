package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram in the environment makes the test binary the program itself, so that tests can start it as a
// process and kill it.
const asProgram = "CHECK_AUTH_TEST_AS_PROGRAM"

// What that program takes for the system's resolvers and for journald's socket.
const (
	asResolvConf = "CHECK_AUTH_TEST_RESOLV_CONF"
	asJournal    = "CHECK_AUTH_TEST_JOURNAL"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		process(env{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now, getenv: os.Getenv, stay: stay,
			resolvConf: os.Getenv(asResolvConf), journal: os.Getenv(asJournal)})
	}
	syscall.Umask(0o077) // a state folder of t.TempDir is ours alone
	os.Exit(m.Run())
}

// ended is what a run of the program left.
type ended struct {
	code     int
	out, err string
}

// play runs the program within the test. Its state would go into a folder of the test's own.
func play(t *testing.T, ctx context.Context, stdin string, args ...string) ended {
	t.Helper()
	var out, errs bytes.Buffer
	dir := t.TempDir()
	code := run(ctx, args, env{in: strings.NewReader(stdin), out: &out, err: &errs, now: time.Now, getenv: func(key string) string {
		if key == "STATE_DIRECTORY" {
			return dir
		}
		return ""
	}})
	return ended{code, out.String(), errs.String()}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		code int
		say  string
	}{
		{"help is no error", []string{"--help"}, 0, "demo"},
		{"help of a command", []string{"serve", "--help"}, 0, "--smtp-message=10MiB"},
		{"no command", nil, exitUsage, "--help"},
		{"a mistyped command", []string{"serv"}, exitUsage, "serve"},
		{"a mistyped flag", []string{"verify", "--hello=x", "--ip=192.0.2.1", "-"}, exitUsage, "--helo"},
		{"an unknown story", []string{"demo", "--case=nothing"}, exitUsage, "well, story, footer, lookups, forgery"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, t.Context(), "", c.args...)
			if got.code != c.code || !strings.Contains(got.out+got.err, c.say) {
				t.Errorf("%v: got exit %d and\n%s%s\nwant exit %d and %q", c.args, got.code, got.out, got.err, c.code, c.say)
			}
			if strings.Contains(got.out+got.err, "goroutine ") {
				t.Errorf("%v: a stack trace reached the user:\n%s", c.args, got.err)
			}
		})
	}
}
