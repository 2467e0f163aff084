package main

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
)

var ofPlaces = []attack{
	{"hanging", "230 replies to mail servers that accept and say nothing, from five /56", 60, 8 * time.Second, 40 * time.Second,
		func(b *bench) result { return tarpits(b, b.servers.hangs, 5) }},
	{"dripping", "230 replies to mail servers that send an octet each 9.7 s, from five /56", 60, 30 * time.Second, 45 * time.Second,
		func(b *bench) result { return tarpits(b, b.servers.drips, 5) }},
	{"evaluations", "96 /64 of one /57 whose DNS answers after 2.8 s", 60, 5 * time.Second, 30 * time.Second,
		func(b *bench) result { return evaluations(b, func(n int) netip.Addr { return v6(0, n, 1) }) }},
	{"connections", "1000 connections of 18 /64, with NOOP each 1.5 s", 60, 6 * time.Second, 24 * time.Second,
		func(b *bench) result { return connections(b, func(n int) netip.Addr { return v6(0, n%18, 1+n/18%6) }) }},
	{"hour", "3300 proved mails from 55 /56", 60, 28 * time.Second, 12 * time.Second, hour},
	{"halves", "330 connections of 6 /64 idle within a message of 200 KB", 60, 6 * time.Second, 20 * time.Second, halves},
	{"signatures", "60 connections with mails of 60 KiB and ten broken signatures", 60, 4 * time.Second, 24 * time.Second, signatures},
	{"garbage-tls", "one mail; 10 mail servers of four addresses that speak no TLS", 60, 2 * time.Second, 20 * time.Second, garbageTLS},
	{"mta-sts", "100 domains whose MTA-STS policy never comes, from ten /56", 60, 4 * time.Second, 20 * time.Second, mtaSTS},
}

// wide are attacks of who has a whole /40: beyond the model, to see where the bounds end.
var wide = []attack{
	{"hanging-wide", "230 replies to mail servers that say nothing, from 230 /48", 60, 8 * time.Second, 40 * time.Second,
		func(b *bench) result { return tarpits(b, b.servers.hangs, 230) }},
	{"evaluations-wide", "96 /48 whose DNS answers after 2.8 s", 60, 5 * time.Second, 30 * time.Second,
		func(b *bench) result { return evaluations(b, func(n int) netip.Addr { return v6(n, 0, 1) }) }},
	{"connections-wide", "1000 connections of 200 /48, with NOOP each 1.5 s", 60, 6 * time.Second, 24 * time.Second,
		func(b *bench) result { return connections(b, func(n int) netip.Addr { return v6(n%200, 0, 1) }) }},
}

// undisturbed is a result whose bar is that no honest sender hears 4xx or is cut off.
func (b *bench) undisturbed(format string, args ...any) result {
	f := b.honest.fared()
	return result{fmt.Sprintf(format, args...), f.put+f.cut == 0}
}

// tarpits fills the places of the delivery: each mail has a domain of its own, whose mail server behaves so.
func tarpits(b *bench, does behaviour, networks int) result {
	const hosts = 46
	hung := b.servers.open(does, 25, addresses("45.74.%d.25", hosts)...)
	b.flood(230, 16, 3*time.Second, func(i int) mail {
		d := b.domain(fmt.Sprintf(" 45.74.%d.25", i%hosts))
		return mail{source: v6(i%networks, i%256, 1), helo: d, from: "a@" + d}
	})
	b.honest.end()
	return b.undisturbed("%d connections hung; %s", hung.conns.Load(), b.says())
}

// evaluations: as long as the DNS takes, a mail is being evaluated.
func evaluations(b *bench, source func(n int) netip.Addr) result {
	own := b.domain(" 45.66.200.25")
	b.names.part(own+".", func(question) answer { return answer{zones: true, delay: 2800 * time.Millisecond} })
	b.until(time.Now().Add(36*time.Second), 96, func(n, _ int) mail {
		from := word(8) + "@" + word(6) + "." + own
		return mail{source: source(n), helo: word(6) + "." + own, from: from, header: asking(from, word(5)+"."+own)}
	})
	b.honest.end()
	return b.undisturbed("%s", b.says())
}

// connections are held by a command that does nothing.
func connections(b *bench, source func(n int) netip.Addr) result {
	end := time.Now().Add(33 * time.Second)
	var all sync.WaitGroup
	var mu sync.Mutex
	held, most := 0, 0
	hold := func(n int) {
		mu.Lock()
		held += n
		most = max(most, held)
		mu.Unlock()
	}
	for n := range 1000 {
		all.Go(func() {
			for time.Now().Before(end) {
				c, a := connect(source(n), "x.attacker.example")
				if c == nil {
					b.hear(a, 0)
					b.sleeps(time.Second)
					continue
				}
				hold(1)
				for a.code == 250 && time.Now().Before(end) {
					b.sleeps(1500 * time.Millisecond)
					a = c.command("NOOP")
				}
				b.hear(a, 0)
				c.close()
				hold(-1)
			}
		})
	}
	all.Wait()
	b.honest.end()
	return b.undisturbed("%d connections held at once; %s", most, b.says())
}

