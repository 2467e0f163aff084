package dkim

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"checkauth/verify/mail"
)

// canonical runs a body through the canonicaliser, size octets at a time.
func canonical(canon, body string, size int) (out string, bareCR bool) {
	var b strings.Builder
	c := bodyCanon{relaxed: canon == relaxed, sink: func(p []byte) { b.Write(p) }}
	for len(body) > 0 {
		n := min(size, len(body))
		c.Write([]byte(body[:n])) // it never fails
		body = body[n:]
	}
	c.Close()
	return b.String(), c.bareCR
}

func TestRFC6376_3_4_5_example(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ canon, field, want string }{
		{relaxed, "A: X\r\n", "a:X\r\n"},
		{relaxed, "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
		{simple, "A: X\r\n", "A: X\r\n"},
		{simple, "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n"},
	} {
		if got := string(canonHeader(c.canon, []byte(c.field))); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.canon, c.field, got, c.want)
		}
	}
	body := " C \r\nD \t E\r\n\r\n\r\n"
	if got, _ := canonical(relaxed, body, 3); got != " C\r\nD E\r\n" {
		t.Errorf("relaxed: got %q", got)
	}
	if got, _ := canonical(simple, body, 3); got != " C \r\nD \t E\r\n" {
		t.Errorf("simple: got %q", got)
	}
}

func TestRFC6376_3_4_2_relaxed_header(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, field, want string }{
		{"folds are undone, the white space stays one space", "Subject: a\r\n b\r\n\tc\r\n", "subject:a b c\r\n"},
		{"an empty value", "X-A: \r\n", "x-a:\r\n"},
		{"a fold with nothing in it", "X-A: a\r\n \r\n b\r\n", "x-a:a b\r\n"},
		{"a colon in the value", "X-A : b : c\r\n", "x-a:b : c\r\n"},
		{"a bare CR is an octet like any other", "X-A: b\rc\r\n", "x-a:b\rc\r\n"},
	} {
		if got := string(relaxedHeader([]byte(c.field))); got != c.want {
			t.Errorf("%s: %q: got %q, want %q", c.name, c.field, got, c.want)
		}
	}
}

func TestRFC6376_3_4_3_simple_body(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, want string }{
		{"an empty body is one CRLF", "", "\r\n"},
		{"empty lines at the end are one CRLF", "a\r\n\r\n\r\n", "a\r\n"},
		{"nothing but empty lines", "\r\n\r\n", "\r\n"},
		{"a missing CRLF is added", "a", "a\r\n"},
		{"empty lines inside stay", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
		{"white space stays", "a \t\r\n \r\n", "a \t\r\n \r\n"},
		{"bare LF counts as CRLF", "a\nb\n\n", "a\r\nb\r\n"},
		{"a CR at the end stays", "a\r", "a\r\r\n"},
	} {
		if got, _ := canonical(simple, c.body, 2); got != c.want {
			t.Errorf("%s: %q: got %q, want %q", c.name, c.body, got, c.want)
		}
	}
}

func TestRFC6376_3_4_4_relaxed_body(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, want string }{
		{"an empty body is nothing", "", ""},
		{"nothing but white space and empty lines", " \r\n\t\r\n  ", ""},
		{"white space at the end of a line goes", "a \t\r\nb\t\r\n", "a\r\nb\r\n"},
		{"white space inside is one space", "a \t b\r\n", "a b\r\n"},
		{"white space at the start is one space", "\t\ta\r\n", " a\r\n"},
		{"a last line without CRLF", "a\r\nb ", "a\r\nb\r\n"},
		{"white space before a bare CR stays", "a \rb\r\n", "a \rb\r\n"},
	} {
		if got, _ := canonical(relaxed, c.body, 2); got != c.want {
			t.Errorf("%s: %q: got %q, want %q", c.name, c.body, got, c.want)
		}
	}
}

// RFC 6376, 3.5, l=: each length has its own hash; the body is read once.
func TestRFC6376_3_5_l_bodies_of_several_lengths(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789abcde\r\n", 10000)
	forms := []bodyForm{{relaxed, math.MaxInt64}, {relaxed, 0}, {relaxed, 17}, {simple, 99999999}, {relaxed, 17}}
	got, err := hashBodies(iotest.OneByteReader(strings.NewReader(body)), forms)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 {
		t.Fatalf("got %d forms, want 4", len(got))
	}
	for f, h := range got {
		want, err := hashBodies(strings.NewReader(body[:min(f.limit, int64(len(body)))]), []bodyForm{{f.canon, math.MaxInt64}})
		if err != nil {
			t.Fatal(err)
		}
		if string(h.sum) != string(want[bodyForm{f.canon, math.MaxInt64}].sum) {
			t.Errorf("%+v: another hash than that of the part alone", f)
		}
		if h.length != int64(len(body)) || string(h.head) != body[:shownBody] {
			t.Errorf("%+v: %d octets, %d shown; want %d and %d", f, h.length, len(h.head), len(body), shownBody)
		}
	}
}

