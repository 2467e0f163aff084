package compose

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/result"
)

// large makes a report whose every unbounded place is as large as it may come in.
func large(t testing.TB) (*verify.Report, string) {
	t.Helper()
	r, _ := load(t, "all-well")
	d := r.Checks[2]
	for i := range 4 {
		k := d
		s := *d.Details.DKIM
		s.Index = i + 1
		s.CanonHeader = bytes.Repeat([]byte("x: \xc3\xa9\xc3\xa9\xc3\xa9\r\n"), 1600)
		s.CanonBody = bytes.Repeat([]byte{0xff}, 2048)
		k.Details.DKIM = &s
		r.Checks = append(r.Checks, k)
	}
	for i := range 10 {
		r.Checks[0].Evidence = append(r.Checks[0].Evidence, result.Evidence{Name: fmt.Sprintf("n%d.example.org", i), Type: "TXT", Rcode: "NOERROR",
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
		if len(e.Body) > 64<<10 {
			t.Errorf("class %s: %d octets, want 64 KiB at most", class, len(e.Body))
		}
		parts := takeApart(t, e.Body).parts
		// QP and MIME add to what was counted; most of the bound is used all the same.
		if len(e.Body) < 32<<10 {
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
	for _, c := range []struct {
		size, parts int
		said        []string
	}{
		{64 << 10, 3, nil},
		{29000, 2, []string{"small: headers.txt"}},
		{16 << 10, 1, []string{"small: headers.txt", "small: report.json"}},
		{8 << 10, 1, []string{"small: headers.txt", "small: report.json", "The rest of this text is left out"}},
	} {
		r, body := load(t, "all-well")
		e, err := composer(t, func(cfg *Config) { cfg.Size = c.size }).Reply(r, policy.Decision{Class: policy.Proved}, body, now)
		if err != nil {
			t.Fatal(err)
		}
		parts := takeApart(t, e.Body).parts
		if len(e.Body) > c.size || len(parts) != c.parts {
			t.Errorf("%d octets allowed: got %d in %d parts, want %d parts", c.size, len(e.Body), len(parts), c.parts)
		}
		for _, s := range c.said {
			if !strings.Contains(flat(parts[0]), s) {
				t.Errorf("%d octets allowed: the text does not say %q", c.size, s)
			}
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
		for i, p := range []string{got.parts[0], got.parts[2]} {
			for _, dead := range []string{"://", "WWW."} {
				if at := strings.Index(p, dead); at >= 0 {
					t.Errorf("class %s, text %d: a live link: %q", class, i, p[max(at-40, 0):at+20])
				}
			}
		}
		if !strings.Contains(got.parts[0], `IN TXT https\058//evil.example/pay include:www.example.org`) {
			t.Errorf("class %s: the record cannot be copied", class)
		}
	}
}

func TestOriginal_header_is_bounded(t *testing.T) {
	t.Parallel()
	for _, class := range []policy.Class{policy.Proved, policy.Open} {
		r, raw := large(t)
		body := within(t, r, raw)
		got := strings.Join(composer(t).original(r, class, body), "\n")
		if len(got) > 24<<10 || !strings.Contains(got, "more fields left out]") {
			t.Errorf("class %s: %d octets of the original, want 16 KiB of header and what was left out", class, len(got))
		}
	}
}
