package policy

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/reply"
	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/docstest"
	"checkauth/verify/mail"
	"checkauth/verify/naming"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

var keys = Keys{[]byte("the key of this period, 32 octets"), []byte("the key of the one before, 32 octets")}

func TestToken(t *testing.T) {
	t.Parallel()
	token := keys.Token(Again, "Ann+tag@Example.ORG", now)
	if !regexp.MustCompile(`^[a-z2-7]{18}$`).MatchString(token) {
		t.Fatalf("token %q: want 18 letters and digits that survive a change of case", token)
	}
	old := keys[1:].Token(Again, "ann@example.org", now)
	for _, c := range []struct {
		name           string
		p              Purpose
		address, token string
		after          time.Duration
		want           bool
	}{
		{"its address", Again, "ann@example.org", token, 0, true},
		{"in capitals", Again, "ann@example.org", strings.ToUpper(token), 0, true},
		{"after 30 days", Again, "ann@example.org", token, 30 * 24 * time.Hour, true},
		{"after 31 days", Again, "ann@example.org", token, 31 * 24 * time.Hour, false},
		{"from a node whose clock is a day ahead", Again, "ann@example.org", token, -24 * time.Hour, true},
		{"from next week", Again, "ann@example.org", token, -7 * 24 * time.Hour, false},
		{"1024 days later, when the letters of the day come again", Again, "ann@example.org", token, 1024 * 24 * time.Hour, false},
		{"made with the key before", Again, "ann@example.org", old, 0, true},
		{"another address", Again, "bob@example.org", token, 0, false},
		{"another purpose", Never, "ann@example.org", token, 0, false},
		{"cut", Again, "ann@example.org", token[:17], 0, false},
		{"another day in front", Again, "ann@example.org", "aa" + token[2:], 0, false},
		{"empty", Again, "ann@example.org", "", 0, false},
	} {
		if got := keys.Valid(c.p, c.address, c.token, now.Add(c.after)); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
	if (Keys{}).Valid(Again, "ann@example.org", token, now) || Keys(nil).Token(Again, "ann@example.org", now) != "" {
		t.Error("without a key there are tokens")
	}
	if (Keys{[]byte("another server's key")}).Valid(Again, "ann@example.org", token, now) {
		t.Error("another server's token is taken")
	}
}

// What a forwarder sends back to a stranger is not taken for an address of the forwarder's: the stranger gets the
// tokens of what he is taken for.
func TestFoldOfAForwardedStranger(t *testing.T) {
	t.Parallel()
	keys := Keys{[]byte("key")}
	for stranger, victim := range map[string]string{
		"SRS0=abcd=XY=evil.example=victim+tag@fwd.example":               "victim@fwd.example",
		"SRS0=abcd=XY=evil.example=victim+a+b=c@fwd.example":             "victim@fwd.example",
		"SRS0=abcd=XY=evil.example=prvs=1234abcdef=victim+x@fwd.example": "victim@fwd.example",
		"SRS1=h=evil.example==abcd=XY=example.net=user@fwd.example":      "SRS0=abcd=XY=example.net=user@fwd.example",
	} {
		if keys.Valid(Never, victim, keys.Token(Never, stranger, now), now) {
			t.Errorf("%s (%s): its token stops the reports of %s", stranger, naming.Fold(stranger), victim)
		}
	}
}

// FuzzForm: no local part makes a service address of a form that is switched off, or of two kinds.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"check-auth", "CHECK-AUTH+tr+port25", "check-auth2", "check-auth-user=example.org", "check-auth-a=b=c", "check-auth-stop+x", "check-auth-=x"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, local string, on bool) {
		a := config().Addresses
		a.Author, a.Named = on, on
		role, form := a.Role(local, "verifier.example")
		if (role == Service) != (form.Kind != "") {
			t.Fatalf("%q: role %d with the form %+v", local, role, form)
		}
		if !on && (form.Kind == ToAuthor || form.Kind == ToNamed) {
			t.Fatalf("%q: %s, which is off", local, form.Kind)
		}
		if form.Kind == ToNamed && strings.Count(form.Named, "@") < 1 {
			t.Fatalf("%q: named %q", local, form.Named)
		}
	})
}

// sent asks with a recipient of ours and facts, and tells what becomes of it.
func sent(t *testing.T, c Config, to string, f Facts, change func(*verify.Report)) Decision {
	t.Helper()
	r := report(t, "From: a@example.org\n", change)
	r.Session.RcptTo = []string{to}
	return c.Decide(r, f, now)
}

