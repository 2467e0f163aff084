package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

// kept is a store that tells what became of each try.
type kept struct {
	*store.SQLite
	told    chan string // "done one", "retry one: reason", …
	onClose func()
	onRetry func()        // when it is stored
	onDone  func() error  // before it is stored
	wait    time.Duration // for the next thing to be told

	mu       sync.Mutex
	all      []string
	outcomes []store.Outcome
}

func (k *kept) keep(o store.Outcome) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.outcomes = append(k.outcomes, o)
}

func (k *kept) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	k.mu.Lock()
	k.all = append(k.all, line)
	k.mu.Unlock()
	k.told <- line
}

func (k *kept) Done(ctx context.Context, id string, now time.Time, o store.Outcome) error {
	if k.onDone != nil {
		if err := k.onDone(); err != nil {
			return err
		}
	}
	k.keep(o)
	defer k.tell("done %s", id)
	return k.SQLite.Done(ctx, id, now, o)
}

func (k *kept) Fail(ctx context.Context, id string, now time.Time, o store.Outcome) error {
	k.keep(o)
	defer k.tell("fail %s: %s", id, o.Reason)
	return k.SQLite.Fail(ctx, id, now, o)
}

func (k *kept) Retry(ctx context.Context, id string, at time.Time, o store.Outcome) error {
	k.keep(o)
	defer k.tell("retry %s: %s", id, o.Reason)
	err := k.SQLite.Retry(ctx, id, at, o)
	if k.onRetry != nil {
		k.onRetry()
	}
	return err
}

func (k *kept) Release(ctx context.Context, id string, at time.Time) error {
	defer k.tell("release %s", id)
	return k.SQLite.Release(ctx, id, at)
}

func (k *kept) history() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.all)
}

// next waits for the next thing that is told and compares its beginning.
func (k *kept) next(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-k.told:
		if !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(k.wait):
		t.Fatalf("nothing was told in %s, want %q; so far %q", k.wait, want, k.history())
	}
}

