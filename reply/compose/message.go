package compose

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/emersion/go-message"

	"checkauth/reply"
	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// Reply makes the one message that answers a report: signed, with CRLF line ends, ready for the store.
// body is the original's.
func (c *Composer) Reply(r *verify.Report, d policy.Decision, body mail.Data, now time.Time) (reply.Entry, error) {
	to := wireAddress(d.To)
	e := reply.Entry{ID: r.ID, To: to, MessageID: "<" + r.ID + "@" + c.cfg.Host + ">", Created: now, UTF8: !plainASCII(to)}
	bufs := <-c.pool
	defer func() {
		bufs.clear()
		c.pool <- bufs
	}()
	language := c.language(r, d)
	r = forClass(r, d.Class)
	head := c.head(e.MessageID, to, c.subject(r, d), now)
	head.Set("Content-Language", language.lang)      // RFC 3282
	if id := r.Message.MessageID; wellFormedID(id) { // an unproved sender has none
		head.Set("In-Reply-To", id)
		head.Set("References", id)
	}
	parts, err := c.parts(bufs, language, r, d, body)
	if err != nil {
		return e, err
	}
	size, steps := c.cfg.Size, leftOut
	if d.Class != policy.Proved {
		size, steps = min(size, unprovedSize), leftOutUnproved
	}
	e.Body, err = c.fit(bufs, language, head, parts, size, steps, now)
	return e, err
}

// What an unproved sender gets at most, in octets: a victim of forgery must not be flooded by what costs the forger a few
// hundred. The page is cut in its shorter form before the report for programs goes.
const (
	unprovedSize = 32 << 10
	unprovedJSON = 12 << 10
)

// parts are the forms of the report, the one that must stay first. Sentences are put into the JSON last: it
// sets the English ones in r.
func (c *Composer) parts(bufs *buffers, language *Language, r *verify.Report, d policy.Decision, body mail.Data) ([]*part, error) {
	if d.Short {
		return []*part{{contentType: "text/plain; charset=utf-8", data: []byte(language.short(r, d))}}, nil
	}
	if err := language.text(&bufs.text, r, d, body); err != nil {
		return nil, err
	}
	out := []*part{{contentType: "text/plain; charset=utf-8", data: bufs.text.Bytes()}}
	if c.has(PartHTML) {
		page := language.pageOf(r, d)
		if err := language.write(&bufs.page, page); err != nil {
			return nil, err
		}
		out = append(out, &part{contentType: "text/html; charset=utf-8", data: bufs.page.Bytes(), lean: func() ([]byte, error) {
			bufs.page.Reset()
			err := language.write(&bufs.page, page.lean())
			return bufs.page.Bytes(), err
		}})
	}
	if c.has(PartJSON) {
		data, err := c.mailed(&bufs.json, deciding(r), d.Class)
		if err != nil {
			return nil, err
		}
		if data != nil {
			out = append(out, &part{contentType: "application/json; name=report.json", disposition: "attachment; filename=report.json", data: data})
		}
	}
	if c.has(PartHeaders) && d.Class == policy.Proved {
		out = append(out, &part{contentType: "text/rfc822-headers; charset=utf-8", disposition: "attachment; filename=headers.txt",
			data: []byte(joined(c.original(r, d.Class, mail.Data{})))})
	}
	return out, nil
}

func (c *Composer) has(part string) bool { return slices.Contains(c.cfg.Parts, part) }

// short is one paragraph: all that a refuted sender gets, where the operator wants it to get anything, and one of whom it is
// not known whether its domain refutes it.
func (c *Language) short(r *verify.Report, d policy.Decision) string {
	code := "short-refuted"
	if d.Class != policy.Refuted {
		code = "short-undecided"
	}
	text := c.sayPairs(code, "host", c.cfg.Host, "sender", r.Session.MailFrom, "client", r.Session.ClientIP, "date", date(r.Time))
	out := wrap(text+" "+c.reason(r.Verdict.Why), "", width) + "\n"
	if d.Never != "" {
		out += "\n" + wrap(c.sayPairs("never-again", "address", d.Never), "", width) + "\n"
	}
	return out
}

// plainASCII: RFC 6531, 3.4: any other address needs SMTPUTF8.
func plainASCII(s string) bool {
	return !strings.ContainsFunc(s, beyondASCII)
}

// wireAddress is an address as a mail is brought to it. RFC 6531, 3.2: a server without SMTPUTF8 takes a domain in
// A-labels, which every server knows; only a local part beyond ASCII has no other form.
func wireAddress(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || !plainASCII(address[:at]) || plainASCII(address[at:]) {
		return address
	}
	domain, ok := naming.Host(address[at+1:])
	if !ok {
		return address // the delivery says what is wrong with it
	}
	return address[:at+1] + domain
}

// Forward makes a mail to the operator with a message for postmaster, abuse or our own replies' address
// attached. It is never an answer to the stranger.
func (c *Composer) Forward(env verify.Envelope, original io.Reader, now time.Time) (reply.Entry, error) {
	operator := wireAddress(c.cfg.Operator)
	e := reply.Entry{ID: env.ID, To: operator, MessageID: "<" + env.ID + "@" + c.cfg.Host + ">", Created: now,
		UTF8: !plainASCII(operator)}
	raw, err := io.ReadAll(original)
	if err != nil {
		return e, fmt.Errorf("mail for the operator: %w", err)
	}
	to := result.Cut(result.ASCII(strings.Join(env.RcptTo, ", ")), 200)
	head := c.head(e.MessageID, operator, "Mail for "+to, now)
	note := c.sayPairs("forwarded-to-operator", "to", to, "from", env.MailFrom, "ip", env.Client.Addr().String(), "helo", env.Helo)
	b, err := written(&bytes.Buffer{}, head, []*part{
		{contentType: "text/plain; charset=utf-8", data: []byte(wrap(note, "", width) + "\n")},
		{contentType: opaque, disposition: "attachment; filename=message.eml", data: raw},
	})
	e.Body, err = c.signed(b, err, now)
	return e, err
}

