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
