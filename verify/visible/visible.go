// Package visible tells whether a change of the DNS can be seen everywhere: at every server of the zone, and at the
// resolvers, which keep what they have for its TTL. It asks, compares, and says when to ask again.
package visible

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// Rounds asks the same question of everybody, as often as is wanted.
type Rounds struct {
	Question  dns.Question
	Want      string // as Wanted gives it; empty: they must agree
	Servers   dns.Authorities
	Resolvers []Resolver // the first tells where the zones are
	Now       func() time.Time
}

// Resolver is one of those that are asked, under the name that is shown.
type Resolver struct {
	Name string
	dns.Resolver
}

// Round is what all of them said, and what follows from it.
type Round struct {
	Word      result.Word   `json:"result"`
	Reason    result.Reason `json:"reason"`
	Name      string        `json:"name"`
	Type      string        `json:"type"`
	Want      string        `json:"want,omitempty"`
	Zones     []Zone        `json:"zones"`     // that of the name, then those that a CNAME leads to
	Resolvers []Answer      `json:"resolvers"` // none where it was too early to ask them
	Held      bool          `json:"resolvers_held"`
	Time      time.Time     `json:"time"`
}

// Zone is a name with what its zone's servers have there.
type Zone struct {
	Name    string   `json:"name"`
	Zone    string   `json:"zone"`
	Link    string   `json:"cname,omitempty"` // where the name leads, as the newest of them says
	Servers []Answer `json:"servers"`

	have []string // the values of the newest
	told bool     // somebody answered
}

// What one of those who were asked has.
const (
	OK      = "ok"
	NotYet  = "not yet"
	Fails   = "fails"
	Unknown = "unknown" // it could not be asked, for a reason that is ours or the network's
)

// Answer is what one server or resolver said.
type Answer struct {
	Server    string        `json:"server"`
	Address   string        `json:"address,omitempty"`
	State     string        `json:"state"`
	Values    []string      `json:"values"`               // as in a zone file
	Chain     []string      `json:"cnames,omitempty"`     // where CNAMEs led
	NX        bool          `json:"nxdomain,omitempty"`   // the name does not exist
	TTL       uint32        `json:"ttl"`                  // seconds; what is left of them, at a resolver; without values, of their absence
	Until     time.Time     `json:"until,omitzero"`       // a resolver forgets it then
	Serial    *uint32       `json:"serial,omitempty"`     // of the zone
	OlderZone bool          `json:"older_zone,omitempty"` // another server has a newer one
	Why       result.Reason `json:"reason,omitzero"`      // there is no answer

	have []string // in the form of plain, sorted
}

// roundTime is for one round: more than the resolvers' own tries need.
const roundTime = 30 * time.Second

// Ask is one round. With patience the resolvers are not asked before all servers are there: the question
// would put the old answer into their caches, for as long as its TTL.
func (r *Rounds) Ask(ctx context.Context, patient bool) Round {
	ctx, cancel := context.WithTimeoutCause(ctx, roundTime, errors.New("the "+roundTime.String()+" for one round are over"))
	defer cancel()
	out := Round{Name: r.Question.Name, Type: r.Question.Type.String(), Want: r.Want, Time: r.Now(), Resolvers: []Answer{}}
	servers := r.Servers
	servers.Unseen = patient
	found := r.zones(ctx, servers, &out)
	out.judgeServers()
	if out.Held = patient && (!found || slices.ContainsFunc(out.Servers(), func(h Answer) bool { return h.State != OK && h.State != Unknown })); !out.Held {
		out.Resolvers = r.askResolvers(ctx)
		out.judgeResolvers()
	}
	out.conclude()
	return out
}

// zones asks the servers of the name's zone and, where that is a CNAME, those of the zones that it leads
// to. It is false where a zone was not found.
func (r *Rounds) zones(ctx context.Context, a dns.Authorities, out *Round) bool {
	q := r.Question
	for range dns.MaxChain {
		z, err := a.Zone(ctx, r.Resolvers[0], q.Name)
		if err != nil {
			out.Zones = append(out.Zones, Zone{Name: q.Name, Servers: []Answer{}})
			return false
		}
		out.Zones = append(out.Zones, newZone(z, q, a.At(ctx, r.Resolvers[0], z, q)))
		next := out.Zones[len(out.Zones)-1].Link
		if next == "" || slices.ContainsFunc(out.Zones, func(v Zone) bool { return v.Name == next }) {
			break
		}
		q.Name = next
	}
	return true
}

