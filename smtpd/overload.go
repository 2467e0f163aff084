package smtpd

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/emersion/go-smtp"

	"checkauth/verify/naming"
	"checkauth/verify/share"
)

// The settings that bound what clients have of us at once, as the log names them.
const (
	keyConnections = "smtp.connections"
	keyPerIP       = "smtp.per-ip"
	keyPerNetwork  = "smtp.per-network"
	keyEvaluations = "smtp.evaluations"
	keyBuffer      = "smtp.buffer"
)

// overload says why a client is put off: its network has its share of something, or there is nothing left of it.
type overload struct {
	key        string       // of the setting that bounds it
	network    netip.Prefix // that has its share; invalid: nothing is left for anybody
	have, size int          // of that network, and in all
}

func (o *overload) Error() string {
	if !o.network.IsValid() {
		return fmt.Sprintf("%s: all %d are taken", o.key, o.size)
	}
	return fmt.Sprintf("%s: network %s has its share, %d of %d", o.key, o.network, o.have, o.size)
}

// shareOf is a Pot's error, nil for none.
func shareOf(key string, err error) *overload {
	e, ok := errors.AsType[*share.Error](err)
	if !ok {
		return nil
	}
	return &overload{key: key, network: e.Network, have: e.Have, size: e.Size}
}

// pot is what all clients share. A client that has had its part of it is put off.
type pot struct {
	key      string
	size     func(Config) int64
	unit     string // of size
	code     int    // what the client hears
	enhanced smtp.EnhancedCode
	what     string // that there are too many of
	why      string // for docs/abuse.md, and the test that proves it
	test     string
}

// pots are in the order of docs/abuse.md.
var pots = []pot{
	{keyConnections, func(c Config) int64 { return int64(c.Connections) }, "connections", 421, smtp.EnhancedCode{4, 7, 0}, "connections",
		"all that are open; of what is free one network has its share. Who has no place left gets that of a session of his network, and where none is left at all of anybody's, that has brought no mail nearer for 2 s", "TestHostile_connections_kept_with_NOOP"},
	{keyPerNetwork, func(c Config) int64 { return int64(c.PerNetwork) }, "connections", 421, smtp.EnhancedCode{4, 7, 0}, "connections",
		"of one /24, or /64 of IPv6, whatever its share is", "TestHostile_19"},
	{keyPerIP, func(c Config) int64 { return int64(c.PerIP) }, "connections", 421, smtp.EnhancedCode{4, 7, 0}, "connections",
		"of one address, whatever its share is", "TestHostile_20"},
	{keyEvaluations, func(c Config) int64 { return int64(c.Evaluations) }, "messages", 451, smtp.EnhancedCode{4, 3, 2}, "messages in evaluation",
		"that are evaluated, nearly all of which wait for the DNS; of what is free one network has its share", "TestEvaluationsAreShared"},
	{keyBuffer, func(c Config) int64 { return c.Buffer >> 20 }, "MiB", 452, smtp.EnhancedCode{4, 3, 1}, "message headers in memory",
		"of messages in memory; of what is free one network has its share. What finds no room lies on the disk, as do messages above 64 KiB; only a header cannot", "TestMemoryForMessagesIsShared"},
}

func (o *overload) refusal() *smtp.SMTPError {
	p := pots[slices.IndexFunc(pots, func(p pot) bool { return p.key == o.key })]
	text := fmt.Sprintf("Too many %s in all, try again later", p.what)
	switch {
	case o.network.IsSingleIP():
		text = fmt.Sprintf("Too many %s for your address, try again later", p.what)
	case o.network.IsValid():
		text = fmt.Sprintf("Too many %s for your network %s, try again later", p.what, o.network)
	}
	return &smtp.SMTPError{Code: p.code, EnhancedCode: p.enhanced, Message: text}
}

// putOff tells the operator that a client was put off, once a minute for its network, and gives the client's answer. It may
// be an attack, or a trusted network that policy.unlimited is to name.
func (s *Server) putOff(o *overload, client netip.Addr) *smtp.SMTPError {
	network := o.network
	if !network.IsValid() && client.IsValid() {
		network = naming.Network(client)
	}
	due, others := s.notices.Due(o.key+" "+network.String(), s.cfg.Now())
	if others > 0 {
		s.cfg.Log.Warn("more networks were put off in the minute before", "refused", others)
	}
	switch {
	case due && o.network.IsValid():
		s.cfg.Log.Warn("a network had its share", "bound", o.key, "network", network, "client", client, "have", o.have, "of", o.size)
	case due:
		s.cfg.Log.Warn("nothing is left of what all share", "bound", o.key, "network", network, "client", client, "of", o.size)
	}
	return o.refusal()
}
