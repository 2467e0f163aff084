package compose

import (
	"fmt"

	"checkauth/templates"
	"checkauth/verify"
	"checkauth/verify/result"
)

// receivers has, for each provider, the known rules that the message does not meet, and where its own figures are to
// be found. What holds for bulk mail alone stands apart: it never fails a test mail. Where nothing can be concluded the
// provider may tell how to learn more, which is said also where no rule is broken.
func (c *Language) receivers(all []verify.Receiver) []string {
	var out []string
	for _, v := range all {
		var lines []string
		for _, r := range v.Rules {
			// What binds marketing mail alone says nothing to a test mail.
			if r.State == verify.NotMet && r.Scope != "marketing" {
				lines = append(lines, c.rule(r))
			}
		}
		if len(lines) == 0 && (v.Verdict != "unknown" || v.Hint.IsZero()) {
			continue
		}
		out = append(out, wrapped(safe(v.Name)+":", c.reason(v.Why)))
		out = append(out, lines...)
		if !v.Bulk.IsZero() && hasBulk(v) {
			out = append(out, Item("     ", "Bulk: "+c.sentence(v.Bulk)))
		}
		if !v.Hint.IsZero() {
			out = append(out, Item("     ", c.sentence(v.Hint)))
		}
	}
	return out
}

func hasBulk(v verify.Receiver) bool {
	for _, r := range v.Rules {
		if r.Scope == "bulk" && r.State == verify.NotMet {
			return true
		}
	}
	return false
}

// wish: nothing is known of what follows where the rule is not met, so that it is only said what is asked for.
func wish(r verify.ReceiverRule) bool { return r.Scope == "all" && r.Verdict == "none" }

// rule is one in a line or two: what is asked for, how sure it is, and what is answered where it is not met.
func (c *Language) rule(r verify.ReceiverRule) string {
	text := "not met: " + c.sentence(r.Requirement)
	if wish(r) {
		text = c.say("receiver-asks", nil) + " " + c.sentence(r.Requirement)
	}
	facts := r.Strength
	if r.Scope != "all" {
		facts += ", " + r.Scope + " mail"
	}
	if r.Code != "" {
		facts += ", " + r.Code
	}
	if r.Since != "" {
		facts += ", since " + r.Since
	}
	return Item("   - ", fmt.Sprintf("%s (%s; %s)", text, safe(facts), safe(r.Source)))
}

// sentence is a reason in words: those of an operator's file come with it. What is only our own English, as the
// JSON has it, is said in the reply's language.
func (c *Language) sentence(r result.Reason) string {
	if r.Text != "" && r.Text != c.sayIn(templates.English, r.Code, r.Args) {
		return safe(r.Text)
	}
	return c.reason(r)
}
