package receivers

import (
	"net/netip"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/helo"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// FactsOf reads what the checks found. The header's fields are there only in a report that was just
// made; of one that was read from JSON those facts were not looked at.
func FactsOf(r *verify.Report) Facts {
	var f Facts
	if ip, err := netip.ParseAddr(r.Session.ClientIP); err == nil {
		f.Client = ip.Unmap()
	}
	f.learnAuthor(r) // the signatures are compared with it
	f.learnSPF(r.Check(verify.MethodSPF))
	f.learnDKIM(r.All(verify.MethodDKIM))
	f.learnDMARC(r.Check(verify.MethodDMARC))
	f.learnIPRev(r)
	f.learnSession(r)
	f.learnHeader(r)
	f.learnDNS(r)
	f.learnWay(r)
	return f
}

// learnAuthor: without a report of DMARC the author is read from the field itself.
func (f *Facts) learnAuthor(r *verify.Report) {
	c := r.Check(verify.MethodDMARC)
	switch {
	case result.Detail[dmarc.Result](c) != nil:
		f.Author = Known(result.Detail[dmarc.Result](c).Author)
	case len(r.Message.Fields) > 0:
		f.Author = Known(mail.ParseFrom(r.Message.Fields).Domain)
	default:
		f.Author = Failed[string]()
	}
}

func (f *Facts) learnSPF(c result.Outcome) {
	f.SPF = c.Result
	d := result.Detail[spf.Result](c)
	switch {
	case d == nil, d.Root == nil && undecided(c.Result):
		f.SPFAll, f.SPFNever = Failed[result.Word](), Failed[bool]()
	case d.Root == nil:
		f.SPFAll, f.SPFNever = Known(result.Word("")), Known(false)
	default:
		f.SPFAll, f.SPFNever = Known(lastWord(d.Root)), Known(never(d.Root))
	}
	if d != nil {
		f.SPFDomain = dns.Canonical(d.Domain)
	}
}

// undecided results say nothing of the message; "" is that of a check that there is not.
func undecided(w result.Word) bool {
	return w == "" || w == result.TempError || w == result.NotRun
}

// qualifiers: RFC 7208, 4.6.2.
var qualifiers = map[byte]result.Word{'+': result.Pass, '-': result.Fail, '~': result.SoftFail, '?': result.Neutral}

// lastWord is what the record says of everybody: that of all, also behind a redirect.
func lastWord(rec *spf.Record) result.Word {
	// RFC 7208, 4.6.4: no evaluation goes deeper than ten look-ups.
	for depth := 0; rec != nil && depth <= 10; depth++ {
		at := rec
		rec = nil
		for _, t := range at.Terms {
			text := strings.ToLower(t.Text)
			if w, ok := ofAll(text); ok {
				return w
			}
			if strings.HasPrefix(text, "redirect=") {
				rec = t.Record
			}
		}
	}
	return ""
}

func ofAll(term string) (w result.Word, ok bool) {
	if term == "all" {
		return result.Pass, true
	}
	rest, found := strings.CutPrefix(term[min(len(term), 1):], "all")
	if !found || rest != "" {
		return "", false
	}
	w, ok = qualifiers[term[0]]
	return w, ok
}

// never: RFC 7208, 10.1.2: a domain that sends no mail says so with -all alone.
func never(rec *spf.Record) bool {
	return len(rec.Terms) == 1 && strings.EqualFold(rec.Terms[0].Text, "-all")
}

func (f *Facts) learnDKIM(checks []result.Outcome) {
	if len(checks) == 0 {
		f.DKIM = Failed[[]Signature]()
		return
	}
	f.DKIM = Known([]Signature{})
	for _, c := range checks {
		d := result.Detail[dkim.Signature](c)
		switch {
		case d != nil:
			f.DKIM.Value = append(f.DKIM.Value, signature(c, f.Author.Value))
		case c.Result != result.None:
			f.DKIM = Failed[[]Signature]()
			return
		}
	}
}

func signature(c result.Outcome, author string) Signature {
	d := result.Detail[dkim.Signature](c)
	s := Signature{Domain: naming.Key(d.Domain), Word: c.Result, Signed: d.Signed}
	if !d.Evaluated {
		s.Word = result.NotRun // beyond our bound; the receiver may have looked at it
	}
	if d.Key != nil {
		s.RSA, s.Bits = d.Key.Type == "rsa", d.Key.Bits
	}
	s.Aligned = aligned(s.Domain, author)
	return s
}

// aligned compares in relaxed mode, by the public suffix list as most receivers do; what the domain asks
// for with adkim and aspf is in DMARC's own result.
func aligned(domain, author string) bool {
	if domain == "" || author == "" {
		return false
	}
	if domain == author {
		return true
	}
	return naming.SameOrganisation(domain, author)
}

func (f *Facts) learnDMARC(c result.Outcome) {
	f.DMARC = c.Result
	d := result.Detail[dmarc.Result](c)
	switch {
	case d == nil, d.Record == "" && undecided(c.Result):
		f.Record = Failed[string]()
	default:
		f.Policy, f.Record = d.Policy, Known(d.Record)
	}
}

// hasPolicy tells whether a DMARC record has the tag p. One without is taken for p=none by RFC 9989,
// 4.7, and not by every receiver.
func hasPolicy(record string) bool {
	for tag := range strings.SplitSeq(record, ";") {
		name, _, ok := strings.Cut(tag, "=")
		if ok && strings.EqualFold(strings.TrimSpace(name), "p") {
			return true
		}
	}
	return false
}

// learnIPRev: names are judged only where they lead back to the address; the others are not its own.
func (f *Facts) learnIPRev(r *verify.Report) {
	f.IPRev = r.Check(verify.MethodIPRev).Result
	switch {
	case f.IPRev == result.Pass:
		i := slices.IndexFunc(r.Findings, func(x result.Finding) bool { return x.Code == "iprev-generic-name" })
		f.Generic = Known(i >= 0)
		f.Dynamic = Known(i >= 0 && r.Findings[i].Severity == result.Warning)
	case undecided(f.IPRev):
		f.Generic, f.Dynamic = Failed[bool](), Failed[bool]()
	}
}

func (f *Facts) learnSession(r *verify.Report) {
	switch r.Check(verify.MethodTLS).Result {
	case result.Pass:
		f.TLS = Known(true)
	case result.None:
		f.TLS = Known(false)
	default:
		f.TLS = Failed[bool]()
	}
	if d := result.Detail[helo.Result](r.Check(verify.MethodHelo)); d != nil {
		f.HeloGood = Known(d.Kind != "invalid")
		f.HeloFull = Known(d.Kind == "name" && !dns.IsLocal(r.Session.Helo))
		f.HeloOwn = Known(!ours(r, naming.Key(r.Session.Helo)))
		return
	}
	f.HeloGood, f.HeloFull, f.HeloOwn = Failed[bool](), Failed[bool](), Failed[bool]()
}

// ours tells whether a name is that of the server that was spoken to, or of a domain it takes mail for.
func ours(r *verify.Report, name string) bool {
	return name == naming.Key(r.Host) || slices.ContainsFunc(r.Session.RcptTo, func(to string) bool {
		return name != "" && name == naming.Domain(to)
	})
}

// learnWay: what stood between the author's server and us.
func (f *Facts) learnWay(r *verify.Report) {
	f.Forwarded = Known(slices.ContainsFunc(r.Findings, func(x result.Finding) bool {
		return x.Code == "spf-forwarded" || x.Code == "mailing-list"
	}))
}
