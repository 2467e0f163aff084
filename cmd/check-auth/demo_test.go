package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	got := play(t, t.Context(), "", "demo")
	if got.code != 0 || !strings.Contains(got.out, "5 of 5 mails were answered as they should be.") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	if n := strings.Count(got.out, "\n== "); n != 4 {
		t.Errorf("%d stories, want 5", n+1)
	}
	if strings.ContainsAny(got.out, "\x1b\x00\r") {
		t.Errorf("a control character reached the terminal")
	}
}

func TestDemoOfOneCase(t *testing.T) {
	t.Parallel()
	got := play(t, t.Context(), "", "demo", "--case", "forgery")
	if got.code != 0 || !strings.HasPrefix(got.out, "== forgery") || !strings.Contains(got.out, "\n550") || strings.Contains(got.out, "| From:") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
}

// What `demo --stay` prints to be pasted is answered with a report, right after the stories.
func TestDemoStays(t *testing.T) {
	t.Parallel()
	out, in := io.Pipe()
	runs(t, func(ctx context.Context) error {
		code := run(ctx, []string{"demo", "--stay"}, env{in: strings.NewReader(""), out: in, err: os.Stderr, now: time.Now, getenv: func(string) string { return "" }})
		if code != 0 {
			return &exitError{code: code}
		}
		return in.Close()
	})
	lines := bufio.NewScanner(out)
	until := func(re string) []string {
		for lines.Scan() {
			if m := regexp.MustCompile(re).FindStringSubmatch(lines.Text()); m != nil {
				return m
			}
		}
		t.Fatalf("it does not print %q", re)
		return nil
	}
	swaks := until(`swaks --server (\S+) --port (\d+) .* --to (\S+) --from (\S+)$`)
	first, second := until(`printf '(.*)' >`), until(`printf '(.*)' >`)
	nc := until(`nc -N (\S+) (\d+) <`)
	text := strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(first[1] + second[1])
	conn, err := net.Dial("tcp", net.JoinHostPort(nc[1], nc[2]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if heard, err := io.ReadAll(conn); err != nil || !strings.Contains(string(heard), "\r\n250 2.0.0 spf=pass") {
		t.Errorf("with nc: %s, %v", heard, err)
	}
	until(`^ *\| .*ben@wellkept\.example`)
	code, answer := dialogue(t, net.JoinHostPort(swaks[1], swaks[2]), swaks[4], swaks[3], "From: "+swaks[4]+"\n\nhello\n")
	if code != 250 || !strings.Contains(answer, "spf=pass") {
		t.Errorf("with swaks: %d %s", code, answer)
	}
	until(`^ *\| .*` + regexp.QuoteMeta(swaks[4]))
	go func() { _, _ = io.Copy(io.Discard, out) }() // the rest of the reply
}
