package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"checkauth/reply"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// A pot is a number of replies for all clients together. It has one counter, and one more for each network of a client (/24;
// /64, /56 and /48 of IPv6), which may have its share of what is free (share.Rule). So an attacker needs many networks to empty
// a pot, and never takes all of it from the others.

// The names of pots' counters, and of those of shares.
const (
	nodeHour, nodeShare               = "node-hour", "node-hour-share"
	operatorHour, operatorShare       = "operator-hour", "operator-hour-share"
	destinationHour, destinationShare = "destination-hour", "destination-hour-share" // an address of a mail server
	destinationKnown                  = "destination-known"                          // it has taken a report of an organisation
)

const (
	// fewReports is how many a network may have had for one more to be let in when four fifths of an hour's are gone.
	fewReports = 5
	// operatorNetwork is how much mail for the operator an hour one network gets through.
	operatorNetwork = 3
)

// pots as docs/abuse.md has them; a client that finds one full gets the sentence says.
var pots = []quota{
	{destinationHour, nil, func(q Quotas) int64 { return q.DestinationHour }, hour, fullDestination,
		"an address of a mail server, of organisations of which it has taken no report for 7 days: domains of one's own whose MX points at a victim. Names of mail services (policy.servers) apart; what could not be learnt has one counter", "TestQuotaOfADestination"},
	{destinationShare, nil, nil, hour, fullDestinationShare,
		"of that, one organisation; and one network that sends the tests", "TestShareOfADestination"},
	{nodeHour, nil, func(q Quotas) int64 { return q.TotalHour }, hour, fullNode,
		"all replies of one server: policy.total-per-hour; policy.allow does not lift it", "TestNodeHour"},
	{nodeShare, nil, nil, hour, fullShare,
		"of that, one network that sends the tests; from four fifths on only who has had fewer than five", "TestShareOfTheHour"},
	{operatorHour, nil, func(q Quotas) int64 { return q.OperatorHour }, hour, nil,
		"mail for postmaster and abuse that is passed on; beyond it 452, so that it comes again", "TestOperatorMail"},
	{operatorShare, nil, nil, hour, nil,
		"of that, one network; three at most", "TestOperatorMail"},
}

// Total gives the counters of all replies of this node. client sent the message.
func (c Config) Total(client netip.Addr, now time.Time) []reply.Bucket {
	if c.Quotas.TotalHour == Unlimited {
		return nil
	}
	pot := reply.Bucket{Key: nodeHour + "/" + c.Node, Limit: c.Quotas.TotalHour, Expires: now.Add(hour)}
	shares := c.shares(pot, nodeShare+"/"+c.Node+" ", c.networks(client))
	for i := range shares {
		shares[i].Few = fewReports
	}
	return append([]reply.Bucket{pot}, shares...)
}

// Operator gives the counters of mail for the operator.
func (c Config) Operator(client netip.Addr, now time.Time) []reply.Bucket {
	pot := reply.Bucket{Key: operatorHour, Limit: c.Quotas.OperatorHour, Expires: now.Add(hour)}
	shares := c.shares(pot, operatorShare+"/", c.networks(client))
	for i := range shares {
		shares[i].Limit = operatorNetwork
	}
	return append([]reply.Bucket{pot}, shares...)
}

// networks are those that a client's share is counted in; none where it has no bound.
func (c Config) networks(client netip.Addr) (out []string) {
	if !client.IsValid() || c.Share.Lifted(client) {
		return nil
	}
	for _, n := range naming.Networks(client) {
		out = append(out, n.String())
	}
	return out
}

// shares are what some have of a pot.
func (c Config) shares(pot reply.Bucket, key string, whom []string) (out []reply.Bucket) {
	if c.Share.Part < 1 {
		return nil
	}
	for _, w := range whom {
		out = append(out, reply.Bucket{Key: key + w, Limit: pot.Limit, Expires: pot.Expires, Pot: pot.Key, Part: c.Share.Part})
	}
	return out
}

// Pot names the pot, or the share of one, that a counter is of; "" for any other counter.
func Pot(key string) string {
	name, _, _ := strings.Cut(key, "/")
	if !slices.ContainsFunc(pots, func(q quota) bool { return q.name == name }) {
		return ""
	}
	return name
}

func fullNode(until string) result.Reason {
	return result.Because("answer-full-node", "until", result.Ours(until))
}
func fullShare(until string) result.Reason {
	return result.Because("answer-full-share", "until", result.Ours(until))
}
func fullDestinationShare(until string) result.Reason {
	return result.Because("answer-full-destination-share", "until", result.Ours(until))
}
