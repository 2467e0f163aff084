package mail

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func names(fs Fields) []string {
	out := []string{}
	for _, f := range fs {
		out = append(out, f.Name)
	}
	return out
}

func TestRFC5322_2_2_fields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header string
		want         []string // "" is a line that is no field
	}{
		{"two fields", "A: 1\r\nB: 2\r\n", []string{"A", "B"}},
		{"bare LF", "A: 1\nB: 2\n", []string{"A", "B"}},
		{"no line end at the end", "A: 1\r\nB: 2", []string{"A", "B"}},
		{"a fold", "A: 1\r\n 2\r\n\t3\r\nB: 4\r\n", []string{"A", "B"}},
		{"a fold of white space alone", "A: 1\r\n \r\nB: 4\r\n", []string{"A", "B"}},
		{"no value", "A:\r\n", []string{"A"}},
		{"visible ASCII in the name", "!#~;: 1\r\n", []string{"!#~;"}},
		{"space before the colon", "A : 1\r\nB\t \t: 2\r\n", []string{"A", "B"}},
		{"no colon", "A 1\r\nB: 2\r\n", []string{"", "B"}},
		{"no name", ": 1\r\n", []string{""}},
		{"white space as the name", " : 1\r\n", []string{""}},
		{"a space within the name", "A B: 1\r\n", []string{""}},
		{"8 bits in the name", "\xc3\xa4: 1\r\n", []string{""}},
		{"a control in the name", "A\x00: 1\r\n", []string{""}},
		{"a fold with no field before it", " x\r\nA: 1\r\n", []string{"", "A"}},
		{"a fold behind a line that is no field", "x\r\n : y\r\nA: 1\r\n", []string{"", "", "A"}},
		{"a bare CR is no line end", "A: 1\rB: 2\r\n", []string{"A"}},
		{"nothing", "", []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fs, err := Parse([]byte(c.header), DefaultBounds())
			if err != nil || !slices.Equal(names(fs), c.want) {
				t.Fatalf("%q: got %q, %v; want %q", c.header, names(fs), err, c.want)
			}
			if got := string(fs.Bytes()); got != c.header {
				t.Errorf("bytes: got %q, want %q", got, c.header)
			}
		})
	}
}

func TestFields_are_found_and_unfolded(t *testing.T) {
	t.Parallel()
	fs := header(t, "Subject: one", "\ttwo ", "x", "SUBJECT : three", "To:")
	if got := fs.Value("subject"); got != "one\ttwo" {
		t.Errorf("value: got %q, want the first one unfolded", got)
	}
	all := fs.All("Subject")
	if len(all) != 2 || all[0].Spaced || !all[1].Spaced || all[1].Value() != "three" {
		t.Errorf("all: got %+v", all)
	}
	if got := fs.Malformed(); len(got) != 1 || string(got[0].Raw) != "x\r\n" || got[0].Value() != "" || got[0].Is("") {
		t.Errorf("malformed: got %+v", got)
	}
	if got := fs.Value("From"); got != "" {
		t.Errorf("a field that is not there: got %q", got)
	}
}

// Bounds that are met are fine, one more is refused with the line where it is.
func TestBounds(t *testing.T) {
	t.Parallel()
	fields := strings.Repeat("A: 1\r\n", 3)
	folds := "A: 1\r\n" + strings.Repeat(" 2\r\n", 4)
	for _, c := range []struct {
		name, header string
		bounds       Bounds
		want         *BoundError
	}{
		{"exactly the octets", fields, Bounds{18, 9, 9}, nil},
		{"one octet more", fields, Bounds{17, 9, 9}, &BoundError{Kind: ErrHeaderTooLarge, Limit: 17, Line: 3}},
		{"the bound at a line end", fields, Bounds{12, 9, 9}, &BoundError{Kind: ErrHeaderTooLarge, Limit: 12, Line: 3}},
		{"exactly the fields", fields, Bounds{99, 3, 9}, nil},
		{"one field more", fields, Bounds{99, 2, 9}, &BoundError{Kind: ErrTooManyFields, Limit: 2, Line: 3}},
		{"lines that are no fields count", "x\r\ny\r\nz\r\n", Bounds{99, 2, 9}, &BoundError{Kind: ErrTooManyFields, Limit: 2, Line: 3}},
		{"exactly the folds", folds, Bounds{99, 9, 4}, nil},
		{"one fold more", folds, Bounds{99, 9, 3}, &BoundError{Kind: ErrTooManyFolds, Limit: 3, Line: 5, Field: "A"}},
		{"folds are counted a field", folds + folds, Bounds{99, 9, 4}, nil},
		{"the second field has one more", "B: 1\r\n 2\r\n" + folds, Bounds{99, 9, 3}, &BoundError{Kind: ErrTooManyFolds, Limit: 3, Line: 7, Field: "A"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(c.header), c.bounds)
			_, _, split := Split(data(c.header+"\r\nbody"), c.bounds)
			for by, err := range map[string]error{"Parse": err, "Split": split} {
				got, ok := errors.AsType[*BoundError](err)
				if ok != (c.want != nil) || ok && (*got != *c.want || !errors.Is(err, c.want.Kind) || got.Error() == "") {
					t.Errorf("%s: got %v, want %v", by, err, c.want)
				}
			}
		})
	}
}

