package front

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// complete tells whether the last line of a reply is there: RFC 5321, 4.2.1: its code is followed by a
// space.
func complete(b []byte) bool {
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		return false
	}
	last := b[:len(b)-2]
	if i := bytes.LastIndex(last, []byte("\r\n")); i >= 0 {
		last = last[i+2:]
	}
	return len(last) < 4 || last[3] == ' '
}

// answer edits a reply of go-smtp, sends it and follows the dialogue.
func (c *Conn) answer(reply [][]byte) {
	if len(reply[0]) < 4 {
		c.leave("unreadable reply of go-smtp", nil)
		return
	}
	code := 0
	_, _ = fmt.Sscanf(string(reply[0][:3]), "%d", &code) // 0 is no code that follow knows
	texts := make([]string, len(reply))
	for i, l := range reply {
		texts[i] = string(l[min(4, len(l)):])
	}
	final := c.data != nil
	if final {
		c.heard = asked
	}
	c.send(code, c.edit(code, texts))
	c.follow(code)
	if !final {
		if code >= 400 {
			c.handler.Refused(c.verb, code, texts[len(texts)-1])
		}
		c.count(code)
	}
	c.finish()
}

// edit: go-smtp repeats names and addresses of strangers in its replies, announces CHUNKING, knows
// nothing of our STARTTLS, and gives 2.0.0 for everything (RFC 3463, 3.2 has better).
func (c *Conn) edit(code int, texts []string) []string {
	if code != 250 {
		return texts
	}
	switch c.verb {
	case "EHLO":
		texts = slices.DeleteFunc(texts, func(s string) bool { return s == "CHUNKING" || strings.HasPrefix(s, "AUTH") })
		texts[0] = c.cfg.Host
		if c.cfg.TLS != nil && c.tls == nil {
			texts = slices.Insert(texts, 1, "STARTTLS")
		}
	case "HELO":
		return []string{c.cfg.Host}
	case "MAIL":
		return []string{"2.1.0 Sender taken"}
	case "RCPT":
		return []string{"2.1.5 Recipient taken"}
	}
	return texts
}

// follow keeps the state of the dialogue after a reply of go-smtp.
func (c *Conn) follow(code int) {
	ok := code == 250
	switch {
	case c.data != nil:
		c.wait.evaluated(c.data.ended)
		c.data = nil
		c.clear()
	case c.verb == "DATA" && code == 354:
		c.data = &Data{c: c}
		c.wait.data(c)
	case (c.verb == "EHLO" || c.verb == "HELO") && ok:
		c.clear()
		c.state.helo, c.state.esmtp, c.state.greeted = c.arg, c.verb == "EHLO", true
		if c.tls == nil {
			c.wait.come(greeted)
		} else {
			c.wait.come(greetedAgain)
		}
	case c.verb == "RSET":
		c.clear()
	case c.verb == "MAIL":
		c.clear()
		c.state.mail = ok
		c.wait.busy(ok)
		if ok {
			c.wait.come(sender)
		}
	case c.verb == "RCPT" && ok:
		c.state.rcpts++
		c.wait.come(recipient)
	}
	if c.verb == "" {
		c.verb = "NOOP" // greeted
	}
}

// clear forgets the transaction.
func (c *Conn) clear() {
	c.state.mail, c.state.rcpts = false, 0
	c.wait.busy(false)
}

// count takes refused commands; the answer to a message is none.
func (c *Conn) count(code int) {
	if code < 500 {
		return
	}
	c.counts.errors++
	if c.counts.errors >= c.cfg.Errors && c.last == nil {
		c.last = refusal(421, 4, 7, 0, "Too many errors, closing connection")
	}
}

// finish ends the connection where that is due after a reply.
func (c *Conn) finish() {
	if c.last != nil {
		c.drop(c.last, c.last.Message, nil)
	}
}

// say sends a reply of our own.
func (c *Conn) say(r *smtp.SMTPError) {
	e := r.EnhancedCode
	c.send(r.Code, []string{fmt.Sprintf("%d.%d.%d %s", e[0], e[1], e[2], r.Message)})
}

// send writes a whole reply at once.
func (c *Conn) send(code int, texts []string) {
	if c.gone {
		return
	}
	var b []byte
	for i, text := range texts {
		sep := "-"
		if i == len(texts)-1 {
			sep = " "
		}
		line := fmt.Sprintf("%03d%s%s", code, sep, text)
		c.note(false, line)
		b = append(append(b, line...), "\r\n"...)
	}
	if c.heard == asked && c.wait.silent(c) {
		c.heard = open
	}
	_ = c.SetWriteDeadline(time.Now().Add(c.cfg.Write))
	if _, err := c.stream.Write(b); err != nil {
		c.leave("reply not written", err)
	}
}
