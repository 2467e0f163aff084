package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"checkauth/reply/compose"
	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// spfCmd is `check-auth spf`.
type spfCmd struct {
	Domain   *string `arg:"" optional:"" help:"Domain whose record is evaluated. Without one, that of --mail-from or of --helo; with --record example.invalid."`
	IP       string  `required:"" help:"Address that the mail came from." placeholder:"ADDRESS"`
	Helo     string  `help:"Name that the client gave in HELO or EHLO." placeholder:"NAME"`
	MailFrom *string `help:"Envelope sender; an empty text is the null sender. Default: postmaster at the domain." placeholder:"ADDRESS"`
	Record   string  `help:"Evaluate this text as if the domain published it." placeholder:"'v=spf1 ...'"`
	Try      string  `help:"Evaluate this text in place of the domain's record, and show before and after." placeholder:"'v=spf1 ...'"`
	Resolver string  `help:"Ask this DNS resolver instead of the system's." placeholder:"HOST:PORT" xor:"dns"`
	Zone     string  `help:"Take the DNS from this zone file and ask nobody." placeholder:"FILE" xor:"dns"`
	Host     string  `default:"localhost" help:"Our own name: macro %{r} of SPF." placeholder:"NAME"`
	JSON     bool    `help:"Print JSON."`
}

const (
	spfTime      = 20 * time.Second // of one evaluation: RFC 7208, 4.6.4 wants at least that
	spfQuestions = 112              // more than any evaluation can need
	spfDiagnosis = 24               // and its diagnosis with the lint of the whole tree
)

// Run evaluates the record; exit 0 where it passes, 2 with temperror, else 1.
func (c *spfCmd) Run(ctx context.Context, e env) error {
	ip, err := netip.ParseAddr(c.IP)
	if err != nil {
		return usage("--ip %q is no address: give an IPv4 or IPv6 address such as 192.0.2.1", c.IP)
	}
	q, err := c.query(ip)
	if err != nil {
		return err
	}
	up, done, err := c.upstream()
	if err != nil {
		return err
	}
	defer done()
	lines, err := newTerminal(e)
	if err != nil {
		return err
	}
	show := spfShow{terminal: lines, ip: ip.Unmap()}
	after := c.evaluate(ctx, e, up, q, c.Record)
	if c.Try != "" {
		before := after
		show.before = &before
		after = c.evaluate(ctx, e, up, q, c.Try)
	}
	if err := show.print(e, after, c.JSON); err != nil {
		return err
	}
	return exitFor(after.Word)
}

// exitFor is the exit code of a result.
func exitFor(w result.Word) error {
	switch w {
	case result.Pass:
		return nil
	case result.TempError:
		return &exitError{code: exitUnknown}
	}
	return &exitError{code: exitFail}
}

// query takes any text for domain, HELO and sender: RFC 7208, 4.3: a malformed one gives none.
func (c *spfCmd) query(ip netip.Addr) (spf.Query, error) {
	domain, q := "", spf.Query{IP: ip, Helo: c.Helo}
	switch {
	case c.Domain != nil && c.MailFrom == nil && strings.Contains(*c.Domain, "@"):
		q.MailFrom = *c.Domain
		return q, nil
	case c.Domain != nil:
		domain = *c.Domain
		q.Domain = domain
	case c.MailFrom != nil && *c.MailFrom != "":
		domain = naming.Domain(strings.TrimSuffix(*c.MailFrom, ">"))
	case c.Helo != "":
		domain = c.Helo
	case c.Record != "":
		domain = "example.invalid"
	default:
		return q, usage("no record is named: give a DOMAIN, or a text with --record 'v=spf1 ...'")
	}
	switch {
	case c.MailFrom == nil:
		q.MailFrom = "postmaster@" + domain
	case *c.MailFrom != "":
		q.MailFrom = strings.TrimSuffix(strings.TrimPrefix(*c.MailFrom, "<"), ">")
	case c.Helo == "":
		q.Helo = domain // RFC 7208, 2.4: the null sender's identity is that of HELO
	}
	return q, nil
}

// upstream is what the command line names. With --record there may be nothing to ask.
func (c *spfCmd) upstream() (r dns.Resolver, done func(), err error) {
	r, done, err = (&verifyCmd{Resolver: c.Resolver, Zone: c.Zone}).resolver()
	if err == nil || c.Record == "" || c.Resolver != "" || c.Zone != "" {
		return r, done, err
	}
	return dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Unreachable, Err: err}
	}), func() {}, nil
}

