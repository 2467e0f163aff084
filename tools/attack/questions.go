package main

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

var ofQuestions = []attack{
	{"own-test", "others use up the quota of a domain's questions while its owner tests", 60, 2 * time.Second, 10 * time.Second, ownTest},
	{"spf-provider", "one host asks for many names of a provider of SPF records, whose customers test", 60, 2 * time.Second, 10 * time.Second, spfProvider},
	{"provider", "80 users of two providers test within a minute, each from another /24", 60, time.Second, 12 * time.Second, provider},
	{"wildcard", "120 mails from 40 /64 lead to names without end below a victim with a wildcard", 60, 2 * time.Second, 12 * time.Second, wildcard},
	{"servers", "the name servers of the attacker's zones are a victim's 24 machines", 60, 2 * time.Second, 15 * time.Second, nameServers},
}

// settles publishes a domain whose machine sends and takes its mail; "" is no record of SPF or DMARC.
func (b *bench) settles(d string, host netip.Addr, spf, dmarc string) *sink {
	b.names.zone("%[1]s. MX 0 mx.%[1]s.\nmx.%[1]s. A %[2]s\n%[3]s PTR mx.%[1]s.", d, host, reverse(host))
	if spf != "" {
		b.names.zone("%s. TXT %q", d, spf)
	}
	if dmarc != "" {
		b.names.zone("_dmarc.%s. TXT \"v=DMARC1; p=%s\"", d, dmarc)
	}
	return b.servers.open(b.servers.takes, 25, host.String())
}

// answered is how the honest senders fared, of whom some are those whom the attack is meant for; the bar is theirs.
func (b *bench) answered(who string) result {
	b.honest.end()
	f := b.honest.fared()
	text := fmt.Sprintf("%d of %d %s and others answered", f.inTime, f.n, who)
	if said := b.says(); said != "" {
		text += "; " + said
	}
	return result{text, f.put+f.refused+f.cut == 0}
}

// ownTest: forged mail with all that it can ask of the domain, from one host and from 20 networks.
func ownTest(b *bench) result {
	const d = "tested.example"
	host := v4(80, 1, 25)
	mx := b.settles(d, host, "v=spf1 ip4:45.80.1.0/24 -all", "none")
	const tests = 8
	for i := range tests {
		b.honest.later(2*time.Second+time.Duration(i)*1500*time.Millisecond, func() (mail, string) {
			return mail{source: host, helo: "mx." + d, from: fmt.Sprintf("owner%d@%s", i, d)}, "spf=pass"
		})
	}
	b.flood(240, 8, 12*time.Second, func(i int) mail {
		source := v4(66, 4, 1)
		if i%2 == 1 {
			source = v6(i%20, 0, 1)
		}
		return mail{source: source, helo: "x." + d, from: fmt.Sprintf("x%d@%s", i, d), header: asking("x@"+word(5)+"."+d, d)}
	})
	out := b.answered("tests of the owner")
	out.ok = out.ok && len(mx.mails()) == tests // -all refutes the forged ones
	return out
}

// spfProvider: customers include a provider's record, and one host asks for its names.
func spfProvider(b *bench) result {
	const d = "spfservice.example"
	b.names.zone("_spf.%[1]s. TXT \"v=spf1 include:_a.%[1]s include:_b.%[1]s ~all\"\n_a.%[1]s. TXT \"v=spf1 ip4:45.81.0.0/16 ~all\"\n_b.%[1]s. TXT \"v=spf1 ip4:45.82.0.0/16 ~all\"", d)
	for i := range 30 {
		c, host := fmt.Sprintf("customer%d.example", i), v4(82, i, 25)
		b.settles(c, host, "v=spf1 include:_spf."+d+" -all", "reject")
		b.honest.later(2*time.Second+time.Duration(i)*350*time.Millisecond, func() (mail, string) {
			return mail{source: host, helo: "mx." + c, from: "me@" + c}, "spf=pass"
		})
	}
	own := b.domain(" 45.66.200.25")
	b.names.part("asks."+own+".", func(q question) answer {
		if q.kind != dns.TypeTXT {
			return answer{}
		}
		var terms []string
		for i := range 10 {
			terms = append(terms, []string{"a:", "mx:", "exists:", "include:"}[i%4]+"%{l}"+word(5)+"."+d)
		}
		return answer{records: []string{`x. 1 TXT "v=spf1 ` + strings.Join(terms, " ") + ` -all"`}}
	})
	b.flood(36, 3, 12*time.Second, func(int) mail {
		return mail{source: v4(66, 5, 1), helo: word(8) + "." + d, from: word(10) + "@asks." + own, header: asking("x@"+word(5)+"."+d, d)}
	})
	return b.answered("customers")
}

