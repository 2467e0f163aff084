//go:debug rsa1024min=0
//go:debug tlssha1=1
//go:debug x509negativeserial=1
package deliver

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"checkauth/reply"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Words of a script that are no answers.
const (
	closes  = "(closes)"
	hangs   = "(hangs)"
	endless = "(endless)" // lines that never end the answer
	oneLine = "(one line)"
	drips   = "(drips)" // a line of the answer each half minute
)

// stub is an SMTP server whose answers the test writes: by verb, one a time, the last one again and
// again; "greeting" and "." are verbs too. A verb without an answer gets the usual one.
type stub struct {
	script map[string][]string
	tls    *tls.Config   // behind STARTTLS; nil: clear text comes in its place
	first  bool          // TLS from the first octet
	slow   time.Duration // before the answer to the final dot
	wants  bool          // TLS: nothing is taken in clear

	mu      sync.Mutex
	heard   []string // commands; those in TLS begin with "TLS "
	mails   []string // that were answered 2xx, dots undone
	began   []time.Time
	written int // octets of endless answers
}

var usual = map[string]string{
	"greeting": "220 mx.example.org ESMTP",
	"EHLO":     "250-mx.example.org greets you\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 SMTPUTF8",
	"HELO":     "250 mx.example.org",
	"STARTTLS": "220 2.0.0 go on",
	"MAIL":     "250 2.1.0 sender ok",
	"RCPT":     "250 2.1.5 recipient ok",
	"DATA":     "354 end with a dot",
	".":        "250 2.0.0 queued",
	"QUIT":     "221 2.0.0 bye",
}

const mustStartTLS = "530 5.7.0 Must issue a STARTTLS command first"

func (s *stub) next(verb string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.script[verb]
	if len(left) == 0 {
		if usual[verb] == "" {
			return "500 5.5.1 what is " + verb
		}
		return usual[verb]
	}
	if len(left) > 1 {
		s.script[verb] = left[1:]
	}
	return left[0]
}

// say is false where the connection is over.
func (s *stub) say(conn net.Conn, in io.Reader, answer string) bool {
	var err error
	switch answer {
	case closes:
		return false
	case hangs:
		_, _ = io.Copy(io.Discard, in)
		return false
	case endless, oneLine:
		part := "250-and another line of it\r\n"
		if answer == oneLine {
			part = strings.Repeat("x", 1000)
		}
		for err == nil {
			var n int
			n, err = io.WriteString(conn, part)
			s.mu.Lock()
			s.written += n
			s.mu.Unlock()
		}
	case drips:
		for err == nil {
			time.Sleep(30 * time.Second)
			_, err = io.WriteString(conn, "250-wait\r\n")
		}
	default:
		_, err = io.WriteString(conn, answer+"\r\n")
	}
	return err == nil
}

func (s *stub) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	s.mu.Lock()
	s.began = append(s.began, time.Now())
	s.mu.Unlock()
	mark := ""
	if s.first {
		c := tls.Server(conn, s.tls)
		if c.Handshake() != nil {
			return
		}
		conn, mark = c, "TLS "
	}
	in := bufio.NewReader(conn)
	var mail string
	for verb := "greeting"; ; {
		answer := s.next(verb)
		if s.wants && mark == "" && (verb == "MAIL" || verb == "RCPT" || verb == "DATA") {
			answer = mustStartTLS
		}
		taken := verb == "." && answer[0] == '2'
		if taken { // before the client hears of it
			s.mu.Lock()
			s.mails = append(s.mails, mail)
			s.mu.Unlock()
		}
		if !s.say(conn, in, answer) {
			if taken {
				s.mu.Lock()
				i := slices.Index(s.mails, mail)
				s.mails = slices.Delete(s.mails, i, i+1)
				s.mu.Unlock()
			}
			return
		}
		switch {
		case verb == "QUIT":
			return
		case verb == "STARTTLS" && answer[0] == '2' && s.tls == nil:
			_, _ = in.ReadByte() // of the handshake
			_ = s.say(conn, in, "\x1b[2Jno TLS here")
			return
		case verb == "STARTTLS" && answer[0] == '2':
			c := tls.Server(conn, s.tls)
			if c.Handshake() != nil {
				return
			}
			conn, in, mark = c, bufio.NewReader(c), "TLS "
		case verb == "DATA" && answer[0] == '3':
			b, err := io.ReadAll(textproto.NewReader(in).DotReader())
			if err != nil {
				return
			}
			mail, verb = string(b), "."
			if s.slow > 0 {
				time.Sleep(s.slow)
			}
			continue
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		s.mu.Lock()
		s.heard = append(s.heard, mark+strings.TrimRight(line, "\r\n"))
		s.mu.Unlock()
		verb = strings.ToUpper(strings.Fields(line + " ?")[0])
	}
}

