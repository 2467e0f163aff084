package advise

import (
	"slices"

	"checkauth/verify"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// worth orders results: a pass is what is wanted, an error or a fail what is not.
func worth(w result.Word) int {
	switch w {
	case result.Pass:
		return 2
	case result.None, result.Neutral, result.SoftFail, result.NotRun, "":
		return 1
	}
	return 0
}

// compare is above zero where the second is better, below where it is worse in anything.
func compare(before, after verify.Words) int {
	better := 0
	for _, w := range [][2]result.Word{
		{before.SPF, after.SPF}, {before.DKIM, after.DKIM}, {before.DMARC, after.DMARC}, {before.IPRev, after.IPRev}, {before.SPFHelo, after.SPFHelo},
	} {
		switch d := worth(w[1]) - worth(w[0]); {
		case d < 0, w[1] == result.TempError && w[0] != result.TempError: // that is no result, and its findings are not there
			return -1
		case d > 0:
			better = 1
		}
	}
	return better
}

// harshness of a receiver's verdict: where too few rules are known to say that a mail is taken, none of them is broken. What a
// check could not tell has none.
func harshness(v verify.Receiver) (int, bool) {
	if v.Why.Code == "receiver-unknown-few" {
		return receivers.Harshness(receivers.Accept)
	}
	return receivers.Harshness(v.Verdict)
}

// shifts are the receivers whose verdict is another; better and worse tell whether one of them is milder, or stricter.
func shifts(before, after *verify.Report) (out []verify.VerdictShift, better, worse bool) {
	was := map[string]verify.Receiver{}
	for _, r := range before.Receivers {
		was[r.ID] = r
	}
	for _, r := range after.Receivers {
		old, ok := was[r.ID]
		if !ok || old.Verdict == r.Verdict {
			continue
		}
		out = append(out, verify.VerdictShift{Name: r.Name, Before: old.Verdict, After: r.Verdict})
		from, known := harshness(old)
		to, known2 := harshness(r)
		worse = worse || known && known2 && to > from
		better = better || known && known2 && to < from || !known && known2 && to == 0
	}
	return out, better, worse
}

// improves: nothing is worse, and a result or a receiver's verdict is better, or what the change is for is
// found no more.
func improves(before, after *verify.Report, mends []result.Code) bool {
	words := compare(verify.WordsOf(before), verify.WordsOf(after))
	_, better, worse := shifts(before, after)
	if words < 0 || worse {
		return false
	}
	return words > 0 || better || gone(before, after, mends)
}

// gone: of these findings there were some, and there are fewer.
func gone(before, after *verify.Report, codes []result.Code) bool {
	count := func(r *verify.Report) (n int) {
		for _, f := range r.Findings {
			if slices.Contains(codes, f.Code) {
				n++
			}
		}
		return n
	}
	return count(after) < count(before)
}

func proof(before, after *verify.Report, with int) *verify.Proof {
	p := &verify.Proof{Before: verify.WordsOf(before), Words: verify.WordsOf(after), With: with}
	p.Receivers, _, _ = shifts(before, after)
	if d := result.Detail[spf.Result](after.Check(verify.MethodSPF)); d != nil {
		p.Lookups = d.Lookups
		if d.Whole != nil {
			p.Lookups = max(p.Lookups, d.Whole.Lookups)
		}
	}
	return p
}
