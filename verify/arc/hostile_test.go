package arc

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// but tells of each question.
func (z texts) but(told func(dns.Question)) dns.Resolver {
	return dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		told(q)
		return z.Resolve(ctx, q)
	})
}

func TestHostile_75(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 100000 {
		fmt.Fprintf(&many, "ARC-Seal: i=%d; cv=pass\r\nARC-Message-Signature: i=%d\r\nARC-Authentication-Results: i=%d; a\r\n", i, i, i)
	}
	r := checked(t, nobody(t), many.String()+plain)
	want(t, r, result.Fail, `arc-over-50-sets count="100000"`, "arc-fail-count")
	if len(r.Instances) != 0 {
		t.Errorf("%d instances were read", len(r.Instances))
	}
	// As many as are looked at, all wrong in each way.
	for _, field := range []string{"ARC-Seal: i=51; cv=pass\r\n", "ARC-Seal: i=1; cv=none\r\n", "ARC-Seal: " + strings.Repeat("a=;", 100) + "\r\n"} {
		if r := checked(t, nobody(t), strings.Repeat(field, 50)+plain); r.Word != result.Fail || len(r.Findings) > shownFaults+1 {
			t.Errorf("%q: got %s (%s), %d findings; want fail", field, r.Word, r.Reason, len(r.Findings))
		}
	}
}

func TestHostile_75_keys(t *testing.T) {
	t.Parallel()
	var zone strings.Builder
	var hops []hop
	for i := range 20 {
		domain := fmt.Sprintf("k%d.example.org", i)
		zone.WriteString(txt("ed._domainkey."+domain, edRecord()))
		hops = append(hops, hop{domain: domain})
	}
	server := dnstest.New(t, zone.String())
	want(t, checked(t, server.Client(t), chainOf(plain, hops[:10]...)), result.Pass, `arc-chain-verifies count="10"`, "arc-present")
	asked := len(server.Queries())
	r := checked(t, server.Client(t), chainOf(plain, hops...))
	want(t, r, result.TempError, `dns-budget name="ed._domainkey.k9.example.org" type="TXT"`, "arc-present dns-budget")
	if n := len(server.Queries()) - asked; n != maxKeys || asked != maxKeys {
		t.Errorf("%d and %d key look-ups, want %d each", asked, n, maxKeys)
	}
}

// Fifty signatures of each form of the body cost one reading of it.
func TestHostile_75_lengths(t *testing.T) {
	t.Parallel()
	m := "From: ann@example.org\r\n\r\n" + strings.Repeat("line\r\n", 5000)
	var hops []hop
	for i := range 50 {
		hops = append(hops, hop{domain: "h1.example.org", message: fmt.Sprintf("l=%d; ", 1000+i), canon: []string{"simple/simple", "relaxed/relaxed"}[i%2]})
	}
	hops[49].message = ""
	fields, body := split(t, chainOf(m, hops...))
	counted := &counter{ReaderAt: body.At}
	body.At = counted
	r := Evaluator{DNS: ours()}.Check(t.Context(), fields, body)
	sound(t, r)
	if r.Word != result.Pass || *r.OldestPass != 50 {
		t.Errorf("got %s (%s), oldest pass %v; want pass, 50", r.Word, r.Reason, r.OldestPass)
	}
	if counted.n > body.Size {
		t.Errorf("%d octets read of %d", counted.n, body.Size)
	}
}

type counter struct {
	ReaderAt interface {
		ReadAt([]byte, int64) (int, error)
	}
	n int64
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

func TestJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(checked(t, ours(), chainOf(plain, hop{claims: "mx<b>.example.org; x=\x1b[2J"})))
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(b, &back); err != nil || len(back.Instances) != 1 || back.OldestPass == nil {
		t.Fatalf("%s: %v", b, err)
	}
	for _, want := range []string{`"length":1`, `"oldest_pass":0`, `"cv":"none"`, `"key_name":"ed._domainkey.h1.example.org"`, `"result":"pass"`, `"results":"x=\\x1b[2J"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

// FuzzSets: whatever the fields say, no set but 1 to 50 is kept, and what is complete has all its fields.
func FuzzSets(f *testing.F) {
	f.Add(chainOf("", hop{}, hop{}))
	f.Add("ARC-Authentication-Results: i=1\\")
	f.Add("ARC-Authentication-Results: i=(\\")
	f.Add("ARC-Seal: i=51;;i=1\r\nARC-Authentication-Results: (x)i=1(;\r\nARC-Message-Signature: I=1\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := mail.Parse([]byte(text), mail.DefaultBounds())
		if err != nil {
			t.Skip()
		}
		c := read(fields)
		if c.length < 0 || c.length > maxSets {
			t.Fatalf("length %d", c.length)
		}
		faults := c.structure()
		r := c.facts()
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		for _, in := range r.Instances {
			if s := in.Authserv + in.Results; s != result.Clean(s) || len(s) > 255+shownClaims {
				t.Fatalf("%q is not clean", s)
			}
		}
		if len(faults) > 0 || c.count == 0 {
			return
		}
		if c.length == 0 {
			t.Fatal("no fault, and no chain")
		}
		for i := 1; i <= c.length; i++ {
			if c.sets[i].count != [kinds]int{1, 1, 1} {
				t.Fatalf("no fault, and instance %d has %v", i, c.sets[i].count)
			}
		}
	})
}

// FuzzCheck: a pass is never given to a chain that was not sealed by the tests' signer: any change within
// what the seals cover is seen.
func FuzzCheck(f *testing.F) {
	f.Add(chainOf(plain, hop{}))
	f.Add(chainOf(plain, hop{}, hop{selector: "rsa"}))
	f.Add(chainOf(plain, hop{cv: "fail"}))
	f.Add(without(chainOf(plain, hop{}, hop{}), "ARC-Seal", 1))
	keys := ours()
	f.Fuzz(func(t *testing.T, message string) {
		fields, body, err := mail.Split(mail.Data{At: strings.NewReader(message), Size: int64(len(message))}, mail.DefaultBounds())
		if err != nil {
			t.Skip()
		}
		asked := 0
		r := Evaluator{DNS: dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
			asked++
			return keys.Resolve(ctx, q)
		})}.Check(t.Context(), fields, body)
		sound(t, r)
		if asked > maxKeys {
			t.Fatalf("%d questions", asked)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		if r.Word == result.Pass {
			again(t, keys, fields, body)
		}
	})
}

// again: a chain that passes fails once its last word is another.
func again(t *testing.T, keys dns.Resolver, fields mail.Fields, body mail.Data) {
	t.Helper()
	for i, f := range fields {
		if !f.Is("ARC-Authentication-Results") {
			continue
		}
		changed := append(mail.Fields{}, fields...)
		changed[i].Raw = append(append([]byte{}, strings.TrimRight(string(f.Raw), " \t\r\n")...), "x\r\n"...)
		if r := (Evaluator{DNS: keys}).Check(t.Context(), changed, body); r.Word == result.Pass {
			t.Fatalf("passes with %q in place of %q", changed[i].Raw, f.Raw)
		}
	}
}
