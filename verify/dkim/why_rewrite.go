package dkim

import (
	"bytes"
	"iter"
	"strings"

	"checkauth/verify/result"
)

// rewrite is a body changed back in one way.
type rewrite struct {
	lines  [][]byte
	end    string // line end; "" is CRLF
	tails  bool   // look for it without its last lines as well
	causes []cause
}

// rewritings are the ways to change a body back, the cheapest and most likely first. Each gives what it
// makes of the body one by one; the search ends it when there is nothing more to look for.
var rewritings = []func(o *content) iter.Seq[rewrite]{
	lineEnds, fromEscaped, dotsDoubled, blankLines, tabs,
	partAdded, insertedInPart, banner, boundary, rewrapped, reencoded, recharset,
	oneSpace, oneBlankLine, oneDot, insertedInBoth,
}

// all tries the body as it is, then changed back. White space comes before the other canonicalisation: a
// server that put some in and a signer that says simple and does relaxed leave the same, and the first is
// the more frequent.
func (b *bodySearch) all(o *content) {
	b.asItIs(o, false)
	b.rewrite(spaces, o)
	b.asItIs(o, true)
	for _, changed := range rewritings {
		b.rewrite(changed, o)
	}
}

// asItIs tries the body without its last lines, in the canonicalisations that are claimed or in others.
func (b *bodySearch) asItIs(o *content, others bool) {
	for _, canon := range canons {
		if others || b.claims(canon) {
			b.run(guess{canon: canon, lines: canonLines(canon, o.lines), tails: true, others: others})
		}
	}
}

func (b *bodySearch) rewrite(changed func(o *content) iter.Seq[rewrite], o *content) {
	// Each way looks at all lines, and there may be half a million empty ones.
	if b.done() || !b.spend(lineCost*len(o.lines)) {
		return
	}
	for r := range changed(o) {
		b.try(r)
		if b.done() {
			return
		}
	}
}

func (b *bodySearch) try(r rewrite) {
	// Making it costs as well: a body may be of lines that hash next to nothing.
	if !b.spend(lineCost * len(r.lines)) {
		return
	}
	for _, canon := range canons {
		if b.claims(canon) {
			b.run(guess{canon: canon, lines: canonLines(canon, r.lines), end: r.end, causes: r.causes, tails: r.tails})
		}
	}
}

// rewriteTo is a rewriting that makes one body, where it changes anything.
func rewriteTo(lines [][]byte, end string, c cause) iter.Seq[rewrite] {
	return func(yield func(rewrite) bool) {
		if lines != nil {
			yield(rewrite{lines: lines, end: end, tails: true, causes: []cause{c}})
		}
	}
}

func several(rs ...iter.Seq[rewrite]) iter.Seq[rewrite] {
	return func(yield func(rewrite) bool) {
		for _, r := range rs {
			for x := range r {
				if !yield(x) {
					return
				}
			}
		}
	}
}

// footer is that lines were put behind the body.
func footer(tail [][]byte) cause {
	return func(s *signature) result.Finding {
		return result.Found(result.Error, "dkim-body-changed-footer", "domain", result.Domain(s.Domain), "selector", s.selector(),
			"lines", len(tail), "text", shown(tail))
	}
}

// inFront is that lines were put before it.
func inFront(lines [][]byte) cause {
	return func(s *signature) result.Finding {
		return result.Found(result.Error, "dkim-body-changed-banner", "domain", result.Domain(s.Domain), "selector", s.selector(),
			"lines", len(lines), "text", shown(lines))
	}
}

// maxText: octets of what was put into a body that a finding quotes.
const maxText = 200

// shown are a stranger's lines, on one line.
func shown(lines [][]byte) string {
	return result.Cut(strings.Join(strings.Fields(string(bytes.Join(lines, []byte(" ")))), " "), maxText)
}

