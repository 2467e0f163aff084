package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A FIFO that nobody writes into must not hold a start for ever: it is refused, and the error names it.
func TestFilesOfTheOperatorAreRegular(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty.eml")
	if err := os.WriteFile(empty, []byte("From: a@example.org\r\n\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"configuration": {"config", "--check", "--config", fifo},
		"password":      {"config", "--check", "--config", checked(t, t.TempDir(), `store.url = "postgres://a@127.0.0.1:1/b?sslmode=disable"`, `store.password-file = "`+fifo+`"`)},
		"certificate":   {"config", "--check", "--config", configFileOf(t, "hostname = \"verifier.example.org\"\nstate = \""+t.TempDir()+"\"\ntls.certificate = \""+fifo+"\"\ntls.key = \""+fifo+"\"\n")},
		"zone":          {"verify", "--zone=" + fifo, "--ip=192.0.2.1", empty},
	} {
		got := play(t, t.Context(), "", args...)
		if got.code == exitPass || !strings.Contains(got.err, fifo) || !strings.Contains(got.err, "no regular file (a FIFO)") {
			t.Errorf("%s: exit %d, %q, want a refusal that names the FIFO", name, got.code, got.err)
		}
	}
}
