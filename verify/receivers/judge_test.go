package receivers

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"checkauth/verify/dmarc"
	"checkauth/verify/result"
)

// allWell is a message that every receiver takes and no rule minds.
func allWell() Facts {
	return Facts{
		Client: netip.MustParseAddr("192.0.2.25"),
		SPF:    result.Pass, SPFAll: Known(result.Fail), SPFNever: Known(false), SPFDomain: "example.org",
		DKIM:  Known([]Signature{{Domain: "example.org", Word: result.Pass, RSA: true, Bits: 2048, Aligned: true}}),
		DMARC: result.Pass, Policy: "reject", Record: Known("v=DMARC1; p=reject"), Author: Known("example.org"),
		IPRev: result.Pass, Generic: Known(false), Dynamic: Known(false),
		TLS: Known(true), HeloGood: Known(true), HeloFull: Known(true), HeloOwn: Known(true),
		FromCount: Known(1), FromAuthors: Known(1), HeaderDuplicates: Known([]string{}), HeaderMalformed: Known(false), HeaderUnsound: Known(false),
		HasMessageID: Known(true), DateOK: Known(true),
		EnvelopeResolvable: Known(true), FromResolvable: Known(true), FromTakesMail: Known(true),
		Forwarded: Known(false), ARC: Known(false),
		Unsubscribe: Known(true), OneClick: Known(true), UnsubscribeSigned: Known(true),
	}
}

func of(t *testing.T, all []Verdict, id string) Verdict {
	t.Helper()
	i := slices.IndexFunc(all, func(v Verdict) bool { return v.ID == id })
	if i < 0 {
		t.Fatalf("no verdict of %s", id)
	}
	return all[i]
}

// with is allWell with something changed.
func with(change func(*Facts)) Facts {
	f := allWell()
	change(&f)
	return f
}

