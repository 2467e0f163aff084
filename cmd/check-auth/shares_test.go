package main

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/verify/dns/dnstest"
)

// testAs sends one mail from that address and gives the answer to it, or to what of the dialogue was refused before.
func testAs(addr, client, from, message string) (int, string) {
	c, err := dialAs(addr, client)
	if err == nil {
		defer c.Close()
		for _, l := range []string{"EHLO mx.sender.example", "MAIL FROM:<" + from + ">", "RCPT TO:<check-auth@verifier.example>"} {
			if err == nil {
				err = say(c, l, 250)
			}
		}
	}
	if err == nil {
		err = say(c, "DATA", 354)
	}
	if err == nil {
		w := c.DotWriter()
		_, _ = fmt.Fprint(w, message)
		_ = w.Close()
		_, _, err = c.ReadResponse(250)
	}
	if refused, ok := errors.AsType[*textproto.Error](err); ok {
		return refused.Code, refused.Msg
	}
	if err != nil {
		return 0, err.Error()
	}
	return 250, ""
}

// 96 /64 of one /57 have mail tested in a domain whose name servers answer after 2.8 s. Before, 13 of 13 honest mails were put
// off: 64 messages could be evaluated at once, and all of them waited.
func TestHostile_evaluations_behind_slow_name_servers(t *testing.T) {
	t.Parallel()
	zone := serveZone + "slow.example. TXT \"v=spf1 ip6:2a00::/32 -all\"\n;FAULT DELAY=2800ms *.slow.example ANY\n"
	const honest = 13
	for n := range honest {
		zone += fmt.Sprintf("h%d.example. TXT \"v=spf1 ip6:2a01:%x::1 -all\"\nh%d.example. MX 10 mx.sender.example.\n", n, n, n)
	}
	world := dnstest.New(t, zone)
	_, addr := behindProxy(t, append(noQuotas(), "--resolver-servers="+world.Addr().String(), "--deliver-relay="+newSink(t).addr())...)
	stop := make(chan struct{})
	var attackers sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	for n := range 96 {
		attackers.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				code, text := testAs(addr, fmt.Sprintf("2a00:0:0:%x::1", n), fmt.Sprintf("a%d@slow.example", n), mailOf(n<<10+k))
				mu.Lock()
				answers[fmt.Sprintf("%d %.40s", code, text)]++
				mu.Unlock()
				if code != 250 {
					time.Sleep(100 * time.Millisecond)
				}
			}
		})
	}
	time.Sleep(3 * time.Second) // until they all wait
	for n := range honest {
		if code, text := testAs(addr, fmt.Sprintf("2a01:%x::1", n), fmt.Sprintf("a@h%d.example", n), mailOf(1<<20+n)); code != 250 {
			t.Errorf("honest mail %d: %d %s", n, code, text)
		}
	}
	close(stop)
	attackers.Wait()
	mu.Lock()
	defer mu.Unlock()
	share := 0
	for a, n := range answers {
		if strings.HasPrefix(a, "451 4.3.2 Too many messages") {
			share += n
		}
	}
	if share == 0 {
		t.Errorf("nobody heard of a share: %v", answers)
	}
}
