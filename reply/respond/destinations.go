package respond

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"checkauth/reply"
	"checkauth/reply/policy"
)

// Counter counts in the store without an entry.
type Counter interface {
	Count(ctx context.Context, in, back []reply.Bucket, now time.Time) (full reply.Full, err error)
	Peek(ctx context.Context, buckets []reply.Bucket, now time.Time) (full reply.Full, err error)
}

// Destinations counts what is brought to mail servers, for the delivery: in the counters of the policy, where the
// decision has counted the servers that the first try leads to.
type Destinations struct {
	Policy policy.Config
	Store  Counter
	Now    func() time.Time
}

// Connect counts an entry that is about to be brought to an address of a mail server, where that was not counted when
// it was stored, and the address is not known to take what goes to the recipient's organisation. full is the counter that
// has no room: the try has to wait.
func (d Destinations) Connect(ctx context.Context, e reply.Entry, host string, at netip.Addr) (full reply.Full, err error) {
	now := d.Now()
	in := d.Policy.Destination(host, at, e.To, netip.Addr{}, now)
	if len(in) == 0 || slices.ContainsFunc(e.Counted, func(c reply.Counted) bool { return c.At == at.Unmap() }) {
		return reply.Full{}, nil
	}
	known, err := d.known(ctx, at, e.To, now)
	if err != nil || known {
		return reply.Full{}, err
	}
	if full, err = d.Store.Count(ctx, in, nil, now); err != nil {
		return full, fmt.Errorf("counting at %s: %w", at, err)
	}
	return full, nil
}

// Took says that an address of a mail server took an entry: from now on it is known to take what goes to that
// organisation. What was counted for the entry at that address when it was stored is given back, and so is what was counted at
// addresses that the first try did not reach; met are those that were connected to. What was counted when the connection was
// made stays: an address that the DNS did not show before may be a victim's, whose server takes everything.
func (d Destinations) Took(ctx context.Context, e reply.Entry, host string, at netip.Addr, met []netip.Addr) error {
	now := d.Now()
	if len(d.Policy.Destination(host, at, e.To, netip.Addr{}, now)) == 0 {
		return nil
	}
	known, err := d.known(ctx, at, e.To, now)
	if err != nil {
		return err
	}
	var in, back []reply.Bucket
	for _, c := range e.Counted {
		if c.At == at.Unmap() || !slices.ContainsFunc(met, func(m netip.Addr) bool { return m.Unmap() == c.At }) {
			back = append(back, c.In...)
		}
	}
	if !known {
		mark := policy.Known(at, e.To, now)
		mark.Limit = policy.Unlimited // another entry may be first
		in = append(in, mark)
	}
	if len(in)+len(back) == 0 {
		return nil
	}
	if _, err := d.Store.Count(ctx, in, back, now); err != nil {
		return fmt.Errorf("counting what %s took: %w", at, err)
	}
	return nil
}

func (d Destinations) known(ctx context.Context, at netip.Addr, to string, now time.Time) (bool, error) {
	full, err := d.Store.Peek(ctx, []reply.Bucket{policy.Known(at, to, now)}, now)
	if err != nil {
		return false, fmt.Errorf("looking for what %s takes: %w", at, err)
	}
	return full.Key != "", nil
}
