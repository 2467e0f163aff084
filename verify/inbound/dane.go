package inbound

import (
	"context"
	"slices"

	"checkauth/verify/dane"
	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// maxTLSA records are shown.
const maxTLSA = 10

// dane looks for TLSA records of the first mail server: RFC 7672, 2.2.
func (s *state) dane(ctx context.Context) {
	d := &s.res.DANE
	if s.first == "" {
		d.State = NotAsked
		return
	}
	name := "_25._tcp." + s.first
	d.Name = shown(name)
	a, err := s.ask(ctx, name, dns.TLSA)
	switch {
	case err != nil:
		d.State = Unknown
	case len(a.Records) == 0:
		d.State = Absent
	default:
		s.judgeTLSA(a)
	}
}

// judgeTLSA: RFC 7672, 2.2: without DNSSEC on the whole way (MX, addresses, TLSA) they are not obeyed.
// RFC 7672, 3.1: nor are those of usage 0 and 1, and of a form that nobody knows.
func (s *state) judgeTLSA(a dns.Answer) {
	d := &s.res.DANE
	d.State, d.Validated = Malformed, a.AD && s.secure
	for _, r := range a.Records[:min(len(a.Records), maxTLSA)] {
		d.Records = append(d.Records, shown(r.Data()))
	}
	records, bad := dane.Read(s.first, a.Records), ""
	if i := slices.IndexFunc(records.All, func(t dane.TLSA) bool { return !t.Usable() }); i >= 0 {
		bad = shown(a.Records[i].Data())
	}
	if records.Usable() {
		d.State = Present
	}
	d.Usable = d.Validated && records.Usable()
	switch {
	case d.Validated && records.Impossible():
		s.found(result.Found(result.Warning, "inbound-tlsa-impossible", "name", result.Domain(d.Name)), a.Evidence())
	case bad != "":
		s.found(result.Found(result.Info, "inbound-tlsa-unusable", "name", result.Domain(d.Name), "record", bad), a.Evidence())
	case !d.Validated:
		s.found(result.Found(result.Info, "inbound-tlsa-not-validated", "name", result.Domain(d.Name)), a.Evidence())
	}
}
