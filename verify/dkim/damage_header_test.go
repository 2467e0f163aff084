package dkim

import (
	"regexp"
	"strings"

	"checkauth/verify/result"
)

// addField puts a field in that the signature says was absent.
func withField(field string) func(*letter) bool {
	return func(l *letter) bool {
		name, _, _ := strings.Cut(field, ":")
		return l.at(name) < 0 && l.add(field)
	}
}

// onField makes a change of one field's value.
func onField(name string, f func(string) string) func(*letter) bool {
	return func(l *letter) bool { return l.set(name, f(l.value(name))) }
}

func swapInField(name, expr, with string) func(*letter) bool {
	re := regexp.MustCompile(expr)
	return onField(name, func(s string) string { return re.ReplaceAllString(s, with) })
}

// ofSubject is a change of one Subject into another.
func ofSubject(from, to string) func(*letter) bool {
	return func(l *letter) bool { return l.value("Subject") == from && l.set("Subject", to) }
}

func withName(from, to string) func(*letter) bool {
	return func(l *letter) bool {
		i := l.at(from)
		if i < 0 {
			return false
		}
		l.fields[i] = to + l.fields[i][len(from):]
		return true
	}
}

func withoutField(name string) func(*letter) bool {
	return func(l *letter) bool {
		i := l.at(name)
		if i < 0 {
			return false
		}
		l.fields = append(l.fields[:i:i], l.fields[i+1:]...)
		return true
	}
}

// fold breaks a value at spaces into lines of at most 78 octets, as many programs do.
func foldLate(name string) func(string) string {
	return func(value string) string {
		var b strings.Builder
		width := len(name) + 1
		for i, word := range strings.Fields(value) {
			if i > 0 && width+1+len(word) > 78 {
				b.WriteString("\r\n")
				width = 0
			}
			b.WriteString(" " + word)
			width += 1 + len(word)
		}
		return b.String()
	}
}

const (
	subjectQ     = " =?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?="
	subjectB     = " =?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?="
	subjectISOB  = " =?iso-8859-1?B?R3L832UgYXVzIEv2bG4=?="
	subjectISOQ  = " =?iso-8859-1?Q?Gr=FC=DFe_aus_K=F6ln?="
	subjectPlain = " Grüße aus Köln"
)

// An Ed25519 signature does not tell whether the header was changed or the key is another.
var onlyHeader = []result.Code{"dkim-header-changed", "dkim-header-or-key"}

func inField(name string) map[string]string { return map[string]string{"field": name} }

