package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"checkauth/verify/panics"
	"checkauth/verify/result"
)

// Authorities asks the name servers of a zone themselves: what they say is what resolvers will say once
// their caches have forgotten.
type Authorities struct {
	// Ask puts a question to one server, which answers for its own zones alone. It is one try.
	Ask func(ctx context.Context, server netip.Addr, q Question) (Answer, error)
	// Refer asks one server where the zone of a name is served; nil: a zone that the resolver does not
	// find is not looked for.
	Refer func(ctx context.Context, server netip.Addr, name string) (Delegation, error)
	// Charge counts one try of asking a server, and with an error forbids it; nil: they may be asked without end.
	Charge func(server netip.Addr, q Question) error
	// Servers is how many of a zone's servers are asked; 0 is eight.
	Servers int
	// Permit tells whether a server at that address may be asked at all: strangers name them.
	Permit func(netip.Addr) bool
	// Top: the servers of a name without a dot (a top level domain) are asked too. Not on behalf of
	// strangers, who can think of any number of names that nobody has registered.
	Top bool
	// Unseen: the resolver is not asked about the name itself where that can be helped. It would remember
	// that there is no such name, also when there is one at last (RFC 2308, 5).
	Unseen bool
}

// Statement is what one name server said. A server that was not asked, or did not answer, has one too.
type Statement struct {
	Server    string     // its name, canonical
	Addr      netip.Addr // that was asked, or must not be; the zero Addr where its name has none
	Answer    Answer     // without records, Negative is how long that may be remembered
	Serial    uint32     // of the zone at this server
	HasSerial bool
	Err       error // why there is no answer: see the kinds below
}

// Why a server has said nothing; errors.Is tells them apart. Each wraps the *Error, where there is one.
// Another error is of the network's or of what cannot be read.
var (
	ErrSilent     = errors.New("no answer in time")
	ErrLame       = errors.New("the server does not answer for the zone")
	ErrNotToAsk   = errors.New("the server has an address that must not be asked")
	ErrNoAddress  = errors.New("the name of the server has no address")
	ErrNoZone     = errors.New("the zone of the name was not found")
	errDelegation = errors.New("no server of the zone above tells where the name is served")
)

// Bounds of one round.
const (
	maxAuthorities = 8
	authorityTime  = 2 * time.Second // for all of them, who are asked at once
	authorityTries = 2               // where there is no answer in time
)

// Of asks each server of the zone that holds the question's name. The zone and its servers are looked up
// through r. Without a zone out is empty.
func (a Authorities) Of(ctx context.Context, r Resolver, q Question) (zone string, out []Statement) {
	z, err := a.Zone(ctx, r, q.Name)
	if err != nil {
		return "", nil
	}
	return z.Name, a.At(ctx, r, z, q)
}

// At asks the servers of a zone, at most Servers of them, side by side: the question, and the zone's
// serial.
func (a Authorities) At(ctx context.Context, r Resolver, z Zone, q Question) []Statement {
	out := a.find(ctx, r, z, cmp.Or(a.Servers, maxAuthorities))
	ctx, cancel := context.WithTimeoutCause(ctx, authorityTime, ErrSilent)
	defer cancel()
	var all panics.Group
	for i := range out {
		s := &out[i]
		if s.Err != nil {
			continue
		}
		all.Start(func() {
			s.Answer, s.Err = a.ask(ctx, s.Addr, q)
			s.Err = sorted(s.Err)
		})
		all.Start(func() {
			if soa, err := a.ask(ctx, s.Addr, Question{Name: z.Name, Type: SOA}); err == nil {
				s.Serial, s.HasSerial = serial(soa)
			}
		})
	}
	all.Wait()
	return out
}

// ask puts a question to one server, once more where it is silent.
func (a Authorities) ask(ctx context.Context, server netip.Addr, q Question) (answer Answer, err error) {
	err = a.tries(server, q, func() error {
		answer, err = a.Ask(ctx, server, q)
		return err
	})
	return answer, err
}

// tries asks until there is an answer, as often as is allowed and counted.
func (a Authorities) tries(server netip.Addr, q Question, ask func() error) (err error) {
	for range authorityTries {
		if a.Charge != nil {
			if refused := a.Charge(server, q); refused != nil {
				return refused
			}
		}
		if err = ask(); err == nil || AsError(q, err).Kind != Timeout {
			return err
		}
	}
	return err
}

// sorted gives what went wrong its kind.
func sorted(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	switch e.Kind {
	case Timeout, Canceled:
		return fmt.Errorf("%w: %w", ErrSilent, err)
	case Lame, Refused, ServFail, Bogus:
		return fmt.Errorf("%w: %w", ErrLame, err)
	}
	return err
}

// Reason says why there is no answer; it is zero where there is one.
func (s Statement) Reason() result.Reason {
	e, _ := errors.AsType[*Error](s.Err)
	switch {
	case s.Err == nil:
		return result.Reason{}
	case errors.Is(s.Err, ErrSilent):
		return result.Because("server-silent")
	case errors.Is(s.Err, ErrNotToAsk):
		return result.Because("server-not-to-ask")
	case errors.Is(s.Err, ErrNoAddress):
		return result.Because("server-no-address")
	case errors.Is(s.Err, ErrLame) && e != nil && e.Kind != Lame:
		return result.Because("server-lame", "answer", strings.ToUpper(string(e.Kind)))
	case errors.Is(s.Err, ErrLame):
		return result.Because("server-no-authority")
	case e != nil && e.Kind == Unreachable:
		return result.Because("server-unreachable")
	}
	return result.Because("server-unreadable")
}

// SerialNewer tells whether the zone with serial a is newer than that with b: RFC 1982, 3.2. Serials go
// round; of two that are half a round apart neither is newer.
func SerialNewer(a, b uint32) bool { return int32(a-b) > 0 }

// serial reads the third field of a SOA record: RFC 1035, 3.3.13.
func serial(a Answer) (uint32, bool) {
	if len(a.Records) == 0 {
		return 0, false
	}
	fields := strings.Fields(a.Records[0].Other)
	if len(fields) < 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(fields[2], 10, 32)
	return uint32(n), err == nil
}
