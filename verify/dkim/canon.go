package dkim

import "bytes"

// The canonicalisations of RFC 6376, 3.4.
const (
	simple  = "simple"
	relaxed = "relaxed"
)

var crlf = []byte("\r\n")

// withCRLF gives each line of a header field its CRLF: what came in with a bare LF, or without any line
// end at the message's end, was signed with CRLF (RFC 6376, 3.7 and 5.3).
func withCRLF(raw []byte) []byte {
	out := make([]byte, 0, len(raw)+2)
	for i, c := range raw {
		if c == '\n' && (i == 0 || raw[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	if !bytes.HasSuffix(out, crlf) {
		out = append(out, crlf...)
	}
	return out
}

// canonHeader is one field in its canonical form, with its CRLF. raw has CRLF at each line's end.
func canonHeader(canon string, raw []byte) []byte {
	if canon == simple {
		return raw // RFC 6376, 3.4.1: not changed in any way
	}
	return relaxedHeader(raw)
}

// relaxedHeader: RFC 6376, 3.4.2: the name in lower case, folds undone, white space made one space and
// none at the value's ends nor around the colon.
func relaxedHeader(raw []byte) []byte {
	name, value, _ := bytes.Cut(raw, []byte(":"))
	out := make([]byte, 0, len(raw))
	out = append(out, bytes.ToLower(bytes.Trim(name, " \t\r\n"))...)
	out = append(out, ':')
	start, gap := len(out), false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == ' ' || c == '\t':
			gap = true
		case c == '\r' && i+1 < len(value) && value[i+1] == '\n':
			i++
		default:
			if gap && len(out) > start {
				out = append(out, ' ')
			}
			gap = false
			out = append(out, c)
		}
	}
	return append(out, crlf...)
}

// bodyCanon makes a body canonical as it streams by: RFC 6376, 3.4.3 and 3.4.4. A bare LF counts as
// CRLF, a bare CR is an octet like any other.
type bodyCanon struct {
	relaxed bool
	sink    func([]byte) // gets the canonical octets; it must not keep them

	out    []byte
	lines  int  // line ends that are held back: at the end of the body they do not count
	run    int  // the most that were held back at once
	cr     bool // a CR whose LF may be the next octet
	gap    bool // white space held back
	some   bool // an octet of content was written
	bareCR bool // one was seen
}

// Write takes the next octets of the body; it never fails.
func (c *bodyCanon) Write(p []byte) (int, error) {
	for _, b := range p {
		if c.cr {
			c.cr = false
			if b != '\n' {
				c.bareCR = true
				c.content('\r')
			}
		}
		switch {
		case b == '\r':
			c.cr = true
		case b == '\n':
			c.gap = false
			c.lines++
			c.run = max(c.run, c.lines)
		case c.relaxed && (b == ' ' || b == '\t'):
			c.gap = true
		default:
			c.content(b)
		}
	}
	c.flush()
	return len(p), nil
}

// content writes one octet and what was held back in front of it.
func (c *bodyCanon) content(b byte) {
	for ; c.lines > 0; c.lines-- {
		c.put('\r')
		c.put('\n')
	}
	if c.gap {
		c.put(' ')
		c.gap = false
	}
	c.put(b)
	c.some = true
}

func (c *bodyCanon) put(b byte) {
	c.out = append(c.out, b)
	if len(c.out) >= 32<<10 {
		c.flush()
	}
}

func (c *bodyCanon) flush() {
	if len(c.out) > 0 {
		c.sink(c.out)
		c.out = c.out[:0]
	}
}

// Close ends the body. RFC 6376, 3.4.3: a simple body ends in one CRLF, also an empty one; 3.4.4: a
// relaxed one without content is nothing at all.
func (c *bodyCanon) Close() {
	if c.cr {
		c.bareCR = true
		c.content('\r')
	}
	if c.some || !c.relaxed {
		c.put('\r')
		c.put('\n')
	}
	c.flush()
}
