package main

import (
	"runtime"
	"strings"
	"testing"
)

func TestVersionFlag(t *testing.T) {
	t.Parallel()
	got := play(t, t.Context(), "", "--version")
	if got.code != exitPass || got.err != "" || !strings.HasPrefix(got.out, "check-auth ") || !strings.Contains(got.out, runtime.Version()) || strings.Count(got.out, "\n") != 1 {
		t.Errorf("exit %d, %q, %q", got.code, got.out, got.err)
	}
}
