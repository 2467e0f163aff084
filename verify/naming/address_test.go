package naming

import (
	"strings"
	"testing"
)

// One mailbox, however it is spelt.
func TestFold(t *testing.T) {
	t.Parallel()
	for want, spellings := range map[string][]string{
		"victim@example.org": {"victim@example.org", "VICTIM@Example.Org", "victim+1@example.org", "victim+a+b@example.org.", `"victim"@example.org`,
			"prvs=1234abcdef=victim@example.org", "prvs=victim=1234abcdef@example.org", "victim%example.org@example.org", "victim%localhost@example.org",
			"mx!victim@example.org", "mail.example.org!victim+x@example.org", "example.org!victim%example.org@example.org",
			"victim@example.org\u3002", "victim@example\uff0eorg", "victim@example\uff61org\uff61", "victim@\uff25xample.org", "btv1==0123==victim@example.org"},
		"victim@gmail.com":             {"v.i.c.t.i.m@gmail.com", "victim@googlemail.com", "vic.tim%gmail.com@gmail.com", "Vic.Tim+x@GoogleMail.com"},
		"victim@xn--bcher-kva.example": {"victim@bücher.example", "victim@BÜCHER.example", "victim@xn--bcher-kva.example"},
		"user=example.net@fwd.example": {"SRS0=abcd=XY=example.net=user@fwd.example", "srs0+ef01=ZZ=example.net=user@fwd.example",
			"SRS1=h=fwd.example==abcd=XY=example.net=user@fwd.example", "SRS0=abcd=XY=example.net=user+tag@fwd.example", "SRS0=abcd=XY=example.net=prvs=1234abcdef=user@fwd.example"},
		"user=example.net=fwd.example@second.example": {"SRS1=h=fwd.example==abcd=XY=example.net=user@second.example",
			"SRS1+hh=fwd.example==ef01=ZZ=example.net=user+tag@second.example"},
		"victim@proton.me":           {"victim@pm.me", "Victim+a@protonmail.com", "victim@protonmail.ch"},
		"victim@icloud.com":          {"victim@me.com", "victim@mac.com"},
		"victim@yandex.ru":           {"victim@ya.ru", "victim@yandex.com", "victim@yandex.kz"},
		"the-victim@yandex.ru":       {"the.victim@ya.ru", "the-victim@yandex.com", "The.Victim+x@yandex.by"},
		"thevictim@proton.me":        {"the.victim@pm.me", "the_victim@protonmail.com", "t-h-e-victim+x@proton.me", "TheVictim@protonmail.ch"},
		"victim@daum.net":            {"victim@hanmail.net", "Victim+x@hanmail2.net"},
		"victim@fastmail.com":        {"anything@victim.fastmail.com", "a.b+c@Victim.Fastmail.com", "victim+x@fastmail.com"},
		"the_victim@fastmail.fm":     {"the_victim@fastmail.fm", "y@the_victim.fastmail.fm"}, // the-victim may be somebody else
		"x@a.b.fastmail.com":         {"x@a.b.fastmail.com"},
		"thé-víctim@example.org":     {"the\u0301-vi\u0301ctim@example.org", "THÉ-VÍCTIM@example.org", "ｔhé-víctim@example.org", "thé-víctim\uff0bx@example.org"},
		"v.i.c@example.org":          {"v.i.c@example.org"},
		"prvs=x=y@example.org":       {"prvs=x=y@example.org"},
		"a=else.example@example.org": {"a%else.example@example.org", "else.example!a@example.org"},
		"%@example.org":              {"%@example.org"},
		"!a@example.org":             {"!a@example.org"},
		"+@example.org":              {"+@example.org"},
		"srs0=a=b@example.org":       {"SRS0=a=b@example.org"},
		"a@[192.0.2.1]":              {"A@[192.0.2.1]", "a@[IPv6:::ffff:192.0.2.1]"},
		"a@[2001:db8::1]":            {"a@[IPv6:2001:db8::1]", "a@[ipv6:2001:DB8:0:0::1]"},
		"ab@example.org":             {`"a b"@example.org`, `" ab"@example.org`, "\"a\tb \"@example.org"},
		"-@-bad-.example":            {"-@-bad-.example"},
		"nobody@":                    {"nobody"},
	} {
		for _, s := range spellings {
			if got := Fold(s); got != want {
				t.Errorf("%s: got %q, want %q", s, got, want)
			}
		}
	}
}

// FuzzFold: case makes no difference, and neither does a final dot.
func FuzzFold(f *testing.F) {
	for _, s := range []string{"a+b@Example.org", "prvs=1234abcdef=SRS0=a=b=c.example=d+e@gmail.com", "SRS1=h=x==a=b=c=d@bücher.example", `"a\"b+c"@x`, "@", "=@="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := Fold(s)
		if !isASCII(s) || strings.HasSuffix(s, ".") {
			t.Skip()
		}
		for _, other := range []string{strings.ToUpper(s), strings.ToLower(s), s + "."} {
			if got := Fold(other); strings.Contains(s, "@") && got != once {
				t.Fatalf("%q: %q, but %q: %q", s, once, other, got)
			}
		}
	})
}
