package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

var ofVictims = []attack{
	{"forgery", "a domain with -all and p=reject is forged while quotas are being spent", 60, 2 * time.Second, 12 * time.Second, forgery},
	{"spellings", "unproved mailboxes in all their spellings", 60, time.Second, 10 * time.Second, spelt},
	{"names", "the client has the name of a customer's machine below a hoster that says -all or p=reject", 60, time.Second, 10 * time.Second, customersNames},
	{"strangers", "600 strangers without a record, from one /50", 60, 2 * time.Second, 10 * time.Second, strangers},
	{"operator", "mail for abuse and postmaster from one host", 60, time.Second, 10 * time.Second, operator},
}

// long attacks run where they are named.
var long = []attack{
	{"forged", "20,000 forged mails in all spellings; quotas full, the resolver slow and at times away", 0, 0, 0, forged},
}

// victims publishes domains that disown forgeries, in three forms and two spellings, with one mail server; the names are
// as people write them.
func (b *bench) victims(n int) ([]string, *sink) {
	var all []string
	for i := range n {
		name := fmt.Sprintf("victim%d.example", i)
		if i%2 == 1 {
			name = fmt.Sprintf("b\u00fccher%d.example", i)
		}
		all = append(all, name)
		d := aLabels(name)
		b.names.zone("%[1]s. MX 0 mx.%[1]s.\nmx.%[1]s. A 45.70.%[2]d.25", d, i)
		if i%3 != 1 {
			b.names.zone("%s. TXT \"v=spf1 ip4:45.70.%d.0/24 -all\"", d, i)
		}
		if i%3 != 2 {
			b.names.zone("_dmarc.%s. TXT \"v=DMARC1; p=reject\"", d)
		}
	}
	return all, b.servers.open(b.servers.takes, 25, addresses("45.70.%d.25", n)...)
}

// spellings are the ways to write one mailbox.
var spellings = []func(local, domain string) string{
	func(l, d string) string { return l + "@" + d },
	func(l, d string) string { return strings.ToUpper(l + "@" + aLabels(d)) },
	func(l, d string) string { return l + "+" + word(4) + "@" + aLabels(d) },
	func(l, d string) string { return l + "@" + d + "." },
	func(l, d string) string { return l + "@" + strings.ReplaceAll(d, ".", "\u3002") },
	func(l, d string) string { return l + "@" + strings.ReplaceAll(d, ".", "\uff0e") },
	func(l, d string) string { return l + "@" + strings.ReplaceAll(d, ".", "\uff61") },
	func(l, d string) string { return l + "@" + d + "\u3002" },
	func(l, d string) string { return l + "%" + aLabels(d) + "@" + aLabels(d) },
	func(l, d string) string { return aLabels(d) + "!" + l + "@" + aLabels(d) },
	func(l, d string) string { return `"` + l + `"@` + d },
	func(l, d string) string { return `"` + l + ` "@` + aLabels(d) },
	func(l, d string) string { return `"` + l[:1] + `\` + l[1:] + `"@` + aLabels(d) },
	func(l, d string) string { return "prvs=123456789a=" + l + "@" + aLabels(d) },
	func(l, d string) string { return "SRS0=ab12=T1=origin.example=" + l + "@" + aLabels(d) },
	func(l, d string) string { return l + "@" + fullWidth(d) },
	belowIt,
}

// belowIt is a mailbox of a sub-domain that nobody has made.
func belowIt(l, d string) string { return l + "@" + word(5) + "." + d }

// aLabels writes a domain as the DNS has it.
func aLabels(domain string) string {
	a, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		panic(err) // a fault of this program
	}
	return a
}

// fullWidth writes the letters of ASCII in their wide forms, which IDNA maps back (UTS 46, 4).
func fullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + '\uff41'
		}
		return r
	}, s)
}

// forges writes in a victim's name: in some spelling, with a From field of the victim's or a stranger's, asking much or little.
func forges(i int, domain string, source netip.Addr) mail {
	m := mail{source: source, helo: word(8) + ".attacker1.example", from: spellings[i%len(spellings)](fmt.Sprintf("victim%d", i%7), domain)}
	author := []string{"victim@" + aLabels(domain), "x@" + word(6) + ".stranger.example", "ceo@sub." + aLabels(domain)}[i/3%3]
	switch i % 4 {
	case 0, 1:
		m.header = asking(author, aLabels(domain))
	case 2:
		m.header = asking(author, word(6)+".stranger.example")
	default:
		m.header = "From: <" + author + ">\r\nTo: <" + service + ">\r\n"
	}
	return m
}

