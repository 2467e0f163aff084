package compose

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dnsbl"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/standing"
)

// forClass makes of a report what an unproved address may get from us. A stranger chooses the message, the SMTP dialogue
// and the DNS of his own domains; none of his words may reach a victim under our signature. So only this stays: what this
// program says itself, numbers and addresses, the names of the envelope sender's organisation, the records that these
// publish and what they lead to, and the client's host names. All else is hidden. r is not changed.
func forClass(r *verify.Report, class policy.Class) *verify.Report {
	if class == policy.Proved {
		return r
	}
	u := newFilter(r)
	out := *r
	out.Session, out.Verdict = u.session(r.Session), r.Verdict
	out.Verdict.Why = u.reason(r.Verdict.Why)
	out.Message = verify.MessageFacts{Size: r.Message.Size, From: u.shown(r.Check(verify.MethodDMARC).Identities["header.from"])}
	out.Checks = slices.Clone(r.Checks)
	for i := range out.Checks {
		u.check(&out.Checks[i])
	}
	out.Findings = cleaned(u, r.Findings)
	// A record that is not the sender's own is not his to publish.
	out.Actions = cleaned(u, slices.DeleteFunc(slices.Clone(r.Actions), func(a verify.Action) bool { return a.Type == "TXT" && !u.own(a.Name) }))
	if author := r.Check(verify.MethodDMARC).Identities["header.from"]; author != "" && !u.knows(author) {
		for i := range out.Actions {
			a := &out.Actions[i]
			a.Settings = slices.DeleteFunc(a.Settings, func(line string) bool { return strings.Contains(line, author) })
		}
	}
	out.Authoritative = cleaned(u, r.Authoritative)
	return &out
}

// cleaned is a copy of a list; of none there is an empty list, not null.
func cleaned[T any](u *filter, list []T) []T {
	out := make([]T, len(list))
	for i := range list {
		out[i] = u.copy(reflect.ValueOf(list[i])).Interface().(T)
	}
	return out
}

// filter knows what an unproved sender may be shown.
type filter struct {
	domain string          // of MAIL FROM; with the null sender that of HELO (RFC 5321, 4.5.5; RFC 7208, 2.4)
	names  map[string]bool // what the own records lead to
	client map[string]bool // host names of the client, which its network and HELO say: for what is about the client
	about  bool            // what is looked at is about the client
	texts  []string        // what the own records say
}

func newFilter(r *verify.Report) *filter {
	u := &filter{domain: cmp.Or(standing.Domain(r), naming.Key(r.Session.Helo)), names: map[string]bool{}, texts: []string{r.ID, r.Host, r.Session.MailFrom}}
	u.texts = append(u.texts, r.Session.RcptTo...)
	evidence := evidenceIn(r)
	for _, e := range evidence {
		if e.Type == "PTR" {
			for _, name := range e.Data {
				u.name(name)
			}
		}
	}
	u.name(r.Session.Helo)
	u.client, u.names = u.names, map[string]bool{}
	// From the own names on, by what their records name: RFC 7208, 4.6.4 bounds the depth.
	for again, round := true, 0; again && round < 12; round++ {
		again = false
		for i, e := range evidence {
			if e.Name == "" || !u.leadsTo(e.Name) {
				continue
			}
			evidence[i].Name, again = "", true
			u.texts = append(u.texts, e.Data...)
			for _, data := range e.Data {
				u.texts = append(u.texts, unquotedData(data))
				for word := range strings.FieldsFuncSeq(data, func(c rune) bool { return strings.ContainsRune(` "=:/~?+`, c) }) {
					u.name(word)
				}
			}
		}
	}
	return u
}

