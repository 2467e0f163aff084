package policy

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/iprev"
	hosts "checkauth/verify/known"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
	"checkauth/verify/standing"
)

// config is the policy as it ships, at verifier.example.
func config() Config {
	return Config{Quotas: DefaultQuotas(), Providers: Providers(), Servers: Servers(), AnswerNoReply: true,
		Addresses: Addresses{Domains: []string{"verifier.example"}, Service: "check-auth", From: "auth-results"}}
}

var now = time.Date(2026, 11, 24, 2, 10, 5, 0, time.UTC)

// report makes one of a@example.org from 192.0.2.1 that nothing proves or refutes; change mends it.
func report(t *testing.T, header string, change func(*verify.Report)) *verify.Report {
	t.Helper()
	fields, err := mail.Parse([]byte(strings.ReplaceAll(header, "\n", "\r\n")), mail.DefaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	r := &verify.Report{ID: "x", Session: verify.Session{ClientIP: "192.0.2.1", MailFrom: "a@example.org"}, Sender: verify.Sender{Known: true},
		Message: verify.MessageFacts{Fields: fields}}
	r.Checks = []result.Outcome{
		{Method: verify.MethodSPF, Result: result.None, Detail: &spf.Result{Network: -1}},
		{Method: verify.MethodIPRev, Result: result.PermError, Detail: &iprev.Result{}},
		{Method: verify.MethodDKIM, Result: result.None},
		{Method: verify.MethodDMARC, Result: result.None, Detail: &dmarc.Result{}},
	}
	if change != nil {
		change(r)
	}
	return classed(r)
}

var atlas = sync.OnceValue(func() *hosts.Atlas {
	a, err := hosts.Load()
	if err != nil {
		panic(err)
	}
	return a
})

// classed decides the class, as the evaluation does.
func classed(r *verify.Report) *verify.Report {
	standing.Rules{Servers: Servers(), Atlas: atlas()}.Decide(r)
	return r
}

// asks: the sender's own domain has a policy of DMARC.
func asks(policy, name string) func(*verify.Report) {
	return func(r *verify.Report) { r.Sender.Policy, r.Sender.PolicyName = policy, name }
}

// named: the client has a forward-confirmed name, and says another or the same in HELO.
func named(name, helo string) func(*verify.Report) {
	return func(r *verify.Report) {
		r.Checks[1].Result = result.Pass
		r.Checks[1].Detail = &iprev.Result{Confirmed: []string{name}}
		r.Session.Helo = helo
	}
}

// both makes two changes.
func both(one, other func(*verify.Report)) func(*verify.Report) {
	return func(r *verify.Report) {
		if one != nil {
			one(r)
		}
		if other != nil {
			other(r)
		}
	}
}

func setSPF(w result.Word, network int) func(*verify.Report) {
	return func(r *verify.Report) {
		r.Checks[0].Result = w
		r.Checks[0].Detail = &spf.Result{Network: network}
	}
}

// signed: a signature of a domain over these names of a header passes.
func signed(domain, header string, names ...string) func(*verify.Report) {
	return func(r *verify.Report) {
		fields, err := mail.Parse([]byte(header), mail.DefaultBounds())
		if err != nil {
			panic(err)
		}
		r.Message.Fields = fields
		r.Session.RcptTo = []string{"check-auth@verifier.example"}
		r.Checks[2].Result = result.Pass
		r.Checks[2].Detail = &dkim.Signature{Domain: domain, Signed: names}
		if naming.SameOrganisation(domain, "example.org") {
			r.Sender.Aligned = []string{naming.Key(domain)}
		}
	}
}

// The envelope sender's own DMARC policy refutes whom nothing of its domain vouches for.
func TestDisowned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*verify.Report)
		want   Class
	}{
		{"nothing passes", nil, Refuted},
		{"SPF passes", setSPF(result.Pass, 32), Proved},
		{"a signature of the domain passes, of another mailbox", signed("example.org", "From: b@example.org\r\nTo: check-auth@verifier.example\r\n", "From", "To"), Open},
		{"a signature of another domain passes", signed("example.net", "From: b@example.net\r\nTo: check-auth@verifier.example\r\n", "From", "To"), Refuted},
	} {
		if d := config().Decide(report(t, "", both(c.change, asks("reject", "example.org"))), Facts{}, now); d.Class != c.want {
			t.Errorf("%s: got class %s, want %s", c.name, d.Class, c.want)
		}
	}
}

