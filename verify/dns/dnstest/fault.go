package dnstest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	mdns "github.com/miekg/dns"
)

// fault is one ;FAULT line: what happens to the answers of the questions that it names.
type fault struct {
	name  string // canonical
	below bool   // names below as well
	kind  uint16 // type of record; ANY is all

	apply func(*exchange)
}

func (f *fault) matches(name string, kind uint16) bool {
	if f.kind != mdns.TypeANY && f.kind != kind {
		return false
	}
	return name == f.name || f.below && mdns.IsSubDomain(f.name, name)
}

// exchange is one question on its way to its answer. Faults change it.
type exchange struct {
	request *mdns.Msg
	reply   *mdns.Msg // the right one, until a fault changes it
	udp     bool

	before [][]byte // datagrams that go out first, UDP alone
	silent bool     // nothing goes out
	plain  bool     // the reply has no EDNS
	delay  time.Duration
	extra  *mdns.EDNS0_EDE // RFC 8914
}

// faults are the kinds without a value.
var faults = map[string]func(*exchange){
	"SERVFAIL":    func(x *exchange) { x.fail(mdns.RcodeServerFailure) },
	"REFUSED":     func(x *exchange) { x.fail(mdns.RcodeRefused) },
	"NXDOMAIN":    func(x *exchange) { x.none(mdns.RcodeNameError) },
	"NODATA":      func(x *exchange) { x.none(mdns.RcodeSuccess) },
	"LAME":        func(x *exchange) { x.extended(mdns.ExtendedErrorCodeNoReachableAuthority, "no server answers") },
	"BOGUS":       (*exchange).bogus,
	"BOGUS-MUTE":  (*exchange).bogusMute,
	"TIMEOUT":     func(x *exchange) { x.silent = true },
	"TIMEOUT-TCP": func(x *exchange) { x.silent = x.silent || !x.udp },
	"TRUNCATE":    (*exchange).truncate,
	"AD": func(x *exchange) {
		x.reply.AuthenticatedData = x.request.AuthenticatedData && !x.request.CheckingDisabled
	},
	"NOAA":        func(x *exchange) { x.reply.Authoritative = false },
	"NOCHASE":     (*exchange).noChase,
	"WRONGID":     (*exchange).wrongID,
	"WRONGNAME":   (*exchange).wrongName,
	"NOTRESPONSE": (*exchange).notResponse,
	"FOREIGN":     (*exchange).foreign,
	"GARBAGE":     (*exchange).garbage,
	"ALLGARBAGE":  func(x *exchange) { x.garbage(); x.silent = true },

	"FORMERR-EDNS": func(x *exchange) { x.refuseEDNS(mdns.RcodeFormatError) },
	"NOTIMP-EDNS":  func(x *exchange) { x.refuseEDNS(mdns.RcodeNotImplemented) },
	"BADVERS-EDNS": func(x *exchange) { x.refuseEDNS(mdns.RcodeBadVers) },
}

// valued are the kinds that are written KIND=value.
var valued = map[string]func(value string) (func(*exchange), error){
	"DELAY": func(value string) (func(*exchange), error) {
		d, err := time.ParseDuration(value)
		return func(x *exchange) { x.delay = d }, err
	},
	"DROP": func(value string) (func(*exchange), error) {
		n, err := strconv.ParseInt(value, 10, 32)
		var seen atomic.Int64
		return func(x *exchange) { x.silent = x.silent || seen.Add(1) <= n }, err
	},
	"EDE": func(value string) (func(*exchange), error) {
		code, err := strconv.ParseUint(value, 10, 16)
		return func(x *exchange) { x.extended(uint16(code), "") }, err
	},
	"ADVICE": func(value string) (func(*exchange), error) {
		code, err := strconv.ParseUint(value, 10, 16)
		return func(x *exchange) { x.extra = &mdns.EDNS0_EDE{InfoCode: uint16(code)} }, err
	},
	"RCODE": func(value string) (func(*exchange), error) {
		code, err := strconv.ParseUint(value, 10, 4)
		return func(x *exchange) { x.fail(int(code)) }, err
	},
}

