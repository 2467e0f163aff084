package main

import (
	"net/netip"

	"checkauth/reply/policy"
	"checkauth/verify/share"
)

// policySettings say who gets a reply and how many. The defaults are policy's own.
type policySettings struct {
	AddressMinute   limit `toml:"address-per-minute" name:"address-per-minute" help:"Reports a minute to one address that is proved."`
	AddressDay      limit `toml:"address-per-day" name:"address-per-day" help:"Reports a day to one address that is proved."`
	NetworkHour     limit `toml:"network-per-hour" name:"network-per-hour" help:"Reports an hour on what one client network sends, /24 or /56 of IPv6; four times as many on a /48."`
	DestinationHour limit `toml:"destination-per-hour" name:"destination-per-hour" help:"Reports an hour to one address of a mail server for organisations of which it has taken no report for seven days; of that an organisation and a client network have their share."`
	DomainDay       limit `toml:"domain-per-day" name:"domain-per-day" help:"Reports a day to one organisation's domain; providers below apart."`
	OpenAddressDay  limit `toml:"open-address-per-day" name:"open-address-per-day" help:"Reports a day to an address that nothing proves: it may be a forgery's victim."`
	OpenNetworkHour limit `toml:"open-network-per-hour" name:"open-network-per-hour" help:"Reports an hour on what one client network sends in unproved names, /24 or /56 of IPv6; four times as many on a /48."`
	OpenDomainHour  limit `toml:"open-domain-per-hour" name:"open-domain-per-hour" help:"Reports an hour to unproved addresses of one domain."`
	OpenDomainDay   limit `toml:"open-domain-per-day" name:"open-domain-per-day" help:"Reports a day to unproved addresses of one domain."`
	Total           limit `toml:"total-per-hour" name:"total-per-hour" help:"Reports of this server an hour, to whomever; of that a client network has its share. It survives a restart."`

	Share     limit    `toml:"share" help:"No client network takes more than this part of what is free of connections, evaluations, reports an hour and the like (8 is an eighth), and each gets one. Counted at /24, and at /64, /56 and /48 of IPv6."`
	Unlimited []string `toml:"unlimited" help:"Client networks that share does not bind."`
	Providers []string `toml:"providers" help:"Domains of mailbox providers, whose users are many people: domain-per-day does not count them."`
	Servers   []string `toml:"servers" help:"Names of mail services that are the MX of many domains, each with all below it: destination-per-hour does not count them, and the name of a machine there proves no sender. Never a hoster's whole domain: its customers' machines have names below it."`
	Allow     []string `toml:"allow" help:"Mailboxes and domains without a quota for what they are proved to send, and client networks without any; total-per-hour holds."`
	Block     []string `toml:"block" help:"Mailboxes, domains (with all below) and client networks that are never answered."`

	Author  bool     `toml:"check-auth2" name:"check-auth2" help:"Take check-auth2@: the report goes to the From address, where DMARC passes by a DKIM signature of its very domain over the To or Cc that names us."`
	Named   bool     `toml:"check-auth-user" name:"check-auth-user" help:"Take check-auth-user=domain@: the report goes to user@domain, where that is the From address and it is proved likewise."`
	Trusted []string `toml:"trusted-domains" name:"trusted-domains" help:"Domains that the two forms above write to without that proof."`

	RefutedShort bool `toml:"short-reply-to-refuted" name:"short-reply-to-refuted" help:"Mail one paragraph to a sender that its own domain disowns (SPF fail, DMARC reject or quarantine), once a day, instead of nothing."`
	NoReply      bool `toml:"answer-noreply" name:"answer-noreply" negatable:"" help:"Answer also noreply@ and its like."`
	DryRun       bool `toml:"dry-run" name:"dry-run" help:"Decide everything, mail nothing; the answer and the log say what would have been."`
}

func policyDefaults() policySettings {
	q := policy.DefaultQuotas()
	return policySettings{
		AddressMinute: limit(q.AddressMinute), AddressDay: limit(q.AddressDay), NetworkHour: limit(q.NetworkHour),
		DestinationHour: limit(q.DestinationHour), DomainDay: limit(q.DomainDay),
		OpenAddressDay: limit(q.OpenAddressDay), OpenNetworkHour: limit(q.OpenNetworkHour),
		OpenDomainHour: limit(q.OpenDomainHour), OpenDomainDay: limit(q.OpenDomainDay), Total: limit(q.TotalHour),
		Share: 8, Unlimited: []string{"127.0.0.0/8", "::1/128"},
		Providers: policy.Providers(), Servers: policy.Servers(), NoReply: true,
	}
}

// share is the rule of shares. bad is told of each network that cannot be read.
func (s *settings) share(bad func(key, format string, args ...any)) share.Rule {
	r := share.Rule{}
	if s.Policy.Share != unlimited {
		r.Part = int(s.Policy.Share)
	}
	for _, n := range s.Policy.Unlimited {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			bad("policy.unlimited", "%q is no network, such as 192.0.2.0/24", n)
			continue
		}
		r.Unlimited = append(r.Unlimited, p.Masked())
	}
	return r
}

// policy puts the settings into the policy's own terms. bad is told of each list that cannot be read.
func (s *settings) policy(bad func(key, format string, args ...any)) policy.Config {
	p, q := s.Policy, policy.DefaultQuotas()
	q.AddressMinute, q.AddressDay, q.NetworkHour = int64(p.AddressMinute), int64(p.AddressDay), int64(p.NetworkHour)
	q.DestinationHour, q.DomainDay = int64(p.DestinationHour), int64(p.DomainDay)
	q.OpenAddressDay, q.OpenNetworkHour = int64(p.OpenAddressDay), int64(p.OpenNetworkHour)
	q.OpenDomainHour, q.OpenDomainDay = int64(p.OpenDomainHour), int64(p.OpenDomainDay)
	q.TotalHour, q.OperatorHour = int64(p.Total), int64(s.Reply.Operator)
	list := func(key string, entries []string) policy.List {
		l, err := policy.ParseList(entries)
		if err != nil {
			bad("policy."+key, "%w", err)
		}
		return l
	}
	return policy.Config{
		Addresses: s.addresses(), Quotas: q, Providers: p.Providers, Servers: p.Servers,
		Share: s.share(bad),
		Allow: list("allow", p.Allow), Block: list("block", p.Block), Trusted: list("trusted-domains", p.Trusted),
		ShortToRefuted: p.RefutedShort, AnswerNoReply: p.NoReply, DryRun: p.DryRun,
	}
}
