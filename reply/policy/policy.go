// Package policy decides who gets a reply, and what the client hears: by class of what proves the
// envelope sender, after the rules of RFC 3834 for automatic answers. It is pure: a report and the
// clock in, a Decision out.
//
// From: plays no part: the address that we would write to is the envelope sender, so the class asks
// what proves that one. A pass is not required, for the user whose SPF fails is the customer; but who
// is refuted hears it in the SMTP answer, which reaches the machine that really connected.
package policy

import (
	"strings"
	"time"

	"checkauth/reply"
	"checkauth/verify"
	"checkauth/verify/result"
	"checkauth/verify/standing"
)

// Class of an envelope sender, by what proves it.
type Class = standing.Class

// The classes of the abuse model.
const (
	Proved  = standing.Proved
	Open    = standing.Open
	Refuted = standing.Refuted
)

// Config of the policy.
type Config struct {
	// Own are the addresses that are ours, as local@domain in lower case; mail that comes from one of
	// them is a loop.
	Own func(local, domain string) bool `toml:"-"`
}

// Decision is what becomes of a message.
type Decision struct {
	Class   Class
	Mail    bool           // a reply is to be stored
	Rule    string         // where no reply is mailed: which rule said so
	Buckets []reply.Bucket // what must not be full for the reply to be stored

	Code     int             // SMTP reply code
	Enhanced [3]int          // RFC 3463
	Lines    []result.Reason // of the answer, a sentence each
}

// Decide takes a finished report. now is the clock of all windows.
func (c Config) Decide(r *verify.Report, now time.Time) Decision {
	d := Decision{Class: standing.Of(r)}
	verdict := result.Because("answer-verdict", "spf", string(r.Check(verify.MethodSPF).Result),
		"dkim", string(verify.BestDKIM(r)), "dmarc", string(r.Check(verify.MethodDMARC).Result))
	if rule, hard := c.suppressed(r); rule != "" {
		d.Rule = rule
		d.Code, d.Enhanced = 250, [3]int{2, 0, 0}
		d.Lines = []result.Reason{result.Because("answer-suppressed", "rule", rule)}
		if hard {
			// RFC 5321, 6.3: a mail that has gone round so often is in a loop.
			d.Code, d.Enhanced = 554, [3]int{5, 4, 6}
			d.Lines = []result.Reason{result.Because("answer-loop")}
		}
		return d
	}
	if d.Class == Refuted {
		return refuse(d, r, verdict)
	}
	d.Mail = true
	d.Code, d.Enhanced = 250, [3]int{2, 0, 0}
	d.Lines = []result.Reason{result.Because("answer-stored", "spf", verdict.Args.Get("spf"), "dkim", verdict.Args.Get("dkim"),
		"dmarc", verdict.Args.Get("dmarc"), "id", r.ID, "to", r.Session.MailFrom)}
	return d
}

// refuse is class C's answer: verdict, cause, and why nothing is mailed. An authorising DNS line is
// never given to who may be a forger.
func refuse(d Decision, r *verify.Report, verdict result.Reason) Decision {
	d.Rule = "refuted sender"
	d.Code, d.Enhanced = 550, enhanced(r)
	d.Lines = []result.Reason{verdict}
	if c := r.Check(verify.MethodSPF); c.Result == result.Fail {
		d.Lines = append(d.Lines, result.Because("answer-spf-fail", "ip", r.Session.ClientIP, "domain", senderDomain(r)))
	}
	if c := r.Check(verify.MethodDMARC); c.Result == result.Fail && c.Details.DMARC != nil {
		d.Lines = append(d.Lines, result.Because("answer-dmarc-fail", "domain", c.Details.DMARC.Author, "policy", c.Details.DMARC.Policy))
	}
	d.Lines = append(d.Lines, result.Because("answer-refuted-mend", "ip", r.Session.ClientIP, "sender", r.Session.MailFrom),
		result.Because("answer-refuted", "id", r.ID))
	return d
}

// enhanced is the status code of a refusal. RFC 7372, 3.2: 5.7.23 where SPF said fail; 3.3: 5.7.26
// where several checks did.
func enhanced(r *verify.Report) [3]int {
	if r.Check(verify.MethodSPF).Result == result.Fail && r.Check(verify.MethodDMARC).Result != result.Fail {
		return [3]int{5, 7, 23}
	}
	return [3]int{5, 7, 26}
}

// senderDomain is the domain of MAIL FROM, lower case; empty with the null reverse-path.
func senderDomain(r *verify.Report) string {
	_, domain := Split(r.Session.MailFrom)
	return domain
}

// Split cuts an address at its last @; the domain is in lower case and without a final dot.
func Split(address string) (local, domain string) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, ""
	}
	return address[:i], strings.TrimSuffix(strings.ToLower(address[i+1:]), ".")
}
