package known

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"checkauth/verify/result"
)

// Kind is what is to be set in a mail server.
type Kind string

// The kinds.
const (
	Helo      Kind = "helo"       // the name that it gives to others
	SourceIP  Kind = "source_ip"  // the address that it sends from
	IPv6Off   Kind = "ipv6_off"   // sending over IPv4 alone
	DKIM      Kind = "dkim"       // signing
	Canon     Kind = "canon"      // canonicalisation of signatures
	Oversign  Kind = "oversign"   // signing From once more than it is there
	Footer    Kind = "footer"     // text that is appended, before it is signed
	TLS       Kind = "tls"        // to other servers
	Envelope  Kind = "envelope"   // the sender in MAIL FROM
	EightBit  Kind = "eight_bit"  // no conversion of what was signed
	Reload    Kind = "reload"     // so that the change holds
	sourceIP6 Kind = "source_ip6" // SourceIP where that is set elsewhere for IPv6
)

// kinds in the order above.
var kinds = []Kind{Helo, SourceIP, IPv6Off, DKIM, Canon, Oversign, Footer, TLS, Envelope, EightBit, Reload, sourceIP6}

// MailServer is the software of a mail server.
type MailServer struct {
	ID   string
	Name string
	// Certain: the names of the directives were found in the software's own files or manual. Where not, and
	// for menus, print them as what is usual.
	Certain bool

	common                bool
	received, notReceived *regexp.Regexp
	fields                []string
	settings              map[Kind]setting
}

type setting struct {
	set   []string
	notes []result.Reason
}

// serverEntry is a mail server in the file.
type serverEntry struct {
	ID          string                 `toml:"id"`
	Name        string                 `toml:"name"`
	Common      bool                   `toml:"common"`
	Received    string                 `toml:"received"`
	NotReceived string                 `toml:"not_received"`
	Fields      []string               `toml:"fields"`
	Certain     bool                   `toml:"certain"`
	Settings    map[Kind]settingsEntry `toml:"settings"`
}

type settingsEntry struct {
	Set   []string      `toml:"set"`
	Notes []result.Code `toml:"notes"`
}

func (a *Atlas) readServers() error {
	var file struct {
		Servers []serverEntry `toml:"server"`
	}
	if err := decode(serversFile, &file); err != nil {
		return err
	}
	for i := range file.Servers {
		m, err := file.Servers[i].server()
		if err != nil {
			return fmt.Errorf("server %q: %w", file.Servers[i].ID, err)
		}
		a.servers = append(a.servers, m)
	}
	return nil
}

func (e *serverEntry) server() (MailServer, error) {
	m := MailServer{
		ID: e.ID, Name: e.Name, Certain: e.Certain, common: e.Common, fields: e.Fields, settings: map[Kind]setting{},
	}
	var err error
	if m.received, err = regexp.Compile(e.Received); err != nil {
		return m, err
	}
	if e.NotReceived != "" {
		if m.notReceived, err = regexp.Compile(e.NotReceived); err != nil {
			return m, err
		}
	}
	for kind, s := range e.Settings {
		if !slices.Contains(kinds, kind) {
			return m, fmt.Errorf("unknown setting %q: want one of %q", kind, kinds)
		}
		notes, err := said(s.Notes)
		if err != nil {
			return m, err
		}
		m.settings[kind] = setting{s.Set, notes}
	}
	return m, nil
}

// Servers are the common ones, to be named where the software of a host is not known.
func (a *Atlas) Servers() []MailServer {
	var out []MailServer
	for i := range a.servers {
		if a.servers[i].common {
			out = append(out, a.servers[i])
		}
	}
	return out
}

// ServerByID finds a mail server that was recognised otherwise.
func (a *Atlas) ServerByID(id string) (MailServer, bool) {
	for i := range a.servers {
		if a.servers[i].ID == id {
			return a.servers[i], true
		}
	}
	return MailServer{}, false
}

// readUpTo bounds what is read of a Received field, in octets.
const readUpTo = 2048

// ServerOf guesses the software of the host that handed the message over. The values of its Received fields
// are given from the top, without "Received:"; that host wrote the first, so the others tell nothing of it. A
// message may hold any such text: the guess is for the choice of words.
func (a *Atlas) ServerOf(received, fieldNames []string) (MailServer, bool) {
	if len(received) == 0 {
		return MailServer{}, false
	}
	text := received[0]
	text = strings.Join(strings.Fields(text[:min(len(text), readUpTo)]), " ")
	for i := range a.servers {
		if a.servers[i].wrote(text, fieldNames) {
			return a.servers[i], true
		}
	}
	return MailServer{}, false
}

func (m *MailServer) wrote(received string, fieldNames []string) bool {
	if !m.received.MatchString(received) || m.notReceived != nil && m.notReceived.MatchString(received) {
		return false
	}
	if len(m.fields) == 0 {
		return true
	}
	return slices.ContainsFunc(fieldNames, func(name string) bool {
		return slices.ContainsFunc(m.fields, func(f string) bool { return strings.EqualFold(f, name) })
	})
}

// Args are what is put into a directive, as it is: the caller has made sure that they are names.
type Args struct {
	Host   string // that the server shall give in HELO
	Domain string // of the addresses
	IP     netip.Addr
}

// Directive is the usual one of Directives, "" where there is none.
func (m MailServer) Directive(k Kind, args Args) string {
	if all := m.Directives(k, args); len(all) > 0 {
		return all[0]
	}
	return ""
}

// Directives tell where and how something is set, the usual way first. Each is one or more lines, all of
// which are needed: a directive, with the file in front of it, or menus in the product's own words. One that
// wants what args does not have is left out. Words in capital letters are for the reader to replace.
func (m MailServer) Directives(k Kind, args Args) []string {
	args.IP = args.IP.Unmap()
	s := m.settings[k]
	if six, ok := m.settings[sourceIP6]; ok && k == SourceIP && args.IP.Is6() {
		s = six
	}
	var out []string
	for _, template := range s.set {
		if text, ok := args.fill(template); ok {
			out = append(out, text)
		}
	}
	return out
}

// Notes say what no directive does: that nothing is to be set, or what else is to be minded.
func (m MailServer) Notes(k Kind) []result.Reason { return m.settings[k].notes }

// fill puts everything in at once, so that what is put in is not looked at again.
func (args Args) fill(template string) (string, bool) {
	ip := ""
	if args.IP.IsValid() {
		ip = args.IP.String()
	}
	var pairs []string
	for _, p := range [][2]string{{"{host}", args.Host}, {"{domain}", args.Domain}, {"{ip}", ip}} {
		if p[1] == "" && strings.Contains(template, p[0]) {
			return "", false
		}
		pairs = append(pairs, p[0], p[1])
	}
	return strings.NewReplacer(pairs...).Replace(template), true
}