// What providers call the machines and lines of their customers proves nobody at the provider's own domain, also where the
// customer says it in HELO.
func TestNamesOfCustomersProveNobody(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"vps-4711.example.org", "vps4711.example.org", "vmi123456.example.org", "ns3012345.example.org", "ip-192-0-2-1.example.org", "192-0-2-1.example.org",
		"1.2.0.192.example.org", "static.1.2.0.192.clients.example.org", "host-192-0-2-1.example.org", "c0000201.example.org", "192.0.2.1.example.org",
		"customer7.example.org", "cust-7.example.org", "client-7.example.org", "v12345.example.org", "srv12345.example.org", "server-123.example.org",
		"h2899123.example.org", "host-12ab.example.org", "a1b2c3d4.example.org", "web-4f2a.example.org", "static-7.example.org", "user7.example.org",
		"vm-7.example.org", "vm7.cloud.example.org", "kvm12.example.org", "instance-1.example.org", "i-0ab1c2d3.example.org", "dsl-7.example.org",
		"pool-7.example.org", "dyn7.example.org", "cable-7.example.org", "ppp7.example.org", "adsl7.example.org", "dhcp-7.example.org", "cpe-7.example.org",
		"xvm-1-2.example.org", "rdns-7.example.org", "rev-7.example.org", "dedi7.example.org",
	} {
		r := report(t, "", named(name, name))
		if r.Class != Open {
			t.Errorf("%s: class %s", name, r.Class)
		}
	}
	for _, domain := range []string{"ovh.net", "secureserver.net", "kundenserver.de", "your-server.de", "contaboserver.net", "vultrusercontent.com"} {
		r := report(t, "", both(named("mail."+domain, "mail."+domain), func(r *verify.Report) { r.Session.MailFrom = "a@" + domain }))
		if r.Class != Open {
			t.Errorf("a machine below %s: class %s", domain, r.Class)
		}
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*verify.Report)
		want   Class
	}{
		{"nothing proves it", nil, Open},
		{"SPF softfail", setSPF(result.SoftFail, -1), Open},
		{"SPF passes by one address", setSPF(result.Pass, 32), Proved},
		{"SPF passes by a /16", setSPF(result.Pass, 16), Proved},
		{"SPF passes by a /15", setSPF(result.Pass, 15), Open},
		{"SPF passes by +all", setSPF(result.Pass, -1), Open},
		{"SPF of IPv6 passes by a /31", func(r *verify.Report) {
			setSPF(result.Pass, 31)(r)
			r.Session.ClientIP = "2001:db8::1"
		}, Open},
		{"SPF fails", setSPF(result.Fail, -1), Refuted},
		{"SPF fails, a signature of the sender's domain passes", func(r *verify.Report) {
			setSPF(result.Fail, -1)(r)
			r.Checks[2].Result = result.Pass
			signed("Mail.Example.ORG", "From: Ann <A@example.org>\r\nTo: check-auth@verifier.example\r\n", "From", "To")(r)
		}, Proved},
		{"a signature of another user of the domain, sent again in this one's name",
			signed("example.org", "From: mallory@example.org\r\nTo: check-auth@verifier.example\r\n", "From", "To"), Open},
		{"a mail of the sender to somebody else, sent again to us",
			signed("example.org", "From: a@example.org\r\nTo: list@example.net\r\n", "From", "To"), Open},
		{"the same, with a To above the signed one",
			signed("example.org", "To: check-auth@verifier.example\r\nFrom: a@example.org\r\nTo: list@example.net\r\n", "From", "To"), Open},
		{"a signature that does not cover To",
			signed("example.org", "From: a@example.org\r\nTo: check-auth@verifier.example\r\n", "From"), Open},
		{"a signature of another organisation", func(r *verify.Report) {
			signed("notexample.org", "From: a@example.org\r\nTo: check-auth@verifier.example\r\n", "From", "To")(r)
		}, Open},
		{"a signature of the public suffix", func(r *verify.Report) {
			signed("org", "From: a@example.org\r\nTo: check-auth@verifier.example\r\n", "From", "To")(r)
		}, Open},
		{"the client's confirmed name is the sender's domain", named("example.org", "x.example.net"), Proved},
		{"the client's confirmed name is an MX of the sender's domain", both(named("in.example.net", "x.example.net"), func(r *verify.Report) {
			r.Sender.MX = []string{"mx.example.net", "in.example.net"}
		}), Proved},
		{"the client's confirmed name is under the sender's domain, and in HELO", named("mx1.example.org", "MX1.example.org"), Proved},
		{"the client's confirmed name is under the sender's domain, HELO another", named("mx1.example.org", "mx2.example.org"), Open},
		{"the client's confirmed name is beside the sender's domain", both(named("mx1.example.org", "mx1.example.org"), func(r *verify.Report) {
			r.Session.MailFrom = "a@news.example.org"
		}), Open},
		{"a name of the sender's domain, SPF fails", both(named("example.org", "example.org"), setSPF(result.Fail, -1)), Refuted},
		{"a name of the sender's domain, whose DMARC policy is reject", both(named("example.org", "example.org"), asks("reject", "example.org")), Refuted},
		{"a name of the sender's domain, whose DMARC policy is quarantine", both(named("example.org", "example.org"), asks("quarantine", "example.org")), Refuted},
		{"a name of the sender's domain, whose DMARC policy nobody could read", both(named("example.org", "example.org"), func(r *verify.Report) {
			r.Sender.Undecided = true
		}), Open},
		{"a name of the public suffix", both(named("mail.org", "mail.org"), func(r *verify.Report) { r.Session.MailFrom = "a@org" }), Open},
		{"the confirmed name is one of an access provider's lines", func(r *verify.Report) {
			r.Checks[1].Result = result.Pass
			r.Session.ClientIP = "192.0.2.1"
			r.Checks[1].Detail = &iprev.Result{Confirmed: []string{"c-192-0-2-1.hsd1.example.org", "pool7.dsl.example.org"}}
		}, Open},
		{"the confirmed name is one of a hosting provider's machines", func(r *verify.Report) {
			r.Checks[1].Result = result.Pass
			r.Checks[1].Detail = &iprev.Result{Confirmed: []string{"vps-4711.example.org", "ns3012345.example.org"}}
		}, Open},
		{"the domain has a number, the name a short one", both(named("mx12.163.example", "mx12.163.example"), func(r *verify.Report) {
			r.Session.MailFrom = "a@163.example"
		}), Proved},
		{"the client's name is, but is not confirmed", func(r *verify.Report) {
			r.Checks[1].Result = result.Fail
			r.Checks[1].Detail = &iprev.Result{Names: []string{"mx1.example.org"}}
		}, Open},
		{"DMARC fails under p=reject", func(r *verify.Report) {
			r.Checks[3].Result = result.Fail
			r.Checks[3].Detail = &dmarc.Result{Policy: "reject"}
		}, Refuted},
		{"DMARC fails under p=none", func(r *verify.Report) {
			r.Checks[3].Result = result.Fail
			r.Checks[3].Detail = &dmarc.Result{Policy: "none"}
		}, Open},
		{"DMARC fails, but SPF proves the envelope sender", func(r *verify.Report) {
			setSPF(result.Pass, 32)(r)
			r.Checks[3].Result = result.Fail
			r.Checks[3].Detail = &dmarc.Result{Policy: "reject"}
		}, Proved},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := config().Decide(report(t, "", c.change), Facts{}, now)
			if d.Class != c.want || d.Mail != (c.want != Refuted) {
				t.Errorf("got class %s, mailed %v; want %s", d.Class, d.Mail, c.want)
			}
		})
	}
}

