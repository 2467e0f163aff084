package dkim

import (
	"slices"
	"testing"

	"checkauth/verify/result"
)

// Fields of DKIM2 are named, and change no word.
func TestDKIM2IsNamed(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	const top = "DKIM2-Signature: i=1; d=example.org; x\r\nMessage-Instance: r=1; x\r\n"
	for _, c := range []struct {
		name, message string
		word          result.Word
		codes         []result.Code
	}{
		{"beside a signature", top + sign(plainTags, plainMessage), result.Pass, []result.Code{"dkim2-present"}},
		{"alone", top + plainMessage, "", []result.Code{"dkim2-present", "dkim-not-signed"}},
		{"none", sign(plainTags, plainMessage), result.Pass, nil},
	} {
		r := checked(t, v, c.message)
		if got := codes(r); !slices.Equal(got, c.codes) || c.word != "" && r.Signatures[0].Word != c.word {
			t.Errorf("%s: got %v and %v, want %v", c.name, got, r.Signatures, c.codes)
		}
	}
}
