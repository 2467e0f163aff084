package mtasts

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
)

func TestRFC8461_3_3_fetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	p, err := w.Policy(t.Context(), "Example.ORG.")
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "one" || p.Mode != Enforce || !slices.Equal(p.MX, []string{"mx.example.org", "*.backup.example.org"}) ||
		p.MaxAge != 7*24*time.Hour || !p.Expires.Equal(start.Add(p.MaxAge)) {
		t.Errorf("got %+v", p)
	}
	want := []string{"mta-sts.example.org mta-sts.example.org GET /.well-known/mta-sts.txt HTTP/1.1"}
	if !slices.Equal(w.hosts, want) || !slices.Equal(w.dialled, []string{"tcp 192.0.2.1:443"}) {
		t.Errorf("requests %q to %q", w.hosts, w.dialled)
	}
}

// Each of these is no policy, and the mail goes on its way.
func TestRFC8461_3_3_answers_that_are_none(t *testing.T) {
	t.Parallel()
	header := func(status int, fields ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for i := 0; i < len(fields); i += 2 {
				w.Header().Set(fields[i], fields[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, policyText)
		}
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		step   Step // empty: it is a policy
		err    error
	}{
		{"301 is not followed", header(301, "Location", "/.well-known/mta-sts.txt"), HTTP, ErrStatus},
		{"302 is not followed", header(302, "Location", "https://192.0.2.9/"), HTTP, ErrStatus},
		{"307 is not followed", header(307, "Location", "https://192.0.2.9/"), HTTP, ErrStatus},
		{"201", header(201), HTTP, ErrStatus},
		{"203", header(203), HTTP, ErrStatus},
		{"206", header(206), HTTP, ErrStatus},
		{"404", header(404), HTTP, ErrStatus},
		{"500", header(500), HTTP, ErrStatus},
		{"text/html", header(200, "Content-Type", "text/html; charset=utf-8"), HTTP, ErrType},
		{"text/plain-like", header(200, "Content-Type", "text/plainer"), HTTP, ErrType},
		{"octets", header(200, "Content-Type", "application/octet-stream"), HTTP, ErrType},
		{"no type", header(200, "Content-Type", ""), HTTP, ErrType},
		{"type in upper case", header(200, "Content-Type", "TEXT/Plain"), "", nil},
		{"other parameters of the type", header(200, "Content-Type", `text/plain; charset=utf-8; format="flowed"`), "", nil},
		{"broken parameter of the type", header(200, "Content-Type", "text/plain; charset"), "", nil},
		{"103 comes first", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			text(policyText)(w, r)
		}, "", nil},
		{"103 without end", func(w http.ResponseWriter, r *http.Request) {
			for range 50 {
				w.WriteHeader(http.StatusEarlyHints)
			}
			text(policyText)(w, r)
		}, HTTP, ErrStatus},
		{"in chunks", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for i := range policyText {
				_, _ = io.WriteString(w, policyText[i:i+1])
				_ = http.NewResponseController(w).Flush()
			}
		}, "", nil},
		{"empty", text(""), Body, nil},
		{"no policy", text("hello"), Body, nil},
		{"ends in the middle", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			text(policyText)(w, r)
		}, HTTP, io.ErrUnexpectedEOF},
		{"no answer at all", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, HTTP, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, zoneText("one"), nil)
			w.set(func(w *world) { w.answer = c.answer })
			if c.step == "" {
				w.want(t, Enforce, "one", "")
				return
			}
			err := w.want(t, "", "", c.step)
			if c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if err.Domain != "example.org" || err.ID != "one" || err.Remembered {
				t.Errorf("got %+v", err)
			}
			w.wantRequests(t, 1)
		})
	}
}

func TestRFC8461_3_3_size(t *testing.T) {
	t.Parallel()
	sized := func(n int) string {
		const rest = "\nx: "
		return policyText[:len(policyText)-2] + rest + strings.Repeat("a", n-len(policyText)+2-len(rest))
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		err    error
	}{
		{"exactly 64 KiB", text(sized(64 << 10)), nil},
		{"one octet more", text(sized(64<<10 + 1)), ErrTooLong},
		{"said to be more", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9000000000000000000")
			text(policyText)(w, r)
		}, ErrTooLong},
		{"without end", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				text("x: y\n")(w, r)
			}
		}, ErrTooLong},
		{"header without end", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for err == nil {
				_, err = io.WriteString(conn, "X: "+strings.Repeat("a", 1000)+"\r\n")
			}
		}, ErrTooLong},
		{"interim answers without end", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			for err == nil {
				_, err = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
			}
		}, ErrStatus},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, zoneText("one"), nil)
			w.set(func(w *world) { w.answer = c.answer })
			if c.err == nil {
				w.want(t, Enforce, "one", "")
				return
			}
			if err := w.want(t, "", "", HTTP); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
		})
	}
}

func TestRFC8461_3_3_timeout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"stops in the body", func(w http.ResponseWriter, r *http.Request) {
			text("version: STSv1\n")(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		{"drips", func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for r.Context().Err() == nil {
				text("x")(w, r)
				_ = http.NewResponseController(w).Flush()
				<-tick.C
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, zoneText("one"), func(c *Config) { c.Timeout = 2 * time.Second })
			w.set(func(w *world) { w.answer = c.answer })
			if err := w.want(t, "", "", HTTP); !errors.Is(err, errTimeout) {
				t.Errorf("got %v, want %v", err, errTimeout)
			}
		})
	}
}

