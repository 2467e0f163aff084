package dns

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Recorder is a resolver that remembers what the one below it said, so that it can be written out as a
// zone text and the same message be evaluated again without the DNS.
type Recorder struct {
	up Resolver

	mu   sync.Mutex
	said map[Question]answered
}

type answered struct {
	answer Answer
	err    *Error
}

// NewRecorder makes a Recorder that has nothing yet.
func NewRecorder(up Resolver) *Recorder { return &Recorder{up: up, said: map[Question]answered{}} }

// Resolve implements Resolver.
func (r *Recorder) Resolve(ctx context.Context, q Question) (Answer, error) {
	a, err := r.up.Resolve(ctx, q)
	s := answered{answer: a}
	if err != nil {
		s.err = AsError(q, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said[q] = s
	return a, err
}

// WriteZone writes all that was said, sorted by name, as a zone file (RFC 1035, 5). What is no record
// stands in lines ";FAULT KIND name type", which are comments to other programs: NXDOMAIN, NODATA (the
// name exists, without such a record), AD (said to be validated) and the kinds of failures.
func (r *Recorder) WriteZone(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := map[string]string{} // with the name that they are sorted by
	for q, s := range r.said {
		for _, l := range s.lines(q) {
			lines[l] = q.Name
		}
	}
	sorted := slices.SortedFunc(maps.Keys(lines), func(a, b string) int {
		if n := strings.Compare(lines[a], lines[b]); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	if len(sorted) == 0 {
		return nil
	}
	_, err := io.WriteString(w, strings.Join(sorted, "\n")+"\n")
	return err
}

// faults are the words for failures. Our own bounds have none: they come about again by themselves.
var faults = map[Kind]string{
	ServFail: "SERVFAIL", Bogus: "BOGUS", Lame: "LAME", Refused: "REFUSED", Timeout: "TIMEOUT",
	Unreachable: "TIMEOUT", Canceled: "TIMEOUT", Malformed: "ALLGARBAGE",
}

// lines are what a zone text needs to say the same.
func (s answered) lines(q Question) []string {
	fault := func(kind string) string { return fmt.Sprintf(";FAULT %s %s. %s", kind, escapeName(q.Name), q.Type) }
	switch {
	case s.err != nil && s.err.Kind == Chain:
		name := escapeName(q.Name) + "."
		return []string{name + " 300 IN CNAME " + name}
	case s.err != nil:
		if kind := faults[s.err.Kind]; kind != "" {
			return []string{fault(kind)}
		}
		return nil
	}
	var out []string
	for _, rec := range slices.Concat(s.answer.Chain, s.answer.Records) {
		out = append(out, fmt.Sprintf("%s. %d IN %s %s", escapeName(rec.Name), rec.TTL, rec.Type, rec.Data()))
	}
	switch {
	case s.answer.NX:
		out = append(out, fault("NXDOMAIN"))
	case len(s.answer.Records) == 0:
		out = append(out, fault("NODATA"))
	}
	if s.answer.AD {
		out = append(out, fault("AD"))
	}
	return out
}