// broken has for every predicate a message that does not meet it and one of which it cannot be told.
var broken = map[string]struct{ not, unsure func(*Facts) }{
	"spf-pass":                {spfIs(result.SoftFail), spfIs(result.TempError)},
	"spf-not-fail":            {spfIs(result.Fail), spfIs(result.TempError)},
	"spf-not-hard-fail-alone": {both2(spfIs(result.Fail), unsigned), both2(spfIs(result.Fail), unsureDKIM)},
	"spf-not-plus-all":        {func(f *Facts) { f.SPFAll = Known(result.Pass) }, func(f *Facts) { f.SPFAll = Failed[result.Word]() }},
	"spf-not-never":           {func(f *Facts) { f.SPFNever = Known(true) }, func(f *Facts) { f.SPFNever = Failed[bool]() }},
	"dkim-pass":               {unsigned, unsureDKIM},
	"dkim-key-1024":           {func(f *Facts) { f.DKIM.Value[0].Bits = 768 }, func(f *Facts) { f.DKIM = Failed[[]Signature]() }},
	"spf-or-dkim":             {both2(spfIs(result.None), unsigned), both2(spfIs(result.TempError), unsigned)},
	"spf-and-dkim":            {unsigned, spfIs(result.NotRun)},
	"aligned-dkim":            {func(f *Facts) { f.DKIM.Value[0].Aligned = false }, unsureDKIM},
	"aligned-spf-or-dkim": {func(f *Facts) { f.DKIM.Value[0].Aligned = false; f.SPFDomain = "example.net" },
		func(f *Facts) { f.DKIM = Failed[[]Signature](); f.SPFDomain = "example.net" }},
	"dmarc-pass":                  {dmarcIs(result.None, ""), dmarcIs(result.TempError, "")},
	"dmarc-pass-or-no-policy":     {dmarcIs(result.Fail, "quarantine"), dmarcIs(result.TempError, "")},
	"dmarc-pass-or-no-quarantine": {dmarcIs(result.Fail, "quarantine"), dmarcIs(result.TempError, "")},
	"dmarc-pass-or-no-reject":     {dmarcIs(result.Fail, "reject"), dmarcIs(result.NotRun, "")},
	"dmarc-record":                {func(f *Facts) { f.Record = Known("") }, func(f *Facts) { f.Record = Failed[string]() }},
	"dmarc-policy-published":      {func(f *Facts) { f.Record = Known("v=DMARC1; sp=none") }, func(f *Facts) { f.Record = Failed[string]() }},
	"ptr":                         {func(f *Facts) { f.IPRev = result.PermError }, func(f *Facts) { f.IPRev = result.TempError }},
	"fcrdns":                      {func(f *Facts) { f.IPRev = result.Fail }, func(f *Facts) { f.IPRev = result.NotRun }},
	"ptr-not-generic":             {func(f *Facts) { f.Generic = Known(true) }, func(f *Facts) { f.Generic = Failed[bool]() }},
	"ptr-not-dynamic":             {func(f *Facts) { f.Dynamic = Known(true) }, func(f *Facts) { f.Dynamic = Failed[bool]() }},
	"ipv6-ok":                     {both2(ipv6, func(f *Facts) { f.IPRev = result.Fail }), both2(ipv6, func(f *Facts) { f.IPRev = result.TempError })},
	"ipv6-ptr":                    {both2(ipv6, func(f *Facts) { f.IPRev = result.PermError }), both2(ipv6, func(f *Facts) { f.IPRev = result.TempError })},
	"ipv6-spf-or-dkim":            {both2(ipv6, both2(spfIs(result.SoftFail), unsigned)), both2(ipv6, both2(spfIs(result.TempError), unsigned))},
	"tls":                         {func(f *Facts) { f.TLS = Known(false) }, func(f *Facts) { f.TLS = Failed[bool]() }},
	"helo-valid":                  {func(f *Facts) { f.HeloGood = Known(false) }, func(f *Facts) { f.HeloGood = Failed[bool]() }},
	"helo-fqdn":                   {func(f *Facts) { f.HeloFull = Known(false) }, func(f *Facts) { f.HeloFull = Failed[bool]() }},
	"helo-own-name":               {func(f *Facts) { f.HeloOwn = Known(false) }, func(f *Facts) { f.HeloOwn = Failed[bool]() }},
	"one-from":                    {func(f *Facts) { f.FromCount = Known(2); f.Author = Known("") }, func(f *Facts) { f.FromCount = Failed[int]() }},
	"not-from-receiver-domain":    {both2(fromGmail, dmarcIs(result.Fail, "none")), both2(fromGmail, dmarcIs(result.TempError, ""))},
	"no-duplicate-fields":         {func(f *Facts) { f.HeaderDuplicates = Known([]string{"To"}) }, func(f *Facts) { f.HeaderDuplicates = Failed[[]string]() }},
	"header-sound":                {func(f *Facts) { f.HeaderUnsound = Known(true) }, func(f *Facts) { f.HeaderUnsound = Failed[bool]() }},
	"header-well-formed":          {func(f *Facts) { f.HeaderMalformed = Known(true) }, func(f *Facts) { f.HeaderMalformed = Failed[bool]() }},
	"message-id":                  {func(f *Facts) { f.HasMessageID = Known(false) }, func(f *Facts) { f.HasMessageID = Failed[bool]() }},
	"date-in-range":               {func(f *Facts) { f.DateOK = Known(false) }, func(f *Facts) { f.DateOK = Failed[bool]() }},
	"envelope-resolvable":         {func(f *Facts) { f.EnvelopeResolvable = Known(false) }, func(f *Facts) { f.EnvelopeResolvable = Failed[bool]() }},
	"from-resolvable":             {func(f *Facts) { f.FromResolvable = Known(false) }, func(f *Facts) { f.FromResolvable = Failed[bool]() }},
	"from-takes-mail":             {func(f *Facts) { f.FromTakesMail = Known(false) }, func(f *Facts) { f.FromTakesMail = Failed[bool]() }},
	"arc-or-not-forwarded":        {func(f *Facts) { f.Forwarded = Known(true) }, func(f *Facts) { f.Forwarded, f.ARC = Known(true), Failed[bool]() }},
	"unsubscribe":                 {func(f *Facts) { f.Unsubscribe = Known(false) }, func(f *Facts) { f.Unsubscribe = Failed[bool]() }},
	"one-click":                   {func(f *Facts) { f.OneClick = Known(false) }, func(f *Facts) { f.OneClick = Failed[bool]() }},
	"unsubscribe-signed":          {func(f *Facts) { f.UnsubscribeSigned = Known(false) }, func(f *Facts) { f.UnsubscribeSigned = Failed[bool]() }},
}

