package dkim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// RFC 6376, 5.4.2: fields of one name are taken from the bottom, and one that is not there is signed as
// absent.
func TestRFC6376_5_4_2_order_of_fields(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	message := "X-A: 1\r\nFrom: ann@example.org\r\nX-A: 2\r\nTo: b@example.net\r\nx-a : 3\r\n\r\nHi\r\n"
	signed := sign(tagsWith("h=from:x-a:x-a:subject"), message)
	for _, c := range []struct {
		name, from, to string
		want           result.Word
	}{
		{"unchanged", "", "", result.Pass},
		{"the upper one is not signed", "X-A: 1", "X-A: one", result.Pass},
		{"the middle one is", "X-A: 2", "X-A: two", result.Fail},
		{"the lowest one is", "x-a : 3", "x-a : three", result.Fail},
		{"the names may change their case", "x-a : 3", "X-A:3", result.Pass},
		{"order among others does not count", "X-A: 2\r\nTo: b@example.net", "To: b@example.net\r\nX-A: 2", result.Pass},
		{"one was signed as absent", "From:", "Subject: x\r\nFrom:", result.Fail},
		{"one more below", "x-a : 3", "x-a : 3\r\nX-A: 4", result.Fail},
	} {
		s := checked(t, v, strings.Replace(signed, c.from, c.to, 1)).Signatures[0]
		if s.Word != c.want {
			t.Errorf("%s: got %s (%s), want %s", c.name, s.Word, s.Reason, c.want)
		}
	}
}

// RFC 6376, 5.4.2: the names in h= for which no field is left are told, as written and in order.
func TestRFC6376_5_4_2_names_that_take_no_field(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	for _, c := range []struct{ h, want string }{
		{"From:To:Subject", "[]"},
		{"from:From:To:Subject:FROM", "[From FROM]"},
		{"Cc:From:To:to:Cc", "[Cc to Cc]"},
		{"From:X-A:X-A:x-a", "[x-a]"},
		{"From:DKIM-Signature:dkim-signature", "[dkim-signature]"}, // the one below, never the field itself
	} {
		m := strings.Replace(plainMessage, "From:", "X-A: 1\r\nX-A: 2\r\nFrom:", 1)
		s := checked(t, v, sign(tagsWith("h="+c.h), sign(plainTags, m))).Signatures[0]
		if got := fmt.Sprint(s.OverSigned); got != c.want || s.Word != result.Pass {
			t.Errorf("h=%s: got %s, %s, want %s", c.h, got, s.Word, c.want)
		}
	}
}

// RFC 6376, 5.4: DKIM-Signature in h= means the other signatures, never the field itself.
func TestRFC6376_5_4_signatures_that_are_signed(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	first := sign(plainTags, plainMessage)
	for _, c := range []struct {
		name, tags string
		under      string
		want       string
	}{
		{"the one below", tagsWith("h=From:DKIM-Signature"), first, "pass pass"},
		{"the one below, and no other", tagsWith("h=From:DKIM-Signature:DKIM-Signature"), first, "pass pass"},
		{"none but itself", tagsWith("h=From:DKIM-Signature"), plainMessage, "pass"},
	} {
		signed := sign(c.tags, c.under)
		if got := words(checked(t, v, signed)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		// One more on top: RFC 6376, 5.4.2: it counts where h= names more than there were.
		want := "pass " + c.want
		if c.name != "the one below" {
			want = strings.Replace("pass "+c.want, "pass pass", "pass fail", 1)
		}
		if got := words(checked(t, v, sign(plainTags, signed))); got != want {
			t.Errorf("%s, and one more on top: got %s, want %s", c.name, got, want)
		}
	}
}

func words(r Result) string {
	var out []string
	for _, s := range r.Signatures {
		out = append(out, string(s.Word))
	}
	return strings.Join(out, " ")
}

// RFC 6376, 6.1.3: what was changed is told apart.
func TestRFC6376_6_1_3_changed_messages(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	for _, c := range []struct {
		name, tags, from, to string
		word                 result.Word
		codes                []result.Code
		body                 bool
	}{
		{"the body", plainTags, "Hello", "Hullo", result.Fail, []result.Code{"dkim-body-changed"}, false},
		{"white space of the body, relaxed", plainTags, "this  is it. ", "this is it.", result.Pass, nil, true},
		{"white space of the body, simple", tagsWith("c=relaxed/simple"), "this  is it. ", "this is it.", result.Fail, []result.Code{"dkim-body-changed"}, false},
		{"empty lines at the end", tagsWith("c=simple/simple"), "it. \r\n\r\n", "it. \r\n\r\n\r\n", result.Pass, nil, true},
		{"a signed field", plainTags, "A  test", "[list] A  test", result.Fail, []result.Code{"dkim-subject-tagged"}, true},
		{"white space of a field, relaxed", plainTags, "A  test", " A\r\n test ", result.Pass, nil, true},
		{"white space of a field, simple", tagsWith("c=simple"), "A  test", "A test", result.Fail, []result.Code{"dkim-header-changed"}, true},
		{"a field that is not signed", plainTags, "Subject:", "X-New: 1\r\nSubject:", result.Pass, nil, true},
		{"the field's own tags", plainTags, "d=example.org", "d=example.org; z=x", result.Fail, []result.Code{"dkim-header-changed"}, true},
		{"body and header", plainTags, "A  test\r\n\r\nHello", "B\r\n\r\nBye", result.Fail, []result.Code{"dkim-body-changed", "dkim-header-changed"}, false},
	} {
		m := strings.Replace(sign(c.tags, plainMessage), c.from, c.to, 1)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if s := one(t, checked(t, v, m), c.word, c.codes...); s.BodyVerifies != c.body {
				t.Errorf("body verifies: got %t, want %t", s.BodyVerifies, c.body)
			}
		})
	}
}

