package deliver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"checkauth/verify/result"
)

// The bounds of one answer. RFC 5321, 4.5.3.1.5: a reply line has at most 512 octets; some have more.
const (
	maxLine   = 2 << 10
	maxLines  = 100
	maxAnswer = 64 << 10
)

// maxText is how much of a server's text is kept.
const maxText = 500

// What is wrong with an answer.
var (
	errLongLine   = fmt.Errorf("a line of the answer has more than %d octets", maxLine)
	errLongAnswer = fmt.Errorf("the answer has more than %d lines or %d octets", maxLines, maxAnswer)
	errNoAnswer   = errors.New("not an SMTP answer")
)

// answer is what a server said: RFC 5321, 4.2.
type answer struct {
	code  int
	lines []string // without codes; a stranger's text
}

// class is the first digit, which is what decides (RFC 5321, 4.3.2).
func (a answer) class() int { return a.code / 100 }

// text is for people: one line, no controls, not long.
func (a answer) text() string {
	return result.Cut(result.Clean(strings.Join(a.lines, " ")), maxText)
}

// hide takes secrets out of what a server says: some like to repeat what they refuse.
func (a answer) hide(secrets []string) {
	for i := range a.lines {
		for _, secret := range secrets {
			if secret != "" {
				a.lines[i] = strings.ReplaceAll(a.lines[i], secret, "(hidden)")
			}
		}
	}
}

// readAnswer reads one answer. in has a buffer of maxLine octets, so no line takes more memory.
func readAnswer(in *bufio.Reader) (a answer, err error) {
	size := 0
	for more := true; more; {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return a, errLongLine
		case errors.Is(err, io.EOF):
			return a, fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return a, err
		}
		if size += len(line); size > maxAnswer || len(a.lines) == maxLines {
			return a, errLongAnswer
		}
		var text string
		// RFC 5321, 4.2.1: all lines have the same code. Where they do not, the last one ends the
		// answer, so it is the one that counts.
		a.code, text, more, err = readLine(strings.TrimRight(string(line), "\r\n"))
		if err != nil {
			return a, err
		}
		a.lines = append(a.lines, text)
	}
	return a, nil
}

// readLine takes a reply line apart: RFC 5321, 4.2: three digits, the first one 2 to 5, then a space
// or, where more lines follow, a hyphen.
func readLine(line string) (code int, text string, more bool, err error) {
	bad := fmt.Errorf("%w: %q", errNoAnswer, result.Cut(line, maxText))
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, "", false, bad
	}
	for _, c := range []byte(line[1:3]) {
		if c < '0' || c > '9' {
			return 0, "", false, bad
		}
	}
	if code, err = strconv.Atoi(line[:3]); err != nil {
		return 0, "", false, bad
	}
	if len(line) == 3 { // RFC 5321, 4.2: a client takes a code without a space behind it
		return code, "", false, nil
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, "", false, bad
	}
	return code, line[4:], line[3] == '-', nil
}

// refusal is an answer that says no, or says what nobody asked for.
type refusal struct {
	command string
	answer  answer
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s: %d %s", r.command, r.answer.code, r.answer.text())
}
