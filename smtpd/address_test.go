package smtpd

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRFC5321_4_1_2_paths(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<a@example.org>":             "a@example.org",
		"<a@example.org> SIZE=1":      "a@example.org| SIZE=1",
		`<"a b"@example.org> X`:       `"a b"@example.org| X`,
		`<"a>b"@example.org>`:         `"a>b"@example.org`,
		`<"a\b"@example.org>`:         "ab@example.org",
		"<@a.example,@b.example:c@d>": "c@d",
		"<a@[IPv6:2001:db8::1]>":      "a@[IPv6:2001:db8::1]",
		"<postmaster>":                "postmaster",
		"<>":                          "",
		"< a@b>":                      "error",
		"<a@b >":                      "error",
		"<a@b":                        "error",
		"<@a:>":                       "error",
		"<a@b,c>":                     "error",
		"<a@[1.2.3.4>":                "error",
		"<a@b>>":                      "error",
		"":                            "error",
	} {
		a, rest, err := parsePath(in)
		got := a.String()
		if rest != "" {
			got += "|" + rest
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: got %s (%v), want %s", in, got, err, want)
		}
	}
}

// FuzzPath: what is taken can be written and read again, on one line, and means the same.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"<a@b>", `<"a\"b"@c> SIZE=1`, "<@r:a@b>", "<>", "a@b c", `<"a>,<b"@c>`, "<ü@ü>", `<"\\"@b>`, "<a..b@c.>", "<x>", `<"a@b"@[::1]>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, _, err := parsePath(s)
		if err != nil {
			return
		}
		text := a.String()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || !utf8.ValidString(text) {
			t.Fatalf("%q gives %q", s, text)
		}
		again, rest, err := parsePath("<" + text + "> X")
		if err != nil || again != a || rest != " X" {
			t.Fatalf("%q gives %q, which reads as %+v, %q, %v", s, text, again, rest, err)
		}
		// The local part has no more than one reading: outside of quotes there is one @.
		if a.domain != "" && !strings.HasPrefix(text, `"`) && strings.Count(text, "@") != 1 {
			t.Fatalf("%q gives %q", s, text)
		}
	})
}

// FuzzHead: pieces make no difference to where the header ends.
func FuzzHead(f *testing.F) {
	for _, s := range []string{"A: b\r\n\r\nc", "\r\nc", "A: b\n\nc", "A: b\r\n c\r\n", "A", "\n", "A: b\r\n\r"} {
		f.Add([]byte(s), uint8(1))
	}
	bounds := Defaults().Header
	bounds.Bytes, bounds.Fields, bounds.Folds = 60, 5, 3
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		whole, pieces := &head{bounds: bounds}, &head{bounds: bounds}
		told := 0
		tell := func(yes bool) {
			if yes {
				told++
			}
		}
		whole.take(b)
		whole.end()
		for rest := b; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			tell(pieces.take(rest[:n]))
			rest = rest[n:]
		}
		tell(pieces.end())
		if string(whole.fields.Bytes()) != string(pieces.fields.Bytes()) || whole.body != pieces.body || whole.empty != pieces.empty ||
			(whole.err == nil) != (pieces.err == nil) {
			t.Fatalf("%q: whole %+v, in pieces %+v", b, whole, pieces)
		}
		if want := 1; pieces.err == nil && told != want || pieces.err != nil && told != 0 {
			t.Fatalf("%q was told %d times", b, told)
		}
	})
}

func TestRFC5321_4_5_3_1_3_long_paths(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]error{256: nil, maxPath: nil, maxPath + 1: errTooLong} {
		path := strings.Repeat("a", size-len("@example.org")) + "@example.org"
		if _, _, err := parsePath("<" + path + ">"); !errors.Is(err, want) {
			t.Errorf("a path of %d octets: got %v, want %v", size, err, want)
		}
	}
}

func TestMailbox(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"you@example.org":            "you|example.org",
		`"a b"@example.org`:          "a b|example.org",
		"you@[192.0.2.1]":            "you|[192.0.2.1]",
		"<you@example.org>":          "",
		" you@example.org":           "",
		"you@example.org ":           "",
		"you@example.org x":          "",
		"you@example.org.":           "",
		"Jane Doe <you@example.org>": "",
		"@a.example:you@example.org": "",
		"you@example.org\r\nDATA":    "",
		"you@a.example,me@b.example": "",
		"you@":                       "",
		"@example.org":               "",
		"postmaster":                 "",
		"":                           "",
	} {
		local, domain, err := Mailbox(in)
		got := local + "|" + domain
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%q: got %q (%v), want %q", in, got, err, want)
		}
	}
}