// mailed tells whole reports from single paragraphs.
func mailed(s *sink) (whole, paragraphs int) {
	for _, l := range s.mails() {
		if l.bytes < 6000 && !strings.Contains(l.text, "multipart/") {
			paragraphs++
		} else {
			whole++
		}
	}
	return whole, paragraphs
}

// forgery: one host spends what it can spend, first with a domain of its own, then in the victims' names.
func forgery(b *bench) result {
	victims, mx := b.victims(6)
	own := b.proved()
	host := v4(66, 1, 1)
	b.flood(3, 1, time.Second, func(i int) mail {
		return mail{source: host, helo: own, from: fmt.Sprintf("a%d@%s", i, own), header: asking("a@"+own, aLabels(victims[0]))}
	})
	b.flood(60, 6, 4*time.Second, func(i int) mail { return forges(i, victims[0], host) })
	b.flood(140, 8, 8*time.Second, func(i int) mail { return forges(i, victims[i%6], v6(i%20, 0, 1)) })
	b.honest.end()
	whole, paragraphs := mailed(mx)
	return result{fmt.Sprintf("%d reports and %d paragraphs mailed to the victims; %s", whole, paragraphs, b.says()), whole+paragraphs == 0}
}

// away is when in each minute the resolver of the long run answers nothing but SERVFAIL.
const away = 55 * time.Second

// forged is the long run: forged mail in every spelling from 600 networks of 200 wide ones (/40), of which each spends its
// own quota, with a slow resolver that is away for some seconds of each minute; honest senders write while it is there.
func forged(b *bench) result {
	const all, honest = 20000, 500
	victims, mx := b.victims(40)
	begun := time.Now()
	gone := func() bool { return time.Since(begun)%time.Minute > away }
	slow := func(most int) answer {
		if gone() {
			return answer{rcode: 2}
		}
		return answer{zones: true, delay: time.Duration(rand.IntN(most)) * time.Millisecond}
	}
	trouble := func(q question) answer {
		switch n := rand.IntN(100); {
		case q.at.String() != resolver:
			return answer{zones: true}
		case n < 3:
			return answer{rcode: 2}
		case n < 5:
			return answer{silent: true}
		case n < 15:
			return slow(2500)
		}
		return slow(60)
	}
	for _, v := range victims {
		b.names.part(aLabels(v)+".", trouble)
	}
	b.names.part("stranger.example.", trouble)
	b.names.part(".", func(question) answer { return slow(40) })
	for i := range honest { // 40 a minute, from 8 s after an absence of the resolver to 8 s before the next
		b.honest.later(time.Duration(i/40)*time.Minute+8*time.Second+time.Duration(i%40)*time.Second, func() (mail, string) { return b.honest.one(i) })
	}
	b.flood(all, 80, 12*time.Minute+45*time.Second, func(i int) mail {
		return forges(rand.IntN(1000), victims[rand.IntN(len(victims))], v6(i%200<<8, 0x100*(i/200%3), 1+i%9))
	})
	b.honest.end()
	whole, paragraphs := mailed(mx)
	return result{fmt.Sprintf("%d reports and %d paragraphs mailed to the victims; %s", whole, paragraphs, b.says()),
		whole+paragraphs == 0 && b.count("5xx") > all/40} // the quotas of the 40 domains put off the others
}

// spelt: nothing proves or refutes a mailbox, so it gets one report a day, however it is written.
func spelt(b *bench) result {
	mx := b.servers.open(b.servers.takes, 25, "45.71.0.25")
	var all []string
	mailboxes := 0
	for _, d := range []string{"spelt.example", "b\u00fccher.example"} {
		b.names.zone("%[1]s. MX 0 mx.%[1]s.\n*.%[1]s. MX 0 mx.%[1]s.\nmx.%[1]s. A 45.71.0.25", aLabels(d))
		for _, s := range spellings {
			all = append(all, s("target", d))
		}
		mailboxes += 3 // that of the sub-domain is another, and what SRS forwards is somebody else's
	}
	for _, domains := range [][]string{{"proton.me", "pm.me", "protonmail.com"}, {"icloud.com", "me.com", "mac.com"}, {"yandex.ru", "ya.ru", "yandex.com"}, {"gmail.com", "googlemail.com"}} {
		for _, d := range domains {
			b.names.zone("%[1]s. MX 0 mx.%[1]s.\nmx.%[1]s. A 45.71.0.25", d)
			all = append(all, "tar-get@"+d, "TAR-GET+x@"+d)
		}
		mailboxes++
	}
	all = append(all, "t.ar-get@gmail.com", "tar.get@yandex.ru", "t.ar-get@proton.me")
	b.flood(len(all), 4, 8*time.Second, func(i int) mail {
		return mail{source: v6(i, 0, 1), helo: "a.stranger.example", from: all[i]}
	})
	b.honest.end()
	n := len(mx.mails())
	return result{fmt.Sprintf("%d mails to %d mailboxes in %d spellings; %s", n, mailboxes, len(all), b.says()), n > 0 && n <= mailboxes}
}

