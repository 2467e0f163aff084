package deliver

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkauth/verify/dns"
)

// validated: a validating resolver found everything signed.
const validated = ";FAULT AD *.example.org ANY\n;FAULT AD *.example.net ANY\n"

// tlsa is the record of a certificate's key under a name, for the port of the test's servers.
func tlsa(usage int, name string, of tls.Certificate) string {
	c := of.Leaf
	return fmt.Sprintf("_%%d._tcp.%s. TLSA %d 1 1 %x\n", name, usage, sha256.Sum256(c.RawSubjectPublicKeyInfo))
}

// offering is a server with this certificate.
func offering(c tls.Certificate) *stub {
	return &stub{script: map[string][]string{"EHLO": {startTLS}}, tls: &tls.Config{Certificates: []tls.Certificate{c}}}
}

// wish is what a try against one or two servers should come to.
type wish struct {
	fate, reason, tls string
	one, two          string // "connections mails"; two is the second server, at 127.0.0.2
}

// checkWish makes one try. In the zone %d is the servers' port.
func checkWish(t *testing.T, zone string, one, two *stub, w wish, change func(*Config)) {
	t.Helper()
	c := config(t)
	c.DANE = true
	if two == nil {
		two = &stub{}
	}
	c.Port = listen(t, map[string]*stub{"127.0.0.1": one, "127.0.0.2": two})
	if change != nil {
		change(&c)
	}
	what, err := deliverer(t, c, strings.ReplaceAll(zone, "%d", fmt.Sprint(c.Port))).tryWhole(t.Context(), entry("one"))
	want(t, err, w.fate, w.reason)
	count := func(s *stub) string {
		_, mails := s.got()
		return fmt.Sprintf("%d %d", s.connections(), len(mails))
	}
	if w.two == "" {
		w.two = "0 0"
	}
	if !strings.HasPrefix(what.tls, w.tls) || (w.tls == "") != (what.tls == "") || count(one) != w.one || count(two) != w.two {
		t.Errorf("got %q, connections and mails %s, %s; want %q, %s, %s", what.tls, count(one), count(two), w.tls, w.one, w.two)
	}
}

