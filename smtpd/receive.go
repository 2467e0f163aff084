package smtpd

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"

	"checkauth/reply"
	"checkauth/smtpd/front"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

// buffers are for octets that have come; one a connection would be too many.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// far is how many times the allowed size is read and thrown away, so that the client hears its 552.
const far = 16

// incoming is a message on its way in.
type incoming struct {
	spool *spool
	head  head
	size  int64
	large bool  // above the bound
	err   error // of the spool, or an *overload: there is no memory for the header
}

// take reads the message to its final dot and answers it.
func (s *session) take(d *front.Data) error {
	room := func() memory { return memory{hold: s.server.memory.Hold(s.client.Addr())} }
	in := &incoming{spool: &spool{folder: s.server.cfg.Spool, room: room()}, head: head{bounds: s.server.cfg.Header, room: room()}}
	defer in.close() // nothing reads it any more
	if err := s.read(d, in); err != nil {
		s.cut = s.tx.env.ID
		return err
	}
	if o, ok := errors.AsType[*overload](in.err); ok {
		return s.busy(o, in)
	}
	if r := s.unfit(in); r != nil {
		s.outcome(slog.LevelInfo, "message refused", r.Code, "text", r.Message, "size", in.size)
		return r
	}
	give, err := s.server.running.Take(s.client.Addr())
	if err != nil {
		return s.busy(shareOf(keyEvaluations, err), in)
	}
	defer give()
	return s.finish(s.message(d, in))
}

// busy puts a message off.
func (s *session) busy(o *overload, in *incoming) error {
	r := s.server.putOff(o, s.client.Addr())
	s.outcome(slog.LevelInfo, "message refused: too busy", r.Code, "bound", o.key, "size", in.size)
	return r
}

// close gives back what a message lies in.
func (in *incoming) close() {
	_ = in.spool.Close() // it is not read
	in.head.free()
}

// read fills in. Its error means that the connection is over.
func (s *session) read(d *front.Data, in *incoming) error {
	for {
		err := s.some(d, in)
		switch {
		case err == io.EOF:
			if !in.large && in.err == nil && in.head.end() {
				s.tx.header(in.head.fields)
			}
			return nil
		case err != nil:
			return err
		case in.size/far > s.server.cfg.Message:
			r := refusal(552, 5, 3, 4, "Message is far too large, closing connection")
			s.outcome(slog.LevelInfo, "message refused", r.Code, "text", r.Message, "size", in.size)
			s.conn.End(r, "message far too large")
			return r
		}
	}
}