// newFault makes the fault of a word such as SERVFAIL or DELAY=50ms, for no question yet.
func newFault(word string) (*fault, error) {
	if apply, ok := faults[word]; ok {
		return &fault{apply: apply}, nil
	}
	name, value, _ := strings.Cut(word, "=")
	if make := valued[name]; make != nil {
		apply, err := make(value)
		if err != nil {
			return nil, fmt.Errorf("fault %s: %w", name, err)
		}
		return &fault{apply: apply}, nil
	}
	known := slices.Concat(slices.Collect(maps.Keys(faults)), slices.Collect(maps.Keys(valued)))
	slices.Sort(known)
	return nil, fmt.Errorf("unknown fault %q; known are %s", word, strings.Join(known, ", "))
}

// fail makes the reply an empty one with this code.
func (x *exchange) fail(rcode int) {
	x.reply.Rcode = rcode
	x.reply.Answer, x.reply.Ns, x.reply.Extra = nil, nil, nil
}

// none takes the records away and leaves the CNAMEs that lead to where they would be.
func (x *exchange) none(rcode int) {
	x.reply.Rcode = rcode
	x.reply.Answer = slices.DeleteFunc(x.reply.Answer, func(rr mdns.RR) bool {
		return rr.Header().Rrtype != mdns.TypeCNAME || x.request.Question[0].Qtype == mdns.TypeCNAME
	})
}

func (x *exchange) extended(code uint16, text string) {
	x.fail(mdns.RcodeServerFailure)
	x.extra = &mdns.EDNS0_EDE{InfoCode: code, ExtraText: text}
}

// bogus is what a validating resolver does with a zone whose DNSSEC is broken: RFC 4035, 5.5 and
// 3.2.2.
func (x *exchange) bogus() {
	if !x.request.CheckingDisabled {
		x.extended(mdns.ExtendedErrorCodeDNSBogus, "validation failure")
	}
}

// bogusMute is the same from a resolver older than RFC 8914.
func (x *exchange) bogusMute() {
	if !x.request.CheckingDisabled {
		x.fail(mdns.RcodeServerFailure)
	}
}

func (x *exchange) truncate() {
	if x.udp {
		x.fail(x.reply.Rcode)
		x.reply.Truncated = true
	}
}

// noChase leaves of the answer the first CNAME alone, as authoritative servers do.
func (x *exchange) noChase() {
	if len(x.reply.Answer) > 0 && x.reply.Answer[0].Header().Rrtype == mdns.TypeCNAME {
		x.reply.Answer = x.reply.Answer[:1]
		x.reply.Rcode = mdns.RcodeSuccess
	}
}

func (x *exchange) refuseEDNS(rcode int) {
	if x.request.IsEdns0() != nil {
		x.fail(rcode)
		x.plain = rcode != mdns.RcodeBadVers // whose upper bits stand in the OPT record: RFC 6891, 6.1.3
	}
}

// forgedAddress is in every answer that a client must not take.
const forgedAddress = "203.0.113.66"

// forged is a reply with wrong data, otherwise right; its records name another owner where one is
// given.
func (x *exchange) forged(owner string) *mdns.Msg {
	m := new(mdns.Msg).SetReply(x.request)
	m.RecursionAvailable = true
	text := owner + ` 300 IN TXT "forged"`
	if x.request.Question[0].Qtype == mdns.TypeA {
		text = owner + " 300 IN A " + forgedAddress
	}
	if rr, err := mdns.NewRR(text); err == nil {
		m.Answer = []mdns.RR{rr}
	}
	return m
}

func (x *exchange) first(m *mdns.Msg) {
	if b, err := m.Pack(); err == nil {
		x.before = append(x.before, b)
	}
}

func (x *exchange) wrongID() {
	m := x.forged(x.request.Question[0].Name)
	m.Id++
	x.first(m)
}

func (x *exchange) wrongName() {
	m := x.forged("forged.example.")
	m.Question = []mdns.Question{{Name: "forged.example.", Qtype: x.request.Question[0].Qtype, Qclass: mdns.ClassINET}}
	x.first(m)
}

// notResponse is the question sent back with records in it and QR clear.
func (x *exchange) notResponse() {
	m := x.forged(x.request.Question[0].Name)
	m.Response = false
	x.first(m)
}

func (x *exchange) foreign() {
	m := x.forged("forged.example.")
	x.reply.Answer = append(m.Answer, x.reply.Answer...)
}

// garbage has the right id and is cut in the middle of its question.
func (x *exchange) garbage() {
	x.before = append(x.before, []byte("\xff\x00garbage"))
	if b, err := x.reply.Pack(); err == nil {
		x.before = append(x.before, b[:14])
	}
}
