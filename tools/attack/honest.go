package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// networks are how many the honest senders come from: the first sixty are a /24 each, the others a /32 of IPv6.
const networks = 100

// patience is how long a report may take, from the moment that its sender connects.
const patience = 30 * time.Second

// honest are senders who want nothing but a report. Each of their domains has its own network and mail server. A third
// passes SPF, a third is softfail by a hosting provider's machine, a third has no record; half of each has DMARC.
type honest struct {
	b   *bench
	all sync.WaitGroup

	mu      sync.Mutex
	n       int
	waiting map[string]time.Time // for reports, by who connected when
	codes   []said               // other than 250
	wrong   []string
	late    []time.Duration
}

func honestHost(i, host int) netip.Addr {
	if i%networks < 60 {
		return v4(100, i%networks, host)
	}
	return netip.MustParseAddr(fmt.Sprintf("2a00:%x::%x", 0x100+i%networks, host))
}

func honestDomain(i int) string { return fmt.Sprintf("honest%d.example", i%networks) }

// honestName is the name of a sending machine: his own, or that of a hosting provider.
func honestName(i, host int) string {
	if i%networks%3 == 0 {
		return fmt.Sprintf("out%d.%s", host, honestDomain(i))
	}
	return fmt.Sprintf("s%d-%d.hosting.example", i%networks, host)
}

// settle publishes the honest domains and opens their mail servers.
func (h *honest) settle() {
	for i := range networks {
		d, mx := honestDomain(i), honestHost(i, 25)
		kind := "A"
		if mx.Is6() {
			kind = "AAAA"
		}
		h.b.names.zone("%[1]s. MX 10 mx.%[1]s.\nmx.%[1]s. %[2]s %[3]s", d, kind, mx)
		switch i % 3 {
		case 0:
			h.b.names.zone("%s. TXT \"v=spf1 ip4:45.100.%d.0/24 ip6:2a00:%x::/32 -all\"", d, i, 0x100+i)
		case 1:
			h.b.names.zone("%s. TXT \"v=spf1 ip4:45.99.0.1 ~all\"", d)
		}
		if i%2 == 0 {
			h.b.names.zone("_dmarc.%s. TXT \"v=DMARC1; p=%s\"", d, []string{"reject", "none", "none"}[i%3])
		}
		for host := 10; host < 20; host++ {
			h.b.names.zone("%[1]s. %[2]s %[3]s\n%[4]s PTR %[1]s.", honestName(i, host), kind, honestHost(i, host), reverse(honestHost(i, host)))
		}
		h.b.servers.open(h.b.servers.takes, 25, mx.String())
	}
}

// begin sends n mails within a time, after another one; it returns at once.
func (h *honest) begin(n int, after, within time.Duration) {
	for i := range n {
		h.later(after+within*time.Duration(i)/time.Duration(n), func() (mail, string) { return h.one(i) })
	}
}

// one is the mail of the honest sender of that number, and what its answer has to say.
func (h *honest) one(i int) (mail, string) {
	host := 10 + i/networks%10
	return mail{source: honestHost(i, host), helo: honestName(i, host), from: fmt.Sprintf("person%d@%s", i, honestDomain(i))},
		[]string{"spf=pass", "spf=softfail", "spf=none"}[i%networks%3]
}

// later sends an honest mail after a time; its answer must have a word in it.
func (h *honest) later(after time.Duration, one func() (mail, string)) {
	h.mu.Lock()
	h.n++
	h.mu.Unlock()
	h.all.Go(func() {
		if h.b.sleeps(after) {
			h.send(one())
		}
	})
}

func (h *honest) send(m mail, want string) {
	h.mu.Lock()
	h.waiting[strings.ToLower(m.from)] = time.Now()
	h.mu.Unlock()
	a := m.send()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case a.code != 250:
		h.codes = append(h.codes, a)
		delete(h.waiting, strings.ToLower(m.from))
	case !strings.Contains(a.text, want):
		h.wrong = append(h.wrong, a.text)
	}
}

// arrived is called for each mail that any mail server takes.
func (h *honest) arrived(l letter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if begun, ok := h.waiting[l.to]; ok {
		h.late = append(h.late, l.at.Sub(begun))
		delete(h.waiting, l.to)
	}
}

// end waits for the senders, and then for their reports as long as patience says.
func (h *honest) end() {
	h.all.Wait()
	for h.hopes() && h.b.sleeps(100*time.Millisecond) {
	}
}

// hopes tells whether a report may still come in time.
func (h *honest) hopes() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, begun := range h.waiting {
		if time.Since(begun) < patience {
			return true
		}
	}
	return false
}

// fared is what the honest senders had of it.
type fared struct {
	n, inTime         int
	p95               time.Duration
	put, refused, cut int // 4xx, 5xx, no answer
	wrong             int // answers that did not tell the truth
	words             []string
}

func (h *honest) fared() fared {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := fared{n: h.n, wrong: len(h.wrong), words: slices.Clone(h.wrong)}
	slices.Sort(h.late)
	for _, l := range h.late {
		if l <= patience {
			out.inTime++
		}
	}
	if len(h.late) > 0 {
		out.p95 = h.late[(len(h.late)-1)*95/100]
	}
	for _, a := range h.codes {
		switch a.code / 100 {
		case 5:
			out.refused++
		case 4:
			out.put++
		default:
			out.cut++
		}
		out.words = append(out.words, a.String())
	}
	return out
}

// well: at least 99 of 100 have their report in time, and heard what is true.
func (f fared) well() bool { return (f.n-f.inTime)*100 <= f.n && f.wrong*100 <= f.n }
