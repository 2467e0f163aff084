// Package compose puts a Report into the forms that people and programs read: the text part of
// REPORT-FORMAT (Port25's layout, byte-stable), the JSON form, the answer at the final dot, and the one
// MIME message that is mailed. Every byte of a stranger is made safe here, at the last step.
package compose

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"runtime"
	"slices"
	"strings"
	"sync"
	texttemplate "text/template"
	"time"

	"checkauth/reply"
	"checkauth/reply/policy"
	"checkauth/reply/sign"
	"checkauth/templates"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// Config of a Composer. Addresses are local@domain.
type Config struct {
	Host      string   // who answers: the host name, also the authserv-id
	Service   string   // address that tests are sent to
	From      string   // address that replies come from
	Operator  string   // whom to write to; empty where there is none (a try)
	Templates string   // folder with the operator's own report.txt, report.html and words/*.toml; empty: the built-in ones
	Size      int      // octets of a whole reply
	Header    int      // octets of the original's header in it
	Body      int      // octets of the original's body in it
	Parts     []string // what a reply has beside the text: any of Parts
	// Compatible: the Subject is Port25's, without the verdict.
	Compatible bool
}

// The parts of a reply beside the text.
const (
	PartHTML    = "html"    // the report as a page
	PartJSON    = "json"    // report.json
	PartHeaders = "headers" // headers.txt
)

// Parts are all of them, in the order of the mail.
func Parts() []string { return []string{PartHTML, PartJSON, PartHeaders} }

// CheckPart refuses what is none of Parts.
func CheckPart(p string) error {
	if !slices.Contains(Parts(), p) {
		return fmt.Errorf("%q is no part of a reply: want any of %s", p, strings.Join(Parts(), ", "))
	}
	return nil
}

// Defaults of the bounds, and every part.
func Defaults() Config {
	return Config{Size: 64 << 10, Header: 16 << 10, Body: 2 << 10, Parts: Parts()}
}

// Composer writes replies, in the language that each asks for; by itself it speaks English. One serves any
// number of goroutines.
type Composer struct {
	*Language
	languages map[string]*Language // by language
	key       *sign.Key
	pool      chan *buffers // to compose replies on: one a processor, more would only take memory
}

// Language has the layouts and the words of one language.
type Language struct {
	cfg    Config
	words  *templates.Words
	lang   string
	layout *texttemplate.Template
	// meanings are the same in every report.
	meanings func() []section
	page     *htmltemplate.Template
}

// New makes a Composer. key may be nil where nothing is mailed (verify). An operator's file that is broken is
// refused with its name and line.
func New(cfg Config, key *sign.Key) (*Composer, error) {
	for _, p := range cfg.Parts {
		if err := CheckPart(p); err != nil {
			return nil, err
		}
	}
	words, err := templates.Override(cfg.Templates)
	if err != nil {
		return nil, err
	}
	c := &Composer{languages: map[string]*Language{}, key: key, pool: make(chan *buffers, runtime.GOMAXPROCS(0))}
	for range cap(c.pool) {
		c.pool <- &buffers{}
	}
	for _, lang := range words.Languages() {
		if c.languages[lang], err = newLanguage(cfg, words, lang); err != nil {
			return nil, err
		}
	}
	c.Language = c.languages[templates.English]
	if cfg.Templates == "" { // tests have rehearsed the built-in ones
		return c, nil
	}
	return c, c.rehearse()
}

func newLanguage(cfg Config, words *templates.Words, lang string) (_ *Language, err error) {
	v := &Language{cfg: cfg, words: words, lang: lang}
	v.meanings = sync.OnceValue(v.explained)
	v.layout, err = templates.Report(cfg.Templates, texttemplate.FuncMap{
		"rule": func(char string, n int) string { return strings.Repeat(char, n) },
		"wrap": func(s string) string { return wrap(s, "", width) },
		"say":  v.sayPairs,
	})
	if err != nil {
		return nil, err
	}
	v.page, err = templates.Page(cfg.Templates, pageFuncs(v.sayPairs))
	return v, err
}

// longestForm of a report in octets, before it is fitted into a mail: a layout that writes on and on is ended.
const longestForm = 8 << 20

// bounded takes what a layout writes, so far. Whatever it was made of, nothing leaves it that a terminal or a mail
// program obeys.
type bounded struct {
	layout string
	*bytes.Buffer
}

func (b bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > longestForm {
		return 0, fmt.Errorf("%s writes more than %d octets", b.layout, longestForm)
	}
	_, err := b.WriteString(result.Lines(string(p)))
	return len(p), err
}

// buffers are for one reply; only the whole message leaves them.
type buffers struct{ text, page, json, wire bytes.Buffer }

// largestRoom is kept for the next reply: a usual one needs some 30 KiB for a form and 80 for the wire.
const largestBuffer = 256 << 10

func (d *buffers) clear() {
	for _, b := range []*bytes.Buffer{&d.text, &d.page, &d.json, &d.wire} {
		if b.Reset(); b.Cap() > largestBuffer {
			*b = bytes.Buffer{}
		}
	}
}

// rehearse runs the layouts: a template that names what there is not is seen only then.
func (c *Composer) rehearse() error {
	for _, p := range rehearsals() {
		if _, err := c.Text(p.r, p.d, mail.Data{}); err != nil {
			return err
		}
		if _, err := c.HTML(p.r, p.d); err != nil {
			return err
		}
	}
	return nil
}

// manyWishes: of a field that nobody has need of twice. Each is matched with every language.
const manyWishes = 2

