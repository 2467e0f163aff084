package dkim

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"iter"
	"mime/quotedprintable"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"

	"checkauth/verify/result"
)

// limits of lines that programs break at.
var limits = []int{72, 75, 76, 77, 78, 79, 80, 990, 996, 998, 999, 1000}

// rewrapped: long lines were broken; each way that is known is undone.
func rewrapped(o *content) iter.Seq[rewrite] {
	return func(yield func(rewrite) bool) {
		for _, limit := range limits {
			said := func(s *signature) result.Finding {
				return result.Found(result.Error, "dkim-body-rewrapped", "domain", result.Domain(s.Domain), "selector", s.selector(), "limit", limit)
			}
			for _, undo := range []func([][]byte, int) [][]byte{hardBroken, brokenWithSpace, brokenWithMark, wordWrapped} {
				lines := undo(o.lines, limit)
				if len(lines) != len(o.lines) && !yield(rewrite{lines: lines, tails: true, causes: []cause{said}}) {
					return
				}
			}
		}
	}
}

// joined puts lines together where follows says that one goes on in the next, and gives what of the next
// to take.
func joined(lines [][]byte, follows func(line, next []byte) (rest []byte, ok bool)) [][]byte {
	var out [][]byte
	for i := 0; i < len(lines); i++ {
		// Clipped once, so that the first append copies and the others do not.
		line, last := slices.Clip(lines[i]), lines[i]
		for i+1 < len(lines) {
			rest, ok := follows(last, lines[i+1])
			if !ok {
				break
			}
			line = append(line, rest...)
			i++
			last = lines[i]
		}
		out = append(out, line)
	}
	return out
}

// hardBroken: a line of exactly the limit goes on in the next.
func hardBroken(lines [][]byte, limit int) [][]byte {
	return joined(lines, func(line, next []byte) ([]byte, bool) { return next, len(line) == limit })
}

// brokenWithSpace: the same, and a space was put before the rest (Postfix, smtp_line_length_limit).
func brokenWithSpace(lines [][]byte, limit int) [][]byte {
	return joined(lines, func(line, next []byte) ([]byte, bool) {
		rest, ok := bytes.CutPrefix(next, []byte(" "))
		return rest, ok && (len(line) == limit || len(line) == limit+1 && line[0] == ' ')
	})
}

// brokenWithMark: sendmail ends the line with an exclamation mark.
func brokenWithMark(lines [][]byte, limit int) [][]byte {
	var out [][]byte
	for i := 0; i < len(lines); i++ {
		line := bytes.Clone(lines[i])
		for i+1 < len(lines) && len(lines[i]) == limit && lines[i][limit-1] == '!' {
			i++
			line = append(line[:len(line)-1], bytes.TrimPrefix(lines[i], []byte(" "))...)
		}
		out = append(out, line)
	}
	return out
}

// wordWrapped: a line goes on in the next where the next one's first word did not fit.
func wordWrapped(lines [][]byte, limit int) [][]byte {
	return joined(lines, func(line, next []byte) ([]byte, bool) {
		word, _, _ := bytes.Cut(next, []byte(" "))
		if len(line) == 0 || len(word) == 0 || len(bytes.TrimRight(line, " ")) > limit || len(bytes.TrimRight(line, " "))+1+len(word) <= limit {
			return nil, false
		}
		if line[len(line)-1] == ' ' {
			return next, true
		}
		return append([]byte(" "), next...), true
	})
}

// coding is a transfer encoding that a part may have had.
type coding struct {
	name   string
	encode func(text []byte) [][]byte
}

var codings = []coding{
	{"8bit", pieces},
	{"quoted-printable", asQuotedPrintable},
	{"base64", func(text []byte) [][]byte { return asBase64(text, 76) }},
	{"base64", func(text []byte) [][]byte { return asBase64(bytes.ReplaceAll(text, crlf, []byte("\n")), 76) }},
	{"base64", func(text []byte) [][]byte { return asBase64(text, 72) }},
	{"base64", func(text []byte) [][]byte { return asBase64(text, 64) }},
}

// pieces cuts a part's content into lines; unlike a body it may end in an empty one that counts.
func pieces(text []byte) [][]byte {
	lines := bytes.Split(text, []byte("\n"))
	for i, l := range lines[:len(lines)-1] {
		lines[i] = bytes.TrimSuffix(l, []byte("\r"))
	}
	return lines
}

// reencoded: the transfer encoding of the whole, of one part or of all was changed.
func reencoded(o *content) iter.Seq[rewrite] {
	leaves := o.leaves()
	return func(yield func(rewrite) bool) {
		for _, c := range codings {
			for _, label := range labels(c.name) {
				if r, ok := o.recoded(leaves, c, label); ok && len(leaves) > 1 && !yield(r) {
					return
				}
				for _, p := range leaves {
					if r, ok := o.recoded([]part{p}, c, label); ok && !yield(r) {
						return
					}
				}
			}
		}
	}
}