// suppressed asks with a header and a sender, and tells the rule.
func suppressed(t *testing.T, header, sender string, change func(*verify.Report)) Decision {
	t.Helper()
	r := report(t, header, change)
	r.Session.MailFrom = sender
	return config().Decide(r, Facts{}, now)
}

func TestHostile_30(t *testing.T) {
	t.Parallel()
	d := suppressed(t, "From: a@example.org\n", "", nil)
	if d.Mail || d.Code != 250 || d.Rule != "null sender" {
		t.Errorf("null sender: got %+v", d)
	}
}

func TestRFC3834_2_no_answer_to_automatic_mail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, header, sender, rule string }{
		{"31: auto-replied", "Auto-Submitted: auto-replied\n", "a@example.org", "Auto-Submitted: auto-replied"},
		{"31: auto-generated with a comment", "Auto-Submitted: Auto-Generated (cron)\n", "a@example.org", "Auto-Submitted"},
		{"31: behind a comment", "Auto-Submitted: (a (\\) b)) auto-replied\n", "a@example.org", "Auto-Submitted: auto-replied"},
		{"31: no behind a comment", "Auto-Submitted: (x) no\n", "a@example.org", ""},
		{"34: mailer-daemon in quotes", "", `"Mailer-Daemon"@example.org`, "sender is a robot's address"},
		{"31: no is an answer by a person", "Auto-Submitted: no\n", "a@example.org", ""},
		{"31: no with a parameter", "Auto-Submitted: no; x=y\n", "a@example.org", ""},
		{"32: Precedence list", "Precedence: list\n", "a@example.org", "Precedence"},
		{"32: Precedence junk", "Precedence: Junk\n", "a@example.org", "Precedence"},
		{"32: List-Id", "List-Id: <l.example.org>\n", "a@example.org", "List-Id"},
		{"32: bulk of an unproved sender", "Precedence: bulk\n", "a@example.org", "bulk mail of an unproved sender"},
		{"32: List-Unsubscribe of an unproved sender", "List-Unsubscribe: <mailto:u@example.org>\n", "a@example.org", "bulk mail of an unproved sender"},
		{"33: suppress all", "X-Auto-Response-Suppress: DR, All\n", "a@example.org", "X-Auto-Response-Suppress"},
		{"33: suppress automatic replies", "X-Auto-Response-Suppress: OOF, AutoReply\n", "a@example.org", "X-Auto-Response-Suppress"},
		{"33: suppress out of office alone", "X-Auto-Response-Suppress: OOF\n", "a@example.org", ""},
		{"34: mailer-daemon", "", "MAILER-DAEMON@example.org", "sender is a robot's address"},
		{"34: list manager", "", "list-request@example.org", "sender is a robot's address"},
		{"34: list owner", "", "owner-list@example.org", "sender is a robot's address"},
		{"34: postmaster is a person", "", "postmaster@example.org", ""},
		{"34: root is a person", "", "root@example.org", ""},
		{"35: our own address", "", "check-auth@Verifier.Example", "sender is one of our own addresses"},
		{"35: our own address with a detail", "", "check-auth+x@verifier.example", "sender is one of our own addresses"},
		{"35: our replies' address", "", "auth-results@verifier.example", "sender is one of our own addresses"},
		{"a sender without a domain", "", "root", "no sender domain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := suppressed(t, "From: a@example.org\n"+c.header, c.sender, nil)
			if d.Rule != c.rule || d.Mail != (c.rule == "") || d.Code != 250 {
				t.Errorf("got rule %q, mailed %v, %d; want rule %q", d.Rule, d.Mail, d.Code, c.rule)
			}
		})
	}
}