// unquotedData joins the strings of a TXT record as it stands in a zone file.
func unquotedData(data string) string {
	return strings.ReplaceAll(strings.Trim(data, `"`), `" "`, "")
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

// name takes in a host name; what is none stays unknown.
func (u *filter) name(s string) {
	if host, ok := fullName(s); ok {
		u.names[host] = true
	}
}

// own tells whether a name is the domain's, one above it, or its organisation's.
func (u *filter) own(name string) bool {
	name, ok := naming.ASCII(name)
	return ok && name != "" && (naming.Below(u.domain, name) || naming.SameOrganisation(name, u.domain))
}

// knows tells whether a name may be shown: without a label that begins with an underscore, such as _dmarc.
func (u *filter) knows(name string) bool {
	if u.leadsTo(name) {
		return true
	}
	name, _ = naming.ASCII(name)
	return u.about && u.client[name]
}

// leadsTo tells whether the own records lead to a name: what it publishes may be shown too.
func (u *filter) leadsTo(name string) bool {
	if u.own(name) {
		return true
	}
	name, _ = naming.ASCII(name)
	for strings.HasPrefix(name, "_") {
		_, name, _ = strings.Cut(name, ".")
	}
	return u.names[name]
}

// ofClient are the checks that are about the client.
func ofClient(method string) bool {
	return slices.Contains([]string{verify.MethodIPRev, verify.MethodHelo, verify.MethodSPFHelo, verify.MethodTLS}, method)
}

// shown is a text as an unproved sender may see it.
func (u *filter) shown(s string) string {
	if u.allowed(s) {
		return s
	}
	if _, ok := fullName(s); ok {
		return otherDomain
	}
	return hidden(s)
}

// fullName is a host name of more than one label.
func fullName(s string) (host string, ok bool) {
	host, ok = naming.Host(strings.TrimSuffix(s, "."))
	return host, ok && strings.Contains(host, ".")
}

// otherDomain stands for a name of somebody else.
const otherDomain = "[another domain]"

// allowed: words of this program and of the RFCs, numbers, known names, what the own records say, and lists of these.
func (u *filter) allowed(s string) bool {
	if s == "" || plainWords[s] || isNumber(s) {
		return true
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" || isReverse(s) {
		return true
	}
	_, domain, address := strings.Cut(s, "@")
	if address && s == "@"+domain && u.knows(domain) || strings.Contains(s, ".") && u.knows(s) {
		return true
	}
	if slices.ContainsFunc(u.texts, func(text string) bool { return strings.Contains(text, s) }) {
		return true
	}
	for _, separator := range []string{", ", " > ", " ", ";", "/", ":", "="} {
		if parts := strings.Split(s, separator); len(parts) > 1 {
			return !slices.ContainsFunc(parts, func(p string) bool { return !u.allowed(p) })
		}
	}
	return false
}

// isNumber: digits, and what stands between those of dates, sizes and networks.
func isNumber(s string) bool {
	return strings.Trim(s, "0123456789+-.:/%TZ?[]") == "" && strings.ContainsAny(s, "0123456789")
}

// isReverse: the name that an address is asked for by (RFC 1035, 3.5; RFC 3596, 2.5).
func isReverse(s string) bool {
	rest, ok := strings.CutSuffix(s, ".in-addr.arpa")
	if !ok {
		rest, ok = strings.CutSuffix(s, ".ip6.arpa")
	}
	return ok && strings.Trim(rest, "0123456789abcdef.") == ""
}

// plainWords are what stands in reports of words that are nobody's: this program's own and those of the RFCs.
var plainWords = wordSet(`
none pass fail softfail neutral permerror temperror policy skipped unknown reject quarantine present absent malformed
a aaaa mx txt ptr cname ns tlsa spf A AAAA MX TXT PTR CNAME NS TLSA SPF SOA noerror nxdomain servfail refused timeout NOERROR NXDOMAIN SERVFAIL REFUSED TIMEOUT
rsa ed25519 rsa-sha256 rsa-sha1 ed25519-sha256 sha256 sha1 simple relaxed exact strict r s y n f
spf-helo iprev dkim dmarc helo tls arc header inbound dnsbl spam mfrom mailfrom smtp.mailfrom smtp.helo header.d header.s header.from header.i
all include exists redirect exp ip4 ip6 ~all -all ?all +all v p sp np t fo rua ruf adkim aspf pct psd ri rf b bh c d h i l q x z k g
h= b= bh= c= d= s= i= l= t= x= v=spf1 v=DMARC1 v=DKIM1 DMARC DKIM BIMI MTA-STS TLS-RPT
From Sender Reply-To To Cc Bcc Date Subject Message-ID In-Reply-To References MIME-Version Content-Type Content-Transfer-Encoding Content-Language
Received Received-SPF Return-Path Authentication-Results DKIM-Signature ARC-Seal ARC-Message-Signature ARC-Authentication-Results List-Id List-Unsubscribe
from sender reply-to to cc date subject message-id mime-version content-type content-transfer-encoding in-reply-to references
TLS TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3 Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec
second seconds minute minutes hour hours day days week weeks month months year years octets UTC
utf-8 us-ascii iso-8859-1 iso-8859-15 windows-1252 quoted-printable base64 7bit 8bit text/plain text/html multipart/alternative multipart/mixed
accept allow arc block bulk defer domain domain-policy error ham info invalid junk listed marketing match met missing modifier record recommended
required warning wrong-answer unanswered other ok not-asked not-listed header-date
name literal address ipv4 ipv6 IPv4 IPv6 body yes no true false and or MAIL FROM HELO mail server lookups terms
`)

func wordSet(s string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		out[w] = true
	}
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		out[suite.Name] = true
	}
	return out
}

