package advise_test

import (
	"slices"
	"strings"
	"testing"

	"checkauth/verify"
	"checkauth/verify/result"
)

// authorised is the record of an action that names the client as a sender; empty where there is none.
func authorised(r *verify.Report) string {
	for _, a := range r.Actions {
		if a.Type == "TXT" && strings.HasPrefix(a.Value, "v=spf1") {
			return a.Value
		}
	}
	return ""
}

// What a stranger chooses, HELO and the name of his address, authorises nobody; what the sender's own zone
// says does.
func TestAdvice_needs_a_link_from_the_sender(t *testing.T) {
	t.Parallel()
	const stranger = `
1.2.0.192.in-addr.arpa.  PTR mail.attacker.example.
mail.attacker.example.   A   192.0.2.1
attacker.example.        TXT "v=spf1 ip4:192.0.2.1 -all"
example.org.             MX  10 mx.example.org.
mx.example.org.          A   198.51.100.1
`
	for _, c := range []struct {
		name, zone string
		want       string
	}{
		{"nothing but HELO and PTR", stranger, ""},
		{"nothing but HELO and PTR, softfail", stranger + `example.org. TXT "v=spf1 mx ~all"` + "\n", ""},
		{"an MX host has the address", stranger + "example.org. MX 20 b.example.org.\nb.example.org. A 192.0.2.1\n", "v=spf1 mx ~all"},
		{"the domain has the address", stranger + "example.org. A 192.0.2.1\n", "v=spf1 a ~all"},
		{"refuted: no line at all", stranger + `example.org. TXT "v=spf1 mx -all"` + "\n", ""},
		{"refuted, and an MX host of another organisation", stranger + `example.org. TXT "v=spf1 ip4:198.51.100.9 -all"` + "\nexample.org. MX 20 mail.attacker.example.\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := advised(t, c.zone, from("192.0.2.1", "mail.attacker.example", "a@example.org"))
			if got := authorised(r); got != c.want {
				t.Errorf("got %q, want %q\n%+v", got, c.want, r.Actions)
			}
		})
	}
}

// A provider has a name below its own domain for the machine or the line of each customer, and one address may
// have several names: each is looked at by itself.
func TestAdvice_a_name_that_providers_give_is_no_link(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, host, zone string
		want             string
	}{
		{"a rented machine at whoever takes the mail", "vps-8a2b3c4d.vps.hoster.example",
			"example.org. MX 10 mx1.mail.hoster.example.\nmx1.mail.hoster.example. A 198.51.100.9\n", ""},
		{"a server of whoever takes the mail", "web12.hoster.example",
			"example.org. MX 10 mx1.mail.hoster.example.\nmx1.mail.hoster.example. A 198.51.100.9\n", "v=spf1 ip4:192.0.2.1 ~all"},
		{"the address in the name, and a name of the client's own beside it", "c-192-0-2-1.clients.hoster.example",
			"1.2.0.192.in-addr.arpa. PTR mail.attacker.example.\nmail.attacker.example. A 192.0.2.1\n" +
				"example.org. MX 10 mx.hoster.example.\nmx.hoster.example. A 198.51.100.9\n", ""},
		{"a customer of a provider that the record names", "vps7.customers.hoster.example",
			"example.org. TXT \"v=spf1 a:web.hoster.example ~all\"\nweb.hoster.example. A 198.51.100.9\n", ""},
		{"a server of a provider that the record names", "web7.hoster.example",
			"example.org. TXT \"v=spf1 a:web.hoster.example ~all\"\nweb.hoster.example. A 198.51.100.9\n",
			"v=spf1 ip4:192.0.2.1 a:web.hoster.example ~all"},
		{"a server of a provider that the record forbids", "web7.hoster.example",
			"example.org. TXT \"v=spf1 -a:web.hoster.example ~all\"\nweb.hoster.example. A 198.51.100.9\n", ""},
		{"a line of the access provider itself", "c-192-0-2-1.hsd1.example.org",
			"example.org. MX 10 mx.example.org.\nmx.example.org. A 198.51.100.9\nexample.org. TXT \"v=spf1 mx ~all\"\n", ""},
		{"a line of the access provider itself, refuted", "c-192-0-2-1.hsd1.example.org",
			"example.org. MX 10 mx.example.org.\nmx.example.org. A 198.51.100.9\nexample.org. TXT \"v=spf1 mx -all\"\n", ""},
		{"a rented machine of the provider itself", "vps7.customers.example.org", "example.org. TXT \"v=spf1 ip4:198.51.100.9 ~all\"\n", ""},
		{"a server of the domain's own", "vps7.example.org", "example.org. TXT \"v=spf1 ip4:198.51.100.9 ~all\"\n",
			"v=spf1 ip4:198.51.100.9 ip4:192.0.2.1 ~all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			zone := "1.2.0.192.in-addr.arpa. PTR " + c.host + ".\n" + c.host + ". A 192.0.2.1\n" + c.zone
			r := advised(t, zone, from("192.0.2.1", c.host, "a@example.org"))
			if got := authorised(r); got != c.want {
				t.Errorf("got %q, want %q\n%+v", got, c.want, r.Actions)
			}
		})
	}
}