func TestRFC7672_2_2_what_a_server_has_to_keep(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), certificate(t)
	mx, hop, stranger := ca.server(t, "mx.example.org"), ca.server(t, "example.org"), ca.server(t, "elsewhere.example")
	root := tls.Certificate{Leaf: ca.cert}
	clear := func() *stub { return &stub{} }
	refuses := func() *stub { s := offering(mx); s.script["STARTTLS"] = []string{"454 4.7.0 no"}; return s }
	for _, c := range []struct {
		name, zone string
		one, two   *stub
		wish
	}{
		{"the certificate of the record", oneHost + tlsa(3, "mx.example.org", mx) + validated, offering(mx), nil,
			wish{fate: "taken", tls: "TLS 1.3 (DANE)", one: "1 1"}},
		{"another certificate: not in clear either", oneHost + tlsa(3, "mx.example.org", other) + validated, offering(mx), nil,
			wish{fate: "temporary", reason: "4.7.5", tls: "no: TLS failed: DANE of", one: "1 0"}},
		{"no STARTTLS", oneHost + tlsa(3, "mx.example.org", mx) + validated, clear(), nil,
			wish{fate: "temporary", reason: "(DANE): no: not offered", tls: "no: not offered", one: "1 0"}},
		{"STARTTLS refused", oneHost + tlsa(3, "mx.example.org", mx) + validated, refuses(), nil,
			wish{fate: "temporary", reason: "(DANE): no: STARTTLS: 454", tls: "no: STARTTLS: 454", one: "1 0"}},
		{"records that cannot be used: TLS with anybody", oneHost + "_%d._tcp.mx.example.org. TLSA 1 1 1 00\n" + validated, offering(other), nil,
			wish{fate: "taken", tls: "TLS 1.3 (DANE, no usable record)", one: "1 1"}},
		{"records that cannot be used, no STARTTLS", oneHost + "_%d._tcp.mx.example.org. TLSA 1 1 1 00\n" + validated, clear(), nil,
			wish{fate: "temporary", reason: "4.7.5", tls: "no: not offered", one: "1 0"}},
		{"an answer without AD promises nothing", oneHost + tlsa(3, "mx.example.org", other), offering(mx), nil,
			wish{fate: "taken", tls: "TLS 1.3", one: "1 1"}},
		{"the MX set is without AD", oneHost + tlsa(3, "mx.example.org", other) + ";FAULT AD *.mx.example.org ANY\n", offering(mx), nil,
			wish{fate: "taken", tls: "TLS 1.3", one: "1 1"}},
		{"no MX, and that is validated", "example.org. A 127.0.0.1\n" + tlsa(3, "example.org", other) + validated, offering(mx), nil,
			wish{fate: "temporary", reason: "4.7.5", tls: "no: TLS failed", one: "1 0"}},
		{"no MX, and that is not validated", "example.org. A 127.0.0.1\n" + tlsa(3, "example.org", other) + ";FAULT AD example.org A\n;FAULT AD *._tcp.example.org ANY\n", offering(mx), nil,
			wish{fate: "taken", tls: "TLS 1.3", one: "1 1"}},
		{"TLSA cannot be asked", oneHost + ";FAULT SERVFAIL _%d._tcp.mx.example.org TLSA\n" + validated, offering(mx), nil,
			wish{fate: "temporary", reason: "4.7.5 mx.example.org: DANE of", one: "0 0"}},
		{"the next host has no promise", oneHost + "example.org. MX 20 two.example.org.\ntwo.example.org. A 127.0.0.2\n" + tlsa(3, "mx.example.org", other) + validated,
			offering(mx), clear(), wish{fate: "taken", tls: "no: not offered", one: "1 0", two: "1 1"}},
		{"a trust anchor, the host's name", oneHost + tlsa(2, "mx.example.org", root) + validated, offering(mx), nil,
			wish{fate: "taken", tls: "TLS 1.3 (DANE)", one: "1 1"}},
		{"a trust anchor, the domain's name", oneHost + tlsa(2, "mx.example.org", root) + validated, offering(hop), nil,
			wish{fate: "taken", tls: "TLS 1.3 (DANE)", one: "1 1"}},
		{"a trust anchor, another name", oneHost + tlsa(2, "mx.example.org", root) + validated, offering(stranger), nil,
			wish{fate: "temporary", reason: "another name", tls: "no: TLS failed", one: "1 0"}},
		{"a trust anchor, the name that the domain is an alias of", "example.org. CNAME example.net.\nexample.net. MX 0 mx.example.org.\nmx.example.org. A 127.0.0.1\n" + tlsa(2, "mx.example.org", root) + validated,
			offering(ca.server(t, "example.net")), nil, wish{fate: "taken", tls: "TLS 1.3 (DANE)", one: "1 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkWish(t, c.zone, c.one, c.two, c.wish, nil)
		})
	}
}

func TestDANEIsASetting(t *testing.T) {
	t.Parallel()
	zone := oneHost + tlsa(3, "mx.example.org", certificate(t)) + validated
	checkWish(t, zone, offering(certificate(t)), nil, wish{fate: "taken", tls: "TLS 1.3", one: "1 1"}, func(c *Config) { c.DANE = false })
}

// The server is asked for the certificate of the name that the records hang on.
func TestRFC7672_8_1_SNI(t *testing.T) {
	t.Parallel()
	cert := certificate(t)
	for _, c := range []struct{ name, base, want string }{
		{"the host", "mx.example.org", "mx.example.org"},
		{"what the host is an alias of", "real.example.net", "real.example.net"},
	} {
		s, sni := offering(cert), make(chan string, 1)
		s.tls.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { sni <- h.ServerName; return nil, nil }
		zone := "example.org. MX 0 mx.example.org.\nmx.example.org. CNAME real.example.net.\nreal.example.net. A 127.0.0.1\n" + tlsa(3, c.base, cert) + validated
		checkWish(t, zone, s, nil, wish{fate: "taken", tls: "TLS 1.3 (DANE)", one: "1 1"}, nil)
		if got := <-sni; got != c.want {
			t.Errorf("%s: SNI has %q, want %q", c.name, got, c.want)
		}
	}
}