// lineEnds: the signer hashed other line ends than the ones of SMTP (RFC 6376, 5.3), or a hop doubled the
// CR.
func lineEnds(o *content) iter.Seq[rewrite] {
	said := func(s *signature) result.Finding {
		return result.Found(result.Error, "dkim-body-line-ends", "domain", result.Domain(s.Domain), "selector", s.selector())
	}
	noCR := each(o.lines, func(l []byte) []byte { return bytes.TrimRight(l, "\r") })
	var atCR [][]byte
	if bytes.IndexByte(bytes.Join(o.lines, nil), '\r') >= 0 {
		for _, l := range o.lines {
			atCR = append(atCR, bytes.Split(bytes.TrimSuffix(l, []byte("\r")), []byte("\r"))...)
		}
	}
	added := func(s *signature) result.Finding {
		return result.Found(result.Error, "dkim-body-cr-added", "domain", result.Domain(s.Domain), "selector", s.selector())
	}
	// Those that were put in come first: with them a line that ends in LF ends in CR LF.
	return several(rewriteTo(noCR, "", added), rewriteTo(atCR, "", added),
		rewriteTo(o.lines, "\n", said), rewriteTo(o.lines, "\r", said), rewriteTo(o.lines, "\r\r\n", said))
}

// fromEscaped: an mbox store puts ">" before "From " (RFC 4155).
func fromEscaped(o *content) iter.Seq[rewrite] {
	said := func(s *signature) result.Finding {
		return result.Found(result.Error, "dkim-body-from-escaped", "domain", result.Domain(s.Domain), "selector", s.selector())
	}
	quoted := func(l []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(l, ">"), []byte("From ")) }
	return several(
		rewriteTo(each(o.lines, func(l []byte) []byte {
			if quoted(l) && l[0] == '>' {
				return l[1:]
			}
			return l
		}), "", said),
		rewriteTo(each(o.lines, func(l []byte) []byte {
			if quoted(l) {
				return append([]byte(">"), l...)
			}
			return l
		}), "", said))
}

func dots(s *signature) result.Finding {
	return result.Found(result.Error, "dkim-body-dots", "domain", result.Domain(s.Domain), "selector", s.selector())
}

// dotsDoubled: RFC 5321, 4.5.2: a dot is put before a dot that begins a line, and taken off; done once too
// often, or not undone.
func dotsDoubled(o *content) iter.Seq[rewrite] {
	return several(
		rewriteTo(each(o.lines, func(l []byte) []byte {
			if bytes.HasPrefix(l, []byte("..")) {
				return l[1:]
			}
			return l
		}), "", dots),
		rewriteTo(each(o.lines, func(l []byte) []byte {
			if bytes.HasPrefix(l, []byte(".")) {
				return append([]byte("."), l...)
			}
			return l
		}), "", dots))
}

func whiteSpace(s *signature) result.Finding {
	return result.Found(result.Error, "dkim-body-whitespace", "domain", result.Domain(s.Domain), "selector", s.selector())
}

// spaces at the ends of lines count under simple: those that were added, and those that are known to be
// taken off, behind "-- " and in flowed text (RFC 3676).
func spaces(o *content) iter.Seq[rewrite] {
	signed := func(l []byte) []byte {
		if string(l) == "--" {
			return []byte("-- ")
		}
		return l
	}
	flowed := make([][]byte, len(o.lines))
	for i, l := range o.lines {
		flowed[i] = signed(l)
		if i+1 < len(o.lines) && len(l) > 40 && len(o.lines[i+1]) > 0 && l[len(l)-1] != ' ' {
			flowed[i] = append(bytes.Clone(l), ' ')
		}
	}
	return several(rewriteTo(each(o.lines, func(l []byte) []byte { return bytes.TrimRight(l, " \t") }), "", whiteSpace),
		rewriteTo(each(o.lines, signed), "", whiteSpace), rewriteTo(flowed, "", whiteSpace),
		rewriteTo(each(o.lines, func(l []byte) []byte { return bytes.TrimPrefix(l, []byte(" ")) }), "", whiteSpace))
}

