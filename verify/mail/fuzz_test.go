package mail

import (
	"bytes"
	netmail "net/mail"
	"strings"
	"testing"

	"checkauth/verify/naming"
)

// Whatever comes in: no octet is lost, every field lies within its bounds, and a split message is whole.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "A: 1\r\n", "A: 1\n\nx", "A : 1\r\n 2\r\n\r\nx", "x\r\n y\r\n", "\r\n", "A: \r\r\n\r\n", ": \x00\n \n\t",
		"From\r\n : <a@example.org>\r\nAuthentication-Results: (x mx.example.org; spf=pass\r\n",
	} {
		f.Add([]byte(s))
	}
	bounds := Bounds{Bytes: 200, Fields: 10, Folds: 5}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkSplit(t, b, bounds)
		end, body, ok := HeaderEnd(b)
		if end > body || body > len(b) || !ok && end != len(b) {
			t.Fatalf("header end %d, body %d, %t of %d", end, body, ok, len(b))
		}
		fs, err := Parse(b[:end], bounds)
		if err != nil {
			return
		}
		if got := fs.Bytes(); !bytes.Equal(got, b[:end]) {
			t.Fatalf("got %q, want %q", got, b[:end])
		}
		if len(fs) > bounds.Fields || end > bounds.Bytes {
			t.Fatalf("%d fields in %d octets", len(fs), end)
		}
		for _, field := range fs {
			checkField(t, field, bounds)
		}
	})
}

func checkField(t *testing.T, f Field, b Bounds) {
	t.Helper()
	if n := bytes.Count(f.Raw, []byte("\n")); n > b.Folds+1 || len(f.Raw) == 0 {
		t.Fatalf("%q has %d lines", f.Raw, n)
	}
	if strings.ContainsAny(f.Value(), "\n") || strings.ContainsAny(f.Name, " \t:\r\n\x00") {
		t.Fatalf("name %q, value %q", f.Name, f.Value())
	}
	if f.Name != "" && (!f.Is(strings.ToUpper(f.Name)) || !bytes.HasPrefix(f.Raw, []byte(f.Name))) {
		t.Fatalf("%q is not %q", f.Raw, f.Name)
	}
	ClaimsAuthserv(f, "mx.example.org")
}

func checkSplit(t *testing.T, b []byte, bounds Bounds) {
	t.Helper()
	fs, body, err := Split(Data{At: bytes.NewReader(b), Size: int64(len(b))}, bounds)
	if err != nil {
		return
	}
	between := int64(len(b)-len(fs.Bytes())) - body.Size
	if between < 0 || between > 2 || body.Off+body.Size != int64(len(b)) {
		t.Fatalf("%d octets between a header of %d and a body of %d", between, len(fs.Bytes()), body.Size)
	}
}

// An author domain is a host name, comes with no problem, and is what every mailbox has, also for the
// standard library where that can read the list.
func FuzzParseFrom(f *testing.F) {
	for _, s := range []string{
		"From: a@example.org\r\n", "From: A B <a@example.org>, \"c d\"@EXAMPLE.org (x (y))\r\n",
		"From: <a@example.org>:<b@example.net>\r\n", "From: <@x,@y:a@example.org>\r\n", "From : a@example.org\r\n",
		"From: =?utf-8?q?=3Ca=40b=3E?= <a@b\xc3\xbccher.example>\r\n", "From: <a@example.org>\\,<b@example.net>\r\n",
		"From: a@b\x00.example\r\nFrom\r\n : x@y\r\n", "From: g: a@example.org;\r\n", "From: a@[192.0.2.1]\r\n",
		"From: \"\\\"\" <\"a\\\"b\"@example.org>\r\n", "From: a@xn--a.example, a@\xe3\x80\x82\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fs, err := Parse(b, DefaultBounds())
		if err != nil {
			return
		}
		got := ParseFrom(fs)
		if (got.Domain == "") == (got.Problem == "") || len(got.Addresses) > MaxAddresses {
			t.Fatalf("%q: %+v", b, got)
		}
		if (got.Fault == "") != (got.Column == 0) || got.Column < 0 || got.Column > len(got.Raw)+1 {
			t.Fatalf("%q: %s at %d", b, got.Fault, got.Column)
		}
		if got.Domain != "" {
			checkAuthor(t, got)
		}
	})
}

func checkAuthor(t *testing.T, f From) {
	t.Helper()
	if f.Fields != 1 || len(f.Addresses) == 0 || strings.ContainsAny(f.Raw, "\x00\r\n") {
		t.Fatalf("a domain of %+v", f)
	}
	if d, ok := naming.Host(f.Domain); !ok || d != f.Domain {
		t.Fatalf("%q is no author domain", f.Domain)
	}
	for _, a := range f.Addresses {
		if d, ok := naming.Host(a.Domain); !ok || d != f.Domain {
			t.Fatalf("%q is not of %q", a.Domain, f.Domain)
		}
	}
	list, err := netmail.ParseAddressList(f.Raw)
	if err != nil {
		return
	}
	for _, a := range list {
		written := a.Address[strings.LastIndexByte(a.Address, '@')+1:]
		if d, _ := naming.Host(written); d != f.Domain {
			t.Fatalf("%q: net/mail reads %q, we %q", f.Raw, a.Address, f.Domain)
		}
	}
}
