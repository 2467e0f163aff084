package policy

import (
	"slices"
	"strings"

	"checkauth/verify/naming"
)

// Role of a recipient address.
type Role int

// The roles. A service address is answered, an operator's is passed on and never answered.
const (
	Foreign Role = iota
	UnknownUser
	Service
	Operator
)

// Addresses are the recipients that we take mail for.
type Addresses struct {
	Domains []string // ours, in the form of Domain; the host name is the first
	Service string   // local part that tests are sent to: check-auth
	From    string   // local part that our replies come from: auth-results
	// Author and Named: the two forms whose reply does not go to the envelope sender are taken.
	Author, Named bool
}

// Kind of a service address.
type Kind string

// The kinds, as check-auth writes them.
const (
	ToSender Kind = "check-auth"              // the reply goes to the envelope sender
	ToAuthor Kind = "check-auth2"             // to the From address
	ToNamed  Kind = "check-auth-user=domain"  // to user@domain
	Stop     Kind = "check-auth-stop+<token>" // no reply is ever sent to the envelope sender again
)

// Form is what a service address says beside that it is one.
type Form struct {
	Kind    Kind
	Details []string // what stands behind each plus: a token, a language, port25, app
	Named   string   // user@domain of check-auth-user=domain
}

// Port25 tells whether the Subject is to be the one that Port25's verifier used.
func (f Form) Port25() bool { return f.has("port25") }

// Application tells whether the address is the one for mail of applications: a person typed it, so that what marks
// automatic mail does not forbid an answer.
func (f Form) Application() bool { return f.has(application) }

// application is the detail of that address.
const application = "app"

func (f Form) has(detail string) bool {
	return slices.ContainsFunc(f.Details, func(d string) bool { return strings.EqualFold(d, detail) })
}

// Role tells what a recipient is for, and the form of a service address. Local parts match without regard
// to case; what stands behind a plus is a detail of the address (check-auth+anything). An empty domain goes
// with postmaster alone (RFC 5321, 4.5.1).
func (a Addresses) Role(local, domain string) (Role, Form) {
	if domain == "" {
		if strings.EqualFold(local, "postmaster") {
			return Operator, Form{}
		}
		return UnknownUser, Form{}
	}
	if !a.ours(domain) {
		return Foreign, Form{}
	}
	if f, ok := a.form(local); ok {
		return Service, f
	}
	base, _, _ := strings.Cut(strings.ToLower(local), "+")
	switch base {
	case "postmaster", "abuse", a.From: // RFC 5321, 4.5.1; RFC 2142, 2 and 4
		return Operator, Form{}
	}
	return UnknownUser, Form{}
}

// form reads the local part of a service address.
func (a Addresses) form(local string) (Form, bool) {
	base, details, _ := strings.Cut(local, "+")
	f := Form{}
	if details != "" {
		f.Details = strings.Split(details, "+")
	}
	switch rest, ok := cutPrefixFold(base, a.Service); {
	case !ok:
		return f, false
	case rest == "":
		f.Kind = ToSender
	case rest == "2":
		f.Kind = ToAuthor
		return f, a.Author
	case strings.EqualFold(rest, "-stop"):
		f.Kind = Stop
	default:
		// The user's own plus is part of the name.
		named, ok := cutPrefixFold(local, a.Service+"-")
		at := strings.LastIndexByte(named, '=')
		if !ok || at < 1 || at == len(named)-1 || !a.Named {
			return f, false
		}
		return Form{Kind: ToNamed, Named: named[:at] + "@" + naming.Key(named[at+1:])}, true
	}
	return f, true
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// Of gives the form of the service address that a message was sent to; the plain one where there is none.
func (a Addresses) Of(rcpt []string) Form {
	for _, to := range rcpt {
		local, domain := naming.Split(to)
		if role, f := a.Role(naming.Unquoted(local), domain); role == Service {
			return f
		}
	}
	return Form{Kind: ToSender}
}

// forApplications is the address for mail of applications, of the form that was written to.
func (a Addresses) forApplications(f Form) string {
	form := ""
	if f.Kind == ToAuthor {
		form = "2"
	}
	return a.Service + form + "+" + application + "@" + a.Domains[0]
}

// forAuthor is the address whose report goes to the From address, "" where it is not taken.
func (a Addresses) forAuthor(f Form) string {
	switch {
	case !a.Author:
		return ""
	case f.Application():
		return a.forApplications(Form{Kind: ToAuthor})
	}
	return a.Service + "2@" + a.Domains[0]
}

// Own tells whether an address is one that we answer from or to: mail from it is a loop.
func (a Addresses) Own(local, domain string) bool {
	role, _ := a.Role(local, domain)
	return a.ours(domain) && role != UnknownUser
}

func (a Addresses) ours(domain string) bool {
	return slices.Contains(a.Domains, naming.Key(domain))
}