func newZone(z dns.Zone, q dns.Question, said []dns.Statement) Zone {
	v := Zone{Name: q.Name, Zone: z.Name, Servers: []Answer{}}
	newest := -1
	for i, s := range said {
		v.Servers = append(v.Servers, newAnswer(s, said))
		switch {
		case s.Err != nil:
		case newest < 0, s.HasSerial && said[newest].HasSerial && dns.SerialNewer(s.Serial, said[newest].Serial):
			newest = i
		}
	}
	if newest >= 0 {
		v.told, v.have = true, v.Servers[newest].have
		if chain := said[newest].Answer.Chain; len(chain) > 0 {
			v.Link = chain[0].Target
		}
	}
	return v
}

// newAnswer puts what a server said into the form that is shown.
func newAnswer(s dns.Statement, all []dns.Statement) Answer {
	h := Answer{Server: s.Server, Values: []string{}, State: NotYet, Why: s.Reason()}
	if s.Addr.IsValid() {
		h.Address = s.Addr.String()
	}
	if s.HasSerial {
		h.Serial = &s.Serial
		h.OlderZone = slices.ContainsFunc(all, func(o dns.Statement) bool { return o.HasSerial && dns.SerialNewer(o.Serial, s.Serial) })
	}
	switch {
	case errors.Is(s.Err, dns.ErrLame), errors.Is(s.Err, dns.ErrSilent):
		h.State = Fails
	case s.Err != nil:
		h.State = Unknown
	default:
		a := s.Answer
		if len(a.Chain) > 0 {
			// The server of one zone need not know what stands in the next.
			a.Chain, a.Records, a.NX = a.Chain[:1], nil, false
		}
		h.answer(a)
	}
	return h
}

// answer takes what was said.
func (h *Answer) answer(a dns.Answer) {
	h.NX, h.TTL = a.NX, a.Negative
	for i, rec := range slices.Concat(a.Chain, a.Records) {
		if i == 0 || rec.TTL < h.TTL {
			h.TTL = rec.TTL
		}
	}
	for _, rec := range a.Chain {
		h.Chain = append(h.Chain, rec.Target)
		h.have = append(h.have, "CNAME "+rec.Target)
	}
	links := len(h.have)
	for _, rec := range a.Records {
		h.Values = append(h.Values, rec.Data())
		h.have = append(h.have, plain(rec))
	}
	slices.Sort(h.have[links:])
}

// Empty tells that there is nothing: no record, and no CNAME that leads on.
func (h *Answer) Empty() bool { return len(h.have) == 0 }

// askResolvers asks all of them side by side.
func (r *Rounds) askResolvers(ctx context.Context) []Answer {
	out := make([]Answer, len(r.Resolvers))
	var all panics.Group
	for i, up := range r.Resolvers {
		all.Start(func() {
			h := Answer{Server: up.Name, Values: []string{}, State: NotYet}
			a, err := up.Resolve(ctx, r.Question)
			if err != nil {
				h.fail(dns.AsError(r.Question, err))
			} else {
				h.Address = a.Server
				h.answer(a)
				h.Until = r.Now().Add(time.Duration(h.TTL) * time.Second)
			}
			out[i] = h
		})
	}
	all.Wait()
	return out
}

// fail: a resolver that looked and failed does not have it; of one that refuses us, or does not hear us,
// nothing is known.
func (h *Answer) fail(e *dns.Error) {
	h.Address, h.Why, h.State = e.Server, e.Reason(), Unknown
	switch e.Kind {
	case dns.ServFail, dns.Bogus, dns.Lame, dns.Chain, dns.Malformed:
		h.State = Fails
	}
}

// judgeServers tells of each server whether it has what the newest has, and what is wanted.
func (v *Round) judgeServers() {
	for _, z := range v.Zones {
		for i := range z.Servers {
			h := &z.Servers[i]
			if h.State == NotYet && slices.Equal(h.have, z.have) && (len(h.Chain) > 0 || v.wanted(h.have)) {
				h.State = OK
			}
		}
	}
}

// judgeResolvers compares with all that the servers have, one CNAME after the other.
func (v *Round) judgeResolvers() {
	var want []string
	for _, z := range v.Zones {
		if !z.told {
			return
		}
		want = append(want, z.have...)
	}
	for i := range v.Resolvers {
		h := &v.Resolvers[i]
		if h.State == NotYet && slices.Equal(h.have, want) && v.wanted(h.have) {
			h.State = OK
		}
	}
}