func keyed(d Decision) (out []string) {
	for _, b := range d.Buckets {
		out = append(out, fmt.Sprintf("%s=%d", b.Key, b.Limit))
	}
	return out
}

func wantBuckets(t *testing.T, d Decision, want ...string) {
	t.Helper()
	if got := keyed(d); !slices.Equal(got, want) {
		t.Errorf("got the counters\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestQuotaOfAnAddress(t *testing.T) {
	t.Parallel()
	d := sent(t, config(), "check-auth@verifier.example", Facts{}, setSPF(result.Pass, 32))
	wantBuckets(t, d, "address-minute/a@example.org=1", "address-day/a@example.org=12", "network-hour/192.0.2.0/24=60", "domain-day/example.org=200", "node-hour/=3000")
	if got := d.Buckets[0].Expires.Sub(now); got != time.Minute {
		t.Errorf("the minute lasts %s", got)
	}
}

func TestQuotaOfANetwork(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string][]string{
		"192.0.2.77":          {"open-network-hour/192.0.2.0/24=10"},
		"::ffff:192.0.2.1":    {"open-network-hour/192.0.2.0/24=10"},
		"2001:db8:1:2ff::1":   {"open-network-hour/2001:db8:1:200::/56=10", "open-site-hour/2001:db8:1::/48=40"},
		"2001:db8:1:2ff::1%1": {"open-network-hour/2001:db8:1:200::/56=10", "open-site-hour/2001:db8:1::/48=40"},
	} {
		d := sent(t, config(), "check-auth@verifier.example", Facts{}, func(r *verify.Report) { r.Session.ClientIP = ip })
		got := slices.DeleteFunc(keyed(d), func(k string) bool { return !strings.Contains(k, "network") && !strings.Contains(k, "site") })
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", ip, got, want)
		}
	}
	d := sent(t, config(), "check-auth@verifier.example", Facts{}, func(r *verify.Report) {
		setSPF(result.Pass, 128)(r)
		r.Session.ClientIP = "2001:db8:1:2ff::1"
	})
	for _, want := range []string{"network-hour/2001:db8:1:200::/56=60", "site-hour/2001:db8:1::/48=240"} {
		if !slices.Contains(keyed(d), want) {
			t.Errorf("proved: got %q, want %s", keyed(d), want)
		}
	}
}

// shared is the configuration with shares of an eighth.
func shared() Config {
	c := config()
	c.Node, c.Share = "a.example.net", share.Rule{Part: 8, Unlimited: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	return c
}

// pot are the counters of a decision whose key begins so, with what each is a share of.
func pot(d Decision, name string) (out []string) {
	for _, b := range d.Buckets {
		if strings.HasPrefix(b.Key, name) {
			out = append(out, fmt.Sprintf("%s=%d of %q %d %d", b.Key, b.Limit, b.Pot, b.Part, b.Few))
		}
	}
	return out
}

// All reports of this node are one pot, of which a network has its share, and few of the last fifth.
func TestShareOfTheHour(t *testing.T) {
	t.Parallel()
	const whole = `node-hour/a.example.net=3000 of "" 0 0`
	of := func(network string) string {
		return "node-hour-share/a.example.net " + network + `=3000 of "node-hour/a.example.net" 8 5`
	}
	for ip, want := range map[string][]string{
		"192.0.2.77":        {whole, of("192.0.2.0/24")},
		"2001:db8:1:2ff::1": {whole, of("2001:db8:1:2ff::/64"), of("2001:db8:1:200::/56"), of("2001:db8:1::/48")},
		"198.51.100.7":      {whole}, // policy.unlimited
		"":                  {whole},
	} {
		for _, change := range []func(*verify.Report){setSPF(result.Pass, 32), setSPF(result.SoftFail, -1)} {
			d := sent(t, shared(), "check-auth@verifier.example", Facts{}, func(r *verify.Report) { change(r); r.Session.ClientIP = ip })
			if got := pot(d, "node-hour"); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", ip, got, want)
			}
		}
	}
	c := shared()
	c.Share.Part = 0 // policy.share = unlimited
	if got := pot(sent(t, c, "check-auth@verifier.example", Facts{}, nil), "node-hour"); !slices.Equal(got, []string{whole}) {
		t.Errorf("without shares: got %q", got)
	}
	c.Quotas.TotalHour = Unlimited
	if got := pot(sent(t, c, "check-auth@verifier.example", Facts{}, nil), "node-hour"); got != nil {
		t.Errorf("without a bound: got %q", got)
	}
}