func spfIs(w result.Word) func(*Facts) { return func(f *Facts) { f.SPF = w } }
func dmarcIs(w result.Word, policy string) func(*Facts) {
	return func(f *Facts) { f.DMARC, f.Policy = w, dmarc.Policy(policy) }
}
func unsigned(f *Facts)   { f.DKIM = Known([]Signature{}) }
func unsureDKIM(f *Facts) { f.DKIM.Value[0].Word = result.TempError }
func ipv6(f *Facts)       { f.Client = netip.MustParseAddr("2001:db8::25") }
func fromGmail(f *Facts)  { f.Author = Known("gmail.com") }

func both2(a, b func(*Facts)) func(*Facts) { return func(f *Facts) { a(f); b(f) } }

func TestEveryPredicateHasItsSides(t *testing.T) {
	t.Parallel()
	gmail := &builtinSet(t).receivers[0]
	for _, name := range Predicates() {
		b, ok := broken[name]
		if !ok {
			t.Errorf("%s: no message that breaks it", name)
			continue
		}
		for _, c := range []struct {
			what string
			f    Facts
			want State
		}{
			{"all well", allWell(), Met}, {"broken", with(b.not), NotMet}, {"could not be learnt", with(b.unsure), Undecided},
		} {
			if got := predicates[name](c.f, gmail); got != c.want {
				t.Errorf("%s, %s: got %q, want %q", name, c.what, got, c.want)
			}
		}
		if got := predicates[name](Facts{}, gmail); got != NotSeen && got != Undecided {
			t.Errorf("%s, nothing known: got %q", name, got)
		}
	}
}

func TestEveryRuleHasAMessageOnEachSide(t *testing.T) {
	t.Parallel()
	s := builtinSet(t)
	find := func(f Facts, ru *rule) (Verdict, Rule) {
		v := of(t, s.Judge(f), ru.Receiver)
		return v, v.Rules[slices.IndexFunc(v.Rules, func(r Rule) bool { return r.ID == ru.ID })]
	}
	for i := range s.rules {
		ru := &s.rules[i]
		if v, got := find(allWell(), ru); got.State != Met || got.Decides || v.Verdict != bestOf(s, ru.Receiver) {
			t.Errorf("%s, all well: got %s, %s", ru.ID, got.State, v.Verdict)
		}
		for _, name := range ru.Needs {
			v, got := find(with(broken[name].not), ru)
			if got.State != NotMet || got.Decides != ru.counts() || !slices.Contains(got.Missing, name) {
				t.Errorf("%s without %s: got %+v", ru.ID, name, got)
			}
			if ru.counts() && worse[v.Verdict] < worse[ru.UnlessMet] {
				t.Errorf("%s without %s: got %s, want %s at least", ru.ID, name, v.Verdict, ru.UnlessMet)
			}
			if _, got := find(with(broken[name].unsure), ru); got.State != Undecided || got.Decides {
				t.Errorf("%s, %s not told: got %+v", ru.ID, name, got)
			}
		}
	}
}

// bestOf is what is said of a mail that breaks no rule.
func bestOf(s *Set, id string) string {
	could := 0
	for i := range s.rules {
		if s.rules[i].Receiver == id && s.rules[i].counts() {
			could++
		}
	}
	if could < fewest {
		return Unknown
	}
	return Accept
}

