package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// attack is one row of the table.
type attack struct {
	name, what string
	// honest senders, how long the attack runs before the first of them, and within what time all of them send.
	honest       int
	lead, within time.Duration
	// run makes the attack, and tells what came of it once the honest senders have had their time; it must end by itself.
	run func(b *bench) result
}

// result is what came of an attack.
type result struct {
	number string
	ok     bool
}

// row is a line of the table.
type row struct {
	attack
	result
	fared  fared
	took   time.Duration
	panics int
}

func (r row) passed() bool { return r.ok && r.fared.well() && r.panics == 0 }

// bench is the Internet of one attack, with a fresh service in it.
type bench struct {
	ctx     context.Context
	names   *names
	servers *servers
	honest  *honest
	service *process

	mu    sync.Mutex
	heard map[string]int // what the attacker heard: 2xx, 4xx, 5xx, cut
	in    int            // octets of the attacker's messages
	own   int            // domains of his
}

// play runs an attack in a folder of its own.
func (a attack) play(ctx context.Context, n *names, program, folder string, longest time.Duration) (row, error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := os.Mkdir(folder, 0o700); err != nil {
		return row{}, err
	}
	s, err := newServers()
	if err != nil {
		return row{}, err
	}
	defer s.close()
	n.clear()
	b := &bench{ctx: ctx, names: n, servers: s, heard: map[string]int{}}
	b.honest = &honest{b: b, waiting: map[string]time.Time{}}
	s.arrived = b.honest.arrived
	b.world()
	b.honest.settle()
	if b.service, err = start(ctx, program, folder); err != nil {
		return row{}, err
	}
	defer b.service.kill()
	b.honest.begin(a.honest, a.lead, a.within)
	out := row{attack: a, result: a.run(b)}
	b.honest.end()
	out.fared, out.took, out.panics = b.honest.fared(), time.Since(begun), b.service.panics()
	if b.service.ended() {
		out.panics++
	}
	return out, nil
}

// world is what every attack needs: the service's own names and the operator's mail server.
func (b *bench) world() {
	b.names.zone(`
verifier.example.net. A %[1]s
verifier.example.net. AAAA %[2]s
verifier.example.net. MX 0 verifier.example.net.
verifier.example.net. TXT "v=spf1 a -all"
%[3]s PTR verifier.example.net.
%[4]s PTR verifier.example.net.
operator.example. MX 0 mx.operator.example.
mx.operator.example. A 45.1.0.25
`, ours4, ours6, reverse(ours4), reverse(ours6))
}

// domain makes a domain of the attacker's, from which all his networks may send: its mail is proved. The MX hosts are
// given as NAME or NAME ADDRESS; NAME may be empty.
func (b *bench) domain(mx ...string) string {
	b.mu.Lock()
	b.own++
	d := fmt.Sprintf("attacker%d.example", b.own)
	b.mu.Unlock()
	b.names.zone("%s. TXT \"v=spf1 %s -all\"", d, attackers)
	for i, m := range mx {
		host, address, _ := strings.Cut(m, " ")
		if host == "" {
			host = fmt.Sprintf("mx%d.%s", i, d)
		}
		b.names.zone("%s. MX %d %s.", d, i, host)
		if address != "" {
			b.names.zone("%s. A %s", host, address)
		}
	}
	return d
}

// proved is a domain of the attacker's with a mail server that takes mail.
func (b *bench) proved() string {
	b.servers.open(b.servers.takes, 25, "45.66.200.25")
	return b.domain(" 45.66.200.25")
}

// sleeps waits; false: the time of the attack is over.
func (b *bench) sleeps(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-b.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// send is the attacker's mail; what he hears is counted.
func (b *bench) send(m mail) said {
	a := m.send()
	b.hear(a, len(m.text()))
	return a
}

func (b *bench) hear(a said, octets int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := fmt.Sprintf("%dxx", a.code/100)
	if a.code == 0 {
		k = "cut"
	}
	b.heard[k]++
	b.in += octets
}

// count is how often the attacker heard such an answer.
func (b *bench) count(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard[kind]
}

// says is what the attacker heard.
func (b *bench) says() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, k := range slices.Sorted(maps.Keys(b.heard)) {
		out = append(out, fmt.Sprintf("%d × %s", b.heard[k], k))
	}
	return strings.Join(out, ", ")
}

// flood sends n mails spread over a time, so many at once; it ends early with the time of the attack.
func (b *bench) flood(n, atOnce int, within time.Duration, one func(i int) mail) {
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	begun := time.Now()
	for i := range n {
		if !b.sleeps(time.Until(begun.Add(within * time.Duration(i) / time.Duration(n)))) {
			break
		}
		places <- struct{}{}
		all.Go(func() {
			b.send(one(i))
			<-places
		})
	}
	all.Wait()
}

// until sends mails one after the other, from each of n senders, until a time.
func (b *bench) until(end time.Time, n int, one func(sender, i int) mail) {
	var all sync.WaitGroup
	for sender := range n {
		all.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				b.send(one(sender, i))
				if !b.sleeps(200 * time.Millisecond) {
					return
				}
			}
		})
	}
	all.Wait()
}

// word is n letters that nobody has had before.
func word(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte('a' + rand.IntN(26))
	}
	return string(out)
}
