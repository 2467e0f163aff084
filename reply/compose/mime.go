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
	lean                     func() (string, error) // a shorter form of it; nil: there is none

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

// replace gives a part another content.
func (p *part) replace(data []byte) { p.data, p.encoded = data, nil }

// encode makes the part ready for the wire. Text goes as it is where that is safe: it is shorter than
// quoted-printable, and quicker made. A message that somebody sent is opaque (base64): nothing of it is to be read
// on the way.
func (p *part) encode() error {
	switch {
	case p.encoded != nil:
	case p.contentType == opaque:
		p.encoding, p.encoded = "base64", lined(p.data)
	case strings.HasPrefix(p.contentType, "text/"):
		data := p.data
		if strings.HasPrefix(p.contentType, "text/html") {
			data = references(data)
		}
		var err error
		p.encoding, p.encoded = "7bit", bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
		if !is7bit(p.encoded) {
			p.encoding = quotedPrintable
			p.encoded, err = quoted(p.encoded)
		}
		return err
	default: // JSON is one line
		var err error
		p.encoding = quotedPrintable
		p.encoded, err = quoted(p.data)
		return err
	}
	return nil
}

const (
	opaque          = "application/octet-stream; name=message.eml"
	quotedPrintable = "quoted-printable"
)

// longLine: RFC 5322, 2.1.1, without CRLF.
const longLine = 998

// from begins a line that a mailbox in a file marks (RFC 4155), which breaks the signature.
var from = []byte("From ")

// is7bit: RFC 2045, 2.7, and no line that is changed on the way: none that begins like the mark of a mailbox; no
// control character. Blanks at the end of a line may get lost: our signature bears it, and what depends on them stands
// in the JSON.
func is7bit(b []byte) bool {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			end = len(b)
		}
		line := bytes.TrimSuffix(b[:end], []byte("\r"))
		if len(line) > longLine || bytes.HasPrefix(line, from) {
			return false
		}
		for _, c := range line {
			if c < ' ' && c != '\t' || c > '~' {
				return false
			}
		}
		b = b[min(end+1, len(b)):]
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

// quoted is RFC 2045, 6.7, without a line that a mailbox marks: that can only stand in it as text.
func quoted(b []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(b) + len(b)/6)
	w := quotedprintable.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	marked := append([]byte("\r\n"), from...)
	made := out.Bytes()
	if bytes.HasPrefix(made, from) {
		made = append([]byte("From=\r\n "), made[len(from):]...)
	}
	if !bytes.Contains(made, marked) {
		return made, nil
	}
	return bytes.ReplaceAll(made, marked, []byte("\r\nFrom=\r\n ")), nil
}

// lined is RFC 2045, 6.8.
func lined(b []byte) []byte {
	const octets = 57 // that make 76 characters
	out := make([]byte, 0, base64.StdEncoding.EncodedLen(len(b))+2*(len(b)/octets+1))
	for len(b) > 0 {
		n := min(octets, len(b))
		out = append(base64.StdEncoding.AppendEncode(out, b[:n]), "\r\n"...)
		b = b[n:]
	}
	return out
}

// written is the MIME message behind front free octets. The first parts, without a disposition, say the same in
// other forms (RFC 2046, 5.1.4).
func written(head message.Header, parts []*part, front int) ([]byte, error) {
	size := front + 4<<10
	for _, p := range parts {
		if err := p.encode(); err != nil {
			return nil, fmt.Errorf("composing the reply's %s: %w", p.contentType, err)
		}
		size += len(p.encoded)
	}
	b := bytes.NewBuffer(make([]byte, front, size))
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
