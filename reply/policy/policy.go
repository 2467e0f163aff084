// Package policy decides who gets a reply, what is in it and what the client hears: by class of what proves the
// envelope sender, after the rules of RFC 3834 for automatic answers. It is pure: a report, some facts and the
// clock go in, a Decision comes out. docs/abuse.md has its rules, written by a test.
//
// The From field decides nothing (except in two forms of our address, which are off by default): a reply goes to the envelope
// sender, so the class says what proves that address. A pass is not required, because a user whose SPF fails needs the report
// most. A sender that a record refutes gets the verdict in the SMTP answer, which reaches the machine that connected.
package policy

import (
	"cmp"
	"net/netip"
	"time"

	"checkauth/reply"
	"checkauth/verify"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/share"
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
	Addresses Addresses // that are ours; mail that comes from one of them is a loop
	Quotas    Quotas
	Providers []string // domains of mailbox providers, A-labels: many people's, without a quota of the domain
	Servers   []string // names of mail services that many domains share, with all below, without a quota of the destination
	Node      string   // this node's name: TotalHour is each node's own
	Share     share.Rule
	// Ours tells the addresses that lead back to us: nothing is brought there, so nothing is counted; nil: there are none.
	Ours    func(netip.Addr) bool
	Allow   List // no quota for what they are proved to send, or what comes from their networks
	Block   List // never answered
	Trusted List // whose addresses the two other forms write to without a proof
	// ShortToRefuted: who is refuted gets one paragraph by mail, where it would else get nothing.
	ShortToRefuted bool
	AnswerNoReply  bool // addresses such as noreply@ are answered like others
	DryRun         bool // everything is decided, nothing is mailed
}

// Facts are what the policy needs beside the report.
type Facts struct {
	Keys    Keys  // of tokens; without any no token counts and none is given
	Stopped bool  // the recipient wants no report any more
	Route   Route // to the recipient
	// Known: one of the servers that the first try leads to has taken a report of the recipient's organisation (Asks).
	Known bool
	// Service is the name of the sending service whose programs read what comes to the envelope sender's address,
	// "" where none is known.
	Service string
}

// Route is where a reply would be delivered; what could not be learnt is the zero Route.
type Route struct {
	NullMX  bool   // RFC 7505: the domain takes no mail
	Nowhere bool   // it has neither an MX nor an address, or is no domain
	Ours    bool   // it leads to ourselves (RFC 5321, 5.1)
	Hosts   []Host // its mail servers, the most wanted first
	Unknown bool   // not all of it could be learnt
}

// Host is a mail server.
type Host struct {
	Name  string
	Addrs []netip.Addr
}

// Decision is what becomes of a message.
type Decision struct {
	Class   Class
	Form    Form           // of the address that the test was sent to
	To      string         // whom a report goes to
	Mail    bool           // a reply is to be stored
	Short   bool           // of one paragraph
	Rule    string         // where no reply is mailed: which rule said so
	Buckets []reply.Bucket // what must not be full for the reply to be stored
	// Counted are the servers that the first try leads to, each with those of Buckets that are its own.
	Counted []reply.Counted

	// Again and Never are addresses to give to an unproved recipient: for the next test, and against any more.
	Again, Never string
	// Bounces: the report goes to an address that a program reads; nil: not that we know.
	Bounces *result.Reason
	// Stop: from now on nothing is sent to this mailbox (as Fold gives it); Resume: something is again.
	Stop, Resume string

	Code     int             // SMTP reply code
	Enhanced [3]int          // RFC 3463
	Lines    []result.Reason // of the answer, a sentence each
}

// Recipient is whom a report on a message would go to, and the form of the address that it was sent to; ""
// where nobody may get it.
func (c Config) Recipient(r *verify.Report) (to string, f Form) {
	f = c.Addresses.Of(r.Session.RcptTo)
	switch f.Kind {
	case ToAuthor:
		return c.author(r, authorOf(r)), f
	case ToNamed:
		return c.author(r, f.Named), f
	}
	return r.Session.MailFrom, f
}

// Decide takes a finished report. now is the clock of all windows.
func (c Config) Decide(r *verify.Report, facts Facts, now time.Time) Decision {
	// A report that nobody ranked proves nothing.
	in := &input{c: c, r: r, facts: facts, class: cmp.Or(r.Class, Refuted)}
	in.to, in.form = c.Recipient(r)
	if in.form.Kind == ToAuthor || in.form.Kind == ToNamed {
		in.class = c.authorClass(r)
	}
	d := Decision{Class: in.class, Form: in.form, To: in.to}
	in.token = facts.Keys.anyValid(Again, in.to, in.form.Details, now)
	for _, u := range rules {
		switch {
		case !u.hit(in):
		case u.answer.automatic && in.asked():
			in.automatic = true
		default:
			return d.by(u, in)
		}
	}
	if facts.Stopped {
		d.Resume = naming.Fold(in.to)
	}
	if in.class == Refuted && (!c.ShortToRefuted || in.automatic) {
		return d.refuse(refutedSender, refusalCode(r), in, refutedLines(in)...)
	}
	return c.mail(d, in, now)
}

// refutedSender is the rule of class C.
const refutedSender = "refuted sender"

// by is the decision of a rule.
func (d Decision) by(u rule, in *input) Decision {
	if u.answer.says != nil {
		d = d.refuse(u.name, u.answer.enhanced, in, u.answer.says(in)...)
		d.Code = u.answer.code
		return d
	}
	d.Rule, d.Code, d.Enhanced = u.name, u.answer.code, u.answer.enhanced
	d.Lines = []result.Reason{silent(u, in)}
	return d
}

