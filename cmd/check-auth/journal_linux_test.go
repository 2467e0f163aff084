package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"checkauth/verify/dns/dnstest"
)

// journald takes entries on a real socket, as the one of systemd does.
type journald struct {
	path string
	conn *net.UnixConn
}

func newJournald(t *testing.T) *journald {
	t.Helper()
	// The path of a socket is short: that of a test's folder may not be.
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &journald{path: filepath.Join(dir, "socket")}
	d.start(t)
	t.Cleanup(func() { _ = d.conn.Close() })
	return d
}

func (d *journald) start(t *testing.T) {
	t.Helper()
	var err error
	if d.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: d.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
}

func (d *journald) stop(t *testing.T) {
	t.Helper()
	if err := errors.Join(d.conn.Close(), os.Remove(d.path)); err != nil {
		t.Fatal(err)
	}
}

// receive takes one datagram; text is that of the file that came with it, where one did.
func (d *journald) receive() (text []byte, file bool, err error) {
	b, oob := make([]byte, 64<<10), make([]byte, 100)
	if err := d.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, false, err
	}
	n, oobn, _, _, err := d.conn.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, false, err
	}
	if oobn == 0 {
		return b[:n], false, nil
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, true, err
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, true, err
	}
	f := os.NewFile(uintptr(fds[0]), "entry")
	defer f.Close()
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if all := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE; err != nil || seals&all != all {
		return nil, true, fmt.Errorf("the file has the seals %x, %w: journald takes none that can be changed", seals, err)
	}
	text, err = io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	return text, true, err
}

// entry is the next one, its fields by name.
func (d *journald) entry(t *testing.T) map[string]string {
	t.Helper()
	b, _, err := d.receive()
	if err != nil {
		t.Fatal(err)
	}
	return parseEntry(t, b)
}

// parseEntry reads what systemd.io/JOURNAL_NATIVE_PROTOCOL describes.
func parseEntry(t *testing.T, b []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			t.Fatalf("no line end behind %q", b)
		}
		name, value, short := bytes.Cut(line, []byte("="))
		if !short {
			n := binary.LittleEndian.Uint64(rest)
			value, rest = rest[8:8+n], rest[8+n:]
			if rest[0] != '\n' {
				t.Fatalf("no line end behind the %d octets of %s", n, name)
			}
			rest = rest[1:]
		}
		if strings.Trim(string(name), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" || name[0] == '_' || out[string(name)] != "" {
			t.Fatalf("field %q stands there twice, or journald does not take it", name)
		}
		out[string(name)], b = string(value), rest
	}
	return out
}

