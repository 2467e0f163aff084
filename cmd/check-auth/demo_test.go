package main

import (
	"strings"
	"testing"
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