// RFC 6376, 6.1.3: the body is read as far as it goes; where the reading fails, nothing is known.
func TestRFC6376_6_1_3_body_that_cannot_be_read(t *testing.T) {
	t.Parallel()
	fields, _ := split(t, sign(plainTags, plainMessage))
	broken := errors.New("disk on fire")
	r := Verifier{DNS: world(t)}.Check(t.Context(), fields, mail.Data{At: failing{broken}, Size: 100})
	if s := one(t, r, result.TempError); !errors.Is(s.Cause, broken) {
		t.Errorf("cause: got %v, want %v", s.Cause, broken)
	}
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestRFC6376_6_1_several_signatures(t *testing.T) {
	t.Parallel()
	server := dnstest.New(t, txt("rsa._domainkey.example.org", rsaRecord(&rsaKey().PublicKey, "")))
	v := Verifier{DNS: server.Client(t)}
	m := sign(plainTags, strings.Replace(sign(tagsWith("s=none"), sign(tagsWith("c=simple"), plainMessage)), "c=simple", "c=relaxed", 1))
	r := checked(t, v, m)
	if got := words(r); got != "pass permerror fail" {
		t.Errorf("got %s, want pass permerror fail: each signature is judged by itself", got)
	}
	for i, s := range r.Signatures {
		if s.Index != i {
			t.Errorf("signature %d says that it is number %d", i, s.Index)
		}
	}
	if got := server.Queries(); len(got) != 2 {
		t.Errorf("asked %q, want each name once", got)
	}
}

func TestRFC6376_6_1_unsigned(t *testing.T) {
	t.Parallel()
	for _, fields := range []mail.Fields{nil, {}, {{Raw: []byte("DKIM-Signature\r\n")}}} {
		r := Verifier{}.Check(t.Context(), fields, mail.Data{})
		if len(r.Signatures) != 0 || fmt.Sprint(codes(r)) != "[dkim-not-signed]" {
			t.Errorf("%v: got %d signatures, %v", fields, len(r.Signatures), codes(r))
		}
	}
}

// RFC 6376, 3.5, l= and 8.2: what covers the whole body passes, what covers a part of it never does.
func TestRFC6376_8_2_l(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	length := fmt.Sprint(len(refBody(relaxed, "Hello,\r\n\r\n this  is it. \r\n\r\n")))
	for _, c := range []struct {
		name, tags, from, to string
		word                 result.Word
		codes                []result.Code
		reason               result.Code
	}{
		{"all of the body", tagsWith("l=" + length), "", "", result.Pass, []result.Code{"dkim-l-tag"}, "dkim-matches-from"},
		{"all of the body, and empty lines behind it that relaxed drops", tagsWith("l=" + length), "it. \r\n\r\n", "it. \r\n\r\n\r\n", result.Pass, []result.Code{"dkim-l-tag"}, "dkim-matches-from"},
		{"something appended", tagsWith("l=" + length), "it. \r\n\r\n", "it. \r\nBuy!\r\n", result.Policy, []result.Code{"dkim-l-tag-appended"}, "dkim-body-partly-signed"},
		{"nothing of the body", tagsWith("l=0"), "", "", result.Policy, []result.Code{"dkim-l-tag-appended"}, "dkim-body-partly-signed"},
		{"the signed part changed", tagsWith("l=10"), "Hello", "Hullo", result.Fail, []result.Code{"dkim-body-changed", "dkim-l-tag-appended"}, "dkim-body-hash-differs"},
		{"the header changed", tagsWith("l=" + length), "A  test", "B", result.Fail, []result.Code{"dkim-header-changed", "dkim-l-tag"}, "dkim-header-hash-differs"},
		{"the body was cut", tagsWith("l=" + length), " this  is it. ", "", result.Fail, []result.Code{"dkim-body-changed", "dkim-l-tag-beyond"}, "dkim-body-shorter-than-l"},
		{"l= beyond the body", tagsWith("l=99999"), "", "", result.Policy, []result.Code{"dkim-l-tag-beyond"}, "dkim-l-beyond-body"},
		{"l= of 76 digits", tagsWith("l=" + strings.Repeat("9", 76)), "", "", result.Policy, []result.Code{"dkim-l-tag-beyond"}, "dkim-l-beyond-body"},
	} {
		m := strings.Replace(sign(c.tags, plainMessage), c.from, c.to, 1)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if s := one(t, checked(t, v, m), c.word, c.codes...); s.Reason.Code != c.reason {
				t.Errorf("reason: got %s, want %s", s.Reason, c.reason)
			}
		})
	}
}