func TestDefaultBounds_are_those_of_the_house(t *testing.T) {
	t.Parallel()
	if got := DefaultBounds(); got != (Bounds{Bytes: 131072, Fields: 1000, Folds: 500}) {
		t.Errorf("got %+v", got)
	}
}

func TestHeaderEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in           string
		header, body int
		ok           bool
	}{
		{"A: 1\r\n\r\nx", 6, 8, true},
		{"A: 1\n\nx", 5, 6, true},
		{"A: 1\r\n\nx", 6, 7, true},
		{"\r\nx", 0, 2, true},
		{"\nx", 0, 1, true},
		{"A: 1\r\n", 6, 6, false},
		{"A: 1\r\n\r", 7, 7, false},
		{"A: 1", 4, 4, false},
		{"", 0, 0, false},
		{"A: 1\r\n \r\nB: 2\r\n\r\n", 15, 17, true},
		{"A: 1\r\n\r\r\nx\r\n\r\n", 12, 14, true},
	} {
		if header, body, ok := HeaderEnd([]byte(c.in)); header != c.header || body != c.body || ok != c.ok {
			t.Errorf("%q: got %d, %d, %t; want %d, %d, %t", c.in, header, body, ok, c.header, c.body, c.ok)
		}
	}
}

func data(s string) Data { return Data{At: strings.NewReader(s), Size: int64(len(s))} }

func text(t *testing.T, d Data) string {
	t.Helper()
	b, err := io.ReadAll(d.Reader())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, header, body string }{
		{"a message", "A: 1\r\n\r\nbody\r\n", "A: 1\r\n", "body\r\n"},
		{"an empty body", "A: 1\r\n\r\n", "A: 1\r\n", ""},
		{"a header alone", "A: 1\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n", ""},
		{"a header without its line end", "A: 1", "A: 1", ""},
		{"a body alone", "\r\nbody", "", "body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fs, body, err := Split(data(c.in), DefaultBounds())
			if err != nil || string(fs.Bytes()) != c.header || text(t, body) != c.body || body.Size != int64(len(c.body)) {
				t.Errorf("%q: got %q and %q, %v; want %q and %q", c.in, fs.Bytes(), text(t, body), err, c.header, c.body)
			}
		})
	}
}

// A header of exactly the bound has its empty line behind the bound, with CRLF or LF, and a large body.
func TestSplit_exact_bound(t *testing.T) {
	t.Parallel()
	b := DefaultBounds()
	line := "A: " + strings.Repeat("x", b.Bytes-5) + "\r\n"
	for _, end := range []string{"\r\n", "\n", ""} {
		body := ""
		if end != "" {
			body = strings.Repeat("body\r\n", 1000)
		}
		fs, rest, err := Split(data(line+end+body), b)
		if err != nil || len(fs) != 1 || rest.Size != int64(len(body)) {
			t.Errorf("end %q: got %d fields, a body of %d, %v", end, len(fs), rest.Size, err)
		}
		if _, _, err = Split(data("A"+line+end+body), b); !errors.Is(err, ErrHeaderTooLarge) {
			t.Errorf("end %q, one octet more: got %v", end, err)
		}
	}
}

func TestSplit_of_nothing(t *testing.T) {
	t.Parallel()
	for _, d := range []Data{{}, data("")} {
		if _, _, err := Split(d, DefaultBounds()); !errors.Is(err, ErrEmpty) {
			t.Errorf("got %v, want ErrEmpty", err)
		}
	}
}

type failing struct{ error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.error }