// headerDamages are the changes of a header on its way.
var headerDamages = []damage{
	{name: "Message-ID added", change: withField("Message-ID: <new@relay.example.com>"), want: []result.Code{"dkim-header-added"}, says: inField("Message-ID")},
	{name: "Date added", change: withField("Date: Mon, 17 Nov 2025 10:12:40 +0000"), want: []result.Code{"dkim-header-added"}, says: inField("Date")},
	{name: "MIME-Version added", change: withField("MIME-Version: 1.0"), want: []result.Code{"dkim-header-added"}, says: inField("MIME-Version")},
	{name: "Reply-To added", change: withField("Reply-To: list@example.net"), want: []result.Code{"dkim-header-added"}, says: inField("Reply-To")},
	{name: "Subject doubled", set: func(s *signing) { s.names += ":Subject" }, change: func(l *letter) bool { return l.add(l.fields[l.at("Subject")]) },
		want: []result.Code{"dkim-header-added", "dkim-header-other-instance"}, says: inField("Subject")},
	{name: "a second To below", change: func(l *letter) bool { return l.add("To: list@example.com") },
		want: []result.Code{"dkim-header-other-instance"}, says: inField("To")},
	{name: "a second To below, z= tells the first", set: withCopies, change: func(l *letter) bool { return l.add("To: list@example.com") },
		want: []result.Code{"dkim-header-other-instance", "dkim-header-rewritten"}, says: inField("To")},
	{name: "Date removed", change: withoutField("Date"), want: onlyHeader},
	{name: "Date removed, z= tells it", set: withCopies, change: withoutField("Date"), want: []result.Code{"dkim-header-rewritten"}, says: inField("Date")},

	{name: "a tag in Subject", change: onField("Subject", func(s string) string { return " [list]" + s }),
		want: []result.Code{"dkim-subject-tagged"}, says: map[string]string{"tag": "[list]"}},
	{name: "SPAM in Subject", change: onField("Subject", func(s string) string { return " ***SPAM***" + s }),
		want: []result.Code{"dkim-subject-tagged"}, says: map[string]string{"tag": "***SPAM***"}},
	{name: "Subject changed", change: onField("Subject", func(string) string { return " Buy now" }), want: onlyHeader},
	{name: "Subject changed, z= tells it", set: withCopies, change: onField("Subject", func(string) string { return " Buy now" }),
		want: []result.Code{"dkim-header-rewritten"}, says: inField("Subject")},

	{name: "References unfolded", change: swapInField("References", `\r\n`, ""), want: []result.Code{"dkim-header-refolded"}, says: inField("References")},
	{name: "To unfolded", change: swapInField("To", `\r\n`, ""), want: []result.Code{"dkim-header-refolded"}, says: inField("To")},
	{name: "References folded with tabs", change: swapInField("References", `\r\n `, "\r\n\t"), want: []result.Code{"dkim-header-refolded"}, says: inField("References")},
	{name: "References folded at each", change: swapInField("References", `>(\r\n)? <`, ">\r\n <"), want: []result.Code{"dkim-header-refolded"}, says: inField("References")},
	{name: "References folded late", change: onField("References", foldLate("References")), want: []result.Code{"dkim-header-refolded"}, says: inField("References")},
	{name: "To folded at each comma", change: swapInField("To", `>, `, ">,\r\n\t"), want: []result.Code{"dkim-header-refolded"}, says: inField("To")},
	{name: "To folded late", change: onField("To", foldLate("To")), want: []result.Code{"dkim-header-refolded"}, says: inField("To")},
	{name: "a space behind Subject", change: onField("Subject", func(s string) string { return s + " " }), want: []result.Code{"dkim-header-refolded"}, says: inField("Subject")},
	{name: "no space before Subject", change: swapInField("Subject", `^ `, ""), want: []result.Code{"dkim-header-refolded"}, says: inField("Subject")},
	{name: "To folded, z= tells the old form", set: withCopies, change: swapInField("To", `>, `, ">,\r\n\t"),
		want: []result.Code{"dkim-header-refolded", "dkim-header-rewritten"}, says: inField("To")},

	{name: "Subject from Q to B", change: ofSubject(subjectQ, subjectB), want: []result.Code{"dkim-header-recoded"}, says: inField("Subject")},
	{name: "Subject from B to Q", change: ofSubject(subjectISOB, subjectISOQ), want: []result.Code{"dkim-header-recoded"}, says: inField("Subject")},
	{name: "Subject from raw to Q", change: ofSubject(subjectPlain, subjectQ), want: []result.Code{"dkim-header-recoded"}, says: inField("Subject")},
	{name: "Subject from raw to B", change: ofSubject(subjectPlain, subjectB), want: []result.Code{"dkim-header-recoded"}, says: inField("Subject")},
	{name: "Subject from Q to raw", change: ofSubject(subjectQ, subjectPlain), want: []result.Code{"dkim-header-recoded"}, says: inField("Subject")},
	{name: "Subject from latin-1 to utf-8", change: ofSubject(subjectISOB, subjectB), want: append([]result.Code{"dkim-header-recoded"}, onlyHeader...)},
	{name: "charset of Subject in capitals", change: ofSubject(subjectQ, strings.Replace(subjectQ, "utf-8", "UTF-8", 1)),
		want: []result.Code{"dkim-header-recoded"}, says: inField("Subject")},
	{name: "Q of Subject in lower case", change: ofSubject(subjectQ, strings.Replace(subjectQ, "?Q?", "?q?", 1)),
		want: []result.Code{"dkim-header-recoded"}, says: inField("Subject")},

	{name: "a display name without its quotes", change: swapInField("From", `"([A-Za-z ]+)" <`, "$1 <"), want: []result.Code{"dkim-header-requoted"}, says: inField("From")},
	{name: "a display name in quotes", change: swapInField("From", `^ ([A-Za-z ]+) <`, ` "$1" <`), want: []result.Code{"dkim-header-requoted"}, says: inField("From")},
	{name: "one of three display names without its quotes", change: swapInField("To", `"([A-Za-z ]+)" <`, "$1 <"), want: []result.Code{"dkim-header-requoted"}, says: inField("To")},
	{name: "all display names in quotes", change: swapInField("To", `([A-Z][A-Za-z ]+) <`, `"$1" <`), want: []result.Code{"dkim-header-requoted"}, says: inField("To"),
		fits: unless(amongst("lists of addresses"))},
	{name: "angle brackets added", change: swapInField("To", `^ ([^<>, ]+)$`, " <$1>"), want: []result.Code{"dkim-header-requoted"}, says: inField("To")},
	{name: "angle brackets removed", change: swapInField("To", `^ <([^<>, ]+)>$`, " $1"), want: []result.Code{"dkim-header-requoted"}, says: inField("To")},

	{name: "SUBJECT", change: withName("Subject", "SUBJECT"), want: []result.Code{"dkim-header-case"}, says: inField("Subject")},
	{name: "Message-Id", change: withName("Message-ID", "Message-Id"), want: []result.Code{"dkim-header-case"}, says: inField("Message-ID")},
	{name: "Mime-Version", change: withName("MIME-Version", "Mime-Version"), want: []result.Code{"dkim-header-case"}, says: inField("MIME-Version")},

	{name: "To rewritten", change: onField("To", func(string) string { return " list@example.com" }), want: onlyHeader},
	{name: "To rewritten, z= tells it", set: withCopies, change: onField("To", func(string) string { return " list@example.com" }),
		want: []result.Code{"dkim-header-rewritten"}, says: map[string]string{"field": "To", "was": "example.net"}},

	{name: "the signature unfolded", change: swapInField(fieldName, `\r\n\t`, " "), want: append([]result.Code{"dkim-signature-field-changed"}, onlyHeader...)},
	{name: "the signature folded with spaces", change: swapInField(fieldName, `\r\n\t`, "\r\n "), want: []result.Code{"dkim-signature-field-changed"}},
	{name: "the signature folded at each tag", set: func(s *signing) { s.between = "; " }, change: swapInField(fieldName, `; `, ";\r\n\t"),
		want: []result.Code{"dkim-signature-field-changed"}},
	{name: "the signature without its spaces", set: func(s *signing) { s.between = "; " }, change: swapInField(fieldName, `; `, ";"),
		want: []result.Code{"dkim-signature-field-changed"}},
	{name: "the signature with more spaces", set: func(s *signing) { s.between = ";" }, change: swapInField(fieldName, `; ?`, "; "),
		want: append([]result.Code{"dkim-signature-field-changed"}, onlyHeader...)},
	{name: "the tags of the signature in another order", change: swapInField(fieldName, `(h=[^;]*);\r\n\t(bh=[^;]*)`, "$2;\r\n\t$1"),
		want: append([]result.Code{"dkim-signature-field-changed"}, onlyHeader...)},
}

// keyDamages are mistakes in the DNS.
var keyDamages = []damage{
	{name: "another key", zone: func(z texts) { z["rsa._domainkey.example.org"] = rsaRecord(otherKey(), "") },
		want: []result.Code{"dkim-key-mismatch"}},
	{name: "the key at another selector", zone: func(z texts) {
		z["default._domainkey.example.org"] = z["rsa._domainkey.example.org"]
		z["rsa._domainkey.example.org"] = rsaRecord(otherKey(), "")
	}, want: []result.Code{"dkim-wrong-selector"}, also: []result.Code{"dkim-key-mismatch"}},
	{name: "the key of another, Ed25519", zone: func(z texts) {
		z["ed._domainkey.example.org"] = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	}, want: append([]result.Code{"dkim-key-mismatch"}, onlyHeader...)},
	{name: "no key", zone: func(z texts) { clear(z) }, want: []result.Code{"dkim-key-missing"}},
	{name: "no key but at another selector", zone: func(z texts) {
		z["default._domainkey.example.org"] = z["rsa._domainkey.example.org"]
		delete(z, "rsa._domainkey.example.org")
	}, want: []result.Code{"dkim-wrong-selector", "dkim-key-missing"}},
}
