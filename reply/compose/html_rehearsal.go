package compose

import (
	"time"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/result"
)

// play is a report with the decision that it is shown under.
type play struct {
	r *verify.Report
	d policy.Decision
}

// rehearsals go through every section of a layout, and through what stands where a section has nothing.
func rehearsals() []play {
	bounces := result.Because("bounce-address", "to", "bounces+1@example.org", "service", "Example")
	return []play{
		{rehearsal(), policy.Decision{Class: policy.Open, Again: "check-auth+token@example.org", Never: "check-auth-stop+token@example.org", Bounces: &bounces}},
		{rehearsal(), policy.Decision{Class: policy.Proved}},
		{&verify.Report{Verdict: verify.Verdict{Word: verify.Authenticated}}, policy.Decision{Class: policy.Proved}},
		{&verify.Report{}, policy.Decision{Class: policy.Proved}},
	}
}

// rehearsal is a report with something of everything that a layout may name.
func rehearsal() *verify.Report {
	at := time.Date(2026, 11, 24, 2, 10, 5, 0, time.UTC)
	return &verify.Report{
		Version: verify.Version, ID: "rehearsal", Host: "verifier.example", Time: at,
		Session: verify.Session{ClientIP: "192.0.2.1", Helo: "mail.example.org", MailFrom: "ann@example.org",
			TLS: &verify.TLS{Version: "TLS 1.3", Client: "CN=mail.example.org"}},
		Verdict:       verify.Verdict{Word: verify.NotProved, Why: result.Because("verdict-nothing", "domain", "example.org")},
		Checks:        rehearsedChecks(at),
		Findings:      []result.Finding{result.Found(result.Error, "tls-none"), result.Found(result.Info, "dkim-not-signed"), result.Found(result.Error, "spf-none", "domain", "example.org")},
		Receivers:     rehearsedReceivers(),
		Actions:       rehearsedActions(),
		Authoritative: rehearsedServers(),
	}
}

func rehearsedChecks(at time.Time) []result.Outcome {
	found := []result.Evidence{{Name: "example.org", Type: "TXT", Rcode: "NOERROR", TTL: 300, Data: []string{`"v=spf1 -all"`, `"other"`}, Chain: []string{"example.net"}}}
	none := []result.Evidence{{Name: "example.com", Type: "TXT", Rcode: "NXDOMAIN"}, {Name: "example.com", Type: "A", Rcode: "SERVFAIL"}}
	for range shownRecords {
		none = append(none, result.Evidence{Name: string(rune('a'+len(none))) + ".example.org", Type: "A", Rcode: "NXDOMAIN"})
	}
	reason := result.Because("spf-no-record", "domain", "example.org")
	text := []result.Line{result.LineOf("example.org ", reason)}
	return []result.Outcome{
		{Method: verify.MethodSPF, Label: "SPF", Result: result.SoftFail, Reason: reason, Evidence: found, Tree: rehearsedTree(),
			Facts: []result.Fact{{Label: "Explanation:", Code: "html-explanation", Lines: text, Copy: true}}},
		{Method: verify.MethodIPRev, Label: `"iprev"`, Result: result.Fail, Evidence: none},
		{Method: verify.MethodDKIM, Label: "DKIM", Subject: result.Domain("example.org"), Result: result.Fail, Reason: reason, Facts: []result.Fact{
			{Label: "Signed fields:", Code: "html-fields", Lines: text, Long: true}, {Label: "Canonicalized Body:", Lines: text, Pre: true, Only: result.OnText},
			{Label: "Public key: ", Lines: text, Whole: true, Last: true, Only: result.OnText}}},
		{Method: verify.MethodDKIM, Label: "DKIM", Subject: result.Domain("example.net"), Result: result.PermError},
		{Method: verify.MethodDMARC, Label: "DMARC", Result: result.Pass, Table: &result.Table{Head: []result.Code{"html-identifier", "html-domain", "html-result", "html-aligned"}, Rows: [][]result.Cell{
			{{Line: result.LineOf("SPF"), Head: true, NoWrap: true}, {Line: text[0], Small: text}, {Word: result.Pass, NoWrap: true}, {Line: text[0], Bold: true}},
			{{Line: result.LineOf("DKIM"), Head: true, Copy: true}, {}, {Word: result.Fail}, {Bold: true}}}}},
		{Method: verify.MethodTLS, Label: "TLS", Result: result.Pass, Beyond: true},
		{Method: verify.MethodInbound, Label: "Inbound", Result: result.Pass, Beyond: true, Evidence: none},
	}
}