func openStore(t *testing.T, dir string, lease time.Duration) *kept {
	t.Helper()
	s, err := store.Open(t.Context(), dir, store.Config{Lease: lease, Node: "a.example.net", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return &kept{SQLite: s, told: make(chan string, 1000), wait: time.Minute}
}

func put(t *testing.T, k *kept, e reply.Entry) {
	t.Helper()
	if full, err := k.Put(t.Context(), e, nil, time.Now()); err != nil || full.Key != "" {
		t.Fatalf("put %s: %q, %v", e.ID, full, err)
	}
}

// start runs the deliverer; end tells it to stop, waits for that, and closes the store.
func start(t *testing.T, d *Deliverer, k *kept) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if k.onClose != nil {
			k.onClose()
		}
		if err := k.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// service is a deliverer with a store on disk, running, fast in everything.
func service(t *testing.T, zone string, change func(*Config)) (*Deliverer, *kept) {
	t.Helper()
	c := config(t)
	c.Every, c.Retries = 5*time.Millisecond, []time.Duration{10 * time.Millisecond}
	change(&c)
	k := openStore(t, t.TempDir(), 20*time.Minute)
	d := newDeliverer(t, c, k, dnstest.Zone(t, zone, patient()))
	t.Cleanup(start(t, d, k))
	return d, k
}

func TestGreylistedMailArrives(t *testing.T) {
	t.Parallel()
	s, e := &stub{script: map[string][]string{"RCPT": {"450 4.2.0 <a@example.org> is greylisted", "450 4.2.0 still", "250 welcome"}}}, entry("one")
	d, k := service(t, oneHost, func(c *Config) { c.Port = listen(t, map[string]*stub{"127.0.0.1": s}) })
	put(t, k, e)
	d.Enqueue(e)
	// The reason is kept without the recipient's address.
	k.next(t, "retry one: mx.example.org [127.0.0.1]: RCPT: 450 4.2.0 <recipient> is greylisted")
	k.next(t, "retry one: mx.example.org [127.0.0.1]: RCPT: 450 4.2.0 still")
	k.next(t, "done one")
	if _, mails := s.got(); !slices.Equal(mails, []string{received(e)}) {
		t.Errorf("got %q, want the entry once", mails)
	}
}

func TestEveryEntryEndsOnce(t *testing.T) {
	t.Parallel()
	zone := oneHost + `
null.example.    MX 0 .
missing.example. MX 0 gone.example.
private.example. MX 0 mx.private.example.
mx.private.example. A 127.0.0.9
alias.example.   MX 0 mx.alias.example.
mx.alias.example. CNAME mx.example.org.
`
	s := &stub{}
	refusing := &stub{script: map[string][]string{"RCPT": {"550-5.1.1 \x1b[2J" + strings.Repeat("no such user ", 100) + "\r\n550 5.1.1 end"}}}
	d, k := service(t, zone+"refused.example. A 127.0.0.2\n", func(c *Config) {
		c.Port = listen(t, map[string]*stub{"127.0.0.1": s, "127.0.0.2": refusing})
		c.Own = only("127.0.0.9")
	})
	wanted := map[string]string{
		"example.org": "done", "alias.example": "done", "[127.0.0.1]": "done",
		"null.example": "fail", "missing.example": "fail", "private.example": "fail", "refused.example": "fail", "nowhere.example": "fail",
	}
	for domain := range wanted {
		e := entry(domain)
		e.To = "a@" + domain
		put(t, k, e)
		d.Enqueue(e)
		d.Enqueue(e) // twice is once
	}
	for range wanted {
		<-k.told
	}
	for _, line := range k.history() {
		fate, rest, _ := strings.Cut(line, " ")
		domain, reason, _ := strings.Cut(rest, ": ")
		if fate != wanted[domain] || (fate == "fail" && reason == "") || len(reason) > maxText+10 || strings.Contains(reason, "\x1b") {
			t.Errorf("%s: got %q, want %s", domain, line, wanted[domain])
		}
		delete(wanted, domain)
	}
	if len(wanted) > 0 {
		t.Errorf("nothing was told of %v", wanted)
	}
	if _, mails := s.got(); len(mails) != 3 {
		t.Errorf("%d mails, want 3", len(mails))
	}
}

// What was put by a process that is gone is claimed from the store.
func TestWhatAnotherProcessLeftIsDelivered(t *testing.T) {
	t.Parallel()
	s, dir := &stub{}, t.TempDir()
	before := openStore(t, dir, 20*time.Minute)
	put(t, before, entry("one"))
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	c := config(t)
	c.Every = 5 * time.Millisecond
	c.Port = listen(t, map[string]*stub{"127.0.0.1": s})
	k := openStore(t, dir, 20*time.Minute)
	t.Cleanup(start(t, newDeliverer(t, c, k, dnstest.Zone(t, oneHost, patient())), k))
	k.next(t, "done one")
	if _, mails := s.got(); len(mails) != 1 {
		t.Errorf("%d mails, want 1", len(mails))
	}
}

// One domain that hangs has its own places and no others.
func TestAHangingServerDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	bad, good := &stub{script: map[string][]string{"greeting": {hangs}}}, &stub{}
	zone := oneHost + "hangs.example. A 127.0.0.2\n"
	d, k := service(t, zone, func(c *Config) {
		c.Concurrency, c.PerDomain, c.Grace = 3, 2, time.Millisecond
		c.Port = listen(t, map[string]*stub{"127.0.0.1": good, "127.0.0.2": bad})
	})
	for i := range 10 {
		e := entry(fmt.Sprint("bad", i))
		e.To = "a@hangs.example"
		put(t, k, e)
		d.Enqueue(e)
	}
	for i := range 10 {
		e := entry(fmt.Sprint("good", i))
		put(t, k, e)
		d.Enqueue(e)
		k.next(t, "done "+e.ID)
	}
	if n := bad.connections(); n > 2 {
		t.Errorf("%d connections hang, want 2", n)
	}
}

func TestAPanicIsAFailedTry(t *testing.T) {
	t.Parallel()
	var once sync.Once
	s := &stub{}
	d, k := service(t, oneHost, func(c *Config) {
		dial := inMemory(map[string]*stub{"127.0.0.1": s})
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			once.Do(func() { panic("oops") })
			return dial(ctx, network, addr)
		}
	})
	put(t, k, entry("one"))
	d.Enqueue(entry("one"))
	k.next(t, "retry one: panic: oops")
	k.next(t, "done one")
}

