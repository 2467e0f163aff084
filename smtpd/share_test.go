package smtpd_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/smtpd"
	"checkauth/verify"
	"checkauth/verify/share"
)

// as is a client of that address, behind a balancer; what it hears first is not read yet.
func (b *bench) as(ip string) *client {
	b.t.Helper()
	c := b.dial()
	family, to := "TCP4", "198.51.100.1"
	if strings.Contains(ip, ":") {
		family, to = "TCP6", "2001:db8:ffff::1"
	}
	c.send("PROXY " + family + " " + ip + " " + to + " 4000 25\r\n")
	return c
}

// admitted tells whether a client was greeted.
func (c *client) admitted() bool {
	c.t.Helper()
	return strings.HasPrefix(c.reply(), "220")
}

// One network, be it /24 or /48, holds an eighth of the free connections; all others come in, and the log names it once.
func TestConnectionsAreShared(t *testing.T) {
	t.Parallel()
	for network, client := range map[string]string{"2001:db8::/48": "2001:db8:0:%x00::1", "192.0.2.0/24": "192.0.2.%d"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			var log heardLog
			b := serve(t, &recorder{}, func(c *smtpd.Config) {
				c.Connections, c.PerIP, c.PerNetwork, c.Log = 40, 100, 100, log.logger(slog.LevelInfo)
			}, proxied)
			for n := range 4 { // of 37 that are free an eighth is 4
				b.as(fmt.Sprintf(client, n+1)).want("220")
			}
			for n := range 20 {
				b.as(fmt.Sprintf("203.0.%d.1", n)).want("220")
			}
			for range 5 {
				b.as(fmt.Sprintf(client, 7)).want("421 4.7.0 Too many connections for your network "+network, "closed")
			}
			if n := log.count("a network had its share"); n != 1 || log.count("bound=smtp.connections network="+network) != 1 {
				t.Errorf("%d warnings:\n%s", n, log.text())
			}
		})
	}
}

// hold opens connections, from one address after the other, until n are open or tries were made, and keeps them open with
// NOOP.
func (b *bench) hold(n, tries int, from func(i int) string) (open int) {
	b.t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := make(chan struct{}, 50)
	var held []*client
	for i := range tries {
		turns <- struct{}{}
		mu.Lock()
		done := len(held) >= n
		mu.Unlock()
		if done {
			break
		}
		all.Go(func() {
			defer func() { <-turns }()
			c := b.as(from(i))
			if c.admitted() {
				mu.Lock()
				defer mu.Unlock()
				held = append(held, c)
			}
		})
	}
	all.Wait()
	stop, stopped := make(chan struct{}), make(chan struct{})
	b.t.Cleanup(func() { close(stop); <-stopped })
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				for _, c := range held {
					_, _ = c.c.Write([]byte("NOOP\r\n")) // it may have made room
				}
			}
		}
	}()
	return len(held)
}

// honest has clients of so many networks bring a mail each.
func (b *bench) honest(n int, from func(i int) string) {
	b.t.Helper()
	for i := range n {
		c := b.as(from(i))
		if line := c.reply(); !strings.HasPrefix(line, "220") {
			b.t.Errorf("honest client %d hears %q", i, line)
			continue
		}
		c.say("EHLO client.example.org", "250-")
		c.data()
		c.send("A: b\r\n\r\n.\r\n")
		c.want("250")
	}
}

// Who opens a thousand connections and keeps them with NOOP takes no place of others, from 18 /64 of one /57 or from
// eighteen /48. Before, seven of seven honest clients heard 421, and the log said nothing.
func TestHostile_connections_kept_with_NOOP(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from func(i int) string
		most int // that such a client gets at once
	}{
		"one /57":      {func(i int) string { return fmt.Sprintf("2a00:0:0:%x::%x", i%18, i) }, 111},
		"eighteen /48": {func(i int) string { return fmt.Sprintf("2a00:%x::%x", i%18, i) }, 890},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log heardLog
			b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Log = log.logger(slog.LevelWarn) }, proxied)
			if open := b.hold(1000, 1080, c.from); open > c.most || open < 100 {
				t.Errorf("%d connections are open, want at most %d", open, c.most)
			}
			b.honest(7, func(i int) string { return fmt.Sprintf("203.0.%d.1", i) })
			if log.count("a network had its share") == 0 {
				t.Error("the log says nothing")
			}
		})
	}
}

