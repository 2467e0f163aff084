package spf_test

import (
	"testing"

	"checkauth/verify/spf"
)

func TestPlain_puts_back_what_was_typed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"v=spf1 mx -all", "v=spf1 mx -all"},
		{`"v=spf1 mx -all"`, "v=spf1 mx -all"},
		{"v=spf1 mx \u2013all", "v=spf1 mx -all"},
		{"v=spf1\u00a0mx \u223call", "v=spf1 mx ~all"},
		{"v=spf1 a:\u200bmail.example.org -all\ufeff", "v=spf1 a:mail.example.org -all"},
	} {
		if got := spf.Plain(c.text); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}
