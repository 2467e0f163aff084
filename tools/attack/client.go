package main

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// client is a connection to the service.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

// said is an answer of the service; code is 0 where the connection failed.
type said struct {
	code int
	text string
}

func (s said) String() string { return fmt.Sprintf("%d %s", s.code, s.text) }

// connect comes from an address and says EHLO. Where it does not get that far it gives nil, and what it heard.
func connect(from netip.Addr, helo string) (*client, said) {
	to := netip.AddrPortFrom(ours4, 25)
	if from.Is6() {
		to = netip.AddrPortFrom(ours6, 25)
	}
	conn, err := dialer(from).Dial("tcp", to.String())
	if err != nil {
		return nil, said{0, err.Error()}
	}
	c := &client{conn, bufio.NewReader(conn)}
	a := c.heard()
	if a.code == 220 {
		if a = c.command("EHLO %s", helo); a.code == 250 {
			return c, a
		}
	}
	c.close()
	return nil, a
}

func (c *client) close() { _ = c.conn.Close() }

func (c *client) write(s string) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(30 * time.Second))
	_, err := c.conn.Write([]byte(s))
	return err
}

// heard reads an answer of any number of lines.
func (c *client) heard() said {
	_ = c.conn.SetReadDeadline(time.Now().Add(70 * time.Second))
	var all []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return said{0, err.Error()}
		}
		line = strings.TrimRight(line, "\r\n")
		if len(line) < 4 {
			return said{0, line}
		}
		all = append(all, line[4:])
		if line[3] != '-' {
			code, _ := strconv.Atoi(line[:3])
			return said{code, strings.Join(all, " ")}
		}
	}
}

func (c *client) command(format string, args ...any) said {
	if err := c.write(fmt.Sprintf(format, args...) + "\r\n"); err != nil {
		return said{0, err.Error()}
	}
	return c.heard()
}

// post sends one mail, and gives the first answer that ends it.
func (c *client) post(m mail) said {
	params := ""
	if strings.ContainsFunc(m.from, func(r rune) bool { return r > '~' }) {
		params = " SMTPUTF8"
	}
	if err := c.write("MAIL FROM:<" + m.from + ">" + params + "\r\nRCPT TO:<" + m.recipient() + ">\r\nDATA\r\n"); err != nil {
		return said{0, err.Error()}
	}
	var first said
	for range 3 {
		a := c.heard()
		if first.code == 0 && (a.code == 0 || a.code >= 400) {
			first = a
		}
		if a.code == 0 || a.code == 421 {
			return first
		}
	}
	if first.code > 0 {
		return first
	}
	if err := c.write(m.text() + ".\r\n"); err != nil {
		return said{0, err.Error()}
	}
	return c.heard()
}

const service = "check-auth@verifier.example.net"

// mail is one message of somebody's.
type mail struct {
	source netip.Addr
	helo   string
	from   string
	to     string // "" is the service
	header string // "" is a usual one
	body   string
}

func (m mail) text() string {
	header, body := m.header, m.body
	if header == "" {
		header = "From: <" + m.from + ">\r\nTo: <" + m.recipient() + ">\r\nSubject: test\r\n"
	}
	if body == "" {
		body = "This is a test.\r\n"
	}
	return header + "Date: " + time.Now().UTC().Format(time.RFC1123Z) + "\r\nMessage-ID: <" + word(16) + "@mail.example>\r\n\r\n" + body
}

func (m mail) recipient() string {
	if m.to != "" {
		return m.to
	}
	return service
}

// send connects, sends the mail and leaves.
func (m mail) send() said {
	c, a := connect(m.source, m.helo)
	if c == nil {
		return a
	}
	defer c.close()
	a = c.post(m)
	_ = c.write("QUIT\r\n")
	return a
}
