package standing

import (
	"testing"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/mail"
)

// The address that a mail was written to is the one that it came to, in A-labels or in U-labels.
func TestAddressed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to, rcpt string
		want     bool
	}{
		{"check-auth@verifier.example", "Check-Auth@VERIFIER.example", true},
		{"check-auth@b\u00fccher.example", "check-auth@xn--bcher-kva.example", true},
		{"check-auth@xn--bcher-kva.example", "check-auth@B\u00fccher.example", true},
		{"check-auth@buecher.example", "check-auth@xn--bcher-kva.example", false},
		{"someone@verifier.example", "check-auth@verifier.example", false},
	} {
		fields, err := mail.Parse([]byte("To: <"+c.to+">\r\n"), mail.DefaultBounds())
		if err != nil {
			t.Fatal(err)
		}
		r := &verify.Report{Session: verify.Session{RcptTo: []string{c.rcpt}}, Message: verify.MessageFacts{Fields: fields}}
		if got := Addressed(r, &dkim.Signature{Signed: []string{"to"}}); got != c.want {
			t.Errorf("to %s, at %s: got %t, want %t", c.to, c.rcpt, got, c.want)
		}
	}
}
