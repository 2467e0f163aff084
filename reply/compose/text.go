package compose

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
)

// view is what the layout (templates/report.txt) shows.
type view struct {
	Host, Service, Operator string
	Sender, Client, Date    string
	Again, Never            string // addresses for the next test, and against any more
	Bounces                 string // that a program reads the report

	Verdict   string
	Actions   []string // lines of what to do now
	Found     []string // numbered findings that call for a change and that no action is for
	Remarks   []string // findings that are good to know
	Summary   string   // a line a check
	Helo      string
	Source    string
	MailFrom  string
	Checks    []section
	Explained []section
	Original  string // as far as it is shown
}

// section is a heading and whole lines.
type section struct{ Name, Text string }

// joined are lines as a text, each with its end.
func joined(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// Text is the report's text part, LF line ends, in the language that the message asks for.
func (c *Composer) Text(r *verify.Report, d policy.Decision, body mail.Data) (string, error) {
	var b bytes.Buffer
	err := c.language(r, d).text(&b, forClass(r, d.Class), d, body)
	return b.String(), err
}

// text takes a report as its class gets it.
func (c *Language) text(b *bytes.Buffer, r *verify.Report, d policy.Decision, body mail.Data) error {
	v := view{
		Host: c.cfg.Host, Service: c.cfg.Service, Operator: c.cfg.Operator,
		Sender: reversePath(r), Client: safe(r.Session.ClientIP), Date: date(r.Time),
		Verdict: c.verdict(r),
		Helo:    safe(r.Session.Helo), Source: safe(r.Session.ClientIP), MailFrom: safe(r.Session.MailFrom),
		Summary: joined(c.summary(r)), Explained: c.meanings(),
		Again: d.Again, Never: d.Never, Bounces: c.bounces(d),
	}
	said := c.findings(r)
	v.Actions = c.actions(r, said)
	for i, s := range said.found {
		v.Found = append(v.Found, fmt.Sprintf("%d. %s", i+1, wrap(s, "   ", width-3)))
	}
	for _, s := range said.remarks {
		v.Remarks = append(v.Remarks, wrap(s, "   ", width-3))
	}
	for _, k := range r.Checks {
		v.Checks = append(v.Checks, section{k.Label, joined(c.details(k))})
	}
	if rules := c.receivers(r.Receivers); len(rules) > 0 {
		v.Checks = append(v.Checks, section{"Receiver rules", joined(rules)})
	}
	if said := c.authoritative(r.Authoritative); len(said) > 0 {
		v.Checks = append(v.Checks, section{"Name server", joined(said)})
	}
	if d.Class != policy.Proved { // whose reply is half as large
		v.Explained = c.explain(func(method string, w result.Word) bool {
			return slices.ContainsFunc(r.All(strings.ToLower(method)), func(k result.Outcome) bool { return k.Result == w })
		})
	}
	v.Original = joined(c.original(r, d.Class, body))
	if err := c.layout.Execute(bounded{c.layout.Name(), b}, v); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	return nil
}

// bounces tells whoever reads the report all the same that it went to a program, "" where none is known.
func (c *Language) bounces(d policy.Decision) string {
	if d.Bounces == nil {
		return ""
	}
	return c.reason(*d.Bounces)
}

// reversePath is the envelope sender in a sentence, where the null one has to be seen.
func reversePath(r *verify.Report) string {
	if r.Session.MailFrom == "" {
		return "<>"
	}
	return safe(r.Session.MailFrom)
}

// safe makes one line of a stranger's text, without a link in it.
func safe(s string) string { return unlink(result.Cut(result.Clean(s), 500)) }

// summary: the value stands in column 21, a line a check, then a line a receiver.
func (c *Language) summary(r *verify.Report) []string {
	var out []string
	for _, k := range r.Checks {
		out = append(out, fmt.Sprintf("%-20s%s", k.Label+" check:", k.Result))
	}
	for _, v := range r.Receivers {
		out = append(out, fmt.Sprintf("%-20s%s", safe(v.Name)+" verdict: ", c.reason(v.Why)))
	}
	return out
}

// verdict is the first paragraph: authenticated or not, and what it rests on.
func (c *Language) verdict(r *verify.Report) string {
	return c.verdictWord(r) + " " + c.verdictWhy(r)
}

// verdictWord is in capitals, with a full stop.
func (c *Language) verdictWord(r *verify.Report) string {
	if r.Verdict.Why.Code == verify.NotForFrom {
		return c.say("verdict-fail-not-for-from", nil)
	}
	return c.say(result.Code("verdict-"+string(r.Verdict.Word)), nil)
}

func (c *Language) verdictWhy(r *verify.Report) string {
	out := c.reason(r.Verdict.Why)
	if said := c.atReceivers(r.Receivers); said != "" {
		out += " " + said
	}
	return out
}

// first are the receivers that the first paragraph tells of.
var first = []string{"gmail", "outlook", "yahoo"}

// atReceivers is what follows at the largest receivers, where that is known: one that is not given all that it asks for
// may refuse the mail or not.
func (c *Language) atReceivers(all []verify.Receiver) string {
	var said, others []string
	for _, id := range first {
		for _, v := range all {
			if v.ID == id && v.Verdict != receivers.Unknown && v.Why.Code != "receiver-accept-asks" {
				said = append(said, c.sayPairs("verdict-receiver-"+v.Verdict, "name", v.Name, "code", v.Code))
			}
		}
	}
	for _, v := range all {
		if v.Verdict == receivers.Reject && !slices.Contains(first, v.ID) {
			others = append(others, v.Name)
		}
	}
	if len(others) > 0 {
		said = append(said, c.sayPairs("verdict-others", "names", strings.Join(others, ", ")))
	}
	if len(said) == 0 {
		return ""
	}
	return c.sayPairs("verdict-receivers", "list", strings.Join(said, ", "))
}

// explanations, in the report's order: each method's words, whose sentences are "explain-method-word".
var explanations = []struct {
	method string
	words  []result.Word
}{
	{"SPF", []result.Word{result.None, result.Neutral, result.Pass, result.Fail, result.SoftFail, result.TempError, result.PermError}},
	{"iprev", []result.Word{result.Pass, result.Fail, result.TempError, result.PermError}},
	{"DKIM", []result.Word{result.None, result.Pass, result.Fail, result.Policy, result.Neutral, result.TempError, result.PermError}},
	{"DMARC", []result.Word{result.None, result.Pass, result.Fail, result.TempError, result.PermError}},
}

func (c *Language) explained() []section {
	return c.explain(func(string, result.Word) bool { return true })
}

// explain is what the results mean, as far as they are wanted.
func (c *Language) explain(wanted func(method string, w result.Word) bool) []section {
	var out []section
	for _, e := range explanations {
		s := section{Name: e.method}
		for _, w := range e.words {
			if !wanted(e.method, w) {
				continue
			}
			code := result.Code("explain-" + strings.ToLower(e.method) + "-" + string(w))
			s.Text += string(w) + ":\n    " + wrap(c.say(code, nil), "    ", width-4) + "\n"
		}
		if s.Text != "" {
			out = append(out, s)
		}
	}
	return out
}