// From sixty networks sixty places can be taken. Then those make room that bring no mail, however busy they look.
func TestHostile_all_connections_kept_with_NOOP(t *testing.T) {
	t.Parallel()
	var log heardLog
	b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Connections, c.Log = 60, log.logger(slog.LevelWarn) }, proxied)
	if open := b.hold(60, 60, func(i int) string { return fmt.Sprintf("2a00:%x::1", i) }); open != 60 {
		t.Fatalf("%d connections are open", open)
	}
	if b.as("203.0.113.1").admitted() {
		t.Error("a session that has just begun made room")
	}
	if log.count("nothing is left of what all share") != 1 || log.count("network=203.0.113.0/24") != 1 {
		t.Errorf("the log says\n%s", log.text())
	}
	time.Sleep(2 * time.Second)
	b.honest(7, func(i int) string { return fmt.Sprintf("203.0.%d.1", i) })
}

// A network that has its share, or an address that has all it may, gets one more for a session of its own that brings no
// mail; nobody else's is ended for it.
func TestIdleSessionsOfANetworkMakeRoomForIt(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Connections, c.PerIP, c.PerNetwork = 16, 1, 3 }, proxied)
	stranger := b.as("203.0.113.1")
	stranger.want("220")
	network := b.as("192.0.2.1")
	network.want("220")
	if b.as("192.0.2.2").admitted() {
		t.Fatal("a second of 14 that are free: an eighth is one")
	}
	time.Sleep(2100 * time.Millisecond)
	b.as("192.0.2.2").want("220")
	network.want("421 4.7.0 Idle", "closed")
	time.Sleep(2100 * time.Millisecond)
	b.as("192.0.2.2").want("220")
	stranger.say("NOOP", "250")
}

// Progress keeps a session, not octets: each step on the way to a mail counts once a mail.
func TestWhatIsIdle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines, answers []string
		idle           bool
	}{
		"NOOP":               {[]string{"NOOP"}, []string{"250"}, true},
		"RSET":               {[]string{"RSET"}, []string{"250"}, true},
		"VRFY":               {[]string{"VRFY x"}, []string{"252"}, true},
		"EHLO":               {[]string{"EHLO again.example"}, []string{"250"}, true},
		"wrong commands":     {[]string{"WHAT"}, []string{"500"}, true},
		"sender and RSET":    {[]string{mailFrom, "RSET"}, []string{"250", "250"}, true},
		"recipient and RSET": {[]string{mailFrom, rcptTo, "RSET"}, []string{"250", "250", "250"}, true},
		"mails":              {[]string{mailFrom, rcptTo, "DATA", "A: b\r\n\r\n."}, []string{"250", "250", "354", "250"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Connections = 1 })
			holder := b.open(false)
			for range 6 {
				for i, line := range c.lines {
					holder.say(line, c.answers[i])
				}
				time.Sleep(500 * time.Millisecond)
			}
			if got := b.dial().admitted(); got != c.idle {
				t.Errorf("another client came in: %t, want %t", got, c.idle)
			}
		})
	}
}

