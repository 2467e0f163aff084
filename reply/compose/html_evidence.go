package compose

import (
	"fmt"
	"slices"

	"checkauth/verify"
	"checkauth/verify/result"
)

// record is an answer of the DNS.
type record struct {
	Name, Type string
	TTL        string
	Data       []string
	None       bool   // there are no such records
	Rcode      string // where there was no answer
}

// The HTML part has the text part beside it, which has every record whole: it stays small.
const (
	shownRecords = 16
	shownOctets  = 3000 // of all their data
	longData     = 450
)

// recordsOf are the answers that the checks rest on, in their order, each once; and how many are left out.
func recordsOf(r *verify.Report) (out []record, more int) {
	type question struct{ name, kind string }
	seen := map[question]bool{}
	octets := 0
	for _, k := range r.Checks {
		for _, e := range k.Evidence {
			q := question{e.Name, e.Type}
			// What is not there for mail to the domain stands among the facts of that check.
			if seen[q] || k.Beyond && len(e.Data) == 0 {
				continue
			}
			seen[q] = true
			all := recordOf(e)
			n := 0
			for _, a := range all {
				for _, d := range a.Data {
					n += len(d)
				}
			}
			if len(out)+len(all) > shownRecords || octets+n > shownOctets {
				more++
				continue
			}
			octets += n
			out = append(out, all...)
		}
	}
	return out, more
}

// recordOf is one answer with the CNAMEs on the way, whose TTL is not known.
func recordOf(e result.Evidence) []record {
	name := e.Name
	var out []record
	for _, target := range e.Chain {
		out = append(out, record{Name: zoneName(name), Type: "CNAME", Data: []string{zoneName(target)}})
		name = target
	}
	a := record{Name: zoneName(name), Type: safe(e.Type)}
	switch {
	case len(e.Data) > 0:
		a.TTL = fmt.Sprint(e.TTL)
		for _, d := range e.Data {
			a.Data = append(a.Data, result.Cut(inZone(d), longData))
		}
	case e.Rcode == "NOERROR" || e.Rcode == "NXDOMAIN":
		a.None = true
	default:
		a.Rcode = safe(e.Rcode)
	}
	return append(out, a)
}

func zoneName(s string) string { return result.Cut(inZone(s), 260) + "." }

// authority is what the name servers of a zone have under one name.
type authority struct {
	Name, Type string
	Servers    []server
	Says       string
}

// server is one of them, or several that say the same.
type server struct {
	Names  []string
	Serial string
	Data   []string
	None   bool   // it has no such record
	Error  string // why it gave no answer
}

func (c *Language) authorities(all []verify.Authority) []authority {
	var out []authority
	for _, a := range all {
		one := authority{Name: zoneName(a.Name), Type: safe(a.Type)}
		for _, s := range a.Servers {
			one.Servers = add(one.Servers, c.server(s))
		}
		if !a.Says.IsZero() {
			one.Says = c.reason(a.Says)
		}
		out = append(out, one)
	}
	return out
}

func (c *Language) server(s verify.AuthorityServer) server {
	out := server{Names: []string{zoneName(s.Server)}}
	if s.Serial != nil {
		out.Serial = fmt.Sprint(*s.Serial)
	}
	if !s.Error.IsZero() {
		out.Error = c.reason(s.Error)
		return out
	}
	out.None = len(s.Data) == 0
	for _, d := range s.Data {
		out.Data = append(out.Data, result.Cut(inZone(d), 500))
	}
	return out
}

// add puts a server that says what another one says beside that one.
func add(all []server, s server) []server {
	for i, o := range all {
		if o.Serial == s.Serial && o.Error == s.Error && slices.Equal(o.Data, s.Data) {
			all[i].Names = append(o.Names, s.Names...)
			return all
		}
	}
	return append(all, s)
}
