package compose

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"strings"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
)

// page is what the layout of the HTML part (templates/report.html) shows. Every string in it is text, made safe
// and without a link; what decides on a colour is a Tone of ours. Neither the original's header nor its body is
// in it: the text part has them.
type page struct {
	Lang     string
	Verdict  tinted // in capitals
	Why      string // of the verdict, and what follows from it at the receivers
	Greeting string
	Operator string // whose sentence it is; empty where there is none
	Unproved bool   // nothing proves the sender
	Again    string // addresses for the next test, and against any more
	Never    string
	Bounces  string // that a program reads the report

	Actions   []step
	Found     []string // what calls for a change and no action is for
	Remarks   []string // what is good to know
	Summary   []outcome
	Receivers []receiver
	Session   []fact
	Checks    []details

	Records     []record
	MoreRecords int // that are left out
	Authorities []authority
}

// tinted is a result and how it looks: good, bad, to be careful about, or none of them. The word says all, the colour
// only repeats it.
type tinted struct {
	Text               string
	Good, Bad, Caution bool
}

// tone of a word, which the layout gives a colour.
type tone int

const (
	plain tone = iota
	good
	bad
	caution
)

func toned(text string, t tone) tinted { return tinted{text, t == good, t == bad, t == caution} }

// step is one thing to do.
type step struct{ advice }

func (c *Language) step(a verify.Action, seen []string) step {
	s := step{c.advice(a, seen)}
	s.Proof = strings.ReplaceAll(s.Proof, "->", "\u2192") // an arrow that no line break takes apart
	return s
}

// outcome is one check in the summary.
type outcome struct {
	Name   string
	Word   tinted
	Domain string // of one signature among several
	Why    string
}

// fact is a row of a table with a label. Code: it is to be copied or compared, octet for octet.
type fact struct {
	Label string
	Lines []string
	Code  bool
}

// pageFuncs are what the layout of the HTML part may call.
func pageFuncs(say func(code string, pairs ...string) string) htmltemplate.FuncMap {
	return htmltemplate.FuncMap{"say": say, "inc": func(i int) int { return i + 1 }}
}

// HTML is the report's HTML part, in the language that the message asks for.
func (c *Composer) HTML(r *verify.Report, d policy.Decision) (string, error) {
	var b bytes.Buffer
	v := c.language(r, d)
	err := v.write(&b, v.pageOf(forClass(r, d.Class), d))
	return b.String(), err
}

// lean is the same without the details of the checks and their DNS records, which the text part has too.
func (p page) lean() page {
	p.Checks, p.Records, p.MoreRecords = nil, nil, p.MoreRecords+len(p.Records)
	return p
}

func (c *Language) write(b *bytes.Buffer, p page) error {
	if err := c.page.Execute(bounded{c.page.Name(), b}, p); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	return nil
}

// pageOf takes a report as its class gets it.
func (c *Language) pageOf(r *verify.Report, d policy.Decision) page {
	p := page{
		Lang: c.lang, Verdict: toned(strings.TrimSuffix(c.verdictWord(r), "."), verdictTones[r.Verdict.Word]), Why: c.verdictWhy(r),
		Greeting: c.sayPairs("greeting-what", "host", c.cfg.Host, "service", c.cfg.Service, "sender", reversePath(r),
			"client", r.Session.ClientIP, "date", date(r.Time)),
		Unproved: d.Class != policy.Proved, Again: d.Again, Never: d.Never, Bounces: c.bounces(d),
		Receivers: c.verdicts(r.Receivers), Session: c.session(r), Authorities: c.authorities(r.Authoritative),
	}
	if c.cfg.Operator != "" {
		p.Operator = c.sayPairs("greeting-operator", "operator", c.cfg.Operator)
	}
	said := c.findings(r)
	for i, a := range r.Actions {
		p.Actions = append(p.Actions, c.step(a, said.ofAction[i]))
	}
	p.Found, p.Remarks = said.found, said.remarks
	for _, k := range r.Checks {
		p.Summary = append(p.Summary, outcome{c.checkName(k), tint(k.Result), subject(k, r), c.inWords(k)})
		if d := c.detailsOf(k, r); d.any() {
			p.Checks = append(p.Checks, d)
		}
	}
	p.Records, p.MoreRecords = recordsOf(r)
	return p
}

var verdictTones = map[verify.VerdictWord]tone{verify.Authenticated: good, verify.NotProved: bad, verify.Unknown: caution}

// tones of the result words; any other is plain.
var tones = map[result.Word]tone{
	result.Pass: good, "ham": good, result.Fail: bad, result.PermError: bad, "spam": bad,
	result.SoftFail: caution, result.Neutral: caution, result.Policy: caution, result.TempError: caution,
}

func tint(w result.Word) tinted {
	return toned(string(w), tones[w])
}

// inWords is the reason of a check's result.
func (c *Language) inWords(k result.Outcome) string {
	if k.Reason.IsZero() {
		return ""
	}
	return strings.TrimSuffix(c.reason(k.Reason), ".")
}

// session is what SMTP said.
func (c *Language) session(r *verify.Report) []fact {
	return []fact{
		{Label: c.sayPairs("html-helo"), Lines: []string{safe(r.Session.Helo)}, Code: true},
		{Label: c.sayPairs("html-client"), Lines: []string{safe(r.Session.ClientIP)}, Code: true},
		{Label: c.sayPairs("html-sender"), Lines: []string{reversePath(r)}, Code: true},
		{Label: c.sayPairs("html-date"), Lines: []string{date(r.Time)}},
	}
}

// receiver is what one mailbox provider would do, and which of its rules for all mail are not met.
type receiver struct {
	Name  string
	Word  tinted // the verdict in words
	Rules []string
	Asks  []string // of those not met: nothing is known of what follows
	Hint  string   // where to learn more, unless the mail would be taken
}

// verdictsToned: what becomes of the mail.
var verdictsToned = map[string]tone{receivers.Accept: good, receivers.Junk: caution, receivers.Defer: caution, receivers.Reject: bad}

func (c *Language) verdicts(all []verify.Receiver) []receiver {
	var out []receiver
	for _, v := range all {
		r := receiver{Name: safe(v.Name), Word: toned(c.reason(v.Why), verdictsToned[v.Verdict])}
		if v.Why.Code == "receiver-accept-asks" {
			r.Word = toned(r.Word.Text, caution)
		}
		for _, u := range v.Rules {
			// What binds bulk mail alone says little to a test mail: the text part has it.
			switch {
			case u.State != verify.NotMet || u.Scope != "all":
			case wish(u):
				r.Asks = append(r.Asks, c.sentence(u.Requirement))
			default:
				r.Rules = append(r.Rules, c.sentence(u.Requirement))
			}
		}
		if v.Verdict != receivers.Accept && !v.Hint.IsZero() {
			r.Hint = c.sentence(v.Hint)
		}
		out = append(out, r)
	}
	return out
}
