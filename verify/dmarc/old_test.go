package dmarc_test

import (
	"testing"

	"checkauth/verify/dmarc"
	"checkauth/verify/result"
)

// RFC 7489, 6.6.3: the author's record, else the registered domain's, and no other.
func TestRFC7489_6_6_3_policy_discovery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, author, zone, old, why string }{
		{"the author's own", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject"`, "", ""},
		{"sp of the registered domain", "a.b.example.org", `
a.b.example.org. A 192.0.2.1
_dmarc.example.org. TXT "v=DMARC1; p=reject; sp=none"`, "", ""},
		{"nobody's", "example.org", "", "", ""},
		{"np is not known", "ghost.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; np=none"`, "fail/reject", "np=none"},
		{"nor is t", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=quarantine; t=y"`, "fail/quarantine", "t=y"},
		{"pct=0 is obeyed", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; pct=0"`, "fail/quarantine", "pct=0"},
		{"pct between is said by its own finding", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; pct=30"`, "", ""},
		{"pct that is none", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; pct=x"`, "", ""},
		{"a public suffix's is not asked", "a.example.org", `
a.example.org. A 192.0.2.1
_dmarc.org. TXT "v=DMARC1; p=reject; psd=y"`, "none", "psd=y"},
		{"nor one in between", "a.b.example.org", `
a.b.example.org. A 192.0.2.1
_dmarc.b.example.org. TXT "v=DMARC1; p=reject"`, "none", "public suffix list"},
		{"psd=n is not known", "a.b.example.org", `
a.b.example.org. A 192.0.2.1
_dmarc.b.example.org. TXT "v=DMARC1; p=reject; psd=n"
_dmarc.example.org. TXT "v=DMARC1; p=none"`, "fail/none", "psd=n"},
		{"two at the author end it", "a.example.org", `
a.example.org. A 192.0.2.1
_dmarc.a.example.org. TXT "v=DMARC1; p=none"
_dmarc.a.example.org. TXT "v=DMARC1; p=quarantine"
_dmarc.example.org. TXT "v=DMARC1; p=reject"`, "none", "2 x _dmarc.a.example.org"},
		{"a faulty np does not matter", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; np=x"`, "fail/reject", "np"},
		{"a faulty sp does, as it does now", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; sp=x; rua=mailto:d@example.org"`, "", ""},
		{"no p, no reports: none for both", "example.org", `_dmarc.example.org. TXT "v=DMARC1"`, "", ""},
		{"a name that the walk does not ask", "a.b.c.d.e.f.g.h.example.org", `
_dmarc.d.e.f.g.h.example.org. TXT "v=DMARC1; p=reject; psd=n"
_dmarc.example.org. TXT "v=DMARC1; p=quarantine"`, "fail/quarantine", "psd=n"},
		{"a private suffix", "a.github.io", `
a.github.io. A 192.0.2.1
_dmarc.github.io. TXT "v=DMARC1; p=reject"`, "none", "public suffix list"},
		{"a DNS error is no view", "a.b.c.d.e.f.g.h.example.org", `
_dmarc.d.e.f.g.h.example.org. TXT "v=DMARC1; p=reject; psd=n"
;FAULT SERVFAIL _dmarc.example.org. TXT`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, c.zone, query(c.author))
			f, found := finding(r, "dmarc-old-view-differs")
			if found != (r.Old != nil) || found != (c.old != "") || f.Args.Get("old") != c.old || f.Args.Get("why") != c.why {
				t.Errorf("got %+v and %v, want %q because of %q; now %s/%s", f, r.Old, c.old, c.why, r.Word, r.Policy)
			}
			if found && f.Severity != result.Info {
				t.Errorf("got %s, want info", f.Severity)
			}
		})
	}
}

// RFC 7489, 3.1: relaxed alignment compares the registered domains.
func TestRFC7489_3_1_alignment(t *testing.T) {
	t.Parallel()
	inside := `
_dmarc.a.example.org. TXT "v=DMARC1; p=reject; psd=n"
_dmarc.example.org. TXT "v=DMARC1; p=reject`
	for _, c := range []struct {
		name, zone, author string
		identifiers        []string
		word, old          result.Word
	}{
		{"an organisation within one", inside + `"`, "a.example.org", []string{"dkim pass example.org"}, result.Fail, result.Pass},
		{"by SPF", inside + `"`, "a.example.org", []string{"spf pass b.example.org"}, result.Fail, result.Pass},
		{"customers of a suffix", `_dmarc.co.uk. TXT "v=DMARC1; p=reject"`, "a.co.uk", []string{"dkim pass b.co.uk"}, result.Pass, result.None},
		{"what is not told may align", inside + `"`, "a.example.org", []string{"dkim temperror b.example.org"}, result.Fail, result.TempError},
		{"what fails does not", inside + `"`, "a.example.org", []string{"dkim fail b.example.org"}, result.Fail, ""},
		{"strict", `_dmarc.a.example.org. TXT "v=DMARC1; p=reject; psd=n; adkim=s"`, "a.example.org", []string{"dkim pass b.example.org"}, result.Fail, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, c.zone, query(c.author, c.identifiers...))
			var old result.Word
			if r.Old != nil {
				old = r.Old.Word
			}
			if r.Word != c.word || old != c.old {
				t.Errorf("got %s, by the old rules %q; want %s, %q", r.Word, old, c.word, c.old)
			}
		})
	}
}

func TestRFC7489_3_2_registered_domain(t *testing.T) {
	t.Parallel()
	r := check(t, `_dmarc.co.uk. TXT "v=DMARC1; p=reject"`, query("x.a.co.uk", "dkim pass b.co.uk"))
	if r.Old == nil || r.Old.Org != "a.co.uk" || r.Org != "co.uk" {
		t.Errorf("got %+v beside %q, want a.co.uk beside co.uk", r.Old, r.Org)
	}
}

// RFC 7489, 6.3: pct is told where there is a view at all.
func TestRFC7489_6_3_pct(t *testing.T) {
	t.Parallel()
	r := check(t, `_dmarc.example.org. TXT "v=DMARC1; p=reject; t=y; pct=25"`, query("example.org"))
	if r.Old == nil || r.Old.Pct != 25 || r.Old.Policy != "reject" {
		t.Errorf("got %+v, want reject for 25 of 100", r.Old)
	}
}

// What p=reject would do to a message.
func TestUnderReject(t *testing.T) {
	t.Parallel()
	const none = `_dmarc.example.org. TXT "v=DMARC1; p=none"`
	for _, c := range []struct {
		name, zone, author string
		identifiers        []string
		want               dmarc.UnderReject
		said               result.Code
	}{
		{"it passes", none, "example.org", []string{"dkim pass example.org"}, dmarc.WouldAccept, "dmarc-under-reject-passes"},
		{"it fails", none, "example.org", []string{"spf pass example.net"}, dmarc.WouldReject, "dmarc-under-reject-fails"},
		{"it is reject already", `_dmarc.example.org. TXT "v=DMARC1; p=reject"`, "example.org", nil, dmarc.WouldReject, ""},
		{"it is reject for testing", `_dmarc.example.org. TXT "v=DMARC1; p=reject; t=y"`, "example.org", nil, dmarc.WouldReject, "dmarc-under-reject-fails"},
		{"the DNS fails", ";FAULT SERVFAIL _dmarc.example.org. TXT", "example.org", nil, dmarc.WouldUnknown, ""},
		{"a signature is not told", none, "example.org", []string{"dkim temperror example.org"}, dmarc.WouldUnknown, ""},
		{"no record, a subdomain's signature", "", "a.example.org", []string{"dkim pass b.example.org"}, dmarc.WouldAccept, "dmarc-under-reject-passes"},
		{"no record, another's signature", "", "a.co.uk", []string{"dkim pass b.co.uk"}, dmarc.WouldReject, "dmarc-under-reject-fails"},
		{"no record, not told", "", "example.org", []string{"dkim temperror example.org"}, dmarc.WouldUnknown, ""},
		{"a record that cannot be used", `_dmarc.example.org. TXT "v=DMARC1; p=x"`, "example.org", []string{"spf pass example.org"}, dmarc.WouldAccept, "dmarc-under-reject-passes"},
		{"what applies is not known", `
_dmarc.example.org. TXT "v=DMARC1; p=reject; np=none"
;FAULT SERVFAIL a.example.org. A`, "a.example.org", []string{"dkim pass example.org"}, dmarc.WouldAccept, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := check(t, c.zone, query(c.author, c.identifiers...))
			passes, accepted := finding(r, "dmarc-under-reject-passes")
			fails, refused := finding(r, "dmarc-under-reject-fails")
			if r.UnderReject != c.want || accepted != (c.said == passes.Code && accepted) || refused != (c.said == fails.Code && refused) || (c.said != "") != (accepted || refused) {
				t.Errorf("got %s with %t, %t; want %s with %q", r.UnderReject, accepted, refused, c.want, c.said)
			}
		})
	}
}

func TestUnderReject_without_an_author(t *testing.T) {
	t.Parallel()
	q := query("", "spf pass example.org")
	if r := check(t, "", q); r.UnderReject != "" || r.Walks != nil {
		t.Errorf("got %q, %v, want nothing", r.UnderReject, r.Walks)
	}
}
