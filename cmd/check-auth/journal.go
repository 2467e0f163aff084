package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"checkauth/verify/result"
)

// Under systemd the log goes to journald by its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): each entry has its
// priority and its fields, and journald may be stopped and started without a loss. The text of an entry is the line
// that standard error would get, without its time.

// journalSocket is where journald takes entries.
const journalSocket = "/run/systemd/journal/socket"

// lastWords are an error for standard error; there a line for the journal begins with its priority (sd-daemon(3)).
func lastWords(e env, err error) string {
	text := "check-auth: " + result.Lines(err.Error())
	if isJournal(e.err, e.getenv) {
		text = withPriority(priority(slog.LevelError), text)
	}
	return text
}

func withPriority(n int, text string) string {
	mark := fmt.Sprintf("<%d>", n)
	return mark + strings.ReplaceAll(text, "\n", "\n"+mark)
}

// priority is syslog's.
func priority(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

// journal is a slog.Handler.
type journal struct {
	*journalWriter
	text   slog.Handler // writes into line
	fields []byte       // of With, as they are sent
	prefix string       // of groups
}

// journalWriter is what all handlers of one journal share.
type journalWriter struct {
	mu     sync.Mutex
	line   bytes.Buffer
	socket journalConn
	stderr io.Writer // gets what journald does not take
	kept   [][]byte  // what neither of the two took: journald gets it when it is back
	size   int       // octets of kept
}

// newJournal makes a handler; text makes the one that writes the lines.
func newJournal(socket string, stderr io.Writer, text func(io.Writer) slog.Handler) *journal {
	w := &journalWriter{socket: journalConn{path: socket}, stderr: stderr}
	return &journal{journalWriter: w, text: text(&w.line)}
}

// Enabled implements slog.Handler.
func (j *journal) Enabled(ctx context.Context, l slog.Level) bool { return j.text.Enabled(ctx, l) }

// WithAttrs implements slog.Handler.
func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	k := *j
	k.text, k.fields = j.text.WithAttrs(attrs), slices.Clip(j.fields)
	for _, a := range attrs {
		k.fields = appendAttr(k.fields, j.prefix, a)
	}
	return &k
}

// WithGroup implements slog.Handler.
func (j *journal) WithGroup(name string) slog.Handler {
	k := *j
	k.text = j.text.WithGroup(name)
	if name != "" {
		k.prefix += name + "_"
	}
	return &k
}

// Handle implements slog.Handler.
func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Time = time.Time{} // journald has its own
	j.line.Reset()
	if err := j.text.Handle(ctx, r); err != nil {
		return err
	}
	line := strings.TrimSuffix(j.line.String(), "\n")
	b := appendField(nil, "MESSAGE", line)
	b = appendField(b, "PRIORITY", strconv.Itoa(priority(r.Level)))
	b = appendField(b, "SYSLOG_IDENTIFIER", "check-auth")
	b = appendField(b, "MSG", r.Message)
	b = append(b, j.fields...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, j.prefix, a)
		return true
	})
	return j.write(b, withPriority(priority(r.Level), line)+"\n")
}

// maxKept octets of entries wait for journald.
const maxKept = 256 << 10

func (w *journalWriter) write(entry []byte, line string) error {
	for len(w.kept) > 0 && w.socket.send(w.kept[0]) == nil {
		w.size -= len(w.kept[0])
		w.kept = w.kept[1:]
	}
	if len(w.kept) == 0 && w.socket.send(entry) == nil {
		return nil
	}
	if _, err := io.WriteString(w.stderr, line); err == nil {
		return nil
	}
	w.kept, w.size = append(w.kept, entry), w.size+len(entry)
	for w.size > maxKept {
		w.size -= len(w.kept[0])
		w.kept = w.kept[1:]
	}
	return nil
}

// appendAttr adds an attribute of a record as a field of the entry; one that says nothing is left out.
func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "_"
		}
		for _, inner := range v.Group() {
			b = appendAttr(b, prefix, inner)
		}
		return b
	}
	name := fieldName(prefix + a.Key)
	if name == "" || v.Kind() == slog.KindAny && v.Any() == nil || v.String() == "" {
		return b
	}
	if v.Kind() == slog.KindTime {
		return appendField(b, name, v.Time().Format(time.RFC3339Nano))
	}
	return appendField(b, name, printable(v.String()))
}

// printable quotes a value that has anything but visible characters and spaces, as the line does.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(s)
	}
	return s
}

// reserved fields mean something to journald and to who reads it: systemd.journal-fields(7).
var reserved = map[string]bool{"MESSAGE": true, "MESSAGE_ID": true, "PRIORITY": true, "SYSLOG_IDENTIFIER": true, "MSG": true}

// maxFieldName is journald's bound.
const maxFieldName = 64

// fieldName is a key as journald takes it: capital letters, digits and underscores, a letter first.
func fieldName(key string) string {
	name := strings.Map(func(r rune) rune {
		r = unicode.ToUpper(r)
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, key)
	name = strings.TrimLeft(name, "_0123456789")
	if reserved[name] {
		name = "ATTR_" + name
	}
	return name[:min(len(name), maxFieldName)]
}

// appendField writes a field: with its length where the value has more than one line, so that nothing of it can be
// taken for another field.
func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	if !strings.Contains(value, "\n") {
		return append(append(append(b, '='), value...), '\n')
	}
	b = binary.LittleEndian.AppendUint64(append(b, '\n'), uint64(len(value)))
	return append(append(b, value...), '\n')
}

// journalConn sends entries, each in a datagram. It is connected, so that a wait for room in journald's queue ends
// when there is room.
type journalConn struct {
	path string
	conn *net.UnixConn
}

// journalWait is how long an entry may wait for journald.
const journalWait = time.Second

func (j *journalConn) send(entry []byte) error {
	fresh := j.conn == nil
	err := j.try(entry)
	if err != nil {
		j.hangUp()
		if !fresh && !errors.Is(err, os.ErrDeadlineExceeded) {
			// journald has another socket since it was started anew.
			if err = j.try(entry); err != nil {
				j.hangUp()
			}
		}
	}
	return err
}

func (j *journalConn) try(entry []byte) error {
	if j.conn == nil {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: j.path, Net: "unixgram"})
		if err != nil {
			return err
		}
		j.conn = conn
	}
	_ = j.conn.SetWriteDeadline(time.Now().Add(journalWait))
	_, err := j.conn.Write(entry)
	if errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS) {
		return j.large(entry)
	}
	return err
}

func (j *journalConn) hangUp() {
	if j.conn != nil {
		_ = j.conn.Close()
		j.conn = nil
	}
}

// large sends an entry that no datagram holds: in a file in memory that cannot be changed any more.
func (j *journalConn) large(entry []byte) error {
	f, err := sealed(entry)
	if err != nil {
		return err
	}
	defer f.Close()
	// Not WriteMsgUnix: package net has none for a socket of datagrams that is connected.
	raw, err := j.conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	rights := syscall.UnixRights(int(f.Fd()))
	err = raw.Write(func(fd uintptr) bool {
		sent = syscall.Sendmsg(int(fd), nil, rights, nil, 0)
		return sent != syscall.EAGAIN
	})
	return errors.Join(err, sent)
}
