package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkauth/reply"
	"checkauth/verify/dns/dnstest"
)

// count is how often a command was heard.
func count(s *stub, command string) (n int) {
	heard, _ := s.got()
	for _, line := range heard {
		if strings.HasPrefix(strings.TrimPrefix(line, "TLS "), command) {
			n++
		}
	}
	return n
}

// tryKeeping is try, with the connection kept as after a stored outcome.
func (d *Deliverer) tryKeeping(ctx context.Context, e reply.Entry) (outcome, error) {
	what, err := d.try(ctx, d.attempt(e, nil))
	if what.bye != nil {
		what.bye()
	}
	return what, err
}

// standingBy is a deliverer over real connections that are kept between tries.
func standingBy(t *testing.T, s *stub, change func(*Config)) *Deliverer {
	t.Helper()
	c := config(t)
	c.Port = listen(t, map[string]*stub{"127.0.0.1": s})
	if change != nil {
		change(&c)
	}
	d := newDeliverer(t, c, nil, dnstest.Zone(t, oneHost+"other.example. MX 0 mx.example.org.\n", patient()))
	t.Cleanup(d.idle.close)
	return d
}

// wantMails checks what a server took, in order, each once.
func wantMails(t *testing.T, s *stub, entries ...reply.Entry) {
	t.Helper()
	var wanted []string
	for _, e := range entries {
		wanted = append(wanted, received(e))
	}
	if _, mails := s.got(); !slices.Equal(mails, wanted) {
		t.Errorf("the server has %q, want %q", mails, wanted)
	}
}

func TestSeveralRepliesGoOverOneConnection(t *testing.T) {
	t.Parallel()
	s := offering(certificate(t))
	s.script["."] = []string{"250 2.0.0 first", "250 2.0.0 second", "250 2.0.0 third"}
	d := standingBy(t, s, nil)
	for _, id := range []string{"first", "second", "third"} {
		what, err := d.tryKeeping(t.Context(), entry(id))
		want(t, err, "taken", "")
		if what.host != "mx.example.org [127.0.0.1]" || what.tls != "TLS 1.3" || what.said != "250 2.0.0 "+id || !what.talked {
			t.Errorf("%s: got %+v", id, what)
		}
	}
	wantMails(t, s, entry("first"), entry("second"), entry("third"))
	if n := s.connections(); n != 1 || count(s, "EHLO") != 2 || count(s, "QUIT") != 0 {
		t.Errorf("%d connections, %d EHLO, %d QUIT; want 1, 2 (in clear and in TLS), 0", n, count(s, "EHLO"), count(s, "QUIT"))
	}
	// The same host for another domain: what was promised may differ.
	e := entry("other")
	e.To = "a@other.example"
	_, err := d.tryKeeping(t.Context(), e)
	want(t, err, "taken", "")
	if n := s.connections(); n != 2 {
		t.Errorf("with another domain: %d connections, want 2", n)
	}
	d.idle.close()
	if n := count(s, "QUIT"); n != 2 {
		t.Errorf("at the end: %d QUIT, want 2", n)
	}
}

