package policy

import (
	"checkauth/verify"
	"checkauth/verify/result"
)

// verdict is the first line of what is refused.
func verdict(r *verify.Report) result.Reason {
	return result.Because("answer-verdict", "spf", string(r.Check(verify.MethodSPF).Result),
		"dkim", string(verify.BestDKIM(r)), "dmarc", string(r.Check(verify.MethodDMARC).Result))
}

// refutedLines are class C's: the cause, and why nothing is mailed.
func refutedLines(in *input) (out []result.Reason) {
	r := in.r
	_, domain := Split(r.Session.MailFrom)
	if c := r.Check(verify.MethodSPF); c.Result == result.Fail {
		out = append(out, result.Because("answer-spf-fail", "ip", r.Session.ClientIP, "domain", domain))
	}
	if c := r.Check(verify.MethodDMARC); c.Result == result.Fail && c.Details.DMARC != nil {
		out = append(out, result.Because("answer-dmarc-fail", "domain", c.Details.DMARC.Author, "policy", c.Details.DMARC.Policy))
	}
	if len(out) == 0 {
		out = append(out, result.Because("answer-disowned", "domain", domain))
	}
	return append(out, result.Because("answer-refuted-mend", "ip", r.Session.ClientIP, "sender", r.Session.MailFrom))
}

// refusalCode: RFC 7372, 3.2: 5.7.23 where SPF said fail; 3.3: 5.7.26 where several checks did.
func refusalCode(r *verify.Report) [3]int {
	if r.Check(verify.MethodSPF).Result == result.Fail && r.Check(verify.MethodDMARC).Result != result.Fail {
		return [3]int{5, 7, 23}
	}
	return [3]int{5, 7, 26}
}

// longestRecord in octets: what is longer would be cut when it is put into words, and a record is whole or not
// there.
const longestRecord = 300

// todo is the first change of the DNS, where its record fits into a line. What authorises somebody is never
// among the actions of who is refuted.
func todo(r *verify.Report) []result.Reason {
	for _, a := range r.Actions {
		if a.Zone == "" || len(a.Zone) > longestRecord {
			continue
		}
		return []result.Reason{{Code: a.Code, Args: a.Args}, result.Because("answer-publish", "zone", a.Zone)}
	}
	return nil
}