// provider: nobody attacks; many users of one domain test.
func provider(b *bench) result {
	const users = 40
	for p, d := range []string{"gmail.com", "bigisp.example"} {
		mx := []string{"mx1.google.com", "mx.bigisp.example"}[p]
		b.names.zone("%[1]s. MX 0 %[2]s.\n%[2]s. A 45.83.%[3]d.25\n_dmarc.%[1]s. TXT \"v=DMARC1; p=none\"\n%[1]s. TXT \"v=spf1 redirect=_spf.%[1]s\"\n_spf.%[1]s. TXT \"v=spf1 include:_n1.%[1]s include:_n2.%[1]s ~all\"\n_n1.%[1]s. TXT \"v=spf1 ip4:45.85.0.0/17 ~all\"\n_n2.%[1]s. TXT \"v=spf1 ip4:45.85.128.0/17 ~all\"", d, mx, p)
		b.servers.open(b.servers.takes, 25, fmt.Sprintf("45.83.%d.25", p))
		for i := range users {
			host, name := v4(85, p*128+i, 25), fmt.Sprintf("out%d.%s", i, d)
			b.names.zone("%[1]s PTR %[2]s.\n%[2]s. A %[3]s", reverse(host), name, host)
			b.honest.later(time.Second+time.Duration(i)*300*time.Millisecond, func() (mail, string) {
				return mail{source: host, helo: name, from: fmt.Sprintf("user%d@%s", i, d)}, "spf=pass"
			})
		}
	}
	return b.answered("users")
}

// minutes is how many minutes of the service's own may have begun since then.
func minutes(begun time.Time) int { return 2 + int(time.Since(begun)/time.Minute) }

// wildcard: names of macros, of the envelope's domain, and made up by the attacker's own server.
func wildcard(b *bench) result {
	const d = "wild.example"
	b.names.zone("%[1]s. TXT \"v=spf1 -all\"\n*.%[1]s. A 45.90.0.1\n*.%[1]s. AAAA 2a00:90::1\n*.%[1]s. MX 0 mx.%[1]s.\n*.%[1]s. TXT \"hello\"", d)
	var mu sync.Mutex
	asked, made := 0, map[string]bool{}
	b.names.watch(func(q question) {
		if !below(q.name, d+".") {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		asked++
		// What every mail needs of a domain is no made name.
		if q.name != d+"." && !strings.HasPrefix(q.name, "_") && !strings.Contains(q.name, "._domainkey.") {
			made[q.name] = true
		}
	})
	record := func(q question) answer {
		if q.kind != dns.TypeTXT || strings.HasPrefix(q.name, "_") {
			return answer{zones: true}
		}
		var terms []string
		for i := range 10 {
			name := word(9)
			if strings.HasPrefix(q.name, "macro") {
				name = fmt.Sprintf("%%{l}%d", i)
			} else if strings.HasPrefix(q.name, "domain") {
				name = fmt.Sprintf("%%{d1}%d.%%{d}", i)
			}
			terms = append(terms, []string{"a:", "mx:"}[i%2]+name+"."+d)
		}
		return answer{records: []string{`x. 1 TXT "v=spf1 ` + strings.Join(terms, " ") + ` -all"`}}
	}
	var own []string
	for i := range 40 {
		own = append(own, b.domain(" 45.66.200.25"))
		b.names.zone("*.asks.%s. MX 0 mx0.%[1]s.", own[i])
		b.names.part("asks."+own[i]+".", record)
	}
	begun := time.Now()
	b.flood(120, 16, 10*time.Second, func(i int) mail {
		own := own[i%40]
		return mail{source: v6(i%40, i/40, 1), helo: "plain" + word(6) + ".asks." + own, from: word(8) + "@" + []string{"macro", "domain", "plain"}[i%3] + word(6) + ".asks." + own,
			header: "From: <x@" + word(6) + "." + word(6) + "." + d + ">\r\nTo: <" + service + ">\r\n"}
	})
	b.honest.end()
	mu.Lock()
	defer mu.Unlock()
	return result{fmt.Sprintf("%d questions, %d made names below the victim in %s; %s", asked, len(made), time.Since(begun).Round(time.Second), b.says()),
		len(made) <= 110*minutes(begun)}
}

// nameServers: who is refuted has the zone's own servers asked, and they are somebody else's machines.
func nameServers(b *bench) result {
	const victims, zones = 24, 480
	at := map[netip.Addr]int{}
	var mu sync.Mutex
	b.names.watch(func(q question) {
		if q.at.Is4() && q.at.As4()[1] == 91 {
			mu.Lock()
			defer mu.Unlock()
			at[q.at]++
		}
	})
	for z := range zones {
		d := fmt.Sprintf("zone%d.example", z)
		b.names.part(d+".", func(q question) answer { return answer{zones: true, silent: q.at.Is4() && q.at.As4()[1] == 91} })
		b.names.zone("%[1]s. MX 0 mx.%[1]s.\nmx.%[1]s. A 45.66.200.25\n%[1]s. TXT \"v=spf1 -all\"\n_dmarc.%[1]s. TXT \"v=DMARC1; p=reject\"", d)
		for i := range victims {
			b.names.zone("%[1]s. NS ns%[2]d.%[1]s.\nns%[2]d.%[1]s. A 45.91.%[2]d.53", d, (z+i)%victims)
		}
	}
	begun := time.Now()
	b.flood(480, 16, 20*time.Second, func(i int) mail {
		d := fmt.Sprintf("zone%d.example", i%zones)
		from := word(6) + "@" + d
		return mail{source: v6(i%24, 0, 1), helo: "mx." + d, from: from}
	})
	b.honest.end()
	mu.Lock()
	defer mu.Unlock()
	most, sum := 0, 0
	for _, n := range at {
		most, sum = max(most, n), sum+n
	}
	return result{fmt.Sprintf("%d packets to port 53 of %d of the victim's machines in %s, at most %d to one; %s", sum, len(at), time.Since(begun).Round(time.Second), most, b.says()),
		most <= 60*minutes(begun)}
}