// A signed mail of the domain that went to somebody else, sent again by a stranger, is no link.
func TestAdvice_a_signature_is_a_link_where_it_covers_the_address_that_the_mail_came_to(t *testing.T) {
	t.Parallel()
	const here = "To: <check-auth@verifier.example>\r\n"
	for _, c := range []struct {
		name, to, above string
		want            string
	}{
		{"signed for here", "check-auth@verifier.example", "", "v=spf1 ip4:198.51.100.1 ip4:192.0.2.1 ~all"},
		{"in capitals, one of several", "b@example.net, Test <CHECK-AUTH@Verifier.example>", "", "v=spf1 ip4:198.51.100.1 ip4:192.0.2.1 ~all"},
		{"one more To in front, not signed", "b@example.net", here, ""},
		{"as the name of the addressee", `"check-auth@verifier.example" <b@example.net>`, "", ""},
		{"as the beginning of another address", "check-auth@verifier.example.attacker.example", "", ""},
		{"as a comment", "b@example.net (check-auth@verifier.example)", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			raw := c.above + signed(t, "example.org", "From: <a@example.org>\r\nTo: "+c.to+"\r\nSubject: x\r\n\r\nbody\r\n")
			r := advisedOf(t, keyLine("example.org")+`
1.2.0.192.in-addr.arpa.  PTR mail.attacker.example.
mail.attacker.example.   A   192.0.2.1
example.org.             TXT "v=spf1 ip4:198.51.100.1 ~all"
`, raw, from("192.0.2.1", "mail.attacker.example", "a@example.org"))
			if word := verify.WordsOf(r).DKIM; word != result.Pass {
				t.Fatalf("dkim %s", word)
			}
			if got := authorised(r); got != c.want {
				t.Errorf("got %q, want %q\n%+v", got, c.want, r.Actions)
			}
		})
	}
}

// Of several names the server's own is the one to go by, not that which the provider gave.
func TestAdvice_calls_the_server_by_its_own_name(t *testing.T) {
	t.Parallel()
	const zone = `
1.2.0.192.in-addr.arpa.                PTR c-192-0-2-1.clients.hoster.example.
c-192-0-2-1.clients.hoster.example.    A   192.0.2.1
mail.example.net.                      A   192.0.2.1
`
	for ptr, want := range map[string]string{"": "", "1.2.0.192.in-addr.arpa. PTR mail.example.net.\n": "mail.example.net"} {
		r := advised(t, zone+ptr, from("192.0.2.1", "localhost", "a@example.org"))
		i := slices.IndexFunc(r.Actions, func(a verify.Action) bool { return strings.HasPrefix(string(a.Code), "action-helo") })
		if i < 0 || r.Actions[i].Args.Get("host") != want {
			t.Errorf("want %q; %+v", want, r.Actions)
		}
	}
}

