package compose

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/arc"
	"checkauth/verify/result"
)

// JSON is the report for programs, with the English sentence beside each code. It is one line of pure ASCII: what
// is not is written as \u escapes, so that no byte of a stranger reaches a terminal raw. It fills in
// the sentences of r, and leaves out what its class does not get.
func (c *Composer) JSON(r *verify.Report, class policy.Class) ([]byte, error) {
	r = forClass(r, class)
	c.fill(r)
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(r); err != nil {
		return nil, fmt.Errorf("JSON of report %s: %w", r.ID, err)
	}
	return ascii(b.Bytes()), nil
}

// withoutBulk leaves out the receivers' rules for bulk mail, which decide nothing of a test mail: they are half of
// the JSON, and the mail has room for 64 KiB. The text has them.
func withoutBulk(r *verify.Report) *verify.Report {
	out := *r
	out.Receivers = slices.Clone(r.Receivers)
	for i, v := range out.Receivers {
		rules := []verify.ReceiverRule{}
		for _, u := range v.Rules {
			if u.Scope == "all" {
				rules = append(rules, u)
			}
		}
		out.Receivers[i].Rules = rules
	}
	return &out
}

// forClass leaves out what an unproved address must not get from us: free text of the message.
func forClass(r *verify.Report, class policy.Class) *verify.Report {
	if class == policy.Proved {
		return r
	}
	out := *r
	out.Message.Subject = ""
	if strings.Contains(r.Message.MessageID, "://") {
		out.Message.MessageID = "" // a link, and no identifier
	}
	if t := r.Session.TLS; t != nil {
		bare := *t
		bare.Client = ""
		out.Session.TLS = &bare
	}
	out.Message.From = r.Check(verify.MethodDMARC).Identities["header.from"]
	out.Checks = slices.Clone(r.Checks)
	for i, k := range out.Checks {
		if d := k.Details.DKIM; d != nil {
			s := *d
			s.CanonHeader, s.CanonBody = nil, nil
			s.Identity = s.Identity[max(strings.LastIndexByte(s.Identity, '@'), 0):] // the local part may be any text
			out.Checks[i].Details.DKIM = &s
		}
		if a := k.Details.ARC; a != nil {
			out.Checks[i].Details.ARC = withoutClaims(a)
		}
	}
	out.Findings = slices.Clone(r.Findings) // none are an empty list, not null
	for i, f := range out.Findings {
		if name := ownWords(f.Code); f.Args.Get(name) != "" {
			out.Findings[i].Args = f.Args.With(name, hashed(f.Args.Get(name)))
		}
	}
	out.Actions = slices.Clone(r.Actions)
	for i, a := range out.Actions {
		if list := a.Args.Get("list"); list != "" {
			out.Actions[i].Args = a.Args.With("list", hashed(list))
		}
	}
	return &out
}

// hashed stands for the message's own words.
func hashed(words string) string {
	return fmt.Sprintf("%d octets, SHA-256 %.8x", len(words), sha256.Sum256([]byte(words)))
}

// withoutClaims leaves out what hosts are said to have found, which may be any text.
func withoutClaims(a *arc.Result) *arc.Result {
	out := *a
	out.Instances = slices.Clone(a.Instances)
	for i := range out.Instances {
		out.Instances[i].Results, out.Instances[i].Authserv = "", ""
	}
	return &out
}

// ownWords is the name of the argument that has the message's own words: "text", apart from these.
func ownWords(code result.Code) string {
	switch code {
	case "dkim-header-rewritten":
		return "was"
	case "dkim-subject-tagged":
		return "tag"
	case "header-date-malformed":
		return "date"
	case "header-message-id-malformed":
		return "id"
	case "arc-broken-after", "arc-broken-between", "dkim-verified-before":
		return "host"
	case "arc-fail-cv":
		return "cv"
	case "mailing-list":
		return "list"
	}
	return "text"
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
