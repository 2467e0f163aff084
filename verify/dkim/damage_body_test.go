package dkim

import (
	"regexp"
	"slices"
	"strings"

	"checkauth/verify/result"
)

const (
	footerText = "\r\n-- \r\nThis e-mail was scanned by Guardian AntiVirus.\r\nIt is confidential.\r\n"
	bannerText = "CAUTION: This e-mail came from outside.\r\n\r\n"
	partText   = "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n" +
		"Content-Disposition: inline\r\n\r\nThis e-mail was scanned.\r\n"
)

// With the transfer encoding or the charset a field of the header changes, or comes in.
var encodingFields = []result.Code{"dkim-header-rewritten", "dkim-header-added"}

var anyBoundary = regexp.MustCompile(`boundary="([^"]*)"`)

func (l letter) boundary() string {
	if m := anyBoundary.FindStringSubmatch(l.value("Content-Type")); m != nil {
		return m[1]
	}
	return ""
}

func isEmpty(o specimen) bool { return o.body == "" }

func hasTrailing(o specimen) bool { return wspEOL.MatchString(o.body) }

func amongst(names ...string) func(specimen) bool {
	return func(o specimen) bool { return slices.Contains(names, o.name) }
}

func unless(f func(specimen) bool) func(specimen) bool { return func(o specimen) bool { return !f(o) } }

// onBody makes a change of the body alone.
func onBody(f func(string) string) func(*letter) bool {
	return func(l *letter) bool { return l.setBody(f(l.body)) }
}

func swapAll(old, with string) func(*letter) bool {
	return onBody(func(s string) string { return strings.ReplaceAll(s, old, with) })
}

// matched changes what a regular expression finds.
func swapMatches(expr, with string) func(*letter) bool {
	re := regexp.MustCompile(expr)
	return onBody(func(s string) string { return re.ReplaceAllString(s, with) })
}

// onLines changes each line.
func onLines(f func(string) string) func(string) string {
	return func(s string) string {
		lines := strings.Split(s, "\r\n")
		for i, line := range lines {
			lines[i] = f(line)
		}
		return strings.Join(lines, "\r\n")
	}
}

func wrapHard(limit int, with string) func(*letter) bool {
	return onBody(onLines(func(line string) string {
		var out strings.Builder
		for len(line) > limit {
			out.WriteString(line[:limit] + with)
			line = line[limit:]
		}
		return out.String() + line
	}))
}

// wordWrap breaks at the last space that lets the line be no longer than the limit.
func wrapWords(limit int, with string) func(*letter) bool {
	return onBody(onLines(func(line string) string {
		var out strings.Builder
		for len(line) > limit {
			i := strings.LastIndexByte(line[:limit+1], ' ')
			if i <= 0 {
				break
			}
			out.WriteString(line[:i] + with)
			line = line[i+1:]
		}
		return out.String() + line
	}))
}

func tabsExpanded(line string) string {
	var b strings.Builder
	for _, c := range []byte(line) {
		if c != '\t' {
			b.WriteByte(c)
			continue
		}
		b.WriteString("        "[b.Len()%8:])
	}
	return b.String()
}

// reencode changes the transfer encoding of a body that is no multipart, as a gateway does.
func reencode(from, to string, f func(string) string) func(*letter) bool {
	return func(l *letter) bool {
		is := strings.TrimSpace(l.value("Content-Transfer-Encoding"))
		if l.boundary() != "" || is != from || !l.setBody(f(l.body)) {
			return false
		}
		return l.set("Content-Transfer-Encoding", " "+to)
	}
}

// reencodePart does that to the first part of a multipart that has the encoding.
func reencodePart(from, to string, f func(string) string) func(*letter) bool {
	return func(l *letter) bool {
		field := "Content-Transfer-Encoding: " + from + "\r\n"
		i := strings.Index(l.body, field)
		if l.boundary() == "" || i < 0 {
			return false
		}
		start := i + strings.Index(l.body[i:], "\r\n\r\n") + 4
		end := start + strings.Index(l.body[start:], "\r\n--"+l.boundary())
		content := f(l.body[start:end])
		return l.setBody(l.body[:i] + strings.Replace(l.body[i:start], from, to, 1) + content + l.body[end:])
	}
}

