package inbound

import (
	"context"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/mtasts"
	"checkauth/verify/result"
)

// form is how one kind of policy record is read.
type form struct {
	method  string
	version string            // a text that does not begin so is none of them
	want    string            // what it looks like, in its own notation
	valid   func(string) bool // of what stands behind the version
}

// The three forms.
var (
	// RFC 8461, 3.1.
	mtaSTS = form{"MTA-STS", "v=STSv1", "v=STSv1; id=20260101;", validSTS}
	// RFC 8460, 3.
	tlsRPT = form{"TLS-RPT", "v=TLSRPTv1", "v=TLSRPTv1; rua=mailto:user@domain", validRPT}
	// The draft of the BIMI group, on assertion records.
	bimi = form{"BIMI", "v=BIMI1", "v=BIMI1; l=https://host/logo.svg; a=https://host/mark.pem", validBIMI}
)

// policy looks for one record. RFC 8461, 3.1 and RFC 8460, 3: texts of another version do not count; of
// several that do, none is taken, nor is one that does not keep to its grammar.
func (s *state) policy(ctx context.Context, name string, f form) Policy {
	p := Policy{Name: name, State: Absent}
	a, err := s.ask(ctx, name, dns.TXT)
	if err != nil {
		p.State = Unknown
		return p
	}
	var texts []string
	for _, text := range a.Texts() {
		if f.begins(text) {
			texts = append(texts, text)
		}
	}
	switch {
	case len(texts) == 0:
		s.stray(f, name, a)
		return p
	case len(texts) > 1:
		p.State = Malformed
		s.found(result.Found(result.Info, "inbound-several-records", "method", result.Ours(f.method), "name", result.Domain(name)), a.Evidence())
	case !f.valid(texts[0][len(f.version):]):
		p.State = Malformed
		s.found(result.Found(result.Info, "inbound-malformed", "method", result.Ours(f.method), "name", result.Domain(name), "text", result.Said(name, shown(texts[0])), "want", result.Ours(f.want)), a.Evidence())
	default:
		p.State = Present
	}
	p.Text = shown(texts[0])
	return p
}

// begins: the version stands first, and something behind it ends it.
func (f form) begins(text string) bool {
	rest, ok := strings.CutPrefix(text, f.version)
	return ok && (rest == "" || strings.IndexByte("; \t", rest[0]) >= 0)
}

// stray names a text that was meant as such a record: its version is in another case or not at the start.
func (s *state) stray(f form, name string, a dns.Answer) {
	for _, text := range a.Texts() {
		head := strings.ToLower(strings.NewReplacer(" ", "", "\t", "", `"`, "").Replace(text[:min(len(text), maxShown)]))
		if strings.HasPrefix(head, strings.ToLower(f.version)) {
			s.found(result.Found(result.Info, "inbound-malformed", "method", result.Ours(f.method), "name", result.Domain(name), "text", result.Said(name, shown(text)), "want", result.Ours(f.want)), a.Evidence())
			return
		}
	}
}

// validSTS: RFC 8461, 3.1: an id of 1 to 32 letters and digits, in front of extensions.
func validSTS(rest string) bool {
	fs, ok := mtasts.Fields(rest, false)
	ids := 0
	for _, f := range fs {
		if f.Name == "id" {
			ids++
			ok = ok && mtasts.IsID(f.Value)
		}
		ok = ok && mtasts.IsFieldValue(f.Value)
	}
	return ok && ids == 1
}

// validRPT: RFC 8460, 3: rua is a list of mailto: and https: addresses.
func validRPT(rest string) bool {
	fs, ok := mtasts.Fields(rest, false)
	lists := 0
	for _, f := range fs {
		if f.Name != "rua" {
			ok = ok && mtasts.IsFieldValue(f.Value)
			continue
		}
		lists++
		for u := range strings.SplitSeq(f.Value, ",") {
			u = strings.Trim(u, " \t")
			ok = ok && (isMailto(u) || isHTTPS(u))
		}
	}
	return ok && lists == 1
}

// validBIMI: l is there, and it and a, the certificate, are addresses of https: or empty: a domain that
// wants no logo has both empty.
func validBIMI(rest string) bool {
	fs, ok := mtasts.Fields(rest, true)
	locations := 0
	for _, f := range fs {
		switch strings.ToLower(f.Name) {
		case "l":
			locations++
			ok = ok && (f.Value == "" || isHTTPS(f.Value))
		case "a":
			ok = ok && (f.Value == "" || isHTTPS(f.Value))
		}
	}
	return ok && locations == 1
}

// isMailto: one address with a local part and a domain.
func isMailto(uri string) bool {
	const scheme = "mailto:"
	if len(uri) <= len(scheme) || !strings.EqualFold(uri[:len(scheme)], scheme) || !isURI(uri) {
		return false
	}
	address, _, _ := strings.Cut(uri[len(scheme):], "?")
	at := strings.LastIndexByte(address, '@')
	return at > 0 && at < len(address)-1
}

func isHTTPS(uri string) bool {
	const scheme = "https://"
	return len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) && isURI(uri) && uri[len(scheme)] != '/'
}

// isURI: RFC 3986, 2: of the characters that one may have. RFC 8460, 3: "," and "!" are escaped in it.
func isURI(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}!,;", r)
	})
}
