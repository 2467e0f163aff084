package conformance

import (
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

const arcAtMailAuth = "https://github.com/stalwartlabs/mail-auth, resources/arc (0e93300e)"

func TestARC_MailAuth(t *testing.T) {
	t.Parallel()
	head, m, _ := strings.Cut(dkimMessage(t, Suite(t, "arc/mail-auth/002.txt", arcAtMailAuth)), "\r\n\r\n")
	var zone string
	for line := range strings.SplitSeq(head, "\r\n") {
		name, text, _ := strings.Cut(line, " ")
		zone += dkimRecord(name, text)
	}
	got := arcResult(t, dnstest.Zone(t, zone), m)
	if got.Word != result.Pass || got.Length != 2 || got.OldestPass == nil || *got.OldestPass != 0 {
		t.Errorf("got %s (%s), %+v; want a pass of two, all of them", got.Word, got.Reason, got.Instances)
	}
	// The last octet of the body is another.
	if got := arcResult(t, dnstest.Zone(t, zone), strings.TrimRight(m, ".\r\n")+"!\r\n"); got.Word != result.Fail {
		t.Errorf("changed: got %s (%s), want fail", got.Word, got.Reason)
	}
}