// partInBase64 is the content of a part: the line end before the delimiter is not of it.
func partInBase64(s string) string { return strings.TrimSuffix(wire(gatewayBase64(s)), "\r\n") }

// inTextPart puts something at the end of the first part's text, or in front of it.
func inTextPart(front, end string) func(*letter) bool {
	return func(l *letter) bool {
		b := l.boundary()
		if b == "" {
			return false
		}
		start := strings.Index(l.body, "\r\n\r\n") + 4
		if strings.HasPrefix(l.body, "This is") {
			start = strings.Index(l.body, "8bit\r\n\r\n") + 8
		}
		stop := start + strings.Index(l.body[start:], "\r\n--"+b)
		return l.setBody(l.body[:start] + front + l.body[start:stop] + end + l.body[stop:])
	}
}

func inBothParts(l *letter) bool {
	return strings.Contains(l.body, "</body>") && inTextPart("", strings.TrimSuffix(footerText, "\r\n"))(l) &&
		swapAll("</body>", "<p>This e-mail was scanned by Guardian AntiVirus.</p></body>")(l)
}

func withPart(l *letter) bool {
	b := l.boundary()
	return b != "" && swapAll("\r\n--"+b+"--", "\r\n"+strings.ReplaceAll(partText, "%s", b)+"--"+b+"--")(l)
}

// likeMailman puts the message into a multipart/mixed with the list's footer.
func likeMailman(l *letter) bool {
	const b = "===============0123456789=="
	if l.body == "" {
		return false
	}
	inner := ""
	for _, name := range []string{"Content-Type", "Content-Transfer-Encoding"} {
		if i := l.at(name); i >= 0 {
			inner += l.fields[i] + "\r\n"
			l.fields = slices.Delete(l.fields, i, i+1)
		}
	}
	if inner == "" {
		inner = "Content-Type: text/plain; charset=\"us-ascii\"\r\nContent-Transfer-Encoding: 7bit\r\n"
		l.add("MIME-Version: 1.0")
	}
	l.add("Content-Type: multipart/mixed; boundary=\"" + b + "\"")
	return l.setBody("--" + b + "\r\n" + inner + "\r\n" + l.body + "\r\n" + strings.ReplaceAll(partText, "%s", b) + "\r\n--" + b + "--\r\n")
}

func otherBoundary(l *letter) bool {
	b := l.boundary()
	return b != "" && swapAll("--"+b, "--new_boundary.42")(l) &&
		l.set("Content-Type", strings.ReplaceAll(l.value("Content-Type"), b, "new_boundary.42"))
}

func toUTF8(l *letter) bool {
	return l.set("Content-Type", strings.ReplaceAll(l.value("Content-Type"), "iso-8859-1", "utf-8")) && l.setBody(latin1AsUTF8(l.body))
}

// lessPart takes the last part out of a multipart.
func lessPart(l *letter) bool {
	b := l.boundary()
	if b == "" {
		return false
	}
	end := strings.Index(l.body, "--"+b+"--")
	return l.setBody(l.body[:strings.LastIndex(l.body[:end], "--"+b)] + l.body[end:])
}

func withCopies(s *signing) { s.copies = true }

var onlyChanged = []result.Code{"dkim-body-changed"}