// wanted tells whether the value is among those; other records of the name may stand beside it.
func (v *Round) wanted(have []string) bool {
	return v.Want == "" || slices.Contains(have, v.Want)
}

// Servers are the servers of all zones.
func (v *Round) Servers() (out []Answer) {
	for _, z := range v.Zones {
		out = append(out, z.Servers...)
	}
	return out
}

// names of those in a state.
func names(from []Answer, state string, also func(Answer) bool) (out []string) {
	for _, h := range from {
		if h.State == state && (also == nil || also(h)) && !slices.Contains(out, h.Server) {
			out = append(out, h.Server)
		}
	}
	return out
}

// Missing are all that keep the change from being visible.
func (v *Round) Missing() (out []string) {
	for _, from := range [][]Answer{v.Servers(), v.Resolvers} {
		out = append(out, names(from, NotYet, nil)...)
		out = append(out, names(from, Fails, nil)...)
	}
	if v.Held && len(out) == 0 {
		out = append(out, "the name servers")
	}
	return out
}

// conclude says it in one sentence: what comes first on the way of a change comes first.
func (v *Round) conclude() {
	servers, last := v.Servers(), v.Zones[len(v.Zones)-1]
	lacking, failing := names(servers, NotYet, nil), names(servers, Fails, nil)
	behind := names(servers, NotYet, func(h Answer) bool { return h.OlderZone })
	stale, broken := names(v.Resolvers, NotYet, nil), names(v.Resolvers, Fails, nil)
	zone := cmp.Or(last.Zone, last.Name)
	v.Word = result.Fail
	switch {
	case last.Zone == "":
		v.Word, v.Reason = result.TempError, result.Because("visible-no-zone", "name", result.Domain(last.Name))
	case slices.ContainsFunc(v.Zones, func(z Zone) bool { return !z.told }):
		v.Word, v.Reason = result.TempError, result.Because("visible-unknown", "zone", result.Domain(zone))
	case !v.wanted(last.have) && last.Link == "" && !slices.ContainsFunc(last.Servers, func(h Answer) bool { return v.wanted(h.have) && len(h.have) > 0 }):
		v.Reason = result.Because("visible-not-made", "zone", result.Domain(zone), "name", result.Domain(last.Name), "type", result.Ours(v.Type))
	case len(behind) > 0 && len(behind) == len(lacking):
		v.Reason = result.Because("visible-servers-behind", "servers", result.Join(result.Domains(behind), ", "))
	case len(lacking) > 0:
		v.Reason = result.Because("visible-servers-differ", "servers", result.Join(result.Domains(lacking), ", "), "name", result.Domain(v.Name), "type", result.Ours(v.Type))
	case len(failing) > 0:
		v.Reason = result.Because("visible-servers-failing", "servers", result.Join(result.Domains(failing), ", "))
	case len(stale) > 0:
		v.Reason = result.Because("visible-caches", "resolvers", result.Ours(strings.Join(stale, ", ")), "time", result.Ours(Clock(v.forgotten(), v.Time)))
	case len(broken) > 0:
		v.Reason = result.Because("visible-resolvers-failing", "resolvers", result.Ours(strings.Join(broken, ", ")))
	default:
		v.Word = result.Pass
		v.Reason = result.Because("visible-everywhere", "servers", result.Ours(strconv.Itoa(Count(servers))), "resolvers", result.Ours(strconv.Itoa(Count(v.Resolvers))), "name", result.Domain(v.Name), "type", result.Ours(v.Type))
	}
}

// Count is how many of them have it.
func Count(from []Answer) int {
	n := 0
	for _, h := range from {
		if h.State == OK {
			n++
		}
	}
	return n
}

// forgotten is when the last of the resolvers drops what it has.
func (v *Round) forgotten() (at time.Time) {
	for _, h := range v.Resolvers {
		if h.State == NotYet && h.Until.After(at) {
			at = h.Until
		}
	}
	return at
}

// Clock is a time of day, UTC, in whole minutes, not before it has come; with the day where that is not
// today's.
func Clock(at, now time.Time) string {
	at, now = at.UTC().Add(time.Minute-1).Truncate(time.Minute), now.UTC()
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04 UTC")
	}
	return at.Format("2 Jan 2006 15:04 UTC")
}
