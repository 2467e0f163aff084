package dkim

import "bytes"

// The canonicalisations of RFC 6376, 3.4.
const (
	simple  = "simple"
	relaxed = "relaxed"
)

var (
	crlf  = []byte("\r\n")
	space = []byte(" ")
)

// withCRLF gives each line of a header field its CRLF: what came in with a bare LF, or without any line
// end at the message's end, was signed with CRLF (RFC 6376, 3.7 and 5.3).
func withCRLF(raw []byte) []byte {
	if bytes.HasSuffix(raw, crlf) && bytes.Count(raw, crlf) == bytes.Count(raw, crlf[1:]) {
		return bytes.Clone(raw)
	}
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
// CRLF, a bare CR is an octet like any other. Most of a body is canonical as it stands, so that it is
// passed on in stretches, not octet by octet.
type bodyCanon struct {
	relaxed bool
	sink    func([]byte) // gets the canonical octets, the last of them at Close; it must not keep them

	lines  int  // line ends that are held back: at the end of the body they do not count
	run    int  // the most that were held back at once
	cr     bool // a CR whose LF may be the next octet
	gap    bool // white space held back
	some   bool // an octet of content was written
	bareCR bool // one was seen

	chunk    []byte // what Write has
	from, to int    // the stretch of it that is canonical and not yet written
	exact    bool   // there is one, and what came behind it up to here is line ends as they must be written
	out      []byte // short stretches, gathered
}

const (
	canonBuffer = 32 << 10 // octets that are gathered
	canonLong   = 4 << 10  // a stretch from here on is not copied
)

// Write takes the next octets of the body; it never fails.
func (c *bodyCanon) Write(p []byte) (int, error) {
	c.chunk, c.from, c.to, c.exact = p, 0, 0, false
	if c.cr && len(p) > 0 && p[0] != '\n' {
		c.loneCR()
	}
	ends := 0 // CRs that end a line or may do so
	for at := 0; at < len(p); {
		end, ended := len(p), false
		if n := bytes.IndexByte(p[at:], '\n'); n >= 0 {
			end, ended = at+n, true
		}
		text := end
		if text > at && p[text-1] == '\r' {
			text--
			ends++
		}
		c.line(at, text)
		if ended {
			c.endLine(text < end)
		}
		c.cr = !ended && text < end
		at = end + 1
	}
	c.bareCR = c.bareCR || bytes.Count(p, crlf[:1]) > ends
	c.put(p[c.from:c.to])
	c.chunk, c.from, c.to = nil, 0, 0
	return len(p), nil
}

// line takes a line without its end, or what of it is in the chunk.
func (c *bodyCanon) line(at, end int) {
	switch {
	case at == end:
	case c.relaxed:
		c.collapse(at, end)
	default:
		c.content(at, end)
	}
}

func (c *bodyCanon) endLine(crlf bool) {
	if !crlf || c.gap {
		c.exact = false
	}
	c.gap = false
	c.lines++
	c.run = max(c.run, c.lines)
}

// collapse makes each run of white space one space; what ends the line is held back.
func (c *bodyCanon) collapse(at, end int) {
	for at < end {
		if isWSP(c.chunk[at]) {
			c.gap = true
			at++
			continue
		}
		n := collapsed(c.chunk[at:end])
		c.content(at, at+n)
		at += n
	}
}

func isWSP(b byte) bool { return b == ' ' || b == '\t' }

// collapsed tells how many octets come before the first white space that is not one space between
// others.
func collapsed(line []byte) int {
	for i, c := range line {
		if c == '\t' || c == ' ' && (i+1 == len(line) || isWSP(line[i+1])) {
			return i
		}
	}
	return len(line)
}

// relaxedLine is a whole line, without its line end, in the same form. A line that is so already is given back as it is.
func relaxedLine(line []byte) []byte {
	line = bytes.TrimRight(line, " \t")
	n := collapsed(line)
	if n == len(line) {
		return line
	}
	out := make([]byte, 0, len(line))
	for ; n < len(line); n = collapsed(line) {
		out = append(append(out, line[:n]...), ' ')
		line = bytes.TrimLeft(line[n:], " \t")
	}
	return append(out, line...)
}

// content takes octets of the chunk that stay as they are, with what was held back in front of them.
func (c *bodyCanon) content(from, to int) {
	held := 2 * c.lines
	if c.gap {
		held++
	}
	if c.exact && c.to+held == from && (!c.gap || c.chunk[from-1] == ' ') {
		c.lines, c.gap = 0, false // it stands there as it must be written
	} else {
		c.release()
		c.from, c.exact = from, true
	}
	c.to = to
}

// release writes what there is, and what was held back.
func (c *bodyCanon) release() {
	c.put(c.chunk[c.from:c.to])
	for ; c.lines > 0; c.lines-- {
		c.put(crlf)
	}
	if c.gap {
		c.put(space)
		c.gap = false
	}
	c.some = true
}

// loneCR writes a CR of which the next octet has shown that it ends no line.
func (c *bodyCanon) loneCR() {
	c.release()
	c.put(crlf[:1])
	c.cr, c.bareCR = false, true
}

func (c *bodyCanon) put(p []byte) {
	if len(p) >= canonLong || len(c.out)+len(p) > canonBuffer {
		c.flush()
	}
	switch {
	case len(p) == 0:
	case len(p) >= canonLong:
		c.sink(p)
	default:
		c.out = append(c.out, p...)
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
		c.loneCR()
	}
	if c.some || !c.relaxed {
		c.put(crlf)
	}
	c.flush()
}