func (s *stub) got() (heard, mails []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard), slices.Clone(s.mails)
}

func (s *stub) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.began)
}

// listen serves each stub at its loopback address, all on one port.
func listen(t *testing.T, stubs map[string]*stub) (port int) {
	t.Helper()
	var listeners []net.Listener
	for tries := 0; len(listeners) < len(stubs); tries++ {
		for _, l := range listeners {
			_ = l.Close()
		}
		listeners, port = nil, 0
		for ip := range stubs {
			l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", ip, port))
			if err != nil && tries == 20 {
				t.Fatal(err)
			}
			if err != nil {
				break
			}
			listeners = append(listeners, l)
			port = l.Addr().(*net.TCPAddr).Port
		}
	}
	for _, l := range listeners {
		accept(t, l, stubs[l.Addr().(*net.TCPAddr).IP.String()].serve)
	}
	return port
}

// accept serves a listener until the test's end, and waits for its connections then.
func accept(t *testing.T, l net.Listener, serve func(net.Conn)) {
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
}

// inMemory connects to the stubs without a network; where is the address without its port.
func inMemory(stubs map[string]*stub) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		ip, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		s := stubs[ip]
		if s == nil {
			return nil, errors.New("connection refused")
		}
		ours, theirs := net.Pipe()
		go s.serve(theirs)
		return ours, nil
	}
}

func config(t *testing.T) Config {
	c := Defaults()
	c.Hostname = "verifier.example.net"
	c.AllowPrivate = true
	c.Connect, c.Command, c.Data, c.Attempt = 20*time.Second, 20*time.Second, 20*time.Second, time.Minute
	c.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	return c
}

func entry(id string) reply.Entry {
	now := time.Now()
	return reply.Entry{
		ID: id, To: "a@example.org", MessageID: "<" + id + "@verifier.example.net>",
		Body: []byte("Subject: report\r\n\r\n.a dot\r\n..two\r\n" + id + "\r\n"), Created: now, Expires: now.Add(24 * time.Hour),
	}
}

// received is an entry's body as textproto's reader gives it.
func received(e reply.Entry) string { return strings.ReplaceAll(string(e.Body), "\r\n", "\n") }

// deliverer asks the zone.
func deliverer(t *testing.T, c Config, zone string) *Deliverer {
	t.Helper()
	return newDeliverer(t, c, nil, dnstest.Zone(t, zone, patient()))
}

// patient: on a busy machine a late answer would be no fault of ours.
func patient() dnstest.Option {
	return dnstest.WithClient(func(c *client.Config) { c.Timeout = 20 * time.Second })
}

func newDeliverer(t *testing.T, c Config, st Store, resolver dns.Resolver) *Deliverer {
	t.Helper()
	d, err := New(c, st, resolver)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fate is what a try's error means.
func fate(err error) string {
	switch {
	case err == nil:
		return "taken"
	case isPermanent(err):
		return "permanent"
	}
	return "temporary"
}

// want checks how a try ended; reason is a part of its error.
func want(t *testing.T, err error, wantFate, reason string) {
	t.Helper()
	if got := fate(err); got != wantFate || (err != nil && !strings.Contains(err.Error(), reason)) {
		t.Errorf("got %s (%v), want %s (%s)", got, err, wantFate, reason)
	}
}

// certificate is one that nobody trusts.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	return certificateOf(t, nil, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)})
}

// authority is a root that signs certificates of servers.
type authority struct {
	pool *x509.CertPool
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	own := certificateOf(t, nil, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root of a test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	a := &authority{pool: x509.NewCertPool(), cert: own.Leaf, key: own.PrivateKey.(*ecdsa.PrivateKey)}
	a.pool.AddCert(a.cert)
	return a
}

// server is a certificate for these names, shown with the root's.
func (a *authority) server(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	return certificateOf(t, a, &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: names, NotAfter: time.Now().Add(time.Hour)})
}

func certificateOf(t *testing.T, by *authority, sheet *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := sheet, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, sheet, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	out := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	if by != nil {
		out.Certificate = append(out.Certificate, by.cert.Raw)
	}
	return out
}

// journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// tryWhole is try with its goodbye.
func (d *Deliverer) tryWhole(ctx context.Context, e reply.Entry) (outcome, error) {
	what, err := d.try(ctx, d.attempt(e, nil))
	if what.bye != nil {
		what.bye()
		d.idle.close()
	}
	return what, err
}
