package deliver

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
)

// encoded is base64.
func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// The verbs of a login's second and third line, as the stub has them.
var (
	userLine     = strings.ToUpper(encoded("robot"))
	passwordLine = strings.ToUpper(encoded("s3cret!"))
)

func TestRFC4954_4_login_at_the_relay(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	plain := "TLS AUTH PLAIN " + encoded("\x00robot\x00s3cret!")
	login := []string{"TLS AUTH LOGIN", "TLS " + encoded("robot"), "TLS " + encoded("s3cret!")}
	for _, c := range []struct {
		name, offers string
		script       map[string][]string
		fate, reason string
		heard        []string // between EHLO in TLS and MAIL, or QUIT
	}{
		{"PLAIN", "LOGIN PLAIN", map[string][]string{"AUTH": {"235 2.7.0 welcome"}}, "taken", "", []string{plain}},
		{"in small letters", "plain", map[string][]string{"AUTH": {"235 2.7.0 welcome"}}, "taken", "", []string{plain}},
		{"LOGIN", "LOGIN", map[string][]string{"AUTH": {"334 VXNlcm5hbWU6"}, userLine: {"334 UGFzc3dvcmQ6"}, passwordLine: {"235 2.7.0 welcome"}}, "taken", "", login},
		{"PLAIN refused", "PLAIN LOGIN", map[string][]string{"AUTH": {"535 5.7.8 no"}}, "temporary", "logging in at the relay: AUTH: 535 5.7.8 no", []string{plain}},
		{"LOGIN refused at once", "LOGIN", map[string][]string{"AUTH": {"504 5.5.4 no"}}, "temporary", "logging in at the relay: AUTH: 504", login[:1]},
		{"LOGIN refused at the user", "LOGIN", map[string][]string{"AUTH": {"334 x"}, userLine: {"535 5.7.8 who"}}, "temporary", "logging in at the relay: AUTH: 535", login[:2]},
		{"LOGIN refused at the password", "LOGIN", map[string][]string{"AUTH": {"334 x"}, userLine: {"334 x"}, passwordLine: {"535 5.7.8 wrong"}}, "temporary", "logging in at the relay: AUTH: 535", login},
		{"the password comes back", "LOGIN", map[string][]string{"AUTH": {"334 x"}, userLine: {"334 x"}, passwordLine: {"535 5.7.8 s3cret! and " + encoded("s3cret!") + " are wrong"}},
			"temporary", "535 5.7.8 (hidden) and (hidden) are wrong", login},
		{"the whole command comes back", "PLAIN", map[string][]string{"AUTH": {"500 what is AUTH PLAIN " + encoded("\x00robot\x00s3cret!")}}, "temporary", "500 what is AUTH PLAIN (hidden)", []string{plain}},
		{"the password comes back as no answer", "LOGIN", map[string][]string{"AUTH": {"334 x"}, userLine: {"334 x"}, passwordLine: {"s3cret!"}}, "temporary", "AUTH: not an SMTP answer", login},
		{"neither is offered", "CRAM-MD5 GSSAPI", nil, "temporary", "offers neither AUTH PLAIN nor AUTH LOGIN", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := offering(ca.server(t, "localhost"))
			for verb, answers := range c.script {
				s.script[verb] = answers
			}
			s.script["EHLO"] = []string{startTLS, "250-relay\r\n250 AUTH " + c.offers}
			var j journal
			cfg := config(t)
			cfg.Log = slog.New(slog.NewTextHandler(&j, &slog.HandlerOptions{Level: slog.LevelDebug}))
			cfg.Relay = fmt.Sprint("localhost:", listen(t, map[string]*stub{"127.0.0.1": s}))
			cfg.RelayTLS, cfg.Roots, cfg.Login = true, ca.pool, Login{"robot", "s3cret!"}
			what, err := deliverer(t, cfg, "").tryWhole(t.Context(), entry("one"))
			want(t, err, c.fate, c.reason)
			out := what.outcome(kindOf(err), reasonOf(err, "a@example.org"), "a@example.org")
			if all := fmt.Sprint(err, out, j.String()); strings.Contains(all, "s3cret!") || strings.Contains(all, encoded("s3cret!")) || strings.Contains(all, plain[15:]) {
				t.Errorf("the password is told: %s", all)
			}
			heard, _ := s.got()
			heard = append(heard, "") // where the connection is just dropped
			if got := heard[3 : 3+len(c.heard)]; !slices.Equal(got, c.heard) || strings.HasPrefix(strings.TrimPrefix(heard[3+len(c.heard)], "TLS "), "AUTH") {
				t.Errorf("the relay heard %q, want %q", heard, c.heard)
			}
			if what.tls != "TLS 1.3 (relay)" || what.talked != (c.fate == "taken") {
				t.Errorf("got %+v", what)
			}
		})
	}
}

