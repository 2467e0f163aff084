package advise_test

import (
	"slices"
	"strings"
	"testing"

	"checkauth/verify"
	"checkauth/verify/result"
)

func gives(r *verify.Report, code result.Code) bool {
	return slices.ContainsFunc(r.Actions, func(a verify.Action) bool { return a.Code == code })
}

// Whoever signs in his own name what he sends in another's is no service of the author's for that.
func TestAdvice_has_no_stranger_sign_for_the_author(t *testing.T) {
	t.Parallel()
	const world = `
1.2.0.192.in-addr.arpa.  PTR mail.attacker.example.
mail.attacker.example.   A   192.0.2.1
example.org.             MX  10 mx.example.org.
mx.example.org.          A   198.51.100.9
_dmarc.example.org.      TXT "v=DMARC1; p=none"
`
	for _, c := range []struct {
		name, zone, sender string
		want               bool
	}{
		{"in the name of the sender, who says nothing of it", `example.org. TXT "v=spf1 mx ~all"`, "a@example.org", false},
		{"refuted", `example.org. TXT "v=spf1 mx -all"`, "a@example.org", false},
		{"the sender lists the server", `example.org. TXT "v=spf1 mx ip4:192.0.2.1 ~all"`, "a@example.org", true},
		{"an envelope of its own", `attacker.example. TXT "v=spf1 ip4:192.0.2.1 -all"`, "b@attacker.example", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			raw := signed(t, "attacker.example", plain)
			r := advisedOf(t, world+keyLine("attacker.example")+c.zone+"\n", raw, from("192.0.2.1", "mail.attacker.example", c.sender))
			if got := gives(r, "action-align"); got != c.want {
				t.Errorf("action-align %t, want %t\n%+v", got, c.want, r.Actions)
			}
		})
	}
}

// Where the envelope is the author's own its SPF record counts, and nothing else is said.
func TestAdvice_tells_what_the_signature_of_a_service_is_good_for(t *testing.T) {
	t.Parallel()
	for sender, want := range map[string]result.Code{"a@example.org": "why-align-own", "b@service.example": "why-align"} {
		r := advisedOf(t, keyLine("service.example")+`
1.2.0.192.in-addr.arpa.  PTR mail.service.example.
mail.service.example.    A   192.0.2.1
service.example.         TXT "v=spf1 ip4:192.0.2.1 -all"
example.org.             TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.org.      TXT "v=DMARC1; p=none"
`, signed(t, "service.example", plain), from("192.0.2.1", "mail.service.example", sender))
		i := slices.IndexFunc(r.Actions, func(a verify.Action) bool { return a.Code == "action-align" })
		if i < 0 || r.Actions[i].Why.Code != want {
			t.Errorf("%s: want %s; %+v", sender, want, r.Actions)
		}
	}
}

// A name below the domain may be somebody else's, and the key there his own.
func TestAdvice_publishes_no_key_of_a_strangers_name(t *testing.T) {
	t.Parallel()
	for record, want := range map[string]bool{"v=spf1 ip4:198.51.100.1 ~all": false, "v=spf1 ip4:192.0.2.1 ~all": true} {
		r := advisedOf(t, `
1.2.0.192.in-addr.arpa.  PTR mail.attacker.example.
mail.attacker.example.   A   192.0.2.1
s.example.org.           TXT "`+keyText()+`"
example.org.             TXT "`+record+"\"\n", signed(t, "example.org", plain), from("192.0.2.1", "mail.attacker.example", "a@example.org"))
		if got := gives(r, "action-key-publish"); got != want {
			t.Errorf("%s: %t, want %t\n%+v", record, got, want, r.Actions)
		}
	}
}

// RFC 1035, 3.3.14: what a panel has made two records of is one.
func TestAdvice_joins_a_key_that_lies_in_pieces(t *testing.T) {
	t.Parallel()
	whole := keyText()
	r := advisedOf(t, `
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
example.org.             MX  10 mx.example.org.
mx.example.org.          A   192.0.2.1
example.org.             TXT "v=spf1 mx -all"
s._domainkey.example.org. TXT "`+whole[:40]+`"
s._domainkey.example.org. TXT "`+whole[40:]+`"
`, signed(t, "example.org", plain))
	if len(r.Actions) == 0 || r.Actions[0].Value != whole || r.Actions[0].Proof.DKIM != result.Pass || len(r.Actions[0].Replaces) != 2 {
		t.Errorf("%+v\n%+v", r.Actions, r.Findings)
	}
}

// Who is refuted is told nothing that would have his signature verify.
func TestAdvice_gives_a_refuted_sender_no_key(t *testing.T) {
	t.Parallel()
	const world = `
1.2.0.192.in-addr.arpa.  PTR mail.attacker.example.
mail.attacker.example.   A   192.0.2.1
`
	for _, c := range []struct {
		name, key string
		code      result.Code
	}{
		{"no key", "", "action-key-missing"},
		{"revoked", "s._domainkey.example.org. TXT \"v=DKIM1; p=\"\n", "action-key-revoked"},
		{"for another service", "s._domainkey.example.org. TXT \"" + strings.Replace(keyText(), "k=", "s=tlsrpt; k=", 1) + "\"\n", "action-key-without"},
	} {
		for all, want := range map[string]bool{"-all": false, "~all": true} {
			t.Run(c.name+" "+all, func(t *testing.T) {
				t.Parallel()
				zone := world + c.key + `example.org. TXT "v=spf1 ip4:198.51.100.1 ` + all + `"` + "\n"
				r := advisedOf(t, zone, signed(t, "example.org", plain), from("192.0.2.1", "mail.attacker.example", "a@example.org"))
				if got := gives(r, c.code); got != want {
					t.Errorf("%s %t, want %t\n%+v\n%+v", c.code, got, want, r.Actions, r.Findings)
				}
			})
		}
	}
}

// Nobody can publish anything at a name that is not public.
func TestRFC6762_a_local_sender_is_told_to_send_as_a_domain(t *testing.T) {
	t.Parallel()
	for _, sender := range []string{"root@srv.local", "www-data@localhost.localdomain"} {
		raw := strings.ReplaceAll(plain, "a@example.org", sender)
		r := advisedOf(t, "1.2.0.192.in-addr.arpa. PTR mail.example.net.\nmail.example.net. A 192.0.2.1\n", raw, from("192.0.2.1", "mail.example.net", sender))
		if len(r.Actions) == 0 || r.Actions[0].Code != "action-spf-sender" || gives(r, "action-dmarc-first") || gives(r, "action-sign") {
			t.Errorf("%s: %+v", sender, r.Actions)
		}
	}
}
