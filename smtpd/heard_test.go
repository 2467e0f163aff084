package smtpd_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"checkauth/reply"
	"checkauth/verify"
)

func (r *recorder) told() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.heard)
}

// tcp is the connection below TLS.
func (c *client) tcp() net.Conn {
	if t, ok := c.c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c.c
}

// delivered waits until the other side's kernel has all that was sent.
func (c *client) delivered(t *testing.T) {
	c.t.Helper()
	raw, err := c.tcp().(syscall.Conn).SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	eventually(t, func() bool {
		left := 0
		err := raw.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		return err == nil && left == 0
	})
}

// A command that was sent with our answer to a message before it proves that the client heard it.
func TestRFC1047_a_command_after_the_answer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ command, reply string }{
		{"NOOP", "250"}, {"RSET", "250"}, {"QUIT", "221"}, {mailFrom, "250"}, {"EHLO again.example.org", "250-"}, {"XYZZY", "500"}, {"DATA", "503"},
	} {
		t.Run(c.command, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, inTLS bool) {
				rec := &recorder{}
				d := serve(t, rec, nil).open(inTLS)
				d.data()
				d.say("x: y\r\n\r\nhello\r\n.", "250")
				if got := rec.told(); len(got) != 0 {
					t.Errorf("told of %q before a command came", got)
				}
				d.say(c.command, c.reply)
				if c.reply != "221" {
					d.say("NOOP", "250")
				}
				if got := rec.told(); !slices.Equal(got, []string{"ID1"}) {
					t.Errorf("told of %q, want the one, once", got)
				}
			})
		})
	}
}

// RFC 2920, 3.1: what was sent before our answer was written proves nothing: in one segment with the final dot, and
// in one of its own while we evaluate.
func TestRFC2920_3_1_a_pipelined_command_proves_nothing(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		for _, c := range []struct {
			name string
			send func(c *client)
		}{
			{"in one piece", func(c *client) { c.send("x: y\r\n\r\nhello\r\n.\r\nQUIT\r\n") }},
			{"in two pieces", func(c *client) { c.send("x: y\r\n\r\nhello\r\n.\r\n"); c.send("QUIT\r\n") }},
			{"in part", func(c *client) { c.send("x: y\r\n\r\nhello\r\n.\r\nQU") }},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				sent := make(chan struct{})
				rec := &recorder{finish: func(_ context.Context, e verify.Envelope) (reply.Answer, error) {
					<-sent
					return reply.Answer{Code: 250, Enhanced: [3]int{2, 0, 0}, Report: e.ID}, nil
				}}
				d := serve(t, rec, nil).open(inTLS)
				d.data()
				c.send(d)
				d.delivered(t)
				close(sent)
				d.want("250")
				if c.name == "in part" {
					d.send("IT\r\n")
				}
				d.want("221")
				if got := rec.told(); len(got) != 0 {
					t.Errorf("told of %q, which nobody can have heard yet", got)
				}
			})
		}
	})
}

// Behind pipelined commands the client waits again, and what it sends then proves that it heard the answer before.
func TestRFC2920_3_1_what_follows_a_pipelined_group(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, inTLS bool) {
		rec := &recorder{}
		d := serve(t, rec, nil).open(inTLS)
		d.data()
		d.send("x: y\r\n\r\nhello\r\n.\r\n" + mailFrom + "\r\n" + rcptTo + "\r\nDATA\r\n")
		d.want("250 2.0.0", "250 2.1.0", "250 2.1.5", "354")
		if got := rec.told(); len(got) != 0 {
			t.Errorf("told of %q before anything followed", got)
		}
		d.send("x: z\r\n\r\nhello\r\n.\r\n")
		d.want("250")
		if got := rec.told(); !slices.Equal(got, []string{"ID1"}) {
			t.Errorf("told of %q, want the first", got)
		}
		d.say("QUIT", "221")
		if got := rec.told(); !slices.Equal(got, []string{"ID1", "ID2"}) {
			t.Errorf("told of %q, want both", got)
		}
	})
}

// A client that leaves, or that begins a command and leaves, has shown nothing; and what tells of no report is not
// told of.
func TestRFC1047_who_leaves_may_not_have_heard(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	b := serve(t, rec, nil)
	for _, last := range []string{"", "QUI"} {
		d := b.open(false)
		d.data()
		d.say("x: y\r\n\r\nhello\r\n.", "250")
		d.send(last)
		_ = d.c.Close()
	}
	b.stop()
	if got := rec.told(); len(got) != 0 {
		t.Errorf("told of %q", got)
	}
	rec = &recorder{finish: func(context.Context, verify.Envelope) (reply.Answer, error) {
		return reply.Answer{Code: 550, Enhanced: [3]int{5, 7, 1}}, nil
	}}
	d := serve(t, rec, nil).open(false)
	d.data()
	d.say("x: y\r\n\r\nhello\r\n.", "550")
	d.say("QUIT", "221")
	_, _ = io.Copy(io.Discard, d.c)
	if got := rec.told(); len(got) != 0 {
		t.Errorf("told of %q, which is no report", got)
	}
}
