package compose

import (
	"net/netip"
	"strings"
	"testing"

	"checkauth/templates"
	"checkauth/verify"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
)

// wellMade is what is known of a mail that breaks no rule.
func wellMade() receivers.Facts {
	yes, no := receivers.Known(true), receivers.Known(false)
	return receivers.Facts{
		Client: netip.MustParseAddr("192.0.2.25"), SPF: result.Pass, SPFAll: receivers.Known(result.Fail), SPFNever: no, SPFDomain: "example.org",
		DKIM:  receivers.Known([]receivers.Signature{{Domain: "example.org", Word: result.Pass, RSA: true, Bits: 2048, Aligned: true}}),
		DMARC: result.Pass, Policy: "reject", Record: receivers.Known("v=DMARC1; p=reject"), Author: receivers.Known("example.org"),
		IPRev: result.Pass, Generic: no, Dynamic: no, TLS: yes, HeloGood: yes, HeloFull: yes, HeloOwn: yes,
		FromCount: receivers.Known(1), FromAuthors: receivers.Known(1), HeaderDuplicates: receivers.Known([]string{}), HeaderMalformed: no, HeaderUnsound: no,
		HasMessageID: yes, DateOK: yes, EnvelopeResolvable: yes, FromResolvable: yes, FromTakesMail: yes, Forwarded: no, ARC: no,
		Unsubscribe: yes, OneClick: yes, UnsubscribeSigned: yes,
	}
}

// What a receiver asks for without a known consequence is a line of its details, and no verdict, neither in the summary
// nor in the first paragraph. That T-Online refuses whom it does not know is said in every report.
func TestReceivers_say_a_demand_as_a_demand(t *testing.T) {
	t.Parallel()
	set, err := receivers.Load()
	if err != nil {
		t.Fatal(err)
	}
	no := receivers.Known(false)
	for _, c := range []struct {
		name   string
		change func(*receivers.Facts)
		who    string // asks
		asks   string
		row    string // of the summary
		first  string // paragraph
		hidden string // in all of it
	}{
		{"all well", func(*receivers.Facts) {}, "", "", "T-Online verdict:   cannot be told (too few rules with known consequences: 1)",
			"By their known rules Gmail has nothing against it, Outlook has nothing against it, Yahoo has nothing against it.", "accept (nothing"},
		{"no TLS", func(f *receivers.Facts) { f.TLS = no }, "Gmail", "the connection uses TLS", "Gmail verdict:      accept (but not all that it asks for is met)",
			"By their known rules Outlook has nothing against it, Yahoo has nothing against it.", "junk"},
		{"unsigned", func(f *receivers.Facts) { f.DKIM = receivers.Known([]receivers.Signature{}) }, "GMX", "a signature that passes", "GMX verdict:        cannot be told (too few rules with known consequences: 2)",
			"Gmail has nothing against it", "would refuse"},
		{"+all", func(f *receivers.Facts) { f.SPFAll = receivers.Known(result.Pass) }, "Gmail", "no suspicious entry", "Gmail verdict:      accept (but not all", "Outlook has nothing", "5.7.24"},
		{"dynamic", func(f *receivers.Facts) { f.Dynamic = receivers.Known(true) }, "Outlook", "the address is not one of a dynamic range", "Outlook verdict:    accept (but not all", "Gmail has nothing", "DY-001"},
		{"no envelope domain", func(f *receivers.Facts) { f.EnvelopeResolvable = no }, "iCloud", "the domain of the envelope sender exists", "iCloud verdict:     cannot be told", "Yahoo would refuse it (554)", "4.1.8"},
		{"quarantine", func(f *receivers.Facts) { f.DMARC, f.Policy = result.Fail, "quarantine" }, "", "", "Yahoo verdict:      junk folder likely (the domain's policy asks for it)",
			"Yahoo would most likely put it into junk", "as its replies show"},
	} {
		facts := wellMade()
		c.change(&facts)
		r := &verify.Report{Receivers: set.Judge(facts)}
		v := composer(t).languages[templates.English]
		details, rows, first := strings.Join(v.receivers(r.Receivers), "\n"), strings.Join(v.summary(r), "\n"), v.atReceivers(r.Receivers)
		if !strings.Contains(rows, c.row) || !strings.Contains(first, c.first) {
			t.Errorf("%s: got\n%s\n%s\nwant %q and %q", c.name, rows, first, c.row, c.first)
		}
		if c.asks != "" && (!strings.Contains(unfolded(details), "- asks for: "+c.asks) || strings.Contains(first, c.who)) {
			t.Errorf("%s: %s does not ask for %q in\n%s\n%s", c.name, c.who, c.asks, details, first)
		}
		if strings.Contains(details+rows+first, c.hidden) {
			t.Errorf("%s: %q is said in\n%s\n%s\n%s", c.name, c.hidden, details, rows, first)
		}
		if !strings.Contains(unfolded(details), "T-Online refuses addresses that it does not know") {
			t.Errorf("%s: nothing of addresses that T-Online does not know in\n%s", c.name, details)
		}
		for _, p := range v.verdicts(r.Receivers) {
			if p.Name == "T-Online" && !strings.Contains(p.Hint, "refuses addresses that it does not know") || p.Name == c.who && !strings.Contains(strings.Join(p.Asks, "; "), c.asks) {
				t.Errorf("%s: HTML has %+v", c.name, p)
			}
		}
	}
}
