package dnsbl

import (
	"fmt"
	"net/netip"
	"slices"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
)

// knowledge is what a list says of itself: the words for its answers, and which answers are none.
type knowledge struct {
	zones    []string // the first is the one that we name; those with a key in front end in the others
	list     List     // without its zone
	ipv6     bool
	wide     bool              // large receivers refuse by it
	codes    map[string]string // by address, or by its last octet where that alone counts: ".2"
	bits     map[byte]string   // by bits of the last octet
	refusals []string          // answers that are no listing, beside 127.255.255.0/24
	policy   []string          // answers that say only that this range should not send mail by itself
}

// known lists, by what their owners publish. A list that is not here works as well, without words.
var known = []knowledge{
	{
		zones: []string{"zen.spamhaus.org", "zen.dq.spamhaus.net"}, ipv6: true, wide: true,
		list: List{Kind: Block, Of: IP, Name: "Spamhaus ZEN", URL: "https://check.spamhaus.org/"},
		codes: map[string]string{
			"127.0.0.2": "SBL", "127.0.0.3": "CSS", "127.0.0.4": "XBL", "127.0.0.9": "DROP",
			"127.0.0.10": "PBL", "127.0.0.11": "PBL", "127.0.0.30": "BCL",
		},
		policy: []string{"127.0.0.10", "127.0.0.11"},
	},
	{
		zones: []string{"dbl.spamhaus.org", "dbl.dq.spamhaus.net"}, wide: true,
		list: List{Kind: Block, Of: Domain, Name: "Spamhaus DBL", URL: "https://check.spamhaus.org/"},
		codes: map[string]string{
			"127.0.1.2": "low reputation", "127.0.1.4": "phishing", "127.0.1.5": "malware", "127.0.1.6": "botnet controller",
			"127.0.1.102": "abused legitimate", "127.0.1.103": "abused redirector", "127.0.1.104": "abused legitimate, phishing",
			"127.0.1.105": "abused legitimate, malware", "127.0.1.106": "abused legitimate, botnet controller",
		},
		refusals: []string{"127.0.1.255"},
	},
	{
		zones: []string{"bl.spamcop.net"},
		list:  List{Kind: Block, Of: IP, Name: "SpamCop", URL: "https://www.spamcop.net/bl.shtml"},
	},
	{
		zones: []string{"b.barracudacentral.org"},
		list:  List{Kind: Block, Of: IP, Name: "Barracuda BRBL", URL: "https://www.barracudacentral.org/lookups"},
	},
	{
		zones: []string{"bl.mailspike.net"},
		list:  List{Kind: Block, Of: IP, Name: "Mailspike", URL: "https://www.mailspike.io/ip_verify"},
		codes: map[string]string{"127.0.0.2": "outbreak", "127.0.0.10": "worst", "127.0.0.11": "very bad", "127.0.0.12": "bad"},
	},
	{
		zones: []string{"wl.mailspike.net"},
		list:  List{Kind: Allow, Of: IP, Name: "Mailspike allowlist", URL: "https://www.mailspike.io/ip_verify"},
		codes: map[string]string{"127.0.0.17": "possibly good", "127.0.0.18": "good", "127.0.0.19": "very good", "127.0.0.20": "excellent"},
	},
	{
		zones: []string{"list.dnswl.org"}, ipv6: true,
		list:     List{Kind: Allow, Of: IP, Name: "DNSWL", URL: "https://www.dnswl.org/"},
		codes:    map[string]string{".0": "none", ".1": "low", ".2": "medium", ".3": "high"},
		refusals: []string{"127.0.0.255"},
	},
	{
		zones: []string{"psbl.surriel.com"},
		list:  List{Kind: Block, Of: IP, Name: "PSBL", URL: "https://psbl.org/"},
	},
	{
		zones: []string{"dnsbl-1.uceprotect.net"},
		list:  List{Kind: Block, Of: IP, Name: "UCEPROTECT level 1", URL: "https://www.uceprotect.net/en/rblcheck.php"},
	},
	{
		zones: []string{"bl.score.senderscore.com"},
		list:  List{Kind: Block, Of: IP, Name: "SenderScore", URL: "https://senderscore.org/"},
	},
	{
		zones: []string{"bl.spameatingmonkey.net"},
		list:  List{Kind: Block, Of: IP, Name: "Spam Eating Monkey", URL: "https://spameatingmonkey.com/lookup"},
	},
	{
		zones: []string{"multi.uribl.com"},
		list:  List{Kind: Block, Of: Domain, Name: "URIBL", URL: "https://admin.uribl.com/"},
		bits:  map[byte]string{2: "black", 4: "grey", 8: "red"}, refusals: []string{"127.0.0.1"},
	},
	{
		zones: []string{"multi.surbl.org"},
		list:  List{Kind: Block, Of: Domain, Name: "SURBL", URL: "https://surbl.org/surbl-analysis"},
		bits:  map[byte]string{8: "phishing", 16: "malware", 64: "abuse", 128: "cracked"}, refusals: []string{"127.0.0.1"},
	},
	{
		zones: []string{"combined.mail.abusix.zone"}, ipv6: true,
		list:   List{Kind: Block, Of: IP, Name: "Abusix", URL: "https://lookup.abusix.com/"},
		codes:  map[string]string{"127.0.0.2": "black", "127.0.0.3": "black", "127.0.0.4": "exploit", "127.0.0.11": "policy", "127.0.0.12": "policy"},
		policy: []string{"127.0.0.11", "127.0.0.12"},
	},
}

// knowledgeOf a zone, or nil.
func knowledgeOf(zone string) *knowledge {
	zone = dns.Canonical(zone)
	for i := range known {
		for _, z := range known[i].zones {
			if naming.Below(zone, z) {
				return &known[i]
			}
		}
	}
	return nil
}

// Complete fills in what is known of a list and not set.
func Complete(l List) List {
	k := knowledgeOf(l.Zone)
	if k == nil {
		return l
	}
	if l.Kind == "" {
		l.Kind = k.list.Kind
	}
	if l.Of == "" {
		l.Of = k.list.Of
	}
	if l.Name == "" {
		l.Name = k.list.Name
	}
	if l.URL == "" {
		l.URL = k.list.URL
	}
	return l
}

// stateOf one answer. RFC 5782, 2.1: listings lie in 127.0.0.0/8.
func (k *knowledge) stateOf(a netip.Addr) State {
	switch {
	case !inside.Contains(a):
		return Wrong
	case messages.Contains(a) || k != nil && slices.Contains(k.refusals, a.String()):
		return Refused
	}
	return Listed
}

// meanings of one answer in the list's own words.
func (k *knowledge) meanings(a netip.Addr) []string {
	if k == nil || !inside.Contains(a) {
		return nil
	}
	last := a.As4()[3]
	if word := k.codes[a.String()]; word != "" {
		return []string{word}
	}
	if word := k.codes[fmt.Sprintf(".%d", last)]; word != "" {
		return []string{word}
	}
	var out []string
	for bit := byte(1); bit != 0; bit <<= 1 {
		if word := k.bits[bit]; word != "" && last&bit != 0 {
			out = append(out, word)
		}
	}
	return out
}

// onlyPolicy: every answer is one of those that accuse nobody.
func (k *knowledge) onlyPolicy(records []dns.Record) bool {
	if k == nil {
		return false
	}
	return !slices.ContainsFunc(records, func(r dns.Record) bool { return !slices.Contains(k.policy, r.Addr.String()) })
}
