package mail

import (
	"net/netip"
	"strings"
)

// Hop is one Received field, as far as it can be read: RFC 5321, 4.4. Every host writes its own as it
// likes, and a stranger may write any, so a Hop is a claim.
type Hop struct {
	Helo string     // the name behind from; empty where there is none
	IP   netip.Addr // of the client, as the server that wrote the field saw it; invalid where it says none
	By   string     // the name behind by; empty where there is none
}

// Received gives the hops from the top, the latest first.
func (fs Fields) Received() []Hop {
	var out []Hop
	for _, f := range fs.All("Received") {
		out = append(out, hop(f.Value()))
	}
	return out
}

// hop reads one field: from, by and their comments. What follows does not matter here, and a semicolon
// ends it.
func hop(value string) Hop {
	value, _, _ = strings.Cut(value, ";")
	var h Hop
	words := strings.Fields(value)
	for i, w := range words {
		switch {
		case strings.EqualFold(w, "from") && i == 0 && len(words) > 1:
			h.Helo = words[1]
		case strings.EqualFold(w, "by") && h.By == "" && i+1 < len(words):
			h.By = words[i+1]
		}
		if h.By == "" && !h.IP.IsValid() {
			h.IP = bracketed(w)
		}
	}
	return h
}

// bracketed reads the address in a word such as ([192.0.2.1]) or [IPv6:2001:db8::1].
func bracketed(word string) netip.Addr {
	_, rest, ok := strings.Cut(word, "[")
	text, _, closed := strings.Cut(rest, "]")
	if !ok || !closed {
		return netip.Addr{}
	}
	if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
		text = text[5:]
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}
	}
	return ip.Unmap()
}
