package compose

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/arc"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/inbound"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
	"checkauth/verify/standing"
)

// forClass leaves out what an unproved address must not get from us: free text of the session and the message, and
// of the DNS of anybody but that address's own domain. A stranger chooses them all. Names stay, and what SPF read
// from the own domain on.
func forClass(r *verify.Report, class policy.Class) *verify.Report {
	if class == policy.Proved {
		return r
	}
	u := unproved{domain: standing.Domain(r)}
	out := *r
	u.session(&out.Session)
	out.Message.Subject = ""
	if !wellFormedID(r.Message.MessageID) {
		out.Message.MessageID = ""
	}
	out.Message.From = r.Check(verify.MethodDMARC).Identities["header.from"]
	if p := r.Verdict.Why.Args.Get("passed"); p != "" { // d= of a signature may be a stranger's
		out.Verdict.Why.Args = r.Verdict.Why.Args.With("passed", oneWord(p))
	}
	out.Checks = slices.Clone(r.Checks)
	for i := range out.Checks {
		u.check(&out.Checks[i])
	}
	out.Findings = slices.Clone(r.Findings) // none are an empty list, not null
	for i := range out.Findings {
		f := &out.Findings[i]
		f.Args = u.args(f.Code, f.Args, f.Check)
		if f.Check != verify.MethodSPF {
			f.Evidence = u.evidence(f.Evidence)
		}
	}
	out.Actions = slices.DeleteFunc(slices.Clone(r.Actions), func(a verify.Action) bool { return a.Type == "TXT" && !u.own(a.Name) })
	for i, a := range out.Actions {
		out.Actions[i].Args = u.args(a.Code, a.Args, "")
	}
	out.Authoritative = slices.Clone(r.Authoritative)
	for i, a := range out.Authoritative {
		if a.Type != "TXT" || u.own(a.Name) {
			continue
		}
		out.Authoritative[i].Servers = slices.Clone(a.Servers)
		for j, s := range a.Servers {
			out.Authoritative[i].Servers[j].Data = hashedAll(s.Data)
		}
	}
	return &out
}

// unproved is who gets a report that nothing proves.
type unproved struct{ domain string }

// own tells whether a name is the domain's, or its organisation's. Of the null sender each is: it is never mailed to,
// and who evaluates a bounce by hand wants to see.
func (u unproved) own(name string) bool {
	name = dns.Canonical(name)
	return u.domain == "" || name != "" && (name == u.domain || naming.SameOrganisation(name, u.domain))
}

