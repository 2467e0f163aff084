package client

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"checkauth/verify/dns"
)

// Every name that may be asked for goes out and comes back as it was.
func FuzzName(f *testing.F) {
	for _, s := range []string{"example.org", "A.B", `\.`, `\046`, "\xff.\x00", strings.Repeat("abcdefg.", 31) + "abcde"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !dns.Askable(name) {
			return
		}
		name = dns.Canonical(name)
		if got := overWire(t, name); got != name {
			t.Fatalf("%q came back as %q", name, got)
		}
	})
}

// types that a response is read for.
var fuzzTypes = []dns.Type{dns.TXT, dns.A, dns.AAAA, dns.MX, dns.NS, dns.PTR, dns.CNAME, dns.SOA, dns.SPF, dns.TLSA, 257, 46}

// FuzzResponse reads bytes as the response to a question of the given type.
func FuzzResponse(f *testing.F) {
	for i, kind := range fuzzTypes {
		for _, lines := range [][]string{
			{`example.org. TXT "a\"\\\000\255" ""`, "example.org. A 192.0.2.1", "example.org. AAAA 2001:db8::1"},
			{"example.org. MX 10 a\\.b.example.org.", "example.org. NS a.example.", "example.org. PTR .", `example.org. SPF "x"`},
			{"example.org. CNAME a.example.org.", "a.example.org. CNAME b.example.org.", `b.example.org. TXT "x"`},
			{"example.org. TLSA 3 1 1 00ff", "example.org. SOA a. b. 1 2 3 4 5", `example.org. CAA 0 issue "x"`},
		} {
			m := new(mdns.Msg).SetQuestion("example.org.", uint16(kind))
			m.Response = true
			for _, line := range lines {
				rr, err := mdns.NewRR(line)
				if err != nil {
					f.Fatal(err)
				}
				m.Answer = append(m.Answer, rr)
			}
			packed, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(byte(i), packed)
		}
	}
	c := testClient(f, nil)
	f.Fuzz(func(t *testing.T, kind byte, packed []byte) {
		q := dns.Ask("example.org", fuzzTypes[int(kind)%len(fuzzTypes)])
		query := c.query(q, false)
		if len(packed) > 65535 {
			return
		}
		if len(packed) >= 2 {
			query.Id = binary.BigEndian.Uint16(packed)
		}
		m, err := match(query, packed)
		if err != nil {
			return
		}
		if e := verdict(m); e != nil {
			checkError(t, e)
			return
		}
		w := newWalk(q)
		if e := w.take(m); e != nil {
			checkError(t, e)
			return
		}
		checkAnswer(t, w.answer)
		if !w.done && !dns.Askable(w.question().Name) {
			t.Fatalf("asks for %q next", w.question().Name)
		}
	})
}

func checkError(t *testing.T, e *dns.Error) {
	t.Helper()
	if !slices.Contains([]dns.Kind{dns.ServFail, dns.Bogus, dns.Lame, dns.Refused, dns.Malformed, dns.Chain}, e.Kind) {
		t.Fatalf("the kind %q does not come from a message", e.Kind)
	}
	if len(e.Detail) > 300 {
		t.Fatalf("the detail has %d octets", len(e.Detail))
	}
}

// checkAnswer asserts what every answer must be, whatever bytes it was made of.
func checkAnswer(t *testing.T, a dns.Answer) {
	t.Helper()
	at, octets := a.Question.Name, 0
	for _, link := range a.Chain {
		if link.Type != dns.CNAME || link.Name != at {
			t.Fatalf("the chain %+v does not lead from %q", a.Chain, a.Question.Name)
		}
		at = link.Target
	}
	if len(a.Chain) > dns.MaxChain {
		t.Fatalf("%d links", len(a.Chain))
	}
	for _, r := range a.Records {
		if r.Type != a.Question.Type || r.Name != at {
			t.Fatalf("the record %+v is not of %q %s", r, at, a.Question.Type)
		}
		switch {
		case r.Type == dns.A && !r.Addr.Is4(), r.Type == dns.AAAA && r.Addr.BitLen() != 128:
			t.Fatalf("%s: %s", r.Type, r.Addr)
		case r.Target != dns.Canonical(r.Target+"."):
			t.Fatalf("the target %q is not canonical", r.Target)
		}
		octets += len(r.Text())
		checkStrings(t, r)
	}
	if octets > 64<<10 {
		t.Fatalf("%d octets of text", octets)
	}
	if a.NX && len(a.Records) > 0 {
		t.Fatal("records of a name that does not exist")
	}
	for _, s := range a.Evidence().Data {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is not as in a zone file", s)
		}
	}
}

// checkStrings: what is printed as zone text means the same strings.
func checkStrings(t *testing.T, r dns.Record) {
	t.Helper()
	if r.Type != dns.TXT || len(r.Strings) == 0 {
		return
	}
	rr, err := mdns.NewRR("example.org. 300 IN TXT " + r.Data())
	if err != nil {
		t.Fatalf("%s: %v", r.Data(), err)
	}
	if got := texts(rr.(*mdns.TXT).Txt); !slices.Equal(got, r.Strings) {
		t.Fatalf("%s means %q, want %q", r.Data(), got, r.Strings)
	}
}
