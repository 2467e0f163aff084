package front

import (
	"slices"
	"strings"
	"time"

	"checkauth/verify"
)

// Bounds of a transcript: what is beyond is left out.
const (
	maxLines = 300
	maxText  = 500 // octets of a line
)

type transcript struct{ lines []verify.Line }

func (c *Conn) note(client bool, text string) {
	if len(c.script.lines) < maxLines {
		text = strings.Clone(text[:min(len(text), maxText)])
		c.script.lines = append(c.script.lines, verify.Line{Client: client, Text: text, After: time.Since(c.began)})
	}
}

func (t *transcript) copy() []verify.Line { return slices.Clone(t.lines) }

// masked hides what a client sends with AUTH: the transcript is mailed in clear text.
func masked(line string) string {
	if len(line) < 5 || !strings.EqualFold(line[:5], "AUTH ") {
		return line
	}
	mechanism, _, _ := strings.Cut(strings.TrimSpace(line[5:]), " ")
	if len(mechanism) > 20 { // RFC 4422, 3.1: longer is no mechanism
		mechanism = ""
	}
	return "AUTH " + mechanism + " ***"
}