func TestOperatorMail(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string][]string{
		"192.0.2.77":   {"operator-hour=30", "operator-hour-share/192.0.2.0/24=3"},
		"198.51.100.7": {"operator-hour=30"},
		"2001:db8:1:2ff::1": {"operator-hour=30", "operator-hour-share/2001:db8:1:2ff::/64=3", "operator-hour-share/2001:db8:1:200::/56=3",
			"operator-hour-share/2001:db8:1::/48=3"},
	} {
		got := keyed(Decision{Buckets: shared().Operator(netip.MustParseAddr(ip), now)})
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", ip, got, want)
		}
	}
}

// at are hosts of a route: "name address address".
func at(hosts ...string) (r Route) {
	for _, h := range hosts {
		words := strings.Fields(h)
		host := Host{Name: words[0]}
		for _, a := range words[1:] {
			host.Addrs = append(host.Addrs, netip.MustParseAddr(a))
		}
		r.Hosts = append(r.Hosts, host)
	}
	return r
}

func TestQuotaOfADestination(t *testing.T) {
	t.Parallel()
	c := config()
	c.Ours = func(a netip.Addr) bool { return a == netip.MustParseAddr("198.51.100.250") }
	somewhere := at("mx.example.org 198.51.100.1 2001:db8::25")
	half := somewhere
	half.Unknown = true
	for _, k := range []struct {
		name  string
		facts Facts
		want  []string // counters of destinations
		at    []string // addresses that count as counted
	}{
		{"its server", Facts{Route: somewhere}, []string{"198.51.100.1", "2001:db8::25"}, []string{"198.51.100.1", "2001:db8::25"}},
		{"the first of two, whose turn it is", Facts{Route: at("mx.example.org 198.51.100.1", "mx2.example.org 198.51.100.2")}, []string{"198.51.100.1"}, []string{"198.51.100.1"}},
		{"a server that takes the organisation's reports", Facts{Route: somewhere, Known: true}, nil, nil},
		{"a name of a mail service", Facts{Route: at("alt1.aspmx.l.google.com 198.51.100.1")}, nil, nil},
		{"a name of a mail service, in capitals", Facts{Route: at("ASPMX.L.Google.com. 198.51.100.1")}, nil, nil},
		{"a hoster's customer's machine", Facts{Route: at("vps123.ovh.net 198.51.100.1")}, []string{"198.51.100.1"}, []string{"198.51.100.1"}},
		{"a name that ends alike", Facts{Route: at("evilsmtpin.rzone.de 198.51.100.1")}, []string{"198.51.100.1"}, []string{"198.51.100.1"}},
		{"one address of ours, where nothing is brought", Facts{Route: at("mx.example.org 198.51.100.1 198.51.100.250")}, []string{"198.51.100.1"}, []string{"198.51.100.1"}},
		{"what could not be learnt", Facts{Route: Route{Unknown: true}}, []string{"unknown"}, []string{"invalid IP"}},
		{"one of several could not be learnt", Facts{Route: half}, []string{"198.51.100.1", "2001:db8::25"}, []string{"198.51.100.1", "2001:db8::25"}},
		{"a relay", Facts{}, nil, nil},
	} {
		for class, change := range map[string]func(*verify.Report){"proved": setSPF(result.Pass, 32), "open": nil} {
			d := sent(t, c, "check-auth@verifier.example", k.facts, change)
			var got, addresses []string
			for _, b := range d.Buckets {
				if whom, ok := strings.CutPrefix(b.Key, "destination-hour/"); ok {
					got = append(got, whom)
				}
			}
			for _, a := range d.Counted {
				addresses = append(addresses, a.At.String())
			}
			if !slices.Equal(got, k.want) || !slices.Equal(addresses, k.at) {
				t.Errorf("%s, %s: counted at %q (%q), want %q (%q)", k.name, class, got, addresses, k.want, k.at)
			}
		}
	}
	// The operator's list lifts it, at the moment of connecting too.
	var err error
	if c.Allow, err = ParseList([]string{"example.org"}); err != nil {
		t.Fatal(err)
	}
	d := sent(t, c, "check-auth@verifier.example", Facts{Route: somewhere}, setSPF(result.Pass, 32))
	if got := pot(d, "destination"); got != nil || len(d.Counted) != 2 || d.Counted[0].In != nil {
		t.Errorf("on the operator's list: counted at %q, %v", got, d.Counted)
	}
}

