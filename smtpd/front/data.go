package front

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Data is the message behind a DATA command, dot-stuffing undone. Read ends with io.EOF at CR LF . CR LF
// and nowhere else; with any other error the connection is over and no command follows.
type Data struct {
	c     *Conn
	dots  dots
	over  bool // the final dot was read
	ended time.Time
	err   error
}

// Data gives the message that go-smtp has just said 354 for, nil where there is none.
func (c *Conn) Data() *Data { return c.data }

// Counts is what was seen of the message's lines.
func (d *Data) Counts() Counts { return d.dots.Counts }

// Wait returns when something has come that Read gives; its error is that of Read.
func (d *Data) Wait() error {
	if d.err != nil {
		return d.err
	}
	if d.c.in.Buffered() == 0 {
		if _, err := d.c.in.Peek(1); err != nil {
			return d.fail(err)
		}
	}
	return nil
}

// Read implements io.Reader. b must have room for two octets. It may give nothing: what came may be the begin of an end.
func (d *Data) Read(b []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if len(b) < 2 {
		return 0, io.ErrShortBuffer
	}
	if err := d.Wait(); err != nil {
		return 0, err
	}
	src, _ := d.c.in.Peek(d.c.in.Buffered())
	n, used, end := d.dots.take(b, src)
	_, _ = d.c.in.Discard(used)
	if end {
		d.over, d.ended, d.err = true, time.Now(), io.EOF
		d.c.hear() // a message follows its 354
		return n, io.EOF
	}
	if !d.c.wait.progress(d.c, used) {
		return 0, d.fail(os.ErrDeadlineExceeded)
	}
	return n, nil
}

func (d *Data) fail(err error) error {
	d.err = fmt.Errorf("%w: %w", ErrGone, err)
	d.c.broke(err)
	return d.err
}

func timeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// Counts of what RFC 5321 does not allow in a message, and we take all the same.
type Counts struct {
	BareCR, BareLF, NUL int
	Longest             int // octets of the longest line, without its line end
}

// place is where dots are in a line.
type dataState int

const (
	lineStart dataState = iota // also before the first octet
	inLine
	afterCR
	afterDot   // at the start of a line; the dot is held back
	afterDotCR // both are held back
)

// dots takes the stuffing out of a message and finds its end. RFC 5321, 4.1.1.4: the end is CR LF . CR LF;
// taking anything else for it lets one server see two messages where another sees one.
type dots struct {
	Counts
	at   dataState
	line int // octets of the present line
}

// take reads from src and writes to dst, which must have room for two octets. It stops when dst is
// full, src is used or the end was found.
func (d *dots) take(dst, src []byte) (wrote, used int, end bool) {
	for used < len(src) && wrote+2 <= len(dst) {
		b := src[used]
		used++
		switch {
		case d.at == lineStart && b == '.':
			d.at = afterDot
			continue
		case d.at == afterDot && b == '\r':
			d.at = afterDotCR
			continue
		case d.at == afterDotCR && b == '\n':
			return wrote, used, true
		case d.at == afterDotCR:
			dst[wrote] = '\r'
			wrote++
			d.line++
			d.at = afterCR
		}
		dst[wrote] = b
		wrote++
		d.step(b)
	}
	return wrote, used, false
}

// step counts an octet that belongs to the message.
func (d *dots) step(b byte) {
	if d.at == afterCR && b != '\n' {
		d.BareCR++
	}
	switch b {
	case '\n':
		d.endLine()
		return
	case '\r':
		d.at = afterCR
	case 0:
		d.NUL++
		d.at = inLine
	default:
		d.at = inLine
	}
	d.line++
}

// endLine: a bare LF ends a line for who reads it, but not in SMTP: no dot behind it is looked at.
func (d *dots) endLine() {
	if d.at == afterCR {
		d.line--
		d.at = lineStart
	} else {
		d.BareLF++
		d.at = inLine
	}
	d.Longest, d.line = max(d.Longest, d.line), 0
}
