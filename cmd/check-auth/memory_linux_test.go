package main

import (
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkauth/verify/dns/dnstest"
)

// cpu is the processor time that a process has used: proc_pid_stat(5), fields 14 and 15, in ticks of 10 ms.
func (p *program) cpu(t testing.TB) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// behindProxy starts a process that takes mail through a balancer alone, as from any address.
func behindProxy(t testing.TB, more ...string) (p *program, proxied string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxied = l.Addr().String()
	_ = l.Close()
	return start(t, t.TempDir(), append([]string{"--proxy-listen=" + proxied, "--proxy-trusted=127.0.0.0/8"}, more...)...), proxied
}

// dialAs is a client with that address, greeted.
func dialAs(addr, client string) (*textproto.Conn, error) {
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = raw.SetDeadline(time.Now().Add(2 * time.Minute))
	c := textproto.NewConn(raw)
	if err = c.PrintfLine("PROXY TCP6 %s 2001:db8::25 40000 25", client); err == nil {
		_, _, err = c.ReadResponse(220)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func say(c *textproto.Conn, line string, want int) error {
	if err := c.PrintfLine("%s", line); err != nil {
		return err
	}
	_, _, err := c.ReadResponse(want)
	return err
}

// toData goes on to where a message may be sent.
func toData(c *textproto.Conn) error {
	for _, l := range []string{"EHLO mx.sender.example", "MAIL FROM:<anna@sender.example>", "RCPT TO:<check-auth@verifier.example>"} {
		if err := say(c, l, 250); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
	}
	return say(c, "DATA", 354)
}

// holdHalf has 330 clients of six networks hold half a message of 200 KB each, until the test ends.
func holdHalf(t testing.TB, addr string) {
	t.Helper()
	half := "From: anna@sender.example\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 200_000/72)
	for n := range 330 {
		c, err := dialAs(addr, fmt.Sprintf("2a00:%x::%x", 1+n%6, 1+n))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := toData(c); err != nil {
			t.Fatal(err)
		}
		if _, err := c.W.WriteString(half); err != nil {
			t.Fatal(err)
		}
		if err := c.W.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// What others hold makes nobody's mail dear.
func TestHalfMessagesCostNoTime(t *testing.T) {
	world := dnstest.New(t, serveZone)
	p, addr := behindProxy(t, append(noQuotas(), "--resolver-servers="+world.Addr().String(), "--deliver-relay="+newSink(t).addr())...)
	each := func() time.Duration {
		const mails = 50
		before := p.cpu(t)
		for n := range mails {
			if code, text := dialogue(t, p.addr, "anna@sender.example", "check-auth@verifier.example", mailOf(n)+strings.Repeat("a line\n", int(before.Milliseconds()))); code != 250 {
				t.Fatal(code, text)
			}
		}
		return (p.cpu(t) - before) / mails
	}
	each()
	alone := each()
	holdHalf(t, addr)
	beside := each()
	t.Logf("a mail costs %s, and beside 330 half messages %s", alone, beside)
	if beside > 2*alone+10*time.Millisecond {
		t.Error("they make it dear")
	}
}

// BenchmarkBadSignatures is the time that messages of 60 KiB with ten bad signatures take of the processor, from sixty
// connections, beside 330 half messages.
func BenchmarkBadSignatures(b *testing.B) {
	zone := serveZone
	for n := range 10 {
		zone += fmt.Sprintf("s%d._domainkey.sender.example. TXT %q\n", n, badKey)
	}
	world := dnstest.New(b, zone)
	p, addr := behindProxy(b, append(noQuotas(), "--resolver-servers="+world.Addr().String(), "--deliver-relay="+newSink(b).addr())...)
	holdHalf(b, addr)
	var all sync.WaitGroup
	var sent, answered atomic.Int64
	before := p.cpu(b)
	for n := range 60 {
		all.Go(func() {
			c, err := dialAs(addr, fmt.Sprintf("2a00:%x::%x", 101+n%6, 1+n))
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			for k := sent.Add(1); k <= int64(b.N); k = sent.Add(1) {
				if err := toData(c); err != nil {
					b.Error(err)
					return
				}
				w := c.DotWriter()
				fmt.Fprint(w, badlySigned(n, int(k)))
				_ = w.Close()
				if code, text, err := c.ReadResponse(0); err != nil || code/100 == 4 {
					b.Error(code, text, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	all.Wait()
	b.ReportMetric((p.cpu(b)-before).Seconds()/float64(answered.Load()), "cpu-s/mail")
}

const badKey = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"

func badlySigned(n, k int) string {
	var b strings.Builder
	for s := range 10 {
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=sender.example; s=s%d;\r\n\th=from:subject; bh=%s; b=%s\r\n", s,
			fmt.Sprintf("%043d=", s), strings.Repeat("QUJD", 42)+"QUI=")
	}
	fmt.Fprintf(&b, "From: anna@sender.example\r\nSubject: %d\r\nMessage-ID: <%d.%d@sender.example>\r\n\r\n", k, n, k)
	b.WriteString(strings.Repeat("The quick brown fox jumps over the lazy dog, and again and again, line.\r\n", 60<<10/73))
	return b.String()
}

// noQuotas are the arguments for a service that bounds nobody's mails.
func noQuotas() (out []string) {
	for _, limit := range []string{"smtp-commands", "smtp-transactions-per-session", "smtp-transactions-per-minute",
		"resolver-per-network", "resolver-made-names", "resolver-per-target",
		"policy-address-per-minute", "policy-address-per-day", "policy-network-per-hour", "policy-destination-per-hour",
		"policy-domain-per-day", "policy-open-address-per-day", "policy-open-network-per-hour", "policy-open-domain-per-hour",
		"policy-open-domain-per-day", "policy-total-per-hour"} {
		out = append(out, "--"+limit+"=unlimited")
	}
	return out
}
