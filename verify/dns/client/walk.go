package client

import (
	"fmt"

	mdns "github.com/miekg/dns"

	"checkauth/verify/dns"
)

// walk follows the chain of CNAMEs through one or more messages. Nothing is taken but the links from
// the name asked for and the records at their end: what else a message brings is not believed (RFC
// 5452, 6).
type walk struct {
	answer dns.Answer
	at     string          // the owner that the chain has led to
	seen   map[string]bool // owners of links
	here   bool            // one message is all that is read
	done   bool
}

func newWalk(q dns.Question) *walk {
	return &walk{answer: dns.Answer{Question: q, AD: true}, at: q.Name, seen: map[string]bool{}}
}

// question is what must be asked next.
func (w *walk) question() dns.Question { return dns.Question{Name: w.at, Type: w.answer.Question.Type} }

// take reads one message whose code is NOERROR or NXDOMAIN.
func (w *walk) take(m *mdns.Msg) *dns.Error {
	w.answer.AD = w.answer.AD && m.AuthenticatedData
	if all := extendedErrors(m); len(all) > 0 {
		w.answer.Extended = detail(all[0])
	}
	asked := w.at
	for {
		records, link, err := w.find(m)
		if err != nil {
			return err
		}
		if len(records) > 0 {
			w.answer.Records, w.done = records, true
			return nil
		}
		if link == nil {
			return w.end(m, asked)
		}
		if err := w.follow(*link); err != nil {
			return err
		}
	}
}

// find gives the records at the present owner: those of the type asked for, else its CNAME.
func (w *walk) find(m *mdns.Msg) (records []dns.Record, link *dns.Record, err *dns.Error) {
	want := uint16(w.answer.Question.Type)
	// RFC 2181, 5: a set holds no record twice; the second of a pair is suppressed. By a map: a message
	// has room for 5000 records, and comparing each with each would take seconds.
	have := map[string]bool{}
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Class != mdns.ClassINET || h.Rrtype != want && h.Rrtype != mdns.TypeCNAME || fromWire(h.Name) != w.at {
			continue
		}
		r, bad := record(rr)
		if bad != nil {
			return nil, nil, &dns.Error{Kind: dns.Malformed, Err: bad}
		}
		if h.Rrtype != want {
			link = &r
		} else if data := r.Data(); !have[data] {
			have[data] = true
			records = append(records, r)
		}
	}
	return records, link, nil
}

func (w *walk) follow(link dns.Record) *dns.Error {
	w.seen[w.at] = true
	switch {
	case w.seen[link.Target]:
		return &dns.Error{Kind: dns.Chain, Err: fmt.Errorf("the CNAME of %q leads back to %q", link.Name, link.Target)}
	case len(w.answer.Chain) == dns.MaxChain:
		return &dns.Error{Kind: dns.Chain, Err: fmt.Errorf("more than %d CNAMEs", dns.MaxChain)}
	case !dns.Askable(link.Target):
		return &dns.Error{Kind: dns.Malformed, Err: fmt.Errorf("the CNAME of %q leads to %q, which cannot be asked for", link.Name, link.Target)}
	}
	w.answer.Chain = append(w.answer.Chain, link)
	w.at = link.Target
	return nil
}

// end is reached where the message has no record at the present owner.
func (w *walk) end(m *mdns.Msg, asked string) *dns.Error {
	soa := authority(m, w.at)
	// RFC 6604, 3: the code is that of the chain's last name. RFC 2308, 2.2: a SOA above the name says
	// that the server looked there and found nothing; without it, a chain may just have been left where
	// the server's knowledge ends.
	w.answer.NX = m.Rcode == mdns.RcodeNameError
	w.done = w.answer.NX || soa != nil || w.at == asked || w.here
	if !w.done {
		return nil
	}
	if soa != nil {
		// RFC 2308, 5.
		w.answer.Negative = min(soa.Hdr.Ttl, soa.Minttl)
		return nil
	}
	if referral(m) {
		return &dns.Error{Kind: dns.Refused, Detail: "a referral in place of an answer: the server does not look names up for us"}
	}
	return nil
}

// authority gives the SOA of a zone that holds the name.
func authority(m *mdns.Msg, name string) *mdns.SOA {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*mdns.SOA); ok && within(name, fromWire(soa.Hdr.Name)) {
			return soa
		}
	}
	return nil
}

// referral: RFC 2308, 2.2.1: NS records without SOA, not from the zone's own server, tell where to ask
// and not that there is nothing.
func referral(m *mdns.Msg) bool {
	if m.Authoritative || m.RecursionAvailable || m.Rcode != mdns.RcodeSuccess {
		return false
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == mdns.TypeNS {
			return true
		}
	}
	return false
}
