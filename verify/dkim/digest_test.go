package dkim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// counted is go-msgauth with a count of how often it is asked.
func counted(n *int) library {
	return func(r io.Reader, o *dkim.VerifyOptions) ([]*dkim.Verification, error) {
		*n++
		return dkim.VerifyWithOptions(r, o)
	}
}

// twoSigned has one signature of each key.
func twoSigned() string {
	return sign(tagsWith("a=ed25519-sha256", "s=ed"), sign(plainTags, plainMessage))
}

// A digest is judged again with other keys: go-msgauth is asked where a key's answer is another one, and
// one Judge leaves nothing behind that the next would see.
func TestJudgeAgain(t *testing.T) {
	t.Parallel()
	asked := 0
	fields, body := split(t, twoSigned())
	d := newDigest(fields, body, counted(&asked))
	d.fill(t.Context(), fields, signatureBound)
	other := ourKeys()
	other["rsa._domainkey.example.org"] = rsaRecord(&weakOf().PublicKey, "")
	gone := ourKeys()
	delete(gone, "ed._domainkey.example.org")
	down := dns.ResolverFunc(func(_ context.Context, q dns.Question) (dns.Answer, error) {
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.ServFail}
	})
	for _, c := range []struct {
		name  string
		keys  dns.Resolver
		want  string
		asked int // in all
	}{
		{"first", ourKeys(), "pass pass", 2},
		{"the same keys", ourKeys(), "pass pass", 2},
		{"another key of one", other, "pass fail", 3},
		{"the same once more", other, "pass fail", 3},
		{"one has no key", gone, "permerror pass", 4},
		{"no answer", down, "temperror temperror", 4},
		{"the first keys", ourKeys(), "pass pass", 4},
	} {
		v := Verifier{DNS: c.keys}
		again, fresh := v.Judge(t.Context(), d), v.Check(t.Context(), fields, body)
		if got := words(again); got != c.want || asked != c.asked {
			t.Errorf("%s: got %s, asked %d times; want %s and %d", c.name, got, asked, c.want, c.asked)
		}
		if a, b := everything(t, again), everything(t, fresh); a != b {
			t.Errorf("%s: the digest judged again gives\n%s\nthe message by itself\n%s", c.name, a, b)
		}
		var alone []result.Word
		for _, s := range again.Signatures {
			alone = append(alone, s.Word)
		}
		if got := v.Words(t.Context(), d); !slices.Equal(got, alone) || asked != c.asked {
			t.Errorf("%s: the words alone are %v, want %v", c.name, got, alone)
		}
	}
}

// everything is a result as the report tells it.
func everything(t *testing.T, r Result) string {
	t.Helper()
	out, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Signatures {
		b, err := json.Marshal([]any{s.Word, s.Reason, s.Findings})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return string(out)
}

// A body that could not be read once says nothing of the signature.
func TestJudgeAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	fields, body := split(t, sign(plainTags, plainMessage))
	asked := 0
	broken := errors.New("disk on fire")
	d := newDigest(fields, body, func(r io.Reader, o *dkim.VerifyOptions) ([]*dkim.Verification, error) {
		if asked++; asked == 1 {
			return nil, broken
		}
		return dkim.VerifyWithOptions(r, o)
	})
	d.fill(t.Context(), fields, signatureBound)
	v := Verifier{DNS: ourKeys()}
	if s := v.Judge(t.Context(), d).Signatures[0]; s.Word != result.TempError || !errors.Is(s.Cause, broken) {
		t.Errorf("got %s (%v), want temperror for the disk", s.Word, s.Cause)
	}
	if got := words(v.Judge(t.Context(), d)); got != "pass" || asked != 2 {
		t.Errorf("again: got %s, asked %d times; want pass and twice", got, asked)
	}
}

// How many are evaluated is settled with the digest.
func TestDigestHasTheBound(t *testing.T) {
	t.Parallel()
	fields, body := split(t, twoSigned())
	d := Verifier{Signatures: 1}.Digest(t.Context(), fields, body)
	if got := words(Verifier{DNS: ourKeys()}.Judge(t.Context(), d)); got != "pass neutral" {
		t.Errorf("got %s, want pass neutral", got)
	}
	if got := (Verifier{}).Words(t.Context(), Verifier{}.Digest(t.Context(), nil, body)); len(got) != 0 {
		t.Errorf("no signatures: got %v", got)
	}
}