// No names of hosters' customers' machines are taken for a mail service's.
func TestServersAreNamesOfServices(t *testing.T) {
	t.Parallel()
	c := config()
	for _, name := range []string{"vps-1a2b3c.vps.ovh.net", "ns3012345.ip-198-51-100.eu", "ip-198-51-100-1.ip.secureserver.net", "s198.secureserver.net",
		"p3plvcpnl1234.prod.phx3.secureserver.net", "s12345.kundenserver.de", "infong123.kundenserver.de", "static.1.100.51.198.clients.your-server.de",
		"h2345678.stratoserver.net", "shop.strato.de", "customer.one.com", "1-100-51-198.google.com", "x.outlook.com", "s1.ionos.com"} {
		if c.service(name) {
			t.Errorf("%s is taken for a mail service's", name)
		}
	}
	for _, name := range []string{"aspmx.l.google.com", "alt4.gmail-smtp-in.l.google.com", "example-org.mail.protection.outlook.com", "hotmail-com.olc.protection.outlook.com",
		"mx1.mail.ovh.net", "mailstore1.secureserver.net", "mx00.kundenserver.de", "mta7.am0.yahoodns.net", "mx01.mail.icloud.com", "mxa-00112233.gslb.pphosted.com"} {
		if !c.service(name) {
			t.Errorf("%s is no mail service's", name)
		}
	}
}

// Of what an address may be sent an organisation and a client's network have their shares.
func TestShareOfADestination(t *testing.T) {
	t.Parallel()
	of := func(whom string) string {
		return "destination-hour-share/198.51.100.1 " + whom + `=60 of "destination-hour/198.51.100.1" 8 0`
	}
	whole := `destination-hour/198.51.100.1=60 of "" 0 0`
	facts := Facts{Route: at("mx.example.org 198.51.100.1")}
	for ip, want := range map[string][]string{
		"192.0.2.77":        {whole, of("example.org"), of("192.0.2.0/24")},
		"198.51.100.7":      {whole, of("example.org")},
		"2001:db8:1:2ff::1": {whole, of("example.org"), of("2001:db8:1:2ff::/64"), of("2001:db8:1:200::/56"), of("2001:db8:1::/48")},
	} {
		d := sent(t, shared(), "check-auth@verifier.example", facts, func(r *verify.Report) {
			r.Session.ClientIP, r.Session.MailFrom = ip, "a@sub.example.org"
		})
		if got := pot(d, "destination"); !slices.Equal(got, want) || len(d.Counted) != 1 || len(d.Counted[0].In) != len(want) {
			t.Errorf("%s: got %q, want %q", ip, got, want)
		}
	}
	// What could not be learnt has shares as well.
	d := sent(t, shared(), "check-auth@verifier.example", Facts{Route: Route{Unknown: true}}, nil)
	if got := pot(d, "destination-hour-share"); len(got) != 2 || !strings.Contains(got[0], "/unknown example.org=60") {
		t.Errorf("unknown: got %q", got)
	}
	// At the moment of connecting the client is not known any more.
	again := shared().Destination("mx.example.org", netip.MustParseAddr("::ffff:198.51.100.1"), "a@example.org", netip.Addr{}, now)
	if got := pot(Decision{Buckets: again}, "destination"); !slices.Equal(got, []string{whole, of("example.org")}) {
		t.Errorf("at the moment of connecting: got %q", got)
	}
}

func TestRFC5321_5_1_a_mail_server_that_is_ours(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*verify.Report){"proved": setSPF(result.Pass, 32), "open": nil} {
		d := sent(t, config(), "check-auth@verifier.example", Facts{Route: Route{Ours: true}}, change)
		if d.Mail || d.Code != 550 || d.Enhanced != [3]int{5, 4, 6} || d.Rule != "mail server is this service" {
			t.Errorf("%s: got %+v, want 550 5.4.6", name, d)
		}
	}
}