func TestOneConnectionToTheRelayForAllDomains(t *testing.T) {
	t.Parallel()
	s := &stub{}
	d := standingBy(t, s, func(c *Config) { c.Relay = fmt.Sprint("127.0.0.1:", c.Port) })
	second := entry("two")
	second.To = "a@other.example"
	for _, e := range []reply.Entry{entry("one"), second} {
		_, err := d.tryKeeping(t.Context(), e)
		want(t, err, "taken", "")
	}
	if n := s.connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// What a server may do to a connection that waits: the entry goes over a new one, once.
func TestAConnectionThatDoesNotServeAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, verb  string
		answers     []string
		fate        string
		connections int
		mails       int
	}{
		{"closed meanwhile", "MAIL", []string{"250 ok", closes, "250 ok"}, "taken", 2, 2},
		{"421 to MAIL", "MAIL", []string{"250 ok", "421 4.4.2 timeout", "250 ok"}, "taken", 2, 2},
		{"451 to MAIL", "MAIL", []string{"250 ok", "451 4.7.1 too many mails", "250 ok"}, "taken", 2, 2},
		{"5xx to MAIL", "MAIL", []string{"250 ok", "503 5.5.1 one mail a session", "250 ok"}, "taken", 2, 2},
		{"5xx to MAIL, and over the new one", "MAIL", []string{"250 ok", "550 5.7.1 no"}, "temporary", 2, 1},
		{"closes at RCPT", "RCPT", []string{"250 ok", closes, "250 ok"}, "taken", 2, 2},
		{"4xx to RCPT", "RCPT", []string{"250 ok", "452 4.5.3 too many", "250 ok"}, "taken", 2, 2},
		{"5xx to RCPT is about the entry", "RCPT", []string{"250 ok", "550 5.1.1 no such user", "250 ok"}, "permanent", 1, 1},
		{"closes at DATA", "DATA", []string{"354 go on", closes, "354 go on"}, "taken", 2, 2},
		{"closes behind the message: it may have it", ".", []string{"250 ok", closes, "250 ok"}, "temporary", 1, 1},
		{"4xx to the message", ".", []string{"250 ok", "451 4.3.0 later", "250 ok"}, "temporary", 1, 1},
		{"5xx to the message", ".", []string{"250 ok", "550 5.7.1 spam", "250 ok"}, "permanent", 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &stub{script: map[string][]string{c.verb: c.answers}}
			d := standingBy(t, s, nil)
			_, err := d.tryKeeping(t.Context(), entry("one"))
			want(t, err, "taken", "")
			what, err := d.tryKeeping(t.Context(), entry("two"))
			want(t, err, c.fate, "mx.example.org [127.0.0.1]: ")
			wantMails(t, s, []reply.Entry{entry("one"), entry("two")}[:c.mails]...)
			if n := s.connections(); n != c.connections || what.host != "mx.example.org [127.0.0.1]" {
				t.Errorf("%d connections, %+v; want %d", n, what, c.connections)
			}
		})
	}
}

// A connection whose server lacks what an entry needs stays for those that need less.
func TestRFC6531_3_5_a_connection_that_does_not_suit(t *testing.T) {
	t.Parallel()
	plain, able := "250-mx\r\n250 SIZE 1000", "250-mx\r\n250-8BITMIME\r\n250 SMTPUTF8"
	s := &stub{script: map[string][]string{"EHLO": {plain, able}}}
	d := standingBy(t, s, nil)
	wide := entry("two")
	wide.UTF8, wide.EightBit = true, true
	for _, e := range []reply.Entry{entry("one"), wide, entry("three"), entry("four")} {
		_, err := d.tryKeeping(t.Context(), e)
		want(t, err, "taken", "")
	}
	if n := s.connections(); n != 2 || count(s, "MAIL FROM:<> BODY=8BITMIME SMTPUTF8") != 1 {
		heard, _ := s.got()
		t.Errorf("%d connections, heard %q", n, heard)
	}
}

func TestTheContextsEndCutsAConnectionThatWaited(t *testing.T) {
	t.Parallel()
	over := errors.New("the time for one try is over")
	s := &stub{script: map[string][]string{"RCPT": {"250 ok", hangs}}}
	alone(t, s, func(t *testing.T, d *Deliverer) {
		_, err := d.tryKeeping(t.Context(), entry("one"))
		want(t, err, "taken", "")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, over)
		defer cancel()
		_, err = d.tryKeeping(ctx, entry("two"))
		want(t, err, "temporary", over.Error())
		if n := s.connections(); n != 1 {
			t.Errorf("%d connections, want 1: no time is left", n)
		}
		d.idle.close()
	})
}

