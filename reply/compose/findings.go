package compose

import (
	"fmt"
	"slices"
	"strings"

	"checkauth/templates"
	"checkauth/verify"
	"checkauth/verify/result"
)

// findings are a report's findings in words, each in one place: under the action that is for it, among what calls
// for a change and has no action, or among what is good to know.
type findings struct {
	ofAction       [][]string // of each action, what was seen that it is for
	found, remarks []string
}

// findings puts them into words. Questions that failed in the same way are one cause: they stand in one finding.
func (c *Language) findings(r *verify.Report) findings {
	questions := map[result.Code][]string{}
	for _, f := range r.Findings {
		if c.isOutage(f) {
			questions[f.Code] = append(questions[f.Code], question(f))
		}
	}
	out := findings{ofAction: make([][]string, len(r.Actions))}
	for _, f := range r.Findings {
		s := c.finding(f)
		if c.isOutage(f) {
			all, first := questions[f.Code]
			if !first {
				continue
			}
			s = c.outage(f.Code, all)
			delete(questions, f.Code)
		}
		place := &out.found
		if i := actionFor(r.Actions, f); i >= 0 {
			place = &out.ofAction[i]
		} else if f.Severity == result.Info {
			place = &out.remarks
		}
		if !slices.Contains(*place, s) { // two signatures may have the same fault
			*place = append(*place, s)
		}
	}
	return out
}

// actionFor gives the index of the action that says what is to be done about a finding, -1 where none does. Of
// several for the same code it is the one that names most of what the finding names: each of two keys has its own.
func actionFor(actions []verify.Action, f result.Finding) int {
	best, most := -1, -1
	for i, a := range actions {
		if !slices.Contains(a.For, f.Code) {
			continue
		}
		if n := inCommon(a, f.Args); n > most {
			best, most = i, n
		}
	}
	return best
}

// inCommon counts the arguments that an action has too, or has as its name.
func inCommon(a verify.Action, args result.Args) (n int) {
	for _, arg := range args {
		if arg.Value == a.Name || slices.ContainsFunc(a.Args, func(own result.Arg) bool { return own.Value == arg.Value }) {
			n++
		}
	}
	return n
}

// without takes the sentences out of a text that stand in those already.
func without(text string, said []string) string {
	told := strings.Join(said, " ")
	kept := slices.DeleteFunc(strings.SplitAfter(text, ". "), func(s string) bool {
		s = strings.TrimSpace(s)
		return strings.HasSuffix(s, ".") && (strings.HasPrefix(told, s) || strings.Contains(told, " "+s))
	})
	return strings.TrimSpace(strings.Join(kept, ""))
}

// finding is the sentence of a finding. A code that is a reason as well has its whole sentence under
// another key.
func (c *Language) finding(f result.Finding) string {
	if c.isOutage(f) {
		return c.outage(f.Code, []string{question(f)})
	}
	if full := "finding-" + f.Code; c.words.Has(templates.English, string(full)) {
		return c.say(full, f.Args)
	}
	return c.say(f.Code, f.Args)
}

// isOutage: a question that the DNS did not answer.
func (c *Language) isOutage(f result.Finding) bool {
	return strings.HasPrefix(string(f.Code), "dns-") && c.words.Has(templates.English, "finding-"+string(f.Code))
}

func question(f result.Finding) string { return f.Args.Get("name") + " (" + f.Args.Get("type") + ")" }

// outage names the questions, the first few of many.
func (c *Language) outage(code result.Code, questions []string) string {
	const shown = 5
	if n := len(questions) - shown; n > 0 {
		questions = append(questions[:shown:shown], c.sayPairs("more-questions", "count", fmt.Sprint(n)))
	}
	return c.sayPairs("finding-"+string(code), "questions", strings.Join(questions, ", "))
}
