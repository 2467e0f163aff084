package dkim

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"slices"
	"strconv"

	"checkauth/verify/result"
)

// Bounds of the search for what became of a body. They are octets hashed, never time: the cause must not
// depend on the machine.
const (
	smallBody   = 1 << 20  // up to here a body is rewritten
	smallSearch = 64 << 20 // octets hashed for such a body
	largeSearch = 16 << 20 // and for a larger one
	sumCost     = 64       // octets that finishing a hash counts for
	lineCost    = 32       // and that a line of a changed body does
	longLine    = 1 << 20  // a longer line of a large body ends the search
	tailSearch  = 256 << 10
)

// bodySearch looks for a body that the claimed hashes were made of: the one that came in, changed back in
// one way after the other, cheapest first. A hash that is met is a proof.
type bodySearch struct {
	ctx    context.Context
	wanted map[[sha256.Size]byte][]*signature // that have not been explained
	left   int64                              // octets that may still be hashed
	cut    bool                               // the bound ended it
	at     int64                              // octets of the canonical body that was hashed last
}

// whyBodies explains the signatures whose body hash is not that of the body. cut: there is no time to.
func (c *check) whyBodies(ctx context.Context, signatures []*signature, cut bool) {
	if len(signatures) == 0 {
		return
	}
	small := c.body.Size <= smallBody
	b := &bodySearch{ctx: ctx, wanted: map[[sha256.Size]byte][]*signature{}, left: largeSearch, cut: cut}
	if small {
		b.left = smallSearch
	}
	for _, s := range signatures {
		if s.Length == nil && len(s.claimed) == sha256.Size {
			want := [sha256.Size]byte(s.claimed)
			b.wanted[want] = append(b.wanted[want], s)
		}
	}
	switch {
	case cut:
	case small:
		c.rewritten(b, signatures)
	case len(b.wanted) > 0:
		b.stream(c.body.Reader())
	}
	for _, s := range signatures {
		b.conclude(s, small)
	}
}

// rewritten reads the body into memory and tries all that can be tried there.
func (c *check) rewritten(b *bodySearch, signatures []*signature) {
	raw := make([]byte, c.body.Size)
	if _, err := io.ReadFull(&ctxReader{b.ctx, c.body.Reader()}, raw); err != nil {
		b.cut = true
		return
	}
	for _, s := range signatures {
		if s.Length != nil {
			b.partly(s, raw)
		}
	}
	if len(b.wanted) > 0 {
		b.all(c.content(raw, signatures))
	}
}

// conclude says what was excluded where nothing was found.
func (b *bodySearch) conclude(s *signature, small bool) {
	switch {
	case !s.has("dkim-body-changed"):
	case b.cut || !small:
		s.Findings = append(s.Findings, result.Found(result.Info, "dkim-body-not-searched", "domain", result.Domain(s.Domain), "selector", s.selector()))
	case s.Length == nil:
		s.Findings = append(s.Findings, result.Found(result.Info, "dkim-body-excluded", "domain", result.Domain(s.Domain), "selector", s.selector()))
	}
}

// partly looks for what a signature with l= was made of: the signer counted otherwise than RFC 6376, 3.5
// says, or hashed all. What is behind the signed octets needs no word.
func (b *bodySearch) partly(s *signature, raw []byte) {
	own := &bodySearch{ctx: b.ctx, left: b.left, wanted: map[[sha256.Size]byte][]*signature{}}
	if len(s.claimed) != sha256.Size {
		return
	}
	own.wanted[[sha256.Size]byte(s.claimed)] = []*signature{s}
	lines := splitLines(raw)
	for _, others := range []bool{false, true} {
		for _, canon := range canons {
			own.run(guess{canon: canon, lines: canonLines(canon, lines), tails: true, others: others, quiet: true})
		}
	}
	if len(own.wanted) == 0 && own.at != *s.Length {
		s.replace("dkim-body-changed", result.Found(result.Error, "dkim-l-tag-wrong",
			"domain", result.Domain(s.Domain), "selector", s.selector(), "length", result.Ours(strconv.FormatInt(*s.Length, 10))))
	}
	b.left, b.cut = own.left, b.cut || own.cut
}

// spend takes octets from the bound; false where they are not left.
func (b *bodySearch) spend(n int) bool {
	if b.left -= int64(n); b.left < 0 || b.ctx.Err() != nil {
		b.cut = true
	}
	return !b.cut
}