// bodyDamages are the changes of a body on its way.
var bodyDamages = []damage{
	{name: "a footer", change: onBody(func(s string) string { return s + footerText }),
		want: []result.Code{"dkim-body-changed-footer"}, says: map[string]string{"text": "Guardian"}, fits: unless(isEmpty)},
	{name: "text in an empty body", change: onBody(func(s string) string { return s + bannerText }),
		want: []result.Code{"dkim-body-changed-footer", "dkim-body-changed-banner"}, fits: isEmpty},
	{name: "a footer of one line", change: onBody(func(s string) string { return s + "Sent by Example\r\n" }),
		want: []result.Code{"dkim-body-changed-footer"}, says: map[string]string{"lines": "1", "text": "Sent by Example"}, fits: unless(isEmpty)},
	{name: "a footer in the text part", change: inTextPart("", strings.TrimSuffix(footerText, "\r\n")),
		want: []result.Code{"dkim-body-changed-footer"}, says: map[string]string{"text": "Guardian"}},
	{name: "a footer in both parts", change: inBothParts, want: append([]result.Code{"dkim-body-changed-footer"}, onlyChanged...)},
	{name: "a banner", change: onBody(func(s string) string { return bannerText + s }),
		want: []result.Code{"dkim-body-changed-banner"}, says: map[string]string{"text": "CAUTION"}, fits: unless(isEmpty)},
	{name: "a banner in the text part", change: inTextPart(bannerText, ""),
		want: []result.Code{"dkim-body-changed-banner"}, says: map[string]string{"text": "CAUTION"}},
	{name: "a header line in front", change: onBody(func(s string) string { return "X-Scanned: yes\r\n\r\n" + s }),
		want: []result.Code{"dkim-body-changed-banner"}, says: map[string]string{"text": "X-Scanned"}, fits: unless(isEmpty)},
	{name: "an empty line in front", change: onBody(func(s string) string { return "\r\n" + s }),
		want: []result.Code{"dkim-body-changed-banner", "dkim-body-whitespace"}, fits: unless(isEmpty)},
	{name: "a part added", change: withPart, want: []result.Code{"dkim-body-part-added"}},
	{name: "wrapped by a list", change: likeMailman, want: []result.Code{"dkim-body-part-added"}, also: encodingFields},
	{name: "a part removed", change: lessPart, want: onlyChanged},
	{name: "a word changed", change: swapAll("is", "was"), want: onlyChanged},

	{name: "CR doubled", change: swapAll("\r\n", "\r\r\n"), want: []result.Code{"dkim-body-cr-added"}},
	{name: "signature mark stripped", change: swapAll("-- \r\n", "--\r\n"), want: []result.Code{"dkim-body-whitespace"}},
	{name: "trailing space stripped", change: swapMatches(`[ \t]+\r\n`, "\r\n"), want: []result.Code{"dkim-body-whitespace"},
		unsure: unless(amongst("a signature"))},
	{name: "trailing space added", change: swapMatches(`\r\n`, " \r\n"), want: []result.Code{"dkim-body-whitespace"}, unsure: hasTrailing},
	{name: "white space made one", change: swapMatches(`[ \t]{2,}|\t`, " "), want: append([]result.Code{"dkim-body-whitespace"}, onlyChanged...)},

	{name: "broken at 76", change: wrapHard(76, "\r\n"), want: []result.Code{"dkim-body-rewrapped"}, says: map[string]string{"limit": "76"}},
	{name: "broken at 78", change: wrapHard(78, "\r\n"), want: []result.Code{"dkim-body-rewrapped"}, says: map[string]string{"limit": "78"}},
	{name: "broken at 998", change: wrapHard(998, "\r\n"), want: []result.Code{"dkim-body-rewrapped"}, says: map[string]string{"limit": "998"}},
	{name: "broken at 998 with a space", change: wrapHard(998, "\r\n "), want: []result.Code{"dkim-body-rewrapped"}, says: map[string]string{"limit": "998"}},
	{name: "words wrapped at 76", change: wrapWords(76, "\r\n"), want: []result.Code{"dkim-body-rewrapped"}, says: map[string]string{"limit": "76"}},
	{name: "words wrapped at 78", change: wrapWords(78, "\r\n"), want: []result.Code{"dkim-body-rewrapped"}, says: map[string]string{"limit": "78"}},
	{name: "words wrapped at 998", change: wrapWords(998, "\r\n"), want: []result.Code{"dkim-body-rewrapped"}, says: map[string]string{"limit": "998"}},
	{name: "words wrapped at 76 and a space", change: wrapWords(76, " \r\n"), want: []result.Code{"dkim-body-rewrapped"}},
	{name: "words wrapped at 76 with their space", change: wrapWords(75, " \r\n"), want: []result.Code{"dkim-body-rewrapped"},
		unsure: amongst("quoted-printable with soft breaks")},
	{name: "tabs expanded", change: onBody(onLines(tabsExpanded)), want: []result.Code{"dkim-body-tabs"}, unsure: amongst("trailing spaces and tabs")},

	{name: "dots doubled", change: swapMatches(`(^|\n)\.`, "$1.."), want: []result.Code{"dkim-body-dots"}},
	{name: "dots undone", change: swapMatches(`(^|\n)\.`, "$1"), want: []result.Code{"dkim-body-dots"}, unsure: amongst("dots at line starts")},
	{name: "From escaped", change: swapMatches(`(^|\n)From `, "$1>From "), want: []result.Code{"dkim-body-from-escaped"}},

	{name: "8bit to quoted-printable", change: reencode("8bit", "quoted-printable", gatewayQP), want: []result.Code{"dkim-body-reencoded"},
		also: encodingFields, says: map[string]string{"was": "8bit", "is": "quoted-printable"}},
	{name: "7bit to quoted-printable", change: reencode("7bit", "quoted-printable", gatewayQP), want: []result.Code{"dkim-body-reencoded"},
		also: encodingFields, says: map[string]string{"was": "7bit|8bit", "is": "quoted-printable"}},
	{name: "8bit to base64", change: reencode("8bit", "base64", func(s string) string { return wire(gatewayBase64(s)) }),
		want: []result.Code{"dkim-body-reencoded"}, also: encodingFields, says: map[string]string{"was": "8bit", "is": "base64"}},
	{name: "7bit to base64", change: reencode("7bit", "base64", func(s string) string { return wire(gatewayBase64(s)) }),
		want: []result.Code{"dkim-body-reencoded"}, also: encodingFields, says: map[string]string{"was": "7bit|8bit", "is": "base64"}, fits: unless(isEmpty)},
	{name: "quoted-printable to 8bit", change: reencode("quoted-printable", "8bit", gatewayFromQP), want: []result.Code{"dkim-body-reencoded"},
		also: encodingFields, says: map[string]string{"was": "quoted-printable", "is": "8bit"}, unsure: amongst("quoted-printable with soft breaks")},
	{name: "base64 to 8bit", change: reencode("base64", "8bit", gatewayFromBase64), want: []result.Code{"dkim-body-reencoded"},
		also: encodingFields, says: map[string]string{"was": "base64", "is": "8bit"}},
	{name: "quoted-printable to base64", change: reencode("quoted-printable", "base64", func(s string) string { return wire(gatewayBase64(gatewayFromQP(s))) }),
		want: append([]result.Code{"dkim-body-reencoded"}, onlyChanged...), also: encodingFields},
	{name: "a part from 8bit to quoted-printable", change: reencodePart("8bit", "quoted-printable", gatewayQP), want: []result.Code{"dkim-body-reencoded"}},
	{name: "a part from 8bit to base64", change: reencodePart("8bit", "base64", partInBase64), want: []result.Code{"dkim-body-reencoded"}},
	{name: "a part from 7bit to base64", change: reencodePart("7bit", "base64", partInBase64), want: []result.Code{"dkim-body-reencoded"}},
	{name: "a part from quoted-printable to 8bit", change: reencodePart("quoted-printable", "8bit", gatewayFromQP), want: []result.Code{"dkim-body-reencoded"}},
	{name: "latin-1 to utf-8", change: toUTF8, want: []result.Code{"dkim-body-reencoded"}, also: encodingFields,
		says: map[string]string{"was": "iso-8859-1", "is": "utf-8"}},

	{name: "another boundary", change: otherBoundary, want: onlyChanged,
		also: append([]result.Code{"dkim-body-boundary"}, encodingFields...)}, // where the other damage of two brings z=
	{name: "another boundary, z= tells the old one", set: withCopies, change: otherBoundary, want: []result.Code{"dkim-body-boundary"}},
}

