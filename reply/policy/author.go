package policy

import (
	"strings"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/standing"
)

func authorOf(r *verify.Report) string { return Author(r.Message.Fields) }

// Author is the one mailbox of the From field; "" where there is not exactly one of a plain form.
func Author(fields mail.Fields) string {
	f := mail.ParseFrom(fields)
	if f.Problem != "" || len(f.Addresses) != 1 || f.Domain == "" {
		return ""
	}
	// What would have to be quoted is left alone: nobody is called so, and a parser may be misled.
	if local := f.Addresses[0].Local; local != "" && strings.Trim(local, plain) == "" && !strings.HasPrefix(local, "-") {
		return local + "@" + f.Domain
	}
	return ""
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-"

// author gives the address where the message may have a report sent to its author: it is the one From address,
// and a signature of that very domain proves the message, or the operator trusts the domain. A relaxed alignment
// will not do: the owner of the key of one sub-domain may not be the owner of a mailbox in another.
func (c Config) author(r *verify.Report, to string) string {
	from := authorOf(r)
	if to == "" || from == "" || !strings.EqualFold(from, to) {
		return ""
	}
	if c.provedAuthor(r) || c.Trusted.Sender(from) {
		return from
	}
	return ""
}

// provedAuthor: DMARC passes, and by a signature whose d= is the author's domain itself, over the address that the
// message was sent to: else anybody who has a mail of the author could send it here again and again.
func (c Config) provedAuthor(r *verify.Report) bool {
	if r.Check(verify.MethodDMARC).Result != result.Pass {
		return false
	}
	domain := naming.Domain(authorOf(r))
	for _, k := range r.All(verify.MethodDKIM) {
		if k.Result == result.Pass && result.Detail[dkim.Signature](k) != nil && domain != "" && naming.Key(result.Detail[dkim.Signature](k).Domain) == domain &&
			standing.Addressed(r, result.Detail[dkim.Signature](k)) {
			return true
		}
	}
	return false
}

// authorClass is the class where the author gets the report: the operator's word is no proof.
func (c Config) authorClass(r *verify.Report) Class {
	if c.provedAuthor(r) {
		return Proved
	}
	return Open
}
