package conformance

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

const dkimAtLieser = "https://github.com/lieser/dkim_verifier, test/data (1badb6c8)"

// lieserOtherwise are vectors that we do not follow.
var lieserOtherwise = map[string]string{
	"dkim/added_header-from.eml":    "RFC 6376, 5.4.2: the signed From is the lower one, so it verifies; we pass it with the finding dkim-second-from",
	"dkim/added_header-subject.eml": "RFC 6376, 5.4.2: as for From; the finding is dkim-second-field",
	"dkim/added_header-date.eml":    "RFC 6376, 5.4.2: as for From; the finding is dkim-second-field",
	"dkim/added_header-to.eml":      "RFC 6376, 5.4.2: as for From; the finding is dkim-second-field",
}

func TestDKIM_Lieser(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(Suite(t, "dkim/lieser/expect.tsv", dkimAtLieser))
	vectors := dkimRows(t, filepath.Join(dir, "expect.tsv"))
	expectDKIM(t, "vectors", len(vectors), 31)
	expectDKIM(t, "vectors that we do not follow", len(lieserOtherwise), 4)
	for i, v := range vectors {
		t.Run(fmt.Sprintf("%02d %s", i, v[0]), func(t *testing.T) {
			t.Parallel()
			replaced := map[string]string{}
			if v[3] != "" {
				replaced["brisbane._domainkey.example.com"] = v[3]
			}
			zone := dnstest.Zone(t, dkimZoneOf(t, filepath.Join(dir, "dns.tsv"), replaced))
			got := dkimVerdicts(t, zone, dkimMessage(t, dir, filepath.FromSlash(v[0])))
			want := strings.Split(v[1], ",")
			if len(want) != len(got.Signatures) {
				t.Fatalf("got %d signatures, want %d", len(got.Signatures), len(want))
			}
			if why, skip := lieserOtherwise[v[0]]; skip {
				if got.Signatures[0].Word != result.Pass || !dkimHasFinding(got, "dkim-second-from") && !dkimHasFinding(got, "dkim-second-field") {
					t.Errorf("got %s, want pass and the finding: %s", dkimExplain(got), why)
				}
				return
			}
			for j, w := range want {
				if passes := got.Signatures[j].Word == result.Pass; passes != (w == "SUCCESS") {
					t.Errorf("signature %d: got %s, want %s (%s)", j, dkimExplain(got), w, v[2])
				}
			}
		})
	}
}
