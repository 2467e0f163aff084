package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/verify/dns/dnstest"
)

// fullStore has no room as long as left is above zero.
type fullStore struct {
	store.Store
	left atomic.Int64
}

func (f *fullStore) Put(ctx context.Context, e reply.Entry, buckets []reply.Bucket, now time.Time) (reply.Full, error) {
	if f.left.Add(-1) >= 0 {
		return reply.Full{}, fmt.Errorf("%w: database or disk is full (13)", store.ErrFull)
	}
	return f.Store.Put(ctx, e, buckets, now)
}

// RFC 5321, 4.2.3: a full disk is 452, and no matter any more as soon as there is room.
func TestRFC5321_4_2_3_full_disk(t *testing.T) {
	t.Parallel()
	world, replies := dnstest.New(t, serveZone), newSink(t)
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Operator, s.State = "verifier.example", "you@operator.example", t.TempDir()
	s.Listen, s.Resolver.Servers, s.Deliver.Relay = []string{"127.0.0.1:0"}, []string{world.Addr().String()}, replies.addr()
	s.SMTP.Loopback = loopbackEvaluate
	s.Log.Level = "error"
	e := env{now: time.Now, err: os.Stderr, getenv: func(string) string { return "" }}
	v, err := openService(t.Context(), &s, s.Log.logger(e), e)
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.key(v.log)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.prepare(key, v.log, e)
	if err != nil {
		t.Fatal(err)
	}
	responder := s.responder(v, p.upstream, p, e)
	full := &fullStore{Store: v.store}
	full.left.Store(2)
	responder.Store = full
	if err := v.openSMTP(&s, responder, e); err != nil {
		t.Fatal(err)
	}
	addr := v.plain[0].Addr().String()
	runs(t, v.run)
	for _, want := range []int{452, 452, 250} {
		code, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example", mailOf(1))
		if code != want || want == 452 && !strings.HasPrefix(text, "4.3.1 ") {
			t.Errorf("answered %d %s, want %d", code, text, want)
		}
	}
	if m := replies.next(t); m.to != "anna@sender.example" {
		t.Errorf("the reply went to %s", m.to)
	}
}