func TestHostile_32_newsletters_of_a_proved_sender_are_answered(t *testing.T) {
	t.Parallel()
	d := suppressed(t, "Precedence: bulk\nList-Unsubscribe: <mailto:u@example.org>\n", "a@example.org", setSPF(result.Pass, 32))
	if !d.Mail {
		t.Errorf("got %+v, want a reply", d)
	}
}

func TestHostile_36(t *testing.T) {
	t.Parallel()
	hop := "Received: from a by b; Tue, 24 Nov 2026 02:10:05 +0000\n"
	if d := suppressed(t, strings.Repeat(hop, 100), "a@example.org", nil); !d.Mail {
		t.Errorf("100 Received: got %+v, want a reply", d)
	}
	d := suppressed(t, strings.Repeat(hop, 101), "a@example.org", nil)
	if d.Mail || d.Code != 554 || d.Enhanced != [3]int{5, 4, 6} {
		t.Errorf("101 Received: got %+v, want 554 5.4.6", d)
	}
}

func TestHostile_38_From_plays_no_part(t *testing.T) {
	t.Parallel()
	d := suppressed(t, "From: victim@victim.example\nReply-To: victim@victim.example\n", "a@example.org", nil)
	if got := d.Lines[0].Args.Get("to"); got != "a@example.org" {
		t.Errorf("the answer names %q, want the envelope sender", got)
	}
}

