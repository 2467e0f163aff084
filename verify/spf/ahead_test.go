package spf_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// slow is a zone in memory that takes its time: in a bubble of synctest that is exact.
type slow struct {
	records map[dns.Question][]dns.Record
	fails   map[dns.Question]bool
	delay   func(dns.Question) time.Duration

	mu    sync.Mutex
	asked []dns.Question
}

// newSlow reads lines of name, type, data; FAIL as data is a server that fails.
func newSlow(zone string, delay func(dns.Question) time.Duration) *slow {
	s := &slow{records: map[dns.Question][]dns.Record{}, fails: map[dns.Question]bool{}, delay: delay}
	types := map[string]dns.Type{"TXT": dns.TXT, "A": dns.A, "AAAA": dns.AAAA, "MX": dns.MX, "PTR": dns.PTR}
	for line := range strings.Lines(zone) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		word, data, _ := strings.Cut(rest, " ")
		q := dns.Ask(name, types[word])
		r := dns.Record{Name: q.Name, Type: q.Type, TTL: 300}
		switch {
		case name == "":
			continue
		case data == "FAIL":
			s.fails[q] = true
		case q.Type == dns.TXT:
			r.Strings = []string{data}
		case q.Type == dns.MX || q.Type == dns.PTR:
			r.Target = data
		default:
			r.Addr = netip.MustParseAddr(data)
		}
		s.records[q] = append(s.records[q], r)
	}
	return s
}

func (s *slow) Resolve(ctx context.Context, q dns.Question) (dns.Answer, error) {
	s.mu.Lock()
	s.asked = append(s.asked, q)
	s.mu.Unlock()
	timer := time.NewTimer(s.delay(q))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.Canceled, Err: context.Cause(ctx)}
	}
	if s.fails[q] {
		return dns.Answer{}, &dns.Error{Question: q, Kind: dns.ServFail}
	}
	return dns.Answer{Question: q, Records: s.records[q], NX: len(s.records[q]) == 0}, nil
}

// seen is all that a report shows of one evaluation.
type seen struct {
	Word     result.Word
	Reason   result.Reason
	Cause    string
	Findings []result.Finding
	Tree     spf.Result
	Evidence []result.Evidence
	Why      []result.Evidence
}

// outcome evaluates through a memo. It gives what is seen, how long it took, and what was asked in all.
func outcome(s *slow, q spf.Query, ahead bool) (out string, took time.Duration, asked []dns.Question) {
	s.asked = nil
	ctx, cancel := context.WithCancel(context.Background())
	memo := dns.NewMemo(ctx, s)
	if ahead {
		a := spf.Evaluator{Now: time.Now}.Ahead(q)
		memo.Follow(a.Follow)
		for _, first := range a.First() {
			memo.Prefetch(first)
		}
	}
	view, why := memo.View(112), memo.View(8)
	began := time.Now()
	r := spf.Evaluator{DNS: view, Diagnose: why, Now: time.Now}.Check(ctx, q)
	took = time.Since(began)
	cancel()
	memo.Wait()
	x := seen{Word: r.Word, Reason: r.Reason, Findings: r.Findings, Tree: r, Evidence: view.Evidence(), Why: why.Evidence()}
	if r.Cause != nil {
		x.Cause = r.Cause.Error()
	}
	b, err := json.MarshalIndent(x, "", " ")
	if err != nil {
		panic(err)
	}
	return string(b), took, s.asked
}

func every(d time.Duration) func(dns.Question) time.Duration {
	return func(dns.Question) time.Duration { return d }
}

const round = 50 * time.Millisecond

