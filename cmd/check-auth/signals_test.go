package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

// writeResolvConf names servers as the system's file does, with their ports.
func writeResolvConf(t *testing.T, file string, servers ...*dnstest.Server) {
	t.Helper()
	text := ""
	for _, s := range servers {
		text += fmt.Sprintf("nameserver [%s]:%d\n", s.Addr().Addr(), s.Addr().Port())
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// said waits until the log has such a line.
func (p *life) said(t *testing.T, want string) string {
	t.Helper()
	re := regexp.MustCompile(want)
	for {
		p.mu.Lock()
		for _, line := range p.lines {
			if re.MatchString(line) {
				p.mu.Unlock()
				return line
			}
		}
		p.mu.Unlock()
		select {
		case <-p.over:
			t.Fatalf("the service ended (%v) before it logged %q:\n%s", p.err, want, p.log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *life) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// certificateSerial is the number of the certificate that a server shows.
func certificateSerial(t *testing.T, addr string) string {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := textproto.NewConn(raw)
	if _, _, err := c.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		line string
		want int
	}{{"EHLO mx.sender.example", 250}, {"STARTTLS", 220}} {
		if err := c.PrintfLine("%s", s.line); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadResponse(s.want); err != nil {
			t.Fatal(err)
		}
	}
	secure := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secure.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// SIGHUP, as of certbot's deploy hook, ended the service for good. Now it reads the certificate and the resolvers
// again; where they cannot be read those before stay in use.
func TestHUP_reads_again(t *testing.T) {
	t.Parallel()
	before, after := dnstest.New(t, serveZone), dnstest.New(t, serveZone)
	dir, sink := t.TempDir(), newSink(t)
	resolvers := filepath.Join(dir, "resolv.conf")
	writeResolvConf(t, resolvers, before)
	writePair(t, dir, "verifier.example", time.Now())
	cmd := exec.Command(os.Args[0], "serve", "--listen=127.0.0.1:0", "--hostname=verifier.example", "--operator=you@operator.example", "--smtp-loopback-clients=evaluate",
		"--deliver-allow-private", "--deliver-port="+sink.port(), "--state="+filepath.Join(dir, "state"),
		"--tls-certificate="+filepath.Join(dir, "fullchain.pem"), "--tls-key="+filepath.Join(dir, "privkey.pem"))
	cmd.Env = []string{asResolvConf + "=" + resolvers}
	p := launch(t, cmd)
	addr := *p.await(t)
	p.said(t, `msg="check-auth starts" version=\S+`)
	old := certificateSerial(t, addr)

	writePair(t, dir, "verifier.example", time.Now())
	writeResolvConf(t, resolvers, after)
	p.signal(t, syscall.SIGHUP)
	p.said(t, `level=INFO msg="SIGHUP: .*certificate=`+regexp.QuoteMeta(dir)+`/fullchain.pem resolvers=`+regexp.QuoteMeta(resolvers))
	renewed := certificateSerial(t, addr)
	if renewed == old {
		t.Error("after SIGHUP: got the certificate before")
	}
	asked := len(before.Queries())
	code, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example", mailOf(1))
	if code != 250 || !strings.Contains(text, "spf=pass") {
		t.Errorf("after SIGHUP: answered %d %s", code, text)
	}
	if len(before.Queries()) != asked || len(after.Queries()) == 0 {
		t.Errorf("after SIGHUP: %d questions to the resolver before and %d to the new one", len(before.Queries())-asked, len(after.Queries()))
	}

	for _, file := range []string{resolvers, filepath.Join(dir, "fullchain.pem")} {
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.signal(t, syscall.SIGHUP)
	p.said(t, `level=INFO msg="SIGHUP: .*resolvers="those before"`)
	p.said(t, `level=ERROR msg="the configured certificate is not in order" reason=.*fullchain.pem`)
	p.said(t, `level=WARN msg="the resolvers' file cannot be used, the servers before stay in use" error=.*resolv.conf`)
	if certificateSerial(t, addr) != renewed {
		t.Error("with a file half written: got another certificate")
	}
	if code, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example", mailOf(2)); !strings.Contains(text, "spf=pass") {
		t.Errorf("with a file half written: answered %d %s", code, text)
	}
	p.signal(t, syscall.SIGTERM)
	if <-p.over; p.err != nil {
		t.Errorf("the service ended with %v after SIGTERM:\n%s", p.err, p.log())
	}
}

// A log whose reader has gone, as journald is started anew, ended the service with SIGPIPE.
func TestPIPE_does_not_end_serve(t *testing.T) {
	t.Parallel()
	world, sink := dnstest.New(t, serveZone), newSink(t)
	cmd := exec.Command(os.Args[0], "serve", "--listen=127.0.0.1:0", "--hostname=verifier.example", "--operator=you@operator.example", "--smtp-loopback-clients=evaluate",
		"--deliver-allow-private", "--deliver-port="+sink.port(), "--state="+t.TempDir(), "--resolver-servers="+world.Addr().String())
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var log bytes.Buffer
	b := make([]byte, 1)
	var addr string
	for addr == "" {
		if _, err := out.Read(b); err != nil {
			t.Fatalf("%v:\n%s", err, log.String())
		}
		log.Write(b)
		if m := takesMail.FindStringSubmatch(log.String()); m != nil && b[0] == '\n' {
			addr = m[1]
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if code, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example", mailOf(n)); code != 250 && code != 550 {
			t.Errorf("mail %d: answered %d %s", n, code, text)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v after SIGTERM", err)
	}
}

// The other commands end when the reader of their output does, and say nothing about it.
func TestPIPE_ends_other_commands(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"config"}, {"serve", "--help"}, {"demo", "--case=well"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		var complaint bytes.Buffer
		cmd.Stdout, cmd.Stderr = w, &complaint
		if err := errors.Join(r.Close(), cmd.Start(), w.Close()); err != nil {
			t.Fatal(err)
		}
		err = cmd.Wait()
		status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if status.Signal() != syscall.SIGPIPE || complaint.Len() > 0 {
			t.Errorf("%v without a reader: ended with %v and said %q; want SIGPIPE without a word", args, err, complaint.String())
		}
	}
}

// The resolvers' file is looked at while the service runs: what is in it is asked within seconds, what cannot be used
// is said once.
func TestResolvers_change(t *testing.T) {
	t.Parallel()
	before, after := dnstest.New(t, `example.org. TXT "before"`), dnstest.New(t, `example.org. TXT "after"`)
	file := filepath.Join(t.TempDir(), "resolv.conf")
	writeResolvConf(t, file, before)
	var log bytes.Buffer
	s, e := defaults(func(string) string { return "" }), env{resolvConf: file}
	resolver, err := s.resolver(e)
	if err != nil {
		t.Fatal(err)
	}
	v := &service{log: slog.New(slog.NewTextHandler(&log, nil))}
	v.resolvers = &systemResolvers{client: resolver, file: file, log: v.log}
	// A bubble's time stands still: real questions are asked outside.
	later := func(want string) {
		t.Helper()
		log.Reset()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 4*resolversEvery-1)
			defer cancel()
			if err := v.keepUp(ctx); err != nil {
				t.Error(err)
			}
		})
		if got := strings.TrimSpace(regexp.MustCompile(`time=\S+ `).ReplaceAllString(log.String(), "")); !regexp.MustCompile("^(?:" + want + ")$").MatchString(got) {
			t.Errorf("logged:\n%s\nwant one line or none: %s", got, want)
		}
	}
	ask := func(want string) {
		t.Helper()
		a, err := resolver.Resolve(t.Context(), dns.Ask("example.org", dns.TXT))
		if err != nil || len(a.Records) != 1 || a.Records[0].Text() != want {
			t.Errorf("got %+v, error %v, want %q", a.Records, err, want)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	later("")
	ask("before")
	writeResolvConf(t, file, after)
	later(`level=INFO msg="the resolvers have changed" file=\S+ servers=\S+ trust-ad=false`)
	ask("after")
	for _, broken := range []string{"", "nameserver dns.example.org\n"} {
		write(broken)
		later(`level=WARN msg="the resolvers' file cannot be used, the servers before stay in use" error=.*`)
		later("")
		ask("after")
	}
	writeResolvConf(t, file, after)
	later(`level=INFO msg="the resolvers' file can be used again" .*`)
	write(fmt.Sprintf("nameserver [%s]:%d\noptions trust-ad\n", before.Addr().Addr(), before.Addr().Port()))
	later(`level=INFO msg="the resolvers have changed" .* trust-ad=true`)
	ask("before")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	later(`level=WARN .*no such file.*`)
	ask("before")
}

// Servers that the configuration names are never changed.
func TestResolvers_of_the_configuration_stay(t *testing.T) {
	t.Parallel()
	s := defaults(func(string) string { return "" })
	s.State, s.Listen, s.Resolver.Servers = t.TempDir(), []string{"127.0.0.1:0"}, []string{"127.0.0.1:5353"}
	e := env{now: time.Now, err: io.Discard, getenv: func(string) string { return "" }, resolvConf: filepath.Join(t.TempDir(), "missing")}
	v, err := openService(t.Context(), &s, slog.New(slog.DiscardHandler), e)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	if v.resolvers != nil {
		t.Errorf("%s is looked at", v.resolvers.file)
	}
	v.reload() // has nothing to read
}

// What systemd counts as a clean end, as that by a signal, is an end all the same; a reload is SIGHUP.
func TestUnit_stays_up(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("../../deploy/check-auth.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Restart=always", "ExecReload=/bin/kill -HUP $MAINPID", "RestartPreventExitStatus=78", "Type=notify"} {
		if !strings.Contains(string(unit), "\n"+line+"\n") {
			t.Errorf("the unit has no %s", line)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"}}
	for _, c := range []struct {
		info debug.BuildInfo
		want string
	}{
		{debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: commit}, "v1.2.3"},
		{debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: commit}, "0123456789ab+dirty"},
		{debug.BuildInfo{Settings: commit[:1]}, "0123456789ab"},
		{debug.BuildInfo{}, "unknown"},
	} {
		if got := versionOf(&c.info); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.info.Main, got, c.want)
		}
	}
}
