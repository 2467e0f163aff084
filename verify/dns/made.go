package dns

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"checkauth/verify/naming"
)

// standing is what is known of a name in a minute.
type pledge uint8

const (
	unheard  pledge = iota
	asked           // nothing has come back yet; it has a place in its organisation's pot
	askedOwn        // the same for a name of the sender's own, without one
	void            // nothing was there, or no answer came
	voidOwn
	alike    // its records are those of many other names
	expanded // an SPF macro was expanded to it
	real     // it has records of its own
)

// wildcard is how many names of one organisation may have the same records before the next is taken for a wildcard's.
const wildcard = 8

// pot has the made names of one organisation, asked for on behalf of others than its own senders.
type pot struct {
	made, asked int
	changed     chan struct{} // closed when asked has changed; nil: nobody waits
}

// patient is how long a question waits for a place while the answers to others are not there.
const patient = 2 * time.Second

// passage is one question on its way.
type passage struct {
	minute *minute
	of     string // organisation of the name
	spared string // the same, where the name may be a made one; else ""
	name   uint64
	own    bool
}

// everyMail takes off what stands before a domain in the questions of every test (RFC 9989, 4; RFC 8461, 3.1; RFC 8460, 3;
// RFC 6698, 3; BIMI). all: so many mails ask this, and nobody can make up another one, that it is no made name: the
// organisation's own name, and the name of an address.
func everyMail(q Question) (name string, all bool) {
	name = q.Name
	for _, label := range []string{"_dmarc.", "_mta-sts.", "_smtp._tls.", "default._bimi."} {
		if rest, ok := strings.CutPrefix(name, label); ok {
			name = rest
			break
		}
	}
	for q.Type == TLSA && strings.HasPrefix(name, "_") {
		_, name, _ = strings.Cut(name, ".")
	}
	return name, q.Type == PTR || name == naming.Organisation(name)
}

// chosen takes a selector off that nobody has chosen but we.
func (q *Quotas) chosen(of Question) Question {
	selector, domain, ok := strings.Cut(of.Name, "._domainkey.")
	if ok && slices.Contains(q.Selectors, selector) {
		of.Name = domain
	}
	return of
}

// enter admits a question, or says which quota is full.
func (a *Account) enter(ctx context.Context, q Question) (passage, error) {
	name, all := everyMail(a.quota.chosen(q))
	in := passage{of: naming.Organisation(name)}
	if !all && !a.quota.free(q.Name) {
		in.spared = in.of
	}
	var over <-chan time.Time
	for late := false; ; {
		e, wait, err := a.admit(in, q.Name, name, late)
		if wait == nil {
			return e, err
		}
		if over == nil {
			over = time.After(patient)
		}
		select {
		case <-wait:
		case <-over:
			late = true
		case <-ctx.Done():
			return passage{}, context.Cause(ctx)
		}
	}
}

// admit counts a question. wait is closed when there may be a place; late: it is not waited for any more.
func (a *Account) admit(e passage, question, name string, late bool) (in passage, wait <-chan struct{}, err error) {
	quota := a.quota
	quota.mu.Lock()
	defer quota.mu.Unlock()
	m := quota.window()
	if err := a.spent(m); err != nil {
		return e, nil, err
	}
	if e.minute = m; e.spared != "" {
		e.name = m.key(e.spared, name)
		if wait, err = a.place(&e, a.made[question], late); wait != nil || err != nil {
			return e, wait, err
		}
	}
	a.count(m)
	return e, nil, nil
}

// bar ends what an organisation's CNAMEs lead to beyond the client's share: it has asked enough in this minute. Where nothing
// is left for anybody, nothing more is made up below an organisation that leads there again and again.
func (a *Account) bar(m *minute, from string, free int) {
	for _, n := range a.networks {
		over := m.key("over", n.name)
		if m.add(over, 1); m.counts[over] > wildcard {
			m.add(m.key("network", n.name), a.quota.PerNetwork)
		}
	}
	over := m.key("over", from)
	if m.add(over, 1); free <= 0 && m.counts[over] > wildcard && len(m.barred) < maxBarred {
		m.barred[m.key(from)] = true
	}
}

