package compose

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/standing"
)

// forClass makes of a report what an unproved address may get from us. A stranger chooses the message, the SMTP dialogue and
// the DNS of his own domains; none of his words may reach a victim under our signature. So only this stays: what this program
// says itself, numbers and addresses, the envelope sender's own domain, the records of its DNS, and the names in these. Whose
// words a text is its From tells, and what has none is a stranger's. r is not changed.
func forClass(r *verify.Report, class policy.Class) *verify.Report {
	if class == policy.Proved {
		return r
	}
	s := newSight(r)
	out := *r
	out.Session = s.session(r.Session)
	out.Verdict.Why = s.reason(r.Verdict.Why)
	out.Message = verify.MessageFacts{Size: r.Message.Size}
	if author := r.Check(verify.MethodDMARC).Identities["header.from"]; author != "" {
		out.Message.From = s.text(result.Domain(author)).Value
	}
	out.Checks = each(r.Checks, s.outcome)
	out.Findings = each(r.Findings, s.finding)
	out.Actions = []verify.Action{}
	for _, a := range r.Actions {
		if s.mayEdit(a) {
			out.Actions = append(out.Actions, s.action(a))
		}
	}
	out.Receivers = each(r.Receivers, s.receiver)
	out.Authoritative = []verify.Authority{}
	for _, a := range r.Authoritative {
		if s.knows(a.Name) {
			out.Authoritative = append(out.Authoritative, s.authority(a))
		}
	}
	return &out
}

// each is a list with what change makes of its elements; of none there is an empty list.
func each[T any](list []T, change func(T) T) []T {
	out := make([]T, len(list))
	for i := range list {
		out[i] = change(list[i])
	}
	return out
}

// sight is what an unproved sender may see: the domain of MAIL FROM, with the null sender that of HELO (RFC 5321, 4.5.5;
// RFC 7208, 2.4), the domains above it within its organisation, and what their records lead to.
type sight struct {
	sender string // the address
	domain string
	names  map[string]bool
	others map[string]result.Ours // what stands for names that may not be shown, where more is known of them
}

func newSight(r *verify.Report) *sight {
	s := &sight{sender: r.Session.MailFrom, domain: cmp.Or(standing.Domain(r), naming.Key(r.Session.Helo)), names: map[string]bool{}, others: map[string]result.Ours{}}
	if helo, ok := naming.ASCII(r.Session.Helo); ok {
		s.others[helo] = "[the HELO name]"
	}
	evidence := evidenceIn(r)
	for _, e := range evidence {
		for _, d := range e.Data {
			if name, ok := naming.ASCII(d); ok && e.Type == "PTR" && isAddress(e.Name) {
				s.others[name] = result.Ours("[the PTR name of " + r.Session.ClientIP + "]")
			}
		}
	}
	for _, e := range evidence {
		// A name of the organisation counts where it has the client's address: anybody may say one, and give his address its name.
		if name, ok := naming.ASCII(e.Name); ok && naming.SameOrganisation(name, s.domain) && slices.Contains(e.Data, r.Session.ClientIP) {
			s.names[name] = true
		}
	}
	// From the own names on, by what their records name: RFC 7208, 4.6.4 bounds the depth.
	for again, round := true, 0; again && round < 12; round++ {
		again = false
		for i, e := range evidence {
			if e.Name == "" || !s.led(e.Name) {
				continue
			}
			evidence[i].Name, again = "", true
			if len(e.Data) > 0 {
				s.lead(e.Name) // such as the name of a key
			}
			for _, data := range slices.Concat(e.Data, e.Chain) {
				for word := range strings.FieldsFuncSeq(data, func(c rune) bool { return strings.ContainsRune(` "=:/~?+`, c) }) {
					s.lead(word)
				}
			}
		}
	}
	return s
}