func TestRFC6376_5_3_line_ends_of_the_header(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"A: b\n": "A: b\r\n", "A: b": "A: b\r\n", "A: b\n c\r\n": "A: b\r\n c\r\n", "A: b\r\n": "A: b\r\n", "A: b\r": "A: b\r\r\n",
	} {
		if got := string(withCRLF([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// slowCanon is bodyCanon as one writes it down first: octet by octet.
type slowCanon struct {
	relaxed               bool
	out                   []byte
	lines, run            int
	cr, gap, some, bareCR bool
}

func (c *slowCanon) write(p []byte) {
	for _, b := range p {
		if c.cr {
			c.cr = false
			if b != '\n' {
				c.bareCR = true
				c.content('\r')
			}
		}
		switch {
		case b == '\r':
			c.cr = true
		case b == '\n':
			c.gap = false
			c.lines++
			c.run = max(c.run, c.lines)
		case c.relaxed && (b == ' ' || b == '\t'):
			c.gap = true
		default:
			c.content(b)
		}
	}
}

func (c *slowCanon) content(b byte) {
	for ; c.lines > 0; c.lines-- {
		c.out = append(c.out, crlf...)
	}
	if c.gap {
		c.out = append(c.out, ' ')
		c.gap = false
	}
	c.out = append(c.out, b)
	c.some = true
}

func (c *slowCanon) close() {
	if c.cr {
		c.bareCR = true
		c.content('\r')
	}
	if c.some || !c.relaxed {
		c.out = append(c.out, crlf...)
	}
}

// sameAsSlow compares all that is known of a body, which comes in pieces of these sizes, over and over.
func sameAsSlow(t testing.TB, body []byte, sizes []byte) {
	t.Helper()
	for _, r := range []bool{false, true} {
		slow := slowCanon{relaxed: r}
		slow.write(body)
		slow.close()
		var out []byte
		c := bodyCanon{relaxed: r, sink: func(p []byte) { out = append(out, p...) }}
		for i, rest := 0, body; len(rest) > 0; i++ {
			n := len(rest)
			if len(sizes) > 0 {
				n = min(n, int(sizes[i%len(sizes)])+1)
			}
			piece := bytes.Clone(rest[:n])
			c.Write(piece) // it never fails
			clear(piece)   // and keeps nothing
			rest = rest[n:]
		}
		c.Close()
		if !bytes.Equal(out, slow.out) || c.bareCR != slow.bareCR || c.run != slow.run {
			t.Fatalf("relaxed %t, %.300q in pieces of %v:\ngot  %.300q, bare CR %t, run of %d\nwant %.300q, %t, %d",
				r, body, sizes, out, c.bareCR, c.run, slow.out, slow.bareCR, slow.run)
		}
	}
}

// Bodies of the octets that count, with stretches that are passed on without being copied.
func TestCanonicalInPieces(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6376, 3))
	pieces := []string{"\r\n", "\r\n", "\r\n\r\n", "\n", "\r", " ", "  ", "\t", "a", "word word", "eight oc tets in a row",
		strings.Repeat("a line that is long enough\r\n", canonLong/20), strings.Repeat("x", canonBuffer+1)}
	for range 1000 {
		var body, sizes []byte
		for range random.IntN(30) {
			n := len(pieces)
			if random.IntN(10) > 0 {
				n -= 2
			}
			body = append(body, pieces[random.IntN(n)]...)
		}
		for range random.IntN(4) {
			sizes = append(sizes, byte(random.IntN(256)))
		}
		sameAsSlow(t, body, sizes)
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add(" C \r\nD \t E\r\n\r\n\r\n", []byte{2})
	f.Add("a\rb\n\r\n \t", []byte{0})
	f.Add("a \r\n b\r\n\n  c \nd\r\r\n\r\ne", []byte{0, 7})
	f.Add("", []byte{1})
	f.Fuzz(func(t *testing.T, body string, sizes []byte) {
		body = body[:min(len(body), 4096)] // the reference is slow
		sameAsSlow(t, []byte(body), sizes)
		for _, canon := range []string{simple, relaxed} {
			once, _ := canonical(canon, body, 4096)
			if want := refBody(canon, body); once != want {
				t.Fatalf("%s %q: got %q, want %q", canon, body, once, want)
			}
			if twice, _ := canonical(canon, once, 7); twice != once {
				t.Fatalf("%s %q: canonical once is %q, twice %q", canon, body, once, twice)
			}
			if canon == relaxed && (strings.Contains(once, "  ") || strings.Contains(once, "\t") || strings.Contains(once, " \r\n")) {
				t.Fatalf("%q: white space is left in %q", body, once)
			}
		}
		a, _ := canonical(simple, body, 5)
		b, _ := canonical(relaxed, a, 5)
		if c, _ := canonical(relaxed, body, 5); b != c {
			t.Fatalf("%q: relaxed of simple is %q, relaxed alone %q", body, b, c)
		}
	})
}

func FuzzRelaxedHeader(f *testing.F) {
	f.Add("B : Y\t\r\n\tZ  \r\n")
	f.Add("DKIM-Signature: v=1;\n b=\r\n")
	f.Fuzz(func(t *testing.T, header string) {
		fields, err := mail.Parse([]byte(header), mail.DefaultBounds())
		if err != nil {
			t.Skip()
		}
		for _, raw := range newHeader(fields).raw {
			once := relaxedHeader(raw)
			if twice := relaxedHeader(once); string(twice) != string(once) {
				t.Fatalf("%q: relaxed once is %q, twice %q", raw, once, twice)
			}
			if n := strings.Count(string(once), "\n"); n != 1 {
				t.Fatalf("%q: %d line ends in %q", raw, n, once)
			}
			if want := refHeader(relaxed, string(raw)); string(once) != want {
				t.Fatalf("%q: got %q, want %q", raw, once, want)
			}
		}
	})
}
