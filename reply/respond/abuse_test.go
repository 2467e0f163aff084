package respond_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"

	"log/slog"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-message"

	"checkauth/reply"
	"checkauth/reply/policy"
	"checkauth/reply/respond"
	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
	"checkauth/verify/share"
)

// place is a domain that somebody writes from or in whose name somebody else does.
type place struct {
	name, spf, dmarc string
	class            policy.Class // of who is not its own server
	mx               []string     // addresses of its mail servers
	refuses          bool         // they take no mail for it
	moves            string       // address that they have once the report is stored
	deaf             string       // what is not to be had of its TXT records: spf or dmarc
	fault            dns.Kind     // and why
}

// putOff: a question that a full quota refused says nothing of anybody.
func (p place) putOff() bool { return p.fault == dns.Quota }

// undecided: what would refute the mail may have gone unread, so that a paragraph is mailed at most.
func (p place) undecided() bool { return p.fault != "" && !p.putOff() }

// victims are the domains in whose name strangers write. Each has a mail server of its own.
func victims() []place {
	all := []place{
		{name: "refuses.example", spf: "v=spf1 -all", class: policy.Refuted},
		{name: "strict.example", spf: "v=spf1 ~all", dmarc: "p=reject", class: policy.Refuted},
		{name: "careful.example", dmarc: "p=quarantine", class: policy.Refuted},
		{name: "bare.example", class: policy.Open},
		{name: "soft.example", spf: "v=spf1 ~all", dmarc: "p=none", class: policy.Open},
		{name: "neutral.example", spf: "v=spf1 ?all", class: policy.Open},
		{name: "wide.example", spf: "v=spf1 +all", class: policy.Open},
		{name: "broken.example", spf: "v=spf1 nonsense:here -all", class: policy.Open},
		{name: "bombed.example", class: policy.Open},
		{name: "crowd.example", class: policy.Open},
		{name: "spelt.example", class: policy.Open},
		{name: "xn--bcher-kva.example", class: policy.Open},
		{name: "gmail.com", spf: "v=spf1 ~all", class: policy.Open},
		{name: "googlemail.com", spf: "v=spf1 ~all", class: policy.Open},
		{name: "thieved.example", class: policy.Open},
		{name: "thief.example", class: policy.Open},
		{name: "stopping.example", class: policy.Open},
		{name: "mended.example", class: policy.Open},
	}
	for i := range all {
		all[i].mx = []string{fmt.Sprintf("192.0.2.%d", i+1)}
	}
	return all
}

const (
	target  = "192.0.2.200" // the mail server that others' domains point at
	hoster  = "192.0.2.240"
	moved   = "192.0.2.241" // where names with a short TTL lead once the report is stored
	ownNets = "ip6:2001:db8:a000::/36"
)

// besieged are domains that refute strangers, and what keeps us from reading that; the last two are hosters.
func besieged() []place {
	all := []place{
		{name: "spent.example", spf: "v=spf1 -all", deaf: "spf", fault: dns.Quota},
		{name: "spent-too.example", dmarc: "p=reject", deaf: "dmarc", fault: dns.Quota},
		{name: "bounded.example", spf: "v=spf1 -all", deaf: "spf", fault: dns.Budget},
		{name: "bounded-too.example", dmarc: "p=reject", deaf: "dmarc", fault: dns.Budget},
		{name: "failing.example", dmarc: "p=reject", deaf: "dmarc", fault: dns.ServFail},
		{name: "xn--hostr-esa.example", spf: "v=spf1 -all", class: policy.Refuted},
		{name: "hoster.example", dmarc: "p=reject", class: policy.Refuted},
	}
	for i := range all {
		all[i].class = cmp.Or(all[i].class, policy.Open)
		all[i].mx = []string{fmt.Sprintf("192.0.2.%d", 50+i)}
	}
	return all
}

// moving are domains whose mail server has another address as soon as the report is stored: a victim's.
func moving() (all []place) {
	for i := range 80 {
		all = append(all, place{name: fmt.Sprintf("moving%d.example", i), spf: "v=spf1 " + ownNets + " -all", class: policy.Proved,
			mx: []string{fmt.Sprintf("192.0.2.%d", 60+i)}, moves: moved, refuses: true})
	}
	return all
}

// machines are the names of a hoster's customers' machines.
var machines = strings.Fields("mail vps s1 web3 host12 alice kunde12 mail.kunde dyn-a static.7.113.0.203 vps-4711 mx gw.alice")

// machine is one of them: its hoster and number give its address.
func machine(hoster, n int) source {
	net := fmt.Sprintf("203.0.%d.", 114+hoster*len(machines)+n)
	return source{net + "7", net + "0/24"}
}

// owned are an attacker's own domains, whose mail is proved.
func owned() (all []place) {
	for i := range 30 {
		all = append(all, place{name: fmt.Sprintf("own%d.example", i), mx: []string{target, target}[:1+i%2], refuses: true})
	}
	for i := range 10 {
		all = append(all, place{name: fmt.Sprintf("loud%d.example", i), mx: []string{fmt.Sprintf("192.0.2.%d", 210+i)}})
	}
	all = append(all, place{name: "large.example", mx: []string{"192.0.2.220"}})
	// A hoster's server is that of its customers, and not of 70 domains of an attacker's, whose MX leads there too.
	for i := range 100 {
		all = append(all, place{name: fmt.Sprintf("customer%d.example", i), mx: []string{hoster}})
	}
	for i := range 70 {
		all = append(all, place{name: fmt.Sprintf("filler%d.example", i), mx: []string{hoster}, refuses: true})
	}
	for i := range all {
		all[i].spf, all[i].class = "v=spf1 "+ownNets+" -all", policy.Proved
	}
	return append(all, place{name: "friend.example", spf: "v=spf1 ip4:198.51.100.77 -all", class: policy.Proved, mx: []string{"192.0.2.230"}})
}

func zoneOf(places []place) string {
	var b strings.Builder
	for h, p := range besieged()[5:] {
		for i, name := range machines {
			a := netip.MustParseAddr(machine(h, i).addr)
			fmt.Fprintf(&b, "%[1]s.%[2]s. A %[3]s\n%[4]s PTR %[1]s.%[2]s.\n", name, p.name, a, dns.ReverseName(a))
		}
	}
	for _, p := range places {
		for i, a := range p.mx {
			fmt.Fprintf(&b, "%s. MX %d mx%d.%s.\nmx%d.%s. A %s\n", p.name, i, i, p.name, i, p.name, a)
		}
		fmt.Fprintf(&b, "*.%s. MX 0 mx0.%s.\n", p.name, p.name)
		if p.spf != "" {
			fmt.Fprintf(&b, "%s. TXT %q\n", p.name, p.spf)
		}
		if p.dmarc != "" {
			fmt.Fprintf(&b, "_dmarc.%s. TXT \"v=DMARC1; %s\"\n", p.name, p.dmarc)
		}
	}
	return b.String()
}

// source is where a mail comes from, and the network that counts.
type source struct{ addr, net string }

// networks are all that shares are counted in. The addresses of IPv6 here have five groups, the last behind "::".
func (s source) networks() []string {
	if !strings.Contains(s.addr, ":") {
		return []string{s.net}
	}
	groups := strings.Split(s.addr, ":")
	return []string{strings.Replace(strings.Join(groups[:4], ":")+"::/64", ":0::", "::", 1), s.net, s.site()}
}

