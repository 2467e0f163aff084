package compose

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"one two three", "one two\n  three"},
		{"", ""},
		{"averyveryverylongword x", "averyveryverylongword\n  x"},
		{"é é é é é", "é é é é é"},
	} {
		if got := wrap(c.in, "  ", 9); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestRFC5322_3_6_4_message_ids(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"<a@example.org>":                 true,
		"<a.b+c=1@[192.0.2.1]>":           true,
		"<a@b>":                           true,
		"a@example.org":                   false,
		"<a@example.org> <b@example.org>": false,
		"<a@example.org>\r\nBcc: x@y":     false,
		"<a b@example.org>":               false,
		"<a..b@example.org>":              false,
		"<@example.org>":                  false,
		"<\"q\"@example.org>":             false, // quoted: obsolete, and a way to smuggle
		"<" + strings.Repeat("a", 250) + "@example.org>": false,
	} {
		if got := wellFormedID(id); got != want {
			t.Errorf("%q: got %v, want %v", id, got, want)
		}
	}
}

func TestDefang(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"www.": "www .", "WwW.x.": "WwW .x.", "ww.x": "ww.x", ".www.": ".www .", "www.a www.b": "www .a www .b", "http://www.x": "http //www .x", "": "", "w.w": "w.w",
	} {
		if got := defang(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := defang("see https://x.example/ or www.y.example or WWW.z.example"); strings.Contains(got, "://") || strings.Contains(strings.ToLower(got), "www.") {
		t.Errorf("a live link stays: %q", got)
	}
}

func FuzzASCII(f *testing.F) {
	f.Add("a\u202e\U0001f600\x7f\u00e9")
	f.Fuzz(func(t *testing.T, s string) {
		in, err := json.Marshal(s)
		if err != nil {
			t.Skip()
		}
		out := ascii(in)
		for _, b := range out {
			if b < ' ' || b >= 0x7f {
				t.Fatalf("%q: octet %#x in %s", s, b, out)
			}
		}
		var back, plain string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q: %s: %v", s, out, err)
		}
		if err := json.Unmarshal(in, &plain); err != nil || back != plain {
			t.Fatalf("%q: read back as %q", plain, back)
		}
	})
}

func FuzzArValue(f *testing.F) {
	f.Add("a'b(.evil\r\nBcc: x\x00\\\"")
	f.Fuzz(func(t *testing.T, s string) {
		got := arValue(s)
		if strings.ContainsAny(got, "\"\\();<>, \t\r\n") || !utf8.ValidString(got) || bytes.ContainsFunc([]byte(got), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q: got %q", s, got)
		}
	})
}
