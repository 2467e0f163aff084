package dkim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// With what go-msgauth 0.7.0 does. A test that fails after an update tells that a guard is not needed
// any more, or that one more is.

func ourKeys() texts {
	return texts{
		"rsa._domainkey.example.org": rsaRecord(&rsaKey().PublicKey, ""),
		"ed._domainkey.example.org":  edRecord(""),
	}
}

// with runs a check with another library.
func with(t testing.TB, v Verifier, lib library, message string) Result {
	t.Helper()
	fields, body := split(t, message)
	return v.begin(fields, body, lib).run(t.Context(), fields, v.bound())
}

// run is Check in a check that tests can look into.
func (c *check) run(ctx context.Context, fields mail.Fields, bound int) Result {
	c.fill(ctx, fields, bound)
	return c.result(ctx)
}

// alone asks go-msgauth about the message as it came.
func alone(t testing.TB, keys texts, message string) error {
	t.Helper()
	vs, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if text, ok := keys[dns.Canonical(name)]; ok {
			return []string{text}, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}})
	if err != nil {
		return err
	}
	return vs[0].Err
}

func TestLibraryIsAskedOnceASignatureWithThatOnTop(t *testing.T) {
	t.Parallel()
	first := sign(tagsWith("z=1"), plainMessage)
	message := "X-Top: 1\r\n" + sign(tagsWith("z=3"), sign(tagsWith("z=2", "h=From:DKIM-Signature"), first))
	var seen []string
	r := with(t, Verifier{DNS: ourKeys()}, func(r io.Reader, o *dkim.VerifyOptions) ([]*dkim.Verification, error) {
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		fields, _ := split(t, string(b))
		if !fields[0].Is(fieldName) || o.MaxVerifications != 1 {
			t.Errorf("asked about %s first, %d verifications", fields[0].Name, o.MaxVerifications)
		}
		var order []string
		for _, f := range fields.All(fieldName) {
			ts, _ := parseTags(f.Value()[len("v=1"):])
			order = append(order, ts.value("z"))
		}
		seen = append(seen, strings.Join(order, ""))
		return dkim.VerifyWithOptions(bytes.NewReader(b), o)
	}, message)
	if got := words(r); got != "pass pass pass" {
		t.Errorf("got %s, want three passes", got)
	}
	if want := []string{"321", "231", "132"}; !slices.Equal(seen, want) {
		t.Errorf("asked with the signatures in the orders %q, want %q", seen, want)
	}
}

// No goroutine of its own: they could not be recovered from.
func TestLibraryStaysInOurGoroutine(t *testing.T) {
	t.Parallel()
	fields, body := split(t, sign(plainTags, sign(plainTags, plainMessage)))
	here := goroutine()
	body.At = sameGoroutine{t, body.At, here}
	if got := words(Verifier{DNS: ourKeys()}.Check(t.Context(), fields, body)); got != "pass pass" {
		t.Errorf("got %s, want two passes", got)
	}
}

type sameGoroutine struct {
	t    *testing.T
	at   io.ReaderAt
	here string
}

func (s sameGoroutine) ReadAt(p []byte, off int64) (int, error) {
	if g := goroutine(); g != s.here {
		s.t.Errorf("the body is read by %s, the check runs in %s", g, s.here)
	}
	return s.at.ReadAt(p, off)
}

func goroutine() string {
	b := make([]byte, 64)
	id, _, _ := strings.Cut(string(b[:runtime.Stack(b, false)]), " [")
	return id
}

func TestLibraryPanics(t *testing.T) {
	t.Parallel()
	r := with(t, Verifier{DNS: ourKeys()}, func(io.Reader, *dkim.VerifyOptions) ([]*dkim.Verification, error) {
		panic("index out of range")
	}, sign(plainTags, plainMessage))
	if s := one(t, r, result.TempError); !errors.Is(s.Cause, errPanic) || s.Reason.Code != "dkim-verifier-panicked" {
		t.Errorf("got %s and the cause %v", s.Reason, s.Cause)
	}
}