// The time is that of the longest chain of questions, whoever wins the race for each of them; and the
// questions are no more than the record deserves.
func TestAhead_takes_as_long_as_the_tree_is_deep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, zone                 string
		plain, ahead               int // rounds
		questions, questionsByRule int
		word                       result.Word
	}{
		{"one literal", `
example.org TXT v=spf1 ip4:192.0.2.0/24 a:never.example.org -all`, 1, 1, 1, 1, result.Pass},
		{"an include of three includes", `
example.org TXT v=spf1 include:spf.example.org -all
spf.example.org TXT v=spf1 include:a.example.org include:b.example.org include:c.example.org ~all
a.example.org TXT v=spf1 ip4:198.51.100.0/24 ~all
b.example.org TXT v=spf1 ip4:203.0.113.0/24 ~all
c.example.org TXT v=spf1 ip4:192.0.2.0/24 ~all`, 5, 3, 5, 5, result.Pass},
		{"nine look-ups, the last matches", `
example.org TXT v=spf1 a mx include:c1.example.org include:c3.example.org a:last.example.org -all
example.org A 198.51.100.1
example.org MX mx1.example.org
example.org MX mx2.example.org
mx1.example.org A 198.51.100.2
mx2.example.org A 198.51.100.3
c1.example.org TXT v=spf1 include:c2.example.org -all
c2.example.org TXT v=spf1 mx:m.example.org -all
m.example.org MX mx3.example.org
m.example.org MX mx4.example.org
mx3.example.org A 198.51.100.4
mx4.example.org A 198.51.100.5
c3.example.org TXT v=spf1 a:x.example.org a:y.example.org -all
x.example.org A 198.51.100.6
y.example.org A 198.51.100.7
last.example.org A 192.0.2.1`, 14, 5, 14, 14, result.Pass},
		{"six names that do not exist", `
example.org TXT v=spf1 a:n1.example.org a:n2.example.org exists:n3.example.org mx:n4.example.org a:n5.example.org a:n6.example.org -all`,
			4, 2, 4, 4, result.PermError},
		{"exists with macros", `
example.org TXT v=spf1 exists:%{ir}.%{v}._spf.%{d} -all
1.2.0.192.in-addr._spf.example.org A 127.0.0.2`, 2, 2, 2, 2, result.Pass},
		{"a redirect", `
example.org TXT v=spf1 a:x.example.org redirect=spf.example.org
x.example.org A 198.51.100.1
spf.example.org TXT v=spf1 ip4:192.0.2.1 -all`, 3, 2, 3, 3, result.Pass},
		{"no redirect where all stands", `
example.org TXT v=spf1 a:x.example.org ?all redirect=spf.example.org
x.example.org A 198.51.100.1`, 2, 2, 2, 2, result.Neutral},
		{"a syntax error", `
example.org TXT v=spf1 a:x.example.org mx include:spf.example.org ip4:bogus -all`, 1, 1, 1, 1, result.PermError},
		{"a syntax error in an include", `
example.org TXT v=spf1 include:spf.example.org a:x.example.org a:y.example.org -all
spf.example.org TXT v=spf1 a:z.example.org ipv4:192.0.2.1 -all`, 2, 2, 4, 2, result.PermError},
		{"nothing behind a literal", `
example.org TXT v=spf1 a:x.example.org ip4:192.0.2.1 a:y.example.org include:spf.example.org -all
x.example.org A 198.51.100.1`, 2, 2, 2, 2, result.Pass},
		{"names of the client", `
example.org TXT v=spf1 ptr:a.example.org ptr:b.example.org -all
1.2.0.192.in-addr.arpa PTR one.a.example.org
1.2.0.192.in-addr.arpa PTR other.example.net
1.2.0.192.in-addr.arpa PTR one.b.example.org
one.a.example.org A 198.51.100.1
one.b.example.org A 192.0.2.1`, 4, 3, 4, 4, result.Pass},
		{"the macro p", `
example.org TXT v=spf1 exists:%{p}._spf.example.org -all
1.2.0.192.in-addr.arpa PTR other.example.net
1.2.0.192.in-addr.arpa PTR one.example.org
one.example.org A 192.0.2.1
one.example.org._spf.example.org A 127.0.0.2`, 4, 4, 5, 4, result.Pass},
		// Three are under way at most; each that finds something lets the next one go.
		{"seven addresses", `
example.org TXT v=spf1 a:n1.example.org a:n2.example.org a:n3.example.org a:n4.example.org a:n5.example.org a:n6.example.org a:n7.example.org -all
n1.example.org A 198.51.100.1
n2.example.org A 198.51.100.1
n3.example.org A 198.51.100.1
n4.example.org A 198.51.100.1
n5.example.org A 198.51.100.1
n6.example.org A 198.51.100.1
n7.example.org A 192.0.2.1`, 8, 4, 8, 8, result.Pass},
		{"includes are not held back", `
example.org TXT v=spf1 a:n1.example.org a:n2.example.org a:n3.example.org include:a.example.org -all
n1.example.org A 198.51.100.1
a.example.org TXT v=spf1 include:b.example.org -all
b.example.org TXT v=spf1 ip4:192.0.2.1 -all`, 6, 3, 6, 6, result.Pass},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for range 50 { // the race for each question
				synctest.Test(t, func(t *testing.T) {
					s := newSlow(c.zone, every(round))
					plain, tookPlain, byRule := outcome(s, query("192.0.2.1", "a@example.org"), false)
					got, took, asked := outcome(s, query("192.0.2.1", "a@example.org"), true)
					if got != plain || !strings.Contains(got, fmt.Sprintf("%q", c.word)) {
						t.Fatalf("got %s\nwant %s, and %s", got, c.word, plain)
					}
					if took != time.Duration(c.ahead)*round || len(asked) != c.questions {
						t.Fatalf("took %s and asked %d (%v), want %d rounds and %d questions", took, len(asked), asked, c.ahead, c.questions)
					}
					if tookPlain != time.Duration(c.plain)*round || len(byRule) != c.questionsByRule {
						t.Fatalf("alone it took %s and asked %v, want %d rounds and %d questions", tookPlain, byRule, c.plain, c.questionsByRule)
					}
				})
			}
		})
	}
}