func TestRFC7372_3_refusals_carry_the_code_of_the_check(t *testing.T) {
	t.Parallel()
	d := config().Decide(report(t, "", setSPF(result.Fail, -1)), Facts{}, now)
	if d.Code != 550 || d.Enhanced != [3]int{5, 7, 23} || len(d.Lines) < 3 {
		t.Errorf("SPF fail: got %d %v with %d lines, want 550 5.7.23 with several", d.Code, d.Enhanced, len(d.Lines))
	}
	d = config().Decide(report(t, "", func(r *verify.Report) {
		setSPF(result.Fail, -1)(r)
		r.Checks[3].Result = result.Fail
		r.Checks[3].Detail = &dmarc.Result{Policy: "reject"}
	}), Facts{}, now)
	if d.Enhanced != [3]int{5, 7, 26} {
		t.Errorf("SPF and DMARC fail: got %v, want 5.7.26", d.Enhanced)
	}
}

// What would let the client send, which advice says where the client has a name of the domain's own, is not said in the
// answer to who is refuted, at once or where a counter is full.
func TestAnAnswerAuthorisesNobody(t *testing.T) {
	t.Parallel()
	publish := func(r *verify.Report) {
		r.Actions = []verify.Action{{Code: "action-spf-publish", Name: "example.org", Type: "TXT", Zone: `example.org. 300 IN TXT "v=spf1 ip4:192.0.2.1 ~all"`}}
	}
	open, disowned := report(t, "From: mallory@example.net\n", publish), report(t, "From: mallory@example.net\n", both(both(publish, asks("reject", "example.org")), named("example.org", "x")))
	c := config()
	short := c
	short.ShortToRefuted = true
	said := func(d Decision, code result.Code) bool {
		return slices.ContainsFunc(d.Lines, func(l result.Reason) bool { return l.Code == code })
	}
	refused := c.Decide(disowned, Facts{}, now)
	if said(refused, "answer-publish") || !said(refused, "answer-disowned") || refused.Code != 550 {
		t.Errorf("refuted: got %v, want the cause and no record", refused.Lines)
	}
	full := reply.Full{Key: "address-day/a@example.org", Until: now}
	if d := short.Full(short.Decide(disowned, Facts{}, now), disowned, full, now); said(d, "answer-publish") {
		t.Errorf("over the quota of the short reply: got %v, want no record", d.Lines)
	}
	if d := c.Full(c.Decide(open, Facts{}, now), open, full, now); !said(d, "answer-publish") {
		t.Errorf("an open sender over its quota: got %v, want the record", d.Lines)
	}
}

