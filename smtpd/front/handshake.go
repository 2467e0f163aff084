package front

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"checkauth/verify/result"
)

// Watched is a TLS configuration that lets a Conn see what its client offered, which crypto/tls tells of no
// handshake that failed. It is made once: session tickets belong to a configuration.
func Watched(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		return nil
	}
	cfg = cfg.Clone()
	next := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if w, ok := h.Conn.(*watched); ok {
			w.hello = h
		}
		if next == nil {
			return nil, nil
		}
		return next(h)
	}
	return cfg
}

// watched is the connection under TLS, until the handshake is over.
type watched struct {
	net.Conn
	hello *tls.ClientHelloInfo // nil before it came

	over  bool
	head  []byte // of the record that comes in: type, version, length, and the body of an alert
	skip  int    // octets of its body that are of no interest
	alert byte   // that came in clear text; 0 is close_notify, which is an end and no alert here
}

// Read implements net.Conn.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if !w.over {
		w.look(b[:n])
	}
	return n, err
}

// done ends the watching: the records that follow are the session's.
func (w *watched) done() { w.over, w.hello, w.head = true, nil, nil }

// Octets of a record's header, and of an alert that is not encrypted (RFC 8446, 5.1 and 6).
const (
	recordHead  = 5
	recordAlert = 21
	alertSize   = 2
)

// look finds alerts in clear text among the records. OpenSSL sends one where it refuses our certificate in TLS 1.3,
// before it begins to encrypt, and crypto/tls takes it for a broken record. What is encrypted is longer.
func (w *watched) look(b []byte) {
	for len(b) > 0 {
		if n := min(w.skip, len(b)); n > 0 {
			w.skip, b = w.skip-n, b[n:]
			continue
		}
		w.head, b = append(w.head, b[0]), b[1:]
		if len(w.head) < recordHead {
			continue
		}
		size := int(w.head[3])<<8 | int(w.head[4])
		switch {
		case w.head[0] != recordAlert || size != alertSize:
			w.skip, w.head = size, w.head[:0]
		case len(w.head) == recordHead+alertSize:
			w.alert, w.head = w.head[recordHead+1], w.head[:0]
		}
	}
}

// failure is why a handshake came to nothing, as a code for the report. The error of crypto/tls has no kinds, but
// its alerts are those of RFC 8446, 6.2.
func (w *watched) failure(err error) result.Reason {
	text := strings.TrimPrefix(err.Error(), "tls: ")
	timed, isNet := errors.AsType[net.Error](err)
	var record tls.RecordHeaderError
	alert := sentAlert(err)
	if w.alert != 0 {
		alert = alertName(w.alert)
	}
	switch {
	case slices.Contains(certificateAlerts, alert):
		return result.Because("tls-failed-certificate", "alert", alert)
	case alert != "":
		return result.Because("tls-failed-alert", "alert", alert)
	case errors.As(err, &record):
		return result.Because("tls-failed-not-tls")
	case isNet && timed.Timeout():
		return result.Because("tls-failed-timeout")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return result.Because("tls-failed-closed")
	case strings.Contains(text, "unsupported versions"):
		return result.Because("tls-failed-version")
	case strings.Contains(text, "no cipher suite supported"):
		return result.Because("tls-failed-cipher", "offered", result.Ours(w.offered()))
	}
	return result.Because("tls-failed-other", "error", result.Cut(text, maxNamed))
}

// alerts of RFC 8446, 6.2, each with the text that crypto/tls has for it.
var alerts = []struct {
	number     byte
	text, name string
}{
	{10, "unexpected message", "unexpected_message"}, {20, "bad record MAC", "bad_record_mac"}, {40, "handshake failure", "handshake_failure"},
	{42, "bad certificate", "bad_certificate"}, {43, "unsupported certificate", "unsupported_certificate"},
	{44, "revoked certificate", "certificate_revoked"}, {45, "expired certificate", "certificate_expired"},
	{46, "unknown certificate", "certificate_unknown"}, {47, "illegal parameter", "illegal_parameter"},
	{48, "unknown certificate authority", "unknown_ca"}, {49, "access denied", "access_denied"},
	{50, "error decoding message", "decode_error"}, {51, "error decrypting message", "decrypt_error"},
	{70, "protocol version not supported", "protocol_version"}, {71, "insufficient security level", "insufficient_security"},
	{80, "internal error", "internal_error"}, {86, "inappropriate fallback", "inappropriate_fallback"},
	{90, "user canceled", "user_canceled"}, {109, "missing extension", "missing_extension"},
	{110, "unsupported extension", "unsupported_extension"}, {112, "unrecognized name", "unrecognized_name"},
	{116, "certificate required", "certificate_required"}, {120, "no application protocol", "no_application_protocol"},
}

func alertName(number byte) string {
	for _, a := range alerts {
		if a.number == number {
			return a.name
		}
	}
	return fmt.Sprintf("alert(%d)", number)
}

// certificateAlerts say that the client did not like our certificate.
var certificateAlerts = []string{"bad_certificate", "unsupported_certificate", "certificate_revoked", "certificate_expired", "certificate_unknown", "unknown_ca"}

// sentAlert is the alert that the client sent, empty where it sent none.
func sentAlert(err error) string {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" || op.Err == nil {
		return ""
	}
	text := strings.TrimPrefix(op.Err.Error(), "tls: ")
	for _, a := range alerts {
		if a.text == text {
			return a.name
		}
	}
	return text // such as "alert(41)"
}

// offered names the client's cipher suites for a sentence, four at most.
func (w *watched) offered() string {
	if w.hello == nil {
		return "-"
	}
	const most = 4
	var names []string
	more := 0
	for _, id := range w.hello.CipherSuites {
		switch name := suite(id); {
		case name == "":
		case len(names) == most:
			more++
		default:
			names = append(names, name)
		}
	}
	if more > 0 {
		names = append(names, "+"+strconv.Itoa(more))
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}

// others are cipher suites that crypto/tls does not know by name: those with DHE, which it never had.
var others = map[uint16]string{
	0x0016: "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", 0x0033: "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", 0x0039: "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
	0x0045: "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA", 0x0067: "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", 0x006b: "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
	0x0088: "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA", 0x009e: "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", 0x009f: "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
	0xc09e: "TLS_DHE_RSA_WITH_AES_128_CCM", 0xc09f: "TLS_DHE_RSA_WITH_AES_256_CCM", 0xccaa: "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}

// suite is a cipher suite's name; empty for the values that are none: the signals of RFC 5746, 3.3 and RFC 7507, 2,
// and the reserved ones of RFC 8701, 2.
func suite(id uint16) string {
	if id == 0x00ff || id == 0x5600 || id&0x0f0f == 0x0a0a && id>>8 == id&0xff {
		return ""
	}
	if name, ok := others[id]; ok {
		return name
	}
	if name := tls.CipherSuiteName(id); !strings.HasPrefix(name, "0x") {
		return name
	}
	return fmt.Sprintf("0x%04X", id)
}
