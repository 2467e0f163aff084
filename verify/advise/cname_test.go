package advise_test

import (
	"slices"
	"strings"
	"testing"

	"checkauth/verify"
	"checkauth/verify/result"
)

func TestRFC1034_3_6_2_nothing_is_advised_beside_a_CNAME(t *testing.T) {
	t.Parallel()
	const world = `
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
example.org.             MX  10 mx.example.org.
mx.example.org.          A   192.0.2.1
`
	for _, c := range []struct {
		name, zone, sender string
		at                 string // owner name of the record that is advised, none where empty
		cname              bool   // it is told that there is one
	}{
		{"the return path of a service", `
em12.example.org.    CNAME u12.vendor.example.
u12.vendor.example.  TXT "v=spf1 ip4:198.51.100.0/24 ~all"
u12.vendor.example.  MX 10 mx.vendor.example.
_dmarc.example.org.  TXT "v=DMARC1; p=none"`, "b@em12.example.org", "", false},
		{"a name of the domain's own", `
news.example.org.    CNAME web.example.org.
web.example.org.     TXT "v=spf1 ip4:198.51.100.0/24 ~all"
web.example.org.     TXT "another"
_dmarc.example.org.  TXT "v=DMARC1; p=none"`, "b@news.example.org", "web.example.org", false},
		{"the DMARC record of a service", `
example.org.         TXT "v=spf1 mx -all"
_dmarc.example.org.  CNAME d1.vendor.example.
d1.vendor.example.   TXT "v=DMARC1; p=rejct"`, "a@example.org", "_dmarc.example.org", true},
		{"a service that is gone", `
example.org.         TXT "v=spf1 mx -all"
_dmarc.example.org.  CNAME d1.vendor.example.`, "a@example.org", "_dmarc.example.org", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := advised(t, world+c.zone+"\n", from("192.0.2.1", "mx.example.org", c.sender))
			i := slices.IndexFunc(r.Actions, func(a verify.Action) bool { return a.Type == "TXT" })
			switch {
			case i < 0:
				if c.at != "" || !gives(r, "action-spf-cname") {
					t.Errorf("no record; %+v", r.Actions)
				}
				return
			case r.Actions[i].Name != c.at || !strings.HasPrefix(r.Actions[i].Zone, c.at+". "):
				t.Errorf("got %s, want %s", r.Actions[i].Zone, c.at)
			}
			told := slices.ContainsFunc(r.Actions[i].Before, func(b result.Reason) bool { return b.Code == "before-cname" })
			if told != c.cname || r.Actions[i].Proof == nil {
				t.Errorf("CNAME told %t, want %t; %+v", told, c.cname, r.Actions[i])
			}
		})
	}
}

func TestRFC1034_3_6_2_a_key_behind_a_CNAME_is_mended(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"keys.example.org", "keys.vendor.example"} {
		r := advisedOf(t, `
1.2.0.192.in-addr.arpa.    PTR mx.example.org.
example.org.               MX  10 mx.example.org.
mx.example.org.            A   192.0.2.1
example.org.               TXT "v=spf1 mx -all"
s._domainkey.example.org.  CNAME `+target+`.
`+target+`.                TXT "`+strings.ReplaceAll(keyText(), ";", "")+"\"\n", signed(t, "example.org", plain))
		if len(r.Actions) == 0 || r.Actions[0].Value != keyText() || r.Actions[0].Before[0].Code != "before-cname" || r.Actions[0].Proof.DKIM != result.Pass {
			t.Errorf("%s: %+v", target, r.Actions)
		}
	}
}
