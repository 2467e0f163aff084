package smtpd_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/smtpd"
)

// clientHello is the first record of a client of that version with those cipher suites, without extensions: what
// crypto/tls does not offer cannot be asked of it.
func clientHello(version uint16, suites ...uint16) string {
	b := binary.BigEndian.AppendUint16(nil, version)
	b = append(b, make([]byte, 32)...) // random
	b = append(b, 0)                   // no session
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(suites)))
	for _, s := range suites {
		b = binary.BigEndian.AppendUint16(b, s)
	}
	b = append(b, 1, 0) // no compression
	message := append([]byte{1, 0, byte(len(b) >> 8), byte(len(b))}, b...)
	record := binary.BigEndian.AppendUint16([]byte{22, 3, 1}, uint16(len(message)))
	return string(append(record, message...))
}

// alert is a fatal one in a record.
func alert(number byte) string { return string([]byte{21, 3, 3, 0, 2, 2, number}) }

// refusing is a client that checks certificates, over what wrap makes of the connection.
func refusing(version uint16, wrap func(net.Conn) net.Conn) func(net.Conn) error {
	return func(c net.Conn) error {
		return tls.Client(wrap(c), &tls.Config{RootCAs: x509.NewCertPool(), ServerName: host, MaxVersion: version}).Handshake()
	}
}

func asItIs(c net.Conn) net.Conn { return c }

// openSSL sends its alert in clear text though TLS 1.3 has keys already.
func openSSL(c net.Conn) net.Conn { return clearAlert{c} }

type clearAlert struct{ net.Conn }

func (c clearAlert) Write(b []byte) (int, error) {
	// Application data (23) stands alone, or behind a change_cipher_spec of 6 octets (RFC 8446, D.4).
	at := 0
	if b[0] == 20 {
		at = 6
	}
	if len(b) == at || b[at] != 23 {
		return c.Conn.Write(b)
	}
	_, err := io.WriteString(c.Conn, string(b[:at])+alert(48))
	return len(b), err
}

// A client whose handshake failed comes back in clear text: the envelope says why it did.
func TestFailedHandshakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw   string               // what it sends behind the 220, or
		by    func(net.Conn) error // what it does there
		cause string
	}{
		"DHE alone": {raw: clientHello(0x0303, 0x009f, 0x00ff, 0x0033),
			cause: `tls-failed-cipher offered="TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, TLS_DHE_RSA_WITH_AES_128_CBC_SHA"`},
		"many suites of no use": {raw: clientHello(0x0303, 0x0a0a, 0x009e, 0x009f, 0x0033, 0x0039, 0x0067, 0x006b, 0xfefe),
			cause: `tls-failed-cipher offered="TLS_DHE_RSA_WITH_AES_128_GCM_SHA256, TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, ` +
				`TLS_DHE_RSA_WITH_AES_128_CBC_SHA, TLS_DHE_RSA_WITH_AES_256_CBC_SHA, +3"`},
		"SSL 3.0":                       {raw: clientHello(0x0300, 0x0035), cause: "tls-failed-version"},
		"refuses our certificate":       {by: refusing(0, asItIs), cause: `tls-failed-certificate alert="bad_certificate"`},
		"refuses it in TLS 1.2":         {by: refusing(tls.VersionTLS12, asItIs), cause: `tls-failed-certificate alert="bad_certificate"`},
		"does not know its issuer":      {raw: alert(48), cause: `tls-failed-certificate alert="unknown_ca"`},
		"finds it too old":              {raw: alert(45), cause: `tls-failed-certificate alert="certificate_expired"`},
		"breaks off":                    {raw: alert(40), cause: `tls-failed-alert alert="handshake_failure"`},
		"does not like what we have":    {raw: alert(71), cause: `tls-failed-alert alert="insufficient_security"`},
		"does not like the version":     {raw: alert(70), cause: `tls-failed-alert alert="protocol_version"`},
		"closes":                        {cause: "tls-failed-closed"},
		"closes with a word":            {raw: alert(0), cause: "tls-failed-closed"},
		"goes on in clear text at once": {raw: "EHLO client.example.org\r\n", cause: "tls-failed-not-tls"},
		"refuses it in clear text":      {by: refusing(0, openSSL), cause: `tls-failed-certificate alert="unknown_ca"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, &recorder{}, nil)
			b.giveUp(c.raw, c.by)
			cl := b.open(false)
			cl.data()
			cl.send("Subject: x\r\n\r\n.\r\n")
			cl.want("250")
			f := b.rec.got()[0].Envelope.TLSFailed
			if f == nil || f.Cause.String() != c.cause || f.Time.IsZero() {
				t.Errorf("got %+v, want %s", f, c.cause)
			}
			inTLS := b.open(true)
			inTLS.say(mailFrom, "250")
			inTLS.say(rcptTo, "250")
			if f := b.rec.begun[1].TLSFailed; f != nil {
				t.Errorf("in TLS it says %+v", f)
			}
		})
	}
}

// giveUp tries TLS in vain and returns when the server has closed.
func (b *bench) giveUp(raw string, by func(net.Conn) error, header ...string) {
	b.t.Helper()
	c := b.behind(strings.Join(header, ""))
	c.say("EHLO client.example.org", "250-")
	c.say("STARTTLS", "220")
	plain := c.c.(*net.TCPConn)
	if by != nil {
		if err := by(c.c); err == nil {
			b.t.Fatal("the handshake did not fail")
		}
	}
	c.send(raw)
	_ = plain.CloseWrite()
	for {
		if _, err := c.in.ReadByte(); err != nil {
			return
		}
	}
}

// It is remembered for ten minutes, of that client alone.
func TestFailedHandshakesAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 10, 2, 0, 0, time.UTC)
	var mu sync.Mutex
	b := serve(t, &recorder{}, func(cfg *smtpd.Config) {
		cfg.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
	}, proxied)
	from := func(ip string) string {
		family, to := "TCP4", "198.51.100.1"
		if strings.Contains(ip, ":") {
			family, to = "TCP6", "2001:db8::25"
		}
		return fmt.Sprintf("PROXY %s %s %s 4000 25\r\n", family, ip, to)
	}
	b.giveUp("", nil, from("192.0.2.1"))
	b.giveUp("", nil, from("2001:db8:1::1"))
	for _, c := range []struct {
		after time.Duration
		ip    string
		want  bool
	}{
		{0, "192.0.2.1", true}, {0, "192.0.2.2", false}, {0, "2001:db8:1::9", true}, {0, "2001:db8:2::1", false},
		{9*time.Minute + 59*time.Second, "192.0.2.1", true}, {time.Second, "192.0.2.1", false}, {0, "2001:db8:1::1", false},
		{-time.Hour, "192.0.2.1", false}, // the clock was set back
	} {
		mu.Lock()
		now = now.Add(c.after)
		mu.Unlock()
		cl := b.behind(from(c.ip))
		cl.say("EHLO client.example.org", "250-")
		cl.say(mailFrom, "250")
		cl.say(rcptTo, "250")
		begun := slices.Clone(b.rec.begun)
		if f := begun[len(begun)-1].TLSFailed; (f != nil) != c.want {
			t.Errorf("%s, %s later: %+v, want one: %t", c.ip, c.after, f, c.want)
		}
	}
}
