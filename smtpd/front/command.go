package front

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

var (
	errForeign  = errors.New("a command begins with a letter")
	errBareLF   = errors.New("a command ends in CR LF")
	errLongLine = errors.New("the command is too long")
)

// readLine reads one command without its line end; the deadline is that of the whole line. RFC 5321,
// 2.3.8: only CR LF ends a line; a bare LF is refused, so that no two readers can see two dialogues.
func (c *Conn) readLine() (string, error) {
	c.wait.command(c)
	c.line = c.line[:0]
	for {
		b, err := c.in.ReadByte()
		switch {
		case err != nil:
			return string(c.line), err
		case b == '\n' && len(c.line) > 0 && c.line[len(c.line)-1] == '\r':
			return string(c.line[:len(c.line)-1]), nil
		case b == '\n':
			return string(c.line), errBareLF
		case len(c.line) == 0 && b != '\r' && !letter(b):
			c.line = append(c.line, b)
			return string(c.line), errForeign
		case len(c.line) == c.cfg.Line:
			return string(c.line), errLongLine
		}
		c.line = append(c.line, b)
	}
}

// next reads a command and gives the line that go-smtp is to see; nil where it was answered here.
func (c *Conn) next() []byte {
	if r := c.wait.stopped(); r != nil {
		c.drop(r, "shutdown", nil)
		return nil
	}
	c.tried = ""
	line, err := c.readLine()
	c.counts.commands++
	if line != "" {
		c.note(true, masked(line))
	}
	if err == nil {
		c.hear()
	}
	switch {
	case err == nil && c.counts.commands > c.cfg.Commands:
		c.drop(refusal(421, 4, 7, 0, "Too many commands, closing connection"), "too many commands", nil)
	case err == nil:
		return c.dispatch(line)
	case errors.Is(err, errForeign):
		c.drop(refusal(554, 5, 5, 2, "This is no SMTP, closing connection"), "no SMTP", nil)
	case errors.Is(err, errLongLine):
		c.drop(refusal(500, 5, 5, 2, "Line too long, closing connection"), "command too long", nil)
	case errors.Is(err, errBareLF):
		c.refuse(500, 5, 5, 2, "A command ends in CR LF")
	default:
		c.broke(err)
	}
	return nil
}

// broke ends the connection after a read error: with a word where it is our deadline.
func (c *Conn) broke(err error) {
	if timeout(err) {
		r, why := c.wait.reason(c)
		c.drop(r, why, nil)
		return
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	why := ""
	if c.state.mail {
		why = "client left within a transaction"
	}
	c.leave(why, err)
}

// commands are those that go-smtp may see.
var commands = map[string]func(c *Conn, verb, arg string) []byte{
	"EHLO": (*Conn).greet,
	"HELO": (*Conn).greet,
	"MAIL": (*Conn).path,
	"RCPT": (*Conn).path,
	"DATA": (*Conn).pass,
	"RSET": (*Conn).pass,
	"NOOP": (*Conn).pass,
	"VRFY": (*Conn).pass,
	"QUIT": (*Conn).pass,
}

// known commands that we do not take. RFC 5321, 4.2.4: 502 where 500 would say "no such command".
var known = map[string]bool{"HELP": true, "EXPN": true, "SEND": true, "SOML": true, "SAML": true, "TURN": true,
	"ETRN": true, "ATRN": true, "AUTH": true, "LHLO": true, "BURL": true}

// browsers are the first words of HTTP: a web page can make a browser send them here, with a body that
// looks like SMTP behind them.
var browsers = map[string]bool{"GET": true, "POST": true, "CONNECT": true, "PUT": true, "HEAD": true, "OPTIONS": true,
	"DELETE": true, "PATCH": true, "TRACE": true, "PRI": true}

func (c *Conn) dispatch(line string) []byte {
	// RFC 5321, 4.1.1: white space before the line end is no part of a command.
	line = strings.TrimRight(line, " \t")
	verb, arg, _ := strings.Cut(line, " ")
	verb, arg = strings.ToUpper(verb), strings.TrimSpace(arg)
	c.tried = verb
	switch {
	case browsers[verb]:
		c.drop(refusal(554, 5, 5, 2, "This is no SMTP, closing connection"), "no SMTP", nil)
	case control(line):
		return c.refuse(501, 5, 5, 2, "Control characters are not allowed")
	case verb == "STARTTLS":
		return c.startTLS(arg)
	case verb == "BDAT":
		// RFC 3030, 2: a chunk follows whatever we say, so there is no way back to the next command.
		c.drop(refusal(502, 5, 5, 1, "BDAT is not offered, closing connection"), "BDAT", nil)
	case commands[verb] != nil:
		if r := c.misplaced(verb); r != "" {
			return c.refuse(503, 5, 5, 1, r)
		}
		return commands[verb](c, verb, arg)
	case known[verb]:
		return c.refuse(502, 5, 5, 1, "Command not implemented")
	default:
		return c.refuse(500, 5, 5, 2, "Command not known")
	}
	return nil
}

// misplaced: RFC 5321, 4.1.4: the order of commands. go-smtp has it too, but it forgets nothing at
// STARTTLS, for it knows nothing of it, and keeps recipients over a second MAIL.
func (c *Conn) misplaced(verb string) string {
	switch {
	case verb == "MAIL" && !c.state.greeted:
		return "EHLO or HELO first"
	case verb == "RCPT" && !c.state.mail:
		return "MAIL first"
	case verb == "DATA" && (!c.state.mail || c.state.rcpts == 0):
		return "No recipient was accepted"
	}
	return ""
}

// greet hands on a placeholder: go-smtp repeats the name in its reply, and it is a stranger's.
func (c *Conn) greet(verb, arg string) []byte {
	if arg == "" {
		return c.refuse(501, 5, 5, 4, "Your name is missing")
	}
	c.verb, c.arg = verb, arg
	return []byte(verb + " client\r\n")
}

func (c *Conn) path(verb, arg string) []byte {
	arg, r := c.handler.Argument(verb, arg)
	if r != nil {
		return c.refuse(r.Code, r.EnhancedCode[0], r.EnhancedCode[1], r.EnhancedCode[2], r.Message)
	}
	return c.pass(verb, arg)
}

func (c *Conn) pass(verb, arg string) []byte {
	c.verb, c.arg = verb, arg
	if arg != "" {
		verb += " " + arg
	}
	return []byte(verb + "\r\n")
}

// refuse answers a command here.
func (c *Conn) refuse(code, class, subject, detail int, text string) []byte {
	c.say(refusal(code, class, subject, detail, text))
	c.handler.Refused(c.tried, code, fmt.Sprintf("%d.%d.%d %s", class, subject, detail, text))
	c.count(code)
	c.finish()
	return nil
}

func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

func control(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
