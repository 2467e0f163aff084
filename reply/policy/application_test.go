package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"checkauth/verify"
	"checkauth/verify/result"
)

// applications have the fields that programs of these kinds write, and the rule that keeps us from answering them.
var applications = []struct{ name, header, rule string }{
	{"GitLab", "Auto-Submitted: auto-generated\nX-Auto-Response-Suppress: All\nList-Id: tools/site <12.site.tools.git.example.org>\nX-GitLab-Project: site\n", "Auto-Submitted"},
	{"Redmine", "X-Mailer: Redmine\nX-Redmine-Project: site\nX-Auto-Response-Suppress: All\nAuto-Submitted: auto-generated\nList-Id: <tickets.example.org>\n", "Auto-Submitted"},
	{"cron", "Auto-Submitted: auto-generated\nPrecedence: bulk\nX-Cron-Env: <HOME=/root>\n", "Auto-Submitted"},
	{"Mastodon", "Precedence: list\nX-Auto-Response-Suppress: All\nList-ID: <ann.social.example.org>\nAuto-Submitted: auto-generated\n", "Auto-Submitted"},
	{"Gitea", "X-Mailer: Gitea\nX-Auto-Response-Suppress: All\nAuto-Submitted: auto-generated\nList-ID: ann/site <site.ann.git.example.org>\n", "Auto-Submitted"},
	{"WordPress", "X-Mailer: PHPMailer\nMIME-Version: 1.0\n", ""},
	{"Jira", "Auto-Submitted: auto-generated\nPrecedence: bulk\nX-JIRA-FingerPrint: 1\n", "Auto-Submitted"},
	{"Nextcloud", "Auto-Submitted: auto-generated (file shared)\n", "Auto-Submitted"},
	{"Discourse", "List-ID: site <forum.example.org>\nList-Unsubscribe: <https://forum.example.org/u>\nPrecedence: list\nX-Auto-Response-Suppress: All\n", "X-Auto-Response-Suppress"},
	{"phpMyFAQ", "X-Mailer: phpMyFAQ\n", ""},
	{"monitoring", "Precedence: bulk\nX-Priority: 1\n", "bulk mail of an unproved sender"},
	{"a list alone", "List-Id: <l.example.org>\n", "List-Id"},
	{"Precedence alone", "Precedence: junk\n", "Precedence"},
	{"a newsletter", "List-Unsubscribe: <mailto:u@example.org>\nFeedback-ID: 1:2:3:x\n", "bulk mail of an unproved sender"},
}

var classes = map[Class]func(*verify.Report){Proved: setSPF(result.Pass, 32), Open: setSPF(result.SoftFail, -1), Refuted: setSPF(result.Fail, -1)}

// written decides on a message to an address of ours.
func written(t *testing.T, c Config, class Class, to, header string, f Facts) Decision {
	t.Helper()
	r := report(t, "From: a@example.org\n"+header, classes[class])
	r.Session.RcptTo = []string{to}
	return c.Decide(r, f, now)
}

// What marks automatic mail does not keep a proved sender's application from its report where a person typed the
// address for it.
func TestHostile_31_to_33_applications(t *testing.T) {
	t.Parallel()
	for _, a := range applications {
		for class := range classes {
			bulk := strings.HasPrefix(a.rule, "bulk")
			rule := a.rule
			if bulk && class == Proved {
				rule = ""
			}
			if rule == "" && class == Refuted {
				rule = refutedSender
			}
			plain := written(t, config(), class, "check-auth@verifier.example", a.header, Facts{})
			wantRule(t, a.name+", class "+string(class)+", check-auth@", plain, rule)
			wantHint(t, plain, rule, class)
			switch {
			case class == Proved:
				rule = ""
			case class == Refuted:
				rule = refutedSender
			}
			for _, to := range []string{"check-auth+app@verifier.example", "Check-Auth+APP@Verifier.Example", "check-auth+app+tr@verifier.example", "check-auth+tr+app@verifier.example"} {
				asked := written(t, config(), class, to, a.header, Facts{})
				wantRule(t, a.name+", class "+string(class)+", "+to, asked, rule)
				if asked.Mail {
					wantBuckets(t, asked, keyed(written(t, config(), class, "check-auth@verifier.example", "", Facts{}))...)
				}
			}
		}
	}
}

