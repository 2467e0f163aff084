package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"checkauth/reply"
	"checkauth/verify"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// Unlimited is no bound.
const Unlimited = int64(1<<63 - 1)

// Quotas say how many replies there may be, each within a window that begins with its first. Above zero.
type Quotas struct {
	AddressMinute   int64 // to one address, however it is spelt
	AddressDay      int64
	NetworkHour     int64 // to what one client network sends: /24, or /56 of IPv6
	DestinationHour int64 // to one address of a mail server that takes the replies
	DomainDay       int64 // to one organisation's domain; the operator's list of mailbox providers apart

	// Of senders that nothing proves.
	OpenAddressDay, OpenNetworkHour, OpenDomainHour, OpenDomainDay int64
	// Of refuted senders, where they get a short reply at all.
	RefutedAddressDay, RefutedDomainHour int64
}

// DefaultQuotas are those of the abuse model (docs/abuse.md).
func DefaultQuotas() Quotas {
	return Quotas{
		AddressMinute: 1, AddressDay: 12, NetworkHour: 60, DestinationHour: 60, DomainDay: 200,
		OpenAddressDay: 1, OpenNetworkHour: 10, OpenDomainHour: 20, OpenDomainDay: 50,
		RefutedAddressDay: 1, RefutedDomainHour: 5,
	}
}

// quota is one counter of a class: whom it counts by and how many there may be.
type quota struct {
	name   string // of the counter; docs/abuse.md and the log have it
	of     func(reach) []string
	limit  func(Quotas) int64
	window time.Duration
	says   func(until string) result.Reason // to who comes too often
	why    string                           // and the test that proves it, for docs/abuse.md
	test   string
}

// reach is what a reply touches.
type reach struct {
	address, domain, network string
	destinations             []string
	provider                 bool // the domain is a mailbox provider's
}

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

// What proves nothing has counters of its own for domain and network, so that a flood of forged mail does not
// take the replies of who is proved; the address has one for all, so that it never gets more.
var (
	byAddress = func(r reach) []string { return []string{r.address} }
	byNetwork = func(r reach) []string { return []string{r.network} }
	byDomain  = func(r reach) []string { return []string{r.domain} }
	// A provider's users and mail servers are many people's.
	byOwnDomain = func(r reach) []string {
		if r.provider {
			return nil
		}
		return []string{r.domain}
	}
	byDestination = func(r reach) []string { return r.destinations }
)

// What several classes have in common: the same counter, so the same rule.
var (
	openNetworkHour = quota{"open-network-hour", byNetwork, func(q Quotas) int64 { return q.OpenNetworkHour }, hour, fullNetwork,
		"forged senders from one network", "TestHostile_40"}
	destinationHour = quota{"destination-hour", byDestination, func(q Quotas) int64 { return q.DestinationHour }, hour, fullDestination,
		"domains of one's own whose MX points at a victim; servers that many domains share (policy.servers) apart; what could not be learnt has one counter", "TestQuotaOfADestination"}
)

// addressDay is one counter for all classes, which bound it differently.
func addressDay(limit func(Quotas) int64) quota {
	return quota{"address-day", byAddress, limit, day, fullAddress,
		"however the address is spelt; one counter for all classes", "TestHostile_41"}
}

// quotas by class.
var quotas = map[Class][]quota{
	Proved: {
		{"address-minute", byAddress, func(q Quotas) int64 { return q.AddressMinute }, minute, fullAddress,
			"one test at a time", "TestQuotaOfAnAddress"},
		addressDay(func(q Quotas) int64 { return q.AddressDay }),
		{"network-hour", byNetwork, func(q Quotas) int64 { return q.NetworkHour }, hour, fullNetwork,
			"/24, or /56 of IPv6", "TestQuotaOfANetwork"},
		destinationHour,
		{"domain-day", byOwnDomain, func(q Quotas) int64 { return q.DomainDay }, day, fullDomain,
			"the organisation's domain; providers apart", "TestQuotaOfADomain"},
	},
	Open: {
		addressDay(func(q Quotas) int64 { return q.OpenAddressDay }),
		openNetworkHour,
		{"open-domain-hour", byDomain, func(q Quotas) int64 { return q.OpenDomainHour }, hour, fullDomain,
			"many victims at one domain", "TestHostile_40"},
		{"open-domain-day", byDomain, func(q Quotas) int64 { return q.OpenDomainDay }, day, fullDomain,
			"many victims at one domain", "TestHostile_40"},
		destinationHour,
	},
	Refuted: {
		addressDay(func(q Quotas) int64 { return q.RefutedAddressDay }),
		openNetworkHour,
		{"refuted-domain-hour", byDomain, func(q Quotas) int64 { return q.RefutedDomainHour }, hour, fullDomain,
			"many victims at one domain", "TestShortToRefuted"},
		destinationHour,
	},
}

