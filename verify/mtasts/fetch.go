package mtasts

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"

	"checkauth/verify/dns"
	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// Step is where a fetch failed.
type Step string

// The steps, in order.
const (
	Record  Step = "record"  // the look-up of the TXT record
	Connect Step = "connect" // the policy host's addresses, and the connection
	TLS     Step = "tls"     // the handshake and the certificate
	HTTP    Step = "http"    // the answer
	Body    Step = "body"    // the policy itself
)

// FetchError is why a policy that a domain announces is not known, or not known anew.
type FetchError struct {
	Domain string
	ID     string // of the record; empty where that could not be had
	Step   Step
	Err    error
	// Remembered: nothing was tried now, this is the last fetch's failure. Err is then its text alone.
	Remembered bool
}

func (e *FetchError) Error() string {
	return fmt.Sprintf("MTA-STS policy of %q: %s: %s", e.Domain, e.Step, said(e.Err))
}

func (e *FetchError) Unwrap() error { return e.Err }

// remember makes the copy for the cache: an error of a handshake holds a stranger's certificates.
func (e *FetchError) remember() *FetchError {
	out := *e
	out.Err, out.Remembered = errors.New(said(e.Err)), true
	return &out
}

// said is an error's text, which may have a stranger's octets in it, for a line of a log.
func said(err error) string {
	const most = 500
	text := err.Error()
	return result.Clean(text[:min(len(text), most)])
}

// What may be wrong with an answer.
var (
	ErrStatus  = errors.New("the status is not 200") // a redirect is not followed
	ErrType    = errors.New("the type is not text/plain")
	ErrTooLong = errors.New("longer than we read")

	errNoAddress = errors.New("the policy host has no address")
	errTimeout   = errors.New("the time for an MTA-STS policy is over")
)

// fetch gets the policy of a domain. A panic of what it calls (a dialer, a resolver, a library at a
// stranger's octets) is a failure like others: it must not end the process.
func (c *Client) fetch(ctx context.Context, domain, id string) (p Policy, err *FetchError) {
	step := Connect
	failed := func(cause error) (Policy, *FetchError) {
		if ctx.Err() != nil {
			cause = fmt.Errorf("%w: %w", context.Cause(ctx), cause)
		}
		return Policy{}, &FetchError{Domain: domain, ID: id, Step: step, Err: cause}
	}
	defer panics.Recover(func(r *panics.Recovered) { p, err = failed(r) })
	host := policyHost(domain)
	raw, cause := c.connect(ctx, host)
	if cause != nil {
		return failed(cause)
	}
	// The connection is not used again, so that what is unread needs no end.
	defer func() { _ = raw.Close() }()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()

	step = TLS
	conn := tls.Client(raw, c.tls(host))
	if cause := conn.HandshakeContext(ctx); cause != nil {
		return failed(cause)
	}
	step = HTTP
	body, cause := c.get(conn, host)
	if cause != nil {
		return failed(cause)
	}
	step = Body
	if p, cause = Parse(body); cause != nil {
		return failed(cause)
	}
	return p, nil
}

// maxAddresses of one family are tried.
const maxAddresses = 2

// connect tries the policy host's addresses, IPv4 first, each for a part of the time: one that does not
// answer must not hide another that does.
func (c *Client) connect(ctx context.Context, host string) (net.Conn, error) {
	var failed []error
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		found, err := c.dns.Resolve(ctx, dns.Ask(host, t))
		if err != nil {
			failed = append(failed, err)
			continue
		}
		for _, r := range found.Records[:min(len(found.Records), maxAddresses)] {
			conn, err := c.dial(ctx, r.Addr)
			if err == nil {
				return conn, nil
			}
			failed = append(failed, err)
		}
	}
	if len(failed) == 0 {
		return nil, fmt.Errorf("%w: %q", errNoAddress, host)
	}
	return nil, errors.Join(failed...)
}

func (c *Client) dial(ctx context.Context, a netip.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout/(2*maxAddresses+1))
	defer cancel()
	return c.cfg.Dial(ctx, "tcp", netip.AddrPortFrom(a, uint16(c.cfg.Port)).String()) // check saw to the range
}

// tls: RFC 8461, 3.3: the certificate is for the policy host's name, by a DNS name in it, chains to a
// root that we trust, and has not expired.
func (c *Client) tls(host string) *tls.Config {
	return &tls.Config{
		ServerName: host, RootCAs: c.cfg.Roots, Time: c.cfg.Now, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	}
}

// Bounds of an answer beside the policy.
const (
	maxHead    = 64 << 10 // octets of header, and of what chunks cost
	maxInterim = 5        // answers of 1xx before the right one
)

// get asks for the policy. It is written by hand: net/http's Transport dials beyond the end of the
// context, in goroutines that are not ours, and a Client follows redirects.
func (c *Client) get(conn net.Conn, host string) ([]byte, error) {
	_, err := io.WriteString(conn, "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: "+host+
		"\r\nUser-Agent: check-auth\r\nAccept: text/plain\r\nConnection: close\r\n\r\n")
	if err != nil {
		return nil, err
	}
	return answer(conn, c.cfg.Size)
}

// answer reads an answer with a policy of at most size octets.
func answer(from io.Reader, size int) ([]byte, error) {
	in := bufio.NewReader(&bounded{from: from, left: size + maxHead})
	resp, err := http.ReadResponse(in, nil)
	for n := 0; err == nil && resp.StatusCode/100 == 1 && n < maxInterim; n++ {
		resp, err = http.ReadResponse(in, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	// RFC 8461, 3.3: 200 alone is good, and redirects are not followed.
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %d", ErrStatus, resp.StatusCode)
	}
	// RFC 8461, 3.2: text/plain with whatever parameters, lest a web server's users set the policy.
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "text/plain" || err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return nil, fmt.Errorf("%w: %q", ErrType, clip(resp.Header.Get("Content-Type")))
	}
	if resp.ContentLength > int64(size) {
		return nil, fmt.Errorf("%w: %d octets of at most %d", ErrTooLong, resp.ContentLength, size)
	}
	// The body is not closed: that would read it to its end.
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(size)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("body: %w", err)
	case len(body) > size:
		return nil, fmt.Errorf("%w: at most %d octets", ErrTooLong, size)
	}
	return body, nil
}

// bounded ends with ErrTooLong, where an io.LimitReader would feign an end.
type bounded struct {
	from io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLong
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
