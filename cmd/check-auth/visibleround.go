package main

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

// visibleRounds asks the same question of everybody, as often as is wanted.
type visibleRounds struct {
	q         dns.Question
	want      string // in the form of plainValue; empty: they must agree
	up        dns.Resolver
	servers   dns.Authorities
	resolvers []visibleResolver
	now       func() time.Time
}

type visibleResolver struct {
	name string
	dns.Resolver
}

// visibleRound is what all of them said, and what follows from it.
type visibleRound struct {
	Word      result.Word   `json:"result"`
	Reason    result.Reason `json:"reason"`
	Name      string        `json:"name"`
	Type      string        `json:"type"`
	Want      string        `json:"want,omitempty"`
	Zones     []visibleZone `json:"zones"`     // that of the name, then those that a CNAME leads to
	Resolvers []heard       `json:"resolvers"` // none where it was too early to ask them
	Held      bool          `json:"resolvers_held"`
	Time      time.Time     `json:"time"`
}

// visibleZone is a name with what its zone's servers have there.
type visibleZone struct {
	Name    string  `json:"name"`
	Zone    string  `json:"zone"`
	Link    string  `json:"cname,omitempty"` // where the name leads, as the newest of them says
	Servers []heard `json:"servers"`

	have []string // the values of the newest
	told bool     // somebody answered
}

// What one of those who were asked has.
const (
	stateOK      = "ok"
	stateNotYet  = "not yet"
	stateFails   = "fails"
	stateUnknown = "unknown" // it could not be asked, for a reason that is ours or the network's
)

// heard is what one server or resolver said.
type heard struct {
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

	have []string // in the form of plainValue, sorted
}

// roundTime is for one round: more than the resolvers' own tries need.
const roundTime = 30 * time.Second

// ask is one round. With patience the resolvers are not asked before all servers are there: the question
// would put the old answer into their caches, for as long as its TTL.
func (r *visibleRounds) ask(ctx context.Context, patient bool) visibleRound {
	ctx, cancel := context.WithTimeoutCause(ctx, roundTime, errors.New("the "+roundTime.String()+" for one round are over"))
	defer cancel()
	out := visibleRound{Name: r.q.Name, Type: r.q.Type.String(), Want: r.want, Time: r.now(), Resolvers: []heard{}}
	servers := r.servers
	servers.Unseen = patient
	found := r.zones(ctx, servers, &out)
	out.judgeServers()
	if out.Held = patient && (!found || slices.ContainsFunc(out.all(), func(h heard) bool { return h.State != stateOK && h.State != stateUnknown })); !out.Held {
		out.Resolvers = r.askResolvers(ctx)
		out.judgeResolvers()
	}
	out.conclude()
	return out
}

// zones asks the servers of the name's zone and, where that is a CNAME, those of the zones that it leads
// to. It is false where a zone was not found.
func (r *visibleRounds) zones(ctx context.Context, a dns.Authorities, out *visibleRound) bool {
	q := r.q
	for range dns.MaxChain {
		z, err := a.Zone(ctx, r.up, q.Name)
		if err != nil {
			out.Zones = append(out.Zones, visibleZone{Name: q.Name, Servers: []heard{}})
			return false
		}
		out.Zones = append(out.Zones, newVisibleZone(z, q, a.At(ctx, r.up, z, q)))
		next := out.Zones[len(out.Zones)-1].Link
		if next == "" || slices.ContainsFunc(out.Zones, func(v visibleZone) bool { return v.Name == next }) {
			break
		}
		q.Name = next
	}
	return true
}

