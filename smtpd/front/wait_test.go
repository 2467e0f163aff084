package front

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// 18: a message that drips is cut after a window; one silence, as of a sender that scans first, is not.
func TestRateOfData(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		silences []time.Duration // each followed by one octet
		cut      bool
	}{
		"an octet each 10 s":         {[]time.Duration{10e9, 10e9, 10e9, 10e9, 10e9, 10e9}, true},
		"one long silence":           {[]time.Duration{150e9}, false},
		"a second long silence":      {[]time.Duration{150e9, 150e9}, true},
		"dripping behind a silence":  {[]time.Duration{150e9, 20e9, 20e9, 20e9}, true},
		"a silence behind some data": {[]time.Duration{20e9, 100e9, 20e9}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer ours.Close()
				defer theirs.Close()
				conn := New(ours, Config{Window: time.Minute, MinRate: 500, DataIdle: 3 * time.Minute, Session: 15 * time.Minute}, nil)
				conn.wait.data(conn)
				good := true
				for _, s := range c.silences {
					time.Sleep(s)
					good = conn.wait.progress(conn, 1)
				}
				if good == c.cut {
					t.Errorf("taken: %t, want %t", good, !c.cut)
				}
				if _, why := conn.wait.reason(conn); c.cut && why != "too slow in DATA" {
					t.Errorf("cut for %q", why)
				}
			})
		})
	}
}

// Where places are few a session has so long for a step towards a mail, and NOOP is none: "no command came" would not be true
// of it. Where there is room each command has its time (RFC 5321, 4.5.3.2.7).
func TestNOOPKeepsNoSessionWherePlacesAreFew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pressed bool
		line    string
		after   time.Duration
		why     string
	}{
		"room":                {false, "NOOP\r\n", 60 * time.Second, "too many commands"},
		"few places":          {true, "NOOP\r\n", 10 * time.Second, "no mail came"},
		"few places, silent":  {true, "", 10 * time.Second, "timeout"},
		"few places, HELO":    {true, "HELO x\r\n", 10 * time.Second, "no mail came"},
		"few places, senders": {true, "MAIL FROM:<a@example.org>\r\nRSET\r\n", 11500 * time.Millisecond, "no mail came"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				cfg := testConfig()
				cfg.Session, cfg.Commands = time.Hour, 40
				cfg.Command = func() (time.Duration, bool) { return 10 * time.Second, c.pressed }
				began := time.Now()
				var clients sync.WaitGroup
				clients.Go(func() {
					for b := make([]byte, 1000); ; {
						if _, err := theirs.Read(b); err != nil {
							return
						}
					}
				})
				clients.Go(func() {
					_, err := theirs.Write([]byte("EHLO x\r\n"))
					for c.line != "" && err == nil {
						time.Sleep(1500 * time.Millisecond)
						_, err = theirs.Write([]byte(c.line))
					}
				})
				_, end := behind(t, cfg, ours)
				if took := time.Since(began); took.Round(100*time.Millisecond) != c.after || end.Why != c.why {
					t.Errorf("ended after %s for %q, want %s for %q", took, end.Why, c.after, c.why)
				}
				_ = theirs.Close()
				clients.Wait()
			})
		})
	}
}
