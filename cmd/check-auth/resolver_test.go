package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/verify/dns/dnstest"
)

// logged is a log that a test reads while the service writes.
type logged struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func newLogged() *logged { return &logged{grown: make(chan struct{}, 1)} }

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.grown <- struct{}{}:
	default:
	}
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// waitFor waits until a line has the text.
func (l *logged) waitFor(t *testing.T, text string) {
	t.Helper()
	late := time.After(time.Minute)
	for !strings.Contains(l.String(), text) {
		select {
		case <-l.grown:
		case <-late:
			t.Fatalf("the log has no %q:\n%s", text, l)
		}
	}
}

// A resolver that is dead is our trouble: it is said at the start, tests are put off and no quota is spent, mail for the
// operator is taken, and all of it is over when the resolver is back.
func TestOurResolverIsDown(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]string{"silent": "TIMEOUT", "failing": "SERVFAIL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world, replies, log := dnstest.New(t, serveZone+";FAULT "+fault+" *. ANY\n"), newSink(t), newLogged()
			s := defaults(func(string) string { return "" })
			s.Hostname, s.Operator, s.State = "verifier.example", "you@operator.example", t.TempDir()
			s.Listen, s.Resolver.Servers, s.Deliver.Relay = []string{"127.0.0.1:0"}, []string{world.Addr().String()}, replies.addr()
			s.SMTP.Loopback = loopbackEvaluate
			e := env{now: time.Now, err: log, getenv: func(string) string { return "" }}
			v, err := openService(t.Context(), &s, s.Log.logger(e), e)
			if err != nil {
				t.Fatal(err)
			}
			addr := v.plain[0].Addr().String()
			runs(t, v.run)
			const down = "our own DNS resolver does not answer: mail is put off"
			log.waitFor(t, down)
			for range 2 {
				code, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example", mailOf(1))
				if code != 451 || !strings.HasPrefix(text, "4.4.3 Our own DNS resolver does not answer") {
					t.Errorf("answered %d %s, want 451 4.4.3", code, text)
				}
			}
			if code, text := dialogue(t, addr, "anna@sender.example", "postmaster@verifier.example", mailOf(2)); code != 250 {
				t.Errorf("mail for postmaster: %d %s, want 250", code, text)
			}
			if m := replies.next(t); m.to != "you@operator.example" {
				t.Errorf("the operator's mail went to %s", m.to)
			}
			if err := world.Replace(serveZone); err != nil {
				t.Fatal(err)
			}
			log.waitFor(t, "our own DNS resolver answers again")
			// The sender has one report a minute: those that were put off did not count.
			if code, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example", mailOf(1)); code != 250 || !strings.Contains(text, "spf=pass") {
				t.Errorf("after its return: %d %s, want 250", code, text)
			}
			if m := replies.next(t); m.to != "anna@sender.example" {
				t.Errorf("the reply went to %s", m.to)
			}
			if n := strings.Count(log.String(), down); n != 1 {
				t.Errorf("%d warnings, want one:\n%s", n, log)
			}
		})
	}
}
