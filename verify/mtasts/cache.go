package mtasts

import (
	"container/list"
	"time"
)

// heldOctets bounds what the cache weighs as a whole: a policy of 64 KiB is allowed, and 10,000 of them
// would be too much.
const heldOctets = 16 << 20

// entry is what is remembered of a domain. It is not changed once it is in the cache.
type entry struct {
	domain   string
	policy   Policy // zero: none was fetched
	fetched  time.Time
	failed   *FetchError // the last fetch after it, or nil
	failedAt time.Time
}

// valid is the policy while it lives: RFC 8461, 5.1: until max_age after it was fetched. One of max_age 0
// serves those who waited for it.
func (e *entry) valid(now time.Time) Policy {
	// One that lives longer than its max_age from now was fetched by a clock that has been set back since.
	left := e.policy.Expires.Sub(now)
	if e.policy.Mode == "" || left <= 0 || left > e.policy.MaxAge+time.Minute {
		return Policy{}
	}
	return e.policy
}

// weight is about how many octets an entry takes.
func (e *entry) weight() int {
	const fixed, header = 400, 16 // the structs, the list's element and the map's place; a string's header
	n := fixed + 2*len(e.domain)
	for _, mx := range e.policy.MX {
		n += header + len(mx)
	}
	if e.failed != nil {
		n += fixed + len(e.failed.Err.Error())
	}
	return n
}

// cache holds entries; the least recently used goes first. Its Client's mutex guards it.
type cache struct {
	entries, octets int // at most
	held            int // octets
	order           *list.List
	places          map[string]*list.Element
}

func newCache(entries, octets int) *cache {
	return &cache{entries: entries, octets: octets, order: list.New(), places: map[string]*list.Element{}}
}

// get gives the entry of a domain, or nil.
func (c *cache) get(domain string) *entry {
	place := c.places[domain]
	if place == nil {
		return nil
	}
	c.order.MoveToFront(place)
	return place.Value.(*entry)
}

// put takes an entry in place of its domain's older one. One that no cache could hold is not kept, lest it
// drive out all others.
func (c *cache) put(e *entry) {
	if place := c.places[e.domain]; place != nil {
		c.drop(place)
	}
	if e.weight() > c.octets {
		return
	}
	c.places[e.domain] = c.order.PushFront(e)
	c.held += e.weight()
	for c.order.Len() > c.entries || c.held > c.octets {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(place *list.Element) {
	e := c.order.Remove(place).(*entry)
	c.held -= e.weight()
	delete(c.places, e.domain)
}