func (b *bodySearch) done() bool { return b.cut || len(b.wanted) == 0 }

// cause says of a signature what a change was.
type cause func(s *signature) result.Finding

// guess is one body that may have been the signed one.
type guess struct {
	canon  string   // the canonicalisation that lines have gone through
	lines  [][]byte // canonical, without line ends
	end    string   // line end; "" is CRLF
	causes []cause  // what the change was
	tails  bool     // look for it without its last lines as well
	others bool     // for signatures that claim another canonicalisation than canon
	quiet  bool     // lines that are left out need no word
	empty  bool     // no line is left
}

// lineHash is the hash of a canonical body that grows by lines. RFC 6376, 3.4.3 and 3.4.4: empty lines at
// the end count for nothing, and an empty body is CRLF under simple, nothing under relaxed.
type lineHash struct {
	hash.Hash
	end  []byte
	held int
	n    int64 // octets
	some bool
}

func newLineHash(end string) *lineHash {
	return &lineHash{Hash: sha256.New(), end: []byte(cmp.Or(end, "\r\n"))}
}

// cost is how many octets adding a line hashes.
func (h *lineHash) cost(line []byte) int {
	if len(line) == 0 {
		return 0
	}
	return len(line) + (h.held+1)*len(h.end)
}

func (h *lineHash) add(line []byte) {
	h.n += int64(h.cost(line))
	if len(line) == 0 {
		h.held++
		return
	}
	for ; h.held > 0; h.held-- {
		h.Write(h.end)
	}
	h.Write(line)
	h.Write(h.end)
	h.some = true
}

func (h *lineHash) sum(canon string) (sum [sha256.Size]byte) {
	if !h.some && canon == simple {
		return sha256.Sum256(h.end)
	}
	h.Sum(sum[:0])
	return sum
}

// run hashes a guess and takes what it meets.
func (b *bodySearch) run(a guess) {
	last := len(a.lines)
	for last > 0 && len(a.lines[last-1]) == 0 {
		last--
	}
	h := newLineHash(a.end)
	if a.tails || last == 0 {
		none := a
		none.empty = true
		b.met(h.sum(a.canon), none, a.lines[:last])
	}
	for i, line := range a.lines[:last] {
		if b.done() || !b.spend(h.cost(line)) {
			return
		}
		h.add(line)
		b.at = h.n
		if len(line) > 0 && (a.tails || i == last-1) {
			b.met(h.sum(a.canon), a, a.lines[i+1:last])
		}
	}
}

// met takes the signatures whose hash is met. tail are the lines that are left out.
func (b *bodySearch) met(sum [sha256.Size]byte, a guess, tail [][]byte) {
	for _, s := range b.take(sum, a) {
		b.explained(s, a, tail)
	}
}

// take gives the signatures that want a hash, and are looked for by this guess, and ends their search.
func (b *bodySearch) take(sum [sha256.Size]byte, a guess) []*signature {
	b.spend(sumCost)
	signatures := b.wanted[sum]
	if len(signatures) == 0 {
		return nil
	}
	var taken, rest []*signature
	for _, s := range signatures {
		if a.others == (s.Body != a.canon) {
			taken = append(taken, s)
		} else {
			rest = append(rest, s)
		}
	}
	if b.wanted[sum] = rest; len(rest) == 0 {
		delete(b.wanted, sum)
	}
	return taken
}

// explained puts the causes into the signature's findings.
func (b *bodySearch) explained(s *signature, a guess, tail [][]byte) {
	var found []result.Finding
	switch {
	case a.empty && a.others:
		found = append(found, result.Found(result.Error, "dkim-empty-body", "domain", result.Domain(s.Domain), "selector", s.selector()))
	case a.others && a.canon == relaxed && len(a.causes) == 0:
		// White space put in on the way, and a signer that says simple and does relaxed, leave the same.
		found = append(found, whiteSpace(s))
	case a.others:
		found = append(found, result.Found(result.Error, "dkim-wrong-canonicalization",
			"domain", result.Domain(s.Domain), "selector", s.selector(), "claimed", result.Ours(s.Body), "used", result.Ours(a.canon)))
	}
	for _, cause := range a.causes {
		found = append(found, cause(s))
	}
	if len(tail) > 0 && !a.quiet {
		found = append(found, footer(tail)(s))
	}
	s.replace("dkim-body-changed", found...)
}

