package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

// free is a port that nobody listens on, of both families. It is below those that the system gives to who asks for
// any, as other tests do at the same time.
func free(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(20000)
		if l, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// hasSix tells whether this machine has ::1.
func hasSix() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

// greeted tells whether somebody answers there.
func greeted(t *testing.T, addr string) {
	t.Helper()
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if _, text, err := c.ReadResponse(220); err != nil {
		t.Errorf("%s: %v %s", addr, err, text)
	}
}

// launched starts a service of a configuration, as serve does, and runs it until the test ends.
func launched(t *testing.T, s *settings) error {
	t.Helper()
	if err := s.check(); err != nil {
		return err
	}
	e := env{now: time.Now, err: os.Stderr, getenv: func(string) string { return "" }}
	v, err := openService(t.Context(), s, slog.New(slog.DiscardHandler), e)
	if err != nil {
		return err
	}
	runs(t, v.run)
	return nil
}

// What we tell people to write starts, and who comes by either family is greeted: to read it is not enough.
func TestConfigurationsThatWeShipStart(t *testing.T) {
	t.Parallel()
	world := dnstest.New(t, serveZone)
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	four := regexp.MustCompile("(?s)```toml\n( *hostname = .*?)```").FindSubmatch(text)
	if four == nil {
		t.Fatal("README: no configuration that begins with hostname")
	}
	whole, err := os.ReadFile("../../deploy/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"README.md": string(four[1]), "deploy/config.toml": string(whole)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := free(t)
			line := regexp.MustCompile(`(?m)^ *listen = \[".*\]$`).FindString(text)
			if !strings.Contains(line, ":25") {
				t.Fatalf("no listen line with port 25: %q", line)
			}
			other := strings.ReplaceAll(text, line, regexp.MustCompile(`:25\b`).ReplaceAllString(line, ":"+strconv.Itoa(port)))
			s := defaults(func(string) string { return "" })
			if err := s.load(configFileOf(t, other)); err != nil {
				t.Fatal(err)
			}
			s.State, s.Resolver.Servers = t.TempDir(), []string{world.Addr().String()}
			if err := launched(t, &s); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			greeted(t, fmt.Sprintf("127.0.0.1:%d", port))
			if hasSix() {
				greeted(t, fmt.Sprintf("[::1]:%d", port))
			}
		})
	}
}

// A literal is of its own family; a port alone is of both.
func TestListenFamilies(t *testing.T) {
	t.Parallel()
	if !hasSix() {
		t.Skip("this machine has no ::1")
	}
	for _, c := range []struct {
		listen    string
		four, six bool
	}{
		{"0.0.0.0:%d", true, false}, {"[::]:%d", false, true}, {":%d", true, true},
		{"localhost:%d", true, false}, {"[::1]:%d", false, true}, {"[::ffff:127.0.0.1]:%d", true, false},
	} {
		t.Run(c.listen, func(t *testing.T) {
			t.Parallel()
			port := free(t)
			s := loopback(t, fmt.Sprintf(c.listen, port))
			// The other key obeys the same rule.
			s.Proxy.Listen, s.Listen = s.Listen, nil
			s.Proxy.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
			if err := launched(t, s); err != nil {
				t.Fatal(err)
			}
			for addr, want := range map[string]bool{fmt.Sprintf("127.0.0.1:%d", port): c.four, fmt.Sprintf("[::1]:%d", port): c.six} {
				conn, err := net.Dial("tcp", addr)
				if (err == nil) != want {
					t.Errorf("%s: %v, want somebody there: %v", addr, err, want)
				}
				if err == nil {
					_ = conn.Close()
				}
			}
		})
	}
}

// loopback is a configuration that starts.
func loopback(t *testing.T, listen ...string) *settings {
	t.Helper()
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Operator, s.State, s.Listen = "verifier.example", "you@operator.example", t.TempDir(), listen
	s.Resolver.Servers = []string{"127.0.0.1:1"}
	return &s
}

// 78 is for what somebody has to change; what comes back by itself has a code after which the service manager
// tries again.
func TestExitCodesOfAStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, s *settings)
		code  int
		say   string
	}{
		{"an address that is not there yet", func(_ *testing.T, s *settings) { s.Listen = []string{"192.0.2.77:0"} }, exitTemp, "does not have the address yet"},
		{"an address in use", func(_ *testing.T, s *settings) { s.Listen = []string{taken.Addr().String()} }, exitTemp, "ss -ltnp"},
		{"a proxy's address in use", func(_ *testing.T, s *settings) {
			s.Proxy.Listen, s.Proxy.Trusted = []string{taken.Addr().String()}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}, exitTemp, "proxy.listen"},
		{"no PostgreSQL on this machine yet", func(t *testing.T, s *settings) { s.Store.URL = "host=" + t.TempDir() + " user=a dbname=b" }, exitTemp, "the database is away"},
		{"no PostgreSQL there yet", func(_ *testing.T, s *settings) { s.Store.URL = "postgres://a@127.0.0.1:1/b?sslmode=disable" }, exitTemp, "the database is away"},
		{"a database that has no URL", func(_ *testing.T, s *settings) { s.Store.URL = "db.example.org" }, exitConfig, "postgres://USER@HOST"},
		{"a state folder that is a file", func(_ *testing.T, s *settings) { s.State = file }, exitConfig, "state"},
		{"a state folder below a file", func(_ *testing.T, s *settings) { s.State = filepath.Join(file, "state") }, exitConfig, "state"},
		{"no templates there", func(_ *testing.T, s *settings) { s.Reply.Templates = "/nonexist" }, exitConfig, "reply.templates"},
		{"templates that are a file", func(_ *testing.T, s *settings) { s.Reply.Templates = file }, exitConfig, "want a folder"},
		{"no receivers there", func(_ *testing.T, s *settings) { s.Evaluate.Receivers = "/nonexist" }, exitConfig, "evaluate.receivers"},
		{"no password there", func(_ *testing.T, s *settings) {
			s.Deliver.Relay, s.Deliver.RelayUser, s.Deliver.RelaySecret = "192.0.2.1:465", "a", "/nonexist"
		}, exitConfig, "relay-password-file"},
		{"a list without a name", func(_ *testing.T, s *settings) { s.Evaluate.Blocklists = []string{"two..dots"} }, exitConfig, "evaluate.blocklists"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := loopback(t, "127.0.0.1:0")
			c.spoil(t, s)
			err := startFails(t, s)
			if err == nil {
				t.Fatal("it starts")
			}
			if code := exitCode(err); code != c.code || !strings.Contains(err.Error(), c.say) {
				t.Errorf("got %d (%v), want %d and %q", code, err, c.code, c.say)
			}
		})
	}
}