func TestJournal_entries(t *testing.T) {
	t.Parallel()
	d := newJournald(t)
	var stderr bytes.Buffer
	log := slog.New(newJournal(d.path, &stderr, logSettings{Level: "debug"}.handler)).With("session", 7, "client", netip.MustParseAddr("192.0.2.1"))
	for _, c := range []struct {
		log  func()
		want map[string]string
	}{
		{func() { log.Info("message refused", "report", "abc", "from-domain", "sender.example", "code", 550) }, map[string]string{
			"MESSAGE":  `level=INFO msg="message refused" session=7 client=192.0.2.1 report=abc from-domain=sender.example code=550`,
			"PRIORITY": "6", "MSG": "message refused", "REPORT": "abc", "FROM_DOMAIN": "sender.example", "CODE": "550",
		}},
		{func() { log.Error("queue not read", "error", errors.New("no space")) }, map[string]string{
			"MESSAGE":  `level=ERROR msg="queue not read" session=7 client=192.0.2.1 error="no space"`,
			"PRIORITY": "3", "MSG": "queue not read", "ERROR": "no space",
		}},
		{func() { log.Warn("w", "why", "", "error", nil, "message", "m", "_1", "x", "ä", "y") }, map[string]string{
			"MESSAGE":  `level=WARN msg=w session=7 client=192.0.2.1 why="" error=<nil> message=m _1=x ä=y`,
			"PRIORITY": "4", "MSG": "w", "ATTR_MESSAGE": "m",
		}},
		// A stranger's line ends make no field and no second line.
		{func() { log.Debug("d", "helo", "x\nPRIORITY=0\nMESSAGE=\x1b[2J\u202e") }, map[string]string{
			"MESSAGE":  `level=DEBUG msg=d session=7 client=192.0.2.1 helo="x\nPRIORITY=0\nMESSAGE=\x1b[2J\u202e"`,
			"PRIORITY": "7", "MSG": "d", "HELO": `"x\nPRIORITY=0\nMESSAGE=\x1b[2J\u202e"`,
		}},
		{func() {
			log.WithGroup("tls").With("version", "1.3").Info("g", slog.Group("a", "b", time.Unix(0, 0).UTC()))
		}, map[string]string{
			"MESSAGE":  `level=INFO msg=g session=7 client=192.0.2.1 tls.version=1.3 tls.a.b=1970-01-01T00:00:00.000Z`,
			"PRIORITY": "6", "MSG": "g", "TLS_VERSION": "1.3", "TLS_A_B": "1970-01-01T00:00:00Z",
		}},
	} {
		c.log()
		for k, v := range map[string]string{"SYSLOG_IDENTIFIER": "check-auth", "SESSION": "7", "CLIENT": "192.0.2.1"} {
			c.want[k] = v
		}
		if got := d.entry(t); !maps.Equal(got, c.want) {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error got %q", stderr.String())
	}
}

// With log.json the text of an entry is the object.
func TestJournal_JSON(t *testing.T) {
	t.Parallel()
	d := newJournald(t)
	slog.New(newJournal(d.path, io.Discard, logSettings{JSON: true}.handler)).Info("x", "helo", "\u202e")
	if got, want := d.entry(t)["MESSAGE"], `{"level":"INFO","msg":"x","helo":"\u202e"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A field of several lines comes with its length.
func TestJournal_lines_of_a_field(t *testing.T) {
	t.Parallel()
	b := appendField(appendField(nil, "MESSAGE", "a\nPRIORITY=0\n"), "CODE", "1")
	if got, want := parseEntry(t, b), map[string]string{"MESSAGE": "a\nPRIORITY=0\n", "CODE": "1"}; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An entry that no datagram holds comes in a file.
func TestJournal_large(t *testing.T) {
	t.Parallel()
	d := newJournald(t)
	long := strings.Repeat("x", 1<<20)
	var stderr bytes.Buffer
	slog.New(newJournal(d.path, &stderr, logSettings{}.handler)).Info("large", "stack", long)
	if stderr.Len() > 0 {
		t.Fatalf("standard error got %d octets", stderr.Len())
	}
	b, file, err := d.receive()
	if err != nil || !file {
		t.Fatalf("came in a file: %t, error %v", file, err)
	}
	if got := parseEntry(t, b); got["STACK"] != long || !strings.HasSuffix(got["MESSAGE"], long) {
		t.Errorf("got %d and %d octets, want %d and more", len(got["STACK"]), len(got["MESSAGE"]), len(long))
	}
}

// gone is a standard error that nobody reads.
type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// journald is stopped and started: what was logged meanwhile is there afterwards, in order.
func TestJournal_restart(t *testing.T) {
	t.Parallel()
	d := newJournald(t)
	log := slog.New(newJournal(d.path, gone{}, logSettings{}.handler))
	want := func(messages ...string) {
		t.Helper()
		for _, m := range messages {
			if got := d.entry(t)["MSG"]; got != m {
				t.Errorf("got %q, want %q", got, m)
			}
		}
	}
	log.Info("1")
	want("1")
	d.stop(t)
	d.start(t) // at once
	log.Info("2")
	want("2")
	d.stop(t)
	log.Info("3")
	log.Info("4")
	d.start(t)
	log.Info("5")
	want("3", "4", "5")
	d.stop(t)
	var all []string
	for n := range 3 * maxKept / 1000 {
		all = append(all, fmt.Sprint(n, strings.Repeat("x", 400)))
		log.Info(all[n])
	}
	d.start(t)
	go log.Info("last") // it waits for us
	first := d.entry(t)["MSG"]
	n := slices.Index(all, first)
	if n < 1 || len(all)-n < 100 {
		t.Fatalf("kept from entry %d of %d: want the last ones, and a bound", n, len(all))
	}
	want(append(all[n+1:], "last")...)
}

// What journald does not take stands in standard error, with its priority.
func TestJournal_falls_back(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	log := slog.New(newJournal(filepath.Join(t.TempDir(), "none"), &stderr, logSettings{}.handler))
	log.Warn("a", "b", "c\nd")
	if got, want := stderr.String(), "<4>level=WARN msg=a b=\"c\\nd\"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A journald that hangs holds nobody up for long.
func TestJournal_hangs(t *testing.T) {
	t.Parallel()
	d := newJournald(t)
	var stderr bytes.Buffer
	log := slog.New(newJournal(d.path, &stderr, logSettings{}.handler))
	sent := 0
	for ; stderr.Len() == 0; sent++ {
		log.Info(fmt.Sprint(sent))
	}
	for n := range sent - 1 {
		if got := d.entry(t)["MSG"]; got != fmt.Sprint(n) {
			t.Fatalf("got %q, want %d", got, n)
		}
	}
	log.Info("again")
	if got := d.entry(t)["MSG"]; got != "again" {
		t.Errorf("got %q, want the entry behind those that were too many", got)
	}
}

// Sessions log at once; no entry is mixed with another (this is for -race, too).
func TestJournal_at_once(t *testing.T) {
	t.Parallel()
	d := newJournald(t)
	base := slog.New(newJournal(d.path, io.Discard, logSettings{}.handler)).With("a", 1)
	const sessions, lines = 8, 20
	var all sync.WaitGroup
	for n := range sessions {
		all.Go(func() {
			log := base.With("session", n)
			for range lines {
				log.Info("x", "n", n)
			}
		})
	}
	for range sessions * lines {
		e := d.entry(t)
		if want := fmt.Sprintf("level=INFO msg=x a=1 session=%s n=%[1]s", e["N"]); e["SESSION"] != e["N"] || e["MESSAGE"] != want {
			t.Errorf("got %q", e)
		}
	}
	all.Wait()
}

// The program itself, as systemd starts it: JOURNAL_STREAM names its standard error.
func TestJournal_of_serve(t *testing.T) {
	t.Parallel()
	world, sink, d := dnstest.New(t, serveZone), newSink(t), newJournald(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	info, err := w.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], append([]string{"serve", "--listen=127.0.0.1:0", "--state=" + t.TempDir(), "--resolver-servers=" + world.Addr().String()}, args...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1", asJournal+"="+d.path, fmt.Sprintf("JOURNAL_STREAM=%d:%d", stat.Dev, stat.Ino))
		cmd.Stderr = w
		return cmd
	}
	cmd := command("--hostname=verifier.example", "--operator=you@operator.example", "--smtp-loopback-clients=evaluate", "--deliver-allow-private", "--deliver-port="+sink.port())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	find := func(message string) map[string]string {
		t.Helper()
		for {
			if e := d.entry(t); e["MSG"] == message {
				return e
			}
		}
	}
	if e := find("check-auth starts"); e["VERSION"] == "" || e["PRIORITY"] != "6" {
		t.Errorf("the first entry is %q", e)
	}
	addr := find("taking mail")["ADDRESS"]
	_, text := dialogue(t, addr, "anna@sender.example", "check-auth@verifier.example", mailOf(1))
	e := find("message taken")
	if e["REPORT"] == "" || !strings.Contains(text, e["REPORT"]) || e["CLIENT"] != "127.0.0.1" || strings.Contains(e["MESSAGE"], "time=") {
		t.Errorf("heard %q, and the entry is %q", text, e)
	}
	// What ends the program at its start has the priority of an error too.
	broken := command("--hostname=verifier.example", "--listen=here", "--deliver-port=0")
	_ = broken.Run()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	find("stopping")
	<-ended
	said, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(said)) {
		if !strings.HasPrefix(line, "<3>") {
			t.Errorf("standard error got %q", line)
		}
	}
	if !strings.HasPrefix(string(said), "<3>check-auth: ") || broken.ProcessState.ExitCode() == 0 {
		t.Errorf("a start that failed ended with %d and said %q", broken.ProcessState.ExitCode(), said)
	}
}
