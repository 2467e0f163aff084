// Package mail reads a message's header and body as bytes, without believing them: fields stay as
// they came, what is no field is kept and marked, and every bound is checked before anything else
// looks at them (RFC 5322, 2.2; go-msgauth is quadratic in continuation lines).
package mail

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Field is one header field as it was received.
type Field struct {
	// Raw is the whole field with its folds and its last line end.
	Raw []byte
	// Name as it was written; empty where the line is no well-formed field (RFC 5322, 2.2: visible
	// ASCII, then a colon) or a fold with no field before it.
	Name string
	// Spaced: white space stood between name and colon (RFC 5322, 4.5; some receivers do not see such
	// a field, which is a known trick).
	Spaced bool
}

// Is compares the field's name without regard to case.
func (f Field) Is(name string) bool { return f.Name != "" && strings.EqualFold(f.Name, name) }

// Value is what stands behind the colon, unfolded (RFC 5322, 2.2.3), without white space around it.
func (f Field) Value() string {
	if f.Name == "" {
		return ""
	}
	v := f.Raw[bytes.IndexByte(f.Raw, ':')+1:]
	v = bytes.ReplaceAll(v, []byte("\r\n"), nil)
	v = bytes.ReplaceAll(v, []byte("\n"), nil)
	return strings.Trim(string(v), " \t")
}

// Fields is a header from top to bottom.
type Fields []Field

// All gives the fields of that name, from the top.
func (fs Fields) All(name string) Fields {
	var out Fields
	for _, f := range fs {
		if f.Is(name) {
			out = append(out, f)
		}
	}
	return out
}

// Value is the value of the first field of that name, or empty.
func (fs Fields) Value(name string) string {
	for _, f := range fs {
		if f.Is(name) {
			return f.Value()
		}
	}
	return ""
}

// Malformed gives the lines that are no fields.
func (fs Fields) Malformed() Fields {
	var out Fields
	for _, f := range fs {
		if f.Name == "" {
			out = append(out, f)
		}
	}
	return out
}

// bom is the byte order mark of UTF-8, which some editors write at the beginning of a file.
const bom = "\xef\xbb\xbf"

// BOM tells whether the header begins with a byte order mark, and which field is none for it; empty where what stands
// behind it is no field either.
func (fs Fields) BOM() (field string, ok bool) {
	if len(fs) == 0 {
		return "", false
	}
	rest, ok := bytes.CutPrefix(fs[0].Raw, []byte(bom))
	if !ok {
		return "", false
	}
	field, _ = fieldName(rest)
	return field, true
}

// Bytes is the header as it came, without the empty line that ends it.
func (fs Fields) Bytes() []byte {
	var b []byte
	for _, f := range fs {
		b = append(b, f.Raw...)
	}
	return b
}

// Bounds of a header; each must be above zero.
type Bounds struct {
	Bytes  int // of the whole header
	Fields int
	Folds  int // continuation lines of one field
}

// DefaultBounds: many times what real mail brings, and little enough that every library stays fast.
func DefaultBounds() Bounds { return Bounds{Bytes: 128 << 10, Fields: 1000, Folds: 500} }

// The kinds of a *BoundError.
var (
	ErrHeaderTooLarge = errors.New("header too large")
	ErrTooManyFields  = errors.New("too many header fields")
	ErrTooManyFolds   = errors.New("too many continuation lines in one header field")
)

// BoundError tells which bound of a header was passed, where, and what is allowed.
type BoundError struct {
	Kind  error
	Limit int
	Line  int    // from 1
	Field string // the field's name, where one field is too long
}

func (e *BoundError) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%v: %q at line %d: at most %d", e.Kind, e.Field, e.Line, e.Limit)
	}
	return fmt.Sprintf("%v at line %d: at most %d", e.Kind, e.Line, e.Limit)
}

func (e *BoundError) Unwrap() error { return e.Kind }

// Parse cuts a header into fields. header must not contain the empty line that ends it; lines may end
// in CRLF or bare LF. The fields share header's memory. The error is a *BoundError.
func Parse(header []byte, b Bounds) (Fields, error) {
	if len(header) > b.Bytes {
		return nil, &BoundError{Kind: ErrHeaderTooLarge, Limit: b.Bytes, Line: 1 + bytes.Count(header[:b.Bytes], []byte("\n"))}
	}
	var fs Fields
	folds, start := 0, 0
	for line, pos := 1, 0; pos < len(header); line++ {
		end := len(header)
		if i := bytes.IndexByte(header[pos:], '\n'); i >= 0 {
			end = pos + i + 1
		}
		if c := header[pos]; (c == ' ' || c == '\t') && len(fs) > 0 && fs[len(fs)-1].Name != "" {
			folds++
			if folds > b.Folds {
				return nil, &BoundError{Kind: ErrTooManyFolds, Limit: b.Folds, Line: line, Field: fs[len(fs)-1].Name}
			}
			fs[len(fs)-1].Raw = header[start:end:end]
		} else {
			if len(fs) == b.Fields {
				return nil, &BoundError{Kind: ErrTooManyFields, Limit: b.Fields, Line: line}
			}
			start, folds = pos, 0
			f := Field{Raw: header[pos:end:end]}
			f.Name, f.Spaced = fieldName(f.Raw)
			fs = append(fs, f)
		}
		pos = end
	}
	return fs, nil
}

// fieldName reads the name in front of the colon. RFC 5322, 2.2: 33 to 126 without the colon; 4.5: old
// mail may have white space before the colon.
func fieldName(line []byte) (name string, spaced bool) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return "", false
	}
	n := bytes.TrimRight(line[:colon], " \t")
	for _, c := range n {
		if c < 33 || c > 126 {
			return "", false
		}
	}
	return string(n), len(n) != colon
}

// HeaderEnd finds the empty line that ends the header. The header is b[:header] and the body begins at
// b[body]. ok is false while there is no such line in b; then both are len(b): a message may be its
// header alone.
func HeaderEnd(b []byte) (header, body int, ok bool) {
	for pos := 0; pos < len(b); {
		i := bytes.IndexByte(b[pos:], '\n')
		if i < 0 {
			break
		}
		if i == 0 || i == 1 && b[pos] == '\r' {
			return pos, pos + i + 1, true
		}
		pos += i + 1
	}
	return len(b), len(b), false
}