func TestAdvice_a_signature_of_a_name_below_is_no_link(t *testing.T) {
	t.Parallel()
	for domain, want := range map[string]string{"bob.example.org": "", "example.org": "v=spf1 ip4:192.0.2.1 ~all"} {
		for _, sender := range []string{"example.org", "alice.example.org"} {
			r := advisedOf(t, keyLine(domain)+`
1.2.0.192.in-addr.arpa.  PTR mail.attacker.example.
mail.attacker.example.   A   192.0.2.1
`, signed(t, domain, plain), from("192.0.2.1", "mail.attacker.example", "a@"+sender))
			if got := authorised(r); got != want {
				t.Errorf("signed by %s for %s: got %q, want %q", domain, sender, got, want)
			}
		}
	}
}

// At most three actions; what can be tried has its proof, and what cannot has none.
func TestAdvice_at_most_three_and_each_proved(t *testing.T) {
	t.Parallel()
	r := advised(t, `
1.2.0.192.in-addr.arpa.  PTR vps1.provider.example.
example.org.             MX  10 mx.example.org.
mx.example.org.          A   192.0.2.1
example.org.             TXT "MS=ms123"
`)
	if len(r.Actions) == 0 || len(r.Actions) > 3 {
		t.Fatalf("%d actions, want 1 to 3", len(r.Actions))
	}
	for _, a := range r.Actions {
		switch {
		case a.Name == "" && a.Proof != nil:
			t.Errorf("%s: a proof of what nobody can try", a.Code)
		case a.Name != "" && a.Proof == nil:
			t.Errorf("%s %s: no proof", a.Name, a.Value)
		}
	}
	spf := r.Actions[0]
	if spf.Value != "v=spf1 mx ~all" || spf.Proof.Before.SPF != result.None || spf.Proof.SPF != result.Pass {
		t.Errorf("got %s, proof %+v", spf.Value, spf.Proof)
	}
	if len(spf.When) == 0 || len(spf.Before) == 0 {
		t.Errorf("when %v, before %v", spf.When, spf.Before)
	}
	if spf.Zone != `example.org. 3600 IN TXT "v=spf1 mx ~all"` {
		t.Errorf("zone line %s", spf.Zone)
	}
	i := slices.IndexFunc(r.Actions, func(a verify.Action) bool { return a.Type == "PTR" })
	if i < 0 || r.Actions[i].Value != "mx.example.org." || r.Actions[i].Proof.IPRev != result.Pass || r.Actions[i].Name != "1.2.0.192.in-addr.arpa" {
		t.Errorf("no PTR action that is proved: %+v", r.Actions)
	}
}

// A record is replaced as a whole: the old one is shown, what else the name has stays, and the memo's
// records are as they were.
func TestAdvice_tells_what_it_replaces(t *testing.T) {
	t.Parallel()
	r := advised(t, `
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
example.org.             MX  10 mx.example.org.
mx.example.org.          A   192.0.2.1
example.org.             TXT "MS=ms123"
example.org.             TXT "v=spf1 ip4:198.51.100.1 ~all"
`)
	if len(r.Actions) == 0 {
		t.Fatal("no action")
	}
	a := r.Actions[0]
	if a.Value != "v=spf1 ip4:198.51.100.1 ip4:192.0.2.1 ~all" && a.Value != "v=spf1 ip4:192.0.2.1 ip4:198.51.100.1 ~all" {
		t.Errorf("value %q", a.Value)
	}
	if !slices.Equal(a.Replaces, []string{"v=spf1 ip4:198.51.100.1 ~all"}) || len(a.When) != 1 || a.When[0].Code != "when-cached" {
		t.Errorf("replaces %q, when %v", a.Replaces, a.When)
	}
}

func TestAdvice_where_all_is_well_there_is_none(t *testing.T) {
	t.Parallel()
	r := advised(t, `
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
example.org.             MX  10 mx.example.org.
mx.example.org.          A   192.0.2.1
mx.example.org.          TXT "v=spf1 a -all"
example.org.             TXT "v=spf1 mx -all"
_dmarc.example.org.      TXT "v=DMARC1; p=reject; rua=mailto:postmaster@example.org"
`)
	for _, a := range r.Actions {
		if a.Name != "" {
			t.Errorf("%s %s", a.Name, a.Value)
		}
	}
}

