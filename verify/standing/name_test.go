package standing

import (
	"strings"
	"testing"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/iprev"
	"checkauth/verify/known"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

func rules(t testing.TB) Rules {
	t.Helper()
	atlas, err := known.Load()
	if err != nil {
		t.Fatal(err)
	}
	return Rules{Servers: []string{"mx.shared.example"}, Atlas: atlas}
}

// named is a report of a sender whom nothing proves but, perhaps, the confirmed name of the client, which says helo.
func named(sender, name, helo string) *verify.Report {
	return &verify.Report{
		Session: verify.Session{ClientIP: "203.0.113.7", MailFrom: sender, Helo: helo},
		Sender:  verify.Sender{Known: true},
		Checks: []result.Outcome{
			{Method: verify.MethodSPF, Result: result.None, Detail: &spf.Result{Network: -1}},
			{Method: verify.MethodIPRev, Result: result.Pass, Detail: &iprev.Result{Confirmed: []string{name}}},
			{Method: verify.MethodDKIM, Result: result.None},
			{Method: verify.MethodDMARC, Result: result.None, Detail: &dmarc.Result{}},
		},
	}
}

// Forms of the names that hosters and access providers give to machines and lines of their customers, below the domain
// that the forged sender is at. The customer says the name in HELO; it leads to his machine and back.
var customersNames = []struct{ domain, name string }{
	{"ovh.net", "vps-4711ab2c.vps.ovh.net"}, {"ovh.net", "ns3012345.ovh.net"}, {"ovh.net", "alice.ovh.net"}, {"ovh.net", "mail.ovh.net"},
	{"secureserver.net", "ip-203-0-113-7.ip.secureserver.net"}, {"secureserver.net", "s203-0-113-7.secureserver.net"},
	{"secureserver.net", "mail.secureserver.net"}, {"your-server.de", "static.7.113.0.203.clients.your-server.de"},
	{"your-server.de", "dedi42.your-server.de"}, {"your-server.de", "www12.your-server.de"}, {"contaboserver.net", "vmi123456.contaboserver.net"},
	{"contabo.net", "alice.contabo.net"}, {"linode.com", "li12-34.members.linode.com"}, {"linode.com", "alice.linode.com"},
	{"linodeusercontent.com", "203-0-113-7.ip.linodeusercontent.com"}, {"amazonaws.com", "ec2-203-0-113-7.compute-1.amazonaws.com"},
	{"amazonaws.com", "mail.amazonaws.com"}, {"stratoserver.net", "h2899123.stratoserver.net"}, {"vultrusercontent.com", "203.0.113.7.vultrusercontent.com"},
	// Of hosters that nobody has in a list.
	{"hoster.example", "vps-4711.hoster.example"}, {"hoster.example", "vps7.hoster.example"}, {"hoster.example", "vm7.cloud.hoster.example"},
	{"hoster.example", "static.1.2.3.4.clients.hoster.example"}, {"hoster.example", "203-0-113-7.static.hoster.example"},
	{"hoster.example", "7.113.0.203.rev.hoster.example"}, {"hoster.example", "cb007107.hoster.example"}, {"hoster.example", "203000113007.hoster.example"},
	{"hoster.example", "host-12ab.hoster.example"}, {"hoster.example", "host7.hoster.example"}, {"hoster.example", "a1b2c3d4.hoster.example"},
	{"hoster.example", "server42.hoster.example"}, {"hoster.example", "srv12.hoster.example"}, {"hoster.example", "s7.hoster.example"},
	{"hoster.example", "ks42.hoster.example"}, {"hoster.example", "v220190512345.hoster.example"}, {"hoster.example", "node-3.hoster.example"},
	{"hoster.example", "kunde-7.hoster.example"}, {"hoster.example", "customer7.hoster.example"}, {"hoster.example", "alice.customers.hoster.example"},
	{"hoster.example", "mail.alice.vserver.hoster.example"}, {"hoster.example", "instance-1.hoster.example"}, {"hoster.example", "i-0ab1c2d3.hoster.example"},
	{"isp.example", "c-203-0-113-7.hsd1.il.isp.example"}, {"isp.example", "dsl-7.isp.example"}, {"isp.example", "alice.dyn.isp.example"},
	{"isp.example", "p5b0a1c2d.dip0.isp.example"}, {"isp.example", "pool-7-3.isp.example"}, {"isp.example", "cpe-7.isp.example"},
	{"shared.example", "out7.mx.shared.example"},
}

// A customer's machine proves nobody at the domain of his provider, whatever its name is.
func TestNamesOfCustomersProveNobody(t *testing.T) {
	t.Parallel()
	if len(customersNames) < 40 {
		t.Fatalf("%d forms, want 40 at least", len(customersNames))
	}
	ru := rules(t)
	for _, c := range customersNames {
		for _, helo := range []string{c.name, strings.ToUpper(c.name), c.domain, "mail.example.net"} {
			r := named("victim@"+c.domain, c.name, helo)
			r.Sender.MX = []string{"in." + c.domain}
			if ru.Decide(r); r.Class != Open || r.Sender.Host != "" {
				t.Errorf("%s, HELO %s: class %s by %q", c.name, helo, r.Class, r.Sender.Host)
			}
		}
	}
}

// The domain's name, its MX hosts and its own server's HELO name prove its mail, and nothing else does.
func TestNamesThatAreTheDomainsOwn(t *testing.T) {
	t.Parallel()
	ru := rules(t)
	for _, c := range []struct {
		name, sender, confirmed, helo string
		mx                            []string
		want                          Class
	}{
		{"the domain itself", "a@example.org", "example.org", "x", nil, Proved},
		{"the domain itself, a machine of a hoster", "root@vps-4711.vps.ovh.net", "vps-4711.vps.ovh.net", "x", nil, Proved},
		{"an MX host", "a@example.org", "vps-4711.example.org", "x", []string{"in.example.org", "vps-4711.example.org"}, Proved},
		{"an MX host of somebody else", "a@example.org", "mx1.example.net", "x", []string{"mx1.example.net"}, Proved},
		{"an MX host that sends the mail of many", "a@example.org", "www12.your-server.de", "x", []string{"www12.your-server.de"}, Open},
		{"an MX host of a service in the list", "a@example.org", "mx.shared.example", "x", []string{"mx.shared.example"}, Open},
		{"the HELO name", "a@example.org", "mail.example.org", "mail.example.org", nil, Proved},
		{"the HELO name, in another spelling", "a@B\u00fccher.example", "mx1.xn--bcher-kva.example", "MX1.b\u00fccher\u3002example", nil, Proved},
		{"the HELO name, two labels below", "a@example.org", "mx2.fra.example.org", "mx2.fra.example.org", nil, Proved},
		{"web07 is one's own", "a@example.org", "web07.example.org", "web07.example.org", nil, Proved},
		{"HELO is another", "a@example.org", "mail.example.org", "smtp.example.org", nil, Open},
		{"HELO is beside the domain", "a@news.example.org", "mail.example.org", "mail.example.org", nil, Open},
		{"HELO is above the domain", "a@news.example.org", "example.org", "example.org", nil, Open},
		{"a domain that ends alike", "a@example.org", "mail.notexample.org", "mail.notexample.org", nil, Open},
		{"the public suffix", "a@co.uk", "mail.co.uk", "mail.co.uk", nil, Open},
		{"an address literal", "a@[203.0.113.7]", "mail.example.org", "[203.0.113.7]", nil, Open},
	} {
		r := named(c.sender, c.confirmed, c.helo)
		r.Sender.MX = c.mx
		if ru.Decide(r); r.Class != c.want {
			t.Errorf("%s: class %s, want %s", c.name, r.Class, c.want)
		}
	}
}

// facts are what a class is decided from, one of each.
type facts struct {
	spf, dmarc result.Word
	width      int    // of the network that SPF passes
	policy     string // of the author's domain
	own        string // of the sender's domain
	known      bool   // that one could be told
	undecided  bool
	name       string // confirmed, of the client
	signature  string // d= of one that passes
	from       string
}

// report makes them one. The sender is a@example.org, and a signature aligns where it is of that organisation.
func (f facts) report() *verify.Report {
	r := named("a@example.org", f.name, f.name)
	r.Session.RcptTo = []string{"check-auth@verifier.example"}
	r.Sender = verify.Sender{Known: f.known, Undecided: f.undecided, Policy: f.own, MX: []string{"mx.example.org"}}
	r.Checks[0].Result, r.Checks[0].Detail = f.spf, &spf.Result{Network: f.width}
	r.Checks[3].Result, r.Checks[3].Detail = f.dmarc, &dmarc.Result{Policy: dmarc.Policy(f.policy)}
	if f.own != "" {
		r.Sender.PolicyName = "example.org"
	}
	if f.name == "" {
		r.Checks[1].Result = result.Fail
	}
	r.Message.Fields = headers(f.from)
	if f.signature != "" {
		r.Checks[2].Result, r.Checks[2].Detail = result.Pass, &dkim.Signature{Domain: f.signature, Signed: []string{"from", "to"}}
		if naming.SameOrganisation(f.signature, "example.org") {
			r.Sender.Aligned = []string{f.signature}
		}
	}
	return r
}

// headers are written to us by an author.
var headers = func() func(string) mail.Fields {
	all := map[string]mail.Fields{}
	for _, from := range []string{"a@example.org", "b@example.org"} {
		fields, err := mail.Parse([]byte("From: "+from+"\r\nTo: check-auth@verifier.example\r\n"), mail.DefaultBounds())
		if err != nil {
			panic(err)
		}
		all[from] = fields
	}
	return func(from string) mail.Fields { return all[from] }
}()

// each tries all combinations.
func each(try func(facts)) {
	for _, word := range []result.Word{result.None, result.Neutral, result.SoftFail, result.Fail, result.Pass, result.TempError, result.PermError, result.NotRun} {
		for _, width := range []int{-1, 32} {
			if width == 32 && word != result.Pass {
				continue
			}
			for _, dmarc := range []result.Word{result.None, result.Pass, result.Fail, result.TempError, result.PermError, result.NotRun} {
				for _, policy := range []string{"", "none", "quarantine", "reject"} {
					for _, own := range []string{"", "none", "quarantine", "reject"} {
						for state := range 4 {
							for _, name := range []string{"", "example.org", "mx.example.org", "mail.example.org", "vps-4711.example.org", "mail.example.net"} {
								for _, d := range []string{"", "example.org", "news.example.org", "example.net"} {
									for _, from := range []string{"a@example.org", "b@example.org"} {
										f := facts{spf: word, width: width, dmarc: dmarc, policy: policy, own: own, known: state&1 == 0, undecided: state&2 != 0,
											name: name, signature: d, from: from}
										if !f.known {
											f.own = ""
										}
										try(f)
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// Whom the domain's own word refutes, only SPF's pass or a signature of that very mailbox proves: a name never does. And
// whoever is neither proved nor refuted is open.
func TestNothingButProofGoesAgainstTheDomainsOwnWord(t *testing.T) {
	t.Parallel()
	ru := rules(t)
	tried := map[Class]int{}
	each(func(f facts) {
		r := f.report()
		ru.Decide(r)
		tried[r.Class]++
		ofDomain := f.signature == "example.org" || f.signature == "news.example.org"
		proof := f.spf == result.Pass && f.width == 32 || ofDomain && f.from == "a@example.org"
		asks := f.own == "reject" || f.own == "quarantine"
		own := f.name == "example.org" || f.name == "mx.example.org" || f.name == "mail.example.org"
		want := Open
		switch {
		case proof:
			want = Proved
		case f.spf == result.Fail:
			want = Refuted
		case own && f.known && !f.undecided && !asks:
			want = Proved
		case f.dmarc == result.Fail && (f.policy == "reject" || f.policy == "quarantine"):
			want = Refuted
		case asks && !ofDomain:
			want = Refuted
		}
		if r.Class != want {
			t.Fatalf("%+v: class %s, want %s", f, r.Class, want)
		}
	})
	if tried[Proved] < 1000 || tried[Open] < 1000 || tried[Refuted] < 1000 {
		t.Errorf("classes that were met: %v", tried)
	}
}

// A fault of ours kept SPF from being told: that refutes nobody, whatever the domain asks for.
func TestAFaultOfOursRefutesNobody(t *testing.T) {
	t.Parallel()
	var ru Rules
	for _, at := range []int{0, 2} { // SPF, DKIM
		r := facts{spf: result.None, dmarc: result.TempError, own: "reject", known: true, undecided: true, from: "a@example.org"}.report()
		if ru.Decide(r); r.Class != Refuted {
			t.Errorf("without the fault: class %s, want %s", r.Class, Refuted)
		}
		r.Checks[at].Result, r.Checks[at].Reason = result.TempError, result.Because(verify.Panicked)
		if ru.Decide(r); r.Class != Open {
			t.Errorf("check %d: class %s, want %s", at, r.Class, Open)
		}
	}
}
