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

// watched is the connection under TLS.
type watched struct {
	net.Conn
	hello *tls.ClientHelloInfo // nil before it came
}

// failure is why a handshake came to nothing, as a code for the report. The error of crypto/tls has no kinds, but
// its alerts are those of RFC 8446, 6.2.
func (w *watched) failure(err error) result.Reason {
	text := strings.TrimPrefix(err.Error(), "tls: ")
	timed, isNet := errors.AsType[net.Error](err)
	var record tls.RecordHeaderError
	switch alert := sentAlert(err); {
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
		return result.Because("tls-failed-cipher", "offered", w.offered())
	}
	return result.Because("tls-failed-other", "error", result.Cut(text, maxNamed))
}

// alerts are the texts of crypto/tls and the names of RFC 8446, 6.2 (and of RFC 5246, 7.2.2).
var alerts = map[string]string{
	"unexpected message": "unexpected_message", "bad record MAC": "bad_record_mac", "handshake failure": "handshake_failure",
	"bad certificate": "bad_certificate", "unsupported certificate": "unsupported_certificate",
	"revoked certificate": "certificate_revoked", "expired certificate": "certificate_expired",
	"unknown certificate": "certificate_unknown", "illegal parameter": "illegal_parameter",
	"unknown certificate authority": "unknown_ca", "access denied": "access_denied", "error decoding message": "decode_error",
	"error decrypting message": "decrypt_error", "protocol version not supported": "protocol_version",
	"insufficient security level": "insufficient_security", "internal error": "internal_error",
	"inappropriate fallback": "inappropriate_fallback", "user canceled": "user_canceled", "missing extension": "missing_extension",
	"unsupported extension": "unsupported_extension", "unrecognized name": "unrecognized_name",
	"certificate required": "certificate_required", "no application protocol": "no_application_protocol",
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
	if name, ok := alerts[text]; ok {
		return name
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