// Messages that are evaluated are shared likewise: who waits for slow name servers of his own keeps nobody else out.
func TestEvaluationsAreShared(t *testing.T) {
	t.Parallel()
	var log heardLog
	working, goOn := make(chan struct{}, 16), make(chan struct{})
	rec := &recorder{finish: func(context.Context, verify.Envelope) (reply.Answer, error) {
		working <- struct{}{}
		<-goOn
		return reply.Answer{Code: 250, Enhanced: [3]int{2}}, nil
	}}
	b := serve(t, rec, func(c *smtpd.Config) { c.Evaluations, c.Log = 16, log.logger(slog.LevelWarn) }, proxied)
	test := func(ip string) *client {
		c := b.as(ip)
		c.want("220")
		c.say("EHLO h.example", "250")
		c.data()
		c.send("\r\n.\r\n")
		return c
	}
	first := test("2a00::1")
	<-working
	for range 3 {
		test("2a00:0:0:100::1").want("451 4.3.2 Too many messages in evaluation for your network 2a00::/48")
	}
	other := test("2a00:1::1")
	<-working
	close(goOn)
	first.want("250")
	other.want("250")
	if log.count("a network had its share") != 1 || log.count("bound=smtp.evaluations network=2a00::/48") != 1 {
		t.Errorf("the log says:\n%s", log.text())
	}
}

// Memory for messages is shared. What of a message finds none lies on the disk from the first octet; a header has to be in
// memory, and its message is put off.
func TestMemoryForMessagesIsShared(t *testing.T) {
	t.Parallel()
	var log heardLog
	rec := &recorder{}
	b := serve(t, rec, func(c *smtpd.Config) { c.Buffer, c.Log = 160<<10, log.logger(slog.LevelWarn) }, proxied)
	begin := func(ip string) *client {
		c := b.as(ip)
		c.want("220")
		c.say("EHLO h.example", "250")
		c.data()
		return c
	}
	// An eighth of 20 blocks of 8 KiB: one has the header, one the whole of the small message.
	small := begin("2a00::1")
	small.send("A: b\r\n\r\n")
	eventually(t, func() bool { return smtpd.BlocksTaken(b.srv) == 2 })
	// A second one of that /48 finds nothing.
	begin("2a00:0:0:100::1").sendAll("A: b\r\n\r\n.\r\n", "452 4.3.1 Too many message headers in memory for your network 2a00::/48")
	// Others have the header in memory, and their whole lies on the disk.
	other := begin("2a00:1::1")
	text := sized(300 << 10)
	other.sendAll(text+".\r\n", "250")
	if got := rec.got(); len(got) != 1 || got[0].whole != text {
		t.Errorf("%d messages came, want the one", len(got))
	}
	small.sendAll(".\r\n", "250")
	if log.count("a network had its share") != 1 || log.count("bound=smtp.buffer network=2a00::/48") != 1 {
		t.Errorf("the log says:\n%s", log.text())
	}
	eventually(t, func() bool { return smtpd.BlocksTaken(b.srv) == 0 })
}

// sendAll sends and wants one answer.
func (c *client) sendAll(s, want string) {
	c.t.Helper()
	c.send(s)
	c.want(want)
}

// However many half messages there are, little of them is in memory, and nothing once their clients have gone. What is in
// memory is counted.
func TestHalfMessagesLieOnTheDisk(t *testing.T) {
	t.Parallel()
	b := serve(t, &recorder{}, func(c *smtpd.Config) { c.Share, c.PerIP, c.PerNetwork, c.Buffer = share.Rule{}, 1000, 1000, 1<<20 })
	var all []*client
	text := sized(200 << 10)
	for range 40 {
		c := b.open(false)
		c.data()
		c.send(text)
		all = append(all, c)
	}
	eventually(t, func() bool { return smtpd.BlocksTaken(b.srv) == 40 }) // a header each
	if files := openFiles(t); files < 40 {
		t.Errorf("%d messages lie in files, want 40", files)
	}
	for _, c := range all {
		_ = c.c.Close()
	}
	eventually(t, func() bool { return smtpd.BlocksTaken(b.srv) == 0 })
}

// openFiles counts the files of messages that this process has open: they have no name any more.
func openFiles(t *testing.T) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, f := range all {
		to, _ := os.Readlink("/proc/self/fd/" + f.Name())
		if bytes.HasSuffix([]byte(to), []byte(".tmp (deleted)")) {
			n++
		}
	}
	return n
}