func newVisibleZone(z dns.Zone, q dns.Question, said []dns.Statement) visibleZone {
	v := visibleZone{Name: q.Name, Zone: z.Name, Servers: []heard{}}
	newest := -1
	for i, s := range said {
		v.Servers = append(v.Servers, hear(s, said))
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

// hear puts what a server said into the form that is shown.
func hear(s dns.Statement, all []dns.Statement) heard {
	h := heard{Server: s.Server, Values: []string{}, State: stateNotYet, Why: s.Reason()}
	if s.Addr.IsValid() {
		h.Address = s.Addr.String()
	}
	if s.HasSerial {
		h.Serial = &s.Serial
		h.OlderZone = slices.ContainsFunc(all, func(o dns.Statement) bool { return o.HasSerial && dns.SerialNewer(o.Serial, s.Serial) })
	}
	switch {
	case errors.Is(s.Err, dns.ErrLame), errors.Is(s.Err, dns.ErrSilent):
		h.State = stateFails
	case s.Err != nil:
		h.State = stateUnknown
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
func (h *heard) answer(a dns.Answer) {
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
		h.have = append(h.have, plainValue(rec))
	}
	slices.Sort(h.have[links:])
}

// askResolvers asks all of them side by side.
func (r *visibleRounds) askResolvers(ctx context.Context) []heard {
	out := make([]heard, len(r.resolvers))
	var all panics.Group
	for i, up := range r.resolvers {
		all.Start(func() {
			h := heard{Server: up.name, Values: []string{}, State: stateNotYet}
			a, err := up.Resolve(ctx, r.q)
			if err != nil {
				h.fail(dns.AsError(r.q, err))
			} else {
				h.Address = a.Server
				h.answer(a)
				h.Until = r.now().Add(time.Duration(h.TTL) * time.Second)
			}
			out[i] = h
		})
	}
	all.Wait()
	return out
}

// fail: a resolver that looked and failed does not have it; of one that refuses us, or does not hear us,
// nothing is known.
func (h *heard) fail(e *dns.Error) {
	h.Address, h.Why, h.State = e.Server, e.Reason(), stateUnknown
	switch e.Kind {
	case dns.ServFail, dns.Bogus, dns.Lame, dns.Chain, dns.Malformed:
		h.State = stateFails
	}
}

// judgeServers tells of each server whether it has what the newest has, and what is wanted.
func (v *visibleRound) judgeServers() {
	for _, z := range v.Zones {
		for i := range z.Servers {
			h := &z.Servers[i]
			if h.State == stateNotYet && slices.Equal(h.have, z.have) && (len(h.Chain) > 0 || v.wanted(h.have)) {
				h.State = stateOK
			}
		}
	}
}

// judgeResolvers compares with all that the servers have, one CNAME after the other.
func (v *visibleRound) judgeResolvers() {
	var want []string
	for _, z := range v.Zones {
		if !z.told {
			return
		}
		want = append(want, z.have...)
	}
	for i := range v.Resolvers {
		h := &v.Resolvers[i]
		if h.State == stateNotYet && slices.Equal(h.have, want) && v.wanted(h.have) {
			h.State = stateOK
		}
	}
}

// wanted tells whether the value is among those; other records of the name may stand beside it.
func (v *visibleRound) wanted(have []string) bool {
	return v.Want == "" || slices.Contains(have, v.Want)
}

// all are the servers of all zones.
func (v *visibleRound) all() (out []heard) {
	for _, z := range v.Zones {
		out = append(out, z.Servers...)
	}
	return out
}

// names of those in a state.
func names(from []heard, state string, also func(heard) bool) (out []string) {
	for _, h := range from {
		if h.State == state && (also == nil || also(h)) && !slices.Contains(out, h.Server) {
			out = append(out, h.Server)
		}
	}
	return out
}

// missing are all that keep the change from being visible.
func (v *visibleRound) missing() (out []string) {
	for _, from := range [][]heard{v.all(), v.Resolvers} {
		out = append(out, names(from, stateNotYet, nil)...)
		out = append(out, names(from, stateFails, nil)...)
	}
	if v.Held && len(out) == 0 {
		out = append(out, "the name servers")
	}
	return out
}

// conclude says it in one sentence: what comes first on the way of a change comes first.
func (v *visibleRound) conclude() {
	servers, last := v.all(), v.Zones[len(v.Zones)-1]
	lacking, failing := names(servers, stateNotYet, nil), names(servers, stateFails, nil)
	behind := names(servers, stateNotYet, func(h heard) bool { return h.OlderZone })
	stale, broken := names(v.Resolvers, stateNotYet, nil), names(v.Resolvers, stateFails, nil)
	zone := cmp.Or(last.Zone, last.Name)
	v.Word = result.Fail
	switch {
	case last.Zone == "":
		v.Word, v.Reason = result.TempError, result.Because("visible-no-zone", "name", result.Domain(last.Name))
	case slices.ContainsFunc(v.Zones, func(z visibleZone) bool { return !z.told }):
		v.Word, v.Reason = result.TempError, result.Because("visible-unknown", "zone", result.Domain(zone))
	case !v.wanted(last.have) && last.Link == "" && !slices.ContainsFunc(last.Servers, func(h heard) bool { return v.wanted(h.have) && len(h.have) > 0 }):
		v.Reason = result.Because("visible-not-made", "zone", result.Domain(zone), "name", result.Domain(last.Name), "type", result.Ours(v.Type))
	case len(behind) > 0 && len(behind) == len(lacking):
		v.Reason = result.Because("visible-servers-behind", "servers", result.Join(result.Domains(behind), ", "))
	case len(lacking) > 0:
		v.Reason = result.Because("visible-servers-differ", "servers", result.Join(result.Domains(lacking), ", "), "name", result.Domain(v.Name), "type", result.Ours(v.Type))
	case len(failing) > 0:
		v.Reason = result.Because("visible-servers-failing", "servers", result.Join(result.Domains(failing), ", "))
	case len(stale) > 0:
		v.Reason = result.Because("visible-caches", "resolvers", result.Ours(strings.Join(stale, ", ")), "time", result.Ours(clock(v.forgotten(), v.Time)))
	case len(broken) > 0:
		v.Reason = result.Because("visible-resolvers-failing", "resolvers", result.Ours(strings.Join(broken, ", ")))
	default:
		v.Word = result.Pass
		v.Reason = result.Because("visible-everywhere", "servers", result.Ours(counted(servers)), "resolvers", result.Ours(counted(v.Resolvers)), "name", result.Domain(v.Name), "type", result.Ours(v.Type))
	}
}

// counted are those that have it.
func counted(from []heard) string {
	n := 0
	for _, h := range from {
		if h.State == stateOK {
			n++
		}
	}
	return strconv.Itoa(n)
}

// forgotten is when the last of the resolvers drops what it has.
func (v *visibleRound) forgotten() (at time.Time) {
	for _, h := range v.Resolvers {
		if h.State == stateNotYet && h.Until.After(at) {
			at = h.Until
		}
	}
	return at
}

// pause follows the resolver that forgets first.
func (v *visibleRound) pause() time.Duration {
	d := maxPause
	if v.Held {
		d = serverPause
	}
	for _, h := range v.Resolvers {
		if h.State == stateNotYet {
			d = min(d, time.Duration(h.TTL+1)*time.Second)
		}
	}
	return max(d, minPause)
}