func fullAddress(until string) result.Reason {
	return result.Because("answer-full-address", "until", until)
}
func fullNetwork(until string) result.Reason {
	return result.Because("answer-full-network", "until", until)
}
func fullDomain(until string) result.Reason {
	return result.Because("answer-full-domain", "until", until)
}
func fullDestination(until string) result.Reason {
	return result.Because("answer-full-destination", "until", until)
}

// quotaOf finds the quota of a counter by its key.
func quotaOf(key string) (quota, bool) {
	name, _, _ := strings.Cut(key, "/")
	for _, of := range quotas {
		for _, q := range of {
			if q.name == name {
				return q, true
			}
		}
	}
	return quota{}, false
}

// buckets are the counters of one reply.
func (c Config) buckets(class Class, to string, r *verify.Report, route Route, now time.Time) []reply.Bucket {
	at := reach{address: naming.Fold(to), domain: organisation(to), network: network(r.Session.ClientIP),
		destinations: c.destinations(route), provider: c.provider(to)}
	var out []reply.Bucket
	for _, q := range quotas[class] {
		limit := q.limit(c.Quotas)
		if limit == Unlimited {
			continue
		}
		for _, whom := range q.of(at) {
			out = append(out, reply.Bucket{Key: q.name + "/" + whom, Limit: limit, Expires: now.Add(q.window)})
		}
	}
	return out
}

// unknown is the one counter of all that goes where nobody knows: else whose name servers are late would have none.
const unknown = "unknown"

// destinations are the addresses that the reply may be brought to, but for servers that many share.
func (c Config) destinations(r Route) (out []string) {
	for _, h := range r.Hosts {
		if slices.ContainsFunc(c.Servers, func(s string) bool { return h.Name == s || strings.HasSuffix(h.Name, "."+s) }) {
			continue
		}
		for _, a := range h.Addrs {
			out = append(out, a.Unmap().String())
		}
	}
	if r.Unknown {
		out = append(out, unknown)
	}
	return out
}

// network is a client's.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	return naming.Network(a).String()
}

func (c Config) provider(to string) bool {
	_, domain := naming.Split(to)
	return slices.Contains(c.Providers, naming.Key(domain))
}

// Providers are the large mailbox providers' domains, as a beginning of the operator's list.
func Providers() []string {
	return []string{
		"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com", "aol.com",
		"icloud.com", "me.com", "mac.com", "gmx.de", "gmx.net", "web.de", "t-online.de", "proton.me", "protonmail.com", "zoho.com",
		"fastmail.com", "mail.ru", "yandex.ru", "qq.com", "163.com", "naver.com",
	}
}

// Servers are domains of mail servers that many domains have as their MX, as a beginning of the operator's list.
func Servers() []string {
	return []string{
		"google.com", "googlemail.com", "outlook.com", "protection.outlook.com", "mx.microsoft", "yahoodns.net", "icloud.com", "zoho.com",
		"zoho.eu", "messagingengine.com", "protonmail.ch", "mimecast.com", "pphosted.com", "ppe-hosted.com", "messagelabs.com",
		"barracudanetworks.com", "secureserver.net", "kundenserver.de", "ionos.com", "ovh.net", "strato.de", "one.com", "gandi.net",
		"yandex.net", "mail.ru", "qq.com",
	}
}