// evidenceIn is all that was asked for a report.
func evidenceIn(r *verify.Report) (out []result.Evidence) {
	for _, k := range r.Checks {
		out = append(out, k.Evidence...)
	}
	for _, f := range r.Findings {
		out = append(out, f.Evidence...)
	}
	for _, a := range r.Authoritative {
		for _, s := range a.Servers {
			out = append(out, result.Evidence{Name: a.Name, Type: a.Type, Data: s.Data})
		}
	}
	return out
}

// lead takes in a name of more than one label, and those above it within its organisation; what is none stays unknown.
func (s *sight) lead(word string) {
	name, ok := naming.ASCII(strings.TrimSuffix(word, "."))
	if !ok || !strings.Contains(name, ".") || isNumber(name) {
		return
	}
	s.names[name] = true
	for _, above, ok := strings.Cut(name, "."); ok && naming.SameOrganisation(above, name); _, above, ok = strings.Cut(above, ".") {
		s.names[above] = true
	}
}

// led tells whether the records of a name may be believed to be the domain's: those of a key as well, which is there.
func (s *sight) led(name string) bool {
	if s.knows(name) {
		return true
	}
	_, base, ok := strings.Cut(name, "._domainkey.")
	return ok && s.knows(base)
}

// knows tells whether a name may be shown: without labels in front that begin with an underscore, such as _dmarc.
func (s *sight) knows(name string) bool {
	name, ok := naming.ASCII(strings.TrimSuffix(name, "."))
	if !ok || name == "" {
		return false
	}
	if s.names[name] {
		return true
	}
	for strings.HasPrefix(name, "_") && strings.Contains(name, ".") {
		_, name, _ = strings.Cut(name, ".")
	}
	return s.names[name] || naming.Below(s.domain, name) && naming.SameOrganisation(name, s.domain)
}

// otherDomain stands for a name of somebody else.
const otherDomain = "[another domain]"

// text is one as an unproved sender may see it.
func (s *sight) text(t result.Text) result.Text {
	if t.Value == "" || t.From.Allowed(s.knows) || isAddress(strings.Trim(t.Value, "?")) {
		return t
	}
	if host, ok := naming.Host(strings.TrimSuffix(strings.ReplaceAll(t.Value, "_", ""), ".")); ok && strings.Contains(host, ".") {
		return result.TextOf(s.otherName(t.Value))
	}
	return result.Text{Value: hidden(t.Value), From: result.Ourselves}
}

// otherName stands for a name that may not be shown: of a known domain at least that one is told.
func (s *sight) otherName(name string) result.Ours {
	if a, ok := naming.ASCII(name); ok && s.others[a] != "" {
		return s.others[a]
	}
	for {
		_, above, ok := strings.Cut(name, ".")
		if !ok {
			return otherDomain
		}
		if name = above; s.knows(name) {
			return result.Ours("[a name below " + strings.TrimSuffix(name, ".") + "]")
		}
	}
}

// hidden stands for another's words.
func hidden(words string) string {
	return fmt.Sprintf("%d octets, SHA-256 %.8x", len(words), sha256.Sum256([]byte(words)))
}

// isAddress: an IP address, or the name that one is asked for by (RFC 1035, 3.5; RFC 3596, 2.5).
func isAddress(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == ""
	}
	rest, ok := strings.CutSuffix(s, ".in-addr.arpa")
	if !ok {
		rest, ok = strings.CutSuffix(s, ".ip6.arpa")
	}
	return ok && strings.Trim(rest, "0123456789abcdef.") == ""
}

// isNumber: a network, an address, a part of one.
func isNumber(s string) bool { return strings.Trim(s, "0123456789.") == "" }

func (s *sight) args(as result.Args) result.Args {
	return each(as, func(a result.Arg) result.Arg {
		t := s.text(result.Text{Value: a.Value, From: a.From})
		return result.Arg{Name: a.Name, Value: t.Value, From: t.From}
	})
}

func (s *sight) reason(r result.Reason) result.Reason {
	r.Args, r.Text = s.args(r.Args), ""
	return r
}