func TestQuotaOfADomain(t *testing.T) {
	t.Parallel()
	c := config()
	c.Providers = append(c.Providers, "mailbox.example")
	for from, want := range map[string]bool{"a@sub.example.org": true, "a@example.org": true, "a@mailbox.example": false} {
		d := sent(t, c, "check-auth@verifier.example", Facts{}, func(r *verify.Report) {
			setSPF(result.Pass, 32)(r)
			r.Session.MailFrom = from
		})
		if got := slices.Contains(keyed(d), "domain-day/example.org=200"); got != want {
			t.Errorf("%s: got %q", from, keyed(d))
		}
	}
}

func TestUnlimited(t *testing.T) {
	t.Parallel()
	c := config()
	c.Quotas.NetworkHour = Unlimited
	if d := sent(t, c, "check-auth@verifier.example", Facts{}, setSPF(result.Pass, 32)); strings.Contains(strings.Join(keyed(d), " "), "network") {
		t.Errorf("got %q", keyed(d))
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	c := config()
	var err error
	if c.Allow, err = ParseList([]string{"example.org", "198.51.100.0/24"}); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		name   string
		change func(*verify.Report)
		want   bool
	}{
		{"a proved sender of the list", setSPF(result.Pass, 32), true},
		{"one that is not proved may be forged", nil, false},
		{"a network of the list", func(r *verify.Report) { r.Session.ClientIP = "198.51.100.9" }, true},
	} {
		// The hour's is of all, whatever else is lifted.
		if d := sent(t, c, "check-auth@verifier.example", Facts{}, k.change); slices.Equal(keyed(d), []string{"node-hour/=3000"}) != k.want || !d.Mail {
			t.Errorf("%s: mailed %t, counters %q", k.name, d.Mail, keyed(d))
		}
	}
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	c := config()
	var err error
	if c.Block, err = ParseList([]string{"bad.example", "Mallory@example.net", "203.0.113.0/24", "2001:db8:bad::/48", "192.0.2.99"}); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		from, ip string
		want     bool
	}{
		{"a@bad.example", "192.0.2.1", true},
		{"a@sub.BAD.example", "192.0.2.1", true},
		{"a@notbad.example", "192.0.2.1", false},
		{"mallory+x@example.net", "192.0.2.1", true},
		{"ann@example.net", "192.0.2.1", false},
		{"ann@example.net", "203.0.113.7", true},
		{"ann@example.net", "::ffff:203.0.113.7", true},
		{"ann@example.net", "2001:db8:bad::1", true},
		{"ann@example.net", "192.0.2.99", true},
	} {
		env := verify.Envelope{ID: "x", MailFrom: k.from, Client: netip.AddrPortFrom(netip.MustParseAddr(k.ip), 25), RcptTo: []string{"check-auth@verifier.example"}}
		if got := c.Early(env); got != k.want {
			t.Errorf("%s from %s: got %t", k.from, k.ip, got)
		}
		if d := c.DecideEarly(env, keys, now); k.want && (d.Mail || d.Code != 550 || d.Rule != "blocked by the operator") {
			t.Errorf("%s from %s: got %+v", k.from, k.ip, d)
		}
	}
	// Who is blocked gets no report on somebody else's envelope either.
	c.Addresses.Author = true
	if d := sent(t, c, "check-auth2@verifier.example", Facts{}, author("mallory@example.net", "example.net")); d.Mail || d.Code != 550 || d.Rule != "recipient of the report is blocked" {
		t.Errorf("as the author: got %+v", d)
	}
	for _, bad := range []string{"", "example", "@example.org", "a b@example.org", "192.0.2.0/33", "a@", "http://example.org/"} {
		if _, err := ParseList([]string{bad}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Errorf("%q: got %v, want an error that names it", bad, err)
		}
	}
}