// session: of the dialogue the verbs and the codes stay, of HELO a host name or an address literal (RFC 5321, 4.1.3).
func (u *filter) session(s verify.Session) verify.Session {
	out := u.copy(reflect.ValueOf(s)).Interface().(verify.Session)
	out.ClientIP, out.MailFrom, out.RcptTo = s.ClientIP, s.MailFrom, s.RcptTo
	for i, l := range s.Transcript {
		out.Transcript[i].Text = verb(l)
	}
	if isHelo(s.Helo) {
		out.Helo = s.Helo
	}
	return out
}

func isHelo(s string) bool {
	if _, ok := naming.Host(s); ok {
		return true
	}
	a, ok := naming.Literal(s)
	return ok && a.Zone() == ""
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

func (u *filter) check(k *result.Outcome) {
	u.about = ofClient(k.Method)
	defer func() { u.about = false }()
	*k = u.copy(reflect.ValueOf(*k)).Interface().(result.Outcome)
	k.Evidence = slices.DeleteFunc(k.Evidence, func(e result.Evidence) bool { return e.Name == otherDomain })
	if d := result.Detail[dkim.Signature](*k); d != nil {
		d.CanonHeader, d.CanonBody, d.HashClaimed, d.HashComputed = nil, nil, "", ""
	}
}

func (u *filter) reason(r result.Reason) result.Reason {
	return u.copy(reflect.ValueOf(r)).Interface().(result.Reason)
}

// ourTexts are types whose texts this program writes, but for the fields that are named; arguments and whatever else is
// inside of them are looked at all the same.
var ourTexts = map[reflect.Type][]string{
	reflect.TypeFor[result.Outcome]():         {"Cause"},
	reflect.TypeFor[result.Reason]():          {},
	reflect.TypeFor[result.Finding]():         {},
	reflect.TypeFor[verify.TLS]():             {"ServerName", "Client"},
	reflect.TypeFor[verify.Action]():          {},
	reflect.TypeFor[verify.Place]():           {},
	reflect.TypeFor[verify.VerdictShift]():    {},
	reflect.TypeFor[verify.AuthorityServer](): {"Data"},
	reflect.TypeFor[dnsbl.Entry]():            {"Subject"},
}

// copy is a deep copy without what may not be shown. Errors are for the log alone.
func (u *filter) copy(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.String:
		// Codes, words and states have types of their own, and are this program's.
		if v.Type() == reflect.TypeFor[string]() {
			return reflect.ValueOf(u.shown(v.String()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			out := reflect.New(v.Type().Elem())
			out.Elem().Set(u.copy(v.Elem()))
			return out
		}
	case reflect.Slice:
		if !v.IsNil() {
			out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			for i := range v.Len() {
				out.Index(i).Set(u.copy(v.Index(i)))
			}
			return out
		}
	case reflect.Map:
		if !v.IsNil() {
			out := reflect.MakeMap(v.Type())
			for i := v.MapRange(); i.Next(); {
				out.SetMapIndex(i.Key(), u.copy(i.Value()))
			}
			return out
		}
	case reflect.Interface:
		return reflect.Zero(v.Type())
	case reflect.Struct:
		return u.copyStruct(v)
	}
	return v
}

func (u *filter) copyStruct(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch x := v.Interface().(type) {
	case result.Arg:
		out.Set(reflect.ValueOf(result.Arg{Name: x.Name, Value: u.shown(x.Value)}))
		return out
	case result.Evidence:
		out.Set(reflect.ValueOf(u.evidence(x)))
		return out
	case result.Finding:
		u.about = ofClient(x.Check)
		defer func() { u.about = false }()
	}
	strange, ok := ourTexts[v.Type()]
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		texts := f.Type == reflect.TypeFor[string]() || f.Type == reflect.TypeFor[[]string]()
		if ok && texts && !slices.Contains(strange, f.Name) {
			continue
		}
		out.Field(i).Set(u.copy(v.Field(i)))
	}
	return out
}

// evidence: of a name that is not known the octets of texts are told, and the addresses.
func (u *filter) evidence(e result.Evidence) result.Evidence {
	known := u.leadsTo(e.Name)
	e.Name, e.Server, e.Extended = u.shown(e.Name), u.shown(e.Server), ""
	chain, data := e.Chain, e.Data
	e.Chain, e.Data = make([]string, len(chain)), make([]string, len(data))
	for i, c := range chain {
		e.Chain[i] = u.shown(c)
	}
	for i, d := range data {
		if e.Data[i] = d; !known {
			e.Data[i] = u.shown(d)
		}
	}
	return e
}

// hidden stands for another's words.
func hidden(words string) string {
	if words == "" {
		return ""
	}
	return fmt.Sprintf("%d octets, SHA-256 %.8x", len(words), sha256.Sum256([]byte(words)))
}