func wantRule(t *testing.T, name string, d Decision, rule string) {
	t.Helper()
	code := 250
	if rule == refutedSender {
		code = 550
	}
	if d.Rule != rule || d.Mail != (rule == "") || d.Code != code {
		t.Errorf("%s: got %d, mailed %t, rule %q; want %d, rule %q", name, d.Code, d.Mail, d.Rule, code, rule)
	}
}

// wantHint: the silence names the address, or what is missing for it.
func wantHint(t *testing.T, d Decision, rule string, class Class) {
	t.Helper()
	want := result.Code("answer-application")
	switch {
	case rule == "" || rule == refutedSender:
		return
	case class == Open:
		want += "-unproved"
	}
	if len(d.Lines) != 1 || d.Lines[0].Code != want || d.Lines[0].Args.Get("address") != "check-auth+app@verifier.example" {
		t.Errorf("class %s, rule %q: the client hears %v, want %s", class, rule, d.Lines, want)
	}
}

// A token shows that its sender typed it, whatever proves the sender; the content stays that of its class.
func TestHostile_31_to_33_a_token_asks_too(t *testing.T) {
	t.Parallel()
	f := Facts{Keys: keys}
	own := "check-auth+" + keys.Token(Again, "a@example.org", now) + "@verifier.example"
	other := "check-auth+" + keys.Token(Again, "b@example.org", now) + "@verifier.example"
	for _, a := range applications {
		if d := written(t, config(), Open, own, a.header, f); !d.Mail || d.Class != Open || !slices.Contains(keyed(d), "address-day/a@example.org=12") {
			t.Errorf("%s with its token: got %+v, want a report of class B", a.name, d)
		}
		if d := written(t, config(), Open, other, a.header, f); d.Mail != (a.rule == "") {
			t.Errorf("%s with another's token: mailed %t by the rule %q", a.name, d.Mail, d.Rule)
		}
		if d := written(t, config(), Refuted, own, a.header, f); d.Mail || d.Code != 550 {
			t.Errorf("%s, refuted, with its token: got %+v, want 550", a.name, d)
		}
	}
}

// Who is refuted gets no mail on an application's, also where the operator answers refuted senders.
func TestHostile_31_to_33_refuted_applications_get_no_mail(t *testing.T) {
	t.Parallel()
	c := config()
	c.ShortToRefuted = true
	for _, a := range applications {
		d := written(t, c, Refuted, "check-auth+app@verifier.example", a.header, Facts{})
		if d.Mail != (a.rule == "") {
			t.Errorf("%s: mailed %t, rule %q", a.name, d.Mail, d.Rule)
		}
	}
}

