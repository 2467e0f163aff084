package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

const (
	checkdmarcOrigin  = "https://github.com/domainaware/checkdmarc (records of its tests)"
	checkdmarcRecords = 42
)

// otherVerdicts are the records of which checkdmarc says "accepted" and we permerror, with the reason.
var otherVerdicts = map[string]string{
	"v=spf1 include:example.doesnotexist ~all": "RFC 7208, 5.2: an include of a domain without SPF record is permerror; checkdmarc warns",
}

// checkdmarcZone serves the record at example.com and a neutral one at the names that macros make.
func checkdmarcZone(record string) dns.Resolver {
	return dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		a := dns.Answer{Question: q}
		text := ""
		switch {
		case q.Type != dns.TXT:
		case q.Name == "example.com":
			text = record
		case strings.HasSuffix(q.Name, "._spf.example.com"), strings.HasSuffix(q.Name, ".has.pphosted.com"):
			text = "v=spf1 ?all"
		}
		if text != "" {
			a.Records = []dns.Record{{Name: q.Name, Type: dns.TXT, TTL: 300, Strings: []string{text}}}
		}
		a.NX = text == "" && q.Name != "example.com"
		return a, nil
	})
}

func TestSPFCheckdmarc(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(Suite(t, "spf/checkdmarc/records.tsv", checkdmarcOrigin))
	if err != nil {
		t.Fatal(err)
	}
	count, others := 0, 0
	for line := range strings.Lines(string(text)) {
		quoted, verdict, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		count++
		var record string
		if err := json.Unmarshal([]byte(quoted), &record); err != nil {
			t.Fatalf("%s: %v", quoted, err)
		}
		if runCheckdmarc(t, record, verdict) {
			others++
		}
	}
	if count != checkdmarcRecords || others != len(otherVerdicts) {
		t.Errorf("got %d records and %d other verdicts, want %d and %d", count, others, checkdmarcRecords, len(otherVerdicts))
	}
}

// runCheckdmarc wants a clear result of one record: a word with its reason, for a permerror also a
// cause and a finding; and the other program's view of its syntax.
func runCheckdmarc(t *testing.T, record, verdict string) (other bool) {
	t.Helper()
	got := spf.Evaluator{DNS: checkdmarcZone(record)}.Check(t.Context(), spf.Query{
		IP: netip.MustParseAddr("203.0.113.9"), Helo: "mail.example.com", MailFrom: "a@example.com"})
	if got.Reason.IsZero() || got.Word == result.None || got.Word == result.TempError {
		t.Errorf("%s: got %s (%s), want a clear result", record, got.Word, got.Reason)
	}
	if got.Word == result.PermError && (got.Cause == nil || len(got.Findings) == 0) {
		t.Errorf("%s: permerror with cause %v and findings %v", record, got.Cause, got.Findings)
	}
	_, isSyntax := errors.AsType[*spf.SyntaxError](got.Cause)
	if want := strings.Contains(verdict, "SPFSyntaxError"); isSyntax != want {
		t.Errorf("%s: got %s (%s), checkdmarc says %s", record, got.Word, got.Reason, verdict)
	}
	if bad := strings.HasPrefix(verdict, "error"); bad == (got.Word == result.PermError) {
		return false
	}
	if otherVerdicts[record] == "" {
		t.Errorf("%s: got %s (%s), checkdmarc says %s", record, got.Word, got.Reason, verdict)
	}
	return true
}