// A host that takes the connection and says nothing ends like one that takes none.
func TestRFC8461_3_3_timeout_of_the_handshake(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer func() { _, _ = ours.Close(), theirs.Close() }()
	w := newWorld(t, zoneText("one"), func(c *Config) {
		c.Timeout = 300 * time.Millisecond
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
	})
	if err := w.want(t, "", "", TLS); !errors.Is(err, errTimeout) {
		t.Errorf("got %v, want %v", err, errTimeout)
	}
}

func TestRFC8461_3_3_certificate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		names  []string
		change func(*x509.Certificate)
		other  bool // signed by another root
		ok     bool
	}{
		{name: "for the name", names: []string{"www.example.org", "mta-sts.example.org"}, ok: true},
		{name: "wildcard", names: []string{"*.example.org"}, ok: true},
		{name: "for the domain alone", names: []string{"example.org"}},
		{name: "for the MX host", names: []string{"mx.example.org"}},
		{name: "wildcard of another level", names: []string{"*.org"}},
		{name: "wildcard within a label", names: []string{"mta-*.example.org"}},
		{name: "common name alone", change: func(c *x509.Certificate) { c.Subject.CommonName = "mta-sts.example.org" }},
		{name: "address alone", change: func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} }},
		{name: "expired", names: []string{"mta-sts.example.org"}, change: func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Hour) }},
		{name: "not yet valid", names: []string{"mta-sts.example.org"}, change: func(c *x509.Certificate) { c.NotBefore = start.Add(time.Hour) }},
		{name: "for clients", names: []string{"mta-sts.example.org"}, change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }},
		{name: "root that we do not trust", names: []string{"mta-sts.example.org"}, other: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ca, w := newAuthority(t), newWorld(t, zoneText("one"), nil)
			if !c.other {
				w.cfg.Roots = ca.pool
			}
			w.set(func(w *world) { w.cert = ca.certificate(t, c.change, c.names...) })
			if c.ok {
				w.want(t, Enforce, "one", "")
				return
			}
			w.want(t, "", "", TLS)
			w.wantRequests(t, 0)
		})
	}
}

func TestRFC8461_3_3_plain_text_in_place_of_TLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), func(c *Config) {
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer func() { _ = theirs.Close() }()
				_, _ = theirs.Read(make([]byte, 64<<10))
				_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"+policyText)
			}()
			return ours, nil
		}
	})
	err := w.want(t, "", "", TLS)
	if _, ok := errors.AsType[tls.RecordHeaderError](err); !ok {
		t.Errorf("got %v", err)
	}
}

var errPrivate = errors.New("unroutable (private)")

func TestDialRefusesAnAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
_mta-sts.example.org. TXT  "v=STSv1; id=one"
mta-sts.example.org.  A    10.0.0.1
mta-sts.example.org.  A    127.0.0.1
mta-sts.example.org.  A    192.0.2.1
mta-sts.example.org.  AAAA ::1
`, nil)
	w.set(func(w *world) { w.refuse = errPrivate })
	if err := w.want(t, "", "", Connect); !errors.Is(err, errPrivate) {
		t.Errorf("got %v, want %v", err, errPrivate)
	}
	w.wantRequests(t, 0)
	slices.Sort(w.dialled)
	// Two of three IPv4 addresses, in whatever order they came.
	if len(w.dialled) != 3 || w.dialled[2] != "tcp [::1]:443" {
		t.Errorf("dialled %q", w.dialled)
	}
}

// The next address serves where one does not answer.
func TestConnectTriesTheNextAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
_mta-sts.example.org. TXT  "v=STSv1; id=one"
mta-sts.example.org.  A    192.0.2.1
mta-sts.example.org.  AAAA 2001:db8::1
`, nil)
	hangs := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == "192.0.2.1:443" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return w.dial(ctx, network, addr)
	}
	w.cfg.Dial, w.cfg.Timeout = hangs, 5*time.Second
	w.want(t, Enforce, "one", "")
}

func TestPolicyHostWithoutAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `_mta-sts.example.org. TXT "v=STSv1; id=one"`, nil)
	if err := w.want(t, "", "", Connect); !errors.Is(err, errNoAddress) {
		t.Errorf("got %v, want %v", err, errNoAddress)
	}
	w = newWorld(t, zoneText("one")+";FAULT SERVFAIL mta-sts.example.org. ANY\n", nil)
	if e, ok := errors.AsType[*dns.Error](w.want(t, "", "", Connect)); !ok || e.Kind != dns.ServFail {
		t.Errorf("got %v, want SERVFAIL", e)
	}
}

func TestPanicsAreFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), func(c *Config) {
		c.Dial = func(context.Context, string, string) (net.Conn, error) { panic("a fault of ours") }
	})
	if err := w.want(t, "", "", Connect); !strings.Contains(err.Error(), "a fault of ours") {
		t.Errorf("got %v", err)
	}
}

// An error's text goes to a log.
func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zoneText("one"), nil)
	w.set(func(w *world) {
		w.answer = func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\x1b[31m evil \u202e"+strings.Repeat("x", 2000)+"\r\n\r\n")
			_ = conn.Close()
		}
	})
	err := w.want(t, "", "", HTTP)
	if s := err.Error(); len(s) > 700 || strings.ContainsAny(s, "\x1b\r\n\u202e") {
		t.Errorf("got %q", s)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + policyText))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 302 Found\r\nLocation: /\r\nContent-Length: 1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const size = 200
		body, err := answer(bytes.NewReader(in), size)
		if len(body) > size || err != nil && body != nil {
			t.Fatalf("%q: %d octets, %v", in, len(body), err)
		}
		if err == nil && !bytes.Contains(bytes.ToLower(in), []byte("text/plain")) {
			t.Fatalf("%q is taken", in)
		}
	})
}
