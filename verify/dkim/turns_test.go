package dkim

import (
	"context"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

// A verdict does not stand behind searches of others: those have turns of their own, and may take seconds.
func TestVerdictsDoNotWaitForSearches(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: ourKeys(), Turns: share.NewTurns(1), Searches: share.NewTurns(1)}
	v.Searches.Take(t.Context()) // another's search
	if got := words(checked(t, v, sign(plainTags, plainMessage))); got != "pass" {
		t.Errorf("got %q, want pass", got)
	}
	// Where no turn comes in time the verdict is the same, and the report says that nobody looked for the cause.
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	fields, body := split(t, strings.Replace(sign(plainTags, plainMessage), "Hello", "Hallo", 1))
	s := v.Check(ctx, fields, body).Signatures[0]
	if s.Word != result.Fail || s.Reason.Code != "dkim-body-hash-differs" || !hasCode(s, []result.Code{"dkim-body-not-searched"}) {
		t.Errorf("got %s (%s), %v", s.Word, s.Reason, s.Findings)
	}
}

// No turn is held while the DNS is asked: else slow name servers of a few would stop all that computes.
func TestNoTurnIsHeldWhileTheDNSIsAsked(t *testing.T) {
	t.Parallel()
	turns, searches := share.NewTurns(1), share.NewTurns(1)
	asked := 0
	free := dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		asked++
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond) // the turn would be this goroutine's own
		defer cancel()
		for name, all := range map[string]share.Turns{"computing": turns, "searching": searches} {
			if !all.Take(ctx) {
				t.Errorf("%s: a turn of %s is held", q, name)
				continue
			}
			all.Give()
		}
		return ourKeys().Resolve(ctx, q)
	})
	v := Verifier{DNS: free, Diagnose: free, Turns: turns, Searches: searches}
	for _, m := range []string{
		sign(plainTags, plainMessage),
		strings.Replace(sign(plainTags, plainMessage), "Hello", "Hallo", 1),
		strings.Replace(sign(plainTags, plainMessage), "s=rsa", "s=other", 1),
		strings.Replace(sign(plainTags, plainMessage), "Subject: A", "Subject: B", 1),
		benchMessage(plainTags, 3, 10<<10),
	} {
		checked(t, v, m)
	}
	if asked < 5 {
		t.Errorf("%d questions: the case is broken", asked)
	}
}