func TestRFC9989_4_7_dmarc_records_are_mended(t *testing.T) {
	t.Parallel()
	const world = `
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
example.org.             MX  10 mx.example.org.
mx.example.org.          A   192.0.2.1
example.org.             TXT "v=spf1 mx -all"
`
	for _, c := range []struct{ name, zone, want string }{
		{"none", "", "v=DMARC1; p=none; rua=mailto:postmaster@example.org"},
		{"an SPF record in its place", `_dmarc.example.org. TXT "v=spf1 mx -all"`, "v=DMARC1; p=none; rua=mailto:postmaster@example.org"},
		{"no semicolons", `_dmarc.example.org. TXT "v=DMARC1 p=reject rua=mailto:a@example.org"`, "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{"typing mistake in the policy", `_dmarc.example.org. TXT "v=DMARC1; p=rejct"`, "v=DMARC1; p=reject"},
		{"the version is not first", `_dmarc.example.org. TXT "p=quarantine; v=DMARC1"`, "v=DMARC1; p=quarantine"},
		{"two records", "_dmarc.example.org. TXT \"v=DMARC1; p=none; rua=mailto:a@example.org\"\n_dmarc.example.org. TXT \"v=DMARC1; p=reject\"", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{"at the domain itself", `example.org. TXT "v=DMARC1; p=quarantine"`, "v=DMARC1; p=quarantine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := advised(t, world+c.zone+"\n")
			i := slices.IndexFunc(r.Actions, func(a verify.Action) bool { return a.Name == "_dmarc.example.org" })
			if i < 0 || r.Actions[i].Value != c.want || r.Actions[i].Proof.DMARC != result.Pass {
				t.Errorf("got %+v, want %q", r.Actions, c.want)
			}
		})
	}
}

// A policy that counted for nothing is one more from then on.
func TestRFC9989_4_10_1_a_mended_policy_says_what_it_costs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"v=DMARC1; p=rejct; rua=mailto:a@example.org":      true,
		"v=DMARC1; p=reject; sp=foo; rua=mailto:a@x.test":  true,
		"v=DMARC1; p=nnone; rua=mailto:a@example.org":      false,
		"v=DMARC1; p=reject; adkim=x; rua=mailto:a@x.test": false,
	} {
		r := advised(t, `
1.2.0.192.in-addr.arpa.  PTR mx.example.org.
example.org.             MX  10 mx.example.org.
mx.example.org.          A   192.0.2.1
example.org.             TXT "v=spf1 mx -all"
_dmarc.example.org.      TXT "`+text+"\"\n")
		i := slices.IndexFunc(r.Actions, func(a verify.Action) bool { return a.Code == "action-dmarc-mend" })
		if i < 0 {
			t.Fatalf("%s: %+v", text, r.Actions)
		}
		told := slices.ContainsFunc(r.Actions[i].Before, func(b result.Reason) bool { return b.Code == "before-dmarc-obeyed" })
		if told != want {
			t.Errorf("%s: told %t, want %t", text, told, want)
		}
	}
}

// One record at the domain is for the hosts below it, which have no mailbox for reports.
func TestRFC9989_4_10_the_first_record_is_the_domains(t *testing.T) {
	t.Parallel()
	r := advisedOf(t, `
1.2.0.192.in-addr.arpa.  PTR www.example.org.
www.example.org.         A   192.0.2.1
www.example.org.         TXT "v=spf1 a -all"
`, strings.ReplaceAll(plain, "a@example.org", "root@www.example.org"), from("192.0.2.1", "www.example.org", "root@www.example.org"))
	if !slices.ContainsFunc(r.Actions, func(a verify.Action) bool {
		return a.Name == "_dmarc.example.org" && a.Value == "v=DMARC1; p=none; rua=mailto:postmaster@example.org" && a.Proof.DMARC == result.Pass
	}) {
		t.Errorf("%+v", r.Actions)
	}
}

func TestRFC7505_3_reports_do_not_go_where_no_mail_is_taken(t *testing.T) {
	t.Parallel()
	r := advised(t, `
1.2.0.192.in-addr.arpa.  PTR www.example.org.
www.example.org.         A   192.0.2.1
example.org.             MX  0 .
example.org.             TXT "v=spf1 ip4:192.0.2.1 -all"
`)
	i := slices.IndexFunc(r.Actions, func(a verify.Action) bool { return a.Name == "_dmarc.example.org" })
	if i < 0 || r.Actions[i].Value != "v=DMARC1; p=none" || r.Actions[i].Before[0].Code != "before-dmarc-null" {
		t.Errorf("%+v", r.Actions)
	}
}