// What comes after the try is a stranger's octets too: his words are written down, and he hears a goodbye.
func TestAPanicBesideADelivery(t *testing.T) {
	t.Parallel()
	t.Run("while the outcome is written down", func(t *testing.T) {
		t.Parallel()
		s := &stub{script: map[string][]string{"RCPT": {"450 4.2.0 later", "250 welcome"}}}
		d, k := service(t, oneHost, func(c *Config) { c.Port = listen(t, map[string]*stub{"127.0.0.1": s}) })
		k.onRetry = func() { panic("oops") }
		put(t, k, entry("one"))
		d.Enqueue(entry("one"))
		k.next(t, "retry one: ")
		put(t, k, entry("two"))
		d.Enqueue(entry("two"))
		for range 2 { // in either order
			k.next(t, "done ")
		}
	})
	t.Run("at the goodbye", func(t *testing.T) {
		t.Parallel()
		said := make(chan struct{}, 1)
		d, k := service(t, oneHost, func(c *Config) {
			dial := inMemory(map[string]*stub{"127.0.0.1": {}})
			c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				return rude{conn, said}, err
			}
		})
		put(t, k, entry("one"))
		d.Enqueue(entry("one"))
		k.next(t, "done one")
		<-said
	})
}

// rude panics at the goodbye.
type rude struct {
	net.Conn
	said chan struct{}
}

func (r rude) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), "QUIT") {
		r.said <- struct{}{}
		panic("oops")
	}
	return r.Conn.Write(b)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	if err := Defaults().check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if d := Defaults(); d.Attempt >= store.Defaults().Lease {
		t.Errorf("one try may take %s: want less than the lease of %s", d.Attempt, store.Defaults().Lease)
	}
	for name, change := range map[string]func(*Config){
		"Hostname":    func(c *Config) { c.Hostname = "" },
		"Relay":       func(c *Config) { c.Relay = "relay.example.org" },
		"Port":        func(c *Config) { c.Port = 65536 },
		"Concurrency": func(c *Config) { c.Concurrency = 0 },
		"Retries":     func(c *Config) { c.Retries = nil },
		"Command":     func(c *Config) { c.Command = 0 },
		"Grace":       func(c *Config) { c.Grace = -1 },
		"Log":         func(c *Config) { c.Log = nil },
		"Family":      func(c *Config) { c.Family = "ipv5" },
		"RelayTLS":    func(c *Config) { c.Relay, c.Login = "relay.example.org:587", Login{"robot", "s3cret!"} },
	} {
		c := Defaults()
		change(&c)
		if _, err := New(c, nil, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want an error that names it", name, err)
		}
	}
}

func TestReasonIsBoundedAndWithoutTheRecipient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err      error
		to, want string
	}{
		{nil, "a@example.org", ""},
		{errors.New("550 <a@example.org>: no a@example.org"), "a@example.org", "550 <recipient>: no recipient"},
		{errors.New("x"), "", "x"},
		{errors.New(strings.Repeat("é", 300)), "a@example.org", strings.Repeat("é", 250) + "…"},
	} {
		if got := reasonOf(c.err, c.to); got != c.want {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
}

// silent is a resolver that answers at the context's end.
var silent = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
	<-ctx.Done()
	return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled, Err: context.Cause(ctx)}
})