// place counts a name that was not asked for before in this minute.
func (a *Account) place(e *passage, byMacro, late bool) (wait <-chan struct{}, spent error) {
	quota, m := a.quota, e.minute
	if m.names[e.name] != unheard {
		return nil, nil // it was counted, and caches have it
	}
	if !byMacro && quota.before[e.name] == real {
		m.set(e.name, real)
		return nil, nil
	}
	if m.barred[m.key(e.of)] {
		return nil, a.full(m, Made, quota.Made, a.networks[0])
	}
	for _, n := range a.networks {
		if m.counts[a.at(m, e.spared, n)] >= quota.PerTarget {
			return nil, a.full(m, PerTarget, quota.PerTarget, n)
		}
	}
	if e.own = e.spared == a.own && a.mine < ownNames; e.own {
		a.mine++
		if !byMacro && m.set(e.name, askedOwn) {
			return nil, nil
		}
		m.set(e.name, expanded)
		a.pay(m, e.spared, 1)
		return nil, nil
	}
	p := m.pot(e.spared)
	if p == nil {
		return nil, nil // PerTarget still bounds it
	}
	free := quota.Made - p.made
	if n, over := a.hasShare(m, e.spared, free); over && (free <= 0 || e.spared != a.own) {
		return nil, a.full(m, Made, quota.Made, n)
	}
	switch {
	case byMacro:
	case p.asked >= free && late:
		return nil, a.full(m, Made, quota.Made, a.networks[0])
	case p.asked >= free:
		return p.wait(), nil
	case m.set(e.name, asked):
		p.asked++
		return nil, nil
	}
	m.set(e.name, expanded) // without room it counts each time
	p.made++
	a.pay(m, e.spared, 1)
	return nil, nil
}

// at is the counter of an organisation's made names for a client network.
func (a *Account) at(m *minute, org string, n client) uint64 {
	return m.key("made", org, n.name)
}

// hasShare tells whether nothing is free, or one of the client's networks has its part of the rest.
func (a *Account) hasShare(m *minute, org string, free int) (client, bool) {
	if free <= 0 {
		return a.networks[0], true
	}
	if !a.lifted {
		for _, n := range a.networks {
			if m.counts[a.at(m, org, n)] >= a.quota.Share.Most(free) {
				return n, true
			}
		}
	}
	return client{}, false
}

// pay charges made names of an organisation to the client's networks.
func (a *Account) pay(m *minute, org string, n int) {
	for _, net := range a.networks {
		m.add(a.at(m, org, net), n)
	}
}

func (m *minute) pot(org string) *pot {
	key := m.key(org)
	p := m.pots[key]
	if p == nil && len(m.pots) < maxPots {
		p = &pot{}
		m.pots[key] = p
	}
	return p
}

func (p *pot) wait() <-chan struct{} {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// settle gives the place of a question back.
func (p *pot) settle() {
	if p.asked--; p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// leave keeps what came of a question.
func (a *Account) leave(e passage, answer Answer, err error) {
	if e.spared == "" && len(answer.Chain) == 0 {
		return
	}
	failed, _ := errors.AsType[*Error](err)
	a.quota.mu.Lock()
	defer a.quota.mu.Unlock()
	if e.spared != "" {
		a.settle(e, answer.Records, failed != nil && failed.Kind == Canceled)
	}
	a.followed(e, answer)
}

// settle gives a name its standing.
func (a *Account) settle(e passage, records []Record, canceled bool) {
	m, p := e.minute, e.minute.pot(e.spared)
	was := m.names[e.name]
	switch was {
	case real, alike, expanded:
		return
	case asked:
		p.settle()
	}
	if canceled {
		if was == asked || was == askedOwn {
			delete(m.names, e.name)
		}
		return
	}
	own := was == askedOwn || was == voidOwn || was == unheard && e.own
	counted := was == void || was == voidOwn
	now := m.judge(e.spared, records)
	switch {
	case now == real && counted:
		a.pay(m, e.spared, -1)
		if !own && p != nil {
			p.made--
		}
	case now != real && !counted:
		a.pay(m, e.spared, 1)
		if !own && p != nil {
			p.made++
		}
	}
	switch {
	case now == real && own && e.spared == a.own:
		a.mine = max(0, a.mine-1)
	case now == void && own:
		now = voidOwn
	}
	m.set(e.name, now)
}

// judge tells what a name is by its records.
func (m *minute) judge(org string, records []Record) pledge {
	if len(records) == 0 {
		return void
	}
	data := make([]string, 0, len(records)+2)
	for _, r := range records {
		data = append(data, r.Data())
	}
	slices.Sort(data) // servers turn them round
	key := m.key(append(data, org, records[0].Type.String())...)
	n, ok := m.same[key]
	if !ok && len(m.same) >= maxSame {
		return alike
	}
	m.same[key] = n + 1
	if n >= wildcard {
		return alike
	}
	return real
}

// followed counts the names that CNAMEs led to: our resolver has asked for them before we knew. Where there was no room
// for one, it counts against who led there.
func (a *Account) followed(e passage, answer Answer) {
	m := e.minute
	for i, link := range answer.Chain {
		org := naming.Organisation(link.Target)
		id := m.key(org, link.Target)
		if org == "" || org == e.of || org == link.Target || a.quota.free(link.Target) ||
			m.names[id] != unheard || a.quota.before[id] == real {
			continue
		}
		records := answer.Records
		if i+1 < len(answer.Chain) {
			records = answer.Chain[i+1 : i+2]
		}
		now := m.judge(org, records)
		p := m.pot(org)
		if m.set(id, now); now == real || p == nil {
			continue
		}
		free := a.quota.Made - p.made
		_, over := a.hasShare(m, org, free)
		p.made++
		a.pay(m, org, 1)
		if over {
			a.bar(m, e.of, free)
		}
	}
}
