package deliver

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Login is how we are known to the operator's relay.
type Login struct {
	User, Password string
}

var errNoLogin = errors.New("the relay offers neither AUTH PLAIN nor AUTH LOGIN")

// login is RFC 4954, 4 with PLAIN (RFC 4616), or LOGIN, which some relays have alone. It is called within TLS, or
// on this machine.
func (s *session) login(l Login) error {
	encode := base64.StdEncoding.EncodeToString
	whole := encode([]byte("\x00" + l.User + "\x00" + l.Password))
	s.hidden = []string{whole, encode([]byte(l.Password)), l.Password}
	offered := strings.Fields(strings.ToUpper(s.offers["AUTH"]))
	for _, name := range offered {
		if name == "PLAIN" {
			return named(s.command("AUTH", "AUTH PLAIN "+whole, 2))
		}
	}
	for _, name := range offered {
		if name != "LOGIN" {
			continue
		}
		if err := s.command("AUTH", "AUTH LOGIN", 3); err != nil {
			return named(err)
		}
		if err := s.command("AUTH", encode([]byte(l.User)), 3); err != nil {
			return named(err)
		}
		return named(s.command("AUTH", encode([]byte(l.Password)), 2))
	}
	return errNoLogin
}

// named: the operator reads this in the log.
func named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("logging in at the relay: %w", err)
}
