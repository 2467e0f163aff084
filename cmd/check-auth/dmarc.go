package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"checkauth/reply/compose"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// dmarcCmd is `check-auth dmarc`.
type dmarcCmd struct {
	Domain   string `arg:"" optional:"" help:"Domain in From. With --from: a domain that SPF or a signature passes for, to see whether it aligns."`
	From     string `help:"From address; its domain is what is looked at." placeholder:"ADDRESS"`
	Resolver string `help:"Ask this DNS resolver instead of the system's." placeholder:"HOST:PORT" xor:"dns"`
	Zone     string `help:"Take the DNS from this zone file and ask nobody." placeholder:"FILE" xor:"dns"`
	JSON     bool   `help:"Print JSON."`
}

// dmarcTime is for one domain with all of its report addresses.
const dmarcTime = 30 * time.Second

// Run looks at the domain; exit 0 where a record applies, 2 where the DNS did not tell, else 1.
func (c *dmarcCmd) Run(ctx context.Context, e env) error {
	author, other, err := c.domains()
	if err != nil {
		return err
	}
	lines, err := newTerminal(e)
	if err != nil {
		return err
	}
	up, done, err := (&verifyCmd{Resolver: c.Resolver, Zone: c.Zone}).resolver()
	if err != nil {
		return err
	}
	defer done()
	show := dmarcShow{terminal: lines, other: other}
	show.look(ctx, up, author)
	if err := write(e, &show, c.JSON); err != nil {
		return err
	}
	return exitFor(show.Word)
}

// domains are the author domain and, if there is one, that which may align with it.
func (c *dmarcCmd) domains() (author, other string, err error) {
	if c.Domain == "" && c.From == "" {
		return "", "", usage("no domain is named: give a DOMAIN such as example.org, or --from ADDRESS")
	}
	if c.From != "" {
		if author, err = fromDomain(c.From); err != nil || c.Domain == "" {
			return author, "", err
		}
		other, err = plainDomain(c.Domain)
		return author, other, err
	}
	if strings.Contains(c.Domain, "@") {
		author, err = fromDomain(c.Domain)
	} else {
		author, err = plainDomain(c.Domain)
	}
	return author, "", err
}

// plainDomain reads a domain as people type it.
func plainDomain(s string) (string, error) {
	d, ok := naming.Host(strings.TrimSuffix(s, "."))
	switch {
	case !ok:
		return "", usage("domain %q is no domain name: give one such as example.org", s)
	case strings.HasPrefix(d, "_dmarc."):
		return "", usage("domain %q has _dmarc in front: give the domain alone, such as example.org", s)
	}
	return d, nil
}

// fromDomain reads an address as it may stand in From.
func fromDomain(s string) (string, error) {
	bad := func() (string, error) {
		return "", usage("--from %q is not one address: give one such as ann@example.org", s)
	}
	if strings.ContainsAny(s, "\r\n") {
		return bad()
	}
	fields, err := mail.Parse([]byte("From: "+s+"\r\n"), mail.DefaultBounds())
	if err != nil {
		return bad()
	}
	f := mail.ParseFrom(fields)
	if f.Problem != "" || f.Domain == "" {
		return bad()
	}
	return f.Domain, nil
}

// dmarcShow prints what was found of a domain.
type dmarcShow struct {
	terminal
	dmarc.Lookup
	other    string
	evidence []result.Evidence
}

func (s *dmarcShow) look(ctx context.Context, up dns.Resolver, author string) {
	ctx, cancel := context.WithTimeoutCause(ctx, dmarcTime, errors.New("the "+dmarcTime.String()+" for one domain are over"))
	memo := dns.NewMemo(ctx, up)
	defer memo.Wait()
	defer cancel()
	for _, q := range dmarc.Ahead(author) {
		memo.Prefetch(q)
	}
	asked, why := memo.View(dmarc.Questions), memo.View(dmarc.Diagnosis)
	s.Lookup = dmarc.Evaluator{DNS: asked, Diagnose: why, Expect: memo.Prefetch}.Look(ctx, author, s.other)
	s.evidence = append(asked.Evidence(), why.Evidence()...)
}

// text is result, walks, record, what it asks for, and what is wrong with it.
func (s *dmarcShow) text() string {
	var b strings.Builder
	line := func(l string) { b.WriteString(l + "\n") }
	s.result(line, s.Word, s.Reason)
	line(compose.Field("Domain of From:", s.Domain+inOrganisation(s.Domain, s.Org)))
	s.walks(line)
	if s.Record != "" {
		s.record(line)
	}
	if s.Old != nil {
		line(compose.Field("By RFC 7489:", oldView(s.Old)))
	}
	for _, l := range compose.Records(s.evidence) {
		line(l)
	}
	line("")
	if len(s.Findings) == 0 {
		line(nothingFound)
	}
	s.findings(line, s.Findings)
	return b.String()
}

