package mail

import (
	"testing"
)

func TestRFC5321_4_4_received(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"from mx.example.org (mx.example.org [192.0.2.44])\r\n\tby fwd.example with ESMTPS id 1; Mon, 17 Nov 2025 09:12:45 +0000": "mx.example.org 192.0.2.44 fwd.example",
		"from [192.0.2.7] by mx.example (Postfix) id 2; date":                                                                     "[192.0.2.7] 192.0.2.7 mx.example",
		"from a (unknown [IPv6:2001:db8::1]) (using TLS) by b (x [198.51.100.1]); date":                                           "a 2001:db8::1 b",
		"from a ([ipv6:::ffff:192.0.2.1]) by b":                                                                                   "a 192.0.2.1 b",
		"by mx.example with local id 3":                                                                                           " invalid IP mx.example",
		"(qmail 123 invoked by uid 0); date":                                                                                      " invalid IP uid",
		"from a ([999.1.1.1]) by b; from c ([192.0.2.1])":                                                                         "a invalid IP b",
		"from a ([fe80::1%eth0]) by b":                                                                                            "a invalid IP b",
		"from":                                                                                                                    " invalid IP ",
		"":                                                                                                                        " invalid IP ",
	} {
		fs, err := Parse([]byte("Received: "+value+"\r\n"), DefaultBounds())
		if err != nil {
			t.Fatal(err)
		}
		h := fs.Received()
		if len(h) != 1 {
			t.Fatalf("%q: %d hops", value, len(h))
		}
		if got := h[0].Helo + " " + h[0].IP.String() + " " + h[0].By; got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

func FuzzReceived(f *testing.F) {
	f.Add("from a (b [192.0.2.1]) by c; date")
	f.Add("from [[ by by [::")
	f.Fuzz(func(t *testing.T, value string) {
		h := hop(value)
		if h.IP.IsValid() && (h.IP.Zone() != "" || h.IP.Is4In6()) {
			t.Fatalf("%q: %s", value, h.IP)
		}
	})
}
