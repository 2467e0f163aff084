package sign

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// The signature is ours to make; the library's own is the measure: the same fields, hashes that it takes, whatever the
// blanks, folds and lines at the end are.
func TestRFC6376_3_4_relaxed(t *testing.T) {
	t.Parallel()
	for kind, bits := range map[string]int{RSA: 1024, Ed25519: 0} {
		k, err := Make("verifier.example", "ca1", kind, bits)
		if err != nil {
			t.Fatal(err)
		}
		head := "From: a@verifier.example\r\nSUBJECT:  two  words\r\n\t and\tmore \r\nTo: <b@example.org>\r\nTo: <c@example.org>\r\nX-Other: x\r\nDate: now\r\n"
		for _, body := range []string{
			"", "\r\n", "\r\n\r\n", "x", "x\r\n", "x \t\r\n\r\n \r\n", " x\r\n\r\n\r\ny  \t z\r\n", "\tx\r\n \t\r\n",
			strings.Repeat("line  with blanks \r\n", 2000), strings.Repeat("y", 20_000) + "\r\n", "one\r\n" + strings.Repeat("\r\n", 9000) + "two", "d\xc3\xa9j\xc3\xa0 \xff\r\n",
			" \t x \t y\t \tz \t\r\n\t\r\n a\r\n", "x\t\r\ny \t\r\n", " ", " \t\r\n", "a  b \r\n \r\n\tc",
		} {
			made, err := k.Sign([]byte(head+"\r\n"+body), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			got, err := dkim.VerifyWithOptions(bytes.NewReader(made), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{k.Text()}, nil }})
			if err != nil || len(got) != 1 || got[0].Err != nil {
				t.Errorf("%s, body %.40q: %v, %v", kind, body, err, reason(got))
				continue
			}
			var theirs bytes.Buffer
			if err := dkim.Sign(&theirs, strings.NewReader(head+"\r\n"+body), &dkim.SignOptions{Domain: k.Domain, Selector: k.Selector, Signer: k.signer,
				HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: signed}); err != nil {
				t.Fatal(err)
			}
			if ours, want := tag(t, made, "bh"), tag(t, theirs.Bytes(), "bh"); ours != want {
				t.Errorf("%s, body %.40q: bh=%s, the library has %s", kind, body, ours, want)
			}
			if ours, want := tag(t, made, "h"), tag(t, theirs.Bytes(), "h"); !strings.EqualFold(ours, want) {
				t.Errorf("h=%s, the library has %s", ours, want)
			}
		}
	}
}

// tag is the value of a tag of the first signature, without blanks.
func tag(t *testing.T, message []byte, name string) string {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	for field := range strings.SplitSeq(m.Header.Get("DKIM-Signature"), ";") {
		if n, v, _ := strings.Cut(strings.TrimSpace(field), "="); n == name {
			return strings.Join(strings.Fields(v), "")
		}
	}
	t.Fatalf("no %s=", name)
	return ""
}

// A message that is none is refused.
func TestSignature_of_no_message(t *testing.T) {
	t.Parallel()
	k, err := Make("verifier.example", "ca1", Ed25519, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Signature([]byte("From: x\r\n"), time.Now()); err == nil || !strings.Contains(err.Error(), "no empty line") {
		t.Errorf("got %v", err)
	}
}

func reason(got []*dkim.Verification) error {
	if len(got) == 1 {
		return got[0].Err
	}
	return errors.New("not one signature")
}

// The library's form of a body is the measure for any body with CRLF line ends.
func FuzzBodyHash(f *testing.F) {
	for _, body := range []string{"", "x", "a  b\t \r\n\r\n", " \t", "\r\n \r\nx \ty"} {
		f.Add([]byte(body))
	}
	k, err := Make("verifier.example", "ca1", Ed25519, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r"), nil), []byte("\n"), []byte("\r\n"))
		var theirs bytes.Buffer
		if err := dkim.Sign(&theirs, io.MultiReader(strings.NewReader("From: a@verifier.example\r\n\r\n"), bytes.NewReader(body)), &dkim.SignOptions{
			Domain: k.Domain, Selector: k.Selector, Signer: k.signer, BodyCanonicalization: dkim.CanonicalizationRelaxed}); err != nil {
			t.Fatal(err)
		}
		sum := bodyHash(body)
		if got, want := base64.StdEncoding.EncodeToString(sum[:]), tag(t, theirs.Bytes(), "bh"); got != want {
			t.Errorf("%q: got %s, the library has %s", body, got, want)
		}
	})
}