// labels are how a part may have said what its encoding is; "" stands for no such field.
func labels(encoding string) []string {
	if encoding == "8bit" {
		return []string{"8bit", "7bit", "", "8BIT", "7BIT", "binary"}
	}
	return []string{encoding}
}

// recoded gives parts another transfer encoding; not ok where none of them changes.
func (o *content) recoded(parts []part, c coding, label string) (r rewrite, ok bool) {
	lines := o.lines
	was := ""
	for _, p := range slices.Backward(parts) { // from the bottom, so that the places above stay
		text := o.decoded(p)
		if p.encoding == c.name || text == nil || c.name == "8bit" && !isCoded(p.encoding) {
			continue
		}
		was = cmp.Or(p.encoding, "8bit")
		coded := c.encode(text)
		if p.delimiter < 0 {
			lines = coded
			continue
		}
		lines = replaced(lines, p.head, p.end, append(o.relabelled(p, label), coded...))
	}
	return rewrite{lines: lines, tails: len(parts) == 1, causes: []cause{func(s *signature) result.Finding {
		return result.Found(result.Error, "dkim-body-reencoded", "domain", result.Domain(s.Domain), "selector", s.selector(), "was", c.name, "is", was)
	}}}, was != ""
}

func isCoded(encoding string) bool { return encoding == "quoted-printable" || encoding == "base64" }

// relabelled is a part's header with another Content-Transfer-Encoding, and the empty line behind it.
func (o *content) relabelled(p part, label string) [][]byte {
	var out [][]byte
	done := label == ""
	for _, l := range o.lines[p.head:max(p.start-1, p.head)] {
		name, _, _ := bytes.Cut(l, []byte(":"))
		if !strings.EqualFold(string(name), "Content-Transfer-Encoding") {
			out = append(out, l)
			continue
		}
		if !done {
			out = append(out, []byte(string(name)+": "+label))
			done = true
		}
	}
	if !done {
		out = append(out, []byte("Content-Transfer-Encoding: "+label))
	}
	return append(out, nil)
}

func asQuotedPrintable(text []byte) [][]byte {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write(text) // to memory: it cannot fail
	_ = w.Close()
	return pieces(b.Bytes())
}

func asBase64(text []byte, width int) [][]byte {
	coded := []byte(base64.StdEncoding.EncodeToString(text))
	var out [][]byte
	for len(coded) > width {
		out, coded = append(out, coded[:width:width]), coded[width:]
	}
	return append(out, coded)
}

// charsets that mail still comes in.
var charsets = []struct {
	name string
	of   encoding.Encoding
}{
	{"iso-8859-1", charmap.ISO8859_1}, {"windows-1252", charmap.Windows1252}, {"iso-8859-15", charmap.ISO8859_15},
	{"iso-8859-2", charmap.ISO8859_2}, {"windows-1251", charmap.Windows1251}, {"koi8-r", charmap.KOI8R},
	{"windows-1254", charmap.Windows1254}, {"iso-8859-9", charmap.ISO8859_9},
}

// recharset: text was converted to UTF-8, or from it.
func recharset(o *content) iter.Seq[rewrite] {
	return func(yield func(rewrite) bool) {
		text := bytes.Join(o.lines, crlf)
		if !bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return
		}
		isUTF8 := utf8.Valid(text)
		for _, c := range charsets {
			was, is := c.name, "utf-8"
			var out []byte
			var err error
			if isUTF8 {
				out, err = c.of.NewEncoder().Bytes(text)
			} else {
				was, is = is, was
				out, err = c.of.NewDecoder().Bytes(text)
			}
			if err != nil {
				continue
			}
			said := func(s *signature) result.Finding {
				return result.Found(result.Error, "dkim-body-reencoded", "domain", result.Domain(s.Domain), "selector", s.selector(), "was", was, "is", is)
			}
			for _, lines := range [][][]byte{splitLines(out), each(splitLines(out), func(l []byte) []byte { return renamed(l, is, was) })} {
				if lines != nil && !yield(rewrite{lines: lines, tails: true, causes: []cause{said}}) {
					return
				}
			}
		}
	}
}

// renamed puts another charset's name into a part's Content-Type.
func renamed(line []byte, from, to string) []byte {
	low := lowered(line)
	at := bytes.Index(low, []byte("charset="))
	if at < 0 {
		return line
	}
	value := low[at+len("charset="):]
	n := at + len("charset=") + bytes.Index(value, []byte(from))
	if !bytes.Contains(value, []byte(from)) {
		return line
	}
	return append(append(bytes.Clone(line[:n]), to...), line[n+len(from):]...)
}
