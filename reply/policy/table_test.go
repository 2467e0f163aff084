package policy

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Row is one rule as docs/abuse.md has it.
type Row struct {
	Rule, Answer, Why, Test string
}

// Classes are the rows of what proves a sender, and what that is worth.
func Classes() []Row {
	return []Row{
		{"A, proved", "250, the whole report", "SPF pass of MAIL FROM (not of HELO, not by +all or a range wider than /16 or /32 of IPv6); or a DKIM pass that aligns with MAIL FROM's domain as its DMARC record says (without one: of its organisation), whose From is that very mailbox and whose signed To or Cc is the address written to (else a mail sent again would prove another user of the domain, or somebody else); or a forward-confirmed name of the client, where SPF is not fail and MAIL FROM's DMARC record was read and asks neither for reject nor for quarantine. The name is that domain itself; or an MX host of it (of another organisation only where no mail service or hoster has it); or below it, said in HELO, with neither a word nor a number as providers give to customers' lines and machines, and not below a hoster's domain (verify/known/hosters.toml) or one of policy.servers", "TestNamesOfCustomersProveNobody"},
		{"B, open", "250, a report of 32 KiB at most without any word of a stranger: no field of the message, no name but of the sender's own domain and of what its records lead to; with a token and a stop address", "nothing proves it, nothing refutes it: none, neutral, softfail, errors. The user whose SPF fails is the customer, and a forger's victim is hit once a day at most", "TestHostile_44_no_word_of_a_stranger_in_any_place"},
		{"B, undecided", "250, one paragraph", "what refutes may have gone unread: the bound of questions of one message cut SPF or DMARC short, or the look-up of a DMARC record failed, of the author's domain or of MAIL FROM's. Within class B's quotas, a token or not. Not where all servers of MAIL FROM's domain are silent, for SPF's record as for DMARC's", "TestUndecidedGetsTheVerdictAlone"},
		{"C, refuted", "550 5.7.23 or 5.7.26 with the verdict and the cause; nothing is mailed", "SPF fail and nothing of A, or DMARC fail under p=reject or quarantine, or neither anything of A nor a DKIM pass that aligns where the DMARC record of MAIL FROM's own domain says so: a record says that it was not the domain, and the answer names it. The answer reaches the machine that connected", "TestRFC7372_3_refusals_carry_the_code_of_the_check"},
		{"C, with short-reply-to-refuted", "250, one paragraph", "the operator's choice; within the quotas below", "TestShortToRefuted"},
	}
}

// Rules are the rows of who is not answered, in the order in which they are asked.
func Rules() []Row {
	out := []Row{
		{"blocked by the operator", "550 5.7.1", "the list policy.block; nothing is evaluated", "TestBlocked"},
		{"stop address", "250, and no report ever again", "its token was in a report to that very address", "TestStop"},
		{"stop address that is not of this sender", "550 5.7.1", "nobody stops another's reports", "TestStop"},
	}
	for _, u := range rules {
		answer := fmt.Sprintf("%d %d.%d.%d", u.answer.code, u.answer.enhanced[0], u.answer.enhanced[1], u.answer.enhanced[2])
		if u.answer.says == nil {
			answer += ", dropped"
		}
		if u.answer.automatic {
			answer += "; not at the addresses for applications"
		}
		out = append(out, Row{u.name, answer, u.why, u.test})
	}
	return append(out,
		Row{refutedSender, "550 5.7.23 or 5.7.26", "class C", "TestClasses"},
		Row{"the same message again", "250 with the stored report's id", "a second try: Message-ID, Date, Subject, signatures, Received, envelope and body were answered within the hour, and no command followed that answer, so that its client may not have heard it (RFC 1047). Where one followed it is a new test, within the quotas", "TestRFC1047_the_same_message_again"},
		Row{"dry run", "250", "policy.dry-run: everything is decided, nothing is mailed", "TestDryRun"},
	)
}

// Limits are the rows of how many reports there may be, with the quotas as they ship.
func Limits() []Row {
	var out []Row
	for _, c := range []struct {
		class Class
		says  string
	}{{Proved, "A, and B with a token"}, {Open, "B"}, {Refuted, "C, where it is answered"}} {
		for _, q := range quotas[c.class] {
			out = append(out, Row{c.says + ": " + q.name, strconv.FormatInt(q.limit(DefaultQuotas()), 10) + " " + windows[q.window], q.why, q.test})
		}
	}
	for _, q := range pots {
		most := "an eighth of what is free, and always one"
		if q.limit != nil {
			most = strconv.FormatInt(q.limit(DefaultQuotas()), 10) + " " + windows[q.window]
		}
		out = append(out, Row{"all: " + q.name, most, q.why, q.test})
	}
	return out
}

var windows = map[time.Duration]string{minute: "a minute", hour: "an hour", day: "a day"}

// Tests are the names of all tests that the rows name, each once.
func Tests() []string {
	var out []string
	for _, r := range slices.Concat(Classes(), Rules(), Limits()) {
		out = append(out, r.Test)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