// Our own bound, or a DMARC record that nobody could read, may hide a refusal: the verdict is all that is mailed.
func TestUndecidedGetsTheVerdictAlone(t *testing.T) {
	t.Parallel()
	undecided := func(r *verify.Report) { r.Sender.Undecided = true }
	for name, c := range map[string]struct {
		change func(*verify.Report)
		short  bool
	}{
		"decided":            {nil, false},
		"undecided":          {undecided, true},
		"undecided, SPF":     {both(setSPF(result.TempError, -1), undecided), true},
		"undecided, proved":  {both(setSPF(result.Pass, 32), undecided), false},
		"SPF of silence":     {setSPF(result.TempError, -1), false},
		"refuted, undecided": {both(setSPF(result.Fail, -1), undecided), false},
	} {
		r := report(t, "", c.change)
		for token, f := range map[string]Facts{"without a token": {}, "with one": {Keys: keys}} {
			r.Session.RcptTo = []string{"check-auth@verifier.example"}
			if f.Keys != nil {
				r.Session.RcptTo = []string{"check-auth+" + keys.Token(Again, "a@example.org", now) + "@verifier.example"}
			}
			d := config().Decide(r, f, now)
			if d.Short != c.short || c.short && (!d.Mail || d.Class != Open || d.Lines[1].Code != "answer-undecided") {
				t.Errorf("%s, %s: class %s, mailed %t, short %t, %v", name, token, d.Class, d.Mail, d.Short, d.Lines)
			}
			if c.short && (!slices.ContainsFunc(d.Buckets, func(b reply.Bucket) bool { return b.Key == "address-day/a@example.org" && b.Limit == 1 }) ||
				!slices.ContainsFunc(d.Buckets, func(b reply.Bucket) bool { return b.Key == "open-network-hour/192.0.2.0/24" })) {
				t.Errorf("%s, %s: counted by %v, want the quotas of class B", name, token, d.Buckets)
			}
		}
	}
	// Nobody ranked it: nothing is mailed.
	r := report(t, "", setSPF(result.Pass, 32))
	r.Class = ""
	if d := config().Decide(r, Facts{}, now); d.Mail || d.Code != 550 {
		t.Errorf("without a class: %d, mailed %t", d.Code, d.Mail)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	a := Addresses{Domains: []string{"verifier.example", "example.org", naming.Key("B\u00fccher.example.")}, Service: "check-auth", From: "auth-results"}
	for _, c := range []struct {
		local, domain string
		want          Role
	}{
		{"check-auth", "verifier.example", Service},
		{"Check-Auth", "VERIFIER.example.", Service},
		{"check-auth+tr", "example.org", Service},
		{"check-auth", "xn--bcher-kva.example", Service},
		{"check-auth", "XN--Bcher-KVA.example.", Service},
		{"check-auth", "b\u00fccher.example", Service},
		{"check-auth", "B\u00dcCHER.example", Service},
		{"check-auth", "xn--bcher-kvb.example", Foreign},
		{"check-auth", "buecher.example", Foreign},
		{"check-auth", "example.net", Foreign},
		{"check-auth%example.net", "verifier.example", UnknownUser},
		{"someone", "verifier.example", UnknownUser},
		{"postmaster", "verifier.example", Operator},
		{"Postmaster", "", Operator},
		{"abuse", "example.org", Operator},
		{"auth-results", "verifier.example", Operator},
		{"check-auth", "", UnknownUser},
	} {
		if got, _ := a.Role(c.local, c.domain); got != c.want {
			t.Errorf("%s@%s: got %d, want %d", c.local, c.domain, got, c.want)
		}
	}
}

// The client hears which record refuses its mail, and nothing of one that is not there.
func TestAnAnswerNamesTheRecordThatRefutes(t *testing.T) {
	t.Parallel()
	fails := func(term, at string) func(*verify.Report) {
		return func(r *verify.Report) {
			setSPF(result.Fail, -1)(r)
			r.Checks[0].Reason = result.Because("spf-decided-by", "term", term, "domain", at)
		}
	}
	dmarcFails := func(policy, name string) func(*verify.Report) {
		return func(r *verify.Report) {
			r.Checks[3].Result = result.Fail
			r.Checks[3].Detail = &dmarc.Result{Author: "news.example.net", Policy: dmarc.Policy(policy), PolicyName: name}
		}
	}
	disowned := asks("quarantine", "example.org")
	for _, c := range []struct {
		name    string
		changes []func(*verify.Report)
		want    []string
	}{
		{"SPF", []func(*verify.Report){fails("-all", "example.org")}, []string{"answer-spf-fail-by term=-all at=example.org domain=example.org"}},
		{"SPF by redirect", []func(*verify.Report){fails("-all", "spf.example.com")}, []string{"answer-spf-fail-by term=-all at=spf.example.com domain=example.org"}},
		{"DMARC of From", []func(*verify.Report){dmarcFails("reject", "example.net")}, []string{"answer-dmarc-fail domain=news.example.net policy=reject name=_dmarc.example.net"}},
		{"the sender's policy, where From's decides nothing", []func(*verify.Report){dmarcFails("none", "example.net"), disowned}, []string{
			"answer-dmarc-fail domain=news.example.net policy=none name=_dmarc.example.net", "answer-disowned domain=example.org policy=quarantine name=_dmarc.example.org"}},
		{"the sender's policy", []func(*verify.Report){disowned}, []string{"answer-disowned domain=example.org policy=quarantine name=_dmarc.example.org"}},
	} {
		d := config().Decide(report(t, "", func(r *verify.Report) {
			for _, change := range c.changes {
				change(r)
			}
		}), Facts{}, now)
		if d.Class != Refuted || len(d.Lines) != len(c.want)+3 { // the results first; what to do and why no report last
			t.Errorf("%s: class %s, %v", c.name, d.Class, d.Lines)
			continue
		}
		for i, want := range c.want {
			code, args, _ := strings.Cut(want, " ")
			line := d.Lines[i+1]
			for arg := range strings.FieldsSeq(args) {
				if name, value, _ := strings.Cut(arg, "="); string(line.Code) != code || line.Args.Get(name) != value {
					t.Errorf("%s: line %d is %s, want %s", c.name, i+1, line, want)
				}
			}
		}
	}
}
