package conformance

import (
	"path/filepath"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
)

const dkimAtMailDKIM = "https://github.com/fastmail/mail-dkim, t/corpus (f9e8b55b)"

// mailDKIMOtherwise are vectors that we do not follow.
var mailDKIMOtherwise = map[string]string{}

func TestDKIM_MailDKIM(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(Suite(t, "dkim/mail-dkim/expect.tsv", dkimAtMailDKIM))
	zone := dnstest.Zone(t, dkimZoneOf(t, filepath.Join(dir, "dns.tsv"), nil))
	vectors := dkimRows(t, filepath.Join(dir, "expect.tsv"))
	expectDKIM(t, "messages", len(vectors), 38)
	expectDKIM(t, "vectors that we do not follow", len(mailDKIMOtherwise), 0)
	for _, v := range vectors {
		t.Run(v[0], func(t *testing.T) {
			t.Parallel()
			got := dkimVerdicts(t, zone, dkimMessage(t, dir, v[0]))
			if why, skip := mailDKIMOtherwise[v[0]]; skip {
				t.Skip(why)
			}
			if have := strings.Join(dkimWords(got), ","); have != v[2] {
				t.Errorf("got %s, want %s (%s)", dkimExplain(got), v[2], v[3])
			}
		})
	}
}
