package smtpd

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/smtpd/front"
	"checkauth/verify"
	"checkauth/verify/naming"
)

func testConn(t *testing.T, r *registry) *front.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return front.New(ours, front.Config{Command: r.command, Session: time.Hour}, nil)
}

// The fuller it is, the less time is there for a command; far above the limit nobody is heard.
func TestLoadShortensCommands(t *testing.T) {
	t.Parallel()
	cfg := Defaults()
	cfg.Connections = 20
	r := newRegistry(cfg)
	for n := 1; n <= cfg.Connections+tooMany; n++ {
		c := testConn(t, r)
		if err := r.add(c); err != nil {
			t.Fatalf("connection %d is closed unheard", n)
		}
		client := netip.AddrFrom4([4]byte{192, 0, byte(n), 1})
		if err := r.admit(c, client); (err == nil) != (n <= cfg.Connections) {
			t.Errorf("connection %d: %v", n, err)
		}
		want := 5 * time.Minute
		if n > 10 {
			want = time.Minute
		}
		if n > 18 {
			want = 10 * time.Second
		}
		if got, pressed := r.command(); got != want || pressed != (n > 10) {
			t.Errorf("%d connections: %s for a command, %t, want %s", n, got, pressed, want)
		}
	}
	if r.add(testConn(t, r)) == nil {
		t.Error("there is no end")
	}
	for c := range r.conns {
		r.remove(c)
	}
	if len(r.ips) != 0 || len(r.networks) != 0 || r.places.Used() != 0 {
		t.Errorf("left: %v, %v, %d", r.ips, r.networks, r.places.Used())
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"192.0.2.77": "192.0.2.0/24", "2001:db8:1:2:3::4": "2001:db8:1:2::/64"} {
		if got := naming.Networks(netip.MustParseAddr(in))[0].String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// What began long ago is forgotten, however many networks there were.
func TestBeginsAreForgotten(t *testing.T) {
	t.Parallel()
	r, now := newRegistry(Defaults()), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	a := netip.MustParseAddr("2001:db8::1").As16()
	for n := range 3000 {
		a[5], a[6] = byte(n), byte(n>>8)
		if !r.begin(netip.AddrFrom16(a), now.Add(time.Duration(n)*time.Second)) {
			t.Fatalf("network %d may not begin", n)
		}
	}
	if len(r.begins) > 1100 {
		t.Errorf("%d networks are remembered", len(r.begins))
	}
}

// In a minute with many networks they are looked through once, not once for each.
func TestBeginsAreSweptOnceAMinute(t *testing.T) {
	t.Parallel()
	r, start := newRegistry(Defaults()), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	a := netip.MustParseAddr("2001:db8::1").As16()
	var sweeps []time.Time
	for n := range 12000 {
		a[5], a[6] = byte(n), byte(n>>8)
		r.begin(netip.AddrFrom16(a), start.Add(time.Duration(n)*10*time.Millisecond))
		if len(sweeps) == 0 || r.swept != sweeps[len(sweeps)-1] {
			sweeps = append(sweeps, r.swept)
		}
	}
	if len(sweeps) != 3 { // the zero time, after 1000, a minute later
		t.Errorf("swept at %v", sweeps)
	}
	if len(r.begins) > 11000 {
		t.Errorf("%d networks are remembered", len(r.begins))
	}
}

// However a header is cut into pieces, the same is seen of it.
func TestHeaderInPieces(t *testing.T) {
	t.Parallel()
	for text, body := range map[string]int{
		"A: b\r\n\r\nbody\r\n": 8, "A: b\n\nbody": 6, "A: b\r\n c\r\n\r\n": 12, "\r\nbody": 2, "A: b\r\n": -1, "A: b": -1,
		"A: b\r\n\r\r\n\r\n": 11, "A: " + strings.Repeat("x", 3000) + "\r\n\r\n": 3007,
	} {
		for _, size := range []int{1, 2, 3, 1000, len(text)} {
			h := head{bounds: Defaults().Header}
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				h.take([]byte(rest[:n]))
				rest = rest[n:]
			}
			if h.empty != (body >= 0) || body >= 0 && h.body != body {
				t.Errorf("%.40q in pieces of %d: body at %d, %t, want %d", text, size, h.body, h.empty, body)
			}
		}
	}
}

// BenchmarkHeaderByOctets: one line of the largest header that comes octet by octet, as from TLS records
// of one octet: 5 s where each of them made us look through the line again.
func BenchmarkHeaderByOctets(b *testing.B) {
	text := []byte("X: " + strings.Repeat("x", Defaults().Header.Bytes-10))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		h := head{bounds: Defaults().Header}
		for i := range text {
			h.take(text[i : i+1])
		}
		if h.done {
			b.Fatal("it is over")
		}
	}
}

// BenchmarkHeader: 160,000 continuation lines, which others are quadratic in.
func BenchmarkHeader(b *testing.B) {
	text := []byte("DKIM-Signature: a\r\n" + strings.Repeat(" b\r\n", 160000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		h := head{bounds: Defaults().Header}
		for rest := text; len(rest) > 0; {
			n := min(len(rest), 32<<10)
			h.take(rest[:n])
			rest = rest[n:]
		}
		if h.err == nil {
			b.Fatal("no error")
		}
	}
}

// A minute that lies in the future was begun by a clock that has been set back since.
func TestMinuteAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	cfg := Defaults()
	cfg.BeginsNetwork = 1
	r, client := newRegistry(cfg), netip.MustParseAddr("192.0.2.1")
	now := time.Date(2029, 11, 24, 12, 0, 0, 0, time.UTC)
	if !r.begin(client, now) || r.begin(client, now) {
		t.Fatal("want one transaction in a minute")
	}
	now = now.AddDate(-3, 0, 0)
	if !r.begin(client, now) || r.begin(client, now) {
		t.Error("after the clock was set back: want one in the new minute")
	}
}

// What is remembered of failed handshakes is bounded, however many clients there are.
func TestFailedHandshakesAreBounded(t *testing.T) {
	t.Parallel()
	var h handshakes
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	client := netip.MustParseAddr("10.0.0.0")
	for range 3 * brokenMost {
		client = client.Next()
		h.add(client, verify.TLSFailure{Time: now})
		if len(h.by) > brokenMost || h.of(client, now) == nil {
			t.Fatalf("%s: %d are remembered, this one: %t", client, len(h.by), h.of(client, now) != nil)
		}
	}
	// Those that are over go first.
	later := now.Add(brokenFor)
	h.add(client.Next(), verify.TLSFailure{Time: later})
	if len(h.by) != 1 {
		t.Errorf("%d are remembered, want the new one alone", len(h.by))
	}
}