// RFC 6376, 8.15: a second field on top of a signed one.
func TestRFC6376_8_15_fields_put_on_top(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	for _, c := range []struct {
		name, tags, top string
		word            result.Word
		codes           []result.Code
	}{
		{"a second From", plainTags, "From: evil@example.net\r\n", result.Pass, []result.Code{"dkim-second-from"}},
		{"a second From, signed as absent", tagsWith("h=From:From"), "From: evil@example.net\r\n", result.Fail, []result.Code{"dkim-header-added"}},
		{"a second Subject and To", plainTags, "Subject: Pay\r\nTo: x@example.com\r\n", result.Pass, []result.Code{"dkim-second-field"}},
		{"a second Date that is not signed at all", plainTags, "Date: x\r\nDate: y\r\n", result.Pass, nil},
		{"Received", tagsWith("h=From:Received"), "Received: x\r\n", result.Fail, []result.Code{"dkim-header-added"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			one(t, checked(t, v, c.top+sign(c.tags, plainMessage)), c.word, c.codes...)
		})
	}
}

// The reasons of a pass are those that scripts know.
func TestReasonOfAPass(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: dnstest.Zone(t, txt("rsa._domainkey.example.org", rsaRecord(&rsaKey().PublicKey, ""))+
		txt("rsa._domainkey.mail.example.org", rsaRecord(&rsaKey().PublicKey, "")))}
	for _, c := range []struct{ from, tags, want string }{
		{"Ann <ann@example.org>", plainTags, `dkim-matches-from address="ann@example.org"`},
		{"ann@Sub.Example.Org", plainTags, `dkim-matches-from address="ann@Sub.Example.Org"`},
		{"ann@example.org", tagsWith("d=mail.example.org"), `dkim-matches-from address="ann@example.org"`},
		{"ann@notexample.org", plainTags, "dkim-matches-no-header"},
		{"undisclosed", plainTags, "dkim-matches-no-header"},
	} {
		m := strings.Replace(plainMessage, "Ann <ann@example.org>", c.from, 1)
		if s := one(t, checked(t, v, sign(c.tags, m)), result.Pass); s.Reason.String() != c.want {
			t.Errorf("From: %s, %s: got %s, want %s", c.from, c.tags, s.Reason, c.want)
		}
	}
}

// RFC 6376, 5.3 and RFC 5322, 4: messages that are odd in form are judged all the same.
func TestRFC6376_5_3_odd_messages(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: world(t)}
	bodiless := "From: ann@example.org\r\nSubject: x\r\n"
	for _, c := range []struct {
		name, message string
	}{
		{"header alone, without the empty line", sign(plainTags, bodiless)},
		{"header alone, without its last line end", strings.TrimSuffix(sign(plainTags, bodiless), "\r\n")},
		{"an empty body", sign(plainTags, bodiless+"\r\n")},
		{"bare LF for CRLF", strings.ReplaceAll(sign(plainTags, plainMessage), "\r\n", "\n")},
		{"a line that is no field", strings.Replace(sign(plainTags, plainMessage), "\r\nTo:", "\r\nno field\r\n still none\r\nTo:", 1)},
		{"a fold at the top", "  fold\r\n" + sign(plainTags, plainMessage)},
		{"a name that is not ASCII", "S\u00fcbject: x\r\n" + sign(plainTags, plainMessage)},
		{"white space before the colon", strings.Replace(sign(plainTags, plainMessage), "DKIM-Signature:", "DKIM-Signature \t:", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			one(t, checked(t, v, c.message), result.Pass)
		})
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	keys := texts{"rsa._domainkey.example.org": rsaRecord(&rsaKey().PublicKey, "")}
	fields, body := split(t, sign(plainTags, plainMessage))
	r := Verifier{DNS: keys}.Check(ctx, fields, body)
	if s := one(t, r, result.TempError); !errors.Is(s.Cause, over) {
		t.Errorf("cause: got %v, want %v", s.Cause, over)
	}
	if _, err := (&ctxReader{ctx, strings.NewReader("x")}).Read(make([]byte, 1)); !errors.Is(err, over) || errors.Is(err, io.EOF) {
		t.Errorf("read after the end: got %v", err)
	}
}