// signerDamages are mistakes of who signs.
var signerDamages = []damage{
	{name: "signed relaxed/relaxed, named otherwise", fault: func(s *signing) { s.used = "relaxed/relaxed" },
		want: []result.Code{"dkim-wrong-canonicalization", "dkim-empty-body", "dkim-body-whitespace"}},
	{name: "signed simple/simple, named otherwise", fault: func(s *signing) { s.used = "simple/simple" },
		want: []result.Code{"dkim-wrong-canonicalization", "dkim-empty-body"}},
	{name: "the body signed otherwise", fault: func(s *signing) {
		header, body, _ := strings.Cut(s.used, "/")
		s.used = header + "/" + map[string]string{simple: relaxed, relaxed: simple}[body]
		// Where the text has no white space to reduce, who signed relaxed and said simple leaves the same as who
		// put some in on the way.
	}, want: []result.Code{"dkim-wrong-canonicalization", "dkim-empty-body", "dkim-body-whitespace"}},
	{name: "the header signed otherwise", fault: func(s *signing) {
		header, body, _ := strings.Cut(s.used, "/")
		s.used = map[string]string{simple: relaxed, relaxed: simple}[header] + "/" + body
	}, want: []result.Code{"dkim-wrong-canonicalization"}},
	{name: "bare LF signed", fault: hashing(func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }),
		want: []result.Code{"dkim-body-line-ends"}, fits: unless(isEmpty)},
	{name: "bare CR signed", fault: hashing(func(s string) string { return strings.ReplaceAll(s, "\r\n", "\r") }),
		want: []result.Code{"dkim-body-line-ends"}, fits: unless(isEmpty)},
	{name: "doubled CR signed", fault: hashing(func(s string) string { return strings.ReplaceAll(s, "\r\n", "\r\r\n") }),
		want: []result.Code{"dkim-body-line-ends"}, fits: unless(isEmpty)},
	{name: "empty lines at the end signed", fault: hashing(func(s string) string { return s + "\r\n\r\n" }),
		want: append([]result.Code{"dkim-body-whitespace", "dkim-wrong-canonicalization"}, onlyChanged...), fits: unless(isEmpty)},
	{name: "the last line end not signed", fault: hashing(func(s string) string { return strings.TrimSuffix(s, "\r\n") }),
		want: append([]result.Code{"dkim-body-line-ends", "dkim-body-whitespace", "dkim-wrong-canonicalization"}, onlyChanged...), fits: unless(isEmpty)},
	{name: "stuffed dots signed", fault: hashing(func(s string) string { return regexp.MustCompile(`(^|\n)\.`).ReplaceAllString(s, "$1..") }),
		want: []result.Code{"dkim-body-dots"}},
	{name: "an empty body hashed the other way", fits: isEmpty, fault: hashing(func(s string) string {
		return map[string]string{"": "\r\n", "\r\n": ""}[s]
	}), want: []result.Code{"dkim-empty-body", "dkim-wrong-canonicalization"}},
	{name: "l= counts LF", fault: func(s *signing) {
		s.length = func(canonical string) int { return len(canonical) - strings.Count(canonical, "\r\n") }
	}, want: []result.Code{"dkim-l-tag-wrong"}, fits: unless(isEmpty)},
	{name: "l= of another body", fault: func(s *signing) {
		s.length = func(canonical string) int { return max(0, len(canonical)-7) }
	}, want: []result.Code{"dkim-l-tag-wrong"}, fits: unless(isEmpty)},
}

// hashing lets the signer hash something else than the canonical body.
func hashing(f func(string) string) func(*signing) {
	return func(s *signing) {
		before := s.body
		s.body = func(canonical string) string {
			if before != nil {
				canonical = before(canonical)
			}
			return f(canonical)
		}
	}
}