// session: of the dialogue the verbs and the codes stay.
func (u unproved) session(s *verify.Session) {
	s.Transcript = slices.Clone(s.Transcript)
	for i, l := range s.Transcript {
		s.Transcript[i].Text = verb(l)
	}
	if s.TLS != nil {
		bare := *s.TLS
		bare.Client = ""
		s.TLS = &bare
	}
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

func (u unproved) check(k *verify.Check) {
	if k.Method != verify.MethodSPF {
		k.Reason.Args = u.args(k.Reason.Code, k.Reason.Args, k.Method)
		if k.Result != result.TempError { // whose cause is how a question failed
			k.Cause = ""
		}
		k.Evidence = u.evidence(k.Evidence)
	}
	switch d := &k.Details; {
	case d.DKIM != nil:
		d.DKIM = u.signature(*d.DKIM)
	case d.ARC != nil:
		d.ARC = u.chain(*d.ARC)
	case d.DMARC != nil && !u.own(d.DMARC.PolicyName):
		d.DMARC = u.policy(*d.DMARC)
	case d.SPF != nil && k.Method == verify.MethodSPFHelo && !u.own(d.SPF.Domain):
		d.SPF = &spf.Result{Sender: d.SPF.Sender, Domain: d.SPF.Domain, Lookups: d.SPF.Lookups, Voids: d.SPF.Voids, Network: d.SPF.Network}
	case d.Inbound != nil && !u.own(d.Inbound.Domain):
		in := *d.Inbound
		for _, p := range []*inbound.Policy{&in.MTASTS, &in.TLSRPT, &in.BIMI} {
			p.Text = hashed(p.Text)
		}
		d.Inbound = &in
	}
}

// evidence: texts of others are hashed, names and addresses stay.
func (u unproved) evidence(all []result.Evidence) []result.Evidence {
	all = slices.Clone(all)
	for i, e := range all {
		if e.Type == "TXT" && !u.own(e.Name) {
			all[i].Data = hashedAll(e.Data)
		}
	}
	return all
}

func (u unproved) signature(s dkim.Signature) *dkim.Signature {
	s.CanonHeader, s.CanonBody = nil, nil
	s.Identity = s.Identity[max(strings.LastIndexByte(s.Identity, '@'), 0):] // the local part may be any text
	for _, tag := range []*string{&s.Domain, &s.Selector, &s.Algorithm, &s.Header, &s.Body, &s.Identity, &s.HashClaimed, &s.KeyName} {
		*tag = oneWord(*tag)
	}
	if !u.own(s.KeyName) {
		s.KeyRecord = hashed(s.KeyRecord)
		if s.Key != nil {
			s.Key = &dkim.Key{Type: oneWord(s.Key.Type), Bits: s.Key.Bits, Revoked: s.Key.Revoked, TestMode: s.Key.TestMode, StrictAUID: s.Key.StrictAUID}
		}
	}
	return &s
}

// chain: what hosts are said to have found may be any text.
func (u unproved) chain(a arc.Result) *arc.Result {
	a.Instances = slices.Clone(a.Instances)
	for i := range a.Instances {
		in := &a.Instances[i]
		in.Results, in.Authserv = "", ""
		in.CV = oneWord(in.CV)
		for _, s := range []*arc.Signature{&in.Seal, &in.Message} {
			s.Domain, s.Selector, s.Algorithm, s.KeyName = oneWord(s.Domain), oneWord(s.Selector), oneWord(s.Algorithm), oneWord(s.KeyName)
		}
		in.Problems = slices.Clone(in.Problems)
		for j, p := range in.Problems {
			in.Problems[j].Args = u.args(p.Code, p.Args, verify.MethodARC)
		}
	}
	return &a
}

func (u unproved) policy(d dmarc.Result) *dmarc.Result {
	d.Record, d.Reports = hashed(d.Record), nil
	return &d
}

// freeText are the arguments that may be any text, whosever record or field they are from.
var freeText = []string{"text", "error", "cv"}

// ofRecords are those that are read from a record: of the own domain they stay.
var ofRecords = []string{"tag", "value", "flag", "term", "terms", "near", "chain", "costly", "record"}

// args puts hashes in the place of free text.
func (u unproved) args(code result.Code, args result.Args, method string) result.Args {
	hide := func(names ...string) {
		for _, name := range names {
			if v := args.Get(name); v != "" && !standard(v) {
				args = args.With(name, hashed(v))
			}
		}
	}
	if method != verify.MethodSPF && (!strings.HasPrefix(string(code), "dkim-key-") || !u.own(args.Get("name"))) {
		hide(freeText...)
	}
	hide(ownWords(code)...)
	switch {
	case strings.HasPrefix(string(code), "dkim-signature-"):
		hide("tag", "value") // whatever domain the field names
	case method == verify.MethodSPF || u.own(args.Get("name")) || u.own(args.Get("domain")):
	default:
		hide(ofRecords...)
		if strings.HasPrefix(string(code), "dmarc-rua-") {
			hide("address")
		}
	}
	return args
}

// standard: no words of anybody's, but of the RFCs.
func standard(v string) bool {
	return len(v) <= 2 || slices.Contains([]string{"none", "pass", "fail", "rua", "ruf", "adkim", "aspf", "fo", "pct", "psd", "reject", "quarantine"}, v)
}

// ownWords are the arguments that have the message's own words.
func ownWords(code result.Code) []string {
	switch code {
	case "dkim-header-rewritten":
		return []string{"was"}
	case "dkim-subject-tagged":
		return []string{"tag"}
	case "header-date-malformed", "header-date-obsolete", "header-date-off":
		return []string{"date"}
	case "header-message-id-malformed":
		return []string{"id"}
	case "arc-broken-after", "arc-broken-between", "dkim-verified-before", "arc-fail-cv":
		return []string{"host"}
	case "mailing-list", "action-list":
		return []string{"list"}
	case "header-space-before-colon", "header-repeats-fields", "header-duplicate", "header-not-utf8", "header-8bit", "header-control", "header-blank-fold":
		return []string{"fields"}
	}
	return nil
}

// oneWord keeps a name, a number or base64; what may be a sentence is hashed.
func oneWord(s string) string {
	const word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/=@"
	if strings.Trim(s, word) == "" {
		return s
	}
	return hashed(s)
}

// hashed stands for another's words.
func hashed(words string) string {
	if words == "" {
		return ""
	}
	return fmt.Sprintf("%d octets, SHA-256 %.8x", len(words), sha256.Sum256([]byte(words)))
}

func hashedAll(data []string) []string {
	out := slices.Clone(data)
	for i, d := range out {
		out[i] = "(" + hashed(d) + ")"
	}
	return out
}