// One login serves all that goes over its connection.
func TestRFC4954_4_one_login_a_connection(t *testing.T) {
	t.Parallel()
	s := &stub{script: map[string][]string{"EHLO": {"250-relay\r\n250 AUTH PLAIN"}, "AUTH": {"235 2.7.0 welcome"}}}
	d := standingBy(t, s, func(c *Config) {
		c.Relay, c.Login = fmt.Sprint("127.0.0.1:", c.Port), Login{"robot", "s3cret!"} // in clear: it is this machine
	})
	for _, id := range []string{"one", "two"} {
		_, err := d.tryKeeping(t.Context(), entry(id))
		want(t, err, "taken", "")
	}
	if n := count(s, "AUTH"); n != 1 || s.connections() != 1 {
		t.Errorf("%d logins over %d connections, want 1", n, s.connections())
	}
}

// Where TLS is a must at the relay, neither the password nor the mail leaves without it.
func TestRelayTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	refuses := offering(ca.server(t, "localhost"))
	refuses.script["STARTTLS"] = []string{"454 4.7.0 no"}
	for _, c := range []struct {
		name         string
		s            *stub
		fate, reason string
	}{
		{"its name, vouched for", offering(ca.server(t, "localhost")), "taken", ""},
		{"another name", offering(ca.server(t, "relay.example.org")), "temporary", "(relay): TLS failed"},
		{"nobody vouches", offering(certificate(t)), "temporary", "(relay): TLS failed"},
		{"not offered", &stub{}, "temporary", "(relay): no: not offered"},
		{"refused", refuses, "temporary", "(relay): no: STARTTLS: 454"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.Relay = fmt.Sprint("localhost:", listen(t, map[string]*stub{"127.0.0.1": c.s}))
			cfg.RelayTLS, cfg.Roots = true, ca.pool
			_, err := deliverer(t, cfg, "").tryWhole(t.Context(), entry("one"))
			want(t, err, c.fate, c.reason)
			_, mails := c.s.got()
			if n := count(c.s, "AUTH") + count(c.s, "MAIL"); (n > 0 || len(mails) > 0) != (c.fate == "taken") || c.s.connections() != 1 {
				t.Errorf("%d commands, %d mails, %d connections", n, len(mails), c.s.connections())
			}
		})
	}
}

// At port 465 TLS comes first.
func TestRFC8314_3_3_TLS_from_the_first_octet(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for _, c := range []struct {
		name         string
		cert         tls.Certificate
		fate, reason string
		tls          string
	}{
		{"its name", ca.server(t, "192.0.2.1", "relay.example.org"), "taken", "", "TLS 1.3 (relay)"},
		{"another name", ca.server(t, "elsewhere.example"), "temporary", "(relay): TLS failed", "no: TLS failed"},
	} {
		s := offering(c.cert) // it offers STARTTLS, too, which is not asked for
		s.first = true
		cfg := config(t)
		cfg.Relay, cfg.RelayTLS, cfg.Roots = "relay.example.org:465", true, ca.pool
		port := listen(t, map[string]*stub{"127.0.0.1": s})
		cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, fmt.Sprint("127.0.0.1:", port))
		}
		what, err := deliverer(t, cfg, "").tryWhole(t.Context(), entry("one"))
		want(t, err, c.fate, c.reason)
		if !strings.HasPrefix(what.tls, c.tls) || count(s, "STARTTLS") != 0 || s.connections() != 1 {
			t.Errorf("%s: got %+v after %d connections", c.name, what, s.connections())
		}
	}
}

func TestALoginNeedsTLS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		relay string
		tls   bool
		ok    bool
	}{
		{"relay.example.org:587", false, false}, {"relay.example.org:587", true, true}, {"192.0.2.1:25", false, false},
		{"127.0.0.1:25", false, true}, {"[::1]:25", false, true}, {"localhost:25", false, true}, {"localhost.example.org:25", false, false},
	} {
		cfg := Defaults()
		cfg.Relay, cfg.RelayTLS, cfg.Login = c.relay, c.tls, Login{"robot", "s3cret!"}
		err := cfg.check()
		if (err == nil) != c.ok || err != nil && strings.Contains(err.Error(), "s3cret!") {
			t.Errorf("%s, TLS %t: got %v", c.relay, c.tls, err)
		}
	}
}
