package evaluate

import (
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/inbound"
	"checkauth/verify/iprev"
	"checkauth/verify/mail"
	"checkauth/verify/panics"
	"checkauth/verify/spf"
)

// askAhead has the memo ask what the envelope's checks will need, before they come to it. Their results
// and evidence are those of their own walks; only the time is another.
func (e *Evaluation) askAhead() {
	ev, env, memo := e.ev, e.env, e.memo
	// A check that meets the same fault says so; this is no check.
	defer panics.Recover(func(*panics.Recovered) {})
	ip := env.Client.Addr()
	if !ev.unseen(ip).IsZero() {
		return
	}
	spfOf := spf.Evaluator{Host: env.Host, Now: ev.Now, Expanded: e.expanded}
	from, helo := spfOf.Ahead(spfQuery(env)), spfOf.AheadHelo(spfQuery(env))
	memo.Follow(from.Follow)
	memo.Follow(helo.Follow)
	memo.Follow(func(a dns.Answer) []dns.Question { return iprev.Follow(ip, a) })
	for _, q := range append(append(from.First(), helo.First()...), iprev.First(ip)) {
		memo.Prefetch(q)
	}
}

// arcFields have keys as DKIM-Signature has; maxSealed of each are looked at, and most name the same key.
var arcFields = []string{"ARC-Seal", "ARC-Message-Signature"}

const maxSealed = 5

// ahead lists what the message's checks will ask for, as far as the header tells.
func ahead(fields mail.Fields, author string, signatures int) []dns.Question {
	var out []dns.Question
	for _, f := range fields.All("DKIM-Signature") {
		if len(out) == signatures {
			break // the rest is not evaluated
		}
		if name, ok := dkim.KeyName(f); ok {
			out = append(out, dns.Ask(name, dns.TXT))
		}
	}
	for _, name := range arcFields {
		sealed := fields.All(name)
		for _, f := range sealed[:min(len(sealed), maxSealed)] {
			if key := dkim.ReadForeign(f).Facts().KeyName; key != "" {
				out = append(out, dns.Ask(key, dns.TXT))
			}
		}
	}
	if author != "" {
		out = append(out, dmarc.Ahead(author)...)
		out = append(out, inbound.Ahead(author)...)
	}
	return out
}