// head has the fields of RFC 3834, 3.1 and what keeps vacation programs quiet. No Precedence.
func (c *Composer) head(id, to, subject string, now time.Time) message.Header {
	var h message.Header
	// The last one added stands on top.
	setMultipart(&h, "mixed")
	h.Set("MIME-Version", "1.0")
	h.Set("X-Auto-Response-Suppress", "All")
	h.Set("Auto-Submitted", "auto-replied")
	h.Set("Message-ID", id)
	h.Set("Date", date(now))
	h.Set("Subject", subject)
	h.Set("To", "<"+oneLine(to)+">")
	h.Set("From", "check-auth <"+c.cfg.From+">")
	return h
}

// oneLine: an address as it was taken in the envelope has no control characters; this makes sure, and
// takes out what would turn the line around.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// smaller is one way to make a reply smaller.
type smaller struct {
	lean  bool // parts that have a shorter form have that
	parts []string
}

// leftOutUnproved is leftOut for an unproved sender, who is a person with a question: the page stays longer.
var leftOutUnproved = []smaller{{}, {true, nil}, {true, []string{"report.json"}}, {true, []string{"text/html", "report.json"}}}

// leftOut are the parts that go where the whole would be too large, the first set that is enough: the text says
// all that the page does, and programs need the JSON.
var leftOut = []smaller{
	{}, {true, nil}, {true, []string{"headers.txt"}}, {true, []string{"headers.txt", "text/html"}},
	{true, []string{"headers.txt", "report.json"}}, {true, []string{"headers.txt", "text/html", "report.json"}},
}

// signatureRoom is for one: of RSA with 2048 bits it takes about 900 octets, with 4096 some 350 more.
const signatureSpace = 3 << 9

// fit leaves out parts where the whole would be too large, then the end of the text, in which the original
// stands, and says so. It is signed once.
func (c *Composer) fit(bufs *buffers, language *Language, head message.Header, parts []*part, size int, steps []smaller, now time.Time) ([]byte, error) {
	room, text := max(0, size-signatureSpace), parts[0].data
	take := func(step, keep int) ([]*part, error) {
		if steps[step].lean {
			if err := shorten(parts); err != nil {
				return nil, err
			}
		}
		return language.without(parts, steps[step].parts, keep), nil
	}
	for step := range steps {
		some, err := take(step, len(text))
		if err != nil {
			return nil, err
		}
		if octets(some) > room { // written it is longer still
			continue
		}
		if b, err := written(&bufs.wire, head, some); err != nil || len(b) <= size {
			return c.signed(b, err, now)
		}
	}
	for keep := len(text); ; {
		some, err := take(len(steps)-1, keep)
		if err != nil {
			return nil, err
		}
		b, err := written(&bufs.wire, head, some)
		if err != nil || len(b) <= size || keep == 0 {
			return c.signed(b, err, now)
		}
		// In proportion to what is over, and a tenth more: quoted-printable makes some lines longer than
		// others, and each round has to get on.
		keep = bytes.LastIndexByte(text[:keep*room/(len(b)-signatureSpace)*9/10], '\n') + 1
	}
}

func octets(parts []*part) (n int) {
	for _, p := range parts {
		n += len(p.data)
	}
	return n
}

// shorten puts the parts into their shorter forms, once.
func shorten(parts []*part) error {
	for _, p := range parts {
		if p.lean == nil {
			continue
		}
		text, err := p.lean()
		if err != nil {
			return err
		}
		p.data, p.encoded, p.lean = text, nil, nil
	}
	return nil
}

// without leaves out the parts of these names and the text behind keep, and the text says so.
func (c *Language) without(parts []*part, names []string, keep int) []*part {
	var notes []byte
	out := []*part{parts[0]}
	for _, p := range parts[1:] {
		if slices.Contains(names, p.name()) {
			notes = append(notes, c.note("part-left-out", "part", p.name(), "octets", fmt.Sprint(len(p.data)))...)
			continue
		}
		out = append(out, p)
	}
	whole := parts[0].data
	if left := len(whole) - keep; left > 0 {
		notes = append(notes, c.note("rest-left-out", "octets", fmt.Sprint(left))...)
	}
	if len(notes) > 0 {
		out[0] = &part{contentType: parts[0].contentType, data: slices.Concat(whole[:keep], notes)}
	}
	return out
}

func (c *Language) note(code string, pairs ...string) string {
	return "\n" + wrap(c.sayPairs(code, pairs...), "", width) + "\n"
}

// signed puts the signature in front of a message that has room for it there. What is not mailed has no key.
func (c *Composer) signed(b []byte, err error, now time.Time) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	if c.key == nil {
		return b[signatureSpace:], nil
	}
	field, err := c.key.Signature(b[signatureSpace:], now)
	if err != nil {
		return nil, err
	}
	if len(field) > signatureSpace {
		return nil, fmt.Errorf("a signature of %d octets: want %d at most", len(field), signatureSpace)
	}
	b = b[signatureSpace-len(field):]
	copy(b, field)
	return b, nil
}

// wellFormedID: RFC 5322, 3.6.4, without the obsolete forms; a longer one than a line holds is left out.
func wellFormedID(id string) bool {
	rest, ok := mail.CutMessageID(id, false)
	return ok && rest == "" && len(id) <= 250
}