func TestLibraryReadsFailures(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for _, c := range []struct {
		err  error
		want result.Word
	}{
		{broken, result.TempError},
		{errors.New("dkim: signature did not verify"), result.Fail},
	} {
		r := with(t, Verifier{DNS: ourKeys()}, func(io.Reader, *dkim.VerifyOptions) ([]*dkim.Verification, error) {
			return []*dkim.Verification{{Err: c.err}}, dkim.ErrTooManySignatures
		}, sign(plainTags, plainMessage))
		if s := one(t, r, c.want); s.Reason.Code != "dkim-verifier-objects" {
			t.Errorf("%v: got the reason %s", c.err, s.Reason)
		}
	}
	r := with(t, Verifier{DNS: ourKeys()}, func(io.Reader, *dkim.VerifyOptions) ([]*dkim.Verification, error) {
		return nil, broken
	}, sign(plainTags, plainMessage))
	if s := one(t, r, result.TempError); !errors.Is(s.Cause, broken) {
		t.Errorf("got the cause %v, want %v", s.Cause, broken)
	}
}

// It takes each error of a look-up that is no temporary net.Error for permanent.
func TestLibraryGetsNetErrors(t *testing.T) {
	t.Parallel()
	zone := dnstest.Zone(t, txt("a.example.org", "x")+`
b.example.org. A 192.0.2.1
;FAULT SERVFAIL s.example.org. TXT
;FAULT TIMEOUT t.example.org. TXT
`)
	k := &keys{dns: zone, seen: map[string]keyAnswer{}}
	for _, c := range []struct {
		name                          string
		temporary, timeout, isMissing bool
	}{
		{"s.example.org", true, false, false}, {"t.example.org", true, true, false},
		{"b.example.org", false, false, true}, {"none.example.org", false, false, true},
	} {
		_, err := k.texts(t.Context(), c.name)
		e, ok := err.(*net.DNSError) // as the library looks at it
		if !ok {
			t.Fatalf("%s: %v is no *net.DNSError", c.name, err)
		}
		if e.IsTemporary != c.temporary || e.IsTimeout != c.timeout || e.IsNotFound != c.isMissing {
			t.Errorf("%s: got %+v", c.name, e)
		}
	}
	if got, err := k.texts(t.Context(), "A.example.org"); err != nil || len(got) != 1 || got[0] != "x" {
		t.Errorf("a.example.org: got %q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.texts(ctx, "late.example.org"); err == nil {
		t.Error("the look-up does not end with the context")
	}
}

// What it reads otherwise than RFC 6376 does: there our own verification has the word.
func TestLibraryIsOverruled(t *testing.T) {
	t.Parallel()
	tab := ourKeys()
	tab["rsa._domainkey.example.org"] = strings.Replace(tab["rsa._domainkey.example.org"], "AAOCA", "AAO\tCA", 1)
	yesterday := func() time.Time { return time.Unix(1000000000, 0) }
	for _, c := range []struct {
		name, tags string
		keys       texts
		now        func() time.Time
	}{
		{"its clock is not ours", tagsWith("x=1000000001"), ourKeys(), yesterday},
		{"d= and i= in other cases", tagsWith("i=@EXAMPLE.org"), ourKeys(), nil},
		{"i= is quoted-printable", tagsWith("i=ann=40example.org"), ourKeys(), nil},
		{"a tab in p=", plainTags, tab, nil},
		{"b= inside of z=", tagsWith("z=Subject:a=20b=20c"), ourKeys(), nil},
		{"DKIM-Signature signed as absent", tagsWith("h=From:DKIM-Signature"), ourKeys(), nil},
	} {
		m := sign(c.tags, plainMessage)
		if alone(t, c.keys, m) == nil {
			t.Errorf("%s: go-msgauth passes it by itself: no guard is needed", c.name)
		}
		s := checked(t, Verifier{DNS: c.keys, Now: c.now}, m).Signatures[0]
		if s.Word != result.Pass {
			t.Errorf("%s: got %s (%s; %v), want pass", c.name, s.Word, s.Reason, s.Cause)
		}
	}
}

// What it passes and we do not.
func TestLibraryIsLax(t *testing.T) {
	t.Parallel()
	record := rsaRecord(&rsaKey().PublicKey, "t=s; ")
	for _, c := range []struct {
		name, message, record string
		want                  result.Code // of the reason
	}{
		{"t=s", sign(tagsWith("i=@mail.example.org"), plainMessage), record, "dkim-key-strict"},
		{"x= before t=", sign(tagsWith("t=4102444801", "x=4102444800"), plainMessage), record, "dkim-expires-before-signed"},
		{"h= of 201 names", sign(tagsWith("h=From"+strings.Repeat(":X", 200)), plainMessage), record, "dkim-too-many-names"},
		{"d= is no domain", sign(tagsWith("d=a'b.example.org"), plainMessage), record, "dkim-signature-tag-unusable"},
	} {
		keys := texts{"rsa._domainkey.example.org": c.record, "rsa._domainkey.a'b.example.org": c.record}
		if err := alone(t, keys, c.message); err != nil {
			t.Errorf("%s: go-msgauth refuses it by itself (%v): no guard is needed", c.name, err)
		}
		s := checked(t, Verifier{DNS: keys}, c.message).Signatures[0]
		if s.Word == result.Pass || s.Reason.Code != c.want {
			t.Errorf("%s: got %s (%s), want no pass and %s", c.name, s.Word, s.Reason, c.want)
		}
	}
}

// A message that is its header alone is an error to go-msgauth, for all signatures at once.
func TestLibraryNeedsTheEmptyLine(t *testing.T) {
	t.Parallel()
	m := sign(plainTags, "From: ann@example.org\r\n")
	if alone(t, ourKeys(), m) == nil {
		t.Error("go-msgauth passes it by itself: no guard is needed")
	}
	one(t, checked(t, Verifier{DNS: ourKeys()}, m), result.Pass)
}

// A body of over 1 MiB is hashed by go-msgauth only where its hash is right, and one with very many
// empty lines in a row not at all: it is quadratic in them.
func TestLibraryIsNotAskedInVain(t *testing.T) {
	t.Parallel()
	big := plainMessage + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 1<<14+1)
	small := plainMessage
	for _, c := range []struct {
		name, message string
		changed       bool
		asked         int32
	}{
		{"empty lines", plainMessage + strings.Repeat("\r\n", 1000), false, 1},
		{"very many empty lines", plainMessage + strings.Repeat("\r\n", longRun), false, 0},
		{"very many empty lines inside", plainMessage + strings.Repeat("\r\n", longRun) + "x", false, 0},
		{"big and right", big, false, 1}, {"big and wrong", big, true, 0}, {"small and wrong", small, true, 1},
	} {
		m := sign(tagsWith("c=simple"), c.message)
		want := result.Pass
		if c.changed {
			m, want = m+"x", result.Fail
		}
		var asked atomic.Int32
		s := with(t, Verifier{DNS: ourKeys()}, func(r io.Reader, o *dkim.VerifyOptions) ([]*dkim.Verification, error) {
			asked.Add(1)
			return dkim.VerifyWithOptions(r, o)
		}, m).Signatures[0]
		if asked.Load() != c.asked || s.Word != want {
			t.Errorf("%s: asked %d times, %s; want %d and %s", c.name, asked.Load(), s.Word, c.asked, want)
		}
	}
}