// What a refuted sender is told to do has him no longer refuted, if the server is his.
func TestAdvice_to_who_is_refuted_leads_out_of_it(t *testing.T) {
	t.Parallel()
	const zone = `
example.org.       MX  10 mx.example.org.
mx.example.org.    A   192.0.2.1
example.org.       TXT "v=spf1 ip4:198.51.100.1 -all"
`
	if r := advised(t, zone); !gives(r, "action-spf-ask-refuted") || authorised(r) != "" {
		t.Errorf("refuted: %+v", r.Actions)
	}
	r := advised(t, zone+"1.2.0.192.in-addr.arpa. PTR mx.example.org.\n")
	if got := authorised(r); got != "v=spf1 ip4:198.51.100.1 ip4:192.0.2.1 -all" {
		t.Errorf("with the PTR record: %q, %+v", got, r.Actions)
	}
}

func TestRFC8914_4_faults_of_the_zone_come_first(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fault string
		want        result.Code
	}{
		{"bogus", ";FAULT BOGUS *.example.org ANY\n;FAULT BOGUS example.org. ANY", "action-dnssec-chain"},
		{"lame", ";FAULT LAME *.example.org ANY\n;FAULT LAME example.org. ANY", "action-lame"},
		{"no answer", ";FAULT SERVFAIL example.org. TXT", "action-no-answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := advised(t, "example.org. TXT \"v=spf1 -all\"\n1.2.0.192.in-addr.arpa. PTR mx.example.net.\n"+c.fault+"\n")
			if len(r.Actions) == 0 || r.Actions[0].Code != c.want {
				t.Errorf("got %+v, want %s first", r.Actions, c.want)
			}
		})
	}
}

// A fault is not gone because what the change leads to gives no answer.
func TestAdvice_an_evaluation_without_an_answer_proves_nothing(t *testing.T) {
	t.Parallel()
	r := advised(t, `
1.2.0.192.in-addr.arpa.  PTR mail.example.net.
mail.example.net.        A   192.0.2.1
example.org.             TXT "v=spf1 ipv4:198.51.100.7 include:slow.example -all"
_dmarc.example.org.      TXT "v=DMARC1; p=none"
;FAULT SERVFAIL slow.example. TXT
`, from("192.0.2.1", "mail.example.net", "a@example.org"))
	for _, a := range r.Actions {
		if a.Proof != nil {
			t.Errorf("%s: proof %+v", a.Value, a.Proof)
		}
	}
}

// Who is refuted is told by which record: where the domain has no SPF record it is the DMARC record of From.
func TestAdvice_names_the_record_that_refutes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, zone, action, why string
	}{
		{"SPF", `example.org. TXT "v=spf1 ip4:198.51.100.1 -all"`, "action-spf-ask-refuted", "term=-all at=example.org"},
		{"SPF by redirect", `example.org. TXT "v=spf1 redirect=spf.example.net"` + "\n" + `spf.example.net. TXT "v=spf1 -all"`, "action-spf-ask-refuted", "term=-all at=spf.example.net"},
		{"DMARC, without an SPF record", `_dmarc.example.org. TXT "v=DMARC1; p=reject"`, "action-spf-ask-refuted-dmarc", "policy=reject name=_dmarc.example.org"},
		{"both", `example.org. TXT "v=spf1 -all"` + "\n" + `_dmarc.example.org. TXT "v=DMARC1; p=reject"`, "action-spf-ask-refuted", "term=-all at=example.org"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := advised(t, c.zone+"\n")
			i := slices.IndexFunc(r.Actions, func(a verify.Action) bool { return string(a.Code) == c.action })
			if i < 0 {
				t.Fatalf("no %s among %+v", c.action, r.Actions)
			}
			for want := range strings.FieldsSeq(c.why) {
				name, value, _ := strings.Cut(want, "=")
				if got := r.Actions[i].Why.Args.Get(name); got != value {
					t.Errorf("why %s: %s is %q, want %q", r.Actions[i].Why.Code, name, got, value)
				}
			}
		})
	}
}
