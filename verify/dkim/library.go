package dkim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/mail"
	"checkauth/verify/panics"
)

// library is go-msgauth's verifier; tests put another in its place.
type library func(io.Reader, *dkim.VerifyOptions) ([]*dkim.Verification, error)

// opinion is what go-msgauth says of one signature.
type opinion struct {
	asked     bool
	err       error // of the signature, or of reading the message; nil is a pass
	recovered any   // what it panicked with
}

// kept is an opinion and the answer for the key that it was given with.
type kept struct {
	key     keyAnswer
	opinion opinion
}

// ask gives go-msgauth's opinion of one signature. What depends on the key alone is asked once a key.
func (c *check) ask(ctx context.Context, s *signature) opinion {
	key := c.keys.at(ctx, s.KeyName)
	if k, ok := c.opinions[s.Index]; ok && k.key.same(key) {
		return k.opinion
	}
	o := c.askNow(ctx, s)
	if o.err == nil || isOfSignature(o.err) {
		c.opinions[s.Index] = kept{key, o}
	}
	return o
}

// same tells whether a verifier learns the same of two answers.
func (a keyAnswer) same(b keyAnswer) bool {
	if a.err != nil || b.err != nil {
		return a.err != nil && b.err != nil && a.err.Kind == b.err.Kind
	}
	return slices.Equal(a.answer.Texts(), b.answer.Texts())
}

// isOfSignature tells whether an error of go-msgauth is about the signature; others are the reader's. Of its three
// types of such errors two can be asked for; what they have in common is how they begin.
func isOfSignature(err error) bool { return strings.HasPrefix(err.Error(), "dkim: ") }

// askNow has go-msgauth verify one signature. With two and more it starts goroutines, where a panic ends
// the process and a failing reader leaks; so the field is moved to the top and it is told to stop after
// the first. The fields are picked from the bottom, so that what is on top changes nothing.
func (c *check) askNow(ctx context.Context, s *signature) (o opinion) {
	defer panics.Recover(func(r *panics.Recovered) { o = opinion{asked: true, recovered: r.Value} })
	verifications, err := c.library(c.withOnTop(ctx, s), &dkim.VerifyOptions{
		MaxVerifications: 1,
		LookupTXT:        func(string) ([]string, error) { return c.keys.texts(ctx, s.KeyName) },
	})
	switch {
	case err != nil && !errors.Is(err, dkim.ErrTooManySignatures):
		return opinion{asked: true, err: err}
	case len(verifications) != 1:
		return opinion{}
	}
	return opinion{asked: true, err: verifications[0].Err}
}

// withOnTop is the whole message with one signature moved up.
func (c *check) withOnTop(ctx context.Context, s *signature) io.Reader {
	var b bytes.Buffer
	b.Write(s.raw)
	for i, raw := range c.header.raw {
		if i != c.header.signs[s.Index] {
			b.Write(raw)
		}
	}
	b.Write(crlf)
	return &onTop{head: &b, body: &ctxReader{ctx, c.body.Reader()}}
}

// onTop is a header and its body, one after the other.
type onTop struct {
	head *bytes.Buffer
	body io.Reader
}

func (j *onTop) Read(p []byte) (int, error) {
	if j.head.Len() > 0 {
		return j.head.Read(p)
	}
	return j.body.Read(p)
}

// WriteTo implements io.WriterTo.
func (j *onTop) WriteTo(w io.Writer) (int64, error) {
	n, err := j.head.WriteTo(w)
	if err != nil {
		return n, err
	}
	m, err := mail.Copy(w, j.body)
	return n + m, err
}

// ctxReader ends with its context, so that no reading outlives it.
type ctxReader struct {
	ctx context.Context
	io.Reader
}

func (r *ctxReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// valueOfB is how go-msgauth finds the value of b= in the field.
var valueOfB = regexp.MustCompile(`b\s*=[^;]+`)

// answerable tells whether go-msgauth reads this signature as RFC 6376 does. Where it does not, our own
// verification decides.
func (c *check) answerable(s *signature) bool {
	switch {
	case s.Length != nil:
		// It refuses any l=, which RFC 6376, 3.5 allows.
		return false
	case len(valueOfB.FindAllIndex(s.raw, 2)) != 1:
		// Another tag has "b=" in it (z= and i= may: b=20 is "b" and a space): it would be cut out.
		return false
	case c.bodies[s.bodyForm()].bareCR && s.Body == relaxed || s.Header == relaxed && c.header.bareCR(s):
		// It takes a bare CR for white space.
		return false
	case s.names(fieldName) > len(c.header.signs)-1-s.Index:
		// It would take the field itself for one that h= names, once those below are used up.
		return false
	case s.Body == simple && c.bodies[s.bodyForm()].run > longRun:
		// It copies the empty lines that it holds back at every read: ten signatures over 10 MiB of them
		// took a minute.
		return false
	case c.body.Size > bigBody && !s.BodyVerifies:
		// RFC 6376, 6.1.3: a wrong body hash decides alone, and hashing 10 MiB again tells nothing new.
		return false
	}
	return true
}

// bigBody is where hashing the body once more costs too much to be done for nothing.
const bigBody = 1 << 20

// longRun is how many empty lines in a row go-msgauth is asked about: as many as it reads at once.
const longRun = 16 << 10

// overruled are objections of go-msgauth that RFC 6376 does not share, by how they begin: all of them have
// one type there, a permanent failure. Our rules have looked at each of these points before it was asked.
var overruled = []string{
	"dkim: signature has expired",     // by a clock that is not ours
	"dkim: domain mismatch",           // d= and i= compared with their case, i= not decoded
	"dkim: key syntax error",          // tabs and folds in p=
	"dkim: malformed time",            // t= beyond 64 bits
	"dkim: malformed expiration time", // the same of x=
}

func isOverruled(err error) bool {
	if !dkim.IsPermFail(err) {
		return false
	}
	for _, prefix := range overruled {
		if strings.HasPrefix(err.Error(), prefix) {
			return true
		}
	}
	return false
}

var errPanic = errors.New("the verifier failed by our own fault")

func panicError(value any) error { return fmt.Errorf("%w: %v", errPanic, value) }
