package front

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// What no test can make a client do in a moment.
func TestFailuresOfHandshakes(t *testing.T) {
	t.Parallel()
	remote := func(text string) error { return &net.OpError{Op: "remote error", Err: errors.New(text)} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "tls-failed-timeout"},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "tls-failed-closed"},
		{io.ErrUnexpectedEOF, "tls-failed-closed"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "tls-failed-not-tls"},
		{remote("tls: alert(41)"), `tls-failed-alert alert="alert(41)"`},
		{remote("tls: revoked certificate"), `tls-failed-certificate alert="certificate_revoked"`},
		{errors.New("tls: something new"), `tls-failed-other error="something new"`},
	} {
		if got := (&watched{}).failure(c.err).String(); got != c.want {
			t.Errorf("%v: got %s, want %s", c.err, got, c.want)
		}
	}
}

// An alert in clear text is found wherever reads cut the records, and one that is encrypted is not taken for one.
func TestAlertsInClearText(t *testing.T) {
	t.Parallel()
	hello := "\x16\x03\x01\x00\x05\x15\x03\x03\x00\x02"
	for _, c := range []struct {
		name, stream string
		want         byte
	}{
		{"after a ClientHello that looks like one", hello + "\x14\x03\x03\x00\x01\x01" + "\x15\x03\x03\x00\x02\x02\x30", 48},
		{"alone", "\x15\x03\x01\x00\x02\x02\x2a", 42},
		{"encrypted", hello + "\x15\x03\x03\x00\x1a" + "\x02\x30abcdefghijklmnopqrstuvwx", 0},
		{"in a record of TLS 1.3", hello + "\x17\x03\x03\x00\x02\x02\x30", 0},
		{"not whole", hello + "\x15\x03\x03\x00\x02\x02", 0},
		{"no records", "EHLO client.example.org\r\n", 0},
		{"an empty record", "\x16\x03\x03\x00\x00\x15\x03\x03\x00\x02\x02\x28", 40},
	} {
		for size := 1; size <= len(c.stream); size++ {
			w := &watched{}
			for rest := c.stream; rest != ""; rest = rest[min(size, len(rest)):] {
				w.look([]byte(rest[:min(size, len(rest))]))
			}
			if w.alert != c.want {
				t.Errorf("%s, in pieces of %d: got %d, want %d", c.name, size, w.alert, c.want)
			}
		}
	}
	w := &watched{alert: 48}
	if got := w.failure(errors.New("local error: tls: bad record MAC")).String(); got != `tls-failed-certificate alert="unknown_ca"` {
		t.Errorf("got %s", got)
	}
}
