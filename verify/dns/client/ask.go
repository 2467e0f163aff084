package client

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	mdns "github.com/miekg/dns"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// reply is a message whose code is NOERROR or NXDOMAIN, and who sent it.
type reply struct {
	message *mdns.Msg
	server  netip.AddrPort
}

// telling orders failures: where servers fail differently, the one that says most is reported.
var telling = []dns.Kind{dns.Unreachable, dns.Timeout, dns.Malformed, dns.Refused, dns.ServFail, dns.Lame, dns.Bogus}

// ask puts one question to the servers in turn until one answers.
func (c *Client) ask(ctx context.Context, up *upstream, q dns.Question) (reply, *dns.Error) {
	var worst *dns.Error
	var by netip.AddrPort
	for range c.config.Tries {
		for _, server := range up.servers {
			m, err := c.askOne(ctx, server, q, false)
			switch {
			case err == nil:
				return reply{m, server}, nil
			case err.Kind == dns.Canceled:
				return reply{}, err
			case worst == nil || slices.Index(telling, err.Kind) > slices.Index(telling, worst.Kind):
				worst, by = err, server
			}
		}
	}
	if worst.Kind == dns.ServFail && !c.config.Authoritative && c.unchecked(ctx, by, q) {
		worst.Kind = dns.Bogus
		worst.Detail = "answered with checking disabled"
	}
	return reply{}, worst
}

// unchecked tells whether a server that said SERVFAIL answers when it need not validate: RFC 4035,
// 3.2.2. Then DNSSEC is what is broken.
func (c *Client) unchecked(ctx context.Context, server netip.AddrPort, q dns.Question) bool {
	_, err := c.askOne(ctx, server, q, true)
	return err == nil
}

// askOne puts one question to one server. Where that is to be authoritative its answer must be so too.
func (c *Client) askOne(ctx context.Context, server netip.AddrPort, q dns.Question, unchecked bool) (*mdns.Msg, *dns.Error) {
	m, err := c.exchangeOnce(ctx, server, q, unchecked)
	if err == nil && c.config.Authoritative && !m.Authoritative {
		return nil, &dns.Error{Question: q, Kind: dns.Lame, Server: server.String(), Detail: "an answer without authority"}
	}
	return m, err
}

// exchangeOnce is what one server says to a question: with EDNS, where it cannot that without, over TCP where
// the answer is cut.
func (c *Client) exchangeOnce(ctx context.Context, server netip.AddrPort, q dns.Question, unchecked bool) (*mdns.Msg, *dns.Error) {
	query := c.query(q, unchecked)
	m, err := c.exchange(ctx, server, query)
	if err == nil && refusesEDNS(m) {
		// RFC 6891, 7: who knows no EDNS says FORMERR (or, in practice, NOTIMP).
		query.Extra = nil
		m, err = c.exchange(ctx, server, query)
	}
	if err != nil {
		return nil, failure(ctx, q, server, err)
	}
	if e := verdict(m); e != nil {
		e.Question, e.Server = q, server.String()
		return nil, e
	}
	return m, nil
}

// query makes the message. Its id is given when it is sent.
func (c *Client) query(q dns.Question, unchecked bool) *mdns.Msg {
	m := new(mdns.Msg)
	m.Question = []mdns.Question{{Name: toWire(q.Name), Qtype: uint16(q.Type), Qclass: mdns.ClassINET}}
	m.RecursionDesired = !c.config.Authoritative
	// RFC 6840, 5.7: AD in a query asks for AD in the answer, without the records of DO.
	m.AuthenticatedData = true
	m.CheckingDisabled = unchecked
	m.SetEdns0(udpSize, false)
	return m
}

func refusesEDNS(m *mdns.Msg) bool {
	switch m.Rcode {
	case mdns.RcodeFormatError, mdns.RcodeNotImplemented, mdns.RcodeBadVers:
		return true
	}
	return false
}

// verdict is nil for the two codes that are answers.
func verdict(m *mdns.Msg) *dns.Error {
	switch m.Rcode {
	case mdns.RcodeSuccess, mdns.RcodeNameError:
		return nil
	case mdns.RcodeServerFailure:
		return servfail(m)
	}
	name, ok := mdns.RcodeToString[m.Rcode]
	if !ok {
		name = "code " + strconv.Itoa(m.Rcode)
	}
	return &dns.Error{Kind: dns.Refused, Detail: name}
}

// servfail reads the extended errors of a SERVFAIL.
func servfail(m *mdns.Msg) *dns.Error {
	e := &dns.Error{Kind: dns.ServFail}
	for _, ede := range extendedErrors(m) {
		kind := extended(ede.InfoCode)
		if e.Detail == "" || kind != dns.ServFail {
			e.Kind, e.Detail = kind, detail(ede)
		}
		if kind != dns.ServFail {
			break
		}
	}
	return e
}

// extendedErrors are those of a message; RFC 8914, 3: they may stand in an answer too.
func extendedErrors(m *mdns.Msg) (out []*mdns.EDNS0_EDE) {
	opt := m.IsEdns0()
	if opt == nil {
		return nil
	}
	for _, o := range opt.Option {
		if ede, ok := o.(*mdns.EDNS0_EDE); ok {
			out = append(out, ede)
		}
	}
	return out
}

// extended: RFC 8914, 4.7 to 4.11 are failures of DNSSEC, 4.23 and 4.24 of the delegation.
func extended(code uint16) dns.Kind {
	switch {
	case code >= mdns.ExtendedErrorCodeDNSBogus && code <= mdns.ExtendedErrorCodeRRSIGsMissing:
		return dns.Bogus
	case code == mdns.ExtendedErrorCodeNoReachableAuthority, code == mdns.ExtendedErrorCodeNetworkError:
		return dns.Lame
	}
	return dns.ServFail
}

// detail is the extended error in words: code, its name, the server's own text.
func detail(ede *mdns.EDNS0_EDE) string {
	s := fmt.Sprintf("extended error %d", ede.InfoCode)
	if name := mdns.ExtendedErrorCodeToString[ede.InfoCode]; name != "" {
		s += " (" + name + ")"
	}
	if ede.ExtraText != "" {
		s += ": " + result.Cut(ede.ExtraText, 200)
	}
	return s
}
