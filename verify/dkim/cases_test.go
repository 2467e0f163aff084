package dkim

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

// searched are causes that need another check, or a search for what was done to the message.
var searched = []result.Code{"dkim-body-changed-footer", "dkim-subject-tagged", "dkim-wrong-selector",
	"dkim-header-refolded", "dkim-not-aligned"}

// incident is the part of a case.json that DKIM answers.
type incident struct {
	Expect struct {
		DKIM   []string
		Causes []string
	}
}

func TestCases(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/cases/*/case.json")
	if err != nil || len(files) != 27 {
		t.Fatalf("%d incidents, want 27 (%v)", len(files), err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			var c incident
			if err := json.Unmarshal(read(t, file), &c); err != nil {
				t.Fatal(err)
			}
			zone := dnstest.Zone(t, string(read(t, filepath.Join(dir, "zone.txt"))))
			got := checked(t, Verifier{DNS: zone}, string(read(t, filepath.Join(dir, "message.eml"))))
			want := slices.DeleteFunc(c.Expect.DKIM, func(w string) bool { return w == "none" })
			if len(got.Signatures) != len(want) {
				t.Fatalf("got %d signatures, want %d", len(got.Signatures), len(want))
			}
			for i, s := range got.Signatures {
				if !slices.Contains(strings.Split(want[i], "|"), string(s.Word)) {
					t.Errorf("signature %d: got %s (%s; %v), want %s", i, s.Word, s.Reason, s.Cause, want[i])
				}
			}
			for _, cause := range c.Expect.Causes {
				known := strings.HasPrefix(cause, "dkim-") && !slices.Contains(searched, result.Code(cause))
				if known && !slices.Contains(codes(got), result.Code(cause)) {
					t.Errorf("got %v, want %s among them", codes(got), cause)
				}
			}
		})
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