func (s *sight) finding(f result.Finding) result.Finding {
	f.Args, f.Text, f.Evidence = s.args(f.Args), "", s.evidence(f.Evidence)
	return f
}

// evidence is that of known names, and of the client's address, whose names are anybody's.
func (s *sight) evidence(all []result.Evidence) []result.Evidence {
	if all == nil {
		return nil
	}
	out := []result.Evidence{}
	for _, e := range all {
		switch {
		case s.knows(e.Name):
		case isAddress(e.Name):
			e.Data = each(e.Data, func(d string) string { return s.text(result.Domain(d)).Value })
			e.Chain = nil
		default:
			continue
		}
		e.Extended, e.Server = "", ""
		out = append(out, e)
	}
	return out
}

// outcome has no detail, for only the check knows whose words are in it, and no cause, which may quote.
func (s *sight) outcome(o result.Outcome) result.Outcome {
	o.Reason, o.Evidence, o.Subject = s.reason(o.Reason), s.evidence(o.Evidence), s.text(o.Subject)
	o.Cause, o.Detail = "", nil
	identities := map[string]string{}
	for property, v := range o.Identities {
		identities[property] = s.identity(v)
	}
	o.Identities = identities
	properties := map[string]result.Text{}
	for property, t := range o.Properties {
		properties[property] = s.text(t)
	}
	o.Properties = properties
	facts := []result.Fact{}
	for _, f := range o.Facts {
		if f.Pre && slices.ContainsFunc(f.Lines, s.hides) {
			continue // it is there to be read, not to be told of
		}
		f.Lines = each(f.Lines, s.line)
		facts = append(facts, f)
	}
	o.Facts, o.Tree, o.Table = facts, s.tree(o.Tree), s.table(o.Table)
	return o
}

func (s *sight) hides(l result.Line) bool {
	return slices.ContainsFunc(l, func(p result.Piece) bool { return s.text(p.Text) != p.Text })
}

// identity is what a check verified: the sender, an address, or a domain.
func (s *sight) identity(v string) string {
	if v == s.sender || strings.TrimPrefix(v, "postmaster@") == s.domain {
		return v
	}
	// RFC 5321, 4.1.3: an address in brackets; some write it in question marks.
	if a, ok := naming.Literal(v); ok && a.Zone() == "" || isAddress(strings.Trim(v, "?")) {
		return v
	}
	return s.text(result.Domain(v)).Value
}

func (s *sight) line(l result.Line) result.Line {
	return each(l, func(p result.Piece) result.Piece { return result.Piece{Text: s.text(p.Text), Says: s.reason(p.Says)} })
}

func (s *sight) tree(t *result.Tree) *result.Tree {
	if t == nil {
		return nil
	}
	out := *t
	out.Rows = each(t.Rows, func(r result.Row) result.Row {
		r.Record, r.Term, r.Why, r.Found = s.text(r.Record), s.text(r.Term), s.reason(r.Why), each(r.Found, s.text)
		return r
	})
	if t.Whole != nil {
		whole := *t.Whole
		whole.Costs = each(whole.Costs, func(c result.Cost) result.Cost { return result.Cost{Term: s.text(c.Term), Lookups: c.Lookups} })
		out.Whole = &whole
	}
	return &out
}

func (s *sight) table(t *result.Table) *result.Table {
	if t == nil {
		return nil
	}
	return &result.Table{Head: t.Head, Rows: each(t.Rows, func(row []result.Cell) []result.Cell {
		return each(row, func(c result.Cell) result.Cell {
			c.Line, c.Small = s.line(c.Line), each(c.Small, s.line)
			return c
		})
	})}
}

// mayEdit: a record that is not the sender's own is not his to publish. A name that nothing is published at may be a
// stranger's choice.
func (s *sight) mayEdit(a verify.Action) bool {
	if a.Name == "" || isAddress(a.Name) {
		return true
	}
	return s.knows(a.Name)
}