// policyHost serves a policy of example.org; the Dial that it gives leads there by port 443.
func policyHost(t *testing.T, ca *authority, status int, text string) func(*Config) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	cert := ca.server(t, "mta-sts.example.org")
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }}
	server.StartTLS()
	server.TLS.Certificates = nil // httptest puts one of its own first
	t.Cleanup(server.Close)
	return func(c *Config) {
		c.MTASTS, c.Roots = true, ca.pool
		dial := dialer(*c)
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasSuffix(addr, ":443") {
				addr = server.Listener.Addr().String()
			}
			return dial(ctx, network, addr)
		}
	}
}

// announced is a domain with a policy.
const announced = oneHost + "_mta-sts.example.org. TXT \"v=STSv1; id=one;\"\nmta-sts.example.org. A 127.0.0.1\n"

// policyFor is a policy's text.
func policyFor(mode, mx string) string {
	return "version: STSv1\nmode: " + mode + "\nmx: " + mx + "\nmax_age: 604800\n"
}

func TestRFC8461_5_what_a_policy_lets_pass(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	good, bad, wrong := ca.server(t, "mx.example.org"), certificate(t), ca.server(t, "elsewhere.example")
	refuses := offering(good)
	refuses.script["STARTTLS"] = []string{"454 4.7.0 no"}
	two := "example.org. MX 20 two.example.org.\ntwo.example.org. A 127.0.0.2\n"
	enforce, onlyTest := policyFor("enforce", "mx.example.org"), policyFor("testing", "mx.example.org")
	const watched = "MTA-STS in testing mode, not enforced"
	for _, c := range []struct {
		name, zone, policy string
		one, two           *stub
		wish
		logged string // "" is no word of MTA-STS
	}{
		{"all is well", "", enforce, offering(good), nil, wish{fate: "taken", tls: "TLS 1.3 (MTA-STS)", one: "1 1"}, ""},
		{"a certificate that nobody vouches for", "", enforce, offering(bad), nil, wish{fate: "temporary", reason: "4.7.5", tls: "no: TLS failed", one: "1 0"}, ""},
		{"another name", "", enforce, offering(wrong), nil, wish{fate: "temporary", reason: "4.7.5", tls: "no: TLS failed", one: "1 0"}, ""},
		{"no STARTTLS", "", enforce, &stub{}, nil, wish{fate: "temporary", reason: "(MTA-STS): no: not offered", tls: "no: not offered", one: "1 0"}, ""},
		{"STARTTLS refused", "", enforce, refuses, nil, wish{fate: "temporary", reason: "(MTA-STS): no: STARTTLS: 454", tls: "no: STARTTLS: 454", one: "1 0"}, ""},
		{"a host that is not in the policy", "", policyFor("enforce", "else.example.org"), offering(good), nil,
			wish{fate: "temporary", reason: "mx.example.org is not in the policy", one: "0 0"}, ""},
		{"the next host is", two, policyFor("enforce", "two.example.org"), offering(good), offering(ca.server(t, "two.example.org")),
			wish{fate: "taken", tls: "TLS 1.3 (MTA-STS)", one: "0 0", two: "1 1"}, ""},
		{"the next host has the certificate", two, policyFor("enforce", "*.example.org"), offering(bad), offering(ca.server(t, "two.example.org")),
			wish{fate: "taken", tls: "TLS 1.3 (MTA-STS)", one: "1 0", two: "1 1"}, ""},
		{"testing, all is well", "", onlyTest, offering(good), nil, wish{fate: "taken", tls: "TLS 1.3", one: "1 1"}, ""},
		{"testing, a certificate that nobody vouches for", "", onlyTest, offering(bad), nil, wish{fate: "taken", tls: "TLS 1.3", one: "1 1"}, watched},
		{"testing, no STARTTLS", "", onlyTest, &stub{}, nil, wish{fate: "taken", tls: "no: not offered", one: "1 1"}, "TLS: no: not offered"},
		{"testing, no TLS comes about", "", onlyTest, &stub{script: map[string][]string{"EHLO": {startTLS}}}, nil,
			wish{fate: "taken", tls: "no: mx.example.org [127.0.0.1]: TLS failed", one: "2 1"}, "TLS: no: mx.example.org"},
		{"testing, a host that is not in the policy", "", policyFor("testing", "else.example.org"), offering(good), nil,
			wish{fate: "taken", tls: "TLS 1.3", one: "1 1"}, "the host is not in the policy"},
		{"mode none", "", policyFor("none", "else.example.org"), &stub{}, nil, wish{fate: "taken", tls: "no: not offered", one: "1 1"}, ""},
		{"no policy to be had", "", "", &stub{}, nil, wish{fate: "taken", tls: "no: not offered", one: "1 1"}, "MTA-STS policy not fetched"},
		{"DANE decides, for the server", tlsa(3, "mx.example.org", bad) + validated, policyFor("enforce", "else.example.org"), offering(bad), nil,
			wish{fate: "taken", tls: "TLS 1.3 (DANE)", one: "1 1"}, ""},
		{"DANE decides, against the server", tlsa(3, "mx.example.org", bad) + validated, enforce, offering(good), nil,
			wish{fate: "temporary", reason: "(DANE)", tls: "no: TLS failed: DANE", one: "1 0"}, ""},
		{"DANE leaves open who the server is", "_%d._tcp.mx.example.org. TLSA 1 1 1 00\n" + validated, enforce, offering(bad), nil,
			wish{fate: "temporary", reason: "(MTA-STS)", tls: "no: TLS failed", one: "1 0"}, ""},
		{"testing does not lower DANE", "_%d._tcp.mx.example.org. TLSA 1 1 1 00\n" + validated, onlyTest, &stub{}, nil,
			wish{fate: "temporary", reason: "(DANE, no usable record)", tls: "no: not offered", one: "1 0"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status := http.StatusOK
			if c.policy == "" {
				status = http.StatusNotFound
			}
			var j journal
			serve := policyHost(t, ca, status, c.policy)
			checkWish(t, announced+c.zone, c.one, c.two, c.wish, func(cfg *Config) {
				serve(cfg)
				cfg.Log = slog.New(slog.NewTextHandler(&j, nil))
			})
			if got := j.String(); !strings.Contains(got, c.logged) || (c.logged == "") != !strings.Contains(got, "MTA-STS") {
				t.Errorf("the log has %q, want %q", got, c.logged)
			}
		})
	}
}

