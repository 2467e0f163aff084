package compose

import (
	"time"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/arc"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/inbound"
	"checkauth/verify/result"
	"checkauth/verify/spam"
	"checkauth/verify/spf"
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
	length, verifies := int64(1), false
	return []result.Outcome{
		{Method: verify.MethodSPF, Result: result.SoftFail, Reason: reason, Evidence: found, Detail: rehearsedSPF()},
		{Method: verify.MethodIPRev, Result: result.Fail, Evidence: none},
		{Method: verify.MethodDKIM, Result: result.Fail, Reason: reason, Detail: &dkim.Signature{
			Domain: "example.org", Selector: "s", Algorithm: "rsa-sha256", Header: "relaxed", Body: "relaxed", Identity: "@example.org",
			Signed: []string{"From"}, OverSigned: []string{"From"}, Length: &length, Time: at, Expires: at, HashClaimed: "aa==", HashComputed: "bb==",
			HeaderVerifies: &verifies, KeyName: "s._domainkey.example.org", Key: &dkim.Key{Type: "rsa", Bits: 2048}, KeyTTL: 300, Evaluated: true}},
		{Method: verify.MethodDKIM, Result: result.PermError, Detail: &dkim.Signature{Domain: "example.net", Selector: "t"}},
		{Method: verify.MethodDMARC, Result: result.Pass, Detail: &dmarc.Result{
			Author: "www.example.org", Org: "example.org", PolicyName: "example.org", Policy: "none", Tag: "p", Testing: true,
			SPF: dmarc.Alignment{Identifier: dmarc.Identifier{Domain: "example.net", Word: result.Pass}, Why: result.Because("dmarc-align-other", "org", "example.net")},
			DKIM: []dmarc.Alignment{
				{Identifier: dmarc.Identifier{Domain: "example.org", Word: result.Fail}, Aligned: true},
				{Identifier: dmarc.Identifier{Domain: "example.org", Word: result.None}, Why: result.Because("dmarc-align-no-record")},
			}}},
		{Method: verify.MethodTLS, Result: result.Pass},
		{Method: verify.MethodARC, Result: result.Fail, Detail: &arc.Result{Instances: []arc.Instance{
			{Instance: 1, CV: "none", Results: "dkim=pass", Authserv: "example.net", Seal: arc.Signature{Domain: "example.net", Word: result.Fail},
				Problems: []result.Reason{result.Because("arc-no-sets")}}}}},
		{Method: verify.MethodInbound, Result: result.Pass, Detail: &inbound.Result{Domain: "example.org",
			MX: []inbound.MX{{Host: "mx.example.org", Pref: 10}}, MTASTS: inbound.Policy{State: "absent"}}},
		{Method: verify.MethodSpam, Result: "ham", Detail: &spam.Result{Rules: []spam.Rule{{Points: 0.1, Name: "RULE", Text: "a rule"}}}},
	}
}

// rehearsedSPF has a tree with every outcome and more terms than are shown.
func rehearsedSPF() *spf.Result {
	leaf := &spf.Record{Domain: "example.net"}
	for range longTree {
		leaf.Terms = append(leaf.Terms, spf.Term{Text: "ip4:192.0.2.1", Outcome: spf.NoMatch})
	}
	for range deepest {
		leaf = &spf.Record{Domain: "example.net", Terms: []spf.Term{{Text: "include:example.net", Outcome: spf.NoMatch, Record: leaf}}}
	}
	why := result.Because("spf-include-said", "domain", "example.net", "result", "fail")
	return &spf.Result{Matched: "~all", MatchedIn: "example.org", Explanation: "see example.org", Whole: &spf.Whole{Lookups: 1, Missed: true, Costs: []spf.Cost{{Term: "include:example.net", Lookups: 1}}},
		Root: &spf.Record{Domain: "example.org", Terms: []spf.Term{
			{Text: "a", Outcome: spf.Failed, Found: []string{"192.0.2.1"}, Lookups: 1, Voids: 1},
			{Text: "include:example.net", Outcome: spf.NoMatch, Why: why, Record: leaf, Lookups: 1},
			{Text: "~all", Outcome: spf.Match},
			{Text: "exp=example.org", Outcome: spf.Modifier},
			{Text: "mx", Outcome: spf.NotReached},
		}}}
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
		Settings: []string{"Postfix: main.cf: myhostname = mail.example.org\nmain.cf: smtp_helo_name = $myhostname", "qmail: control/helohost"}, Why: why, Before: []result.Reason{why}, When: []result.Reason{why},
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
