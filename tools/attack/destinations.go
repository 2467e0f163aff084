package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"
)

var ofDestinations = []attack{
	{"ttl-0", "400 own domains, the address of whose mail server is a victim's once the report is stored", 60, 2 * time.Second, 12 * time.Second, func(b *bench) result { return rebinding(b, b.servers.refuses) }},
	{"ttl-0-takes", "the same, and the victim's server takes what comes", 60, 2 * time.Second, 12 * time.Second, func(b *bench) result { return rebinding(b, b.servers.takes) }},
	{"machine-mx", "240 own domains whose MX is a customer's machine of a large hoster", 60, 2 * time.Second, 12 * time.Second, machineMX},
	{"hoster-mx", "one network fills the counter of a hoster's mail server, whose customers test", 60, 2 * time.Second, 12 * time.Second, hosterMX},
	{"unknown", "one network has mail servers that cannot be learnt; of others' two servers one cannot", 60, 2 * time.Second, 12 * time.Second, unknown},
}

// rebinding: an address that leads nowhere when it is asked first, and then the victim's.
func rebinding(b *bench, does behaviour) result {
	victim := b.servers.open(does, 25, "45.79.0.25")
	var mu sync.Mutex
	asked := map[string]int{}
	says := func(q question) answer {
		if q.kind != dns.TypeA {
			return answer{}
		}
		mu.Lock()
		defer mu.Unlock()
		n := len(asked)
		if asked[q.name]++; asked[q.name] == 1 {
			return answer{records: []string{fmt.Sprintf("x. 0 A 45.79.%d.%d", 1+n/200, 1+n%200)}}
		}
		return answer{records: []string{"x. 0 A 45.79.0.25"}}
	}
	b.flood(400, 16, 8*time.Second, func(i int) mail {
		d := b.domain("")
		b.names.part("mx0."+d+".", says)
		return mail{source: v6(i%40, i, 1), helo: d, from: "a@" + d}
	})
	b.honest.end()
	octets, _ := victim.octets()
	n := victim.rcpts.Load()
	return result{fmt.Sprintf("%d mails and %d connections to the victim, %.1f MB; %s", n, victim.conns.Load(), float64(octets)/1e6, b.says()), n <= 60}
}

// machineMX: below the domains of large hosters their customers' machines have names.
func machineMX(b *bench) result {
	victim := b.servers.open(b.servers.refuses, 25, "45.79.0.25")
	machines := []string{"vps-4711abcd.vps.ovh.net", "ip-45-79-0-25.secureserver.net", "s12.ionos.com", "host.kundenserver.de", "x.strato.de", "cloud.gandi.net", "cust.one.com"}
	for _, h := range machines {
		b.names.zone("%s. A 45.79.0.25", h)
	}
	b.flood(240, 16, 6*time.Second, func(i int) mail {
		d := b.domain(machines[i%len(machines)])
		return mail{source: v6(i%40, i, 1), helo: d, from: "a@" + d}
	})
	b.honest.end()
	n := victim.rcpts.Load()
	return result{fmt.Sprintf("%d mails to the machine; %s", n, b.says()), n <= 60}
}

// hosterMX: the attacker's domains have the hoster's mail server too, which knows none of them.
func hosterMX(b *bench) result {
	const mx = "mx1.smallhoster.example"
	b.names.zone("%s. A 45.86.0.25", mx)
	b.servers.open(b.servers.refuses, 25, "45.86.0.25")
	for i := range 30 {
		d, host := fmt.Sprintf("customer%d.example", i), v4(87, i, 10)
		b.names.zone("%[1]s. MX 0 %[2]s.\n%[1]s. TXT \"v=spf1 ip4:%[3]s -all\"\n%[4]s PTR out.%[1]s.\nout.%[1]s. A %[3]s", d, mx, host, reverse(host))
		b.honest.later(6*time.Second+time.Duration(i)*250*time.Millisecond, func() (mail, string) {
			return mail{source: host, helo: "out." + d, from: "me@" + d}, "spf=pass"
		})
	}
	b.flood(110, 8, 5*time.Second, func(i int) mail {
		d := b.domain(mx)
		return mail{source: v4(66, 9, 1+i%5), helo: d, from: "nobody@" + d}
	})
	return b.answered("customers")
}

// unknown: a name of a mail server that no server answers for.
func unknown(b *bench) result {
	b.names.part("unknowable.example.", func(question) answer { return answer{rcode: dns.RcodeServerFailure} })
	for i := range 20 {
		d, host := fmt.Sprintf("half%d.example", i), v4(88, i, 10)
		b.settles(d, host, "v=spf1 ip4:"+host.String()+" -all", "")
		b.names.zone("%[1]s. MX 10 half%[2]d.unknowable.example.", d, i)
		b.honest.later(6*time.Second+time.Duration(i)*300*time.Millisecond, func() (mail, string) {
			return mail{source: host, helo: "mx." + d, from: "me@" + d}, "spf=pass"
		})
	}
	b.flood(110, 8, 5*time.Second, func(i int) mail {
		d := b.domain(word(6) + ".unknowable.example")
		return mail{source: v4(66, 9, 1+i%5), helo: d, from: "a@" + d}
	})
	return b.answered("others")
}
