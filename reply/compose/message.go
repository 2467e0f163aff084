package compose

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-message"

	"checkauth/reply"
	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// Reply makes the one message that answers a report: signed, with CRLF line ends, ready for the store.
// body is the original's.
func (c *Composer) Reply(r *verify.Report, d policy.Decision, body mail.Data, now time.Time) (reply.Entry, error) {
	text, err := c.Text(r, d, body)
	if err != nil {
		return reply.Entry{}, err
	}
	data, err := c.JSON(r, d.Class)
	if err != nil {
		return reply.Entry{}, err
	}
	e := reply.Entry{ID: r.ID, To: r.Session.MailFrom, MessageID: "<" + r.ID + "@" + c.cfg.Host + ">", Created: now}
	head := c.head(e.MessageID, r.Session.MailFrom, c.subject(r), now)
	if id := r.Message.MessageID; wellFormedID(id) {
		head.Set("In-Reply-To", id)
		head.Set("References", id)
	}
	parts := []part{{"text/plain; charset=utf-8", "", "quoted-printable", []byte(text)},
		{"application/json; name=report.json", "attachment; filename=report.json", "base64", data},
		{"text/rfc822-headers; charset=utf-8", "attachment; filename=headers.txt", "quoted-printable",
			[]byte(strings.Join(c.original(r, d.Class, mail.Data{}), "\n") + "\n")}}
	e.Body, err = c.fit(head, parts, now)
	if err != nil {
		return reply.Entry{}, err
	}
	e.UTF8 = !plainASCII(e.To)
	return e, nil
}

// plainASCII: RFC 6531, 3.4: any other address needs SMTPUTF8.
func plainASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// Forward makes a mail to the operator with a message for postmaster, abuse or our own replies' address
// attached. It is never an answer to the stranger.
func (c *Composer) Forward(env verify.Envelope, original io.Reader, now time.Time) (reply.Entry, error) {
	e := reply.Entry{ID: env.ID, To: c.cfg.Operator, MessageID: "<" + env.ID + "@" + c.cfg.Host + ">", Created: now,
		UTF8: !plainASCII(c.cfg.Operator)}
	raw, err := io.ReadAll(original)
	if err != nil {
		return e, fmt.Errorf("mail for the operator: %w", err)
	}
	to := result.Cut(result.ASCII(strings.Join(env.RcptTo, ", ")), 200)
	head := c.head(e.MessageID, c.cfg.Operator, "Mail for "+to, now)
	note := c.sayPairs("forwarded-to-operator", "to", to, "from", env.MailFrom, "ip", env.Client.Addr().String(), "helo", env.Helo)
	e.Body, err = c.sealed(head, now, []part{
		{"text/plain; charset=utf-8", "", "quoted-printable", []byte(wrap(note, "", width) + "\n")},
		{"application/octet-stream; name=message.eml", "attachment; filename=message.eml", "base64", raw},
	})
	return e, err
}

// head has the fields of RFC 3834, 3.1 and what keeps vacation programs quiet. No Precedence.
func (c *Composer) head(id, to, subject string, now time.Time) message.Header {
	var h message.Header
	// The last one added stands on top.
	h.SetContentType("multipart/mixed", nil)
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

type part struct {
	contentType, disposition, encoding string
	data                               []byte
}

// fit leaves out the last parts where the whole would be too large, then the end of the text, in which
// the original stands, and says so.
func (c *Composer) fit(head message.Header, parts []part, now time.Time) ([]byte, error) {
	text, keep := parts[0].data, len(parts[0].data)
	var notes []byte
	for {
		parts[0].data = slices.Concat(text[:keep], notes)
		if keep < len(text) {
			parts[0].data = append(parts[0].data, c.note("rest-left-out", "octets", fmt.Sprint(len(text)-keep))...)
		}
		b, err := c.sealed(head, now, parts)
		switch {
		case err != nil || len(b) <= c.cfg.Size || keep == 0:
			return b, err
		case len(parts) > 1:
			last := parts[len(parts)-1]
			parts = parts[:len(parts)-1]
			notes = append(notes, c.note("part-left-out", "part", strings.TrimPrefix(last.disposition, "attachment; filename="), "octets", fmt.Sprint(len(last.data)))...)
		default:
			// In proportion to what is over, and a tenth more: quoted-printable makes some lines longer than
			// others, and each round has to get on.
			keep = bytes.LastIndexByte(text[:keep*c.cfg.Size/len(b)*9/10], '\n') + 1
		}
	}
}

func (c *Composer) note(code string, pairs ...string) string {
	return "\n" + wrap(c.sayPairs(code, pairs...), "", width) + "\n"
}

// sealed writes the MIME message and signs it.
func (c *Composer) sealed(head message.Header, now time.Time, parts []part) ([]byte, error) {
	var b bytes.Buffer
	head = head.Copy()
	w, err := message.CreateWriter(&b, head)
	if err != nil {
		return nil, fmt.Errorf("composing the reply: %w", err)
	}
	for _, p := range parts {
		if err := write(w, p); err != nil {
			return nil, fmt.Errorf("composing the reply's %s: %w", p.contentType, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("composing the reply: %w", err)
	}
	if c.key == nil {
		return b.Bytes(), nil
	}
	return c.key.Sign(b.Bytes(), now)
}

func write(w *message.Writer, p part) error {
	var h message.Header
	h.Set("Content-Transfer-Encoding", p.encoding)
	if p.disposition != "" {
		h.Set("Content-Disposition", p.disposition)
	}
	h.Set("Content-Type", p.contentType)
	pw, err := w.CreatePart(h)
	if err != nil {
		return err
	}
	if strings.HasPrefix(p.contentType, "text/") {
		p.data = bytes.ReplaceAll(p.data, []byte("\n"), []byte("\r\n"))
	}
	if _, err := pw.Write(p.data); err != nil {
		return err
	}
	return pw.Close()
}

// wellFormedID: RFC 5322, 3.6.4, without the obsolete forms; a longer one than a line holds is left out.
func wellFormedID(id string) bool {
	if len(id) > 250 || len(id) < 5 || id[0] != '<' || id[len(id)-1] != '>' {
		return false
	}
	left, right, ok := strings.Cut(id[1:len(id)-1], "@")
	return ok && isDotAtom(left) && (isDotAtom(right) || isNoFold(right))
}

func isDotAtom(s string) bool {
	for a := range strings.SplitSeq(s, ".") {
		if a == "" || strings.Trim(a, atext) != "" {
			return false
		}
	}
	return true
}

// isNoFold is a no-fold-literal.
func isNoFold(s string) bool {
	if len(s) < 2 || s[0] != '[' || s[len(s)-1] != ']' {
		return false
	}
	for _, c := range []byte(s[1 : len(s)-1]) {
		if c <= ' ' || c > '~' || c == '[' || c == ']' || c == '\\' {
			return false
		}
	}
	return true
}

// atext of RFC 5322, 3.2.3.
const atext = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"
