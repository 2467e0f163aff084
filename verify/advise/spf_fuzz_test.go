package advise_test

import (
	"strings"
	"testing"

	"checkauth/verify/advise"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// FuzzMended: what is made of any text can be read, says the same when it is read again, and has every
// mechanism that could be read before.
func FuzzMended(f *testing.F) {
	for _, text := range []string{
		"v=spf1 mx -all", "v=spf ip4:192.0.2.1 -all", "v=spf1 ipv4:192.0.2.1, include: example.org - all", "V=SPF1 -all ip4:192.0.2.1",
		"\"v=spf1 a ~all\"", "v=spf1 include=example.org ip4:192.0.2.0/24a any", "spf1 a v=spf1 mx redirect=example.org all", "v=spf-all",
		"v=spf1 a:%{i}.example.org exp=x.example.org foo=bar", "v=spf1 ip6:2001:db8::1/ ip4:2001:db8::1 redirect=a.example.org redirect=b.example.org",
	} {
		f.Add(text, "")
		f.Add("v=spf1 a ?all", text)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		texts := []string{one}
		if two != "" {
			texts = append(texts, two)
		}
		got := advise.Mended("example.org", texts...)
		p, err := spf.Parse(got)
		if err != nil {
			t.Fatalf("%q: %q cannot be read: %v", texts, got, err)
		}
		if again := advise.Mended("example.org", got); again != got {
			t.Fatalf("%q: %q becomes %q when mended again", texts, got, again)
		}
		for _, text := range texts {
			keepsReadable(t, text, p)
		}
	})
}

// keepsReadable: each mechanism of a record in order stands in the new one.
func keepsReadable(t *testing.T, text string, mended *spf.Policy) {
	t.Helper()
	old, err := spf.Parse(text)
	if err != nil || spf.Plain(text) != text || strings.ContainsAny(text, "\t\n\v\f\r") {
		return
	}
	for _, d := range old.Terms {
		if d.Modifier || d.Name == "all" {
			continue
		}
		found := false
		for _, m := range mended.Terms {
			found = found || m.Name == d.Name && sameTarget(m, d)
		}
		if !found {
			t.Fatalf("%q: %q lost %q", text, mended.String(), d.Text)
		}
	}
}

func sameTarget(x, y spf.Directive) bool {
	plain := func(d spf.Directive) string {
		name := strings.ToLower(strings.TrimSuffix(d.Domain, "."))
		if name == "" && !d.Addr.IsValid() {
			name = "example.org"
		}
		return name
	}
	if x.Addr.IsValid() {
		n, m := x.Mask4, y.Mask4
		if x.Addr.Is6() {
			n, m = x.Mask6, y.Mask6
		}
		a, _ := x.Addr.Prefix(n)
		b, _ := y.Addr.Prefix(m)
		return a == b
	}
	return plain(x) == plain(y) && x.Mask4 == y.Mask4 && x.Mask6 == y.Mask6
}

func TestMended(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ want, one, two string }{
		{"v=spf1 mx ~all", "v=spf1 mx -all", "v=spf1 mx ~all"},
		{"v=spf1 a mx redirect=b.example.org", "v=spf1 a", "v=spf1 mx redirect=b.example.org"},
		{"v=spf1 a include:b.example.org -all", "v=spf1 a -all", "v=spf1 redirect=b.example.org"},
		{"v=spf1 include:a.example.org include:b.example.org ~all", "v=spf1 redirect=a.example.org", "v=spf1 redirect=b.example.org"},
		{"v=spf1 -all", "v=spf -all", ""},
		{"v=spf1 -all", "v=spf1-all", ""},
		{"v=spf1 mx ~all", "v=spf1; mx alll", ""},
		{"v=spf1 a mx -all", "v=spf1 a -all v=spf1 mx ~all", ""},
		{"v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all", "v=spf1 ip4:192.0.2.1,ip4:192.0.2.2 -all", ""},
		{"v=spf1 ip4:192.0.2.1 include:example.net -all", "v=spf1 ip4=192.0.2.1 include=example.net -all", ""},
		{"v=spf1 ip6:2001:db8::1 ~all", "v=spf1 ip4:2001:db8::1 ~all", ""},
		{"v=spf1 ip4:192.0.2.1 ?all exp=x.example.org", "v=spf1 exp=x.example.org ?all ip4:192.0.2.1/", ""},
	} {
		texts := []string{c.one}
		if c.two != "" {
			texts = append(texts, c.two)
		}
		if got := advise.Mended("example.org", texts...); got != c.want {
			t.Errorf("%q: got %q, want %q", texts, got, c.want)
		}
	}
}

// An all that was only guessed at lets nobody pass.
func TestMended_no_mistake_lets_everybody_pass(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"v=spf1 any", "v=spf1 mx alll", "v=spf1 a +al", "v=spf1 all.", "v=spf1 all,"} {
		p, err := spf.Parse(advise.Mended("example.org", text))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range p.Terms {
			if d.Name == "all" && d.Qualifier == result.Pass {
				t.Errorf("%q: got %q", text, p)
			}
		}
	}
}
