package dkim

import (
	"testing"

	"checkauth/verify/result"
)

func TestQuoted_writes_Port25s_hex(t *testing.T) {
	t.Parallel()
	got := quoted([]byte("from:A B <a@example.org>\r\nx:\xc3\xa9\x1b"))
	want := []string{"    from:A'20'B'20'<a@example.org>'0D''0A'", "    x:'C3''A9''1B'"}
	if len(got) != len(want) {
		t.Fatalf("got %d lines, want %d", len(got), len(want))
	}
	for i, l := range got {
		if l[0].Text.Value != want[i] || l[0].Text.From != result.Stranger {
			t.Errorf("got %+v, want %q of a stranger", l, want[i])
		}
	}
}

func TestReaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		algorithm string
		bits      int
		want      result.Code
	}{
		{"rsa-sha256", 0, "dkim-readers-rsa"}, {"rsa-sha256", 1023, "dkim-readers-short-key"}, {"rsa-sha256", 1024, "dkim-readers-rsa"},
		{"rsa-sha256", 4096, "dkim-readers-rsa"}, {"rsa-sha256", 4097, "dkim-readers-long-key"},
		{"ed25519-sha256", 256, "dkim-readers-ed25519"}, {"rsa-sha1", 2048, "dkim-readers-sha1"}, {"md5", 2048, "dkim-readers-none"},
	} {
		if got := Readers(c.algorithm, &Key{Bits: c.bits}); got.Code != c.want {
			t.Errorf("%s, %d bits: got %s, want %s", c.algorithm, c.bits, got.Code, c.want)
		}
	}
}
