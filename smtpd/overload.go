package smtpd

import (
	"errors"
	"fmt"
	"net/netip"

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

// puttingOff is what the client hears.
var puttingOff = map[string]struct {
	code     int
	enhanced smtp.EnhancedCode
	what     string
}{
	keyConnections: {421, smtp.EnhancedCode{4, 7, 0}, "connections"},
	keyPerIP:       {421, smtp.EnhancedCode{4, 7, 0}, "connections"},
	keyPerNetwork:  {421, smtp.EnhancedCode{4, 7, 0}, "connections"},
	keyEvaluations: {451, smtp.EnhancedCode{4, 3, 2}, "messages in evaluation"},
	keyBuffer:      {452, smtp.EnhancedCode{4, 3, 1}, "message headers in memory"},
}

func (o *overload) refusal() *smtp.SMTPError {
	p := puttingOff[o.key]
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
