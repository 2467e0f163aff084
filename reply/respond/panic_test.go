package respond_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"checkauth/reply/deliver"
	"checkauth/verify/dns"
)

// A fault of ours while the way of the reply is asked for, beside the checks, ends no process: the way stays unknown,
// and is counted so.
func TestAPanicOnTheWayOfAReply(t *testing.T) {
	t.Parallel()
	h := build(t)
	told := make(chan string, 1)
	h.Run.Panicked = func(_, what string, _ any, _ []byte) { told <- what }
	h.Destination = func(context.Context, dns.Resolver, string) ([]deliver.Place, error) { panic("oops") }
	h.answers(t, h.message(t, letter, nil), 250, "spf=pass")
	if got := <-told; got != "beside" {
		t.Errorf("told of %q, want beside", got)
	}
}

// A fault of ours over one record is the check's temperror.
func TestAPanicOverARecordIsATempError(t *testing.T) {
	t.Parallel()
	h := build(t)
	up := h.Run.DNS
	h.Run.DNS = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		if q == dns.Ask("example.org", dns.TXT) {
			panic("oops")
		}
		return up.Resolve(ctx, q)
	})
	a, err := h.takes(t, t.Context(), h.message(t, letter, nil))
	if err != nil || !strings.Contains(strings.Join(a.Lines, " "), "spf=temperror") {
		t.Errorf("got %v, %v, want spf=temperror", a, err)
	}
}

// keyless panics where the keys of tokens are read, which one goroutine does for all who wait.
type keyless struct{ *kept }

func (keyless) Secrets(context.Context, string, []byte, time.Time, time.Time) (map[string][]byte, error) {
	panic("oops")
}

// smtpd makes a 451 of the error.
func TestAPanicInTheStoreIsAnError(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.Store = keyless{h.store}
	if a, err := h.takes(t, t.Context(), h.message(t, letter, nil)); err == nil || !strings.Contains(err.Error(), "panic: oops") {
		t.Errorf("got %v, %v, want an error that says so", a, err)
	}
	h.Store = h.store
	h.answers(t, h.message(t, letter, nil), 250, "spf=pass")
}
