// Package front stands between the network and go-smtp. It reads one command at a time and hands on
// only what it knows; it ends TLS itself, so that go-smtp sees clear text and every guard works alike
// in clear and in TLS: deadlines, counts, the transcript, the end of DATA. It knows no mechanisms and
// no addresses: its Handler is asked about the arguments of MAIL and RCPT.
//
// What go-smtp does behind it is little. It writes the replies of most commands, reads the parameters of MAIL, and keeps the
// order of commands a second time. It is given lines of ours, not the client's: the greeting command without the name, paths
// as the session has read them. Its replies are read and put into our words before they leave. It never sees TLS, a message,
// or a command that we refuse. The message does not pass through it, because its reader drops a CR behind a dot and misses an
// end after CR CR LF: Data gives the message to the session, and go-smtp gets the final dot alone.
package front

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"checkauth/verify"
	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// Config of a Conn. Every bound must be above zero.
type Config struct {
	Host string
	TLS  *tls.Config // of Watched; nil: no STARTTLS
	// Command is how long one command may take at the present load. pressed: it is also how long the client may come no
	// nearer to a message. It must not block.
	Command  func() (limit time.Duration, pressed bool)
	Greeting time.Duration // how long we listen for who talks before our greeting
	DataIdle time.Duration // without one octet in DATA
	Session  time.Duration // without the time that we take for evaluations
	Write    time.Duration // for one reply
	MinRate  int           // octets a second in DATA, over any Window
	Window   time.Duration
	Errors   int // refused commands
	Commands int
	Line     int // octets of a command
}

// Handler is the session behind a Conn. All calls come from the goroutine that serves the connection.
type Handler interface {
	// Admit is asked before the greeting. A *smtp.SMTPError is said and the connection closed; with any
	// other error it is closed without a word.
	Admit() error
	// Argument is asked about the argument of MAIL and RCPT before go-smtp sees it. It gives what
	// go-smtp is to see, or the refusal.
	Argument(verb, arg string) (string, *smtp.SMTPError)
	// Refused is told of each command that was refused: the verb as it was understood, the code and the text of
	// the reply with the enhanced code in front. Messages are no commands.
	Refused(verb string, code int, text string)
	// Heard is called once after a message, when the first command comes that the client sent with the answer
	// before it.
	Heard()
	// TLSFailed tells why a handshake came to nothing; then the connection ends. The client may come back in
	// clear text at once.
	TLSFailed(why result.Reason)
	// Closed is called once, when the connection is closed.
	Closed(End)
}

// End tells how a connection ended.
type End struct {
	Why string // our reason; empty where the client quit or left between two transactions
	Err error  // of the network or of TLS, where there was one
}

// ErrGone: the connection ended before the message did.
var ErrGone = errors.New("the connection ended within the message")

// Conn is a net.Conn for go-smtp.
type Conn struct {
	net.Conn // as it was accepted; deadlines are set on it
	cfg      Config
	handler  Handler
	stream   net.Conn // Conn, or TLS over it
	in       *bufio.Reader
	began    time.Time

	// What follows belongs to the goroutine that serves the connection.
	pending []byte // what go-smtp reads next
	out     []byte // what go-smtp wrote of a reply that is not complete
	line    []byte
	tried   string // verb of the command that was read, where it has one
	verb    string // of the command that go-smtp works on; empty before the first
	arg     string
	state   state
	tls     *verify.TLS
	early   bool
	script  transcript
	data    *Data           // from 354 to the answer behind the final dot
	heard   hearing         // of that answer
	last    *smtp.SMTPError // to be said behind the present reply, then the connection ends
	gone    bool            // nothing is read or written any more
	linger  bool            // the client may still be sending
	end     End

	counts struct{ commands, errors int }
	once   sync.Once
	wait   waitState
}

// state is where the client is in the dialogue, as go-smtp's replies tell.
type state struct {
	helo    string
	esmtp   bool
	greeted bool
	mail    bool
	rcpts   int
}

// New makes the front of an accepted connection; nothing is read or written before go-smtp greets.
func New(c net.Conn, cfg Config, h Handler) *Conn {
	now := time.Now()
	return &Conn{
		Conn: c, cfg: cfg, handler: h, stream: c, in: bufio.NewReaderSize(c, 16<<10), began: now,
		wait: waitState{ends: now.Add(cfg.Session), moved: now},
	}
}

// Handler gives the session that the connection was made with.
func (c *Conn) Handler() Handler { return c.handler }

// Helo is the argument of the last EHLO or HELO as the client wrote it.
func (c *Conn) Helo() (name string, esmtp bool) { return c.state.helo, c.state.esmtp }

