package main

import (
	"fmt"
	"net/textproto"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkauth/reply/sign"
	"checkauth/verify/dns/dnstest"
)

// BenchmarkServe is the whole house: SMTP in, six checks with a signature of 2048 bits among them, a
// signed reply stored (synced to disk) and sent to a server on loopback. One operation is one message
// with its 250; ns/op is the wall time of one of several connections' shares.
func BenchmarkServe(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchmarkServe(b, clients) })
	}
}

func benchmarkServe(b *testing.B, clients int) {
	dir := b.TempDir()
	key, _, err := sign.Open(dir, "sender.example", "s1")
	if err != nil {
		b.Fatal(err)
	}
	world, err := dnstest.Start(serveZone + "_dmarc.sender.example. TXT \"v=DMARC1; p=reject\"\n" + key.Record() + "\n")
	if err != nil {
		b.Fatal(err)
	}
	defer world.Close()
	replies, err := openSink()
	if err != nil {
		b.Fatal(err)
	}
	defer replies.close()
	go func() {
		for range replies.mails {
		}
	}()
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Operator, s.State = "verifier.example", "you@operator.example", filepath.Join(dir, "state")
	s.Listen, s.Resolver.Servers, s.Deliver.Relay = []string{"127.0.0.1:0"}, []string{world.Addr().String()}, replies.addr()
	s.SMTP.Loopback = loopbackEvaluate
	s.SMTP.PerIP, s.SMTP.PerNetwork, s.SMTP.Commands, s.SMTP.Transactions, s.SMTP.PerMinute = unlimited, unlimited, unlimited, unlimited, unlimited
	s.Resolver.PerNetwork, s.Resolver.PerTarget, s.Resolver.Made = unlimited, unlimited, unlimited
	q := &s.Policy
	for _, limit := range []*limit{&q.AddressMinute, &q.AddressDay, &q.NetworkHour, &q.DestinationHour, &q.DomainDay, &q.Total} {
		*limit = unlimited
	}
	addr := inProcess(b, &s)
	mails := make([][]byte, b.N)
	for i := range mails {
		if mails[i], err = key.Sign(blank(time.Now(), "Anna <anna@sender.example>", "benchmark", "hello\r\n"), time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() { sendAll(b, addr, mails, &next) })
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// sendAll takes mails from the list over one connection.
func sendAll(b *testing.B, addr string, mails [][]byte, next *atomic.Int64) {
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer c.Close()
	say := func(line string, want int) bool {
		if line != "" {
			err = c.PrintfLine("%s", line)
		}
		if err == nil {
			_, _, err = c.ReadResponse(want)
		}
		if err != nil {
			b.Errorf("%s: %v", line, err)
		}
		return err == nil
	}
	if !say("", 220) || !say("EHLO mx.sender.example", 250) {
		return
	}
	for i := next.Add(1) - 1; i < int64(len(mails)); i = next.Add(1) - 1 {
		if !say("MAIL FROM:<anna@sender.example>", 250) || !say("RCPT TO:<check-auth@verifier.example>", 250) || !say("DATA", 354) {
			return
		}
		w := c.DotWriter()
		if _, err := w.Write(mails[i]); err != nil {
			b.Error(err)
			return
		}
		if err := w.Close(); err != nil || !say("", 250) {
			b.Error(err)
			return
		}
	}
}