// world makes random zones and queries of few names, so that they meet.
type world struct{ *rand.Rand }

var worldNames = []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"}

func (w world) one(of ...string) string { return of[w.IntN(len(of))] }
func (w world) name() string            { return w.one(worldNames...) }
func (w world) ip() string              { return w.one("192.0.2.1", "192.0.2.2", "198.51.100.7", "203.0.113.9") }
func (w world) ip6() string             { return w.one("2001:db8::1", "2001:db8::2") }

func (w world) host() string {
	return w.one(w.name(), w.name(), "none1.example", "none2.example", "none3.example", "%{h}", "%{o}", "%{d2}", "%{p}", "%{l}.a.example", "%{ir}.%{v}.example")
}

func (w world) term() string {
	sign := w.one("", "", "", "+", "-", "~", "?")
	switch w.IntN(16) {
	case 0, 1, 2, 3:
		return sign + "include:" + w.host()
	case 4, 5:
		return sign + "a" + w.one("", ":"+w.host(), "/24")
	case 6, 7:
		return sign + "mx" + w.one("", ":"+w.host(), "/24")
	case 8, 9:
		return sign + "exists:" + w.host()
	case 10:
		return sign + "ptr" + w.one("", ":"+w.name(), ":example")
	case 11:
		return "redirect=" + w.host()
	case 12:
		return sign + "all"
	case 13:
		return w.one("exp=why.example", "foo=bar", "foo=baz", "ip4:192.0.2.9", "a/8", w.one("ip4:192.0.2.9", "ipv4:192.0.2.1"))
	}
	return sign + w.one("ip4:"+w.ip(), "ip6:"+w.ip6())
}

func (w world) record() string {
	terms := []string{"v=spf1"}
	for range w.IntN(w.IntN(8) + 2) {
		terms = append(terms, w.term())
	}
	return strings.Join(append(terms, w.one("-all", "~all", "")), " ")
}

