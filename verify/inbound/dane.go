package inbound

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// maxTLSA records are looked at.
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
	bad := ""
	for _, r := range a.Records[:min(len(a.Records), maxTLSA)] {
		d.Records = append(d.Records, shown(r.Data()))
		if usable(r.Data()) {
			d.State = Present
		} else if bad == "" {
			bad = shown(r.Data())
		}
	}
	d.Usable = d.Validated && d.State == Present
	switch {
	case bad != "":
		s.found(result.Found(result.Info, "inbound-tlsa-unusable", "name", d.Name, "record", bad), a.Evidence())
	case !d.Validated:
		s.found(result.Found(result.Info, "inbound-tlsa-not-validated", "name", d.Name), a.Evidence())
	}
}

// usable reads the data of a TLSA record: RFC 6698, 2.1: usage, selector, matching type, and octets, of a
// hash as many as it has.
func usable(data string) bool {
	f := strings.Fields(data)
	if len(f) < 4 {
		return false
	}
	usage, err1 := strconv.ParseUint(f[0], 10, 8)
	selector, err2 := strconv.ParseUint(f[1], 10, 8)
	matching, err3 := strconv.ParseUint(f[2], 10, 8)
	octets, err4 := hex.DecodeString(strings.Join(f[3:], ""))
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return false
	}
	lengths := map[uint64]bool{0: len(octets) > 0, 1: len(octets) == 32, 2: len(octets) == 64}
	return (usage == 2 || usage == 3) && selector <= 1 && lengths[matching]
}
