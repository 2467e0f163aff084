package policy

import "strings"

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
	Domains []string // ours, lower case; the host name is one of them
	Service string   // local part that tests are sent to: check-auth
	From    string   // local part that our replies come from: auth-results
}

// Role tells what a recipient is for. Local parts match without regard to case; what stands behind a
// plus is a detail of the address (check-auth+anything). An empty domain goes with postmaster alone
// (RFC 5321, 4.5.1).
func (a Addresses) Role(local, domain string) Role {
	local = strings.ToLower(local)
	if domain == "" {
		if local == "postmaster" {
			return Operator
		}
		return UnknownUser
	}
	if !a.ours(domain) {
		return Foreign
	}
	base, _, _ := strings.Cut(local, "+")
	switch base {
	case a.Service:
		return Service
	case "postmaster", "abuse", a.From: // RFC 5321, 4.5.1; RFC 2142, 2 and 4
		return Operator
	}
	return UnknownUser
}

// Own tells whether an address is one that we answer from or to: mail from it is a loop.
func (a Addresses) Own(local, domain string) bool {
	return a.ours(domain) && a.Role(local, domain) != UnknownUser
}

func (a Addresses) ours(domain string) bool {
	domain = strings.TrimSuffix(strings.ToLower(domain), ".")
	for _, d := range a.Domains {
		if domain == d {
			return true
		}
	}
	return false
}
