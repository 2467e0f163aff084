package deliver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func read(s string) (answer, error) {
	return readAnswer(bufio.NewReaderSize(strings.NewReader(s), maxLine))
}

func TestRFC5321_4_2_answers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		code  int
		lines []string
	}{
		{"250 ok\r\n", 250, []string{"ok"}},
		{"250\r\n", 250, []string{""}},
		{"250 \r\n", 250, []string{""}},
		{"250 ok\n", 250, []string{"ok"}},
		{"250-a\r\n250-\r\n250 b\r\n", 250, []string{"a", "", "b"}},
		{"250-a\r\n250\r\n", 250, []string{"a", ""}},
		{"250-a\r\n550 b\r\n", 550, []string{"a", "b"}},
		{"250 ok\r\n250 more\r\n", 250, []string{"ok"}},
		{"599 \xff\x00\r\n", 599, []string{"\xff\x00"}},
		{"250 " + strings.Repeat("x", 2000) + "\r\n", 250, []string{strings.Repeat("x", 2000)}},
		{strings.Repeat("250-\r\n", maxLines-1) + "250 \r\n", 250, make([]string, maxLines)},
	} {
		a, err := read(c.in)
		if err != nil || a.code != c.code || !slices.Equal(a.lines, c.lines) {
			t.Errorf("%.60q: got %d %q, %v, want %d %q", c.in, a.code, a.lines, err, c.code, c.lines)
		}
	}
}

func TestRFC5321_4_2_what_is_no_answer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want error
	}{
		{"", io.ErrUnexpectedEOF},
		{"250 ok", io.ErrUnexpectedEOF},
		{"250-a\r\n", io.ErrUnexpectedEOF},
		{"\r\n", errNoAnswer},
		{"25\r\n", errNoAnswer},
		{"150 no\r\n", errNoAnswer},
		{"650 no\r\n", errNoAnswer},
		{"2x0 no\r\n", errNoAnswer},
		{"+50 no\r\n", errNoAnswer},
		{"2500 no\r\n", errNoAnswer},
		{"250\tno\r\n", errNoAnswer},
		{"HTTP/1.1 200 OK\r\n", errNoAnswer},
		{strings.Repeat("250-\r\n", maxLines) + "250 \r\n", errLongAnswer},
		{strings.Repeat("250-"+strings.Repeat("x", 1000)+"\r\n", 66) + "250 \r\n", errLongAnswer},
		{"250 " + strings.Repeat("x", maxLine) + "\r\n", errLongLine},
	} {
		if a, err := read(c.in); !errors.Is(err, c.want) {
			t.Errorf("%.60q: got %d %.60q, %v, want %v", c.in, a.code, a.lines, err, c.want)
		}
	}
}

func TestTextOfAnAnswerIsCleanAndShort(t *testing.T) {
	t.Parallel()
	a := answer{code: 550, lines: []string{"\x1b[2J\u202e", strings.Repeat("é", 1000)}}
	got := (&refusal{command: "RCPT", answer: a}).Error()
	if !strings.HasPrefix(got, `RCPT: 550 \x1b[2J\u202e éé`) || len(got) > maxText+20 || !utf8.ValidString(got) {
		t.Errorf("got %q", got)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"250 ok\r\n", "250-a\r\n250 b\r\n", "250\r\n", "550-\x1b\r\n550 \xff\n", "220 ", "250-a\r\n", "99 x\r\n",
		strings.Repeat("250-x\r\n", 200), "250 " + strings.Repeat("x", 3000) + "\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		source := strings.NewReader(s)
		a, err := readAnswer(bufio.NewReaderSize(source, maxLine))
		if taken := len(s) - source.Len(); taken > maxAnswer+2*maxLine {
			t.Fatalf("%d octets were read", taken)
		}
		size := 0
		for _, l := range a.lines {
			size += len(l)
		}
		if len(a.lines) > maxLines || size > maxAnswer {
			t.Fatalf("%d lines and %d octets are kept", len(a.lines), size)
		}
		if text := a.text(); len(text) > maxText || !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x00\x1b") {
			t.Fatalf("text %q", text)
		}
		if err != nil {
			return
		}
		if a.code < 200 || a.code > 599 || len(a.lines) == 0 {
			t.Fatalf("%q: got %d %q", s, a.code, a.lines)
		}
		var again strings.Builder
		for i, l := range a.lines {
			fmt.Fprintf(&again, "%d%c%s\r\n", a.code, " -"[min(1, len(a.lines)-1-i)], l)
		}
		if len(again.String()) > maxAnswer {
			return
		}
		back, err := read(again.String())
		if err != nil || back.code != a.code || !slices.Equal(back.lines, a.lines) {
			t.Fatalf("%q: read again as %d %q, %v", again.String(), back.code, back.lines, err)
		}
	})
}
