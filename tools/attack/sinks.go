package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// letter is a mail that came to a mail server.
type letter struct {
	to    string // lower case
	at    time.Time
	bytes int
	text  string // the first 8 KiB
}

// sink is a server that the service connects to, at one address or several, and what came to it.
type sink struct {
	conns atomic.Int64
	rcpts atomic.Int64 // RCPT commands

	mu      sync.Mutex
	letters []letter
}

func (s *sink) mails() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.letters)
}

// octets are those of all mails, and of the largest.
func (s *sink) octets() (all, largest int) {
	for _, l := range s.mails() {
		all, largest = all+l.bytes, max(largest, l.bytes)
	}
	return all, largest
}

// behaviour is what a server does with a connection, which is closed afterwards.
type behaviour func(net.Conn, *sink)

// servers are all sinks of one attack.
type servers struct {
	cert    tls.Certificate
	arrived func(letter)

	mu        sync.Mutex
	listeners []net.Listener
	conns     map[net.Conn]bool
	closed    chan struct{}
}

func newServers() (*servers, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.example"}, DNSNames: []string{"mx.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &servers{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, conns: map[net.Conn]bool{}, closed: make(chan struct{})}, nil
}

// open starts a server at each of some addresses; all count in one sink.
func (s *servers) open(does behaviour, port int, addrs ...string) *sink {
	out := &sink{}
	for _, a := range addrs {
		l, err := listen(a, port)
		if err != nil {
			panic(err) // two servers at one address: a fault of this program
		}
		s.mu.Lock()
		s.listeners = append(s.listeners, l)
		s.mu.Unlock()
		go s.accept(l, does, out)
	}
	return out
}

func (s *servers) accept(l net.Listener, does behaviour, to *sink) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		to.conns.Add(1)
		go func() {
			does(c, to)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

func (s *servers) close() {
	close(s.closed)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		_ = c.Close()
	}
}

// say writes lines and tells whether that went well.
func say(c net.Conn, lines ...string) bool {
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, err := c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n"))
	return err == nil
}

// takes is a mail server that takes mail, over TLS too.
func (s *servers) takes(c net.Conn, to *sink) { s.dialogue(c, to, func(string) bool { return true }) }

// refuses is one that takes mail for others than the attackers' domains.
func (s *servers) refuses(c net.Conn, to *sink) {
	s.dialogue(c, to, func(rcpt string) bool { return !strings.Contains(rcpt, "attacker") })
}

func (s *servers) dialogue(c net.Conn, to *sink, takes func(rcpt string) bool) {
	if !say(c, "220 mx.example ESMTP") {
		return
	}
	offers := []string{"250-mx.example", "250-PIPELINING", "250-8BITMIME", "250-SMTPUTF8", "250-STARTTLS", "250 SIZE 20000000"}
	r := bufio.NewReader(c)
	var rcpt []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		ok := true
		switch strings.ToUpper(verb) {
		case "EHLO":
			ok = say(c, offers...)
		case "STARTTLS":
			t := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{s.cert}})
			if !say(c, "220 go") || t.Handshake() != nil {
				return
			}
			c, r, offers = t, bufio.NewReader(t), slices.Delete(offers, 4, 5)
		case "MAIL", "RSET":
			rcpt = nil
			ok = say(c, "250 ok")
		case "RCPT":
			to.rcpts.Add(1)
			address, _, _ := strings.Cut(rest[strings.IndexByte(rest, '<')+1:], ">")
			if !takes(address) {
				ok = say(c, "550 5.1.1 not here")
				break
			}
			rcpt = append(rcpt, address)
			ok = say(c, "250 ok")
		case "DATA":
			if len(rcpt) == 0 {
				ok = say(c, "503 no recipient")
				break
			}
			ok = say(c, "354 go") && s.data(r, to, rcpt) && say(c, "250 taken")
		case "QUIT":
			say(c, "221 bye")
			return
		default:
			ok = say(c, "250 ok")
		}
		if !ok {
			return
		}
	}
}

// data reads a message to its end.
func (s *servers) data(r *bufio.Reader, to *sink, rcpt []string) bool {
	var text strings.Builder
	size := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		if size += len(line); text.Len() < 8<<10 {
			text.WriteString(line)
		}
	}
	for _, a := range rcpt {
		l := letter{strings.ToLower(a), time.Now(), size, text.String()}
		to.mu.Lock()
		to.letters = append(to.letters, l)
		to.mu.Unlock()
		s.arrived(l)
	}
	return true
}

// hangs accepts and says nothing.
func (s *servers) hangs(c net.Conn, _ *sink) {
	b := make([]byte, 1024)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// drips sends a greeting without end, an octet each 9.7 s.
func (s *servers) drips(c net.Conn, _ *sink) {
	const line = "220-one moment please\r\n"
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{line[i%len(line)]}); err != nil {
			return
		}
		select {
		case <-s.closed:
			return
		case <-time.After(9700 * time.Millisecond):
		}
	}
}

// garbage offers STARTTLS and then speaks no TLS; in clear it takes no mail.
func (s *servers) garbage(c net.Conn, _ *sink) {
	r := bufio.NewReader(c)
	for ok := say(c, "220 mx.example ESMTP"); ok; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " "); verb {
		case "EHLO":
			ok = say(c, "250-mx.example", "250 STARTTLS")
		case "STARTTLS":
			say(c, "220 go", "\x16\x03\x01\xff\xffgarbage, and no handshake")
			return
		case "QUIT":
			say(c, "221 bye")
			return
		default:
			ok = say(c, "451 4.3.0 later")
		}
	}
}