func (w world) zone() string {
	var b strings.Builder
	// One of n does not exist, half as many fail.
	line := func(n int, name, kind, data string) {
		switch w.IntN(2 * n) {
		case 0, 1:
			return
		case 2:
			data = "FAIL"
		}
		fmt.Fprintf(&b, "%s %s %s\n", name, kind, data)
	}
	for _, n := range worldNames {
		line(20, n, "TXT", w.record())
		line(10, n, "A", w.ip())
		line(4, n, "AAAA", w.ip6())
		for range w.IntN(w.IntN(13) + 1) {
			line(20, n, "MX", w.one(worldNames...))
		}
	}
	for range w.IntN(4) {
		line(4, "1.2.0.192.in-addr.arpa", "PTR", w.name())
	}
	line(4, "why.example", "TXT", "Because of %{s}")
	line(4, "1.2.0.192.in-addr.example", "A", "127.0.0.2")
	line(4, "joe.a.example", "A", "127.0.0.2")
	return b.String()
}

func (w world) query() spf.Query {
	return spf.Query{IP: netip.MustParseAddr(w.one(w.ip(), w.ip(), w.ip6())), Helo: w.one(w.name(), w.name(), "[192.0.2.1]"), MailFrom: w.one("joe@"+w.name(), "joe@"+w.name(), "joe@"+w.name(), "")}
}

// delays gives each question its own, the same however often and early it is asked.
func (w world) delays() func(dns.Question) time.Duration {
	seed := w.Uint64()
	return func(q dns.Question) time.Duration {
		h := seed
		for _, c := range []byte(q.String()) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		return time.Duration(h>>32%100) * time.Millisecond
	}
}

// Whatever comes in which order: asking ahead changes the time alone, and never for the worse.
func TestAhead_changes_nothing_but_the_time(t *testing.T) {
	t.Parallel()
	worlds := uint64(4000)
	if testing.Short() {
		worlds = 400
	}
	words, saved := map[string]int{}, 0
	for n := range worlds {
		synctest.Test(t, func(t *testing.T) {
			w := world{rand.New(rand.NewPCG(4, n))}
			zone, q := w.zone(), w.query()
			s := newSlow(zone, w.delays())
			plain, tookPlain, byRule := outcome(s, q, false)
			got, took, asked := outcome(s, q, true)
			if got != plain || took > tookPlain || len(asked) > len(byRule)+dns.PrefetchBudget {
				t.Fatalf("world %d, %+v:\n%s\ntook %s, asked %v, got %s\nalone it took %s, asked %v, got %s",
					n, q, zone, took, asked, got, tookPlain, byRule, plain)
			}
			if took < tookPlain {
				saved++
			}
			for _, c := range []string{"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"} {
				if strings.Contains(got, fmt.Sprintf("\n \"Word\": %q", c)) {
					words[c]++
				}
			}
		})
	}
	if len(words) != 7 || saved < int(worlds)/10 {
		t.Errorf("the worlds say too little: %v, faster %d times of %d", words, saved, worlds)
	}
	t.Logf("%v, faster %d times of %d", words, saved, worlds)
}

// What a record makes us ask ahead is bounded, in whatever order the answers come: ten terms, and of
// names that do not exist three.
func TestAhead_is_bounded(t *testing.T) {
	t.Parallel()
	for n := range uint64(4000) {
		w := world{rand.New(rand.NewPCG(5, n))}
		zone, q := w.zone(), w.query()
		s := newSlow(zone, every(0))
		a := spf.Evaluator{Now: time.Now}.Ahead(q)
		open := a.First()
		asked := map[dns.Question]bool{}
		void := 0
		for len(open) > 0 {
			at := w.IntN(len(open))
			next := open[at]
			open = slices.Delete(open, at, at+1)
			if asked[next] {
				t.Fatalf("world %d: %s twice", n, next)
			}
			asked[next] = true
			answer, err := s.Resolve(t.Context(), next)
			if err != nil {
				continue
			}
			if next.Type == dns.MX && len(answer.Records) == 0 {
				void++
			}
			open = append(open, a.Follow(answer)...)
		}
		terms := 0
		for q := range asked {
			if q.Type == dns.TXT || q.Type == dns.MX {
				terms++
			}
		}
		if terms > 11 || void > 3 {
			t.Errorf("world %d: asked for the record and %d terms, %d of them without answer:\n%s\n%v", n, terms-1, void, zone, asked)
		}
	}
}

