package compose

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/textproto"
)

// part is one form of a report, or an attachment.
type part struct {
	contentType, disposition string
	data                     []byte
	lean                     func() ([]byte, error) // a shorter form of it; nil: there is none

	encoded  []byte // data for the wire, made once; nil: not yet
	encoding string // its Content-Transfer-Encoding
}

// name of a part for people.
func (p *part) name() string {
	if p.disposition == "" {
		return strings.TrimSuffix(p.contentType, "; charset=utf-8")
	}
	return strings.TrimPrefix(p.disposition, "attachment; filename=")
}

// encode makes the part ready, in that room. Text goes as it is where that is safe: it is shorter than
// quoted-printable, and quicker made. A message that somebody sent is opaque (base64): nothing of it is to be read
// on the way.
func (p *part) encode(room *bytes.Buffer) (err error) {
	if p.encoded != nil {
		return nil
	}
	start := room.Len()
	switch data := p.data; {
	case p.contentType == opaque:
		p.encoding = "base64"
		writeLined(room, data)
	case strings.HasPrefix(p.contentType, "text/"):
		if strings.HasPrefix(p.contentType, "text/html") {
			data = references(data)
		}
		p.encoding = "7bit"
		if writeLines(room, data) {
			break
		}
		room.Truncate(start)
		fallthrough
	default: // JSON is one line
		p.encoding = quotedPrintable
		err = writeQuoted(room, data)
	}
	p.encoded = room.Bytes()[start:]
	return err
}

const (
	opaque          = "application/octet-stream; name=message.eml"
	quotedPrintable = "quoted-printable"
)

// longLine: RFC 5322, 2.1.1, without CRLF.
const longLine = 998

// from begins a line that a mailbox in a file marks (RFC 4155), which breaks the signature.
var from = []byte("From ")

// writeLines writes text with CRLF, as RFC 2045, 2.7 has it, and tells whether that is safe: no line is too long, or
// changed on the way for beginning like the mark of a mailbox, and there is no control character. Blanks at the end of
// a line may get lost: our signature bears it, and what depends on them stands in the JSON.
func writeLines(to *bytes.Buffer, text []byte) bool {
	to.Grow(len(text) + len(text)/16)
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			end = len(text)
		}
		line := text[:end]
		if len(line) > longLine || bytes.HasPrefix(line, from) {
			return false
		}
		for _, c := range line {
			if c < ' ' && c != '\t' || c > '~' {
				return false
			}
		}
		to.Write(line)
		if end < len(text) {
			to.WriteString("\r\n")
			end++
		}
		text = text[end:]
	}
	return true
}

// references writes what a page has beyond ASCII, all of it in the content of elements, as character references.
func references(page []byte) []byte {
	if !bytes.ContainsFunc(page, beyondASCII) {
		return page
	}
	out := make([]byte, 0, len(page)+len(page)/4)
	for _, r := range string(page) {
		if beyondASCII(r) {
			out = fmt.Appendf(out, "&#%d;", r)
			continue
		}
		out = append(out, byte(r))
	}
	return out
}

func beyondASCII(r rune) bool { return r >= utf8.RuneSelf }

// writeQuoted writes RFC 2045, 6.7, without a line that a mailbox marks: that can only stand in it as text.
func writeQuoted(to *bytes.Buffer, b []byte) error {
	start := to.Len()
	to.Grow(len(b) + len(b)/8)
	w := quotedprintable.NewWriter(to)
	if _, err := w.Write(b); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	made := to.Bytes()[start:]
	if !bytes.HasPrefix(made, from) && !bytes.Contains(made, fromLine) {
		return nil
	}
	broken := bytes.ReplaceAll(append([]byte("\r\n"), made...), fromLine, []byte("\r\nFrom=\r\n "))
	to.Truncate(start)
	to.Write(broken[2:])
	return nil
}

// fromLine is such a line with the end of the one before it.
var fromLine = append([]byte("\r\n"), from...)

// writeLined writes RFC 2045, 6.8.
func writeLined(to *bytes.Buffer, b []byte) {
	const octets = 57 // that make 76 characters
	to.Grow(base64.StdEncoding.EncodedLen(len(b)) + 2*(len(b)/octets+1))
	for len(b) > 0 {
		n := min(octets, len(b))
		to.Write(base64.StdEncoding.AppendEncode(to.AvailableBuffer(), b[:n]))
		to.WriteString("\r\n")
		b = b[n:]
	}
}

// written is the MIME message behind free room for a signature; the parts are encoded in room. The first parts, without a
// disposition, say the same in other forms (RFC 2046, 5.1.4).
func written(room *bytes.Buffer, head message.Header, parts []*part) ([]byte, error) {
	size := signatureSpace + 4<<10
	for _, p := range parts {
		if err := p.encode(room); err != nil {
			return nil, fmt.Errorf("composing the reply's %s: %w", p.contentType, err)
		}
		size += len(p.encoded)
	}
	b := bytes.NewBuffer(make([]byte, signatureSpace, size))
	err := textproto.WriteHeader(b, head.Header)
	if err == nil {
		err = writeParts(b, head, parts)
	}
	if err != nil {
		return nil, fmt.Errorf("composing the reply: %w", err)
	}
	return b.Bytes(), nil
}

func writeParts(b *bytes.Buffer, head message.Header, parts []*part) error {
	w, err := partsOf(b, head)
	if err != nil {
		return err
	}
	forms := 0
	for forms < len(parts) && parts[forms].disposition == "" {
		forms++
	}
	if err := writeForms(w, parts[:forms]); err != nil {
		return err
	}
	for _, p := range parts[forms:] {
		if err := write(w, p); err != nil {
			return err
		}
	}
	return w.Close()
}

// setMultipart gives a header its type, with a boundary that no stranger can foresee.
func setMultipart(h *message.Header, kind string) {
	h.SetContentType("multipart/"+kind, map[string]string{"boundary": textproto.NewMultipartWriter(nil).Boundary()})
}

// partsOf writes the parts behind such a header.
func partsOf(b io.Writer, head message.Header) (*textproto.MultipartWriter, error) {
	_, params, err := head.ContentType()
	if err != nil {
		return nil, err
	}
	w := textproto.NewMultipartWriter(b)
	return w, w.SetBoundary(params["boundary"])
}

// writeForms: one form alone needs no multipart around it.
func writeForms(w *textproto.MultipartWriter, forms []*part) error {
	if len(forms) == 1 {
		return write(w, forms[0])
	}
	var h message.Header
	setMultipart(&h, "alternative")
	pw, err := w.CreatePart(h.Header)
	if err != nil {
		return err
	}
	inner, err := partsOf(pw, h)
	if err != nil {
		return err
	}
	for _, p := range forms {
		if err := write(inner, p); err != nil {
			return err
		}
	}
	return inner.Close()
}

func write(w *textproto.MultipartWriter, p *part) error {
	var h textproto.Header
	h.Add("Content-Transfer-Encoding", p.encoding)
	if p.disposition != "" {
		h.Add("Content-Disposition", p.disposition)
	}
	h.Add("Content-Type", p.contentType)
	pw, err := w.CreatePart(h)
	if err == nil {
		_, err = pw.Write(p.encoded)
	}
	return err
}