// Whom an automatic reply goes to a machine chose, so no address lifts that; nor does one lift what else would be a
// loop.
func TestHostile_31_an_automatic_reply_is_never_answered(t *testing.T) {
	t.Parallel()
	token := keys.Token(Again, "a@example.org", now)
	for _, to := range []string{"check-auth@", "check-auth+app@", "check-auth+" + token + "@", "check-auth+app+" + token + "@"} {
		for class := range classes {
			for header, rule := range map[string]string{
				"Auto-Submitted: auto-replied\n":                                        "Auto-Submitted: auto-replied",
				"Auto-Submitted: Auto-Replied (vacation)\nPrecedence: list\n":           "Auto-Submitted: auto-replied",
				"Auto-Submitted: auto-generated\nAuto-Submitted: auto-replied; x=y\n":   "Auto-Submitted: auto-replied",
				"Auto-Submitted: auto-replied\nX-Auto-Response-Suppress: All\n":         "Auto-Submitted: auto-replied",
				"Auto-Submitted: no\n" + strings.Repeat("Received: x\n", maxReceived+1): "more than 100 Received fields",
			} {
				if d := written(t, config(), class, to+"verifier.example", header, Facts{Keys: keys}); d.Mail || d.Rule != rule {
					t.Errorf("%s, class %s, %.60q: mailed %t, rule %q; want rule %q", to, class, header, d.Mail, d.Rule, rule)
				}
			}
		}
	}
	for from, rule := range map[string]string{
		"": "null sender", "MAILER-DAEMON@example.org": "sender is a robot's address", "owner-l@example.org": "sender is a robot's address",
		"auth-results@verifier.example": "sender is one of our own addresses", "check-auth+app@verifier.example": "sender is one of our own addresses",
	} {
		r := report(t, "From: a@example.org\nAuto-Submitted: auto-generated\n", setSPF(result.Pass, 32))
		r.Session.MailFrom, r.Session.RcptTo = from, []string{"check-auth+app@verifier.example"}
		if d := config().Decide(r, Facts{}, now); d.Mail || d.Rule != rule {
			t.Errorf("from <%s>: mailed %t, rule %q; want rule %q", from, d.Mail, d.Rule, rule)
		}
	}
}

// The other form has the address too; a name before = has none.
func TestApplicationsOfTheOtherForms(t *testing.T) {
	t.Parallel()
	c := config()
	c.Addresses.Author, c.Addresses.Named = true, true
	for to, want := range map[string]string{
		"check-auth2@verifier.example":                  "check-auth2+app@verifier.example",
		"check-auth2+app@verifier.example":              "",
		"check-auth-a=example.org@verifier.example":     "check-auth+app@verifier.example",
		"check-auth-a+app=example.org@verifier.example": "check-auth+app@verifier.example",
	} {
		r := report(t, "", nil)
		author("a@example.org", "example.org")(r)
		header := report(t, "From: a@example.org\nTo: "+to+"\nAuto-Submitted: auto-generated\n", nil)
		r.Message.Fields, r.Session.RcptTo = header.Message.Fields, []string{to}
		d := c.Decide(r, Facts{}, now)
		got := ""
		if d.Rule == "Auto-Submitted" {
			got = d.Lines[0].Args.Get("address")
		}
		if got != want {
			t.Errorf("%s: rule %q, told of %q, want %q", to, d.Rule, got, want)
		}
	}
}

// Where a program reads what comes to the envelope sender, the client hears how a person gets a report.
func TestBounceAddresses(t *testing.T) {
	t.Parallel()
	c := config()
	f := Facts{Service: "Example Mail"}
	d := sent(t, c, "check-auth@verifier.example", f, setSPF(result.Pass, 32))
	if !d.Mail || d.Bounces == nil || fmt.Sprint(d.Lines[1]) != fmt.Sprint(result.Because("bounce-address", "to", "a@example.org", "service", "Example Mail")) {
		t.Errorf("got %+v, want a report, and that a program reads it", d)
	}
	c.Addresses.Author = true
	for to, want := range map[string]string{"check-auth@": "check-auth2@verifier.example", "check-auth+app@": "check-auth2+app@verifier.example"} {
		if d := sent(t, c, to+"verifier.example", f, setSPF(result.Pass, 32)); d.Bounces == nil || d.Bounces.Args.Get("address") != want {
			t.Errorf("%s: got %v, want %s", to, d.Bounces, want)
		}
	}
	if d := sent(t, c, "check-auth2@verifier.example", f, author("a@example.org", "example.org")); d.Bounces != nil {
		t.Errorf("to the From address: got %v", d.Bounces)
	}
	if d := sent(t, c, "check-auth@verifier.example", Facts{}, setSPF(result.Pass, 32)); d.Bounces != nil || len(d.Lines) != 1 {
		t.Errorf("no service is known: got %v", d.Lines)
	}
}
