package policy

import (
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// maxReceived: more Received fields than this are a loop (RFC 5321, 6.3 says at least 100).
const maxReceived = 100

// input is what the rules look at.
type input struct {
	c     Config
	r     *verify.Report
	facts Facts
	form  Form
	to    string // whom the reply would go to; "" where nobody
	class Class
	token bool // the address that was written to has a valid token of its sender
	// automatic: it is automatic mail that somebody asked to have answered.
	automatic bool
}

// asked tells whether automatic mail is answered: a person typed the address for it, or one that we gave to this very
// sender. Of a sender that nothing proves nobody knows who typed it. A refuted one hears the verdict, but gets no mail.
func (in *input) asked() bool { return in.token || in.form.Application() && in.class != Open }

// rule is one reason not to mail a report. It names itself; what the client hears follows from its answer.
type rule struct {
	name   string
	why    string // and where it is from, for docs/abuse.md
	test   string // that proves it
	answer answer
	hit    func(in *input) bool
}

// answer is what a rule makes the client hear.
type answer struct {
	code     int
	enhanced [3]int
	// says follows the verdict; nil: the mail is taken, and the rule's name says why there is no report.
	says func(in *input) []result.Reason
	// automatic: the rule is about the mail of programs, and does not hold where somebody asked for the answer.
	automatic bool
}

// dropped: the mail is taken and not answered. automatic is the same, unless somebody asked for an answer.
var (
	dropped   = answer{code: 250, enhanced: [3]int{2, 0, 0}}
	automatic = answer{code: 250, enhanced: [3]int{2, 0, 0}, automatic: true}
)

// refused answers with the verdict and says why there is no report.
func refused(enhanced [3]int, says func(in *input) []result.Reason) answer {
	return answer{code: 550, enhanced: enhanced, says: says}
}

// policyRefusal is RFC 3463, 3.8: delivery not authorized, message refused.
var policyRefusal = [3]int{5, 7, 1}

// rules of silence, in order; the first that hits decides. RFC 3834, 2: an automatic answer must not answer
// another one.
var rules = []rule{
	{"more than 100 Received fields", "the mail is in a loop (RFC 5321, 6.3)", "TestHostile_36",
		answer{code: 554, enhanced: [3]int{5, 4, 6}, says: func(*input) []result.Reason { return []result.Reason{result.Because("answer-loop")} }},
		func(in *input) bool { return len(in.r.Message.Fields.All("Received")) > maxReceived }},
	{"null sender", "a bounce; nothing is sent to the null reverse-path (RFC 3834, 2; RFC 5321, 4.5.5)", "TestHostile_30", dropped,
		func(in *input) bool { return in.r.Session.MailFrom == "" }},
	{"sender is one of our own addresses", "two programs would answer each other for ever", "TestRFC3834_2_no_answer_to_automatic_mail", dropped,
		func(in *input) bool {
			return slices.ContainsFunc([]string{in.r.Session.MailFrom, in.to}, func(address string) bool {
				local, domain := naming.Split(address)
				return in.c.Addresses.Own(naming.Unquoted(local), domain)
			})
		}},
	{"Auto-Submitted: auto-replied", "an automatic answer, as ours are; a machine chose whom it goes to, so no address lifts this (RFC 3834, 5.2)", "TestHostile_31_an_automatic_reply_is_never_answered", dropped,
		func(in *input) bool {
			return autoSubmitted(in.r, func(v string) bool { return v == "auto-replied" })
		}},
	{"Auto-Submitted", "any other value but no is automatic mail (RFC 3834, 5.2)", "TestRFC3834_2_no_answer_to_automatic_mail", automatic,
		func(in *input) bool { return autoSubmitted(in.r, func(v string) bool { return v != "no" }) }},
	{"X-Auto-Response-Suppress", "the sender's system asks for no automatic answer (All, AutoReply)", "TestRFC3834_2_no_answer_to_automatic_mail", automatic,
		func(in *input) bool { return hasToken(in.r, "X-Auto-Response-Suppress", "all", "autoreply") }},
	{"List-Id", "no answers to lists (RFC 3834, 2; RFC 2919)", "TestRFC3834_2_no_answer_to_automatic_mail", automatic,
		func(in *input) bool { return len(in.r.Message.Fields.All("List-Id")) > 0 }},
	{"Precedence", "list or junk (RFC 3834, 2)", "TestRFC3834_2_no_answer_to_automatic_mail", automatic,
		func(in *input) bool { return hasToken(in.r, "Precedence", "list", "junk") }},
	{"sender is a robot's address", "mailer-daemon, owner-*, *-request: nobody reads there (RFC 3834, 2)", "TestRFC3834_2_no_answer_to_automatic_mail", dropped,
		func(in *input) bool {
			local, _ := naming.Split(in.r.Session.MailFrom)
			return robot(strings.ToLower(naming.Unquoted(local)))
		}},
	{"sender takes no replies", "noreply@ and its like, where the operator says so", "TestHostile_34", dropped,
		func(in *input) bool {
			local, _ := naming.Split(in.r.Session.MailFrom)
			return !in.c.AnswerNoReply && noReply(strings.ToLower(naming.Unquoted(local)))
		}},
	{"no sender domain", "there is nowhere to bring a reply to", "TestRFC3834_2_no_answer_to_automatic_mail", dropped,
		func(in *input) bool {
			return naming.Domain(in.r.Session.MailFrom) == ""
		}},
	{"bulk mail of an unproved sender", "newsletters are tested by who is proved to send them (List-Unsubscribe, Precedence: bulk)", "TestRFC3834_2_no_answer_to_automatic_mail", automatic,
		func(in *input) bool {
			bulk := hasToken(in.r, "Precedence", "bulk") || len(in.r.Message.Fields.All("List-Unsubscribe")) > 0
			return bulk && in.class != Proved
		}},
	{"recipient of the report is not proved", "check-auth2@ and check-auth-user=domain@ write to the one From address alone, and only where DMARC passes by a DKIM signature of its very domain over the address written to, or the operator's list names the domain", "TestHostile_42",
		refused(policyRefusal, func(in *input) []result.Reason {
			return []result.Reason{result.Because("answer-form-unproved", "form", result.Ours(in.form.Kind))}
		}),
		func(in *input) bool { return in.to == "" }},
	{"recipient of the report is blocked", "the list policy.block, for check-auth2@ and check-auth-user=domain@", "TestBlocked",
		refused(policyRefusal, func(*input) []result.Reason { return []result.Reason{result.Because("answer-blocked")} }),
		func(in *input) bool { return in.c.Block.Sender(in.to) }},
	{"null MX", "the domain says that it takes no mail (RFC 7505, 4.2)", "TestHostile_47",
		refused([3]int{5, 7, 27}, func(in *input) []result.Reason {
			return []result.Reason{result.Because("answer-null-mx", "to", result.Ours(in.to))}
		}),
		func(in *input) bool { return in.facts.Route.NullMX }},
	{"no mail server", "the domain has neither an MX nor an address, so that a report could not arrive", "TestHostile_47",
		// RFC 3463, 3.2: bad sender's system address.
		refused([3]int{5, 1, 8}, func(in *input) []result.Reason {
			return []result.Reason{result.Because("answer-no-host", "to", result.Ours(in.to))}
		}),
		func(in *input) bool { return in.facts.Route.Nowhere }},
	{"mail server is this service", "the first of the domain's mail servers is ours: a mail loop (RFC 5321, 5.1)", "TestRFC5321_5_1_a_mail_server_that_is_ours",
		// RFC 3463, 3.5: routing loop detected.
		refused([3]int{5, 4, 6}, func(in *input) []result.Reason {
			return []result.Reason{result.Because("answer-mx-ours", "to", result.Ours(in.to))}
		}),
		func(in *input) bool { return in.facts.Route.Ours }},
	{"stopped by the recipient", "its owner wrote to the stop address of a report; only a mail from there to a token address lifts that", "TestStop",
		refused(policyRefusal, func(in *input) []result.Reason {
			return []result.Reason{result.Because("answer-stopped", "to", result.Ours(in.to))}
		}),
		func(in *input) bool { return in.facts.Stopped && !in.token }},
}

// autoSubmitted tells whether a field of that name has such a value.
func autoSubmitted(r *verify.Report, is func(value string) bool) bool {
	return slices.ContainsFunc(r.Message.Fields.All("Auto-Submitted"), func(f mail.Field) bool {
		v := firstWord(f.Value())
		return v != "" && is(v)
	})
}

// robot tells addresses behind which nobody reads: RFC 3834, 2 and 4 and the customs of list managers.
func robot(local string) bool {
	return local == "mailer-daemon" || strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request")
}

// noReply tells the addresses that say of themselves that nobody reads there.
func noReply(local string) bool {
	local, _, _ = strings.Cut(local, "+")
	switch strings.NewReplacer("-", "", "_", "", ".", "").Replace(local) {
	case "noreply", "donotreply", "noanswer", "nepasrepondre":
		return true
	}
	return false
}

func hasToken(r *verify.Report, field string, tokens ...string) bool {
	for _, f := range r.Message.Fields.All(field) {
		for part := range strings.SplitSeq(f.Value(), ",") {
			for _, t := range tokens {
				if firstWord(part) == t {
					return true
				}
			}
		}
	}
	return false
}

// firstWord is the value without its parameters and comments, in lower case.
func firstWord(v string) string {
	v = strings.ToLower(mail.SkipCFWS(strings.TrimSpace(v)))
	if i := strings.IndexAny(v, "; \t("); i >= 0 {
		v = v[:i]
	}
	return v
}