// site is the /48 of an address of IPv6, else "".
func (s source) site() string {
	if before, ok := strings.CutSuffix(s.net, "/56"); ok {
		return before + "/48"
	}
	return ""
}

// v4 is a host of one /24.
func v4(n int) source {
	return source{fmt.Sprintf("203.0.113.%d", n%250+1), "203.0.113.0/24"}
}

// v6 is one of many hosts of the /56 with that number.
func v6(net, n int) source {
	return source{fmt.Sprintf("2001:db8:%x:%x::%x", net, n%256, n+1), fmt.Sprintf("2001:db8:%x::/56", net)}
}

// sent is one message of the day, and what the abuse model says of it.
type sent struct {
	at     time.Duration // since the day began
	actor  string
	from   string // envelope sender
	source source
	helo   string
	header string
	to     func() string // the service address; nil is the plain one
	before func()        // happens just before

	place place
	class policy.Class // "" is the place's
	box   string       // the mailbox, however from spells it; "" is from
	rule  string       // of silence; "" where none applies
	token bool         // the address has a valid token of its sender
	stop  bool         // it is a stop address
}

// counter is the model of one: its window begins with its first.
type counter struct {
	n     int
	until time.Time
}

// kind of a counter, as the documents have it.
type kind struct {
	name   string
	window time.Duration
	limit  int
}

var (
	addressMinute   = kind{"address-minute", time.Minute, 1}
	addressDay      = kind{"address-day", 24 * time.Hour, 12}
	networkHour     = kind{"network-hour", time.Hour, 60}
	destinationHour = kind{"destination-hour", time.Hour, 60}
	domainDay       = kind{"domain-day", 24 * time.Hour, 200}
	openAddressDay  = kind{"address-day", 24 * time.Hour, 1}
	openNetworkHour = kind{"open-network-hour", time.Hour, 10}
	openDomainHour  = kind{"open-domain-hour", time.Hour, 20}
	openDomainDay   = kind{"open-domain-day", 24 * time.Hour, 50}
	siteHour        = kind{"site-hour", time.Hour, 240}
	openSiteHour    = kind{"open-site-hour", time.Hour, 40}
	nodeHour        = kind{"node-hour", time.Hour, 3000}
	// Of these the limit is what the pot has left.
	destinationShare = kind{"destination-hour-share", time.Hour, 60}
	nodeShare        = kind{"node-hour-share", time.Hour, 3000}
)

// counted is a counter that a mail goes into.
type counted struct {
	kind
	whom string
	pot  *counted // nil: it is no share
}

func (c counted) key() string { return c.name + c.whom }

// of makes the counters of a pot and of the shares of some.
func of(pot, share kind, name string, whom ...string) []counted {
	whole := counted{kind: pot, whom: name}
	out := []counted{whole}
	for _, w := range whom {
		out = append(out, counted{share, name + " " + w, &whole})
	}
	return out
}

func (s sent) mailbox() string { return cmp.Or(s.box, s.from) }

// counters are the model's, in the order in which a full one is named.
func (m *model) of(s sent, now time.Time) (out []counted) {
	n := s.source
	if s.class != policy.Proved && !s.token {
		out = append(out, counted{kind: openAddressDay, whom: s.mailbox()}, counted{kind: openNetworkHour, whom: n.net},
			counted{kind: openDomainHour, whom: s.place.name}, counted{kind: openDomainDay, whom: s.place.name})
		if n.site() != "" {
			out = append(out, counted{kind: openSiteHour, whom: n.site()})
		}
	} else {
		out = append(out, counted{kind: addressDay, whom: s.mailbox()}, counted{kind: addressMinute, whom: s.mailbox()},
			counted{kind: networkHour, whom: n.net})
		if n.site() != "" {
			out = append(out, counted{kind: siteHour, whom: n.site()})
		}
		if !strings.HasSuffix(s.place.name, "mail.com") { // a provider's
			out = append(out, counted{kind: domainDay, whom: s.place.name})
		}
	}
	out = append(out, m.ofDestination(s, now)...)
	out = append(out, of(m.node, nodeShare, "", n.networks()...)...)
	out = slices.DeleteFunc(out, func(c counted) bool { return slices.Contains(m.lifted, c.name) })
	slices.SortStableFunc(out, func(a, b counted) int { return cmp.Compare(a.name, b.name) })
	return out
}

// ofDestination are the counters at the mail server; none where it has taken a report of the organisation within a week.
func (m *model) ofDestination(s sent, now time.Time) []counted {
	at := s.place.mx[0]
	if m.takes(at+" "+s.place.name, now) {
		return nil
	}
	return of(destinationHour, destinationShare, at, append([]string{s.place.name}, s.source.networks()...)...)
}

// model says what becomes of each message, by the rules as they are published.
type model struct {
	counters map[string]counter
	stopped  map[string]bool
	known    map[string]time.Time // mail server and organisation
	node     kind
	lifted   []string // counters that have no limit
}

// limit is how many there may be in a counter.
func (m *model) limit(c counted, now time.Time) int {
	if c.pot == nil {
		return c.limit
	}
	taken := 0
	if k := m.counters[c.pot.key()]; k.runs(c.pot.kind, now) {
		taken = k.n
	}
	free := c.pot.limit - taken
	switch {
	case free <= 0: // it is not for his share that he gets nothing
		return c.pot.limit
	case c.name == nodeShare.name && free*5 <= c.pot.limit:
		return min(5, max(1, free/8))
	}
	return max(1, free/8)
}

// took: a mail server takes a report.
func (m *model) took(s sent, now time.Time) {
	for _, c := range m.ofDestination(s, now) {
		k := m.counters[c.key()]
		k.n--
		m.counters[c.key()] = k
	}
	if at := s.place.mx[0] + " " + s.place.name; !m.takes(at, now) {
		m.known[at] = now.Add(week)
	}
}

const week = 7 * 24 * time.Hour

// takes tells whether a mail server is known to take reports for an organisation.
func (m *model) takes(at string, now time.Time) bool {
	return counter{until: m.known[at]}.runs(kind{window: week}, now)
}

// rule is the one that keeps a message from being answered, or ""; until is when a counter is free again.
func (m *model) rule(s sent, now time.Time) (rule string, until time.Time) {
	switch {
	case s.stop && s.rule == "":
		m.stopped[s.mailbox()] = true
		return "stop address", until
	case s.rule != "":
		return s.rule, until
	case m.stopped[s.mailbox()] && !s.token:
		return "stopped by the recipient", until
	case s.class == policy.Refuted:
		return "refuted sender", until
	}
	all := m.of(s, now)
	if c, until := m.full(all, now); c != "" {
		return "quota " + c, until
	}
	m.count(all, now)
	delete(m.stopped, s.mailbox())
	return "", until
}

// runs tells whether a window runs: one that ends later than its length from now was begun by a clock that has been set
// back since. A minute is no setting.
func (k counter) runs(c kind, now time.Time) bool {
	return now.Before(k.until) && !k.until.After(now.Add(c.window+time.Minute))
}

// forgets what is over, and what ends later than any window: also by a clock that is wrong.
func (m *model) forgets(now time.Time) {
	over := func(until time.Time) bool { return !now.Before(until) || until.After(now.Add(32*24*time.Hour)) }
	maps.DeleteFunc(m.counters, func(_ string, k counter) bool { return over(k.until) })
	maps.DeleteFunc(m.known, func(_ string, until time.Time) bool { return over(until) })
}