// That no rule is broken is worth saying only where some are known.
func TestJudge_concludes_nothing_from_few_rules(t *testing.T) {
	t.Parallel()
	got := builtinSet(t).Judge(allWell())
	for id, want := range map[string]string{
		"gmail": "receiver-accept", "yahoo": "receiver-accept", "outlook": "receiver-accept", "microsoft365": "receiver-accept",
		"gmx": `receiver-unknown-few count="2"`, "icloud": `receiver-unknown-few count="2"`, "orange": `receiver-unknown-few count="2"`,
		"tonline": `receiver-unknown-few count="1"`, "cloudflare": `receiver-unknown-few count="1"`, "mailru": `receiver-unknown-few count="1"`,
	} {
		if v := of(t, got, id); v.Why.String() != want || (v.Verdict == Unknown) != (v.Why.Code != "receiver-accept") {
			t.Errorf("%s: got %s, %s, want %s", id, v.Verdict, v.Why, want)
		}
	}
	// A rule that is broken speaks, however few there are, and a check without a result comes before their number.
	if v := of(t, builtinSet(t).Judge(with(broken["fcrdns"].not)), "tonline"); v.Verdict != Reject {
		t.Errorf("T-Online, no PTR: got %s", v.Verdict)
	}
	if v := of(t, builtinSet(t).Judge(with(broken["fcrdns"].unsure)), "tonline"); v.Why.Code != "receiver-unknown" {
		t.Errorf("T-Online, PTR not told: got %s", v.Why)
	}
}

// What a receiver asks for without a word on what happens is listed, and is no verdict: each of these broke one mail's
// verdict once. The verdict of a mail with that one fault is the one of a mail with none.
func TestJudge_a_demand_is_no_verdict(t *testing.T) {
	t.Parallel()
	s := builtinSet(t)
	for id, fault := range map[string]string{
		"gmx-dkim-aligned": "aligned-dkim", "gmx-ptr": "fcrdns", "gmx-helo": "helo-fqdn", "gmx-from-mx": "from-takes-mail", "gmx-spf-fail": "spf-not-fail", "gmx-rfc": "date-in-range",
		"gmail-tls": "tls", "gmail-spf-suspicious": "spf-not-plus-all", "outlook-ptr": "fcrdns", "outlook-dynamic": "ptr-not-dynamic", "yahoo-ptr": "fcrdns",
		"icloud-auth": "spf-or-dkim", "icloud-envelope": "envelope-resolvable", "yahoo-date-message-id": "date-in-range", "gmx-dynamic": "ptr-not-dynamic",
	} {
		i := slices.IndexFunc(s.rules, func(ru rule) bool { return ru.ID == id })
		if i < 0 {
			t.Errorf("no rule %s", id)
			continue
		}
		v := of(t, s.Judge(with(broken[fault].not)), s.rules[i].Receiver)
		ru := v.Rules[slices.IndexFunc(v.Rules, func(r Rule) bool { return r.ID == id })]
		if v.Verdict == Accept && v.Why.Code != "receiver-accept-asks" {
			t.Errorf("%s without %s: %s does not say that something is asked for", v.ID, fault, v.Why)
		}
		if ru.State != NotMet || ru.Decides || ru.Verdict != None || ru.Code != "" || ru.DeferCode != "" || v.Verdict != bestOf(s, v.ID) {
			t.Errorf("%s without %s: %s is %s, says %q %q, decides %t; the verdict is %s", v.ID, fault, id, ru.State, ru.Verdict, ru.Code, ru.Decides, v.Verdict)
		}
	}
	malformed := with(func(f *Facts) { f.HasMessageID, f.HeaderMalformed = Known(false), Known(true) })
	if v := of(t, s.Judge(malformed), "yahoo"); v.Verdict != Accept {
		t.Errorf("Yahoo, Message-ID <abc123>: got %s %s", v.Verdict, v.Code)
	}
}