func TestSplit_gives_the_reader_s_error(t *testing.T) {
	t.Parallel()
	if _, _, err := Split(Data{At: failing{iotest.ErrTimeout}, Size: 10}, DefaultBounds()); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

func TestData_is_cut_within_its_ends(t *testing.T) {
	t.Parallel()
	d := Data{At: strings.NewReader("0123456789"), Off: 2, Size: 6}
	for n, want := range map[int64]string{-1: "234567", 0: "234567", 2: "4567", 6: "", 99: ""} {
		if got := text(t, d.From(n)); got != want {
			t.Errorf("from %d: got %q, want %q", n, got, want)
		}
	}
	if got := text(t, d.From(2).From(1)); got != "567" {
		t.Errorf("twice: got %q", got)
	}
	if got := text(t, Data{}); got != "" {
		t.Errorf("no data: got %q", got)
	}
}

// RFC 8601, 5: whatever a program less strict would read as ours is ours.
func TestRFC8601_5_ClaimsAuthserv(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field string
		want  bool
	}{
		{"Authentication-Results: mx.example.org; spf=pass", true},
		{"AUTHENTICATION-RESULTS: MX.Example.ORG;spf=pass", true},
		{"Authentication-Results : mx.example.org; spf=pass", true},
		{"Authentication-Results: mx.example.org 1; spf=pass", true},
		{"Authentication-Results: mx.example.org\t; spf=pass", true},
		{"Authentication-Results: mx.example.org", true},
		{"Authentication-Results: mx.example.org.; spf=pass", true},
		{"Authentication-Results: mx.example.org(x); spf=pass", true},
		{"Authentication-Results:\r\n mx.example.org;\r\n spf=pass", true},
		{"Authentication-Results: (comment) mx.example.org; spf=pass", true},
		{"Authentication-Results: (a)(b) mx.example.org; spf=pass", true},
		{"Authentication-Results: (open mx.example.org; spf=pass", true},
		{`Authentication-Results: "mx.example.org"; spf=pass`, true},
		{"Authentication-Results: (a (b) c) mx.example.org; spf=pass", true},
		{`Authentication-Results: (\)) mx.example.org; spf=pass`, true},
		{"Authentication-Results: (x)\r\n (y)\tmx.example.org; spf=pass", true},
		{`Authentication-Results: "mx.ex\ample.org" ; spf=pass`, true},
		{`Authentication-Results: "mx.example.org; spf=pass`, true},
		{`Authentication-Results: " mx.example.org "; spf=pass`, true},
		{"Authentication-Results: mx.example.org/1; spf=pass", true},
		{"Authentication-Results: \x00mx.example.org\x00; spf=pass", true},
		{"Authentication-Results: ;mx.example.org; spf=pass", true},
		{"Authentication-Results: (mx.example.org) other.example; spf=pass", false},
		{"Authentication-Results: other.example; spf=pass", false},
		{"Authentication-Results: mx.example.org.example.net; spf=pass", false},
		{"Authentication-Results: xmx.example.org; spf=pass", false},
		{"Authentication-Results: other.example; x=mx.example.org", false},
		{"Authentication-Results:", false},
		{"ARC-Authentication-Results: i=1; mx.example.org; spf=pass", false},
		{"X-Authentication-Results: mx.example.org; spf=pass", false},
		{"Authentication-Results mx.example.org", false},
	} {
		fs := header(t, c.field)
		for _, host := range []string{"mx.example.org", "MX.example.org."} {
			if got := ClaimsAuthserv(fs[0], host); got != c.want {
				t.Errorf("%q in the name of %s: got %t, want %t", c.field, host, got, c.want)
			}
		}
	}
}

// A host in U-labels is the same host.
func TestClaimsAuthservInULabels(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]bool{
		"Authentication-Results: xn--bcher-kva.example; spf=pass":    true,
		"Authentication-Results: B\u00fccher.example; spf=pass":      true,
		"Authentication-Results: (x) b\u00fccher.example.; spf=pass": true,
		"Authentication-Results: buecher.example; spf=pass":          false,
	} {
		if got := ClaimsAuthserv(header(t, field)[0], "xn--bcher-kva.example"); got != want {
			t.Errorf("%q: got %t, want %t", field, got, want)
		}
	}
}

func TestFields_share_the_header_s_memory(t *testing.T) {
	t.Parallel()
	b := []byte("A: 1\r\nB: 2\r\n")
	fs, err := Parse(b, DefaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	// Appending to one field must not write over the next.
	_ = append(fs[0].Raw, "XXXX"...)
	if !bytes.Equal(fs[1].Raw, []byte("B: 2\r\n")) {
		t.Errorf("got %q", fs[1].Raw)
	}
}