// full is the first counter that has no room.
func (m *model) full(all []counted, now time.Time) (name string, until time.Time) {
	for _, c := range all {
		if k := m.counters[c.key()]; k.runs(c.kind, now) && k.n >= m.limit(c, now) {
			return c.name, k.until
		}
	}
	return "", until
}

func (m *model) count(all []counted, now time.Time) {
	for _, c := range all {
		k := m.counters[c.key()]
		if !k.runs(c.kind, now) {
			k = counter{until: now.Add(c.window)}
		}
		k.n++
		m.counters[c.key()] = k
	}
}

// connects: a try comes to an address that was not counted when the report was stored, for an organisation of which that
// address has taken nothing. false: its counter is full, and the try waits.
func (m *model) connects(at string, s sent, now time.Time) bool {
	all := of(destinationHour, destinationShare, at, s.place.name)
	if c, _ := m.full(all, now); c != "" {
		return false
	}
	m.count(all, now)
	return true
}

// lastLine is a log handler that knows the last line's attributes.
type lastLine map[string]string

func (lastLine) Enabled(context.Context, slog.Level) bool { return true }
func (l lastLine) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l lastLine) WithGroup(string) slog.Handler          { return l }
func (l lastLine) Handle(_ context.Context, r slog.Record) error {
	clear(l)
	r.Attrs(func(a slog.Attr) bool { l[a.Key] = a.Value.String(); return true })
	return nil
}

// tally is what became of an actor's messages.
type tally struct{ sent, mailed, dropped, refused int }

// day is the simulation.
type day struct {
	*house
	server *dnstest.Server
	forget func() // what the DNS said
	start  time.Time
	line   lastLine
	model  model

	tallies map[string]*tally
	mailed  []string // ids
	mails   []string // class and mailbox
	times   map[counted][]time.Time
	counts  []counted              // of the message that is taken just now
	letters map[string]reply.Entry // the newest to a mailbox
	met     map[string]int         // connections to addresses that mail servers have moved to
	swept   time.Time
	wrong   func(at time.Duration) time.Duration // what the clock is ahead; nil: it is right
}

// dayBegins at noon, twelve hours before the tokens' key changes.
func dayBegins() time.Time {
	const period = policy.KeyLife * 24 * 3600
	return time.Unix(687*period, 0).UTC().Add(-12 * time.Hour)
}

func newDay(t *testing.T, places []place) *day {
	t.Helper()
	d := &day{house: build(t), start: dayBegins(), line: lastLine{}, tallies: map[string]*tally{}, letters: map[string]reply.Entry{}, met: map[string]int{},
		times: map[counted][]time.Time{}, model: model{counters: map[string]counter{}, stopped: map[string]bool{}, known: map[string]time.Time{}, node: nodeHour}}
	d.now = d.start
	d.Config.Log = slog.New(d.line)
	d.Policy.Providers, d.Policy.Share = policy.Providers(), share.Rule{Part: 8}
	d.server = dnstest.New(t, zoneOf(places), patient)
	d.remembers(d.server.Client(t, patient))
	d.fails(places)
	return d
}

// fails keeps the questions of deaf places from their answers.
func (d *day) fails(places []place) {
	up, faults := d.Run.DNS, map[dns.Question]dns.Kind{}
	for _, p := range places {
		if p.deaf != "" {
			faults[dns.Ask(map[string]string{"spf": "", "dmarc": "_dmarc."}[p.deaf]+p.name, dns.TXT)] = p.fault
		}
	}
	d.Run.DNS = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		switch kind := faults[q]; kind {
		case "":
			return up.Resolve(ctx, q)
		case dns.Quota:
			return dns.Answer{}, &dns.Error{Question: q, Kind: kind, Err: &dns.QuotaError{Bound: dns.PerNetwork, Limit: 1, Until: d.now.Add(time.Minute)}}
		default:
			return dns.Answer{}, &dns.Error{Question: q, Kind: kind}
		}
	})
}

// remembers puts a cache before the DNS, as a resolver has one, until its zones change.
func (d *day) remembers(up dns.Resolver) {
	var known sync.Map
	d.forget = known.Clear
	d.Run.DNS = dns.ResolverFunc(func(ctx context.Context, q dns.Question) (dns.Answer, error) {
		if a, ok := known.Load(q); ok {
			return a.(dns.Answer), nil
		}
		a, err := up.Resolve(ctx, q)
		if err == nil {
			known.Store(q, a)
		}
		return a, err
	})
}

// runs gives all messages in at their time.
func (d *day) runs(t *testing.T, all []sent) {
	t.Helper()
	slices.SortStableFunc(all, func(a, b sent) int { return cmp.Compare(a.at, b.at) })
	for _, s := range all {
		d.now = d.start.Add(s.at)
		if d.wrong != nil {
			d.now = d.now.Add(d.wrong(s.at))
		}
		if since := d.now.Sub(d.swept); since >= 10*time.Minute || since < 0 {
			d.swept = d.now
			if err := d.store.Sweep(t.Context(), d.now); err != nil {
				t.Fatal(err)
			}
			d.model.forgets(d.now)
		}
		if s.before != nil {
			s.before()
		}
		s.class = cmp.Or(s.class, s.place.class)
		d.takesOne(t, s)
	}
}

// takesOne gives a message in and holds the answer, the log and the mail against the model.
func (d *day) takesOne(t *testing.T, s sent) {
	t.Helper()
	d.kicked = nil
	m := d.message(t, fmt.Sprintf("%sMessage-ID: <%d@strangers.example>\r\n\r\nBuy at http://pills.example/\r\n",
		cmp.Or(s.header, header(s.from)), d.ids), func(e *verify.Envelope) {
		e.MailFrom, e.Helo = s.from, cmp.Or(s.helo, "mx0."+s.place.name)
		e.Params.SMTPUTF8 = strings.ContainsFunc(s.from, func(r rune) bool { return r > '~' })
		e.Client = netip.AddrPortFrom(netip.MustParseAddr(s.source.addr), 4025)
		if s.to != nil {
			e.RcptTo = []string{s.to()}
		}
	})
	if s.place.putOff() {
		d.putsOff(t, s, m)
		return
	}
	d.counts = d.model.of(s, d.now)
	rule, until := d.model.rule(s, d.now)
	a, err := d.takes(t, t.Context(), m)
	if err != nil {
		t.Fatalf("%s, %s at %s: %v", s.actor, s.from, s.at, err)
	}
	said := strings.Join(a.Lines, "\n")
	if code, want := expected(rule, until, d.now, m.Envelope.ID, s.from); a.Code != code || !strings.Contains(said, want) ||
		d.line["rule"] != rule || d.line["code"] != fmt.Sprint(code) || !s.stop && d.line["class"] != string(s.class) {
		t.Errorf("%s, %s at %s: got %d %q and the log line %v; want class %s, %d with %q", s.actor, s.from, s.at, a.Code, said, d.line, s.class, code, want)
	}
	if (len(d.kicked) == 1) != (rule == "") || len(d.kicked) > 1 {
		t.Errorf("%s, %s at %s: %d mails with the rule %q", s.actor, s.from, s.at, len(d.kicked), rule)
	}
	d.notes(t, s, a.Code)
}

// putsOff gives a message in of which a full quota keeps us from the truth: it is nobody's result.
func (d *day) putsOff(t *testing.T, s sent, m *verify.Message) {
	t.Helper()
	a, err := d.takes(t, t.Context(), m)
	if err != nil || a.Code != 451 || len(d.kicked) > 0 {
		t.Errorf("%s, %s at %s: got %d %q, %v and %d mails; want 451 and none", s.actor, s.from, s.at, a.Code, a.Lines, err, len(d.kicked))
	}
	d.notes(t, s, a.Code)
}

