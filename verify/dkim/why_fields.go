package dkim

import (
	"bytes"
	"mime"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// fieldChanges are the ways to change a field back, the most likely first. The place of a change in what
// they give is its kind: the same for every field.
var fieldChanges = []func(c *check, s *signature, f signedField, own bool) []change{
	copiedField, addedField, otherInstance, subjectTag, refolded, nameCase, recoded, requoted, ownField,
}

// aboutField makes a cause of which the field's name is all that is said.
func aboutField(name string, found func(s *signature, field string) result.Finding) cause {
	return func(s *signature) result.Finding { return found(s, name) }
}

// copiedField: z= has the field as it was signed.
func copiedField(_ *check, s *signature, f signedField, own bool) []change {
	var out []change
	if own {
		return nil
	}
	for _, value := range s.copies()[strings.ToLower(f.name)] {
		out = append(out, change{raw: []byte(f.name + ":" + value + "\r\n"), cause: func(s *signature) result.Finding {
			return result.Found(result.Error, "dkim-header-rewritten", "domain", result.Domain(s.Domain), "selector", s.selector(), "field", mail.FieldNames(f.name),
				"was", result.Cut(strings.TrimSpace(value), maxText))
		}})
	}
	return out
}

// addedField: h= named a field that was not there when the message was signed (RFC 6376, 5.4.2).
func addedField(_ *check, _ *signature, f signedField, own bool) []change {
	if own || f.raw == nil {
		return nil
	}
	return []change{{cause: aboutField(f.name, func(s *signature, field string) result.Finding {
		return result.Found(result.Error, "dkim-header-added", "domain", result.Domain(s.Domain), "selector", s.selector(), "field", mail.FieldNames(field))
	})}}
}

// otherInstance: of several fields of that name another one was signed.
func otherInstance(c *check, _ *signature, f signedField, own bool) []change {
	var out []change
	if own {
		return nil
	}
	for _, at := range c.header.named[strings.ToLower(f.name)] {
		if at != f.at && len(out) < 10 {
			out = append(out, change{raw: c.header.raw[at], cause: aboutField(f.name, func(s *signature, field string) result.Finding {
				return result.Found(result.Error, "dkim-header-other-instance", "domain", result.Domain(s.Domain), "selector", s.selector(), "field", mail.FieldNames(field))
			})})
		}
	}
	return out
}

// tags that lists and filters put into a subject: in brackets or braces, between stars, or in capitals
// before a colon; in front, or behind Re: and its like.
var subjectTags = regexp.MustCompile(`^(\s*)((?:(?i:re|fwd?|aw|wg|sv|antw|ynt)(?:\[\d+\])?:\s*)*)(\[[^\]\r\n]{1,80}\]|\{[^}\r\n]{1,80}\}|\([^)\r\n]{1,40}\)|\*+[^*\r\n]{1,60}\*+|_+[^_\r\n]{1,60}_+|[A-Z][A-Z -]{1,30}:|[^\s:]{1,30}:)(\s*)`)

func subjectTag(_ *check, _ *signature, f signedField, own bool) []change {
	if own || !strings.EqualFold(f.name, "Subject") || f.raw == nil {
		return nil
	}
	head, value, _ := bytes.Cut(f.raw, []byte(":"))
	m := subjectTags.FindSubmatchIndex(value)
	if m == nil {
		return nil
	}
	tag := string(value[m[6]:m[7]])
	said := func(s *signature) result.Finding {
		return result.Found(result.Error, "dkim-subject-tagged", "domain", result.Domain(s.Domain), "selector", s.selector(), "tag", result.Cut(tag, maxText))
	}
	var out []change
	for _, rest := range [][]byte{value[m[9]:], value[m[7]:]} {
		raw := slices.Concat(head, []byte(":"), value[m[2]:m[5]], rest)
		out = append(out, change{raw: raw, cause: said})
	}
	// The answer's mark may have come behind the tag, or been taken away with it.
	return append(out, change{raw: slices.Concat(head, []byte(":"), value[m[2]:m[3]], value[m[9]:]), cause: said})
}

func refoldedCause(name string) cause {
	return aboutField(name, func(s *signature, field string) result.Finding {
		return result.Found(result.Error, "dkim-header-refolded", "domain", result.Domain(s.Domain), "selector", s.selector(), "field", mail.FieldNames(field))
	})
}

// refolded: folds and white space, which count under simple; under relaxed those within a word.
func refolded(_ *check, _ *signature, f signedField, own bool) []change {
	if own || f.raw == nil {
		return nil
	}
	var out []change
	for _, form := range folds(f.raw) {
		out = append(out, change{raw: form, cause: refoldedCause(f.name)})
	}
	return out
}

var (
	foldWhite = regexp.MustCompile(`\r\n[ \t]+`)
	fold      = regexp.MustCompile(`\r\n([ \t])`)
	atSemi    = regexp.MustCompile(`;\s*`)
	atWhite   = regexp.MustCompile(`\s+`)
)

// folds are other ways to fold a field, each of them always at the same place in the list.
func folds(raw []byte) [][]byte {
	body := bytes.TrimSuffix(raw, crlf)
	head, value, _ := bytes.Cut(body, []byte(":"))
	plain := bytes.TrimSpace(foldWhite.ReplaceAll(value, []byte(" ")))
	field := func(space string, v []byte) []byte { return slices.Concat(head, []byte(":"+space), v, crlf) }
	again := func(at *regexp.Regexp, v []byte, with string) []byte { return at.ReplaceAll(v, []byte(with)) }
	out := [][]byte{
		slices.Concat(fold.ReplaceAll(body, []byte("$1")), crlf),
		field(" ", plain),
		slices.Concat(foldWhite.ReplaceAll(body, nil), crlf),
		slices.Concat(again(foldWhite, body, "\r\n "), crlf),
		slices.Concat(again(foldWhite, body, "\r\n\t"), crlf),
		slices.Concat(again(foldWhite, body, "\r\n        "), crlf),
		slices.Concat(again(foldWhite, body, "\r\n    "), crlf),
		field("", plain), field("  ", plain), field("\t", plain), field("\r\n ", plain), field("\r\n\t", plain),
		slices.Concat(bytes.TrimRight(body, " \t"), crlf), slices.Concat(body, []byte(" "), crlf),
	}
	for _, indent := range []string{" ", "\t", "        ", "    "} {
		out = append(out,
			field(" ", []byte(strings.Join(addresses(string(plain)), ",\r\n"+indent))),
			field(" ", again(atSemi, plain, ";\r\n"+indent)),
			field(" ", again(atWhite, plain, "\r\n"+indent)))
		for _, width := range []int{72, 76, 78, 998} {
			out = append(out, greedy(head, plain, indent, width))
		}
	}
	return out
}

// greedy folds where the next word would pass the width.
func greedy(head, plain []byte, indent string, width int) []byte {
	out := slices.Concat(head, []byte(":"))
	column := len(out)
	for i, word := range bytes.Fields(plain) {
		if i > 0 && column+1+len(word) > width {
			out = append(append(out, "\r\n"+indent...), word...)
			column = len(indent) + len(word)
			continue
		}
		out = append(append(out, ' '), word...)
		column += 1 + len(word)
	}
	return append(out, crlf...)
}

// spellings of names that programs change.
var spellings = map[string][]string{
	"message-id": {"Message-ID", "Message-Id"}, "mime-version": {"MIME-Version", "Mime-Version"},
	"content-id": {"Content-ID", "Content-Id"}, "list-id": {"List-ID", "List-Id"}, "dkim-signature": {"DKIM-Signature", "Dkim-Signature"},
}

// nameCase: the case of a field's name counts under simple.
func nameCase(_ *check, _ *signature, f signedField, own bool) []change {
	if own || f.raw == nil {
		return nil
	}
	_, value, _ := bytes.Cut(f.raw, []byte(":"))
	low := strings.ToLower(f.name)
	names := []string{f.name, low, strings.ToUpper(f.name), titled(low)}
	names = append(names, spellings[low]...)
	var out []change
	for _, name := range names {
		out = append(out, change{raw: slices.Concat([]byte(name+":"), value), cause: aboutField(f.name, func(s *signature, field string) result.Finding {
			return result.Found(result.Error, "dkim-header-case", "domain", result.Domain(s.Domain), "selector", s.selector(), "field", mail.FieldNames(field))
		})})
	}
	return out
}

func titled(low string) string {
	words := strings.Split(low, "-")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "-")
}