// some takes what has come. Nothing is held for a client that is waited for.
func (s *session) some(d *front.Data, in *incoming) error {
	if err := d.Wait(); err != nil {
		return err
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	n, err := d.Read(buf[:])
	s.keep(in, buf[:n])
	return err
}

// keep takes the next octets. What cannot be kept is read on, for the client waits for its answer
// until it has sent everything.
func (s *session) keep(in *incoming, b []byte) {
	in.size += int64(len(b))
	if in.large || in.err != nil || in.head.err != nil {
		return
	}
	if in.size > s.server.cfg.Message {
		in.large = true
		s.giveUp(in)
		return
	}
	// The header first: it has to be in memory, the whole has not.
	known := in.head.take(b)
	switch {
	case errors.As(in.head.err, new(*share.Error)):
		in.err = shareOf(keyBuffer, in.head.err)
	case in.head.err == nil:
		if _, in.err = in.spool.Write(b); in.err != nil {
			s.log.Error("message not spooled", "report", s.tx.env.ID, "error", in.err)
		}
	}
	switch {
	case in.err != nil || in.head.err != nil:
		s.giveUp(in)
	case known:
		s.tx.header(in.head.fields)
	}
}

// giveUp ends what works for a message that will be refused.
func (s *session) giveUp(in *incoming) {
	s.tx.abandon()
	in.close()
}

// unfit is the refusal of a message that nobody is to see.
func (s *session) unfit(in *incoming) *smtp.SMTPError {
	var bound *mail.BoundError
	switch {
	case in.large:
		return refusal(552, 5, 3, 4, "Message is too large")
	case in.err != nil:
		return refusal(452, 4, 3, 1, "No room for the message, try again later")
	case errors.As(in.head.err, &bound):
		// The field's name stays out: it is a stranger's.
		return refusal(552, 5, 3, 4, fmt.Sprintf("Message refused: %v at line %d, at most %d", bound.Kind, bound.Line, bound.Limit))
	}
	return nil
}

// message is what the Evaluator gets.
func (s *session) message(d *front.Data, in *incoming) *verify.Message {
	m := &verify.Message{
		Envelope: s.tx.env, Fields: in.head.fields, Whole: mail.Data{At: in.spool, Size: in.size},
		Received: s.server.cfg.Now(), Transcript: s.conn.Transcript(), Notes: s.notes(d.Counts(), in),
	}
	m.Envelope.RcptTo = nil
	for _, to := range s.rcpts {
		m.Envelope.RcptTo = append(m.Envelope.RcptTo, to.String())
	}
	if in.size == 0 {
		m.Unparsed = mail.ErrEmpty
		return m
	}
	m.Body = m.Whole.From(in.size)
	if in.head.empty {
		m.Body = m.Whole.From(int64(in.head.body))
	}
	return m
}

// longLine: RFC 5321, 4.5.3.1.6: a line of a message has at most 998 octets and its line end.
const longLine = 998

func (s *session) notes(c front.Counts, in *incoming) []verify.Note {
	var notes []verify.Note
	add := func(seen bool, code string, n int) {
		if seen {
			notes = append(notes, verify.Note{Code: code, Count: n})
		}
	}
	add(s.conn.EarlyTalker(), verify.NoteEarlyTalk, 1)
	add(c.BareCR > 0, verify.NoteBareCR, c.BareCR)
	add(c.BareLF > 0, verify.NoteBareLF, c.BareLF)
	add(c.NUL > 0, verify.NoteNUL, c.NUL)
	add(c.Longest > longLine, verify.NoteLongLine, c.Longest)
	add(!in.head.empty && in.size > 0, verify.NoteNoEmptyEnd, 1)
	return notes
}

// finish hands the message over and says what came of it.
func (s *session) finish(m *verify.Message) error {
	tx, began := s.tx, s.server.cfg.Now()
	answer, err := tx.finish(m)
	took := s.server.cfg.Now().Sub(began)
	switch {
	case err != nil && s.server.ctx.Err() != nil:
		s.outcome(slog.LevelWarn, "message refused: shutdown", 421, "error", err, "took", took)
		r := refusal(421, 4, 3, 2, "Service is shutting down, try again later")
		s.conn.End(r, "shutdown")
		return r
	case err != nil:
		s.outcome(slog.LevelError, "message refused: no report was made", 451, "error", err, "took", took)
		return refusal(451, 4, 3, 0, "Report "+tx.env.ID+" could not be made, try again later")
	}
	s.said = answer.Report
	r, ok := smtpError(answer)
	if !ok {
		s.log.Error("message has an unusable answer", "report", tx.env.ID, "code", answer.Code)
	}
	what := "message taken"
	if r.Code/100 != 2 {
		what = "message refused"
	}
	s.outcome(slog.LevelInfo, what, r.Code, "size", m.Whole.Size, "tls", m.Envelope.TLS != nil, "purpose", m.Envelope.Purpose, "took", took)
	s.log.Debug("envelope", "report", tx.env.ID, "from", m.Envelope.MailFrom, "to", m.Envelope.RcptTo)
	return r
}

// Bounds of an answer.
const (
	maxAnswer = 20
	maxLine   = 480
)

// smtpError writes an answer for go-smtp: it puts the enhanced code on the last line alone, so each line
// brings its own (RFC 2034, 4). Nothing of a line can become another line.
func smtpError(a reply.Answer) (*smtp.SMTPError, bool) {
	if a.Code < 200 || a.Code > 599 || a.Code/100 == 3 || a.Enhanced[0] != a.Code/100 {
		return refusal(451, 4, 3, 0, "Local error, try again later"), false
	}
	if len(a.Lines) == 0 {
		a.Lines = []string{"Done"}
	}
	var lines []string
	for _, l := range a.Lines[:min(len(a.Lines), maxAnswer)] {
		l = result.Cut(result.ASCII(l), maxLine)
		lines = append(lines, fmt.Sprintf("%d.%d.%d %s", a.Enhanced[0], a.Enhanced[1], a.Enhanced[2], l))
	}
	return &smtp.SMTPError{Code: a.Code, EnhancedCode: smtp.NoEnhancedCode, Message: strings.Join(lines, "\n")}, true
}
