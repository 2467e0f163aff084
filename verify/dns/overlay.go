package dns

import (
	"context"
	"fmt"
	"slices"
	"time"

	"checkauth/verify/naming"
)

// Overlay is a resolver in which some sets are other than in the one below: what would be if a record
// were published, replaced or gone. It must not be changed while it is asked.
type Overlay struct {
	up   Resolver
	now  func() time.Time
	sets map[Question][]Record
}

// Over makes an Overlay without differences. now is the time of its own answers.
func Over(up Resolver, now func() time.Time) *Overlay {
	return &Overlay{up: up, now: now, sets: map[Question][]Record{}}
}

// Set puts these records in place of all that the name has of the type; without any there is none.
// A record of another type takes the place of a CNAME too (RFC 1034, 3.6.2: they cannot stand
// together), and the other way round.
func (o *Overlay) Set(name string, t Type, records ...Record) {
	q := Ask(name, t)
	set := slices.Clone(records)
	for i := range set {
		set[i].Name, set[i].Type = q.Name, t
	}
	o.sets[q] = set
	if t != CNAME && len(set) > 0 {
		o.sets[Question{q.Name, CNAME}] = nil
	}
}

// Resolve implements Resolver: CNAMEs are followed from below into the differences and back.
func (o *Overlay) Resolve(ctx context.Context, q Question) (Answer, error) {
	q.Name = Canonical(q.Name)
	var chain []Record
	for name := q.Name; len(chain) <= MaxChain; {
		if set, ours := o.sets[Question{name, q.Type}]; ours {
			return Answer{Question: q, Records: set, Chain: chain, Server: "overlay", Time: o.now()}, nil
		}
		if link := o.sets[Question{name, CNAME}]; len(link) > 0 {
			chain = append(chain, link[0])
			name = link[0].Target
			continue
		}
		a, err := o.up.Resolve(ctx, Question{name, q.Type})
		if err != nil {
			e := *AsError(q, err)
			e.Question = q
			return Answer{}, &e
		}
		n, whole := o.agreed(a.Chain)
		chain = append(chain, a.Chain[:n]...)
		if whole {
			a.Question, a.Chain = q, chain
			a.NX = a.NX && !o.exists(last(q.Name, chain))
			return a, nil
		}
		next := last(name, a.Chain[:n])
		if next == name {
			// The CNAME is gone, and with it what it led to. What the name has in its place is in the
			// differences, or nothing.
			return Answer{Question: q, Chain: chain, Server: "overlay", Time: o.now()}, nil
		}
		name = next
	}
	return Answer{}, &Error{Question: q, Kind: Chain, Err: fmt.Errorf("more than %d CNAMEs", MaxChain)}
}

// agreed is how many links of a chain from below hold: up to the first owner about which the differences
// say something; whole is true where they say nothing of any.
func (o *Overlay) agreed(chain []Record) (n int, whole bool) {
	for i, link := range chain {
		if _, ours := o.sets[Question{link.Name, CNAME}]; ours {
			return i, false
		}
		if o.speaksOf(link.Target) {
			return i + 1, false
		}
	}
	return len(chain), true
}

func (o *Overlay) speaksOf(name string) bool {
	for q := range o.sets {
		if q.Name == name {
			return true
		}
	}
	return false
}

// exists: RFC 8020, 2: a name exists where it or one below it has a record.
func (o *Overlay) exists(name string) bool {
	for q, set := range o.sets {
		if len(set) > 0 && naming.Below(q.Name, name) {
			return true
		}
	}
	return false
}

// last is the name at the end of a chain that begins at name.
func last(name string, chain []Record) string {
	if len(chain) > 0 {
		return chain[len(chain)-1].Target
	}
	return name
}
