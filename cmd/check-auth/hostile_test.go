package main

import (
	"fmt"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
)

// house is the service with everything behind it, in this process.
func house(t *testing.T, zone string) (addr string, world *dnstest.Server, replies *sink) {
	t.Helper()
	world, replies = dnstest.New(t, serveZone+zone), newSink(t)
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Operator, s.State = "verifier.example", "you@operator.example", t.TempDir()
	s.Listen = []string{"127.0.0.1:0"}
	s.SMTP.Loopback = loopbackEvaluate
	s.Resolver.Servers = []string{world.Addr().String()}
	s.Deliver.Relay = replies.addr()
	return inProcess(t, &s), world, replies
}

// 66: 160,000 continuation lines are refused before any library sees them.
func TestHostile_66(t *testing.T) {
	t.Parallel()
	addr, _, _ := house(t, "")
	code, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example",
		"X: y\r\n"+strings.Repeat(" z\r\n", 160000)+"\r\nbody\r\n")
	if code != 552 || !strings.Contains(text, "header") && !strings.Contains(text, "continuation") {
		t.Errorf("answered %d %s, want 552 with the bound", code, text)
	}
}

// 67: of 600 signatures ten are evaluated, with ten key look-ups and at most 22 for the search of other keys,
// and the reply says so.
func TestHostile_67(t *testing.T) {
	t.Parallel()
	addr, world, replies := house(t, "")
	var header strings.Builder
	for i := range 600 {
		fmt.Fprintf(&header, "DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; s=s%d; h=From;\r\n bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n", i)
	}
	code, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example", header.String()+"From: anna@sender.example\r\n\r\nbody\r\n")
	if code != 250 || !strings.Contains(text, "dkim=") || strings.Contains(text, "dkim=pass") {
		t.Errorf("answered %d %s", code, text)
	}
	asked := 0
	for _, q := range world.Queries() {
		if strings.Contains(q, "._domainkey.") && strings.HasSuffix(q, " TXT") {
			asked++
		}
	}
	if asked > 10+22 {
		t.Errorf("%d key look-ups, want at most 32", asked)
	}
	if m := replies.next(t); len(m.data) > 64<<10 {
		t.Errorf("the reply has %d octets, want at most 64 KiB", len(m.data))
	}
}
