package deliver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/verify/dns"
)

// tarpit is how a mail server of an attacker wastes our time.
type tarpit func(conn net.Conn)

// hanging never says anything.
func hangingPit(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// drippingPit says one octet of a greeting without an end each 9.7 s, more often than a try counts as slow.
func drippingPit(conn net.Conn) {
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	_, err := io.WriteString(conn, "220-")
	for err == nil {
		time.Sleep(9700 * time.Millisecond)
		_, err = io.WriteString(conn, "x")
	}
}

// latePit puts off after 9.7 s, so that its tries never count as slow.
func latePit(conn net.Conn) {
	time.Sleep(9700 * time.Millisecond)
	_, _ = io.WriteString(conn, "421 4.3.2 later\r\n")
}

// siege is a network in memory in which dN.example has a tarpit of its own, sN.example one for all, and hN.example
// an honest server.
type siege struct {
	pit tarpit

	mu         sync.Mutex
	open, most int // connections to tarpits: now, and at most
	arrived    map[string]time.Time
}

func (s *siege) Resolve(_ context.Context, q dns.Question) (dns.Answer, error) {
	out := dns.Answer{Question: q}
	if q.Type != dns.A {
		return out, nil
	}
	label, _, _ := strings.Cut(q.Name, ".")
	n, err := strconv.Atoi(label[1:])
	if err != nil {
		return out, nil
	}
	addr := netip.AddrFrom4([4]byte{10, label[0], byte(n >> 8), byte(n)})
	if label[0] == 's' {
		addr = netip.AddrFrom4([4]byte{10, 's', 0, 1})
	}
	out.Records = []dns.Record{{Name: q.Name, Type: dns.A, Addr: addr}}
	return out, nil
}

func (s *siege) dial(_ context.Context, _, addr string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	if strings.HasPrefix(addr, fmt.Sprintf("10.%d.", 'h')) {
		go s.take(theirs)
		return ours, nil
	}
	s.count(1)
	go func() {
		defer s.count(-1)
		defer func() { _ = theirs.Close() }()
		s.pit(theirs)
	}()
	return ours, nil
}

func (s *siege) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
	s.most = max(s.most, s.open)
}

// take is the honest server, which notes when a mail for whom came.
func (s *siege) take(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	_, err := io.WriteString(conn, "220 mx\r\n")
	var whom string
	data := false
	for err == nil {
		var line, answer string
		if line, err = in.ReadString('\n'); err != nil {
			return
		}
		if after, ok := strings.CutPrefix(line, "RCPT TO:<"); ok {
			whom, _, _ = strings.Cut(after, "@")
		}
		switch {
		case data && line != ".\r\n":
			continue
		case data:
			data, answer = false, "250 ok"
			s.mu.Lock()
			s.arrived[whom] = time.Now()
			s.mu.Unlock()
		case strings.HasPrefix(line, "DATA"):
			data, answer = true, "354 go on"
		case strings.HasPrefix(line, "QUIT"):
			return
		default:
			answer = "250 ok"
		}
		_, err = io.WriteString(conn, answer+"\r\n")
	}
}

// mail takes a test as the service does: it waits for room, stores the reply and hands it over.
func (s *siege) mail(t *testing.T, d *Deliverer, k *kept, id, client, to string) error {
	e := entry(id)
	e.Client, e.To = netip.MustParseAddr(client), to
	if err := d.Admit(t.Context(), e.Client, to); err != nil {
		return err
	}
	if _, err := k.Put(t.Context(), e, nil, time.Now()); err != nil {
		return err
	}
	d.Enqueue(e)
	return nil
}

// figures are what honest senders saw.
type figures struct {
	sent, refused, arrived, late int
	longest                      time.Duration
	places                       int // connections that the attacker had at once
}

func (f figures) String() string {
	return fmt.Sprintf("%d honest tests: %d heard 451, %d reports came, %d of them after 30 s, the last %s after its test; the attacker had %d connections",
		f.sent, f.refused, f.arrived, f.late, f.longest.Round(10*time.Millisecond), f.places)
}

// besiege sends 230 tests in 2.3 s whose replies go to tarpits, and one honest test a second for 150 s.
func besiege(t *testing.T, pit tarpit, client, to func(i int) string) (out figures) {
	s := &siege{pit: pit, arrived: map[string]time.Time{}}
	bubble(t, nil, s, func(c *Config) {
		c.Dial, c.Every, c.Grace, c.Share.Part = s.dial, time.Second, time.Millisecond, 8
	}, func(t *testing.T, d *Deliverer, k *kept, _ func()) {
		k.told = make(chan string, 100_000)
		var all sync.WaitGroup
		for i := range 230 {
			all.Go(func() { _ = s.mail(t, d, k, fmt.Sprint("bad", i), client(i), to(i)) })
			time.Sleep(10 * time.Millisecond)
		}
		var mu sync.Mutex
		began := map[string]time.Time{}
		for i := range 150 {
			id := fmt.Sprint("good", i)
			began[id] = time.Now()
			all.Go(func() {
				err := s.mail(t, d, k, id, fmt.Sprintf("198.51.%d.1", i%100), fmt.Sprintf("%s@h%d.example", id, i))
				mu.Lock()
				defer mu.Unlock()
				out.sent++
				if errors.Is(err, ErrBehind) {
					out.refused++
				}
			})
			time.Sleep(time.Second)
		}
		time.Sleep(30 * time.Second)
		all.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, at := range s.arrived {
			took := at.Sub(began[id])
			out.arrived++
			out.longest = max(out.longest, took)
			if took > 30*time.Second {
				out.late++
			}
		}
		out.places = s.most
	})
	return out
}

// Mail servers that hang, drip or answer late, which strangers name, hold up nobody else's replies.
func TestTarpitsHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	five := func(i int) string { return fmt.Sprintf("2001:db8:%x:%x00::1", i%5, i%5) }
	own := func(i int) string { return fmt.Sprintf("x@d%d.example", i) }
	for _, c := range []struct {
		name       string
		pit        tarpit
		client, to func(i int) string
	}{
		{"hanging, five /56", hangingPit, five, own},
		{"a byte each 9.7 s, five /56", drippingPit, five, own},
		{"421 after 9.7 s, five /56", latePit, five, own},
		{"421 after 9.7 s, five /56 of one /48", latePit, func(i int) string { return fmt.Sprintf("2001:db8:0:%x00::1", i%5) }, own},
		{"hanging, one server, a network each", hangingPit, func(i int) string { return fmt.Sprintf("192.0.%d.1", i) },
			func(i int) string { return fmt.Sprintf("x@s%d.example", i) }},
		{"hanging, a network each", hangingPit, func(i int) string { return fmt.Sprintf("192.0.%d.1", i) }, own},
		{"421 after 9.7 s, a network each", latePit, func(i int) string { return fmt.Sprintf("192.0.%d.1", i) }, own},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := besiege(t, c.pit, c.client, c.to)
			t.Log(got)
			if got.refused > 0 || got.late > 0 || got.arrived < got.sent {
				t.Error("honest senders pay for it")
			}
		})
	}
}