// refuse gives the verdict, what can be done now, and why nothing is mailed.
func (d Decision) refuse(name string, enhanced [3]int, in *input, says ...result.Reason) Decision {
	d.Rule, d.Mail, d.Buckets, d.Counted = name, false, nil, nil
	d.Code, d.Enhanced = 550, enhanced
	d.Lines = append([]result.Reason{verdict(in.r)}, says...)
	// An answer in SMTP authorises nobody whom the domain's own records refute; advice does, where the server has a name of
	// the domain's own.
	if in.r.Class != Refuted || in.r.Sender.Host == "" {
		d.Lines = append(d.Lines, todo(in.r)...)
	}
	why := result.Because("answer-refused", "rule", result.Ours(name), "id", result.Ours(in.r.ID))
	if name == refutedSender {
		why = result.Because("answer-refuted", "id", result.Ours(in.r.ID))
	}
	d.Lines = append(d.Lines, why)
	return d
}

// mail lets a reply go, within its quotas.
func (c Config) mail(d Decision, in *input, now time.Time) Decision {
	// What our own bound of questions leaves open, or a DMARC record that nobody could read, may refute the mail: then
	// the verdict is all that is mailed.
	undecided := in.class == Open && in.r.Sender.Undecided
	d.Mail, d.Short = true, in.class == Refuted || undecided
	quota := in.class
	if in.token && !undecided {
		quota = Proved // its quota, not its content
	}
	client := address(in.r.Session.ClientIP)
	d.Counted = c.destinations(in, now)
	if c.Allow.Client(in.r.Session.ClientIP) || in.class == Proved && c.Allow.Sender(in.to) {
		for i := range d.Counted {
			d.Counted[i].In = nil
		}
	} else {
		d.Buckets = c.buckets(quota, in.to, client, now)
	}
	for _, at := range d.Counted {
		d.Buckets = append(d.Buckets, at.In...)
	}
	d.Buckets = append(d.Buckets, c.Total(client, now)...)
	if in.class != Proved {
		d.Again = c.tokenAddress("", in.facts.Keys.Token(Again, in.to, now))
		d.Never = c.tokenAddress("-stop", in.facts.Keys.Token(Never, in.to, now))
	}
	d.Code, d.Enhanced = 250, [3]int{2, 0, 0}
	args := verdict(in.r).Args
	d.Lines = []result.Reason{result.Because("answer-stored", "spf", args.Text("spf"), "dkim", args.Text("dkim"),
		"dmarc", args.Text("dmarc"), "id", result.Ours(in.r.ID), "to", result.Ours(in.to))}
	if undecided {
		d.Lines = append(d.Lines, result.Because("answer-undecided"))
	}
	if in.facts.Service != "" && in.form.Kind == ToSender {
		d.Bounces = c.bounces(in)
		d.Lines = append(d.Lines, *d.Bounces)
	}
	if c.DryRun {
		d.Mail, d.Buckets, d.Counted, d.Rule = false, nil, nil, "dry run"
		d.Lines = []result.Reason{verdict(in.r), result.Because("answer-dry-run", "id", result.Ours(in.r.ID), "to", result.Ours(in.to))}
	}
	return d
}

// Full is the decision where a counter was full when the reply was to be stored.
func (c Config) Full(d Decision, r *verify.Report, full reply.Full, now time.Time) Decision {
	in := &input{r: r, class: d.Class}
	d.Again, d.Never = "", ""
	q, ok := quotaOf(full.Key)
	if !ok {
		q = quota{name: full.Key, says: fullNode}
	}
	return d.refuse("quota "+q.name, policyRefusal, in, q.says(result.Clock(full.Until, now)))
}

func (c Config) tokenAddress(form, token string) string {
	if token == "" {
		return ""
	}
	return c.Addresses.Service + form + "+" + token + "@" + c.Addresses.Domains[0]
}

// Early tells whether a message is decided by its envelope alone, so that nothing of it is evaluated: mail to a
// stop address, and what the operator's list names.
func (c Config) Early(env verify.Envelope) bool {
	return c.blocked(env) || c.Addresses.Of(env.RcptTo).Kind == Stop
}

// DecideEarly is Decide for such a message.
func (c Config) DecideEarly(env verify.Envelope, keys Keys, now time.Time) Decision {
	d := Decision{To: env.MailFrom, Form: c.Addresses.Of(env.RcptTo), Code: 550, Enhanced: policyRefusal}
	switch {
	case c.blocked(env):
		d.Rule = "blocked by the operator"
		d.Lines = []result.Reason{result.Because("answer-blocked"), result.Because("answer-refused", "rule", result.Ours(d.Rule), "id", result.Ours(env.ID))}
	case env.MailFrom == "" || !keys.anyValid(Never, d.To, d.Form.Details, now):
		d.Rule = "stop address that is not of this sender"
		d.Lines = []result.Reason{result.Because("answer-stop-unknown", "days", TokenLife)}
	default:
		d.Rule, d.Stop = "stop address", naming.Fold(d.To)
		d.Code, d.Enhanced = 250, [3]int{2, 0, 0}
		d.Lines = []result.Reason{result.Because("answer-stop", "to", result.Ours(d.To))}
	}
	return d
}

func (c Config) blocked(env verify.Envelope) bool {
	return c.Block.Sender(env.MailFrom) || c.Block.Client(env.Client.Addr().Unmap().String())
}
