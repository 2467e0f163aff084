package main

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"time"

	"checkauth/reply/policy"
	"checkauth/smtpd"
	"checkauth/verify/mail"
)

// smtpSettings are the bounds of the SMTP side. The defaults are smtpd's own.
type smtpSettings struct {
	Message       size           `toml:"message" help:"Octets of the largest message that is taken."`
	Header        size           `toml:"header" help:"Octets of a message's header."`
	Fields        limit          `toml:"fields" help:"Header fields of a message."`
	Folds         limit          `toml:"folds" help:"Continuation lines of one header field."`
	Recipients    limit          `toml:"recipients" help:"Recipients of one transaction."`
	Connections   limit          `toml:"connections" help:"Connections at once; one more is refused (421). Of what is free a client network has its share (policy.share). Where all are taken, a session that brings no mail makes room."`
	PerIP         limit          `toml:"per-ip" help:"Connections at once from one address, whatever its share is."`
	PerNetwork    limit          `toml:"per-network" help:"Connections at once from one network, /24 or /64 of IPv6, whatever its share is."`
	Errors        limit          `toml:"errors" help:"Wrong commands of a session before it is closed."`
	Commands      limit          `toml:"commands" help:"Commands of a session before it is closed."`
	UnknownUsers  limit          `toml:"unknown-users" help:"Unknown recipients of a session before it is closed."`
	Command       duration       `toml:"command" help:"How long a client may take for one command: 60 s at most where more than half of the connections are taken, 10 s above nine tenths, and then also for each step towards a mail; NOOP and RSET are none."`
	DataIdle      duration       `toml:"data-idle" help:"How long a client may be silent within its message."`
	MinRate       size           `toml:"min-rate" help:"Octets a second that a message must come in with, over any minute."`
	Session       duration       `toml:"session" help:"How long a session may last, our own evaluation not counted."`
	Stop          duration       `toml:"stop" help:"How long a stop waits for open transactions."`
	Evaluations   limit          `toml:"evaluations" help:"Messages evaluated at once; one more is put off (451). Of what is free a client network has its share (policy.share). They wait for the DNS nearly all of the time; what computes is bounded by the processors."`
	Buffer        size           `toml:"buffer" help:"Octets of messages held in memory, over all sessions, of which a client network has its share (policy.share). What is more, and a message above 64 KiB, lies in a file in the state folder; a header that finds no room puts its message off (452)."`
	Transactions  limit          `toml:"transactions-per-session" name:"transactions-per-session" help:"Transactions of a session."`
	PerMinute     limit          `toml:"transactions-per-minute" name:"transactions-per-minute" help:"Transactions a minute of one client network."`
	TrustedClient []netip.Prefix `toml:"trusted-private" name:"trusted-private" help:"Private networks that mail is taken from all the same (SPF and iprev are not run for it). Any other private client means that we stand behind NAT, and is put off (451)."`
	Loopback      string         `toml:"loopback-clients" name:"loopback-clients" help:"What becomes of tests from loopback: refuse puts them off (451), for a proxy or a mail server on this machine hides who sent them; evaluate takes 127.0.0.1 and ::1 for the sender's own address, for tests on one machine. Empty: refuse, or evaluate where hostname is localhost."`
}

// What smtp.loopback-clients may be.
const loopbackRefuse, loopbackEvaluate = "refuse", "evaluate"

// evaluateLoopback tells whether clients on loopback are taken for senders.
func (s *settings) evaluateLoopback() bool {
	return s.SMTP.Loopback == loopbackEvaluate || s.SMTP.Loopback == "" && strings.EqualFold(s.Hostname, localhost)
}

func smtpDefaults() smtpSettings {
	d := smtpd.Defaults()
	return smtpSettings{
		Message: size(d.Message), Header: size(d.Header.Bytes), Fields: limit(d.Header.Fields), Folds: limit(d.Header.Folds),
		Recipients: limit(d.Recipients), Connections: limit(d.Connections), PerIP: limit(d.PerIP), PerNetwork: limit(d.PerNetwork),
		Errors: limit(d.Errors), Commands: limit(d.Commands), UnknownUsers: limit(d.UnknownUsers),
		Command: duration(d.Command), DataIdle: duration(d.DataIdle), MinRate: size(d.MinRate),
		Session: duration(d.Session), Stop: duration(d.Stop), Evaluations: limit(d.Evaluations), Buffer: size(d.Buffer),
		Transactions: limit(d.BeginsSession), PerMinute: limit(d.BeginsNetwork),
	}
}

// number is the limit as the packages take it.
func (l limit) number() int { return int(min(l, math.MaxInt)) }

// smtpd puts the settings into the server's own terms.
func (s *settings) smtpd(addresses policy.Addresses, cert *certificate, log *slog.Logger, e env) (smtpd.Config, error) {
	t := s.SMTP
	c := smtpd.Config{
		Host: s.Hostname, Spool: s.State, Role: s.roles(addresses),
		Message: int64(t.Message), Header: mail.Bounds{Bytes: int(t.Header), Fields: t.Fields.number(), Folds: t.Folds.number()},
		Recipients: t.Recipients.number(), Connections: t.Connections.number(), PerIP: t.PerIP.number(), PerNetwork: t.PerNetwork.number(),
		Errors: t.Errors.number(), Commands: t.Commands.number(), UnknownUsers: t.UnknownUsers.number(),
		Command: time.Duration(t.Command), DataIdle: time.Duration(t.DataIdle), MinRate: int(t.MinRate),
		Session: time.Duration(t.Session), Stop: time.Duration(t.Stop), Evaluations: t.Evaluations.number(), Share: s.share(func(string, string, ...any) {}), Buffer: int64(t.Buffer), // check reads the networks
		BeginsSession: t.Transactions.number(), BeginsNetwork: t.PerMinute.number(), Trusted: t.TrustedClient,
		Loopback: s.evaluateLoopback(),
		Log:      log, Now: e.now, ID: newID, TLS: s.tlsConfig(cert),
	}
	if err := c.Check(); err != nil {
		return c, &exitError{exitConfig, fmt.Errorf("configuration: smtp: %w", err)}
	}
	return c, nil
}

// roles tells smtpd what a recipient is for, in its own words. Without an operator (a try on loopback)
// nobody reads what is for the operator, so such a recipient is unknown.
func (s *settings) roles(a policy.Addresses) func(local, domain string) smtpd.Role {
	own := map[policy.Role]smtpd.Role{
		policy.Foreign: smtpd.Foreign, policy.UnknownUser: smtpd.UnknownUser, policy.Service: smtpd.Service, policy.Operator: smtpd.Operator,
	}
	if s.Operator == "" {
		own[policy.Operator] = smtpd.UnknownUser
	}
	return func(local, domain string) smtpd.Role {
		role, _ := a.Role(local, domain)
		return own[role]
	}
}