// startFails gives the error of a start. Where it waits for a database the time is over at once.
func startFails(t *testing.T, s *settings) error {
	t.Helper()
	if err := s.check(); err != nil {
		return err
	}
	e := env{now: time.Now, err: os.Stderr, getenv: func(string) string { return "" }}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	v, err := openService(ctx, s, slog.New(slog.NewTextHandler(impatient{stop}, nil)), e)
	if err == nil {
		_ = v.close()
	}
	return err
}

// impatient is a log that ends the wait for a database as soon as there is one.
type impatient struct{ stop func() }

func (i impatient) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("the database is not there yet")) {
		i.stop()
	}
	return len(b), nil
}

// The file that names the resolvers is often written after the boot has begun.
func TestExitCodeOfResolvConf(t *testing.T) {
	t.Parallel()
	for _, file := range []string{configFileOf(t, ""), configFileOf(t, "nameserver\n"), filepath.Join(t.TempDir(), "none")} {
		if _, _, err := client.FromResolvConf(file); err == nil || resolvConfExit(err) != exitTemp {
			t.Errorf("%v: want %d", err, exitTemp)
		}
	}
	if got := resolvConfExit(&fs.PathError{Op: "open", Path: resolvConf, Err: fs.ErrPermission}); got != exitConfig {
		t.Errorf("a file that may not be read: got %d, want %d", got, exitConfig)
	}
}

// One socket cannot have what another one has: the system would only say that it is in use, for ever.
func TestListenTwice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		listen string
		fault  bool
	}{
		{`["0.0.0.0:25", "[::]:25"]`, false}, {`["192.0.2.1:25", "192.0.2.2:25", "0.0.0.0:587"]`, false}, {`["127.0.0.1:0", "127.0.0.1:0"]`, false},
		{`[":25", "[::]:25"]`, true}, {`["0.0.0.0:25", ":25"]`, true}, {`["0.0.0.0:25", "192.0.2.1:25"]`, true}, {`["[::1]:25", "[::]:25"]`, true},
	} {
		got := play(t, t.Context(), "", "config", "--config", configFileOf(t, "hostname = \"a.example\"\noperator = \"you@example.org\"\nlisten = "+c.listen+"\n"))
		if said := strings.Contains(got.err, "line 3: listen"); said != c.fault || (got.code == exitConfig) != c.fault {
			t.Errorf("%s: exit %d, %s", c.listen, got.code, got.err)
		}
	}
}

// What holds for an address to listen on holds for the socket of a service manager.
func TestHandedSocketIsPublic(t *testing.T) {
	t.Parallel()
	s := defaults(func(string) string { return "" })
	for at, want := range map[string]bool{"127.0.0.1:25": false, "[::1]:25": false, "[::]:25": true, "192.0.2.1:25": true} {
		a, err := net.ResolveTCPAddr("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		err = s.checkHanded("smtp", a)
		if (err != nil) != want || want && (exitCode(err) != exitConfig || !strings.Contains(err.Error(), "set hostname")) {
			t.Errorf("%s: %v", at, err)
		}
	}
	if err := s.checkHanded("smtp", &net.UnixAddr{Name: "x", Net: "unix"}); err == nil {
		t.Error("a Unix socket is taken")
	}
}

// A port below 1024 stays closed however often the service is started.
func TestListenErrors(t *testing.T) {
	t.Parallel()
	s, a := loopback(t), endpoint{key: "listen", text: "0.0.0.0:25"}
	for err, want := range map[error]int{os.ErrPermission: exitConfig, os.ErrDeadlineExceeded: exitTemp} {
		if got := exitCode(s.listenError(a, &net.OpError{Op: "listen", Err: err})); got != want {
			t.Errorf("%v: got %d, want %d", err, got, want)
		}
	}
	var b bytes.Buffer
	if fail(env{err: &b}, together([]error{&exitError{exitTemp, os.ErrExist}, &exitError{exitConfig, os.ErrInvalid}})) != exitConfig {
		t.Errorf("where one fault needs a hand: %s", b.String())
	}
}
