package smtpd

import "strings"

// Mailbox takes an address apart that somebody has configured, by the grammar that we hold clients to
// (RFC 5321, 4.1.2), without what is forgiven them: brackets, routes, blanks, a last dot. The local part comes
// without its quotes.
func Mailbox(s string) (local, domain string, err error) {
	a, rest, err := parsePath(s)
	switch {
	case err != nil:
		return "", "", err
	case a.domain == "" || rest != "" || strings.ContainsAny(s[:1], " <@"):
		return "", "", errPath
	case strings.HasSuffix(s, "."):
		return "", "", errDomain
	}
	return a.local, a.domain, nil
}