// What a verdict rests on is said: published rules, what was seen, or what the domain itself asks for.
func TestPhrase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ verdict, code, strength, want string }{
		{Reject, "550 5.7.1", Required, `receiver-reject code="550 5.7.1"`}, {Reject, "", Required, "receiver-reject-uncoded"},
		{Reject, "550 5.7.1", Observed, `receiver-reject-observed code="550 5.7.1"`}, {Reject, "", Observed, "receiver-reject-uncoded-observed"},
		{Defer, "450 4.1.8", Required, `receiver-defer code="450 4.1.8"`}, {Defer, "450 4.1.8", Observed, `receiver-defer-observed code="450 4.1.8"`},
		{Defer, "", Required, "receiver-defer-uncoded"}, {Defer, "", Observed, "receiver-defer-uncoded-observed"},
		{Junk, "", Required, "receiver-junk"}, {Junk, "", Observed, "receiver-junk-observed"}, {Junk, "", DomainPolicy, "receiver-junk-policy"},
		{Accept, "", "", "receiver-accept"},
	} {
		got := phrase(c.verdict, c.code, c.strength)
		if got.String() != c.want || !slices.Contains(builtinSet(t).Codes(), got.Code) {
			t.Errorf("%s %q %s: got %s, want %s, which must be one of the codes", c.verdict, c.code, c.strength, got, c.want)
		}
	}
	quarantined := of(t, builtinSet(t).Judge(with(dmarcIs(result.Fail, "quarantine"))), "gmail")
	if quarantined.Why.Code != "receiver-junk-policy" {
		t.Errorf("p=quarantine: got %s", quarantined.Why)
	}
}

// Nobody can tell of one mail whether it is one of many.
func TestBulkAndMarketingRulesNeverDecide(t *testing.T) {
	t.Parallel()
	s := builtinSet(t)
	only := *s
	only.rules = slices.DeleteFunc(slices.Clone(s.rules), func(ru rule) bool { return ru.Scope != All })
	names := Predicates()
	seen := 0
	for i, a := range names {
		for _, b := range names[i:] {
			for _, change := range []func(*Facts){
				both2(broken[a].not, broken[b].not), both2(broken[a].not, tolerant(broken[b].unsure)), both2(broken[a].unsure, tolerant(broken[b].unsure)),
			} {
				f := with(change)
				whole, part := s.Judge(f), only.Judge(f)
				for j := range whole {
					seen++
					w, p := whole[j], part[j]
					if w.Verdict != p.Verdict || w.Code != p.Code || w.Text != p.Text || !reflect.DeepEqual(w.Why, p.Why) {
						t.Fatalf("%s without %s and %s: %s %s with the rules for bulk, %s %s without", w.ID, a, b, w.Verdict, w.Code, p.Verdict, p.Code)
					}
					for _, ru := range w.Rules {
						if ru.Decides && (ru.Scope != All || ru.Strength == Recommended) {
							t.Fatalf("%s decides", ru.ID)
						}
					}
				}
			}
		}
	}
	t.Logf("%d verdicts compared", seen)
}