// blankLines: empty lines in front that were taken off or put there, and doubled ones.
func blankLines(o *content) iter.Seq[rewrite] {
	lead := 0
	for lead < len(o.lines) && len(bytes.TrimSpace(o.lines[lead])) == 0 {
		lead++
	}
	var some []iter.Seq[rewrite]
	if 0 < lead && lead < len(o.lines) {
		for n := range min(lead, 5) {
			some = append(some, rewriteTo(o.lines[n+1:], "", whiteSpace))
		}
	}
	if lead < len(o.lines) {
		some = append(some, rewriteTo(o.with(0, 0, nil), "", whiteSpace), rewriteTo(o.with(0, 0, nil, nil), "", whiteSpace))
	}
	var once, second [][]byte
	for i, l := range o.lines {
		if len(l) > 0 || i == 0 || len(o.lines[i-1]) > 0 {
			once = append(once, l)
		}
		if i%2 == 0 || len(l) > 0 {
			second = append(second, l)
		}
	}
	for _, lines := range [][][]byte{once, second} {
		if len(lines) != len(o.lines) {
			some = append(some, rewriteTo(lines, "", whiteSpace))
		}
	}
	return several(some...)
}

// fewLines is up to how many lines each is tried by itself.
const fewLines = 400

// oneSpace: the space behind one line was taken off.
func oneSpace(o *content) iter.Seq[rewrite] {
	return o.single(whiteSpace, func(l []byte) []byte {
		if len(l) == 0 {
			return nil
		}
		return append(bytes.Clone(l), ' ')
	})
}

// oneDot: the dot that begins one line was taken for stuffing.
func oneDot(o *content) iter.Seq[rewrite] {
	return o.single(dots, func(l []byte) []byte { return append([]byte("."), l...) })
}

// single changes one line after the other.
func (o *content) single(c cause, f func(line []byte) []byte) iter.Seq[rewrite] {
	return func(yield func(rewrite) bool) {
		if len(o.lines) > fewLines {
			return
		}
		for i, l := range o.lines {
			if changed := f(l); changed != nil && !yield(rewrite{lines: o.with(i, i+1, changed), causes: []cause{c}}) {
				return
			}
		}
	}
}

// oneBlankLine: one empty line was taken out, or put in.
func oneBlankLine(o *content) iter.Seq[rewrite] {
	return func(yield func(rewrite) bool) {
		if len(o.lines) > fewLines {
			return
		}
		for i, l := range o.lines {
			lines := o.with(i, i, nil)
			if len(l) == 0 {
				lines = o.with(i, i+1)
			}
			if !yield(rewrite{lines: lines, causes: []cause{whiteSpace}}) {
				return
			}
		}
	}
}

// tabs: a hop put spaces in their place; what can be told are those up to the next stop.
func tabs(o *content) iter.Seq[rewrite] {
	said := func(s *signature) result.Finding {
		return result.Found(result.Error, "dkim-body-tabs", "domain", result.Domain(s.Domain), "selector", s.selector())
	}
	var some []iter.Seq[rewrite]
	for _, width := range []int{8, 4} {
		some = append(some,
			rewriteTo(each(o.lines, func(l []byte) []byte { return withTabs(l, width, true) }), "", said),
			rewriteTo(each(o.lines, func(l []byte) []byte { return withTabs(l, width, false) }), "", said),
			rewriteTo(each(o.lines, func(l []byte) []byte { return expanded(l, width) }), "", said))
	}
	return several(some...)
}

// withTabs puts a tab in the place of spaces that end at a stop; leading ones alone, or two and more
// anywhere.
func withTabs(line []byte, width int, leading bool) []byte {
	var out []byte
	from := 0
	for i := range line {
		if line[i] != ' ' {
			if leading {
				break
			}
			continue
		}
		if (i+1)%width != 0 {
			continue
		}
		n := i
		for n > from && n > i+1-width && line[n-1] == ' ' {
			n--
		}
		if i-n > 0 {
			out = append(append(out, line[from:n]...), '\t')
			from = i + 1
		}
	}
	return append(out, line[from:]...)
}

// expanded puts spaces in the place of tabs.
func expanded(line []byte, width int) []byte {
	if bytes.IndexByte(line, '\t') < 0 {
		return line
	}
	var out []byte
	for _, c := range line {
		if c != '\t' {
			out = append(out, c)
			continue
		}
		for n := width - len(out)%width; n > 0; n-- {
			out = append(out, ' ')
		}
	}
	return out
}
