package dkim

import (
	"bytes"
	"iter"
	"mime"
	"slices"
	"strconv"

	"checkauth/verify/result"
)

// maxBanner is how many lines at the start, and maxFooter how many at the end of a part are looked at.
const (
	maxBanner = 60
	maxFooter = 60
)

// banner: lines were put before the text.
func banner(o *content) iter.Seq[rewrite] {
	return func(yield func(rewrite) bool) {
		for k := 1; k <= min(maxBanner, len(o.lines)-1); k++ {
			r := rewrite{lines: o.lines[k:], tails: k <= 3, causes: []cause{inFront(o.lines[:k])}}
			if len(contentOf(o.lines[:k])) > 0 && !yield(r) {
				return
			}
		}
	}
}

// partAdded: a part was put into a multipart, or the whole was wrapped into one, as lists do with their
// footer.
func partAdded(o *content) iter.Seq[rewrite] {
	said := func(what string) cause {
		return func(s *signature) result.Finding {
			return result.Found(result.Error, "dkim-body-part-added", "domain", result.Domain(s.Domain), "selector", s.selector(), "part", result.Ours(what))
		}
	}
	return func(yield func(rewrite) bool) {
		for i, p := range o.parts {
			if p.delimiter < 0 {
				return
			}
			n := strconv.Itoa(i + 1)
			for _, r := range []rewrite{
				{lines: o.with(p.delimiter, p.end), causes: []cause{said(n)}},
				{lines: o.lines[p.start:p.end], causes: []cause{said("1-" + n)}},
			} {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// stretch is lines from..to of the body, with what stands in their place.
type stretch struct {
	from, to int
	put      [][]byte
	cause    cause
}

// insertedInPart: text was put at the start or the end of one part.
func insertedInPart(o *content) iter.Seq[rewrite] {
	return func(yield func(rewrite) bool) {
		for _, p := range o.leaves() {
			for _, x := range o.inserted(p) {
				if !yield(rewrite{lines: o.with(x.from, x.to, x.put...), causes: []cause{x.cause}}) {
					return
				}
			}
		}
	}
}

// insertedInBoth: a footer was put into the text and into the HTML.
func insertedInBoth(o *content) iter.Seq[rewrite] {
	return func(yield func(rewrite) bool) {
		leaves := o.leaves()
		for i, text := range leaves {
			if text.html || i+1 == len(leaves) || !leaves[i+1].html {
				continue
			}
			html := o.inserted(leaves[i+1])
			for _, x := range o.inserted(text) {
				if x.to != text.end && x.from != text.start {
					continue
				}
				for _, y := range html {
					lines := o.with(y.from, y.to, y.put...)
					lines = slices.Concat(lines[:x.from], x.put, lines[x.to:])
					if !yield(rewrite{lines: lines, causes: []cause{x.cause}}) {
						return
					}
				}
			}
		}
	}
}

// leaves are the parts that are no multipart.
func (o *content) leaves() []part {
	return slices.DeleteFunc(slices.Clone(o.parts), func(p part) bool { return p.multipart })
}

// inserted lists what may have been put into a part: lines that end with it or begin it, lines before the
// end of an HTML document, and what stands on one line with that end.
func (o *content) inserted(p part) []stretch {
	var out []stretch
	begins, ends := o.document(p)
	last := p.end
	for last > p.start && len(o.lines[last-1]) == 0 {
		last--
	}
	for _, to := range slices.Compact([]int{p.end, last, ends}) {
		for from := to - 1; from > p.start && to-from <= maxFooter; from-- {
			out = append(out, stretch{from, to, nil, footer(o.lines[from:to])})
			if to == p.end && len(o.lines[from-1]) > 0 {
				out = append(out, stretch{from, to, [][]byte{nil}, footer(o.lines[from:to])})
			}
		}
	}
	for _, from := range slices.Compact([]int{p.start, begins}) {
		for to := from + 1; to < p.end && to-from <= maxBanner; to++ {
			out = append(out, stretch{from, to, nil, inFront(o.lines[from:to])})
		}
	}
	if p.html && ends < p.end {
		out = append(out, o.onOneLine(ends)...)
	}
	return out
}

// document tells where the text of an HTML part begins and ends, by lines; the part's own bounds without.
func (o *content) document(p part) (begins, ends int) {
	begins, ends = p.start, p.end
	if !p.html {
		return begins, ends
	}
	for i := p.start; i < p.end; i++ {
		line := lowered(o.lines[i])
		if begins == p.start && bytes.Contains(line, []byte("<body")) {
			begins = i + 1
		}
		if bytes.Contains(line, []byte("</body")) {
			ends = i
		}
	}
	return begins, ends
}

// maxTags is how many places in a line are looked at.
const maxTags = 100

// onOneLine: what stands between a tag and the end of the document was put there.
func (o *content) onOneLine(at int) []stretch {
	line := o.lines[at]
	end := bytes.Index(lowered(line), []byte("</body"))
	var out []stretch
	for from := bytes.LastIndexByte(line[:end], '<'); from >= 0 && len(out) < maxTags; from = bytes.LastIndexByte(line[:from], '<') {
		put := append(bytes.Clone(line[:from]), line[end:]...)
		out = append(out, stretch{at, at + 1, [][]byte{put}, footer([][]byte{line[from:end]})})
	}
	return out
}

// boundary: the delimiters were rewritten, and a signature's z= has the ones that were signed.
func boundary(o *content) iter.Seq[rewrite] {
	_, params, err := mime.ParseMediaType(o.contentType)
	now := params["boundary"]
	return func(yield func(rewrite) bool) {
		if err != nil || now == "" {
			return
		}
		for _, value := range o.copied["content-type"] {
			_, params, err := mime.ParseMediaType(value)
			was := params["boundary"]
			if err != nil || was == "" || was == now {
				continue
			}
			lines := each(o.lines, func(l []byte) []byte {
				if rest, ok := bytes.CutPrefix(l, []byte("--"+now)); ok {
					return append([]byte("--"+was), rest...)
				}
				return l
			})
			said := func(s *signature) result.Finding {
				return result.Found(result.Error, "dkim-body-boundary", "domain", result.Domain(s.Domain), "selector", s.selector())
			}
			if lines != nil && !yield(rewrite{lines: lines, causes: []cause{said}}) {
				return
			}
		}
	}
}
