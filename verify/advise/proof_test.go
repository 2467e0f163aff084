package advise

import (
	"testing"

	"checkauth/verify"
	"checkauth/verify/result"
)

// A receiver of which too little is known is neither won nor lost by that; one that refuses is lost.
func TestShifts(t *testing.T) {
	t.Parallel()
	receiver := func(verdict string) *verify.Report {
		why := "receiver-" + verdict
		if verdict == "few" {
			verdict, why = "unknown", "receiver-unknown-few"
		}
		return &verify.Report{Receivers: []verify.Receiver{{ID: "a", Name: "A", Verdict: verdict, Why: result.Because(result.Code(why))}}}
	}
	for _, c := range []struct {
		before, after string
		better, worse bool
	}{
		{"reject", "accept", true, false}, {"reject", "junk", true, false}, {"accept", "junk", false, true}, {"defer", "reject", false, true},
		{"reject", "few", true, false}, {"few", "reject", false, true}, {"few", "junk", false, true},
		{"few", "unknown", false, false}, {"unknown", "few", false, false}, {"accept", "unknown", false, false},
		{"unknown", "accept", true, false}, {"unknown", "reject", false, false}, {"reject", "unknown", false, false},
	} {
		out, better, worse := shifts(receiver(c.before), receiver(c.after))
		if better != c.better || worse != c.worse {
			t.Errorf("%s -> %s: better %t, worse %t", c.before, c.after, better, worse)
		}
		if got := improves(receiver(c.before), receiver(c.after), nil); got != c.better {
			t.Errorf("%s -> %s: improves %t", c.before, c.after, got)
		}
		if len(out) > 1 {
			t.Errorf("%s -> %s: %v", c.before, c.after, out)
		}
	}
}