// moves brings a reply to an address that its mail server has by now, of which nothing was known when it was stored.
func (d *day) moves(t *testing.T, s sent, e reply.Entry) {
	t.Helper()
	to := respond.Destinations{Policy: d.Policy, Store: d.store, Now: d.Config.Now}
	full, err := to.Connect(t.Context(), e, "mx0."+s.place.name, netip.MustParseAddr(s.place.moves))
	if err != nil {
		t.Fatal(err)
	}
	if want := d.model.connects(s.place.moves, s, d.now); (full.Key == "") != want {
		t.Errorf("%s, %s at %s: a try at %s: full is %v, want a connection: %t", s.actor, s.from, s.at, s.place.moves, full, want)
	}
	if full.Key == "" {
		d.met[s.place.moves]++
	}
}

// delivers brings a reply to its mail server at once.
func (d *day) delivers(t *testing.T, s sent, e reply.Entry) {
	t.Helper()
	to := respond.Destinations{Policy: d.Policy, Store: d.store, Now: d.Config.Now}
	at, host := netip.MustParseAddr(s.place.mx[0]), "mx0."+s.place.name
	if full, err := to.Connect(t.Context(), e, host, at); full.Key != "" || err != nil {
		t.Errorf("%s at %s: what was counted when it was stored is counted again: %v, %v", s.actor, s.at, full, err)
	}
	if s.place.moves != "" {
		d.moves(t, s, e)
	}
	if s.place.refuses {
		return
	}
	if err := to.Took(t.Context(), e, host, at, []netip.Addr{at}); err != nil {
		t.Error(err)
	}
	d.model.took(s, d.now)
}

func header(from string) string {
	return "From: Cheap pills <" + from + ">\r\nSubject: Pills http://pills.example/\r\n"
}

// expected are the code and words of an answer.
func expected(rule string, until, now time.Time, id, from string) (code int, line string) {
	switch {
	case rule == "":
		return 250, "report " + id + " to <" + ascii(from) + ">"
	case rule == "stop address":
		return 250, "no report goes to <" + ascii(from) + "> any more"
	case rule == "stop address that is not of this sender":
		return 550, "is not of this sender"
	case rule == "refuted sender":
		return 550, "No report is mailed to an unproved address"
	case strings.HasPrefix(rule, "quota "):
		return 550, "next report after " + clockOf(until, now) + "\nNo report is mailed: " + rule
	case rule == "stopped by the recipient":
		return 550, "No report is mailed: " + rule
	}
	return 250, "no report: " + rule
}

func ascii(s string) string { return result.ASCII(s) }

// clockOf is when a counter is free again, to the minute that has begun by then; with the day where that is far off.
func clockOf(until, now time.Time) string {
	until = until.Add(time.Minute - 1).Truncate(time.Minute)
	if until.Sub(now) < 12*time.Hour {
		return until.Format("15:04 UTC")
	}
	return until.Format("2006-01-02 15:04 UTC")
}

// notes counts a message and reads its reply.
func (d *day) notes(t *testing.T, s sent, code int) {
	t.Helper()
	n := d.tallies[s.actor]
	if n == nil {
		n = &tally{}
		d.tallies[s.actor] = n
	}
	n.sent++
	switch {
	case len(d.kicked) > 0:
		n.mailed++
	case code == 250:
		n.dropped++
	default:
		n.refused++
	}
	for _, e := range d.kicked {
		d.delivers(t, s, e)
		d.mailed, d.mails = append(d.mailed, e.ID), append(d.mails, string(s.class)+" "+s.mailbox())
		// The envelope has A-labels, which every server takes.
		if e.To != written.Replace(s.from) || s.class == policy.Refuted {
			t.Errorf("%s at %s, class %s: %s has a mail for %s", s.actor, s.at, s.class, e.To, s.from)
		}
		if s.class == policy.Open && strings.Contains(strings.ToLower(words(t, e)), "pills") {
			t.Errorf("%s at %s: an unproved sender's words are in the mail to %s\n%s", s.actor, s.at, e.To, words(t, e))
		}
		if kinds := kindsOf(t, e); s.place.undecided() && (len(e.Body) > 6000 || !slices.Equal(kinds, []string{"text/plain"})) {
			t.Errorf("%s at %s: %d octets of %v go to %s, of whom nothing was decided", s.actor, s.at, len(e.Body), kinds, e.To)
		}
		d.letters[s.mailbox()] = e
		for _, c := range d.counts {
			// Of a share the bound is what the pot had left by then: the model has seen to it. What a mail server takes does not
			// count in its counter.
			if c.pot == nil && (c.kind != destinationHour || s.place.refuses) {
				d.times[c] = append(d.times[c], d.now)
			}
			if c.kind == openAddressDay { // it is one counter for both classes
				one := counted{kind: addressDay, whom: c.whom}
				d.times[one] = append(d.times[one], d.now)
			}
		}
	}
}

// written is an address as the envelope of a reply has it.
var written = strings.NewReplacer("b\u00fccher.example", "xn--bcher-kva.example", "B\u00dcCHER.example", "xn--bcher-kva.example",
	"bu\u0308cher.example", "xn--bcher-kva.example", "\uff42\u00fccher.example", "xn--bcher-kva.example", "\uff61", "", "\u3002", ".")