// evaluate runs one evaluation, with text in place of the published record where there is one. It asks
// ahead what it is going to need.
func (c *spfCmd) evaluate(ctx context.Context, e env, up dns.Resolver, q spf.Query, text string) spf.Result {
	ctx, cancel := context.WithTimeoutCause(ctx, spfTime, errors.New("the "+spfTime.String()+" for one evaluation are over"))
	if text != "" {
		over := dns.Over(up, e.now)
		// One string, however long: that is what the lint looks at.
		over.Set(q.Checked(), dns.TXT, dns.Record{Strings: []string{text}})
		up = over
	}
	memo := dns.NewMemo(ctx, up)
	defer memo.Wait()
	defer cancel()
	ev := spf.Evaluator{DNS: memo.View(spfQuestions), Diagnose: memo.View(spfDiagnosis), Expect: memo.Prefetch, Host: c.Host, Now: e.now}
	ahead := ev.Ahead(q)
	memo.Follow(ahead.Follow)
	for _, first := range ahead.First() {
		memo.Prefetch(first)
	}
	return ev.Examine(ctx, q)
}

// spfShow prints an evaluation.
type spfShow struct {
	terminal
	ip     netip.Addr
	before *spf.Result // nil without --try
}

func (s *spfShow) print(e env, x spf.Result, asJSON bool) error {
	out := []byte(printed(e, s.text(x)))
	if asJSON {
		var err error
		if out, err = s.asJSON(x); err != nil {
			return err
		}
	}
	_, err := e.out.Write(out)
	return err
}

// text is result, tree and lint.
func (s *spfShow) text(x spf.Result) string {
	var b strings.Builder
	line := func(l string) { b.WriteString(l + "\n") }
	if s.before != nil {
		s.compare(line, *s.before, x)
	}
	s.result(line, x.Word, x.Reason)
	line(compose.Field("Sender:", result.Clean(result.Cut(x.Sender, maxShown))))
	line(compose.Field("Source IP:", s.ip.String()))
	if x.Root != nil {
		// Whole and on one line, to be copied.
		line(fmt.Sprintf("%-16s%s", "Record:", result.Clean(x.Root.Text)))
	}
	var o result.Outcome
	x.Describe(&o)
	for _, l := range s.Tree(o.Tree, x.Reason) {
		line(s.paint(l.Text, lineColour(l.Row)))
	}
	for _, l := range s.Facts(o.Facts, func(f result.Fact) bool { return f.Only != result.OnPage }) {
		line(l)
	}
	line("")
	if len(x.Findings) == 0 {
		line(nothingFound)
	}
	s.findings(line, x.Findings)
	return b.String()
}

// maxShown: octets of a stranger's address on the terminal.
const maxShown = 500

// compare shows what is published and what is tried side by side.
func (s *spfShow) compare(line func(string), before, after spf.Result) {
	row := func(label string, value func(spf.Result) string) {
		line(strings.TrimRight(fmt.Sprintf("%-20s%-28s%s", label, value(before), value(after)), " "))
	}
	of := func(n, limit int) string { return fmt.Sprintf("%d/%d", n, limit) }
	line(fmt.Sprintf("%-20s%-28s%s", "", "before", "after"))
	row("result", func(x spf.Result) string { return string(x.Word) })
	row("by", func(x spf.Result) string { return result.Clean(result.Cut(x.Matched, 26)) })
	row("look-ups", func(x spf.Result) string { return of(x.Lookups, 10) })
	row("voids", func(x spf.Result) string { return of(x.Voids, 2) })
	whole := func(x spf.Result) spf.Whole {
		if x.Whole == nil {
			return spf.Whole{}
		}
		return *x.Whole
	}
	row("look-ups in all", func(x spf.Result) string { return of(whole(x).Lookups, 10) })
	row("voids in all", func(x spf.Result) string { return of(whole(x).Voids, 2) })
	row("errors, warnings", func(x spf.Result) string {
		return fmt.Sprintf("%d, %d", count(x.Findings, result.Error), count(x.Findings, result.Warning))
	})
	line("")
	line(compose.Item("Before:         ", s.word(before.Word, before.Reason)))
	line("After:")
}

func count(findings []result.Finding, of result.Severity) int {
	n := 0
	for _, f := range findings {
		if f.Severity == of {
			n++
		}
	}
	return n
}

// spfJSON is an evaluation for programs.
type spfJSON struct {
	Word     result.Word      `json:"result"`
	Reason   result.Reason    `json:"reason,omitzero"`
	Cause    string           `json:"cause,omitempty"` // of temperror and permerror: the error, in English
	IP       string           `json:"ip"`
	Findings []result.Finding `json:"findings"`
	spf.Result
	Before *spfJSON `json:"before,omitempty"` // with --try
}

func (s *spfShow) forJSON(x spf.Result) *spfJSON {
	s.say(&x.Reason)
	x.Findings = s.sentences(x.Findings)
	s.Fill(&x)
	out := &spfJSON{Word: x.Word, Reason: x.Reason, Cause: causeText(x.Cause), IP: s.ip.String(), Findings: x.Findings, Result: x}
	if out.Findings == nil {
		out.Findings = []result.Finding{}
	}
	return out
}

func (s *spfShow) asJSON(x spf.Result) ([]byte, error) {
	v := s.forJSON(x)
	if s.before != nil {
		v.Before = s.forJSON(*s.before)
	}
	return asciiJSON(v)
}
