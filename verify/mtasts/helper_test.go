package mtasts

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"checkauth/verify/dns/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// policyText is what a good policy host serves.
const policyText = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmx: *.backup.example.org\r\nmax_age: 604800\r\n"

// zoneText announces a policy of example.org with an id.
func zoneText(id string) string {
	return `
_mta-sts.example.org. TXT "v=STSv1; id=` + id + `;"
mta-sts.example.org.  A   192.0.2.1
`
}

// clock is one that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// authority is a root that signs certificates of policy hosts.
type authority struct {
	pool *x509.CertPool
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool(), key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root of a test"},
		NotBefore: start.AddDate(-1, 0, 0), NotAfter: start.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certificate signs one that change may spoil.
func (a *authority) certificate(t testing.TB, change func(*x509.Certificate), names ...string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: start.AddDate(0, -1, 0), NotAfter: start.AddDate(5, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// world is a policy host, a zone and a Client that asks both.
type world struct {
	*Client
	clock *clock
	dns   *dnstest.Server

	mu      sync.Mutex
	answer  http.HandlerFunc
	dialled []string
	hosts   []string // of the requests: name, method and path
	cert    tls.Certificate
	serve   string // the server's address
	refuse  error  // of Dial
}

// set changes what the server does while it runs.
func (w *world) set(change func(w *world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

// says makes the server answer 200 with a policy.
func (w *world) says(body string) { w.set(func(w *world) { w.answer = text(body) }) }

func (w *world) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.hosts)
}

func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.hosts = append(w.hosts, r.TLS.ServerName+" "+r.Host+" "+r.Method+" "+r.RequestURI+" "+r.Proto)
	answer := w.answer
	w.mu.Unlock()
	answer(out, r)
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
}

func (w *world) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	w.dialled = append(w.dialled, network+" "+addr)
	serve, refuse := w.serve, w.refuse
	w.mu.Unlock()
	if refuse != nil {
		return nil, refuse
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", serve)
}

// newWorld serves a good policy of example.org with the id "one".
func newWorld(t testing.TB, zone string, change func(*Config)) *world {
	t.Helper()
	ca := newAuthority(t)
	w := &world{
		clock: &clock{now: start}, dns: dnstest.New(t, zone), answer: text(policyText),
		cert: ca.certificate(t, nil, "mta-sts.example.org", "mta-sts.xn--bcher-kva.example"),
	}
	server := httptest.NewUnstartedServer(w)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return &w.cert, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	// httptest puts a certificate of its own first.
	server.TLS.Certificates = nil
	w.serve = server.Listener.Addr().String()
	config := Defaults()
	config.Dial, config.Roots, config.Now = w.dial, ca.pool, w.clock.Now
	if change != nil {
		change(&config)
	}
	var err error
	if w.Client, err = New(config, w.dns.Client(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// want asks for the policy of example.org and compares mode, id and the step that failed.
func (w *world) want(t *testing.T, mode Mode, id string, step Step) *FetchError {
	t.Helper()
	p, err := w.Policy(t.Context(), "example.org")
	f, ok := errors.AsType[*FetchError](err)
	if err != nil && !ok {
		t.Fatalf("got %v, want a *FetchError", err)
	}
	var got Step
	if f != nil {
		got = f.Step
	}
	if p.Mode != mode || p.ID != id || got != step {
		t.Fatalf("got mode %q, id %q, error %v; want mode %q, id %q, step %q", p.Mode, p.ID, err, mode, id, step)
	}
	return f
}

func (w *world) wantRequests(t *testing.T, n int) {
	t.Helper()
	if got := w.requests(); got != n {
		t.Fatalf("%d requests, want %d", got, n)
	}
}

// zone serves another zone text from now on.
func (w *world) zone(t *testing.T, text string) {
	t.Helper()
	if err := w.dns.Replace(text); err != nil {
		t.Fatal(err)
	}
}

// policy makes a policy's text of lines.
func policy(lines ...string) string { return strings.Join(lines, "\n") }
