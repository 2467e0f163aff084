package compose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
)

// JSON is the report for programs, with the English sentence beside each code. It is one line of pure ASCII: what
// is not is written as \u escapes, so that no byte of a stranger reaches a terminal raw. It fills in
// the sentences of r, and leaves out what its class does not get.
func (c *Composer) JSON(r *verify.Report, class policy.Class) ([]byte, error) {
	var b bytes.Buffer
	return c.json(&b, forClass(r, class))
}

// json takes a report as its class gets it.
func (c *Composer) json(b *bytes.Buffer, r *verify.Report) ([]byte, error) {
	c.fill(r)
	if err := json.NewEncoder(b).Encode(r); err != nil {
		return nil, fmt.Errorf("JSON of report %s: %w", r.ID, err)
	}
	return ascii(b.Bytes()), nil
}

// mailed is the report for programs as it is sent: an unproved sender's has no sentences, and is bounded. What makes it too
// large goes, in this order: the receivers' rules, what was asked of the DNS, the details of each check, all of it.
func (c *Composer) mailed(b *bytes.Buffer, r *verify.Report, class policy.Class) ([]byte, error) {
	if class == policy.Proved {
		return c.json(b, r)
	}
	out := *r
	out.Checks, out.Findings = slices.Clone(r.Checks), slices.Clone(r.Findings)
	for _, smaller := range []func(){
		func() {},
		func() { out.Receivers = []verify.Receiver{} },
		func() {
			for i := range out.Checks {
				out.Checks[i].Evidence = []result.Evidence{}
			}
			for i := range out.Findings {
				out.Findings[i].Evidence = nil
			}
		},
		func() {
			out.Session.Transcript, out.Authoritative = []verify.Line{}, []verify.Authority{}
			for i := range out.Checks {
				out.Checks[i].Detail = nil
			}
		},
		func() { out.Findings, out.Actions = []result.Finding{}, []verify.Action{} },
	} {
		smaller()
		b.Reset()
		if err := json.NewEncoder(b).Encode(&out); err != nil {
			return nil, fmt.Errorf("JSON of report %s: %w", r.ID, err)
		}
		if data := ascii(b.Bytes()); len(data) <= unprovedJSON {
			return data, nil
		}
	}
	return nil, nil
}

// deciding leaves out the receivers' rules that decide nothing of a test mail, those for bulk mail and those that are
// only recommended: they are half of the JSON, and the mail has room for 64 KiB. The text has them.
func deciding(r *verify.Report) *verify.Report {
	out := *r
	out.Receivers = slices.Clone(r.Receivers)
	for i, v := range out.Receivers {
		rules := []verify.ReceiverRule{}
		for _, u := range v.Rules {
			if u.Scope == "all" && u.Strength != receivers.Recommended {
				rules = append(rules, u)
			}
		}
		out.Receivers[i].Rules = rules
	}
	return &out
}

// ASCII is for cmd: JSON text without a rune beyond ASCII.
func ASCII(b []byte) []byte { return ascii(b) }

// ascii escapes every rune above ASCII in JSON text. Such runes stand in strings alone, where an escape
// means the same.
func ascii(b []byte) []byte {
	if !slices.ContainsFunc(b, func(c byte) bool { return c >= 0x7f }) {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r < 0x7f:
			out = append(out, b[:n]...)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out
}
