package front

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// hearing is what is known of a client and the answer to its message.
type hearing int

const (
	settled hearing = iota // there was no message, or the answer was heard
	asked                  // what the client sends next it may have sent before it heard
	open                   // the answer was written while nothing lay unread: the next command follows it
)

// hear is called when a whole command or a whole message is in.
//
// RFC 2920, 3.1: a client may send commands without waiting for replies, so a command proves that the client
// heard the answer only where nothing of it had come when that was written. This holds for QUIT too, which
// Postfix sends together with the final dot: such a client may have been gone before our 250, and its next try
// is a retry. What was on its way while we wrote is taken for an answer to it; that is a round trip at most, and
// an evaluation takes longer.
func (c *Conn) hear() {
	if c.heard == open {
		c.heard = settled
		c.handler.Heard()
	}
}

// silent tells whether nothing of what the client sent is unread: in our buffer, in those of TLS and of the PROXY
// header, or in the kernel's. It does not wait for anything.
func (w *waitState) silent(c *Conn) bool {
	w.mu.Lock() // else a Stop could set a deadline to come, and Peek would wait for it
	defer w.mu.Unlock()
	_ = c.SetReadDeadline(atOnce)
	_, err := c.in.Peek(1)
	return err != nil && !arrived(within(c.Conn))
}

// arrived tells whether the kernel has octets of a connection; the end of one is none.
func arrived(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _, _ = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}