var encodedWord = regexp.MustCompile(`=\?([^?\s]+)\?([QqBb])\?([^?\s]*)\?=`)

// recoded: RFC 2047 words were written otherwise.
func recoded(_ *check, _ *signature, f signedField, own bool) []change {
	if own || f.raw == nil {
		return nil
	}
	name, value, _ := bytes.Cut(f.raw, []byte(":"))
	plain := string(bytes.TrimSpace(foldWhite.ReplaceAll(value, []byte(" "))))
	text, err := new(mime.WordDecoder).DecodeHeader(plain)
	if err != nil || text == plain && utf8Only(plain) {
		return nil
	}
	said := aboutField(f.name, func(s *signature, field string) result.Finding {
		return result.Found(result.Error, "dkim-header-recoded", "domain", result.Domain(s.Domain), "selector", s.selector(), "field", mail.FieldNames(field))
	})
	var out []change
	for _, form := range wordForms(plain, text) {
		out = append(out, change{raw: slices.Concat(name, []byte(": "+form), crlf), cause: said})
	}
	return out
}

func utf8Only(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0 }

// wordForms are spellings of the same text.
func wordForms(plain, text string) []string {
	out := []string{text, latin(text)}
	for _, charset := range []string{"utf-8", "UTF-8", "iso-8859-1", "ISO-8859-1", "Windows-1252", "windows-1252"} {
		t := text
		if !strings.EqualFold(charset, "utf-8") {
			if t = latin(text); t == "" {
				continue
			}
		}
		for _, encode := range []func(charset, s string) string{mime.QEncoding.Encode, mime.BEncoding.Encode, qByWord} {
			word := encode(charset, t)
			out = append(out, word, strings.Replace(strings.Replace(word, "?q?", "?Q?", -1), "?b?", "?B?", -1))
		}
	}
	// The same words, in other letters.
	recase := func(charset, kind func(string) string) string {
		return encodedWord.ReplaceAllStringFunc(plain, func(w string) string {
			m := encodedWord.FindStringSubmatch(w)
			return "=?" + charset(m[1]) + "?" + kind(m[2]) + "?" + m[3] + "?="
		})
	}
	for _, charset := range []func(string) string{strings.ToLower, strings.ToUpper} {
		for _, kind := range []func(string) string{strings.ToLower, strings.ToUpper} {
			out = append(out, recase(charset, kind))
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// latin is the text in ISO 8859-1; empty where it cannot be.
func latin(text string) string {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff || r == utf8.RuneError {
			return ""
		}
		out = append(out, byte(r))
	}
	return string(out)
}

// qByWord encodes only the words that need it, as many programs do.
func qByWord(charset, text string) string {
	words := strings.Split(text, " ")
	for i, w := range words {
		if !utf8Only(w) {
			words[i] = mime.QEncoding.Encode(charset, w)
		}
	}
	return strings.Join(words, " ")
}

// addressFields are those of RFC 5322, 3.6.2 and 3.6.3.
var addressFields = []string{"from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-to", "resent-cc"}

var (
	betweenAddresses = regexp.MustCompile(`,(\r\n[ \t]+|[ \t]*)`)
	quotedName       = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"\s*(<)`)
	plainName        = regexp.MustCompile(`(^|,\s*)([^\s"<,][^"<,]*?)\s*(<)`)
	bareAddr         = regexp.MustCompile(`(^|,\s*)<([^<>,]+)>`)
	loneAddr         = regexp.MustCompile(`(^|,\s*)([^\s<>",]+@[^\s<>",]+)`)
	namedAddr        = regexp.MustCompile(`(^|,\s*)(?:"(?:[^"\\]|\\.)*"|[^"<,]*?)\s*<([^<>]+)>`)
)

// addresses cuts a list at the commas that are not within quotes or comments.
func addresses(list string) []string {
	var out []string
	quoted, depth, from := false, 0, 0
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth <= 0:
			out = append(out, strings.TrimSpace(list[from:i]))
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(list[from:]))
}

// spelled are other spellings of one address (RFC 5322, 3.4), each always at the same place.
var spelled = []func(a string) string{
	func(a string) string { return quotedName.ReplaceAllString(a, `$1 $2`) },
	func(a string) string { return plainName.ReplaceAllString(a, `$1"$2" $3`) },
	func(a string) string { return bareAddr.ReplaceAllString(a, `$1$2`) },
	func(a string) string { return loneAddr.ReplaceAllString(a, `$1<$2>`) },
	func(a string) string { return namedAddr.ReplaceAllString(a, `$1$2`) },
	func(a string) string { return namedAddr.ReplaceAllString(a, `$1<$2>`) },
	strings.ToLower,
}

// maxOne is how many addresses of a list are spelled otherwise one by one.
const maxOne = 10

// requoted: display names and angle brackets mean the same in several spellings; of all addresses, and of
// one.
func requoted(_ *check, _ *signature, f signedField, own bool) []change {
	if own || f.raw == nil || !slices.Contains(addressFields, strings.ToLower(f.name)) {
		return nil
	}
	name, value, _ := bytes.Cut(f.raw, []byte(":"))
	said := aboutField(f.name, func(s *signature, field string) result.Finding {
		return result.Found(result.Error, "dkim-header-requoted", "domain", result.Domain(s.Domain), "selector", s.selector(), "field", mail.FieldNames(field))
	})
	var out []change
	list := addresses(string(bytes.TrimSpace(foldWhite.ReplaceAll(value, []byte(" ")))))
	add := func(list []string, joint string) {
		out = append(out, change{raw: []byte(string(name) + ": " + strings.Join(list, joint) + "\r\n"), cause: said})
	}
	add(list, ",")
	add(list, ", ")
	joint := jointOf(string(value))
	for _, spell := range spelled {
		all := slices.Clone(list)
		for i, a := range all {
			all[i] = spell(a)
		}
		add(all, joint)
	}
	for i := range list[:min(len(list), maxOne)] {
		for _, spell := range spelled {
			one := slices.Clone(list)
			one[i] = spell(one[i])
			add(one, joint)
		}
	}
	return out
}

// jointOf is what stands between the addresses of a list, as far as all are alike.
func jointOf(value string) string {
	if m := betweenAddresses.FindString(value); m != "" {
		return m
	}
	return ", "
}

// ownField: a gateway folded the signature field itself, or put its tags in another order.
func ownField(_ *check, s *signature, f signedField, own bool) []change {
	if !own {
		return nil
	}
	said := func(s *signature) result.Finding {
		return result.Found(result.Error, "dkim-signature-field-changed", "domain", result.Domain(s.Domain), "selector", s.selector())
	}
	var out []change
	for _, form := range folds(append(bytes.Clone(f.raw), crlf...)) {
		out = append(out, change{raw: bytes.TrimSuffix(form, crlf), cause: said})
	}
	for _, form := range tagForms(f.raw) {
		out = append(out, change{raw: form, cause: said})
	}
	return out
}

// orders of tags that signers write.
var tagOrders = []string{
	"a b bh c d h i l q s t v x z", // sorted
	"v a c d s i q t x l bh h z b", "v a c d s t x bh h b", "v a c q d s t h bh b", "v a q c s d h t i bh b",
	"v a c d h s t bh b", "v a c d q s t h x bh b", "v a d s c t h bh b", "v a c d i q s t x h bh b", "v a d c h s bh b", "a c d s t v h bh b",
}

// tagForms writes the tags otherwise: spaces, and order.
func tagForms(raw []byte) [][]byte {
	name, value, _ := bytes.Cut(raw, []byte(":"))
	var tags []string
	for t := range strings.SplitSeq(string(foldWhite.ReplaceAll(value, []byte(" "))), ";") {
		if t = strings.TrimSpace(t); t != "" {
			tags = append(tags, t)
		}
	}
	lists := [][]string{tags}
	for _, order := range tagOrders {
		lists = append(lists, sorted(tags, strings.Fields(order)))
	}
	var out [][]byte
	for _, list := range lists {
		for _, joint := range []string{"; ", ";", ";\r\n ", ";\r\n\t"} {
			text := strings.Join(list, joint)
			for _, end := range []string{"", ";"} {
				for _, start := range []string{" ", ""} {
					out = append(out, slices.Concat(name, []byte(":"+start+text+end)))
				}
			}
			out = append(out, slices.Concat(name, []byte(": "+squeezed(list, joint))))
		}
	}
	return out
}

func sorted(tags, order []string) []string {
	place := func(tag string) int {
		name, _, _ := strings.Cut(tag, "=")
		if at := slices.Index(order, strings.TrimSpace(name)); at >= 0 {
			return at
		}
		return len(order)
	}
	out := slices.Clone(tags)
	slices.SortStableFunc(out, func(a, b string) int { return place(a) - place(b) })
	return out
}

// squeezed has no white space within the tags.
func squeezed(tags []string, joint string) string {
	out := make([]string, len(tags))
	for i, t := range tags {
		out[i] = strings.Join(strings.Fields(t), "")
	}
	return strings.Join(out, joint)
}