// What is mailed to an unproved sender has the two addresses; the first has class A's quota, not its content.
func TestTokenGivesTheQuotaOfTheProved(t *testing.T) {
	t.Parallel()
	f := Facts{Keys: keys}
	first := sent(t, config(), "check-auth@verifier.example", f, nil)
	if first.Again == "" || first.Never == "" || first.Class != Open {
		t.Fatalf("got %+v, want class B with a token and a stop address", first)
	}
	d := sent(t, config(), first.Again, f, nil)
	if d.Class != Open || !d.Mail || !slices.Contains(keyed(d), "address-day/a@example.org=12") {
		t.Errorf("with the token: class %s, counters %q", d.Class, keyed(d))
	}
	other := sent(t, config(), first.Again, f, func(r *verify.Report) { r.Session.MailFrom = "victim@example.org" })
	if !slices.Contains(keyed(other), "address-day/victim@example.org=1") {
		t.Errorf("with another's token: counters %q", keyed(other))
	}
	if refuted := sent(t, config(), first.Again, f, setSPF(result.Fail, -1)); refuted.Mail {
		t.Error("a token lets a refuted sender pass")
	}
	if proved := sent(t, config(), "check-auth@verifier.example", f, setSPF(result.Pass, 32)); proved.Again != "" || proved.Never != "" {
		t.Errorf("a proved sender was given %q and %q", proved.Again, proved.Never)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	f := Facts{Keys: keys}
	c := config()
	first := sent(t, c, "check-auth@verifier.example", f, nil)
	env := verify.Envelope{ID: "x", MailFrom: "a@example.org", Client: netip.MustParseAddrPort("192.0.2.1:25"), RcptTo: []string{first.Never}}
	if d := c.DecideEarly(env, keys, now); !c.Early(env) || d.Stop != "a@example.org" || d.Code != 250 || d.Mail {
		t.Errorf("the stop address: got %+v", d)
	}
	for name, change := range map[string]func(*verify.Envelope){
		"another sender": func(e *verify.Envelope) { e.MailFrom = "b@example.org" },
		"a bounce":       func(e *verify.Envelope) { e.MailFrom = "" },
		"the token of tests": func(e *verify.Envelope) {
			e.RcptTo = []string{strings.Replace(first.Again, "check-auth", "check-auth-stop", 1)}
		},
		"no token": func(e *verify.Envelope) { e.RcptTo = []string{"check-auth-stop@verifier.example"} },
	} {
		bad := env
		change(&bad)
		if d := c.DecideEarly(bad, keys, now); d.Stop != "" || d.Code != 550 {
			t.Errorf("%s: got %+v, want 550", name, d)
		}
	}
	f.Stopped = true
	for _, change := range []func(*verify.Report){nil, setSPF(result.Pass, 32)} {
		if d := sent(t, c, "check-auth@verifier.example", f, change); d.Mail || d.Code != 550 || d.Rule != "stopped by the recipient" {
			t.Errorf("a stopped address: got %+v", d)
		}
	}
	if d := sent(t, c, first.Again, f, nil); !d.Mail || d.Resume != "a@example.org" {
		t.Errorf("its own token: got %+v, want a reply, and no stop any more", d)
	}
}

func TestHostile_34(t *testing.T) {
	t.Parallel()
	c := config()
	for from, robot := range map[string]bool{"noreply@example.org": true, "no-reply+1@example.org": true, "Do_Not_Reply@example.org": true,
		"postmaster@example.org": false, "root@example.org": false, "admin@example.org": false, "nora@example.org": false} {
		for _, answer := range []bool{true, false} {
			c.AnswerNoReply = answer
			d := sent(t, c, "check-auth@verifier.example", Facts{}, func(r *verify.Report) { r.Session.MailFrom = from })
			if want := answer || !robot; d.Mail != want {
				t.Errorf("%s, answer-noreply %t: mailed %t", from, answer, d.Mail)
			}
		}
	}
}

// author makes the report of a message whose DMARC passes by signatures of these domains.
func author(from string, domains ...string) func(*verify.Report) {
	return func(r *verify.Report) {
		fields, err := mail.Parse([]byte("From: "+from+"\r\nTo: check-auth2@verifier.example\r\nCc: check-auth-ann=example.org@verifier.example,\r\n Check-Auth-a=b=example.org@verifier.example\r\n"), mail.DefaultBounds())
		if err != nil {
			panic(err)
		}
		r.Message.Fields = fields
		r.Session.MailFrom = "bounces@vendor.example"
		r.Checks[3].Result = result.Pass
		r.Checks[3].Detail = &dmarc.Result{Policy: "reject"}
		for _, d := range domains {
			r.Checks = append(r.Checks, result.Outcome{Method: verify.MethodDKIM, Result: result.Pass, Detail: &dkim.Signature{Domain: d, Signed: []string{"From", "To", "Cc"}}})
		}
	}
}

// check-auth2@ and check-auth-user=domain@ write to the one From address alone, by a signature of its very domain.
func TestHostile_42(t *testing.T) {
	t.Parallel()
	c := config()
	c.Addresses.Author, c.Addresses.Named = true, true
	trusted := c
	var err error
	if trusted.Trusted, err = ParseList([]string{"example.org"}); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		name, to string
		c        Config
		change   func(*verify.Report)
		want     string // whom the report goes to
	}{
		{"the author of a signed mail", "check-auth2@verifier.example", c, author("Ann <ann@example.org>", "example.org"), "ann@example.org"},
		{"the same, named", "check-auth-ann=example.org@verifier.example", c, author("ann@example.org", "Example.ORG"), "ann@example.org"},
		{"a name with a sign in it", "Check-Auth-a=b=example.org@verifier.example", c, author("a=b@example.org", "example.org"), ""},
		{"another user of the domain", "check-auth-bob=example.org@verifier.example", c, author("ann@example.org", "example.org"), ""},
		{"another domain", "check-auth-ann=example.net@verifier.example", c, author("ann@example.org", "example.org"), ""},
		{"a signature of a sub-domain", "check-auth2@verifier.example", c, author("ann@example.org", "mail.example.org"), ""},
		{"a signature of the organisation", "check-auth2@verifier.example", c, author("ann@sub.example.org", "example.org"), ""},
		{"a mail of the author to somebody else, sent again to us", "check-auth2@verifier.example", c, func(r *verify.Report) {
			author("ann@example.org", "example.org")(r)
			r.Message.Fields = r.Message.Fields[:1]
		}, ""},
		{"a signature that does not cover To", "check-auth2@verifier.example", c, func(r *verify.Report) {
			author("ann@example.org", "example.org")(r)
			result.Detail[dkim.Signature](r.Checks[4]).Signed = []string{"From"}
		}, ""},
		{"no signature", "check-auth2@verifier.example", c, author("ann@example.org"), ""},
		{"two authors", "check-auth2@verifier.example", c, author("ann@example.org, bob@example.org", "example.org"), ""},
		{"a quoted name", "check-auth2@verifier.example", c, author(`"a b"@example.org`, "example.org"), ""},
		{"DMARC fails", "check-auth2@verifier.example", c, func(r *verify.Report) {
			author("ann@example.org", "example.org")(r)
			r.Checks[3].Result = result.Fail
		}, ""},
		{"the operator's list", "check-auth2@verifier.example", trusted, author("ann@example.org"), "ann@example.org"},
		{"a domain that is not on it", "check-auth2@verifier.example", trusted, author("ann@example.net"), ""},
	} {
		d := sent(t, k.c, k.to, Facts{}, k.change)
		if d.To != k.want || d.Mail != (k.want != "") || k.want == "" && (d.Code != 550 || d.Rule != "recipient of the report is not proved") {
			t.Errorf("%s: got %q, mailed %t, %d, %q; want %q", k.name, d.To, d.Mail, d.Code, d.Rule, k.want)
		}
	}
	off := config().Addresses
	for _, local := range []string{"check-auth2", "check-auth-ann=example.org"} {
		if role, _ := off.Role(local, "verifier.example"); role != UnknownUser {
			t.Errorf("%s is taken where it is off", local)
		}
	}
	// Our own address as the author: one of our replies, sent back to us.
	if d := sent(t, c, "check-auth2@verifier.example", Facts{}, author("auth-results@verifier.example", "verifier.example")); d.Mail || d.Rule != "sender is one of our own addresses" {
		t.Errorf("our own address: got %+v", d)
	}
	// A null sender is never answered, whatever the From field says.
	if d := sent(t, c, "check-auth2@verifier.example", Facts{}, func(r *verify.Report) {
		author("ann@example.org", "example.org")(r)
		r.Session.MailFrom = ""
	}); d.Mail || d.Rule != "null sender" {
		t.Errorf("null sender: got %+v", d)
	}
}