func TestConnectionsAreNotKeptForLong(t *testing.T) {
	t.Parallel()
	t.Run("what waits is ended", func(t *testing.T) {
		t.Parallel()
		s := &stub{}
		alone(t, s, func(t *testing.T, d *Deliverer) {
			_, err := d.tryKeeping(t.Context(), entry("one"))
			want(t, err, "taken", "")
			time.Sleep(linger - 1)
			synctest.Wait()
			if n := count(s, "QUIT"); n != 0 {
				t.Errorf("%d QUIT before %s are over", n, linger)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if n := count(s, "QUIT"); n != 1 || d.idle.n != 0 || len(d.idle.by) != 0 {
				t.Errorf("%d QUIT, %d wait, want 1 and none", n, d.idle.n)
			}
		})
	})
	t.Run("an old one takes no more", func(t *testing.T) {
		t.Parallel()
		s := &stub{}
		alone(t, s, func(t *testing.T, d *Deliverer) {
			for range 100 {
				_, err := d.tryKeeping(t.Context(), entry("one"))
				want(t, err, "taken", "")
				time.Sleep(linger - time.Nanosecond)
			}
			d.idle.close()
			// One has 31 mails, those of its first minute and the one that sees that this is over.
			if n := s.connections(); n != 4 {
				t.Errorf("%d connections for 100 mails, one each two seconds; want 4", n)
			}
		})
	})
	t.Run("so many mails over one", func(t *testing.T) {
		t.Parallel()
		s := &stub{}
		alone(t, s, func(t *testing.T, d *Deliverer) {
			for range mostMails + 1 {
				_, err := d.tryKeeping(t.Context(), entry("one"))
				want(t, err, "taken", "")
			}
			d.idle.close()
			if _, mails := s.got(); s.connections() != 2 || len(mails) != mostMails+1 {
				t.Errorf("%d connections for %d mails, want 2", s.connections(), len(mails))
			}
		})
	})
}

// idleSession is one whose server waits for the goodbye.
func idleSession(t *testing.T, goodbyes *sync.WaitGroup) *session {
	ours, theirs := net.Pipe()
	goodbyes.Go(func() {
		readsLine(theirs)
		_ = theirs.Close()
	})
	s := &session{cfg: config(t), began: time.Now()}
	s.on(ours)
	return s
}

func TestSoManyConnectionsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var i connectionPool
		var goodbyes sync.WaitGroup
		for n := range mostIdle + 10 {
			i.put(fmt.Sprint(n%7), idleSession(t, &goodbyes), outcome{})
		}
		if i.n != mostIdle {
			t.Errorf("%d wait, want %d", i.n, mostIdle)
		}
		i.close()
		goodbyes.Wait()
		i.put("late", idleSession(t, &goodbyes), outcome{})
		goodbyes.Wait()
		if i.n != 0 || i.take("late") != nil {
			t.Errorf("%d wait after the end", i.n)
		}
		i.close()
	})
}

// What came unasked would be taken for the answer to MAIL.
func TestAConnectionWithWordsToSpareIsNotKept(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{".": {"250 2.0.0 queued\r\n250 and more"}}}
	d := standingBy(t, s, nil)
	for _, id := range []string{"one", "two"} {
		_, err := d.tryKeeping(t.Context(), entry(id))
		want(t, err, "taken", "")
	}
	if n := s.connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// The whole service: many replies to a domain, PerDomain connections at most, each reply once; at its end each
// connection has heard QUIT.
func TestReuseInService(t *testing.T) {
	t.Parallel()
	const n = 60
	s := &stub{}
	bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(c *Config) { c.PerDomain, c.Every = 2, time.Second }, func(t *testing.T, d *Deliverer, k *kept, end func()) {
		var wanted []string
		for i := range n {
			e := entry(fmt.Sprint("e", i))
			put(t, k, e)
			if d.queue.full(domainOf(e.To)) {
				time.Sleep(time.Millisecond) // else it would go back to the store
			}
			d.Enqueue(e)
			wanted = append(wanted, received(e))
		}
		for range n {
			k.next(t, "done ")
		}
		end()
		_, mails := s.got()
		slices.Sort(mails)
		slices.Sort(wanted)
		if !slices.Equal(mails, wanted) || s.connections() > 4 || count(s, "QUIT") != s.connections() {
			t.Errorf("%d mails, %d connections, %d QUIT; want %d, at most 4, as many", len(mails), s.connections(), count(s, "QUIT"), n)
		}
	})
}

// A goodbye that the server does not answer holds up Run's end for its second and no longer.
func TestRunWaitsForGoodbyes(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"QUIT": {hangs}}}
	bubble(t, map[string]*stub{"192.0.2.1": s}, oneDomain, func(*Config) {}, func(t *testing.T, d *Deliverer, k *kept, end func()) {
		put(t, k, entry("one"))
		d.Enqueue(entry("one"))
		k.next(t, "done one")
		time.Sleep(linger) // its goodbye has begun
		began := time.Now()
		end()
		if took := time.Since(began); took != farewell {
			t.Errorf("it took %s, want %s", took, farewell)
		}
	})
}

// full tells whether no further entry of a domain may wait here.
func (l *queue) full(domain string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.domains[domain] >= queuePerDomain
}