// hour uses up the reports of an hour; the domains' mail servers take them.
func hour(b *bench) result {
	const domains = 400
	b.servers.open(b.servers.takes, 25, addresses("45.75.%d.25", 200)...)
	for i := range domains {
		b.domain(fmt.Sprintf(" 45.75.%d.25", i%200))
	}
	before := b.service.cpu()
	b.flood(3300, 24, 16*time.Second, func(i int) mail {
		d := fmt.Sprintf("attacker%d.example", 1+i%domains)
		return mail{source: v6(i%55, i%256, 1), helo: d, from: fmt.Sprintf("a%d@%s", i, d)}
	})
	used := b.service.cpu() - before
	b.honest.end()
	return b.undisturbed("%d reports for the attacker, %.1f CPU-s; %s", b.count("2xx"), used.Seconds(), b.says())
}

// halves: a message of 200 KB has come, and the rest comes just fast enough.
func halves(b *bench) result {
	end := time.Now().Add(34 * time.Second)
	own := b.proved()
	line := strings.Repeat("x", 76) + "\r\n"
	half := strings.Repeat(line, 200<<10/len(line))
	var all sync.WaitGroup
	for n := range 330 {
		all.Go(func() {
			c, a := connect(v6(0, n%6, 1+n/6%5), own)
			if c == nil {
				b.hear(a, 0)
				return
			}
			defer c.close()
			for _, command := range []string{fmt.Sprintf("MAIL FROM:<a%d@%s>", n, own), "RCPT TO:<" + service + ">", "DATA"} {
				if a = c.command("%s", command); a.code >= 400 || a.code == 0 {
					b.hear(a, 0)
					return
				}
			}
			if c.write("From: a@"+own+"\r\n\r\n"+half) != nil {
				b.hear(said{}, 0)
				return
			}
			b.hear(said{code: 200}, len(half))
			for time.Now().Before(end) && b.sleeps(5*time.Second) {
				if c.write(strings.Repeat(line, 40)) != nil {
					return
				}
			}
		})
	}
	b.sleeps(6 * time.Second)
	before, since := b.service.cpu(), time.Now()
	b.honest.end()
	cores := (b.service.cpu() - before).Seconds() / time.Since(since).Seconds()
	memory := b.service.memory()
	all.Wait()
	out := b.undisturbed("%.2f cores beside %d half messages, %d MB", cores, b.count("2xx"), memory)
	out.ok = out.ok && cores < 0.35
	return out
}

// signatures: each of ten body hashes is right for another body, so that the causes are sought.
func signatures(b *bench) result {
	own := b.proved()
	var body strings.Builder
	for body.Len() < 60<<10 {
		fmt.Fprintf(&body, "%s %s, %s %s.\r\n", word(7), word(12), word(5), word(20))
	}
	signed := body.String()
	damaged := signed[:20000] + "Z" + signed[20001:40000] + "Q" + signed[40001:]
	var fields strings.Builder
	for range 10 {
		s, err := b.signer(own)
		if err != nil {
			return result{err.Error(), false}
		}
		f, err := s.signs("a@"+own, signed)
		if err != nil {
			return result{err.Error(), false}
		}
		fields.WriteString(f)
	}
	header := fields.String() + "From: <a@" + own + ">\r\nTo: <" + service + ">\r\nSubject: test\r\n"
	begun, before := time.Now(), b.service.cpu()
	b.until(begun.Add(28*time.Second), 60, func(n, i int) mail {
		return mail{source: v6(n, 0, 1), helo: own, from: fmt.Sprintf("a%d-%d@%s", n, i, own), header: header, body: damaged}
	})
	used, took := b.service.cpu()-before, time.Since(begun)
	b.honest.end()
	n := max(1, b.count("2xx")+b.count("5xx"))
	out := b.undisturbed("%.2f CPU-s a mail, %.1f mails a second; %s", used.Seconds()/float64(n), float64(n)/took.Seconds(), b.says())
	out.ok = out.ok && used.Seconds()/float64(n) < 0.2
	return out
}

// garbageTLS: each of forty addresses is one to try, over TLS and in clear. The second try would be after a minute.
func garbageTLS(b *bench) result {
	tried := b.servers.open(b.servers.garbage, 25, addresses("45.76.%d.25", 40)...)
	var mx []string
	for i := range 10 {
		mx = append(mx, fmt.Sprintf(" 45.76.%d.25", 4*i))
	}
	d := b.domain(mx...)
	for i := range 40 {
		if i%4 > 0 {
			b.names.zone("mx%d.%s. A 45.76.%d.25", i/4, d, i)
		}
	}
	b.send(mail{source: v6(1, 0, 1), helo: d, from: "a@" + d})
	b.honest.end()
	n := tried.conns.Load()
	return result{fmt.Sprintf("%d connections in the first try; %s", n, b.says()), n > 0 && n <= 6}
}

// mtaSTS: the policy's server accepts and says nothing.
func mtaSTS(b *bench) result {
	hung := b.servers.open(b.servers.hangs, 443, addresses("45.77.%d.80", 100)...)
	mx := b.servers.open(b.servers.takes, 25, addresses("45.78.%d.25", 100)...)
	b.flood(100, 16, 3*time.Second, func(i int) mail {
		d := b.domain(fmt.Sprintf(" 45.78.%d.25", i))
		b.names.zone("_mta-sts.%[1]s. TXT \"v=STSv1; id=1\"\nmta-sts.%[1]s. A 45.77.%[2]d.80", d, i)
		return mail{source: v6(i%10, i, 1), helo: d, from: "a@" + d}
	})
	b.honest.end()
	return b.undisturbed("%d fetches hung, %d of the attacker's replies have left; %s", hung.conns.Load(), len(mx.mails()), b.says())
}
