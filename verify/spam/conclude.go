package spam

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"checkauth/verify/result"
)

// testRules match because a mail is a test: it is empty or nearly, has no subject, or somebody tries the
// filter out. They say nothing of the sender's other mail. NO_RECEIVED and NO_RELAYS tell how the mail was
// handed to the daemon. Pyzor knows the empty text as one that many spammers send.
var testRules = map[string]bool{
	"BLANK_LINES_80_90":     true,
	"BODY_SINGLE_URI":       true,
	"BODY_SINGLE_WORD":      true,
	"EMPTY_MESSAGE":         true,
	"GMD_PDF_EMPTY_BODY":    true,
	"GTUBE":                 true,
	"MISSING_SUBJECT":       true,
	"NO_RECEIVED":           true,
	"NO_RELAYS":             true,
	"PYZOR_CHECK":           true,
	"SCC_BODY_SINGLE_WORD":  true,
	"TVD_SPACE_ENCODED":     true,
	"TVD_SPACE_RATIO":       true,
	"TVD_SPACE_RATIO_MINFP": true,
}

func conclude(a answer) Result {
	score, required := decimal(a.score), decimal(a.required)
	r := Result{Word: Ham, Score: a.score, Required: a.required, Rules: a.rules}
	r.Reason = result.Because("spam-points", "score", result.Ours(score), "required", result.Ours(required))
	advised, tests := weighty(a.rules)
	if a.spam {
		r.Word = Spam
	}
	switch {
	case a.spam && byTests(a):
		r.Findings = append(r.Findings, result.Found(result.Info, "spam-test-mail", "score", result.Ours(score), "required", result.Ours(required), "rules", tests))
	case a.spam && advised != "":
		r.Findings = append(r.Findings, result.Found(result.Warning, "spam-found", "score", result.Ours(score), "required", result.Ours(required), "rules", advised))
	case a.spam:
		r.Findings = append(r.Findings, result.Found(result.Warning, "spam-found-untold", "score", result.Ours(score), "required", result.Ours(required)))
	}
	if advised != "" && (!a.spam || byTests(a)) {
		r.Findings = append(r.Findings, result.Found(result.Info, "spam-rules", "rules", advised))
	}
	return r
}

// byTests: without the rules that describe a test mail it would be no spam.
func byTests(a answer) bool {
	rest := a.score
	for _, rule := range a.rules {
		if rule.Test {
			rest -= rule.Points
		}
	}
	return rest < a.required && rest < a.score
}

// A rule of less weight is left to the table; so is what comes behind the first five.
const (
	leastPoints = 0.5
	mostRules   = 5
)

// weighty names the rules that speak against the mail, the heaviest first, apart from those that only
// describe a test mail.
func weighty(rules []Rule) (advised, test string) {
	sorted := slices.Clone(rules)
	slices.SortStableFunc(sorted, func(a, b Rule) int { return cmp.Compare(b.Points, a.Points) })
	var some, tests []string
	for _, rule := range sorted {
		said := rule.Name + " (" + decimal(rule.Points) + ")"
		switch {
		case rule.Points < leastPoints:
		case rule.Test && len(tests) < mostRules:
			tests = append(tests, said)
		case !rule.Test && len(some) < mostRules:
			some = append(some, said)
		}
	}
	return strings.Join(some, ", "), strings.Join(tests, ", ")
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