// That a policy could not be had again is no news.
func TestMTASTSFailuresAreLoggedOnce(t *testing.T) {
	t.Parallel()
	var j journal
	c := config(t)
	c.Port = listen(t, map[string]*stub{"127.0.0.1": {}})
	policyHost(t, newAuthority(t), http.StatusNotFound, "")(&c)
	c.Log = slog.New(slog.NewTextHandler(&j, nil))
	d := deliverer(t, c, announced)
	for range 2 {
		_, err := d.tryWhole(t.Context(), entry("one"))
		want(t, err, "taken", "")
	}
	if n := strings.Count(j.String(), "not fetched"); n != 1 {
		t.Errorf("%d lines, want 1: %s", n, j.String())
	}
}

// The end of a try while a policy is fetched says nothing about the policy: the mail waits.
func TestRFC8461_3_3_the_end_of_a_try_defers(t *testing.T) {
	t.Parallel()
	over := errors.New("the time for one try is over")
	s := &stub{}
	synctest.Test(t, func(t *testing.T) {
		c := config(t)
		c.MTASTS, c.Dial = true, inMemory(map[string]*stub{"192.0.2.1": s})
		d := newDeliverer(t, c, nil, dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
			if strings.HasPrefix(q.Name, "_mta-sts.") {
				return silent(ctx, q)
			}
			return oneDomain.Resolve(ctx, q)
		}))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, over)
		defer cancel()
		_, err := d.tryWhole(ctx, entry("one"))
		want(t, err, "temporary", over.Error())
		if n := s.connections(); n != 0 {
			t.Errorf("%d connections, want none", n)
		}
	})
}

// A relay's dialer is not guarded, so it fetches nothing that strangers name.
func TestARelayNeedsNoPolicies(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Relay, c.MTASTS = "192.0.2.1:25", true
	if d := newDeliverer(t, c, nil, silent); d.sts != nil {
		t.Error("policies would be fetched")
	}
}
