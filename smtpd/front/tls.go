package front

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"checkauth/verify"
	"checkauth/verify/result"
)

// startTLS is RFC 3207, 4: answered and done here. Whatever the client sent behind the command in clear
// text was put there by somebody (CVE-2011-0411), and a handshake that fails ends the connection: going
// on in clear text would tell the client's secrets to who broke it.
func (c *Conn) startTLS(arg string) []byte {
	switch {
	case c.cfg.TLS == nil:
		return c.refuse(502, 5, 5, 1, "STARTTLS is not offered")
	case c.tls != nil:
		return c.refuse(503, 5, 5, 1, "TLS is active already")
	case arg != "":
		return c.refuse(501, 5, 5, 4, "STARTTLS takes no argument")
	case c.state.mail:
		return c.refuse(503, 5, 5, 1, "RSET first")
	case c.in.Buffered() > 0:
		c.drop(refusal(501, 5, 5, 1, "Nothing may follow STARTTLS, closing connection"), "commands behind STARTTLS", nil)
		return nil
	}
	c.say(refusal(220, 2, 0, 0, "Ready to start TLS"))
	if c.gone {
		return nil
	}
	c.wait.command(c)
	_ = c.SetWriteDeadline(time.Now().Add(c.cfg.Write))
	under := &watched{Conn: c.Conn}
	t := tls.Server(under, c.cfg.TLS)
	if err := t.Handshake(); err != nil {
		if !c.wait.stopping() {
			c.handler.TLSFailed(under.failure(err))
		}
		c.leave("TLS handshake", err)
		return nil
	}
	under.done()
	s := t.ConnectionState()
	c.tls = &verify.TLS{Version: tls.VersionName(s.Version), Cipher: tls.CipherSuiteName(s.CipherSuite), ServerName: s.ServerName, Client: named(s.PeerCertificates)}
	c.stream = t
	c.in.Reset(t)
	// RFC 3207, 4.2: what was said in clear text is forgotten.
	c.state = state{}
	c.wait.come(encrypted)
	return nil
}

// maxNamed is how much of it is kept.
const maxNamed = 255

// named is what a client's certificate says that the client is; empty without one.
func named(chain []*x509.Certificate) string {
	if len(chain) == 0 {
		return ""
	}
	if names := chain[0].DNSNames; len(names) > 0 {
		return result.Cut(names[0], maxNamed)
	}
	return result.Cut(chain[0].Subject.String(), maxNamed)
}
