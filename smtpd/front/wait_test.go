package front

import (
	"net"
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