// tolerant leaves a change out that the one before it made impossible.
func tolerant(change func(*Facts)) func(*Facts) {
	return func(f *Facts) {
		if len(f.DKIM.Value) == 0 {
			f.DKIM.Value = []Signature{{}}
		}
		change(f)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	s := builtinSet(t)
	bare := both2(spfIs(result.None), unsigned)
	for _, c := range []struct {
		name, receiver string
		change         func(*Facts)
		verdict, code  string
	}{
		{"nothing proved", "gmail", bare, Reject, "550 5.7.26"},
		{"nothing proved", "yahoo", bare, Reject, "550 5.7.9"},
		{"nothing proved", "icloud", bare, Unknown, ""},
		{"SPF alone", "gmx", unsigned, Unknown, ""},
		{"a generic name", "gmx", func(f *Facts) { f.Generic = Known(true) }, Reject, ""},
		{"spoofed", "gmx", both2(bare, dmarcIs(result.Fail, "reject")), Reject, "554"},
		{"SPF alone", "outlook", unsigned, Accept, ""},
		{"SPF alone", "gmail", unsigned, Accept, ""},
		{"spoofed", "outlook", both2(bare, dmarcIs(result.Fail, "reject")), Reject, "550 5.7.509"},
		{"spoofed, quarantine", "outlook", both2(bare, dmarcIs(result.Fail, "quarantine")), Junk, ""},
		{"quarantine, signed by a vendor", "gmail", dmarcIs(result.Fail, "quarantine"), Junk, ""},
		{"none", "gmail", dmarcIs(result.Fail, "none"), Accept, ""},
		{"forwarded", "gmail", spfIs(result.Fail), Accept, ""},
		{"forwarded, where only advice is against it", "microsoft365", spfIs(result.Fail), Accept, ""},
		{"IPv6 unproved", "microsoft365", both2(ipv6, bare), Defer, "450 4.7.26"},
		{"IPv6 without a name", "microsoft365", both2(ipv6, func(f *Facts) { f.IPRev = result.PermError }), Reject, "550 5.7.25"},
		{"both: the worse", "microsoft365", both2(ipv6, both2(bare, func(f *Facts) { f.IPRev = result.PermError })), Reject, "550 5.7.25"},
		{"clear text", "gmail", func(f *Facts) { f.TLS = Known(false) }, Accept, ""},
		{"from Gmail's domain", "gmail", both2(fromGmail, dmarcIs(result.Fail, "none")), Junk, ""},
		{"SPF could not be told, a signature passes", "gmail", spfIs(result.TempError), Accept, ""},
		{"neither could be told", "gmail", both2(spfIs(result.TempError), unsureDKIM), Unknown, ""},
		{"one could be told, and decides", "gmail", both2(both2(spfIs(result.TempError), unsureDKIM), func(f *Facts) { f.HasMessageID = Known(false) }), Reject, "550 5.7.1"},
		{"advice alone could not be told", "outlook", func(f *Facts) { f.FromTakesMail = Failed[bool]() }, Accept, ""},
		{"no reply published", "cloudflare", bare, Reject, ""},
		{"nothing known at all", "gmail", func(f *Facts) { *f = Facts{} }, Unknown, ""},
		{"nobody asked for PTR names", "tonline", func(f *Facts) { f.Generic = Fact[bool]{} }, Unknown, ""},
		{"no duplicate looked for", "gmail", func(f *Facts) { f.HeaderDuplicates = Fact[[]string]{} }, Accept, ""},
	} {
		v := of(t, s.Judge(with(c.change)), c.receiver)
		if v.Verdict != c.verdict || v.Code != c.code {
			t.Errorf("%s at %s: got %s %q, want %s %q", c.name, c.receiver, v.Verdict, v.Code, c.verdict, c.code)
		}
	}
}

func TestWhatAVerdictSays(t *testing.T) {
	t.Parallel()
	v := of(t, builtinSet(t).Judge(with(both2(both2(spfIs(result.Fail), unsigned), dmarcIs(result.Fail, "reject")))), "gmail")
	if got, want := v.Text, "Unauthenticated email from example.org is not accepted due to domain's DMARC policy"; got.Value != want {
		t.Errorf("text: got %q, want %q", got, want)
	}
	if got, want := v.Why.String(), `receiver-reject code="550 5.7.26"`; got != want {
		t.Errorf("why: got %s, want %s", got, want)
	}
	if got, want := v.Bulk.String(), `receiver-bulk count="5000"`; got != want {
		t.Errorf("bulk: got %s, want %s", got, want)
	}
	if v.Hint.Code != "receiver-hint-gmail" || v.Hint.Args.Get("where") == "" {
		t.Errorf("hint: got %s", v.Hint)
	}
	var deciding []string
	for _, r := range v.Rules {
		if r.Decides {
			deciding = append(deciding, r.ID)
		}
		if r.Requirement.Code != result.Code("rule-"+r.ID) {
			t.Errorf("%s: requirement %s", r.ID, r.Requirement)
		}
	}
	if want := []string{"gmail-dmarc-policy", "gmail-spf-or-dkim"}; !slices.Equal(deciding, want) {
		t.Errorf("deciding: got %v, want %v", deciding, want)
	}
}
