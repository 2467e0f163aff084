package naming

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Split cuts an address at its last @, where the local part ends even if it is quoted (RFC 5321, 4.1.2). The local part
// is as it is written, the domain in the spelling of Key; "" without an @.
func Split(address string) (local, domain string) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, ""
	}
	return address[:i], Key(address[i+1:])
}

// Domain is the domain of an address in the spelling of Key; "" without one.
func Domain(address string) string {
	_, domain := Split(address)
	return domain
}

// Unquoted is a local part without the quotes of a Quoted-string (RFC 5321, 4.1.2).
func Unquoted(local string) string {
	if len(local) < 2 || local[0] != '"' || local[len(local)-1] != '"' {
		return local
	}
	var b strings.Builder
	for i, inner := 0, local[1:len(local)-1]; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String()
}

// Fold gives the one form of all spellings of a mailbox, so that a counter cannot be dodged: lower case, A-labels,
// without a tag behind a plus, without what BATV (prvs=) and SRS (SRS0, SRS1) put around it, without a route of
// percent or bang that leads to the same domain, without blanks and quotes, letters beyond ASCII in one form of Unicode
// (NFKC), without the characters that a provider ignores, at the first of the domains that it gives to one mailbox. It
// is for counting alone, never written to.
//
// Which other character a server may take for the sign of a tag cannot be told from outside: the counters of the domain
// bound what that is worth.
func Fold(address string) string {
	local, domain := Split(address)
	domain = sameMailbox(domain)
	local = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, Unquoted(local))
	if !isASCII(local) {
		local = norm.NFKC.String(local)
	}
	local = bare(strings.ToLower(local), domain, 5)
	if user, below := ofSubdomain(domain); below != "" {
		local, domain = user, below
	}
	if same := ignored[domain]; same != nil {
		local = same.Replace(local)
	}
	return local + "@" + domain
}

// mailboxes are domains at which a provider gives one mailbox the same local part; the first stands for all. From
// the providers' own pages: Google's on googlemail.com, Proton's on its short domain, Apple's on iCloud mail
// addresses, Yandex' on the domains of a mailbox, Kakao's on Daum mail.
var mailboxes = [][]string{
	{"gmail.com", "googlemail.com"},
	{"proton.me", "protonmail.com", "protonmail.ch", "pm.me"},
	{"icloud.com", "me.com", "mac.com"},
	{"yandex.ru", "ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua", "yandex.uz", "yandex.com.tr"},
	{"daum.net", "hanmail.net", "hanmail2.net"},
}

// ignored is what a provider does not tell apart in a local part: Gmail no dots, Proton no dots, hyphens and
// underscores (as its own clients compare), Yandex a dot and a hyphen. Only what can never be two people's: whoever
// folds alike shares tokens too.
var ignored = map[string]*strings.Replacer{
	"gmail.com": strings.NewReplacer(".", ""),
	"proton.me": strings.NewReplacer(".", "", "-", "", "_", ""),
	"yandex.ru": strings.NewReplacer(".", "-"),
}

// ofSubdomain: Fastmail takes anything@user.fastmail.com for user+anything@fastmail.com.
func ofSubdomain(domain string) (user, below string) {
	user, below, _ = strings.Cut(domain, ".")
	if below != "fastmail.com" && below != "fastmail.fm" {
		return "", ""
	}
	return user, below
}

func sameMailbox(domain string) string {
	for _, m := range mailboxes {
		if slices.Contains(m, domain) {
			return m[0]
		}
	}
	return domain
}

// bare takes wrappings off a local part (a forwarder of a forwarder has two), then the tag. Of SRS the address
// inside stays, its domain too, at the forwarder's domain: anybody can have his own address written there, and is
// sent what goes to it, so that it must be the same as nobody else's.
func bare(local, domain string, wrappings int) string {
	inner, of, ok := unwrapped(local, domain)
	switch {
	case ok && wrappings > 0 && of != "":
		return bare(inner, domain, wrappings-1) + "=" + of // the tag goes before the domain comes back
	case ok && wrappings > 0:
		return bare(inner, domain, wrappings-1)
	}
	if tag := strings.IndexByte(local, '+'); tag > 0 {
		return local[:tag]
	}
	return local
}

// unwrapped takes one wrapping off a local part of a domain. of is the domain of the local part that was inside,
// where it has its own.
func unwrapped(local, domain string) (inner, of string, ok bool) {
	// BATV: prvs=KDDDSSSSSS=local, the tag before or (as some write it) behind the local part.
	if rest, found := strings.CutPrefix(local, "prvs="); found {
		a, b, two := strings.Cut(rest, "=")
		switch {
		case !two || a == "" || b == "":
			return "", "", false
		case isBATV(a):
			return b, "", true
		case isBATV(b):
			return a, "", true
		}
		return "", "", false
	}
	// Barracuda's: btv1==hash==local.
	if rest, found := strings.CutPrefix(local, "btv1=="); found {
		if _, inner, two := strings.Cut(rest, "=="); two && inner != "" {
			return inner, "", true
		}
		return "", "", false
	}
	// SRS1: SRS1=hash=host==hash=time=domain=local; what follows the two signs is SRS0's, with any separator. It
	// goes to the host, whose word for the rest nobody checks.
	if rest, found := cutSRS(local, "srs1"); found {
		if before, behind, two := strings.Cut(rest, "=="); two {
			_, host, _ := strings.Cut(before, "=")
			if inner, of, ok = ofSRS0(behind); ok && host != domain {
				of += "=" + host
			}
			return inner, of, ok
		}
		return "", "", false
	}
	if rest, found := cutSRS(local, "srs0"); found {
		return ofSRS0(rest)
	}
	return routed(local, domain)
}

// routed reads the routes of before RFC 5321: host!local and local%host. Some servers still bring them to the mailbox
// when the host is their own or a name without a dot.
func routed(local, domain string) (inner, of string, ok bool) {
	if host, rest, bang := strings.Cut(local, "!"); bang {
		inner, of = rest, host
	} else if i := strings.LastIndexByte(local, '%'); i >= 0 {
		inner, of = local[:i], local[i+1:]
	}
	if inner == "" || of == "" {
		return "", "", false
	}
	if of = Key(of); of == domain || !strings.Contains(of, ".") || SameOrganisation(of, domain) {
		of = ""
	}
	return inner, of, true
}

func isBATV(s string) bool { return len(s) == 10 && strings.Trim(s, "0123456789abcdef") == "" }

// cutSRS: the separator behind the tag is =, + or -.
func cutSRS(local, tag string) (string, bool) {
	rest, ok := strings.CutPrefix(local, tag)
	if !ok || rest == "" || !strings.ContainsRune("=+-", rune(rest[0])) {
		return "", false
	}
	return rest[1:], true
}

// ofSRS0 reads hash=time=domain=local; the hash and the time are what changes from mail to mail.
func ofSRS0(s string) (inner, of string, ok bool) {
	parts := strings.SplitN(s, "=", 4)
	if len(parts) != 4 || parts[2] == "" || parts[3] == "" {
		return "", "", false
	}
	return parts[3], parts[2], true
}
