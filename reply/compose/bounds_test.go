package compose

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/result"
)

// large makes a report whose every unbounded place is as large as it may come in.
func large(t testing.TB) (*verify.Report, string) {
	t.Helper()
	r, _ := load(t, "all-well")
	d := r.Checks[2]
	for i := range 4 {
		k := d
		s := *result.Detail[dkim.Signature](d)
		s.Index = i + 1
		s.CanonHeader = bytes.Repeat([]byte("x: \xc3\xa9\xc3\xa9\xc3\xa9\r\n"), 1600)
		s.CanonBody = bytes.Repeat([]byte{0xff}, 2048)
		k.Detail = &s
		r.Checks = append(r.Checks, k)
	}
	for i := range 10 {
		r.Checks[0].Evidence = append(r.Checks[0].Evidence, result.Evidence{Name: fmt.Sprintf("_n%d.example.org", i), Type: "TXT", Rcode: "NOERROR",
			Data: []string{`"` + strings.Repeat("y", 4000) + `"`}})
	}
	var raw strings.Builder
	for i := range 450 {
		fmt.Fprintf(&raw, "Received: from h%d.example.org\r\n\tby %s\r\n", i, strings.Repeat("z", 90))
	}
	raw.WriteString("\r\n" + strings.Repeat("body\r\n", 50_000))
	return r, raw.String()
}

func TestHostile_43_size_is_bounded(t *testing.T) {
	t.Parallel()
	for _, class := range []policy.Class{policy.Proved, policy.Open} {
		r, raw := large(t)
		e, err := composer(t).Reply(r, policy.Decision{Class: class}, within(t, r, raw), now)
		if err != nil {
			t.Fatal(err)
		}
		most := 64 << 10
		if class == policy.Open {
			most = unprovedSize
		}
		if len(e.Body) > most {
			t.Errorf("class %s: %d octets, want %d at most", class, len(e.Body), most)
		}
		parts := takeApart(t, e.Body).parts
		// QP and MIME add to what was counted; most of the bound is used all the same.
		if len(e.Body) < most/2 {
			t.Errorf("class %s: %d octets, so more was left out than had to be", class, len(e.Body))
		}
		if !strings.Contains(parts[0], "Summary of Results") || !strings.Contains(flat(parts[0]), "to keep this mail small") {
			t.Errorf("class %s: the text has no summary, or does not say what was left out", class)
		}
	}
}

// flat undoes the wrapping.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestReply_leaves_out_whole_parts_and_says_so(t *testing.T) {
	t.Parallel()
	r, body := load(t, "all-well")
	c := composer(t)
	reply := func(size int) taken {
		c.cfg.Size = size
		e, err := c.Reply(r, policy.Decision{Class: policy.Proved}, body, now)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Body) > size {
			t.Errorf("%d octets allowed: got %d", size, len(e.Body))
		}
		return takeApart(t, e.Body)
	}
	const all = "text/plain text/html application/json text/rfc822-headers"
	var kinds []string
	for size := 64 << 10; size >= 8<<10; size -= 256 {
		got := reply(size)
		if k := strings.Join(got.kinds, " "); len(kinds) == 0 || kinds[len(kinds)-1] != k {
			kinds = append(kinds, k)
		}
		for _, p := range []struct{ kind, name string }{{"text/html", "text/html"}, {"application/json", "report.json"}, {"text/rfc822-headers", "headers.txt"}} {
			if left := !slices.Contains(got.kinds, p.kind); left != strings.Contains(flat(got.parts[0]), "small: "+p.name) {
				t.Errorf("%d octets allowed: %s is left out: %t, and the text says otherwise", size, p.name, left)
			}
		}
	}
	if first, last := kinds[0], kinds[len(kinds)-1]; first != all || last != "text/plain" || !slices.Contains(kinds, "text/plain application/json") {
		t.Errorf("got %q, want all of it, at some size text and JSON, and text alone in the end", kinds)
	}
	if got := reply(8 << 10); !strings.Contains(flat(got.parts[0]), "The rest of this text is left out") {
		t.Error("8 KiB allowed: the text does not say that its rest is left out")
	}
}

// A size that has not even room for a signature leaves the note alone.
func TestReply_of_a_size_that_nothing_fits_in(t *testing.T) {
	t.Parallel()
	r, body := load(t, "all-well")
	for _, size := range []int{1, signatureSpace - 1, signatureSpace} {
		c := composer(t)
		c.cfg.Size = size
		e, err := c.Reply(r, policy.Decision{Class: policy.Proved}, body, now)
		if err != nil || !strings.Contains(flat(takeApart(t, e.Body).parts[0]), "The rest of this text is left out") {
			t.Errorf("%d octets: got %v, %q", size, err, e.Body)
		}
	}
}

// What strangers write into HELO, the DNS and the message stands in the report, and no link in it lives.
// Names that have to be copied into a zone stay as they are.
func TestHostile_43_no_link_of_a_stranger_lives(t *testing.T) {
	t.Parallel()
	for _, class := range []policy.Class{policy.Proved, policy.Open} {
		r, _ := load(t, "hostile")
		spread(r, "https://evil.example/pay include:www.example.org")
		e, err := composer(t).Reply(r, policy.Decision{Class: class}, data("see HTTP://evil.example/ or WWW.evil.example\r\n"), now)
		if err != nil {
			t.Fatal(err)
		}
		got := takeApart(t, e.Body)
		for i, p := range got.parts {
			if strings.HasPrefix(got.kinds[i], "application/json") {
				continue
			}
			for _, dead := range []string{"://", "WWW."} {
				if at := strings.Index(p, dead); at >= 0 {
					t.Errorf("class %s, text %d: a live link: %q", class, i, p[max(at-40, 0):at+20])
				}
			}
		}
		if class == policy.Proved && !strings.Contains(got.parts[0], `IN TXT https\058//evil.example/pay include:www.example.org`) {
			t.Errorf("class %s: the record cannot be copied", class)
		}
	}
}

func TestOriginal_header_is_bounded(t *testing.T) {
	t.Parallel()
	for _, class := range []policy.Class{policy.Proved} { // nobody else sees it
		r, raw := large(t)
		body := within(t, r, raw)
		got := strings.Join(composer(t).original(r, class, body), "\n")
		if len(got) > 24<<10 || !strings.Contains(got, "more fields left out]") {
			t.Errorf("class %s: %d octets of the original, want 16 KiB of header and what was left out", class, len(got))
		}
	}
}

// What administrators get is whole: the bound is for what strangers write.
func TestReply_of_a_usual_case_is_whole(t *testing.T) {
	t.Parallel()
	for _, g := range given {
		// Eleven includes with all their records leave no room for the page, nor two records with seven actions in half the size.
		if strings.HasPrefix(g.name, "hostile") || g.name == "spf-eleven-lookups" || g.name == "spf-two-records" {
			continue
		}
		r, body := load(t, g.name)
		e, err := composer(t).Reply(r, decision(r, g.class), body, now)
		if err != nil {
			t.Fatal(err)
		}
		whole := 4
		if g.class == policy.Open { // without the header; what programs read goes first
			whole = 2
		}
		if got := takeApart(t, e.Body); len(got.parts) < whole || got.kinds[1] != "text/html" {
			t.Errorf("%s: %d octets, parts %q", g.name, len(e.Body), got.kinds)
		}
		t.Logf("%s: %d octets", g.name, len(e.Body))
	}
}
