package mail

import (
	"strings"
	"testing"
)

func TestRFC5322_3_2_3_atext(t *testing.T) {
	t.Parallel()
	const atext = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"
	for c := range 256 {
		if got, want := Atext(byte(c), false), strings.IndexByte(atext, byte(c)) >= 0; got != want {
			t.Errorf("%q: got %t, want %t", byte(c), got, want)
		}
		if got, want := Atext(byte(c), true), strings.IndexByte(atext, byte(c)) >= 0 || c >= 0x80; got != want {
			t.Errorf("%q with UTF-8: got %t, want %t", byte(c), got, want)
		}
	}
}

func TestRFC5322_3_6_4_a_msg_id_and_what_follows(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<a@b>": "", "<a.b@c.d> <x@y>": " <x@y>", "<a@[192.0.2.1]>x": "x", "<a@[x>y]>": "", "<a..b@c>": "-", "<a@b": "-", "a@b>": "-", "<@b>": "-",
		"<a@>": "-", "<a@[b]c>": "-", "<a b@c>": "-", "<a@[\\]>": "-", "": "-",
	} {
		rest, ok := CutMessageID(in, false)
		if (want == "-") == ok || ok && rest != want {
			t.Errorf("%q: got %q, %t, want %q", in, rest, ok, want)
		}
	}
}

func TestRFC5322_3_2_2_comments(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"x": "x", " (a) x": "x", "(a (b) c)x": "x", `(a \) b)x`: "x", "(a": "(a", "(a)(b)\r\n\tx (c)": "x (c)", "": "",
	} {
		if got := SkipCFWS(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"a (b) c": "a c", "(a)(b)": "", "a(b(c))d": "a d", "a)": "-", "a (b": "-", `a (\)) b`: "a b"} {
		got, ok := Uncomment(in)
		if (want == "-") == ok || ok && got != want {
			t.Errorf("%q: got %q, %t, want %q", in, got, ok, want)
		}
	}
}

// What the one function skips the other takes out, and a msg-id is read as often as it is written.
func FuzzGrammar(f *testing.F) {
	for _, s := range []string{"<a@b>", "(a) <a.b@[c]> (d)", "((\\)", "a)b", "\x00<\xff@\xff>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rest := SkipCFWS(s)
		if !strings.HasSuffix(s, rest) || strings.HasPrefix(rest, " ") {
			t.Fatalf("%q: SkipCFWS leaves %q", s, rest)
		}
		if text, ok := Uncomment(s); ok && strings.ContainsAny(text, "()") {
			t.Fatalf("%q: Uncomment leaves %q", s, text)
		}
		for _, utf8 := range []bool{false, true} {
			rest, ok := CutMessageID(s, utf8)
			if !ok {
				continue
			}
			id := strings.TrimSuffix(s, rest)
			if again, ok := CutMessageID(id, utf8); !ok || again != "" {
				t.Fatalf("%q: the msg-id %q is none by itself", s, id)
			}
		}
	})
}
