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

// Unlimited is no bound.
const Unlimited = int64(1<<63 - 1)

// Quotas say how many replies there may be, each within a window that begins with its first. Above zero.
type Quotas struct {
	AddressMinute   int64 // to one address, however it is spelt
	AddressDay      int64
	NetworkHour     int64 // to what one client network sends: /24, or /56 of IPv6; four times as many to a /48
	DestinationHour int64 // to one address of a mail server that takes the replies
	DomainDay       int64 // to one organisation's domain; the operator's list of mailbox providers apart
	// TotalHour is that of one node, to whomever, and OperatorHour how much mail for the operator is passed on. Of both a
	// client's network has a share.
	TotalHour, OperatorHour int64

	// Of senders that nothing proves.
	OpenAddressDay, OpenNetworkHour, OpenDomainHour, OpenDomainDay int64
	// Of refuted senders, where they get a short reply at all.
	RefutedAddressDay, RefutedDomainHour int64
}

// DefaultQuotas are those of the abuse model (docs/abuse.md).
func DefaultQuotas() Quotas {
	return Quotas{
		AddressMinute: 1, AddressDay: 12, NetworkHour: 60, DestinationHour: 60, DomainDay: 200, TotalHour: 3000, OperatorHour: 30,
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
	address, domain string
	network, site   string // of the client: /24, or /56 and /48 of IPv6; site is "" of IPv4
	provider        bool   // the domain is a mailbox provider's
}

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

// Unproved senders have counters of their own for domain and network, so that a flood of forged mail does not use up the
// replies of proved senders. An address has one counter for both, so that it never gets more.
var (
	byAddress = func(r reach) []string { return []string{r.address} }
	byNetwork = func(r reach) []string { return []string{r.network} }
	bySite    = func(r reach) []string {
		if r.site == "" {
			return nil
		}
		return []string{r.site}
	}
	byDomain = func(r reach) []string { return []string{r.domain} }
	// A provider's users and mail servers are many people's.
	byOwnDomain = func(r reach) []string {
		if r.provider {
			return nil
		}
		return []string{r.domain}
	}
)

// sites: how many networks of one size a /48 is taken for. One customer may have all 256 of them, or one.
const sites = 4

// bounded multiplies a limit, where it is one.
func bounded(limit int64) int64 {
	if limit > Unlimited/sites {
		return Unlimited
	}
	return limit * sites
}

// What several classes have in common: the same counter, so the same rule.
var (
	openNetworkHour = quota{"open-network-hour", byNetwork, func(q Quotas) int64 { return q.OpenNetworkHour }, hour, fullNetwork,
		"forged senders from one network", "TestHostile_40"}
	openSiteHour = quota{"open-site-hour", bySite, func(q Quotas) int64 { return bounded(q.OpenNetworkHour) }, hour, fullNetwork,
		"/48 of IPv6: some customers have all of it", "TestQuotaOfANetwork"}
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
		{"site-hour", bySite, func(q Quotas) int64 { return bounded(q.NetworkHour) }, hour, fullNetwork,
			"/48 of IPv6: some customers have all of it", "TestQuotaOfANetwork"},
		{"domain-day", byOwnDomain, func(q Quotas) int64 { return q.DomainDay }, day, fullDomain,
			"the organisation's domain; providers apart", "TestQuotaOfADomain"},
	},
	Open: {
		addressDay(func(q Quotas) int64 { return q.OpenAddressDay }),
		openNetworkHour,
		openSiteHour,
		{"open-domain-hour", byDomain, func(q Quotas) int64 { return q.OpenDomainHour }, hour, fullDomain,
			"many victims at one domain", "TestHostile_40"},
		{"open-domain-day", byDomain, func(q Quotas) int64 { return q.OpenDomainDay }, day, fullDomain,
			"many victims at one domain", "TestHostile_40"},
	},
	Refuted: {
		addressDay(func(q Quotas) int64 { return q.RefutedAddressDay }),
		openNetworkHour,
		openSiteHour,
		{"refuted-domain-hour", byDomain, func(q Quotas) int64 { return q.RefutedDomainHour }, hour, fullDomain,
			"many victims at one domain", "TestShortToRefuted"},
	},
}

func fullAddress(until string) result.Reason {
	return result.Because("answer-full-address", "until", result.Ours(until))
}
func fullNetwork(until string) result.Reason {
	return result.Because("answer-full-network", "until", result.Ours(until))
}
func fullDomain(until string) result.Reason {
	return result.Because("answer-full-domain", "until", result.Ours(until))
}
func fullDestination(until string) result.Reason {
	return result.Because("answer-full-destination", "until", result.Ours(until))
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
	i := slices.IndexFunc(pots, func(q quota) bool { return q.name == name })
	if i < 0 {
		return quota{}, false
	}
	return pots[i], true
}

// buckets are the counters that bound what one sender gets.
func (c Config) buckets(class Class, to string, client netip.Addr, now time.Time) []reply.Bucket {
	at := reach{address: naming.Fold(to), domain: organisation(to), network: naming.Network(client).String(), provider: c.provider(to)}
	if all := naming.Networks(client); len(all) > 1 {
		at.site = all[len(all)-1].String()
	}
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

func (c Config) provider(to string) bool {
	return slices.Contains(c.Providers, naming.Domain(to))
}

// Providers are the large mailbox providers' domains, as a beginning of the operator's list.
func Providers() []string {
	return []string{
		"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com", "aol.com",
		"icloud.com", "me.com", "mac.com", "gmx.de", "gmx.net", "web.de", "t-online.de", "proton.me", "protonmail.com", "zoho.com",
		"fastmail.com", "mail.ru", "yandex.ru", "qq.com", "163.com", "naver.com",
	}
}

// Servers are names of mail services that many domains have as their MX, as a beginning of the operator's list: exact,
// or with all below where nobody but the service has a name there. Never a hoster's whole domain: its customers'
// machines have names below it.
func Servers() []string {
	return []string{
		"aspmx.l.google.com", "gmail-smtp-in.l.google.com", "smtp.google.com", "aspmx2.googlemail.com", "aspmx3.googlemail.com",
		"aspmx4.googlemail.com", "aspmx5.googlemail.com", "protection.outlook.com", "mx.microsoft", "yahoodns.net", "mail.icloud.com",
		"mx.zoho.com", "mx2.zoho.com", "mx3.zoho.com", "mx.zoho.eu", "mx2.zoho.eu", "mx3.zoho.eu", "in1-smtp.messagingengine.com",
		"in2-smtp.messagingengine.com", "mail.protonmail.ch", "mailsec.protonmail.ch", "mail.tutanota.de", "mimecast.com", "pphosted.com",
		"ppe-hosted.com", "messagelabs.com", "ess.barracudanetworks.com", "mx.cloudflare.net", "smtp.secureserver.net",
		"mailstore1.secureserver.net", "mx00.ionos.de", "mx01.ionos.de", "mx00.ionos.com", "mx01.ionos.com", "mx00.kundenserver.de",
		"mx01.kundenserver.de", "mail.ovh.net", "smtpin.rzone.de", "mail.gandi.net", "mx1.hostinger.com", "mx2.hostinger.com",
		"mx1.emailsrvr.com", "mx2.emailsrvr.com", "mx00.gmx.net", "mx01.gmx.net", "mx-ha02.web.de", "mx-ha03.web.de", "mx.yandex.net",
		"mx.yandex.ru", "emx.mail.ru", "mxs.mail.ru", "mx1.qq.com", "mx2.qq.com", "mx3.qq.com", "mxbiz1.qq.com", "mxbiz2.qq.com",
	}
}
