package advise_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/advise"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/evaluate"
	"checkauth/verify/result"
)

// session is a mail of somebody at example.org, as far as SPF looks at it.
type session struct {
	ip, helo, from string
	author         string // domain of From; empty is that of from
}

// evaluate runs the whole evaluation of a short message.
func (s session) evaluate(t testing.TB, r dns.Resolver) *verify.Report {
	t.Helper()
	author := s.author
	if author == "" {
		author = s.from[strings.LastIndexByte(s.from, '@')+1:]
	}
	if author == "" {
		author = "example.org"
	}
	m := message(t, verify.Envelope{ID: "test", Host: "verifier.example", Time: time.Unix(1764000000, 0), Helo: s.helo, MailFrom: s.from,
		Client: netip.AddrPortFrom(netip.MustParseAddr(s.ip), 25), RcptTo: []string{"check@verifier.example"}, Purpose: verify.ForTest},
		"From: a@"+author+"\r\nTo: check@verifier.example\r\nSubject: x\r\n\r\nbody\r\n")
	ev := evaluate.Evaluator{Config: evaluate.Defaults(), DNS: r, Now: time.Now}
	return ev.Evaluate(t.Context(), m)
}

// adviseSPF gives the report of a session and what SPF's rule advises; each change is proved by a fresh evaluation.
func (s session) adviseSPF(t testing.TB, r dns.Resolver) (*verify.Report, []verify.Action) {
	t.Helper()
	report := s.evaluate(t, r)
	return report, advise.RunSPF(t.Context(), advise.Query{Report: report, Resolver: r, Atlas: atlas(t),
		Try: func(_ context.Context, changes []advise.Change) *verify.Report {
			return s.evaluate(t, changed(r, changes))
		}})
}

func changed(r dns.Resolver, changes []advise.Change) dns.Resolver {
	over := dns.Over(r, time.Now)
	for _, c := range changes {
		over.Set(c.Name, c.Type, c.Records...)
	}
	return over
}

// wanted is what SPF's rule must say of a zone.
type wanted struct {
	name, zone string
	session
	value  string   // of the first action, empty where none changes a record
	code   string   // of the first action, empty where there is none
	before []string // codes that must stand beside it
	word   result.Word
}

func check(t *testing.T, cases []wanted) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			report, actions := c.adviseSPF(t, dnstest.Zone(t, c.zone))
			if len(actions) == 0 {
				if c.code != "" {
					t.Fatalf("no action, want %s %q; findings %v", c.code, c.value, report.Findings)
				}
				return
			}
			got := actions[0]
			if string(got.Code) != c.code || got.Value != c.value {
				t.Fatalf("got %s %q, want %s %q; findings %v", got.Code, got.Value, c.code, c.value, report.Findings)
			}
			for _, code := range c.before {
				if !hasBefore(got, code) {
					t.Errorf("before: got %v, want %s too", got.Before, code)
				}
			}
			if c.value != "" && (got.Proof == nil || got.Proof.SPF != c.word) {
				t.Errorf("proof: got %+v, want spf %s", got.Proof, c.word)
			}
		})
	}
}

func hasBefore(a verify.Action, code string) bool {
	for _, b := range a.Before {
		if string(b.Code) == code {
			return true
		}
	}
	return false
}
