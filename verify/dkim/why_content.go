package dkim

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
)

const (
	maxParts = 1000
	maxDepth = 100
	maxHead  = 200 // lines of a part's header
)

// content is what is known of a body when it is to be changed back.
type content struct {
	lines       [][]byte
	parts       []part // from the top; where the body is no multipart the one part is the body
	encoding    string // Content-Transfer-Encoding of the message, lower case
	contentType string
	copied      map[string][]string // of the signatures' z=: lower-case name to values
}

// part is one body part (RFC 2046, 5.1), by lines of the body.
type part struct {
	delimiter  int // line of the delimiter in front of it; -1 for the body itself
	head       int // first line of its header
	start, end int // its content
	depth      int
	multipart  bool
	html       bool
	encoding   string // Content-Transfer-Encoding, lower case; empty where it says none
	charset    string // lower case
	boundary   string // that delimits it
}

func (c *check) content(raw []byte, signatures []*signature) *content {
	o := &content{lines: splitLines(raw), copied: map[string][]string{}}
	o.contentType = c.header.value("Content-Type")
	o.encoding = strings.ToLower(c.header.value("Content-Transfer-Encoding"))
	o.parts = o.findParts()
	for _, s := range signatures {
		for name, values := range s.copies() {
			o.copied[name] = append(o.copied[name], values...)
		}
	}
	return o
}

// value is that of the first field of a name, unfolded.
func (h *header) value(name string) string {
	places := h.named[strings.ToLower(name)]
	if len(places) == 0 {
		return ""
	}
	return valueOf(h.raw[places[len(places)-1]])
}

// valueOf is a field's value without folds and without white space around it.
func valueOf(raw []byte) string {
	_, v, _ := bytes.Cut(raw, []byte(":"))
	return strings.TrimSpace(strings.ReplaceAll(string(v), "\r\n", ""))
}

// findParts reads the structure, as far as the bounds go.
func (o *content) findParts() []part {
	whole := part{delimiter: -1, start: 0, end: len(o.lines), encoding: o.encoding}
	boundary := whole.typed(o.contentType)
	if boundary == "" {
		return []part{whole}
	}
	delimits := map[string]bool{boundary: true}
	var all []part
	var open []int // places in all of the parts that have not ended
	for i := 0; i < len(o.lines) && len(all) < maxParts; i++ {
		b, closes, ok := delimiter(o.lines[i], delimits)
		if !ok {
			continue
		}
		// RFC 2046, 5.1.2: a delimiter of an outer multipart ends the inner ones as well.
		for len(open) > 0 && delimits[b] && contains(all, open, b) {
			last := open[len(open)-1]
			all[last].end = i
			open = open[:len(open)-1]
			if all[last].boundary == b {
				break
			}
		}
		// Within a text part the delimiter of a multipart that has ended is text.
		if closes || len(open) >= maxDepth || len(open) > 0 && !all[open[len(open)-1]].multipart {
			continue
		}
		p := part{delimiter: i, head: i + 1, boundary: b, depth: len(open), end: len(o.lines)}
		inner := p.readHead(o.lines)
		if inner != "" {
			delimits[inner] = true
		}
		i = p.start - 1
		open = append(open, len(all))
		all = append(all, p)
	}
	if len(all) == 0 {
		return []part{whole}
	}
	return all
}

func contains(all []part, open []int, boundary string) bool {
	for _, i := range open {
		if all[i].boundary == boundary {
			return true
		}
	}
	return false
}

// delimiter reads a line that begins or ends a part.
func delimiter(line []byte, known map[string]bool) (boundary string, closes, ok bool) {
	rest, ok := bytes.CutPrefix(bytes.TrimRight(line, " \t"), []byte("--"))
	if !ok {
		return "", false, false
	}
	if known[string(rest)] {
		return string(rest), false, true
	}
	rest, closes = bytes.CutSuffix(rest, []byte("--"))
	return string(rest), true, closes && known[string(rest)]
}

// readHead reads a part's header and gives the boundary of what is in it.
func (p *part) readHead(lines [][]byte) (boundary string) {
	i := p.head
	for i < len(lines) && len(lines[i]) > 0 && i-p.head < maxHead {
		first := i
		for i++; i < len(lines) && i-p.head < maxHead && len(lines[i]) > 0 && (lines[i][0] == ' ' || lines[i][0] == '\t'); i++ {
		}
		name, rest, _ := strings.Cut(string(bytes.Join(lines[first:i], nil)), ":")
		switch rest = strings.TrimSpace(rest); {
		case strings.EqualFold(name, "Content-Type"):
			boundary = p.typed(rest)
		case strings.EqualFold(name, "Content-Transfer-Encoding"):
			p.encoding = strings.ToLower(rest)
		}
	}
	p.start = min(i+1, len(lines))
	return boundary
}

// typed takes a Content-Type apart.
func (p *part) typed(contentType string) (boundary string) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	p.html = kind == "text/html"
	p.charset = strings.ToLower(params["charset"])
	if p.multipart = strings.HasPrefix(kind, "multipart/"); p.multipart {
		return params["boundary"]
	}
	return ""
}

// decoded is the content of a part without its transfer encoding; nil where that is broken. RFC 2046, 5.1.1:
// the line end before a delimiter is not of the content; the body's own last one is.
func (o *content) decoded(p part) []byte {
	out := bytes.Join(o.lines[p.start:p.end], crlf)
	if p.delimiter < 0 && len(out) > 0 {
		out = append(out, crlf...)
	}
	var err error
	switch p.encoding {
	case "quoted-printable":
		out, err = io.ReadAll(quotedprintable.NewReader(bytes.NewReader(out)))
	case "base64":
		out, err = base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(out), nil)))
	}
	if err != nil {
		return nil
	}
	return out
}

// with is the body with a stretch of lines in another's place.
func (o *content) with(from, to int, lines ...[]byte) [][]byte {
	return replaced(o.lines, from, to, lines)
}

func replaced(lines [][]byte, from, to int, with [][]byte) [][]byte {
	out := make([][]byte, 0, len(lines)-(to-from)+len(with))
	out = append(append(out, lines[:from]...), with...)
	return append(out, lines[to:]...)
}

// lowered folds ASCII alone: other letters may have another length in lower case, and places are taken
// from it.
func lowered(line []byte) []byte {
	out := bytes.Clone(line)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

// each changes lines where f does; nil where it changes none.
func each(lines [][]byte, f func(line []byte) []byte) [][]byte {
	out := make([][]byte, len(lines))
	changed := false
	for i, line := range lines {
		out[i] = f(line)
		changed = changed || !bytes.Equal(out[i], line)
	}
	if !changed {
		return nil
	}
	return out
}
