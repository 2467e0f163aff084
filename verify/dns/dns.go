// Package dns is what the checks know of the DNS: a question, an answer that is evidence, errors that
// tell apart what went wrong, and the memo of one message. It speaks no wire format; package client
// does.
//
// NXDOMAIN and an empty answer are answers here, not errors: RFC 7208, 4.3 and 4.4 and RFC 9989 treat
// them otherwise than a server that failed.
package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// Type is a type of resource record, by its number in the IANA registry.
type Type uint16

// The types that the checks ask for.
const (
	A     Type = 1
	NS    Type = 2
	CNAME Type = 5
	SOA   Type = 6
	PTR   Type = 12
	MX    Type = 15
	TXT   Type = 16
	AAAA  Type = 28
	TLSA  Type = 52
	SPF   Type = 99
)

var typeNames = map[Type]string{
	A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", MX: "MX", TXT: "TXT", AAAA: "AAAA", TLSA: "TLSA", SPF: "SPF",
}

// String is the type's mnemonic, or TYPEn (RFC 3597, 5).
func (t Type) String() string {
	if s := typeNames[t]; s != "" {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// Question is one name and type; class IN is meant.
type Question struct {
	Name string // canonical: see Canonical
	Type Type
}

// Ask makes a Question of a name in any spelling.
func Ask(name string, t Type) Question { return Question{Name: Canonical(name), Type: t} }

func (q Question) String() string { return q.Name + " " + q.Type.String() }

// Canonical is the one spelling of a name here: lower case, without the final dot; the root is "".
func Canonical(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			// ASCII alone: RFC 4343, 3.
			b := []byte(name)
			for ; i < len(b); i++ {
				if c := b[i]; 'A' <= c && c <= 'Z' {
					b[i] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return name
}

// Askable tells whether a name can be put on the wire at all: labels of 1 to 63 octets, at most 253 in
// all (RFC 1035, 2.3.4), none of them empty. The octets may be any.
func Askable(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// ReverseName is the name whose PTR records tell the address's names: RFC 1035, 3.5 and RFC 3596, 2.5.
// A mapped IPv4 address is taken for what it maps.
func ReverseName(ip netip.Addr) string {
	ip = ip.Unmap()
	if ip.Is4() {
		b := ip.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	const digits = "0123456789abcdef"
	b := ip.As16()
	out := make([]byte, 0, 72)
	for _, c := range slices.Backward(b[:]) {
		out = append(out, digits[c&15], '.', digits[c>>4], '.')
	}
	return string(out) + "ip6.arpa"
}

// Record is one resource record, taken apart as far as a check needs it.
type Record struct {
	Name    string // owner, canonical
	Type    Type
	TTL     uint32     // seconds
	Addr    netip.Addr // A, AAAA
	Target  string     // CNAME, MX, NS, PTR: canonical; "" is the root (a null MX, RFC 7505)
	Pref    uint16     // MX
	Strings []string   // TXT, SPF: the octets, not escaped
	Other   string     // other types: as in a zone file
}

// Text joins the strings of a TXT record without anything between them: RFC 7208, 3.3; RFC 6376,
// 3.6.2.2.
func (r Record) Text() string { return strings.Join(r.Strings, "") }

// Data is the record's data as in a zone file: names with their final dot, strings quoted, octets
// outside visible ASCII as \DDD (RFC 1035, 5.1).
func (r Record) Data() string {
	switch r.Type {
	case A, AAAA:
		return r.Addr.String()
	case CNAME, NS, PTR:
		return escapeName(r.Target) + "."
	case MX:
		return strconv.Itoa(int(r.Pref)) + " " + escapeName(r.Target) + "."
	case TXT, SPF:
		quoted := make([]string, len(r.Strings))
		for i, s := range r.Strings {
			quoted[i] = quote(s)
		}
		return strings.Join(quoted, " ")
	}
	return r.Other
}

// PrivateAddress stands in a report for an address that no stranger has to learn from us.
const PrivateAddress = "(private address)"

// Shown is Data for a report: an address of a private network is not told. The name may be somebody
// else's, and our resolver may know more of it than the asker does.
func (r Record) Shown() string {
	if (r.Type == A || r.Type == AAAA) && naming.Private(r.Addr) {
		return PrivateAddress
	}
	return r.Data()
}

func quote(s string) string {
	if plain(s) {
		return `"` + s + `"`
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// hostname: nothing in it needs a backslash, in a zone file's names.
func hostname(s string) bool {
	for i := range len(s) {
		if c := s[i]; ('a' > c || c > 'z') && ('0' > c || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// plain: nothing in it needs a backslash within quotes.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func escapeName(s string) string {
	if hostname(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		case strings.IndexByte(`"();@$\`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Answer is what a server said: NOERROR or NXDOMAIN, with the records of the type asked for at the end
// of the CNAME chain.
type Answer struct {
	Question Question
	NX       bool     // NXDOMAIN: the name, or what its CNAME leads to, does not exist
	Records  []Record // of the type asked for, in the server's order
	Chain    []Record // the CNAMEs that led there, in order
	Negative uint32   // seconds that "there is none" may be remembered (RFC 2308, 5), 0 where unknown
	AD       bool     // the server says that it validated this (RFC 4035, 3.2.3)
	Extended string   // extended error that came with it (RFC 8914), such as "stale answer"; a stranger's text
	Server   string   // address and port that answered
	Took     time.Duration
	Time     time.Time // when the answer came in
}

// Left is for how many seconds a cache may remember the answer: RFC 2181, 5.2 and RFC 2308, 5.
func (a Answer) Left() uint32 {
	left := a.Negative
	for _, r := range a.Records {
		left = max(left, r.TTL)
	}
	return left
}

// Forgotten is when the last cache that was told so drops the answer.
func (a Answer) Forgotten() time.Time { return a.Time.Add(time.Duration(a.Left()) * time.Second) }

// MaxChain is how many CNAMEs are followed from a name that is asked for.
const MaxChain = 8

// Resolver answers questions; it is called from many goroutines at once and blocks until there is an
// answer, an error or the context's end. The error is always an *Error. What it returns is shared:
// callers do not write to it.
type Resolver interface {
	Resolve(ctx context.Context, q Question) (Answer, error)
}

// Texts gives the joined strings of each TXT (or SPF) record.
func (a Answer) Texts() []string {
	out := make([]string, 0, len(a.Records))
	for _, r := range a.Records {
		out = append(out, r.Text())
	}
	return out
}

// Evidence is the answer in the form that a report carries.
func (a Answer) Evidence() result.Evidence {
	e := result.Evidence{
		Name: a.Question.Name, Type: a.Question.Type.String(), Rcode: "NOERROR",
		Server: a.Server, Took: a.Took, Time: a.Time, AD: a.AD, Data: make([]string, 0, len(a.Records)), Extended: a.Extended,
	}
	if a.NX {
		e.Rcode = "NXDOMAIN"
	}
	for i, r := range a.Records {
		// One RRset has one TTL (RFC 2181, 5.2); where a server disobeys, the smallest counts.
		if i == 0 || r.TTL < e.TTL {
			e.TTL = r.TTL
		}
		e.Data = append(e.Data, r.Shown())
	}
	for _, c := range a.Chain {
		e.Chain = append(e.Chain, c.Target)
	}
	return e
}