func inOrganisation(domain, org string) string {
	if org == "" || org == domain {
		return ""
	}
	return " (organisational domain " + org + ")"
}

// walks are the names in the order in which they were asked.
func (s *dmarcShow) walks(line func(string)) {
	for _, w := range s.Walks {
		label := "Walk:"
		if w.Start != s.Domain {
			label = "Walk of other:"
		}
		for _, step := range w.Asked {
			note := s.Say(stepReason(step))
			if s.PolicyName != "" && step.Name == "_dmarc."+s.PolicyName {
				note += ", which applies"
			}
			line(compose.Field(label, step.Name+": "+note))
			label = ""
		}
	}
}

// stepReason says what a walk met at a name.
func stepReason(step dmarc.Step) result.Reason {
	switch step.Found {
	case dmarc.FoundRecord:
		if step.PSD != "" {
			return result.Because("dmarc-walk-record-ends", "psd", result.Ours(step.PSD))
		}
		return result.Because("dmarc-walk-record")
	case dmarc.FoundSeveral:
		return result.Because("dmarc-walk-several")
	case dmarc.FoundOther:
		return result.Because("dmarc-walk-other")
	case dmarc.FoundError:
		return result.Because("dmarc-walk-error")
	}
	return result.Because("dmarc-walk-nothing")
}

// record is the one that applies and what follows from it.
func (s *dmarcShow) record(line func(string)) {
	line(wholeLine("Record:", s.Record))
	label := "Tags:"
	for _, t := range s.Tags {
		line(wholeLine(label, fmt.Sprintf("%s (column %d)", tagText(t), t.Column)))
		label = ""
	}
	if s.Policy != "" {
		testing := ""
		if s.Testing {
			testing = ", testing"
		}
		line(compose.Field("Policy:", fmt.Sprintf("%s (%s= of _dmarc.%s%s)", s.Policy, s.Tag, s.PolicyName, testing)))
	}
	line(compose.Field("Alignment:", fmt.Sprintf("SPF %s (aspf=%s), DKIM %s (adkim=%s)", modeWord[s.SPFMode], s.SPFMode, modeWord[s.DKIMMode], s.DKIMMode)))
	s.aligned(line, "SPF", s.SPF)
	s.aligned(line, "DKIM", s.DKIM)
	label = "Reports:"
	for _, r := range s.Reports {
		notes := s.Say(r.Status)
		if !r.Mailbox.IsZero() {
			notes += "; " + s.Say(r.Mailbox)
		}
		line(compose.Field(label, result.Clean(r.Tag+"="+r.Address+": "+notes)))
		label = ""
	}
}

var modeWord = map[string]string{"r": "relaxed", "s": "strict"}

func tagText(t dmarc.Tag) string {
	if t.Value == "" {
		return t.Name
	}
	return t.Name + "=" + t.Value
}

// aligned says how a pass for the other domain would count.
func (s *dmarcShow) aligned(line func(string), method string, a *dmarc.Alignment) {
	if a == nil {
		return
	}
	word := "not aligned"
	if a.Aligned {
		word = "aligned"
	}
	line(compose.Field(method+" pass:", fmt.Sprintf("%s%s: %s (%s)", a.Domain, inOrganisation(a.Domain, a.Org), word, s.Say(a.Why))))
}

func oldView(v *dmarc.View) string {
	said := "no record applies"
	if v.Policy != "" {
		said = fmt.Sprintf("%s (%s= of _dmarc.%s)", v.Policy, v.Tag, v.PolicyName)
	}
	return said + ", organisational domain " + v.Org
}

// dmarcJSON is a domain for programs.
type dmarcJSON struct {
	Word     result.Word      `json:"result"`
	Reason   result.Reason    `json:"reason,omitzero"`
	Cause    string           `json:"cause,omitempty"` // of temperror and permerror: the error, in English
	Findings []result.Finding `json:"findings"`
	dmarc.Lookup
	Evidence []result.Evidence `json:"evidence"`
}

func (s *dmarcShow) forJSON() any {
	out := dmarcJSON{Word: s.Word, Reason: s.Reason, Cause: causeText(s.Cause), Findings: s.sentences(s.Findings), Lookup: s.Lookup, Evidence: s.evidence}
	s.say(&out.Reason)
	for i := range out.Reports {
		s.say(&out.Reports[i].Status)
		s.say(&out.Reports[i].Mailbox)
	}
	for _, a := range []*dmarc.Alignment{out.SPF, out.DKIM} {
		if a != nil {
			s.say(&a.Why)
		}
	}
	return out
}
