package result

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, clean, ascii string }{
		{"plain text", "plain text", "plain text"},
		{"\x1b[2J<b>\r\nBcc:", `\x1b[2J<b>\x0d\x0aBcc:`, `\x1b[2J<b>\x0d\x0aBcc:`},
		{"caf\u00e9", "caf\u00e9", `caf\u00e9`},
		{"a\u202eb", `a\u202eb`, `a\u202eb`},
		{"a\u200bb\u2028", `a\u200bb\u2028`, `a\u200bb\u2028`},
		{"\u009b31m", `\u009b31m`, `\u009b31m`},
		{"\xff\x7f\x00", `\xff\x7f\x00`, `\xff\x7f\x00`},
		{`back\slash "quote" é`, `back\slash "quote" é`, `back\slash "quote" \u00e9`},
		{"\U000e0041", `\U000e0041`, `\U000e0041`},
	} {
		if got := Clean(c.in); got != c.clean {
			t.Errorf("Clean(%q): got %q, want %q", c.in, got, c.clean)
		}
		if got := ASCII(c.in); got != c.ascii {
			t.Errorf("ASCII(%q): got %q, want %q", c.in, got, c.ascii)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "a\nb\n": "a\nb\n", "\x1b[2J\na\u202eb\r\n\xff": `\x1b[2J` + "\n" + `a\u202eb\x0d` + "\n" + `\xff`, "caf\u00e9 \ufffd\n": "caf\u00e9 \ufffd\n",
	} {
		if got := Lines(in); got != want {
			t.Errorf("Lines(%q): got %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[2J\u202e\xff")
	f.Add("a\n\u2028\n\ufffd")
	f.Fuzz(func(t *testing.T, s string) {
		c := Clean(s)
		if !utf8.ValidString(c) {
			t.Fatalf("%q: %q is no UTF-8", s, c)
		}
		for _, r := range c {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q: %q holds %U", s, c, r)
			}
		}
		for _, r := range ASCII(s) {
			if r < ' ' || r > '~' {
				t.Fatalf("%q: ASCII holds %U", s, r)
			}
		}
		if again := Clean(c); again != c {
			t.Fatalf("%q: cleaned twice is %q, once %q", s, again, c)
		}
		lines := Lines(s)
		if again := Lines(lines); again != lines || strings.Count(lines, "\n") != strings.Count(s, "\n") {
			t.Fatalf("%q: lines %q, again %q", s, lines, again)
		}
		if got := Clean(strings.ReplaceAll(lines, "\n", "")); got != strings.ReplaceAll(lines, "\n", "") {
			t.Fatalf("%q: Lines leaves %q", s, lines)
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "..."}, {"abcdefgh", 6, "abc..."}, {"aé" + strings.Repeat("x", 9), 5, "a..."}} {
		if got := Cut(c.in, c.n); got != c.want {
			t.Errorf("Cut(%q, %d): got %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

func TestEvidenceSurvivesJSON(t *testing.T) {
	t.Parallel()
	e := Evidence{Name: "example.org", Type: "TXT", Rcode: "NOERROR", TTL: 300, Data: []string{`"v=spf1 -all"`}, Server: "192.0.2.53:53", Took: 12 * time.Millisecond, AD: true}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"ms":12`) {
		t.Errorf("no milliseconds in %s", b)
	}
	var back Evidence
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(e, back) {
		t.Errorf("got %+v (%v), want %+v", back, err, e)
	}
}