// agree compares both opinions on every signature of a message that both can read; it gives how many
// those are.
func agree(t testing.TB, v Verifier, fields mail.Fields, body mail.Data) (n int) {
	t.Helper()
	c := v.over(v.Digest(t.Context(), fields, body))
	for _, s := range c.verdicts(t.Context())[:c.evaluated] {
		if slices.ContainsFunc(rules, func(r rule) bool { return r(s, c.now) != nil }) || !c.answerable(s) {
			continue
		}
		n++
		own, lib := c.verify(s), c.ask(t.Context(), s)
		if !lib.asked || lib.recovered != nil {
			t.Errorf("go-msgauth did not answer: %+v", lib)
			continue
		}
		if passes := own.word == result.Pass; passes != (lib.err == nil) && !(lib.err != nil && isOverruled(lib.err)) {
			t.Errorf("signature %d: ours is %s (%s), go-msgauth's is %v", s.Index, own.word, own.reason, lib.err)
		}
		// Whoever passes must have found the body's hash right.
		if lib.err == nil && s.HashComputed != s.HashClaimed {
			t.Errorf("signature %d: go-msgauth passes it, our body hash is %s, claimed %s", s.Index, s.HashComputed, s.HashClaimed)
		}
	}
	return n
}

func TestBothAgreeOnAllCases(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("../testdata/cases/*/message.eml")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no cases", err)
	}
	var n atomic.Int32
	t.Run("cases", func(t *testing.T) {
		for _, file := range dirs {
			t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
				t.Parallel()
				zone, err := os.ReadFile(filepath.Join(filepath.Dir(file), "zone.txt"))
				if err != nil {
					t.Fatal(err)
				}
				message, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				fields, body := split(t, string(message))
				n.Add(int32(agree(t, Verifier{DNS: dnstest.Zone(t, string(zone))}, fields, body)))
			})
		}
	})
	if n.Load() < 8 {
		t.Errorf("both were asked about %d signatures, want 8 at least", n.Load())
	}
}