// An answer that another check asked for is used when this evaluation comes to the question.
func TestAhead_knows_what_others_asked(t *testing.T) {
	t.Parallel()
	s := newSlow("example.org TXT v=spf1 include:spf.example.org -all\nspf.example.org TXT v=spf1 mx -all\n", every(0))
	a := spf.Evaluator{}.Ahead(query("192.0.2.1", "a@example.org"))
	first, included := dns.Ask("example.org", dns.TXT), dns.Ask("spf.example.org", dns.TXT)
	if got := a.First(); !slices.Equal(got, []dns.Question{first}) {
		t.Fatalf("first %v, want %v", got, first)
	}
	for _, step := range []struct {
		answer dns.Question
		want   []dns.Question
	}{
		{dns.Ask("example.net", dns.TXT), nil},
		{included, nil},
		{first, []dns.Question{dns.Ask("spf.example.org", dns.MX)}},
	} {
		answer, _ := s.Resolve(t.Context(), step.answer)
		if got := a.Follow(answer); !slices.Equal(got, step.want) {
			t.Errorf("after %s: got %v, want %v", step.answer, got, step.want)
		}
	}
}

// That of HELO asks for the HELO name's record, and nothing where there is no name.
func TestAhead_of_HELO(t *testing.T) {
	t.Parallel()
	q := query("192.0.2.1", "a@example.org")
	if got := (spf.Evaluator{}).AheadHelo(q).First(); len(got) != 1 || got[0] != dns.Ask("mail.example.org", dns.TXT) {
		t.Errorf("got %v", got)
	}
	q.Helo = "[192.0.2.1]"
	if got := (spf.Evaluator{}).AheadHelo(q).First(); len(got) != 0 {
		t.Errorf("of an address: got %v, want nothing", got)
	}
}

// Any record: what is asked ahead is bounded and changes nothing.
func FuzzAhead(f *testing.F) {
	for _, record := range []string{
		"v=spf1 a mx ptr include:b.example exists:%{ir}.%{v}.example redirect=c.example",
		"v=spf1 include:a.example include:a.example include:a.example -all",
		"v=spf1 a:n1.b a:n2.b mx:n3.b exists:n4.b a:n5.b a:n6.b a:%{p}.b include:%{d2} ?all",
		"v=spf1 include:%{l}.a.example ip4:192.0.2.1 a:never.example",
	} {
		f.Add(record, "v=spf1 mx include:a.example ~all", "joe")
	}
	f.Fuzz(func(t *testing.T, root, included, local string) {
		s := newSlow(`
a.example A 192.0.2.7
a.example MX b.example
b.example MX a.example
1.2.0.192.in-addr.arpa PTR a.example
1.2.0.192.in-addr.arpa PTR b.example
1.2.0.192.in-addr.example A 127.0.0.2
`, every(0))
		for name, text := range map[string]string{"a.example": root, "b.example": included, "c.example": included} {
			q := dns.Ask(name, dns.TXT)
			s.records[q] = []dns.Record{{Name: name, Type: dns.TXT, Strings: []string{text}}}
		}
		q := query("192.0.2.1", local+"@a.example")
		plain, _, byRule := outcome(s, q, false)
		got, _, asked := outcome(s, q, true)
		// %{t} in an explanation is the only thing that may differ.
		if got != plain && !strings.Contains(strings.ToLower(root+included), "%{t") {
			t.Errorf("%q, %q: got %s, alone %s", root, included, got, plain)
		}
		if len(asked) > len(byRule)+dns.PrefetchBudget {
			t.Errorf("%q, %q: asked %d, alone %d", root, included, len(asked), len(byRule))
		}
		for _, q := range asked {
			if !dns.Askable(q.Name) {
				t.Errorf("%q, %q: asked for %q", root, included, q.Name)
			}
		}
	})
}
