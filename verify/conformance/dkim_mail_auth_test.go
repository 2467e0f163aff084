package conformance

import (
	"path/filepath"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

const dkimAtMailAuth = "https://github.com/stalwartlabs/mail-auth, resources/dkim (0e93300e)"

func TestDKIM_MailAuth(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(Suite(t, "dkim/mail-auth/001.txt", dkimAtMailAuth))
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	expectDKIM(t, "messages", len(files), 2)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			head, m, _ := strings.Cut(dkimMessage(t, file), "\r\n\r\n")
			var zone string
			for line := range strings.SplitSeq(head, "\r\n") {
				name, text, _ := strings.Cut(line, " ")
				zone += dkimRecord(name, text)
			}
			got := dkimVerdicts(t, dnstest.Zone(t, zone), m)
			if n := len(got.Signatures); n == 0 || got.Signatures[n-1].Word != result.Pass {
				t.Errorf("got %s, want a pass of the last", dkimExplain(got))
			}
		})
	}
}