// claims tells whether a signature that is wanted claims a canonicalisation.
func (b *bodySearch) claims(canon string) bool {
	for _, signatures := range b.wanted {
		if slices.ContainsFunc(signatures, func(s *signature) bool { return s.Body == canon }) {
			return true
		}
	}
	return false
}

// canonicalisations of bodies.
var canons = []string{relaxed, simple}

// canonLines makes each line canonical: RFC 6376, 3.4.3 and 3.4.4.
func canonLines(canon string, lines [][]byte) [][]byte {
	if canon == simple {
		return lines
	}
	out := make([][]byte, len(lines))
	for i, line := range lines {
		out[i] = canonLine(canon, line)
	}
	return out
}

// splitLines cuts a body into its lines, without their line ends. A bare LF ends one as well, as it does for
// the verdict.
func splitLines(raw []byte) [][]byte {
	lines := make([][]byte, 0, bytes.Count(raw, []byte("\n"))+1)
	for len(raw) > 0 {
		line, rest, ended := bytes.Cut(raw, []byte("\n"))
		if ended {
			line = bytes.TrimSuffix(line, []byte("\r"))
		}
		lines, raw = append(lines, line), rest
	}
	return lines
}

// stream looks at a body that is too large to be rewritten: the other canonicalisation, and what was
// appended, in one reading.
func (b *bodySearch) stream(body *io.SectionReader) {
	var all []*streamed
	for _, canon := range canons {
		if b.claims(canon) || 2*body.Size() <= b.left {
			all = append(all, &streamed{canon: canon, hash: newLineHash("")})
		}
	}
	var tail [][]byte // the last lines, as they came
	r := lineReader{r: bufio.NewReaderSize(&ctxReader{b.ctx, body}, 64<<10)}
	for !b.cut {
		line, err := r.next()
		if err != nil {
			b.cut = b.cut || err != io.EOF
			break
		}
		near := body.Size()-r.read <= tailSearch
		if near {
			tail = append(tail, bytes.Clone(line))
		}
		// To the end of what is wanted, then for the text of what was appended alone.
		if len(b.wanted) > 0 {
			b.follow(all, line, near, len(tail))
		}
	}
	for _, s := range all {
		for _, m := range s.met {
			b.explained(m.signature, guess{canon: s.canon, others: m.others}, contentOf(tail[m.tail:]))
		}
	}
}

// streamed is one canonicalisation of a body that is read by lines.
type streamed struct {
	canon string
	hash  *lineHash
	grew  bool // by the last line
	met   []metAt
}

type metAt struct {
	signature *signature
	others    bool
	tail      int // of the last lines, where what was appended begins
}

// follow adds a line to all, and near the end looks whether a hash is met; those of the canonicalisation
// that is claimed first.
func (b *bodySearch) follow(all []*streamed, line []byte, near bool, tail int) {
	for _, s := range all {
		canon := canonLine(s.canon, line)
		if !b.spend(s.hash.cost(canon)) {
			return
		}
		s.hash.add(canon)
		s.grew = len(canon) > 0
	}
	for _, others := range []bool{false, true} {
		for _, s := range all {
			if !near || !s.grew {
				continue
			}
			for _, t := range b.take(s.hash.sum(s.canon), guess{canon: s.canon, others: others}) {
				s.met = append(s.met, metAt{t, others, tail})
			}
		}
	}
}

func canonLine(canon string, line []byte) []byte {
	if canon == simple {
		return line
	}
	return relaxedLine(line)
}

// contentOf leaves out empty lines at the end.
func contentOf(lines [][]byte) [][]byte {
	for len(lines) > 0 && len(bytes.TrimSpace(lines[len(lines)-1])) == 0 {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// lineReader gives one line after the other, without its end.
type lineReader struct {
	r    *bufio.Reader
	long []byte
	read int64
}

var errLongLine = errors.New("a line that is too long to be looked at")

func (l *lineReader) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		piece, err := l.r.ReadSlice('\n')
		l.read += int64(len(piece))
		switch {
		case err == bufio.ErrBufferFull:
			if l.long = append(l.long, piece...); len(l.long) > longLine {
				return nil, errLongLine
			}
			continue
		case err == io.EOF && len(piece)+len(l.long) > 0:
		case err != nil:
			return nil, err
		}
		if len(l.long) > 0 {
			piece = append(l.long, piece...)
			l.long = piece
		}
		if line, ended := bytes.CutSuffix(piece, []byte("\n")); ended {
			piece = bytes.TrimSuffix(line, []byte("\r"))
		}
		return piece, nil
	}
}