func TestBothAgreeOnAllForms(t *testing.T) {
	t.Parallel()
	n, want := 0, 0
	for _, canon := range []string{"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"} {
		for _, body := range []string{"", "\r\n", "a", "a\r\n", " \r\n\r\n", "a \t b \r\n\r\nc\r\n\r\n\r\n", "\r\n a", "x\ny\n"} {
			for _, field := range []string{"", "X: a\r\n b \r\n", "x :  a\r\n\t b\r\n", "X:\r\n"} {
				m := field + "From: ann@example.org\r\nX: 1\r\n\r\n" + body
				fields, data := split(t, sign(tagsWith("c="+canon, "h=From:X:X:X"), m))
				n += agree(t, Verifier{DNS: ourKeys()}, fields, data)
				want++
				if s := (Verifier{DNS: ourKeys()}).Check(t.Context(), fields, data).Signatures[0]; s.Word != result.Pass {
					t.Errorf("%s, %q: got %s (%s)", canon, m, s.Word, s.Reason)
				}
			}
		}
	}
	if n != want {
		t.Errorf("both were asked about %d signatures, want %d", n, want)
	}
}

// Whenever go-msgauth passes a message our body hash is that of bh=, and it passes what the signer of the
// tests made: for bodies of all that a canonicalisation looks at.
func TestBothAgreeOnRandomBodies(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6376, 4))
	pieces := []string{"\r\n", "\r\n", "\r\n\r\n", "\n", "\r", " ", "  ", "\t", "a", "two words", strings.Repeat("line upon line \r\n", 2000)}
	n, passes := 0, 0
	for i := range 200 {
		var body strings.Builder
		for range random.IntN(20) {
			body.WriteString(pieces[random.IntN(len(pieces)-min(i%20, 1))]) // the long one is rare
		}
		canon := []string{"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"}[i%4]
		m := sign(tagsWith("a=ed25519-sha256", "s=ed", "c="+canon), "From: ann@example.org\r\n\r\n"+body.String())
		if i%5 == 0 {
			m += "x"
		}
		fields, data := split(t, m)
		n += agree(t, Verifier{DNS: ourKeys()}, fields, data)
		if words(Verifier{DNS: ourKeys()}.Check(t.Context(), fields, data)) == "pass" {
			passes++
		}
	}
	if n < 120 || passes != 160 {
		t.Errorf("both were asked about %d of 200, %d pass; want 120 at least and 160", n, passes)
	}
}