// TLS tells what was agreed on, nil in clear text.
func (c *Conn) TLS() *verify.TLS { return c.tls }

// EarlyTalker tells whether the client spoke before our greeting.
func (c *Conn) EarlyTalker() bool { return c.early }

// Transcript is the dialogue so far.
func (c *Conn) Transcript() []verify.Line { return c.script.copy() }

// Drop ends the connection with that reply, behind the one that is about to be written.
func (c *Conn) Drop(r *smtp.SMTPError) { c.last = r }

// End ends the connection with that reply, now.
func (c *Conn) End(r *smtp.SMTPError, why string) { c.drop(r, why, nil) }

// Read gives go-smtp the next command that it is to work on, or the end of the message.
func (c *Conn) Read(b []byte) (n int, err error) {
	defer panics.Recover(c.survive(&err))
	for len(c.pending) == 0 {
		switch {
		case c.gone:
			return 0, io.EOF
		case c.data == nil:
			c.pending = c.next()
		case c.data.over:
			c.pending = []byte(".\r\n")
		default:
			// Whatever is left of a message must never be read as commands.
			c.drop(refusal(421, 4, 3, 0, "Message not taken, closing connection"), "message not read", nil)
		}
	}
	n = copy(b, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// Write takes go-smtp's replies, line by line, and sends each when it is complete.
func (c *Conn) Write(b []byte) (n int, err error) {
	defer panics.Recover(c.survive(&err))
	if c.gone {
		return len(b), nil
	}
	c.out = append(c.out, b...)
	if !complete(c.out) {
		return len(b), nil
	}
	lines := bytes.Split(bytes.TrimSuffix(c.out, []byte("\r\n")), []byte("\r\n"))
	c.out = c.out[:0]
	if c.verb == "" && !c.welcome() {
		return len(b), nil
	}
	c.answer(lines)
	return len(b), nil
}

// welcome decides whether there is a greeting.
func (c *Conn) welcome() bool {
	if err := c.handler.Admit(); err != nil {
		if r, ok := errors.AsType[*smtp.SMTPError](err); ok {
			c.drop(r, "", nil)
			c.linger = false // a flood of refused clients must not hold the places of others
			return false
		}
		c.leave("not admitted", err)
		return false
	}
	// RFC 5321, 4.3.1: the client waits for the greeting. A real mail server does; a program that only
	// throws its lines at us does not.
	_ = c.SetReadDeadline(time.Now().Add(c.cfg.Greeting))
	_, err := c.in.Peek(1)
	c.early = err == nil
	return true
}

// survive ends the connection: go-smtp recovers from panics in commands, but not in reading, writing and closing.
// A fault of ours is a 4xx, as long as the words can be written.
func (c *Conn) survive(err *error) func(*panics.Recovered) {
	return func(r *panics.Recovered) {
		*err = io.EOF
		_ = panics.Catch(func() error {
			c.drop(refusal(421, 4, 3, 0, "Local error, closing connection"), "panic", r)
			return nil
		})
		c.leave("panic", r)
	}
}

// leave ends the connection without a word.
func (c *Conn) leave(why string, err error) {
	if !c.gone {
		c.gone, c.end = true, End{Why: why, Err: err}
	}
}

// drop ends the connection with a reply.
func (c *Conn) drop(r *smtp.SMTPError, why string, err error) {
	if c.gone {
		return
	}
	c.say(r)
	c.linger = true
	c.leave(why, err)
}

// Bounds of the wait for a client that we dropped to read our last words.
const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// Close ends the connection. What the client still sends is thrown away for a moment: with it unread
// the kernel would reset the connection and take our last reply back.
func (c *Conn) Close() (err error) {
	c.once.Do(func() {
		c.gone = true
		c.farewell()
		err = c.Conn.Close()
		c.handler.Closed(c.end)
	})
	return err
}

// farewell has the client hear our last words.
func (c *Conn) farewell() {
	defer panics.Recover(func(r *panics.Recovered) { c.end = End{Why: "panic", Err: r} })
	c.wait.close()
	// RFC 8446, 6.1: without its close_notify the client takes our last words for cut off.
	if t, ok := c.stream.(*tls.Conn); ok && !c.wait.stopping() {
		_ = t.CloseWrite()
	}
	if w, ok := within(c.Conn).(interface{ CloseWrite() error }); ok && c.linger && !c.wait.hurried() {
		_ = w.CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
}

// within is the connection behind a PROXY header: its wrapper cannot close one direction.
func within(c net.Conn) net.Conn {
	if w, ok := c.(interface{ Raw() net.Conn }); ok {
		return w.Raw()
	}
	return c
}

func refusal(code, class, subject, detail int, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: text}
}
