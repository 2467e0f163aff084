package policy

import (
	"strings"

	"checkauth/verify"
	"checkauth/verify/standing"
)

// maxReceived: more Received fields than this are a loop (RFC 5321, 6.3 says at least 100).
const maxReceived = 100

// rule is one reason not to answer. It names itself; hard ones are refused, the others are taken and
// dropped.
type rule struct {
	name string
	hard bool
	hit  func(c Config, r *verify.Report) bool
}

// rules of silence, in order. RFC 3834, 2: an automatic answer must not answer another one.
var rules = []rule{
	{"more than 100 Received fields", true, func(_ Config, r *verify.Report) bool {
		return len(r.Message.Fields.All("Received")) > maxReceived
	}},
	// RFC 3834, 2; RFC 5321, 4.5.5: nothing is sent to the null reverse-path.
	{"null sender", false, func(_ Config, r *verify.Report) bool { return r.Session.MailFrom == "" }},
	{"sender is one of our own addresses", false, func(c Config, r *verify.Report) bool {
		local, domain := Split(r.Session.MailFrom)
		return c.Own != nil && c.Own(local, domain)
	}},
	// RFC 3834, 5.2: the field's other values are all automatic.
	{"Auto-Submitted", false, func(_ Config, r *verify.Report) bool {
		for _, f := range r.Message.Fields.All("Auto-Submitted") {
			if v := firstWord(f.Value()); v != "" && v != "no" {
				return true
			}
		}
		return false
	}},
	{"X-Auto-Response-Suppress", false, func(_ Config, r *verify.Report) bool {
		return hasToken(r, "X-Auto-Response-Suppress", "all", "autoreply")
	}},
	// RFC 3834, 2: no answers to lists. RFC 2919 names the field.
	{"List-Id", false, func(_ Config, r *verify.Report) bool { return len(r.Message.Fields.All("List-Id")) > 0 }},
	{"Precedence", false, func(_ Config, r *verify.Report) bool { return hasToken(r, "Precedence", "list", "junk") }},
	// Newsletters are tested with these, but only by who is proved to be the sender.
	{"bulk mail of an unproved sender", false, func(_ Config, r *verify.Report) bool {
		bulk := hasToken(r, "Precedence", "bulk") || len(r.Message.Fields.All("List-Unsubscribe")) > 0
		return bulk && standing.Of(r) != Proved
	}},
	{"sender is a robot's address", false, func(_ Config, r *verify.Report) bool {
		local, _ := Split(r.Session.MailFrom)
		return robot(strings.ToLower(local))
	}},
	// There is nowhere to bring a reply to.
	{"no sender domain", false, func(_ Config, r *verify.Report) bool {
		_, domain := Split(r.Session.MailFrom)
		return r.Session.MailFrom != "" && domain == ""
	}},
}

func (c Config) suppressed(r *verify.Report) (name string, hard bool) {
	for _, u := range rules {
		if u.hit(c, r) {
			return u.name, u.hard
		}
	}
	return "", false
}

// robot tells addresses behind which nobody reads: RFC 3834, 2 and 4 and the customs of list managers.
func robot(local string) bool {
	return local == "mailer-daemon" || strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request")
}

func hasToken(r *verify.Report, field string, tokens ...string) bool {
	for _, f := range r.Message.Fields.All(field) {
		for part := range strings.SplitSeq(f.Value(), ",") {
			for _, t := range tokens {
				if firstWord(part) == t {
					return true
				}
			}
		}
	}
	return false
}

// firstWord is the value without its parameters and comments, in lower case.
func firstWord(v string) string {
	v = strings.ToLower(strings.TrimSpace(v))
	if i := strings.IndexAny(v, "; \t("); i >= 0 {
		v = v[:i]
	}
	return v
}