func TestHostile_47(t *testing.T) {
	t.Parallel()
	d := sent(t, config(), "check-auth@verifier.example", Facts{Route: Route{NullMX: true}}, setSPF(result.Pass, 32))
	if d.Mail || d.Code != 550 || d.Enhanced != [3]int{5, 7, 27} {
		t.Errorf("null MX: got %+v, want 550 5.7.27", d)
	}
	d = sent(t, config(), "check-auth@verifier.example", Facts{Route: Route{Nowhere: true}}, nil)
	if d.Mail || d.Code != 550 || d.Enhanced != [3]int{5, 1, 8} {
		t.Errorf("neither MX nor address: got %+v, want 550 5.1.8", d)
	}
}

func TestShortToRefuted(t *testing.T) {
	t.Parallel()
	c := config()
	c.ShortToRefuted = true
	d := sent(t, c, "check-auth@verifier.example", Facts{Keys: keys}, setSPF(result.Fail, -1))
	if !d.Mail || !d.Short || d.Code != 250 || d.Never == "" {
		t.Errorf("got %+v, want one paragraph", d)
	}
	wantBuckets(t, d, "address-day/a@example.org=1", "open-network-hour/192.0.2.0/24=10", "refuted-domain-hour/example.org=5", "node-hour/=3000")
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	c := config()
	c.DryRun = true
	d := sent(t, c, "check-auth@verifier.example", Facts{}, setSPF(result.Pass, 32))
	if d.Mail || d.Rule != "dry run" || d.Code != 250 || len(d.Buckets) > 0 || !slices.ContainsFunc(d.Lines, func(r result.Reason) bool { return r.Code == "answer-dry-run" }) {
		t.Errorf("got %+v", d)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	c := config()
	r := report(t, "", nil)
	r.Actions = []verify.Action{{Code: "action-host", Type: verify.ActionHost}, {Code: "action-spf-publish", Zone: `example.org. IN TXT "v=spf1 mx ~all"`}}
	for key, want := range map[string]struct {
		code  result.Code
		until string
		after time.Duration
	}{
		"address-minute/a@example.org":               {"answer-full-address", "02:11 UTC", time.Second},
		"open-domain-hour/example.org":               {"answer-full-domain", "03:01 UTC", 50 * time.Minute},
		"network-hour/192.0.2.0/24":                  {"answer-full-network", "02:12 UTC", time.Minute + time.Second},
		"destination-hour/192.0.2.1":                 {"answer-full-destination", "02:11 UTC", 55 * time.Second},
		"address-day/a@example.org":                  {"answer-full-address", "2026-11-25 01:11 UTC", 23*time.Hour + time.Second},
		"site-hour/2001:db8:1::/48":                  {"answer-full-network", "02:11 UTC", time.Second},
		"destination-hour-share/192.0.2.1 a.example": {"answer-full-destination-share", "02:11 UTC", time.Second},
		"node-hour-share/n 192.0.2.0/24":             {"answer-full-share", "02:11 UTC", time.Second},
		"node-hour/a.example.net":                    {"answer-full-node", "02:20 UTC", 9*time.Minute + 55*time.Second},
	} {
		d := c.Full(Decision{Class: Open, Mail: true, Again: "x"}, r, reply.Full{Key: key, Until: now.Add(want.after)}, now)
		if d.Mail || d.Code != 550 || d.Enhanced != [3]int{5, 7, 1} || d.Lines[1].Code != want.code || d.Lines[1].Args.Get("until") != want.until {
			t.Errorf("%s: got %+v, want %s until %s", key, d, want.code, want.until)
		}
		if d.Lines[2].Code != "action-spf-publish" || d.Lines[3].Args.Get("zone") != r.Actions[1].Zone {
			t.Errorf("%s: the DNS line is not in the answer: %v", key, d.Lines)
		}
	}
}

// Each rule of docs/abuse.md names the test that proves it.
func TestEveryRuleHasItsTest(t *testing.T) {
	t.Parallel()
	docstest.Proved(t, Tests(), ".", "../respond", "../compose")
}

// The tables of docs/abuse.md are the code's.
func TestDocs(t *testing.T) {
	t.Parallel()
	var tables []docstest.Table
	for _, of := range []struct {
		name string
		head []string
		rows []Row
	}{
		{"classes", []string{"the envelope sender is", "the client hears, and what is mailed", "why", "test"}, Classes()},
		{"rules", []string{"rule", "the client hears", "why", "test"}, Rules()},
		{"quotas", []string{"counter", "reports", "of what", "test"}, Limits()},
	} {
		table := docstest.Table{Name: of.name, Head: of.head}
		for _, r := range of.rows {
			table.Rows = append(table.Rows, []string{r.Rule, r.Answer, r.Why, "`" + r.Test + "`"})
		}
		tables = append(tables, table)
	}
	docstest.Tables(t, "../../docs/abuse.md", "./reply/policy", tables...)
}