// customersNames are forms in which hosters name the machines and lines of their customers.
func customersNames(b *bench) result {
	forms := strings.Fields(`mail vps server1 s1 s17 web3 host12 node4 cloud7 ds12 dedi4 rs5 vm9 p12 h7 cpanel1 plesk2 xen4 kvm3
		alice shop-alice alice.users mail.kunde kunde12 customer-a client.alice dyn-a pool.a dsl.a cable.a fiber.a colo.b box gw.alice mail.alice
		smtp.alice mx.alice vps-4711 ip-45-66-2-1 static.1.2.66.45.clients`)
	mx := b.servers.open(b.servers.takes, 25, "45.72.0.25")
	hosters := []string{"hoster-all.example", "hoster-reject.example", "hoster-both.example"}
	for i, d := range hosters {
		b.names.zone("%[1]s. MX 0 mx0.%[1]s.\nmx0.%[1]s. A 45.72.0.25", d)
		if i != 1 {
			b.names.zone("%s. TXT \"v=spf1 ip4:45.72.0.0/24 -all\"", d)
		}
		if i != 0 {
			b.names.zone("_dmarc.%s. TXT \"v=DMARC1; p=reject\"", d)
		}
	}
	b.flood(len(forms)*3, 4, 8*time.Second, func(i int) mail {
		d := hosters[i%3]
		a, name := v4(66, i, 7), forms[i/3]+"."+d
		b.names.zone("%[1]s. A %[2]s\n%[3]s PTR %[1]s.", name, a, reverse(a))
		return mail{source: a, helo: name, from: fmt.Sprintf("victim%d@%s", i, d)}
	})
	b.honest.end()
	n := len(mx.mails())
	return result{fmt.Sprintf("%d mails to the hoster by %d names of its customers' machines; %s", n, len(forms)*3, b.says()), n == 0}
}

// strangers have no record, so that each is mailed a report once a day; what counts is how much larger that is than what
// came in.
func strangers(b *bench) result {
	mx := b.servers.open(b.servers.takes, 25, addresses("45.73.%d.25", 20)...)
	for i := range 40 {
		b.names.zone("stranger%[1]d.example. MX 0 mx.stranger%[1]d.example.\nmx.stranger%[1]d.example. A 45.73.%[2]d.25", i, i%20)
	}
	b.flood(600, 8, 5*time.Second, func(i int) mail {
		from := fmt.Sprintf("s%d@stranger%d.example", i, i%40)
		return mail{source: v6(0, 0x100*(i%64), 1), helo: "x", from: from, header: "From: " + from + "\r\n", body: "\r\n"}
	})
	b.honest.end()
	out, largest := mx.octets()
	in := b.in + 600*90 // with the commands
	return result{fmt.Sprintf("%d mails, %.1f MB out for %d KB in (%d times), the largest of %d KB; %s", len(mx.mails()), float64(out)/1e6, in/1000, out/in, largest/1000, b.says()),
		largest > 0 && largest <= 33<<10}
}

// operator: one host's mail for abuse@ must not keep out the others'.
func operator(b *bench) result {
	mx := b.servers.open(b.servers.takes, 25, "45.1.0.25")
	own := b.proved()
	to := []string{"abuse@verifier.example.net", "postmaster@verifier.example.net"}
	b.flood(60, 2, 4*time.Second, func(i int) mail {
		return mail{source: v4(66, 3, 1), helo: own, from: fmt.Sprintf("a%d@%s", i, own), to: to[i%2], body: strings.Repeat("xxxxxxxx\r\n", 100<<10)}
	})
	taken := 0
	const others = 12
	for i := range others {
		n := i * 8
		m := mail{source: honestHost(n, 10), helo: honestName(n, 10), from: "abuse-desk@" + honestDomain(n), to: to[i%2]}
		if a := m.send(); a.code == 250 {
			taken++
		}
	}
	b.honest.end()
	octets, _ := mx.octets()
	return result{fmt.Sprintf("%d of %d mails of others taken; %d mails of %.1f MB to the operator; %s", taken, others, len(mx.mails()), float64(octets)/1e6, b.says()), taken == others}
}
