package conformance

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// pslNotFollowed are cases in which the list that the library was built with says otherwise.
var pslNotFollowed = map[string]string{}

// TestPSL_registrable_domains runs the list's own cases: the view of RFC 7489 rests on it. Names come to us
// in lower case and as A-labels.
func TestPSL_registrable_domains(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(Suite(t, "psl/tests.txt", "github.com/publicsuffix/list"))
	if err != nil {
		t.Fatal(err)
	}
	seen, used := 0, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 2 || strings.HasPrefix(line, "//") || f[0] == "null" || strings.HasPrefix(f[0], ".") {
			continue
		}
		seen++
		name, want := ascii(t, f[0]), f[1]
		if want != "null" {
			want = ascii(t, want)
		}
		got, err := publicsuffix.EffectiveTLDPlusOne(name)
		if err != nil {
			got = "null" // a public suffix itself
		}
		_, listed := pslNotFollowed[f[0]]
		used[f[0]] = true
		if (got == want) == listed {
			t.Errorf("%s: got %s, want %s (listed: %t)", f[0], got, want, listed)
		}
	}
	if seen < 70 {
		t.Fatalf("%d cases: the file is read wrongly", seen)
	}
	for name := range pslNotFollowed {
		if !used[name] {
			t.Errorf("%s is listed and not in the suite", name)
		}
	}
}

func ascii(t *testing.T, name string) string {
	t.Helper()
	a, err := idna.ToASCII(strings.ToLower(name))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
