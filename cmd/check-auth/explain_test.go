package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A saved report says in words what verify said: actions with their proof, the tree and the evidence.
func TestExplain(t *testing.T) {
	t.Parallel()
	const dir = "../../verify/testdata/cases/22-spf-ipv6-not-covered/"
	args := []string{"--zone=" + dir + "zone.txt", "--ip=2001:db8:77::25", "--helo=mail.larkspur.example", "--mail-from=me@larkspur.example", "--tls=true", dir + "message.eml"}
	saved := play(t, t.Context(), "", append([]string{"verify", "--json"}, args...)...)
	file := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(file, []byte(saved.out), 0o600); err != nil {
		t.Fatal(err)
	}
	got := play(t, t.Context(), "", "explain", file)
	if got.code != exitFail {
		t.Errorf("exit %d (%s), want that of the verdict", got.code, got.err)
	}
	for _, want := range []string{
		"What to do now", "   SPF does not pass over IPv6: the record of larkspur.example lists", "   Type    TXT", "SPF softfail -> pass", "ip6:2001:db8:77::25", "SPF check:          softfail", "DNS record(s):", "ip4:192.0.2.93",
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is missing in\n%s", want, got.out)
		}
	}
	if from := play(t, t.Context(), saved.out, "explain", "-"); from.out != got.out {
		t.Errorf("from standard input it says\n%s", from.out)
	}
}

func TestExplain_refuses_what_is_no_report(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                             "is no report",
		"{":                            "is no report",
		`{"version": 7}`:               "this program reads version 1",
		`{"version": 1}`:               "this program reads version 1",
		`{"version":1,"checks":"all"}`: "is no report",
		`{"version":1,"checks":[{"method":"x","details":{}}]}`: "is no report",
	} {
		if got := play(t, t.Context(), in, "explain", "-"); got.code != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%q: exit %d, %s", in, got.code, got.err)
		}
	}
	if got := play(t, t.Context(), "", "explain", "/nowhere/report.json"); got.code != exitUsage || !strings.Contains(got.err, "cannot be read") {
		t.Errorf("exit %d, %s", got.code, got.err)
	}
}