// words are the texts for people within a mail, as a reader sees them.
func words(t *testing.T, e reply.Entry) string {
	t.Helper()
	entity, err := message.Read(bytes.NewReader(e.Body))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = entity.Walk(func(_ []int, p *message.Entity, err error) error {
		if kind, _, _ := p.Header.ContentType(); err != nil || kind != "text/plain" && kind != "text/html" {
			return err
		}
		b, err := io.ReadAll(p.Body)
		out.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var (
	tokenAddress = regexp.MustCompile(`\bcheck-auth\+[a-z2-7]+@verifier\.example\.net\b`)
	stopAddress  = regexp.MustCompile(`\bcheck-auth-stop\+[a-z2-7]+@verifier\.example\.net\b`)
)

// reads finds an address in the newest report to a mailbox, as a person would.
func (d *day) reads(t *testing.T, box string, what *regexp.Regexp) func() string {
	return func() string {
		e, ok := d.letters[box]
		if !ok {
			t.Fatalf("%s has no report", box)
		}
		found := what.FindString(words(t, e))
		if found == "" {
			t.Fatalf("the report to %s has no address like %s", box, what)
		}
		return found
	}
}

// holds checks the bounds on what was mailed: within each window that begins with its first, and within any
// window of that length, wherever it begins.
func (d *day) holds(t *testing.T) {
	t.Helper()
	for c, times := range d.times {
		var begun time.Time
		fixed, sliding, first := 0, 0, 0
		for i, at := range times {
			if at.Sub(begun) >= c.window {
				begun, fixed = at, 0
			}
			fixed++
			if fixed > c.limit {
				t.Errorf("%s of %s: %d in the window from %s, want at most %d", c.name, c.whom, fixed, begun, c.limit)
			}
			for at.Sub(times[first]) >= c.window {
				first++
			}
			sliding = max(sliding, i-first+1)
		}
		// It may have all of a window and all of the one before, but for that one's first. So one is one.
		if most := 2*c.limit - 1; sliding > most {
			t.Errorf("%s of %s: %d within %s, want at most %d", c.name, c.whom, sliding, c.window, most)
		}
	}
}

// onDisk checks that the store has what was mailed, and nothing else.
func (d *day) onDisk(t *testing.T) {
	t.Helper()
	ids, _ := d.stored(t)
	slices.Sort(ids)
	slices.Sort(d.mailed)
	if !slices.Equal(ids, d.mailed) {
		t.Errorf("%d mails are on the disk, want the %d that were mailed", len(ids), len(d.mailed))
	}
}

// every makes n messages, step after step.
func every(from, step time.Duration, n int, one func(i int) sent) (all []sent) {
	for i := range n {
		s := one(i)
		s.at = from + time.Duration(i)*step
		all = append(all, s)
	}
	return all
}

// forger writes in the name of 500 people at eight domains all day long, half of it from one /24, half from 40
// other networks. Its HELO name and the pointer of its address are others' too.
func forger(places []place) []sent {
	return every(0, 43*time.Second, 2000, func(i int) sent {
		who := i * 7 % 500
		p := places[who%8]
		s := sent{actor: "forger", from: fmt.Sprintf("user%d@%s", who, p.name), place: p, source: v4(i), helo: "own1.example"}
		if p.name == "bare.example" && who%3 == 0 {
			s.from = fmt.Sprintf("user%d@s%d.bare.example", who, who) // made up, of the same organisation
		}
		if i%2 == 1 {
			s.source, s.helo = v6(i%80/2, i), "mx0."+p.name
		}
		return s
	})
}

func bomber(p place) []sent {
	return every(3*time.Hour, 3600*time.Millisecond, 2000, func(i int) sent {
		return sent{actor: "bomber of one", from: "victim@" + p.name, place: p, source: v6(0x100+i%20, i)}
	})
}

func sprayer(p place) []sent {
	return every(6*time.Hour, 3500*time.Millisecond, 1000, func(i int) sent {
		return sent{actor: "1000 of one domain", from: fmt.Sprintf("victim%d@%s", i, p.name), place: p, source: source{"198.51.100.9", "198.51.100.0/24"}}
	})
}

// speller writes to four mailboxes in all the ways in which they can be spelt.
func speller(places map[string]place) []sent {
	type spelling struct{ box, from, domain string }
	var all []spelling
	for i := range 5 {
		all = append(all, spelling{"", fmt.Sprintf("target+%d@spelt.example", i), "spelt.example"},
			spelling{"srs", fmt.Sprintf("SRS0=h%d+=T%d=origin.example=target@spelt.example", i, i), "spelt.example"},
			spelling{"srs", fmt.Sprintf("srs1=h%d=spelt.example==x%d=T%d=origin.example=target@spelt.example", i, i, i), "spelt.example"},
			spelling{"", fmt.Sprintf("prvs=012345678%d=target@spelt.example", i), "spelt.example"})
	}
	for _, from := range []string{"target@spelt.example", "Target@spelt.example", "TARGET@SPELT.EXAMPLE", "target+a+b@Spelt.Example", `"target"@spelt.example`,
		`"tar\get"@spelt.example`, "prvs=target=0123456789@spelt.example", "prvs=0123456789=target+x@spelt.example", "target@spelt.example."} {
		all = append(all, spelling{"", from, "spelt.example"})
	}
	for _, local := range []string{"victim", "v.i.c.t.i.m", "V.ictim", "vic.tim+x", "victim+y.z", `"victim"`} {
		all = append(all, spelling{"gmail", local + "@gmail.com", "gmail.com"}, spelling{"gmail", local + "@GoogleMail.com", "googlemail.com"})
	}
	for _, domain := range []string{"b\u00fccher.example", "B\u00dcCHER.example", "bu\u0308cher.example", "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE", "\uff42\u00fccher.example"} {
		all = append(all, spelling{"idna", "reader@" + domain, "xn--bcher-kva.example"})
	}
	return every(30*time.Minute, 20*time.Minute, len(all), func(i int) sent {
		s := all[i]
		return sent{actor: "speller", from: s.from, box: cmp.Or(s.box, "target"), place: places[s.domain], source: v6(0x200+i, 1), header: header("a@bare.example")}
	})
}

// owner has domains of its own, whose mail is proved: 30 whose mail server is another's, 10 that write from one
// network, and a large one.
func owner(own []place) []sent {
	all := every(8*time.Hour, 30*time.Second, 360, func(i int) sent {
		p := own[i%30]
		return sent{actor: "30 domains to one server", from: fmt.Sprintf("a%d@%s", i/30, p.name), place: p, source: v6(0xa000+i%4, i)}
	})
	all = append(all, every(11*time.Hour+30*time.Minute, 30*time.Second, 110, func(i int) sent {
		p := own[30+i%10]
		return sent{actor: "one network", from: fmt.Sprintf("b%d@%s", i/10, p.name), place: p, source: v6(0xa100, i)}
	})...)
	return append(all, every(13*time.Hour, time.Minute, 280, func(i int) sent {
		return sent{actor: "one large domain", from: fmt.Sprintf("c%d@large.example", i), place: own[40], source: v6(0xa200+i%2, i)}
	})...)
}

// hosted are a hoster's customers, who test twice each, all by the hoster's own servers, and an attacker who would have
// his domains' reports fill the counter of their mail server meanwhile.
func hosted(places map[string]place) []sent {
	return append(every(16*time.Hour, 20*time.Second, 200, func(i int) sent {
		p := places[fmt.Sprintf("customer%d.example", i%100)]
		return sent{actor: "customer", from: "me@" + p.name, place: p, source: v6(0xa300+i%4, i)}
	}), every(16*time.Hour-time.Minute, 10*time.Second, 350, func(i int) sent {
		p := places[fmt.Sprintf("filler%d.example", i%70)]
		return sent{actor: "filler", from: fmt.Sprintf("a%d@%s", i/70, p.name), place: p, source: v6(0xa400+i%4, i)}
	})...)
}

// besieger forges domains that refute it, in spellings that no list of theirs has, while what they publish is not to be
// had: quotas are full, the bound of a message is reached, a server fails. And he has machines at hosters, with names
// below the hosters' domains.
func besieger(places map[string]place) []sent {
	var deaf []place
	for _, p := range besieged()[:5] {
		deaf = append(deaf, places[p.name])
	}
	all := every(9*time.Hour, 20*time.Second, 900, func(i int) sent {
		p := deaf[i%5]
		local := fmt.Sprintf("victim%d", i/5%60)
		spelt := []string{local + "@" + p.name, strings.ToUpper(local + "@" + p.name), local + "+x@" + p.name, `"` + local + ` "@` + p.name,
			local + "%" + p.name + "@" + p.name, p.name + "!" + local + "@" + p.name, local + "@" + strings.ReplaceAll(p.name, ".", "\u3002"), local + "@" + p.name + "\uff61"}[i%8]
		return sent{actor: "besieger", from: spelt, box: local + "@" + p.name, place: p, source: v6(0x500+i%60, i)}
	})
	for h, p := range besieged()[5:] {
		p := places[p.name]
		written := strings.ReplaceAll(p.name, "xn--hostr-esa", "host\u00e9r")
		all = append(all, every(10*time.Hour, 30*time.Second, 4*len(machines), func(i int) sent {
			n := i % len(machines)
			from := []string{"a@" + p.name, "A@" + written, "a+x@" + strings.ToUpper(p.name), "a@" + strings.ReplaceAll(written, ".", "\uff0e")}[i/len(machines)]
			return sent{actor: "customer of a hoster", from: from, place: p, source: machine(h, n), helo: machines[n] + "." + p.name}
		})...)
	}
	return all
}

// mover has domains whose mail server has a victim's address as soon as a report is stored.
func mover(all []place) []sent {
	return every(18*time.Hour, 20*time.Second, 400, func(i int) sent {
		p := all[i%len(all)]
		return sent{actor: "mover", from: fmt.Sprintf("a%d@%s", i/len(all), p.name), place: p, source: v6(0xa700+i%40, i)}
	})
}

// silence is mail that nobody is to answer, most of it of a proved sender.
func silence(p, bare place) []sent {
	from := func(local, rule, header string) sent {
		return sent{actor: "nobody to answer", from: local + "@friend.example", rule: rule,
			header: header + "From: a@friend.example\r\n", place: p, source: source{"198.51.100.77", "198.51.100.0/24"}}
	}
	all := []sent{
		from("a", "Auto-Submitted: auto-replied", "Auto-Submitted: auto-replied (vacation)\r\n"),
		from("a", "Auto-Submitted", "Auto-Submitted: auto-generated\r\n"),
		from("a", "X-Auto-Response-Suppress", "X-Auto-Response-Suppress: DR, AutoReply\r\n"),
		from("a", "List-Id", "List-Id: <a.friend.example>\r\n"),
		from("a", "Precedence", "Precedence: list\r\n"),
		from("a", "Precedence", "Precedence: junk\r\n"),
		from("MAILER-DAEMON", "sender is a robot's address", ""),
		from("owner-a", "sender is a robot's address", ""),
		from("a-request", "sender is a robot's address", ""),
	}
	newsletter := sent{actor: "nobody to answer", from: "news@bare.example", rule: "bulk mail of an unproved sender",
		header: "List-Unsubscribe: <https://bare.example/>\r\nPrecedence: bulk\r\n", place: bare, source: v6(0x300, 1)}
	bounce := from("", "null sender", "")
	bounce.from, bounce.class = "", policy.Open
	all = append(all, newsletter, bounce)
	for _, ours := range []string{"check-auth", "auth-results", "Check-Auth+x", "postmaster"} {
		loop := from("", "sender is one of our own addresses", "")
		loop.from, loop.class = ours+"@"+host, policy.Open
		all = append(all, loop)
	}
	return every(time.Minute, 20*time.Minute, 4*len(all), func(i int) sent { return all[i%len(all)] })
}

// thief uses the token of its own report in another's name, and stops another's reports with its own address.
func (d *day) thief(t *testing.T, thief, victim place) []sent {
	token, stop := d.reads(t, "me@thief.example", tokenAddress), d.reads(t, "me@thief.example", stopAddress)
	all := []sent{{at: time.Hour, actor: "thief", from: "me@thief.example", place: thief, source: v6(0x310, 1)}}
	all = append(all, every(2*time.Hour, 10*time.Minute, 20, func(i int) sent {
		return sent{actor: "thief", from: "victim@thieved.example", to: token, place: victim, source: v6(0x311+i, 1)}
	})...)
	return append(all, sent{at: 6 * time.Hour, actor: "thief", from: "victim@thieved.example", to: stop, stop: true,
		rule: "stop address that is not of this sender", place: victim, source: v6(0x310, 1)})
}

// stopper is written to by a forger, stops that, and later wants a report.
func (d *day) stopper(t *testing.T, p place) []sent {
	me := "me@" + p.name
	here := v6(0x320, 1)
	all := []sent{
		{at: time.Hour, actor: "stopper's forger", from: me, place: p, source: v6(0x330, 1)},
		{at: 2 * time.Hour, actor: "stopper", from: "Me@" + p.name, box: me, to: d.reads(t, me, stopAddress), stop: true, place: p, source: here},
		{at: 20 * time.Hour, actor: "stopper", from: me, to: d.reads(t, me, tokenAddress), token: true, place: p, source: here},
	}
	return append(all, every(3*time.Hour, 30*time.Minute, 42, func(i int) sent {
		spelt := []string{me, "me+x@" + p.name, "ME@" + p.name}[i%3]
		return sent{actor: "stopper's forger", from: spelt, box: me, place: p, source: v6(0x331+i, 1)}
	})...)
}

// administrator tests a domain without an SPF record, mends it, and tests ten times within the hour: by the
// address of the report, then by the plain one. The tokens' key changes meanwhile.
func (d *day) administrator(t *testing.T, places []place, p place) []sent {
	me := "admin@" + p.name
	here := source{"198.51.100.130", "198.51.100.0/24"}
	publish := func(spf string) func() {
		mended := p
		mended.spf = spf
		return func() {
			if err := d.server.Replace(zoneOf(append(slices.Clone(places), mended))); err != nil {
				t.Fatal(err)
			}
			d.forget()
		}
	}
	var token string
	read := d.reads(t, me, tokenAddress)
	test := func(at int, class policy.Class, byToken bool) sent {
		s := sent{at: 11*time.Hour + time.Duration(at)*time.Minute, actor: "administrator", from: me, class: class, token: byToken, place: p, source: here}
		if byToken {
			s.to = func() string {
				if token == "" {
					token = read()
				}
				return token
			}
		}
		return s
	}
	all := []sent{
		test(45, policy.Open, false),
		test(50, policy.Open, true),
		test(51, policy.Open, true),
		test(55, policy.Open, true), // here the record names another address, with ~all
		test(61, policy.Open, true), // with a new key
		test(62, policy.Proved, true),
		test(70, policy.Proved, true),
		test(71, policy.Proved, false),
		test(80, policy.Proved, false),
		test(81, policy.Proved, false),
		test(100, policy.Proved, false),
	}
	all[3].before = publish("v=spf1 ip4:198.51.100.1 ~all")
	all[5].before = publish("v=spf1 ip4:198.51.100.130 -all")
	return all
}

// impatient is the same administrator out of turn: too soon after a test, and too often.
func impatient(admin []sent) (all []sent) {
	for _, at := range []time.Duration{5 * time.Second, 59 * time.Second} {
		for _, i := range []int{0, 1, 9} {
			s := admin[i]
			s.at, s.actor, s.before = s.at+at, "administrator in a hurry", nil
			all = append(all, s)
		}
	}
	for i := range 3 {
		s := admin[len(admin)-1]
		s.at, s.actor = s.at+time.Duration(i+1)*time.Hour, "administrator in a hurry"
		all = append(all, s)
	}
	return all
}

// Injected time: a day of everybody who might have others mailed, and of one who only mends his domain.
func TestAbuse_a_day(t *testing.T) {
	if testing.Short() {
		t.Skip("6000 messages take ten seconds, with the race detector a minute")
	}
	t.Parallel()
	began := time.Now()
	places, own := victims(), owned()
	all := slices.Concat(places, own, besieged(), moving())
	d := newDay(t, all)
	named := map[string]place{}
	for _, p := range all {
		named[p.name] = p
	}
	admin := d.administrator(t, slices.DeleteFunc(slices.Clone(all), func(p place) bool { return p.name == "mended.example" }), named["mended.example"])
	d.runs(t, slices.Concat(forger(places), bomber(named["bombed.example"]), sprayer(named["crowd.example"]), speller(named), owner(own),
		hosted(named), silence(named["friend.example"], named["bare.example"]), d.thief(t, named["thief.example"], named["thieved.example"]),
		d.stopper(t, named["stopping.example"]), besieger(named), mover(moving()), admin, impatient(admin)))
	d.holds(t)
	d.onDisk(t)
	total := 0
	for actor, want := range map[string]int{
		"forger":        5 * 50, // of eight domains, three refute it
		"bomber of one": 1, "1000 of one domain": 10, "speller": 4,
		"30 domains to one server": 3 * 4 * 5, // each of four networks has its share
		"customer":                 200, "filler": 4 * 5, "one network": 60, "one large domain": 200,
		"nobody to answer": 0, "thief": 2, "stopper's forger": 1, "stopper": 1,
		"administrator": 11, "administrator in a hurry": 1,
		"besieger":             3 * 50, // a paragraph; of two domains nothing is mailed while the quota is full
		"customer of a hoster": 0, "mover": 400,
	} {
		if got := d.tallies[actor].mailed; got != want {
			t.Errorf("%s: %d mails, want %d", actor, got, want)
		}
		total += want
	}
	if len(d.mailed) != total {
		t.Errorf("%d mails in all, want %d", len(d.mailed), total)
	}
	// The mover writes for two hours and a quarter.
	if n := d.met[moved]; n > 3*destinationHour.limit || n < destinationHour.limit {
		t.Errorf("%d connections to a victim's mail server by names that lead there later, want at most %d an hour", n, destinationHour.limit)
	}
	var table strings.Builder
	for _, actor := range slices.Sorted(maps.Keys(d.tallies)) {
		n := d.tallies[actor]
		fmt.Fprintf(&table, "%-26s %5d sent %4d mailed %4d dropped %5d refused\n", actor, n.sent, n.mailed, n.dropped, n.refused)
	}
	t.Logf("%d mails in %s\n%s", len(d.mailed), time.Since(began).Round(time.Second/10), &table)
}

// Many networks at once empty the hour's reports but for a fifth, which is for those that have had fewer than five. The
// numbers are a fifth of the real ones.
func TestHostile_the_whole_hour(t *testing.T) {
	t.Parallel()
	all := slices.Concat(victims(), owned())
	large, soft := all[58], all[4]
	d := newDay(t, all)
	d.Policy.Quotas.TotalHour, d.model.node.limit = 600, 600
	d.Policy.Providers = append(d.Policy.Providers, large.name)
	flood := every(0, 5*time.Millisecond, 800, func(i int) sent {
		p := all[18+30+i%10]
		return sent{actor: "flood", from: fmt.Sprintf("a%d@%s", i, p.name), place: p, source: v6(0xa000+i%40, i)}
	})
	honest := every(time.Minute, time.Second, 84, func(i int) sent {
		return sent{actor: "honest", from: fmt.Sprintf("b%d@%s", i, soft.name), place: soft, source: v6(0x400+i%14, i)}
	})
	// The model's own counters of domains hold as well.
	d.Policy.Quotas.OpenDomainHour, d.Policy.Quotas.OpenDomainDay = policy.Unlimited, policy.Unlimited
	d.model.lifted = []string{openDomainHour.name, openDomainDay.name, domainDay.name}
	d.Policy.Quotas.DomainDay = policy.Unlimited
	d.runs(t, append(flood, honest...))
	// 40 networks have 12 each until 480 are gone; then who has had fewer than five: 14 networks have all of theirs.
	for actor, want := range map[string]int{"flood": 480, "honest": 14 * 5} {
		if got := d.tallies[actor].mailed; got != want {
			t.Errorf("%s: %d mails, want %d", actor, got, want)
		}
	}
	d.onDisk(t)
}

// One network cannot have a hoster's new customers refused; 35 can, until the hour is over, but none whose domain the
// mail server has taken a report of.
func TestHostile_a_hoster_s_customers(t *testing.T) {
	t.Parallel()
	for networks, want := range map[int]struct{ filler, old, fresh int }{1: {6, 20, 20}, 70: {60, 20, 0}} {
		t.Run(fmt.Sprint(networks), func(t *testing.T) {
			t.Parallel()
			all := owned()
			var customers, fillers []place
			for _, p := range all {
				switch {
				case strings.HasPrefix(p.name, "customer"):
					customers = append(customers, p)
				case strings.HasPrefix(p.name, "filler"):
					fillers = append(fillers, p)
				}
			}
			d := newDay(t, all)
			test := func(actor string, at time.Duration, of []place) []sent {
				return every(at, time.Second, 20, func(i int) sent {
					return sent{actor: actor, from: fmt.Sprintf("%s@%s", actor, of[i].name), place: of[i], source: v6(0xa500+i%4, i)}
				})
			}
			d.runs(t, slices.Concat(
				test("first", 0, customers[:20]),
				every(5*time.Minute, time.Second, 140, func(i int) sent {
					p := fillers[i%70]
					return sent{actor: "filler", from: fmt.Sprintf("a%d@%s", i, p.name), place: p, source: v6(0xa600+i%networks, i)}
				}),
				test("old", 10*time.Minute, customers[:20]),
				test("fresh", 11*time.Minute, customers[20:40])))
			for actor, want := range map[string]int{"first": 20, "filler": want.filler, "old": want.old, "fresh": want.fresh} {
				if got := d.tallies[actor].mailed; got != want {
					t.Errorf("%s: %d mails, want %d", actor, got, want)
				}
			}
		})
	}
}

// The clock is set back and forth all day, by minutes and by months. Each setting may begin windows anew, and nothing else:
// what refutes is refuted, and an unproved mailbox has a report more for each setting at most.
func TestAbuse_a_day_of_a_wrong_clock(t *testing.T) {
	if testing.Short() {
		t.Skip("4000 messages take ten seconds")
	}
	t.Parallel()
	all := slices.Concat(victims(), owned(), besieged(), moving())
	d := newDay(t, all)
	named := map[string]place{}
	for _, p := range all {
		named[p.name] = p
	}
	ahead := []time.Duration{0, 3 * 24 * time.Hour, 0, -2 * time.Hour, 20 * time.Minute, 0, 400 * 24 * time.Hour, 30 * 24 * time.Hour, 0, -365 * 24 * time.Hour, 0, 30 * time.Second, 0}
	const every = 110 * time.Minute
	d.wrong = func(at time.Duration) time.Duration { return ahead[int(at/every)%len(ahead)] }
	d.runs(t, slices.Concat(forger(victims()), bomber(named["bombed.example"]), speller(named), hosted(named), besieger(named), mover(moving())))
	d.onDisk(t)
	settings := len(ahead) - 1
	mails := map[string]int{}
	for _, e := range d.mails {
		if strings.HasPrefix(e, "A ") {
			continue
		}
		if mails[e]++; mails[e] > settings+1 {
			t.Errorf("%d mails to %s, want one, and one more for each of %d settings of the clock", mails[e], e[2:], settings)
		}
	}
	for _, actor := range []string{"forger", "bomber of one", "besieger", "speller", "customer", "mover"} {
		if d.tallies[actor].mailed == 0 {
			t.Errorf("%s is never answered: the model is broken", actor)
		}
	}
	if n := d.tallies["customer of a hoster"].mailed; n > 0 {
		t.Errorf("%d mails to hosters", n)
	}
	t.Logf("%d mails, at most %d to one unproved mailbox", len(d.mailed), slices.Max(slices.Collect(maps.Values(mails))))
}

// From, Reply-To and their like name a victim; the reply goes to the envelope sender, whose From plays no part either.
func TestHostile_38(t *testing.T) {
	t.Parallel()
	places := slices.Concat(victims(), owned())
	own, bare, refuses := places[18], places[3], places[0]
	d := newDay(t, places)
	const victim = "victim@bare.example"
	d.runs(t, []sent{
		{actor: "its own sender", from: "me@" + own.name, place: own, source: v6(0xa000, 1),
			header: "From: " + victim + "\r\nSender: " + victim + "\r\nReply-To: " + victim + "\r\nReturn-Path: <" + victim + ">\r\nErrors-To: " + victim +
				"\r\nDisposition-Notification-To: " + victim + "\r\nCc: " + victim + "\r\n"},
		{actor: "another's", from: victim, place: bare, source: v6(0xa000, 1), helo: own.name, header: header("me@" + own.name)},
		{actor: "a refuted one's", from: "victim@" + refuses.name, place: refuses, source: v6(0xa000, 1), helo: own.name, header: header("me@" + own.name)},
	})
	for _, h := range []string{"To", "From", "Reply-To", "Cc", "Bcc", "Sender"} {
		m, err := message.Read(bytes.NewReader(d.letters["me@"+own.name].Body))
		if err != nil {
			t.Fatal(err)
		}
		if v := m.Header.Get(h); strings.Contains(v, victim) {
			t.Errorf("%s of the reply is %q", h, v)
		}
	}
	d.onDisk(t)
}

// Nothing proves or refutes the victim's address: one mail, whatever comes.
func TestHostile_39_without_SPF(t *testing.T) {
	t.Parallel()
	p := victims()[3]
	d := newDay(t, []place{p})
	d.runs(t, every(0, 3600*time.Millisecond, 100, func(i int) sent {
		return sent{actor: "bomber", from: "victim@" + p.name, place: p, source: v6(i%25, i)}
	}))
	if got := d.tallies["bomber"].mailed; got != 1 {
		t.Errorf("%d mails, want 1", got)
	}
	d.onDisk(t)
}

func TestHostile_40(t *testing.T) {
	t.Parallel()
	p := victims()[3]
	for _, c := range []struct {
		name string
		from func(i int) source
		step time.Duration
		want int
	}{
		{"from one address", func(int) source { return v4(1) }, time.Second, 10},
		{"from one network", v4, time.Second, 10},
		{"from many networks", func(i int) source { return v6(i%20, i) }, time.Second, 20},
		{"from many networks, for five hours", func(i int) source { return v6(i%20, i) }, 3 * time.Minute, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDay(t, []place{p})
			d.runs(t, every(0, c.step, 100, func(i int) sent {
				return sent{actor: "sprayer", from: fmt.Sprintf("victim%d@%s", i, p.name), place: p, source: c.from(i)}
			}))
			d.holds(t)
			if got := d.tallies["sprayer"].mailed; got != c.want {
				t.Errorf("%d mails, want %d", got, c.want)
			}
		})
	}
}

func TestHostile_41(t *testing.T) {
	t.Parallel()
	places, named := victims(), map[string]place{}
	for _, p := range places {
		named[p.name] = p
	}
	d := newDay(t, places)
	d.runs(t, speller(named))
	if got := d.tallies["speller"].mailed; got != 4 {
		t.Errorf("%d mails, want one for each of the 4 mailboxes", got)
	}
	d.onDisk(t)
}

// Counters, stopped addresses and the key of tokens outlive the process.
func TestRestart(t *testing.T) {
	t.Parallel()
	places := slices.Concat(victims(), owned())
	bare, soft, own, refuses := places[3], places[4], places[18], places[0]
	d := newDay(t, places)
	me, stopped := "me@"+bare.name, "me@"+soft.name
	first := []sent{
		{actor: "open", from: me, place: bare, source: v6(1, 1)},
		{actor: "open", from: stopped, place: soft, source: v6(2, 1)},
		{actor: "stops", from: stopped, place: soft, source: v6(2, 1), to: d.reads(t, stopped, stopAddress), stop: true},
		{actor: "proved", from: "a@" + own.name, place: own, source: v6(0xa000, 1)},
		{actor: "refuted", from: "a@" + refuses.name, place: refuses, source: v6(1, 1)},
	}
	again, resume := d.reads(t, me, tokenAddress), d.reads(t, stopped, tokenAddress)
	second := []sent{
		{at: 10 * time.Second, actor: "open", from: me, place: bare, source: v6(3, 1)},
		{at: 11 * time.Second, actor: "open", from: me, place: bare, source: v6(3, 1), to: again, token: true}, // a minute has no counter yet
		{at: 12 * time.Second, actor: "open", from: me, place: bare, source: v6(3, 1), to: again, token: true},
		{at: 13 * time.Second, actor: "stopped", from: stopped, place: soft, source: v6(4, 1)},
		{at: 14 * time.Second, actor: "proved", from: "a@" + own.name, place: own, source: v6(0xa000, 1)},
		{at: 2 * time.Minute, actor: "proved", from: "a@" + own.name, place: own, source: v6(0xa000, 1)},
		{at: 3 * time.Minute, actor: "stopped", from: stopped, place: soft, source: v6(4, 1), to: resume, token: true},
		{at: 4 * time.Minute, actor: "open", from: stopped, place: soft, source: v6(4, 1)},
	}
	d.runs(t, first)
	d.restart(t)
	d.runs(t, second)
	d.restart(t)
	for actor, want := range map[string]int{"open": 3, "stopped": 1, "proved": 2, "refuted": 0} {
		if got := d.tallies[actor].mailed; got != want {
			t.Errorf("%s: %d mails, want %d", actor, got, want)
		}
	}
	d.onDisk(t)
}

// Forged mails that come at once all find room before any reply is stored; the store lets one in.
func TestHostile_39_at_once(t *testing.T) {
	t.Parallel()
	p := victims()[3]
	d := newDay(t, []place{p})
	d.Config.Log = slog.New(slog.DiscardHandler)
	var mu sync.Mutex
	kicked := 0
	d.Enqueue = func(reply.Entry) { mu.Lock(); defer mu.Unlock(); kicked++ }
	var messages []*verify.Message
	for i := range 20 {
		messages = append(messages, d.message(t, header("victim@"+p.name)+fmt.Sprintf("Message-ID: <%d@forger.example>\r\n\r\n", i), func(e *verify.Envelope) {
			e.MailFrom, e.Client = "victim@"+p.name, netip.AddrPortFrom(netip.MustParseAddr(v6(i, 1).addr), 4025)
		}))
	}
	var all, there sync.WaitGroup
	there.Add(len(messages))
	d.store.before = func() error { there.Done(); there.Wait(); return nil }
	var answers [2]int
	for _, m := range messages {
		all.Go(func() {
			a, err := d.takes(t, t.Context(), m)
			mu.Lock()
			defer mu.Unlock()
			switch said := strings.Join(a.Lines, "\n"); {
			case err == nil && a.Code == 250 && strings.Contains(said, "report "+m.Envelope.ID+" to"):
				answers[0]++
			case err == nil && a.Code == 550 && strings.Contains(said, "No report is mailed: quota address-day"):
				answers[1]++
			default:
				t.Errorf("got %d %q, %v", a.Code, a.Lines, err)
			}
		})
	}
	all.Wait()
	if answers != [2]int{1, len(messages) - 1} || kicked != 1 || len(d.store.durable()) != 1 {
		t.Errorf("answers %v, %d kicked, %d stored; want one", answers, kicked, len(d.store.durable()))
	}
}