func (s *sight) action(a verify.Action) verify.Action {
	a.Args, a.Text, a.Why = s.args(a.Args), "", s.reason(a.Why)
	a.Before, a.When = each(a.Before, s.reason), each(a.When, s.reason)
	a.Settings = each(a.Settings, s.named)
	if a.Where != nil {
		where := *a.Where
		where.Traps = each(where.Traps, s.reason)
		a.Where = &where
	}
	if !s.ownWords(a.Value, a.Replaces) {
		a.Value, a.Zone = hidden(a.Value), hidden(a.Zone)
	}
	return a
}

// named is a text of ours with names in it; what stands for those that may not be shown takes their place.
func (s *sight) named(t result.Text) result.Text {
	var pairs []string
	for _, d := range t.From.Domains() {
		if !s.knows(d) {
			pairs = append(pairs, d, string(s.otherName(d)))
		}
	}
	t.Value = strings.NewReplacer(pairs...).Replace(t.Value)
	if t.From != result.Stranger {
		t.From = result.Ourselves
	}
	return s.text(t)
}

// ownWords tells whether each name in a value is known, or stands in the record that it takes the place of.
func (s *sight) ownWords(value string, old []string) bool {
	for word := range strings.FieldsFuncSeq(value, func(c rune) bool { return strings.ContainsRune(` "=:/~?+;,@`, c) }) {
		name, ok := naming.ASCII(strings.TrimSuffix(word, "."))
		if !ok || !strings.Contains(name, ".") || isNumber(name) || s.knows(name) {
			continue
		}
		if !slices.ContainsFunc(old, func(o string) bool { return strings.Contains(strings.ToLower(o), name) }) {
			return false
		}
	}
	return true
}

func (s *sight) receiver(v verify.Receiver) verify.Receiver {
	// What an operator's file says brings its words.
	said := func(r result.Reason) result.Reason {
		r.Args = s.args(r.Args)
		return r
	}
	v.Why, v.Hint, v.Bulk, v.Text = said(v.Why), said(v.Hint), said(v.Bulk), s.named(v.Text)
	v.Rules = each(v.Rules, func(u verify.ReceiverRule) verify.ReceiverRule {
		u.Requirement, u.Text = said(u.Requirement), s.named(u.Text)
		return u
	})
	return v
}

func (s *sight) authority(a verify.Authority) verify.Authority {
	a.Says = s.reason(a.Says)
	a.Servers = each(a.Servers, func(v verify.AuthorityServer) verify.AuthorityServer {
		v.Error = s.reason(v.Error)
		return v
	})
	return a
}

// session: of the dialogue the verbs and the codes stay, of HELO a known name or an address literal (RFC 5321, 4.1.3). Which
// of our addresses was written to may have a stranger's words behind a plus.
func (s *sight) session(v verify.Session) verify.Session {
	v.RcptTo = []string{}
	if v.Helo != "" {
		v.Helo = s.identity(v.Helo)
	}
	v.Transcript = each(v.Transcript, func(l verify.Line) verify.Line {
		l.Text = verb(l)
		return l
	})
	if v.TLS != nil {
		tls := *v.TLS
		tls.ServerName, tls.Client = "", ""
		v.TLS = &tls
	}
	if v.TLSFailed != nil {
		failed := *v.TLSFailed
		failed.Cause = s.reason(failed.Cause)
		v.TLSFailed = &failed
	}
	return v
}

var verbs = []string{"EHLO", "HELO", "STARTTLS", "AUTH", "MAIL FROM:", "RCPT TO:", "DATA", "RSET", "NOOP", "VRFY", "QUIT"}

func verb(l verify.Line) string {
	if !l.Client {
		return l.Text[:min(len(l.Text), 3)]
	}
	for _, v := range verbs {
		if len(l.Text) >= len(v) && strings.EqualFold(l.Text[:len(v)], v) {
			return v
		}
	}
	return "?"
}
