package smtpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"

	"checkauth/reply"
	"checkauth/smtpd/front"
	"checkauth/verify/share"
)

// Bounds that nobody needs to turn.
const (
	greetWait   = 20 * time.Millisecond // for early talkers
	writeWait   = time.Minute           // for one reply
	rateWindow  = 60 * time.Second      // that MinRate is measured over
	commandLine = 8 << 10               // octets; RFC 5321, 4.5.3.1.4 asks for 512 and allows more
)

// Server takes mail on any number of listeners.
type Server struct {
	cfg      Config
	eval     reply.Evaluator
	smtp     *smtp.Server
	reg      *registry
	sessions atomic.Int64 // begun, for their names in the log
	running  *share.Pot   // evaluations
	notices  share.Notices
	memory   *share.Pot // blocks of messages in memory
	broken   handshakes // that clients gave up lately
	hourly   onceAnHour // warnings that clients' addresses are not those of senders

	ctx context.Context // of all transactions
	end context.CancelCauseFunc

	mu        sync.Mutex
	stopping  bool
	stopped   chan struct{} // closed when no connection is left
	listeners []net.Listener
	serving   sync.WaitGroup
}

// New makes a server.
func New(cfg Config, ev reply.Evaluator) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if ev == nil {
		return nil, errors.New("smtpd: there is no evaluator")
	}
	cfg.TLS = front.Watched(cfg.TLS)
	s := &Server{cfg: cfg, eval: ev, reg: newRegistry(cfg), running: share.NewPot(cfg.Evaluations, cfg.Share),
		memory: share.NewPot(max(1, int(cfg.Buffer/block)), cfg.Share), stopped: make(chan struct{})}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.smtp = smtp.NewServer(smtp.BackendFunc(newSession))
	s.smtp.Domain = cfg.Host
	s.smtp.MaxMessageBytes = cfg.Message
	s.smtp.MaxLineLength = 0 // the front has the bounds
	s.smtp.EnableSMTPUTF8 = true
	s.smtp.ErrorLog = libraryLog{cfg.Log}
	return s, nil
}

// newSession gives go-smtp the session that was made with the connection.
func newSession(c *smtp.Conn) (smtp.Session, error) {
	f, ok := c.Conn().(*front.Conn)
	if !ok {
		return nil, fmt.Errorf("smtpd: a connection of type %T", c.Conn())
	}
	return f.Handler().(*session), nil
}

// Serve takes mail on l until Shutdown, then it returns nil. It may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	accept := &listener{Listener: l, server: s}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		_ = accept.Close() // it may be closed already
		return nil
	}
	s.listeners = append(s.listeners, accept)
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	err := s.smtp.Serve(accept)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil
	}
	return fmt.Errorf("taking mail on %s: %w", l.Addr(), err)
}

var errStopped = errors.New("the server was stopped")

// Shutdown closes the listeners, says 421 to idle sessions and gives open transactions the time Stop;
// what is open after it, or after ctx, is cut. It returns when no connection is left: an Evaluator that
// is storing is waited for. The error is that of ctx where it came first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		<-s.stopped
		return nil
	}
	s.stopping = true
	defer close(s.stopped)
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.mu.Unlock()

	s.reg.shut(time.Now().Add(s.cfg.Stop))
	defer time.AfterFunc(s.cfg.Stop, func() { s.end(errStopped) }).Stop()
	cut := context.AfterFunc(ctx, func() {
		s.end(errStopped)
		s.reg.shut(time.Now())
	})
	s.serving.Wait()
	// No Serve, so no new connection: go-smtp's count can only fall.
	err := s.smtp.Shutdown(context.Background())
	s.end(errStopped)
	if !cut() {
		return context.Cause(ctx)
	}
	if errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// listener gives go-smtp our fronts.
type listener struct {
	net.Listener
	server *Server
	once   sync.Once
	err    error
}

// Accept must not wait for a client: the goroutine that serves the client reads its bytes (PROXY, the greeting).
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if passing(err) {
			l.server.cfg.Log.Warn("no connection taken", "address", l.Addr().String(), "error", err)
			if l.server.pause() {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		f := l.server.front(c)
		err = l.server.reg.add(f)
		if err == nil {
			return f, nil
		}
		if o, ok := errors.AsType[*overload](err); ok {
			l.server.putOff(o, unread(c))
		}
		_ = c.Close()
	}
}

// passing tells errors of accept(2) that say nothing of the next one; go-smtp takes some of them for the
// end of the listener.
func passing(err error) bool {
	for _, e := range []error{syscall.ECONNABORTED, syscall.EPROTO, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// acceptRest is how long the system gets to recover.
const acceptRest = 100 * time.Millisecond

// pause is false where the server is stopped.
func (s *Server) pause() bool {
	t := time.NewTimer(acceptRest)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// Close may be called by us and by go-smtp.
func (l *listener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

func (s *Server) front(c net.Conn) *front.Conn {
	h := &session{server: s, raw: c, log: s.cfg.Log.With("session", s.sessions.Add(1))}
	h.conn = front.New(c, front.Config{
		Host: s.cfg.Host, TLS: s.cfg.TLS, Command: s.reg.command, Greeting: greetWait,
		DataIdle: s.cfg.DataIdle, Session: s.cfg.Session, Write: min(s.cfg.Command, writeWait),
		MinRate: s.cfg.MinRate, Window: rateWindow, Errors: s.cfg.Errors, Commands: s.cfg.Commands, Line: commandLine,
	}, h)
	return h.conn
}

// libraryLog is where go-smtp says what it could not tell a client.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(format string, v ...any) {
	l.log.Error("trouble in go-smtp", "text", fmt.Sprintf(format, v...))
}

func (l libraryLog) Println(v ...any) { l.log.Error("trouble in go-smtp", "text", fmt.Sprintln(v...)) }
