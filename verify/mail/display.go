package mail

import (
	"io"
	"mime"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// phrase is what stands before an address in angle brackets.
type phrase []word

// without gives the fault of words that no address follows.
func (ph phrase) without(fault Fault) Fault {
	if len(ph) == 0 {
		return FaultEmpty
	}
	return fault
}

// maxDisplay octets of a display name are read, in maxWords words: the decoder of encoded words is
// quadratic.
const maxDisplay, maxWords = 1000, 500

// display puts the words together. RFC 2047, 5: an encoded word stands outside of quotes only.
func (ph phrase) display(wanted bool) string {
	if !wanted {
		return ""
	}
	var b, plain strings.Builder
	flush := func() {
		b.WriteString(decodeWords(plain.String()))
		plain.Reset()
	}
	for _, w := range ph {
		if b.Len()+plain.Len()+len(w.text) > maxDisplay {
			break
		}
		if w.spaced {
			plain.WriteByte(' ')
		}
		if w.quoted {
			flush()
			b.WriteString(w.text)
			continue
		}
		plain.WriteString(w.text)
	}
	flush()
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

// decodeWords leaves a text as it is where a character set is unknown.
func decodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	d := mime.WordDecoder{CharsetReader: func(charset string, in io.Reader) (io.Reader, error) {
		e, err := htmlindex.Get(charset)
		if err != nil {
			return nil, err
		}
		return e.NewDecoder().Reader(in), nil
	}}
	if out, err := d.DecodeHeader(s); err == nil {
		return out
	}
	return s
}
