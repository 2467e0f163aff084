package front

import (
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// waitState is what we wait for and how long. Others than the serving goroutine look at it: a stop and a
// rising load shorten a wait that has begun.
type waitState struct {
	mu     sync.Mutex
	inData bool
	since  time.Time // the command or the last octet of DATA is waited for since then
	moved  time.Time // the client came nearer to an answer for a message, last
	at     step      // that it has come to since the last answer
	window time.Time // the rate is measured since then
	bytes  int       // in the window
	paused bool      // the one silence as long as a window was there
	slow   bool      // a window brought too few octets
	ends   time.Time // of the session
	inMail bool      // a transaction is open
	stop   time.Time // zero: no stop; else when transactions must have ended
	over   bool      // the connection is being closed
	room   bool      // it is to make room, unless its message is under way
}

// command begins the wait for a command.
func (w *waitState) command(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inData, w.since = false, time.Now()
	w.set(c)
}

// step is how far a client has come on the way to a message.
type step int

const (
	greeted step = 1 + iota
	encrypted
	greetedAgain // in TLS
	sender
	recipient
)

// come notes that a step was taken. It counts once a message: who says NOOP, or MAIL and RSET, again and again only holds
// a place.
func (w *waitState) come(to step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to > w.at {
		w.at, w.moved = to, time.Now()
	}
}

// data begins the wait for a message.
func (w *waitState) data(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.inData, w.since, w.window, w.bytes, w.paused, w.slow = true, now, now, 0, false, false
	w.set(c)
}

// progress counts n octets of a message. It is false where a window brought too few. One silence as long
// as a window is no slowness but a sender that scans what it sends; DataIdle bounds it.
func (w *waitState) progress(c *Conn, n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	silent := time.Since(w.since) >= c.cfg.Window
	w.since = time.Now()
	w.bytes += n
	if w.since.Sub(w.window) >= c.cfg.Window {
		few := float64(w.bytes) < float64(c.cfg.MinRate)*c.cfg.Window.Seconds()
		if w.slow = few && (!silent || w.paused); w.slow {
			return false
		}
		w.paused = w.paused || silent
		w.window, w.bytes = w.since, 0
	}
	w.set(c)
	return true
}

// busy tells whether a transaction is open.
func (w *waitState) busy(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inMail = yes
}

// evaluated: a message was answered. What we took for that is not the client's time.
func (w *waitState) evaluated(since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved = time.Now()
	w.at = greetedAgain
	if !since.IsZero() {
		w.ends = w.ends.Add(w.moved.Sub(since))
	}
}

// set puts the nearest deadline in force.
func (w *waitState) set(c *Conn) {
	at, _, _ := w.nearest(c)
	_ = c.SetReadDeadline(at)
}

// atOnce is a deadline that is over; the zero time would be none.
var atOnce = time.Time{}.Add(1)

// nearest is the deadline that comes first, with what is said when it is over.
func (w *waitState) nearest(c *Conn) (at time.Time, r *smtp.SMTPError, why string) {
	at, r, why = w.ends, refusal(421, 4, 4, 2, "The session took too long, closing connection"), "session too long"
	earlier := func(t time.Time, reply *smtp.SMTPError, reason string) {
		if t.Before(at) {
			at, r, why = t, reply, reason
		}
	}
	if w.inData {
		earlier(w.since.Add(c.cfg.DataIdle), refusal(421, 4, 4, 2, "No data came, closing connection"), "timeout in DATA")
		if w.slow {
			earlier(w.window, refusal(421, 4, 4, 2, "Data came too slowly, closing connection"), "too slow in DATA")
		}
	} else {
		limit, pressed := c.cfg.Command()
		earlier(w.since.Add(limit), refusal(421, 4, 4, 2, "No command came, closing connection"), "timeout")
		if pressed {
			earlier(w.moved.Add(limit), refusal(421, 4, 4, 2, "No mail came while others wait, closing connection"), "no mail came")
		}
	}
	if w.room && !w.inData {
		earlier(atOnce, refusal(421, 4, 7, 0, "Idle while others wait, closing connection"), "made room")
	}
	if !w.stop.IsZero() {
		end := w.stop
		if !w.inMail {
			end = atOnce
		}
		earlier(end, shuttingDown(), "shutdown")
	}
	return at, r, why
}

// reason tells which deadline is over.
func (w *waitState) reason(c *Conn) (*smtp.SMTPError, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, r, why := w.nearest(c)
	return r, why
}

func (w *waitState) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

func (w *waitState) stopping() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.stop.IsZero()
}

// hurried tells whether there is no time to linger: we stop, or somebody else needs the place.
func (w *waitState) hurried() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.stop.IsZero() || w.room
}

// stopped is the last reply of a session that is idle when we stop, nil where it goes on.
func (w *waitState) stopped() *smtp.SMTPError {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop.IsZero() || w.inMail {
		return nil
	}
	return shuttingDown()
}

func shuttingDown() *smtp.SMTPError {
	return refusal(421, 4, 3, 2, "Service is shutting down, try again later")
}

// Stop ends the session: at once where no transaction is open, else after it, at the latest at that
// time. It may be called from any goroutine.
func (c *Conn) Stop(at time.Time) {
	c.wait.mu.Lock()
	defer c.wait.mu.Unlock()
	c.wait.stop = at
	if c.wait.over {
		_ = c.SetReadDeadline(time.Now()) // it lingers
		return
	}
	c.wait.set(c)
}

// Tighten puts the present limit for commands in force for the one that is waited for. It may be
// called from any goroutine.
func (c *Conn) Tighten() {
	c.wait.mu.Lock()
	defer c.wait.mu.Unlock()
	if !c.wait.since.IsZero() && !c.wait.over {
		c.wait.set(c)
	}
}

// Idle tells for how long the client has come no nearer to a message; zero where one is under way.
func (c *Conn) Idle() time.Duration {
	w := &c.wait
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inData || w.over || w.room || w.since.IsZero() {
		return 0
	}
	return time.Since(w.moved)
}

// MakeRoom ends a session that is idle, with a word. It may be called from any goroutine.
func (c *Conn) MakeRoom() {
	c.wait.mu.Lock()
	defer c.wait.mu.Unlock()
	c.wait.room = true
	if !c.wait.over {
		c.wait.set(c)
	}
}
