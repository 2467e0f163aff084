package spam

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"checkauth/verify/result"
)

// maxAnswer octets of an answer are read. A report has a few thousand.
const maxAnswer = 64 << 10

// Bounds of what is kept of a report's table.
const (
	maxRules = 200
	maxText  = 300
	maxName  = 100
)

// answer is an answer to REPORT that could be read.
type answer struct {
	spam            bool
	score, required float64
	rules           []Rule
}

// readAnswer reads the status line, the header and the report.
func readAnswer(r io.Reader) (answer, error) {
	bounded := &io.LimitedReader{R: r, N: maxAnswer + 1}
	a, err := parseAnswer(bufio.NewReader(bounded))
	if bounded.N == 0 && !isRefusal(err) {
		return answer{}, fmt.Errorf("%w: more than %d octets", ErrTooLong, maxAnswer)
	}
	return a, err
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*RefusedError](err)
	return ok
}

func parseAnswer(r *bufio.Reader) (answer, error) {
	status, err := readLine(r)
	if err != nil {
		return answer{}, err
	}
	if err := parseStatus(status); err != nil {
		return answer{}, err
	}
	header, err := readHeader(r)
	if err != nil {
		return answer{}, err
	}
	a, err := parseScore(header["spam"])
	if err != nil {
		return answer{}, err
	}
	report, err := readReport(r, header["content-length"])
	if err != nil {
		return answer{}, err
	}
	a.rules = parseTable(report)
	return a, nil
}

// readLine takes a line without its line end. The last line of a daemon that refuses may have none.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	switch {
	case err == io.EOF && line == "":
		return "", ErrClosed
	case err != nil && err != io.EOF:
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

var statusForm = regexp.MustCompile(`^SPAMD/[0-9]+\.[0-9]+ ([0-9]{1,4})(?: (.*))?$`)

func parseStatus(line string) error {
	m := statusForm.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("%w: it begins with %q", ErrUnreadable, result.Cut(line, maxText))
	}
	if code, _ := strconv.Atoi(m[1]); code != 0 {
		return &RefusedError{Code: code, Text: clean(m[2], maxText)}
	}
	return nil
}

// readHeader reads up to the empty line. Fields that we do not know are no fault, says the protocol; the
// first of two of the same name counts.
func readHeader(r *bufio.Reader) (map[string]string, error) {
	header := map[string]string{}
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return header, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%w: %q is no field", ErrUnreadable, result.Cut(line, maxText))
		}
		if name = strings.ToLower(strings.TrimSpace(name)); header[name] == "" {
			header[name] = strings.TrimSpace(value)
		}
	}
}

var scoreForm = regexp.MustCompile(`^(?i:(true|yes)|false|no) ?; ?(-?[0-9.]{1,20}) ?/ ?(-?[0-9.]{1,20})$`)

func parseScore(field string) (answer, error) {
	m := scoreForm.FindStringSubmatch(field)
	if m == nil {
		return answer{}, fmt.Errorf("%w: the field Spam says %q", ErrUnreadable, result.Cut(field, maxText))
	}
	score, ok1 := points(m[2])
	required, ok2 := points(m[3])
	if !ok1 || !ok2 {
		return answer{}, fmt.Errorf("%w: the field Spam says %q", ErrUnreadable, field)
	}
	return answer{spam: m[1] != "", score: score, required: required}, nil
}

// points: nobody gives millions, and JSON takes no infinity.
func points(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	if f == 0 {
		f = 0 // no -0.0 in a report
	}
	return f, err == nil && math.Abs(f) < 1e6
}

// readReport reads as much as the header announced, or up to the end.
func readReport(r *bufio.Reader, length string) (string, error) {
	if length == "" {
		b, err := io.ReadAll(r)
		return string(b), err
	}
	n, err := strconv.ParseUint(length, 10, 31)
	if err != nil {
		return "", fmt.Errorf("%w: Content-length is %q", ErrUnreadable, result.Cut(length, maxText))
	}
	if n > maxAnswer {
		return "", fmt.Errorf("%w: %d octets announced, %d allowed", ErrTooLong, n, maxAnswer)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err == io.EOF || err == io.ErrUnexpectedEOF {
		return "", ErrClosed
	} else if err != nil {
		return "", err
	}
	return string(b), nil
}

var (
	// The words above the table are in the daemon's language; the dashes are not.
	dashes = regexp.MustCompile(`^-{4} -{10,} -{10,}$`)
	row    = regexp.MustCompile(`^ {0,3}(-?[0-9]{1,5}(?:\.[0-9]{1,4})?) +([A-Za-z_][A-Za-z0-9_]*)(?: +(.*))?$`)
)

// parseTable reads the rows below the dashes, up to an empty line. A row's text goes on in lines that
// begin with white space. A report without a table gives none: the operator may have written his own.
func parseTable(report string) []Rule {
	rules := []Rule{}
	inside := false
	for line := range strings.Lines(report) {
		line = strings.TrimRight(line, "\r\n")
		switch m := row.FindStringSubmatch(line); {
		case !inside:
			inside = dashes.MatchString(line)
		case strings.TrimSpace(line) == "" || len(rules) == maxRules:
			return rules
		case m != nil:
			p, _ := points(m[1])
			rules = append(rules, Rule{Points: p, Name: result.Cut(m[2], maxName), Text: clean(m[3], maxText), Test: testRules[m[2]]})
		case len(rules) > 0 && line[0] == ' ':
			last := &rules[len(rules)-1]
			last.Text = clean(last.Text+" "+strings.TrimSpace(line), maxText)
		}
	}
	return rules
}

// clean is for JSON, which takes UTF-8 alone.
func clean(s string, n int) string {
	return result.Cut(strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD")), n)
}