// rehearsedTree has every outcome and more terms than are shown.
func rehearsedTree() *result.Tree {
	out := &result.Tree{Lookups: 1, Voids: 1, Whole: &result.Whole{Lookups: 1, Missed: true, Costs: []result.Cost{{Term: result.Said("example.org", "include:example.net"), Lookups: 1}}}}
	out.Rows = append(out.Rows, result.Row{Record: result.Domain("example.org")},
		result.Row{Term: result.Said("example.org", "a"), State: "error", Code: "html-error", Asked: true, Failed: true, Found: result.Domains([]string{"a.example", "b.example"}), Lookups: 1, Voids: 1},
		result.Row{Term: result.Said("example.org", "include:example.net"), State: "no match", Code: "html-no-match", Asked: true, Why: result.Because("spf-include-said", "domain", "example.net", "result", result.Fail)})
	for depth := range deepest + 2 {
		out.Rows = append(out.Rows, result.Row{Depth: depth + 1, Record: result.Domain("below.example.org")})
	}
	for range longTree {
		out.Rows = append(out.Rows, result.Row{Depth: 1, Term: result.Said("example.net", "ip4:192.0.2.1"), State: "no match", Code: "html-no-match", Asked: true})
	}
	out.Rows = append(out.Rows, result.Row{Term: result.Said("example.org", "~all"), State: "match", Code: "html-match", Asked: true, Decides: true},
		result.Row{Term: result.Said("example.org", "exp=example.org"), State: "modifier", Code: "html-modifier"},
		result.Row{Term: result.Said("example.org", "mx"), State: "not reached", Code: "html-not-reached"})
	return out
}

func rehearsedReceivers() []verify.Receiver {
	rules := []verify.ReceiverRule{{Requirement: result.Because("rule-gmail-ptr"), State: verify.NotMet, Scope: "all"},
		{Requirement: result.Because("rule-gmail-tls"), State: verify.NotMet, Scope: "all", Verdict: "none"}}
	return []verify.Receiver{
		{ID: "gmail", Name: "Gmail", Verdict: "reject", Code: "550 5.7.26", Why: result.Because("receiver-reject", "code", "550 5.7.26"),
			Hint: result.Because("receiver-hint-gmail", "where", "example.org"), Rules: append(rules, rules...)},
		{ID: "yahoo", Name: "Yahoo", Verdict: "accept", Why: result.Because("receiver-accept")},
		{ID: "outlook", Name: "Outlook", Verdict: "junk", Why: result.Because("receiver-junk")},
		{ID: "other", Name: "Other", Verdict: "unknown", Why: result.Because("receiver-unknown")},
	}
}

func rehearsedActions() []verify.Action {
	why := result.Because("why-sign")
	return []verify.Action{{
		Name: "example.org", Type: "TXT", TTL: 300, Value: "v=spf1 mx ~all", Zone: `example.org. 300 IN TXT "v=spf1 mx ~all"`,
		Replaces: []string{"v=spf1 ptr ~all"}, Code: "action-spf-publish", Args: result.Args{{Name: "domain", Value: "example.org"}},
		Settings: []result.Text{{Value: "Postfix: main.cf: myhostname = mail.example.org\nmain.cf: smtp_helo_name = $myhostname"}, {Value: "qmail: control/helohost"}}, Why: why, Before: []result.Reason{why}, When: []result.Reason{why},
		Where: &verify.Place{Zone: "example.org", Servers: []string{"ns.example.org"}, Field: "@"},
		Proof: &verify.Proof{Words: verify.Words{SPF: result.Pass}, Lookups: 1},
		For:   []result.Code{"spf-none"},
	}}
}

func rehearsedServers() []verify.Authority {
	serial := uint32(1)
	return []verify.Authority{{Name: "example.org", Type: "TXT", Says: result.Because("authority-same", "count", "2", "zone", "example.org"),
		Servers: []verify.AuthorityServer{
			{Server: "ns1.example.org", Serial: &serial, Data: []string{`"v=spf1 -all"`, `"other"`}},
			{Server: "ns2.example.org"},
			{Server: "ns4.example.org"},
			{Server: "ns3.example.org", Error: result.Because("spf-no-record", "domain", "example.org")},
		}}}
}
