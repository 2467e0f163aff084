package spf

import (
	"net/netip"

	"checkauth/verify/result"
)

// nearMiss tells what of the records comes near to the client's address, where they do not let it pass.
func (s *survey) nearMiss(word result.Word) {
	ip := s.w.id.ip
	if word != result.Fail && word != result.SoftFail && word != result.Neutral || !ip.IsValid() {
		return
	}
	families := map[bool]bool{}
	for _, at := range s.order {
		var near *Directive
		at.each(func(_ int, d *Directive) {
			if !d.Addr.IsValid() || d.Qualifier != result.Pass {
				return
			}
			families[d.Addr.Is4()] = true
			if near == nil && d.comesNear(ip) {
				near = d
			}
		})
		if near != nil {
			s.say(result.Found(result.Info, "spf-near-miss",
				"domain", result.Domain(at.domain), "ip", ip, "term", result.Said(at.domain, result.Cut(near.Text, maxQuoted))))
			return
		}
	}
	if ip.Is6() && families[true] && !families[false] && !s.has("spf-ipv6-not-covered") {
		s.say(result.Found(result.Info, "spf-ipv4-only", "domain", result.Domain(s.order[0].domain), "ip", ip))
	}
}

// comesNear: one network off, in the same small network as a listed address, or one slip of the
// keyboard away from it.
func (d *Directive) comesNear(ip netip.Addr) bool {
	if d.Addr.Is4() != ip.Is4() {
		return false
	}
	bits, small, wide := d.Mask6, 64, 32
	if ip.Is4() {
		bits, small, wide = d.Mask4, 24, 16
	}
	if bits == ip.BitLen() {
		return within(d.Addr, small, ip) || oneApart(d.Addr.String(), ip.String())
	}
	return bits >= wide && (within(d.Addr, bits-1, ip) || beside(d.Addr, ip, bits))
}

func within(addr netip.Addr, bits int, ip netip.Addr) bool {
	network, err := addr.Prefix(bits)
	return err == nil && network.Contains(ip)
}

// beside: the two networks of that width are neighbours.
func beside(a, b netip.Addr, bits int) bool {
	x, errX := a.Prefix(bits)
	y, errY := b.Prefix(bits)
	if errX != nil || errY != nil {
		return false
	}
	return last(x).Next() == y.Addr() || last(y).Next() == x.Addr()
}

// last is the highest address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(b) // of 4 or 16 octets
	return addr
}