// language gives the one that a message asks for: in the address that it was sent to, else in its header.
func (c *Composer) language(r *verify.Report, d policy.Decision) *Language {
	wishes := append([]string(nil), d.Form.Details...)
	for _, field := range []string{"Accept-Language", "Content-Language"} { // RFC 3282
		all := r.Message.Fields.All(field)
		for _, f := range all[:min(len(all), manyWishes)] {
			wishes = append(wishes, f.Value())
		}
	}
	lang, _ := c.words.Choose(wishes...)
	return c.languages[lang]
}

// Languages are those that the Composer has words of, English first.
func (c *Composer) Languages() []string { return c.words.Languages() }

// Speaks tells whether a language is one of them, or a variety of one.
func (c *Composer) Speaks(lang string) bool {
	_, ok := c.words.Choose(lang)
	return ok
}

// say puts a reason into words. Arguments come from strangers: they are made safe and short.
func (c *Language) say(code result.Code, args result.Args) string { return c.sayIn(c.lang, code, args) }

func (c *Language) sayIn(lang string, code result.Code, args result.Args) string {
	return c.words.Say(lang, string(code), func(name string) string {
		value := args.Get(name)
		if said, ok := c.durationOf(name, value); ok {
			return said
		}
		value = unlink(result.Cut(result.Clean(value), argument))
		// Programs get the method's own name, people the one that they know.
		if name == "method" {
			value = strings.ToUpper(value)
		}
		return value
	})
}

// argument: octets of one stranger's text within a sentence.
const argument = 300

func (c *Language) reason(r result.Reason) string { return c.say(r.Code, r.Args) }

// sayPairs is for what is printed at once: pairs of argument name and value.
func (c *Language) sayPairs(code string, pairs ...string) string {
	values := make([]any, len(pairs))
	for i, p := range pairs {
		values[i] = p
	}
	return c.reason(result.Because(result.Code(code), values...))
}

// Answer puts a decision into the lines that the client hears: ASCII, at most 480 octets each.
func (c *Composer) Answer(d policy.Decision) reply.Answer {
	a := reply.Answer{Code: d.Code, Enhanced: d.Enhanced}
	for _, l := range d.Lines {
		a.Lines = append(a.Lines, result.Cut(result.ASCII(c.reason(l)), answerLine))
	}
	return a
}

// answerLine: RFC 5321, 4.5.3.1.5 allows 512 octets with the code and CRLF.
const answerLine = 480

// Say is for cmd: a reason as a sentence.
func (c *Language) Say(r result.Reason) string { return c.reason(r) }

// Finding is for cmd: a finding as a sentence.
func (c *Language) Finding(f result.Finding) string { return c.finding(f) }

// fill sets the English sentence wherever a report has a code.
func (c *Language) fill(r *verify.Report) {
	c.set(&r.Verdict.Why)
	if f := r.Session.TLSFailed; f != nil {
		c.set(&f.Cause)
	}
	c.fillReceivers(r.Receivers)
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Text = c.finding(*f)
	}
	c.fillActions(r.Actions)
	for i := range r.Authoritative {
		a := &r.Authoritative[i]
		c.set(&a.Says)
		for j := range a.Servers {
			c.set(&a.Servers[j].Error)
		}
	}
	for i := range r.Checks {
		k := &r.Checks[i]
		c.set(&k.Reason)
		c.Fill(k.Detail)
	}
}

// fillActions does the same for what is to be done.
func (c *Language) fillActions(all []verify.Action) {
	for i := range all {
		a := &all[i]
		a.Text = c.say(a.Code, a.Args)
		c.set(&a.Why)
		for j := range a.Before {
			c.set(&a.Before[j])
		}
		for j := range a.When {
			c.set(&a.When[j])
		}
		if a.Where != nil {
			for j := range a.Where.Traps {
				c.set(&a.Where.Traps[j])
			}
		}
	}
}

// fillReceivers does the same for the receivers' verdicts. What an operator's file says brings its words.
func (c *Language) fillReceivers(all []verify.Receiver) {
	set := func(r *result.Reason) {
		if r.Text == "" {
			c.set(r)
		}
	}
	for i := range all {
		v := &all[i]
		set(&v.Why)
		set(&v.Hint)
		set(&v.Bulk)
		for j := range v.Rules {
			set(&v.Rules[j].Requirement)
		}
	}
}

// subject names the verdict and, where DMARC refused, that it did, so that a full mailbox can be read
// without opening anything.
func (c *Composer) subject(r *verify.Report, d policy.Decision) string {
	const title = "Authentication Report"
	if c.cfg.Compatible || d.Form.Port25() {
		return title
	}
	word := map[verify.VerdictWord]string{verify.Authenticated: "PASS", verify.NotProved: "FAIL", verify.Unknown: "UNKNOWN"}[r.Verdict.Word]
	dmarc := r.Check(verify.MethodDMARC)
	switch {
	case r.Verdict.Why.Code == verify.NotForFrom:
		word = "NOT FOR FROM"
	case r.Verdict.Word == verify.NotProved && dmarc.Result != result.None:
		word += " (DMARC)"
	}
	domain := dmarc.Identities["header.from"]
	if domain == "" || strings.HasPrefix(domain, "[") { // it is not shown
		domain = naming.Domain(r.Session.MailFrom)
	}
	return fmt.Sprintf("%s: %s %s", title, word, result.Cut(result.ASCII(domain), 100))
}

// date is RFC 5322, 3.3 in UTC.
func date(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700") }
