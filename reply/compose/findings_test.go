package compose

import (
	"html"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// Every finding that calls for a change is said once in the text and once on the page, also where an action says what
// to do about it: who is told to sign later has to know what was changed after he signed.
func TestFindings_are_said_in_every_incident(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob(incidents + "/*/case.json")
	if err != nil || len(dirs) != 27 {
		t.Fatalf("%d incidents below %s, want 27 (%v)", len(dirs), incidents, err)
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			saysFindings(t, incident(t, dir), policy.Proved)
		})
	}
}

// saysFindings compares a report's findings with both forms.
func saysFindings(t *testing.T, r *verify.Report, class policy.Class) {
	t.Helper()
	c := composer(t)
	text, err := c.Text(r, policy.Decision{Class: class}, mail.Data{})
	if err != nil {
		t.Fatal(err)
	}
	page, err := c.HTML(r, policy.Decision{Class: class})
	if err != nil {
		t.Fatal(err)
	}
	_, toDo, _ := strings.Cut(text, "What to do now")
	toDo, _, _ = strings.Cut(toDo, "Summary of Results")
	toDo, page = unfolded(toDo), unfolded(readable(page))
	for _, f := range forClass(r, class).Findings {
		s := unfolded(c.Finding(f))
		if f.Severity == result.Info || c.isOutage(f) { // questions without an answer are said together
			continue
		}
		if n := strings.Count(toDo, s); n != 1 {
			t.Errorf("the text says %d times, want once: %s\n%s", n, s, toDo)
		}
		if n := strings.Count(page, s); n != 1 {
			t.Errorf("the page says %d times, want once: %s", n, s)
		}
	}
	saysNothingTwice(t, c, r)
}

// saysNothingTwice: no sentence stands twice within one action.
func saysNothingTwice(t *testing.T, c *Composer, r *verify.Report) {
	t.Helper()
	said := c.findings(r)
	for i, a := range r.Actions {
		out := c.advice(a, said.ofAction[i])
		sentences := strings.SplitAfter(strings.Join(append(out.Seen, out.Text, out.Why, out.Before), " "), ". ")
		for j, s := range sentences {
			if s = strings.TrimSpace(s); strings.HasSuffix(s, ".") && slices.ContainsFunc(sentences[:j], func(x string) bool { return strings.TrimSpace(x) == s }) {
				t.Errorf("%s says twice: %s", a.Code, s)
			}
		}
	}
}

var tag = regexp.MustCompile(`<[^<>]*>`)

// readable is a page as a browser shows it.
func readable(page string) string { return html.UnescapeString(tag.ReplaceAllString(page, "")) }

// The footer's own words stand in the mail that tells to sign behind it.
func TestFindings_show_what_was_added(t *testing.T) {
	t.Parallel()
	r := incident(t, incidents+"/06-dkim-antivirus-footer")
	text, err := composer(t).Text(r, policy.Decision{Class: policy.Proved}, mail.Data{})
	if err != nil {
		t.Fatal(err)
	}
	if said := unfolded(text); !strings.Contains(said, "This e-mail was scanned by Guardian AntiVirus.") || !strings.Contains(said, "Sign after the last program") {
		t.Errorf("the footer or what to do about it is missing in\n%s", text)
	}
}

// Who gets a report that nothing proves is told what happened, without a stranger's words.
func TestFindings_of_an_unproved_sender_have_no_words_of_the_message(t *testing.T) {
	t.Parallel()
	r := &verify.Report{
		Session: verify.Session{MailFrom: "a@example.org"},
		Findings: []result.Finding{
			result.Found(result.Error, "dkim-body-changed-footer", "domain", "example.org", "selector", "s1", "lines", "2", "text", "-- This mail was scanned by ACME."),
			result.Found(result.Error, "dkim-subject-tagged", "domain", "example.org", "selector", "s1", "tag", "[EXTERN]"),
		},
		Actions: []verify.Action{{Type: verify.ActionHost, Code: "action-sign-last", For: []result.Code{"dkim-body-changed-footer", "dkim-subject-tagged"}}},
	}
	for class, words := range map[policy.Class]int{policy.Proved: 1, policy.Open: 0} {
		saysFindings(t, r, class)
		text, err := composer(t).Text(r, policy.Decision{Class: class}, mail.Data{})
		if err != nil {
			t.Fatal(err)
		}
		for _, theirs := range []string{"-- This mail was scanned by ACME.", "[EXTERN]"} {
			if n := strings.Count(unfolded(text), theirs); n != words {
				t.Errorf("class %s: %q stands there %d times, want %d\n%s", class, theirs, n, words, text)
			}
		}
	}
}

// Of two keys that are missing each is named under the action that publishes it.
func TestFindings_stand_under_the_action_of_their_own_key(t *testing.T) {
	t.Parallel()
	finding := func(name string) result.Finding {
		return result.Found(result.Error, "dkim-key-missing", "name", name, "domain", "example.org")
	}
	action := func(name string) verify.Action {
		return verify.Action{Type: verify.ActionHost, Code: "action-key-missing", Args: result.Because("", "name", name).Args, For: []result.Code{"dkim-key-missing"}}
	}
	r := &verify.Report{
		Findings: []result.Finding{finding("s1._domainkey.example.org"), finding("s2._domainkey.example.org")},
		Actions:  []verify.Action{action("s2._domainkey.example.org"), action("s1._domainkey.example.org")},
	}
	said := composer(t).findings(r)
	for i, name := range []string{"s2._domainkey", "s1._domainkey"} {
		if len(said.ofAction[i]) != 1 || !strings.Contains(said.ofAction[i][0], name) {
			t.Errorf("action %d: %q, want the finding of %s", i+1, said.ofAction[i], name)
		}
	}
}

// unfolded is a text without its line breaks.
func unfolded(s string) string { return strings.Join(strings.Fields(s), " ") }
