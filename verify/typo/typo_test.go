package typo

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"spf-pass", "dkim-pass", "tls", "spf-or-dkim"}
	for _, c := range [][2]string{
		{"spf-pas", "spf-pass"}, {"dkmi-pass", "dkim-pass"}, {"spf_or_dkim", "spf-or-dkim"}, {"tsl", ""}, {"tl", "tls"}, {"quota", ""}, {"", ""},
	} {
		if got := Nearest(c[0], names); got != c[1] {
			t.Errorf("%q: got %q, want %q", c[0], got, c[1])
		}
	}
}
