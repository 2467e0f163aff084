package receivers

import (
	"strings"

	"checkauth/verify/result"
)

// worse orders what may become of a message.
var worse = map[string]int{Accept: 0, Junk: 1, Defer: 2, Reject: 3}

// Harshness orders verdicts: the higher, the worse for the sender. Unknown has no place among them.
func Harshness(verdict string) (n int, ok bool) {
	n, ok = worse[verdict]
	return n, ok
}

// Judge holds the rules of every receiver against a message, in the files' order.
func (s *Set) Judge(f Facts) []Verdict {
	out := make([]Verdict, 0, len(s.receivers))
	for i := range s.receivers {
		out = append(out, s.judge(&s.receivers[i], f))
	}
	return out
}

// judge: the worst of what counts and is not met; of several alike the first in the file speaks. That nothing is broken
// says little where hardly anything is known.
func (s *Set) judge(rc *receiver, f Facts) Verdict {
	v := Verdict{ID: rc.ID, Name: rc.Name, About: rc.About, Verdict: Accept, Hint: rc.hint(), Rules: make([]Rule, 0, s.count(rc.ID))}
	undecided, wished, strength, could := false, false, "", 0 // could: that many rules could have decided
	for i := range s.rules {
		ru := &s.rules[i]
		if ru.Receiver != rc.ID {
			continue
		}
		if ru.counts() {
			could++
		}
		got := s.hold(ru, rc, f)
		wished = wished || got.State == NotMet && ru.wish()
		switch {
		case got.Decides && worse[ru.UnlessMet] > worse[v.Verdict]:
			v.Verdict, v.Code, v.Text, strength = ru.UnlessMet, ru.answer(), got.Text, ru.Strength
		case got.State == Undecided && ru.counts():
			undecided = true
		}
		if ru.Scope == Bulk {
			v.Bulk = rc.bulk()
		}
		v.Rules = append(v.Rules, got)
	}
	v.Why = phrase(v.Verdict, v.Code, strength)
	switch {
	case v.Verdict == Accept && (undecided || could < fewest):
		v.Verdict, v.Why = Unknown, doubt(undecided, could)
	case v.Verdict == Accept && wished:
		v.Why = result.Because("receiver-accept-asks")
	}
	return v
}

// doubt is why nothing can be concluded.
func doubt(undecided bool, could int) result.Reason {
	if undecided {
		return result.Because("receiver-unknown")
	}
	return result.Because("receiver-unknown-few", "count", could)
}

// count of a receiver's rules.
func (s *Set) count(id string) (n int) {
	for i := range s.rules {
		if s.rules[i].Receiver == id {
			n++
		}
	}
	return n
}

// hold judges one rule: all of its predicates must be met.
func (s *Set) hold(ru *rule, rc *receiver, f Facts) Rule {
	state := Met
	var missing []string
	for _, name := range ru.Needs {
		got := predicates[name](f, rc)
		if got == NotMet {
			missing = append(missing, name)
		}
		state = both(state, got)
	}
	src := s.sources[ru.Source]
	return Rule{
		ID: ru.ID, Requirement: ru.requirement(), State: state, Missing: missing,
		Decides: state == NotMet && ru.counts(),
		Scope:   ru.Scope, Strength: ru.Strength, Verdict: ru.effect(),
		Code: ru.Code, DeferCode: ru.DeferCode, Text: ru.said(f), Since: ru.Since,
		Source: src.Title, SourceDate: src.Date,
	}
}

// counts tells whether the rule decides what becomes of one message.
func (ru *rule) counts() bool {
	return ru.Scope == All && ru.Strength != Recommended && ru.UnlessMet != None
}

// wish tells whether the rule is a demand of which nobody knows what follows.
func (ru *rule) wish() bool {
	return ru.Scope == All && ru.Strength != Recommended && ru.UnlessMet == None
}

// effect is what the rule does where it is not met: nothing, where it is advice alone.
func (ru *rule) effect() string {
	if ru.Strength == Recommended {
		return None
	}
	return ru.UnlessMet
}

// answer is the code of the reply.
func (ru *rule) answer() string {
	switch ru.UnlessMet {
	case Reject:
		return ru.Code
	case Defer:
		return ru.DeferCode
	}
	return "" // what lands in the junk folder was taken with 250
}

// said is the reply's text with the author's domain, which was read as a host name and holds no other
// character.
func (ru *rule) said(f Facts) result.Text {
	domain := f.Author.Value
	if domain == "" {
		domain = "DOMAIN"
	}
	out := result.Text{Value: strings.ReplaceAll(ru.Text, "{domain}", domain), From: result.Ourselves}
	if out.Value != ru.Text {
		out.From = result.Of(domain)
	}
	return out
}

// requirement is the rule in words: the code of a sentence, with the text where an operator's file has it.
func (ru *rule) requirement() result.Reason {
	why := result.Because(result.Code("rule-" + ru.ID))
	why.Text = ru.Requirement
	return why
}

// hint tells where to look for what one message cannot show.
func (rc *receiver) hint() result.Reason {
	if len(rc.Hints) == 0 {
		return result.Reason{}
	}
	where := strings.Join(rc.Hints, "; ")
	why := result.Because(result.Code("receiver-hint-"+rc.ID), "where", result.Ours(where))
	if !rc.place.builtin {
		why.Text = where
	}
	return why
}

func (rc *receiver) bulk() result.Reason {
	if rc.BulkFrom == 0 {
		return result.Because("receiver-bulk-unnumbered")
	}
	return result.Because("receiver-bulk", "count", rc.BulkFrom)
}

// resting has the end of the code of a verdict's sentence, by what the verdict rests on.
var resting = map[string]string{Observed: "-observed", DomainPolicy: "-policy"}

// phrase: receiver-reject, -uncoded where no code is known, and what it rests on where that is no published rule.
func phrase(verdict, code, strength string) result.Reason {
	if verdict == Accept {
		return result.Because("receiver-accept")
	}
	of := "receiver-" + verdict
	switch {
	case verdict == Junk:
		return result.Because(result.Code(of + resting[strength]))
	case code == "":
		return result.Because(result.Code(of + "-uncoded" + resting[strength]))
	}
	return result.Because(result.Code(of+resting[strength]), "code", result.Ours(code))
}

// both: one predicate that is not met is enough; then doubt counts for more than what nobody looked at.
func both(a, b State) State { return first(a, b, NotMet, Undecided, NotSeen) }

// either: one that is met is enough.
func either(a, b State) State { return first(a, b, Met, Undecided, NotSeen) }

// first is the first state of the order that a or b is in; where there is none the two are alike.
func first(a, b State, order ...State) State {
	for _, s := range order {
		if a == s || b == s {
			return s
		}
	}
	return a
}
