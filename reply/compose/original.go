package compose

import (
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/authres"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// original is the "Original Email" part: our own trace fields on top, then the header as received, then
// as much of the body as the class allows.
func (c *Language) original(r *verify.Report, class policy.Class, body mail.Data) []string {
	out := append(trace(r), c.header(r, class)...)
	if class == policy.Proved {
		out = append(out, c.body(body)...)
	}
	return out
}

// header is the header as received, within the bound; what claims to be ours is taken out and named. An
// unproved address sees none of it: whoever wrote it chose every word.
func (c *Language) header(r *verify.Report, class policy.Class) []string {
	if class != policy.Proved {
		return []string{"[the message is not shown to an address that is not proved]"}
	}
	var out []string
	size := 0
	for i, f := range r.Message.Fields {
		if size += len(f.Raw); size > c.cfg.Header {
			out = append(out, fmt.Sprintf("[%d more fields left out]", len(r.Message.Fields)-i))
			break
		}
		if mail.ClaimsAuthserv(f, c.cfg.Host) {
			out = append(out, fmt.Sprintf("[field %d removed: an Authentication-Results in the name of %s that came with the message]", i+1, c.cfg.Host))
			continue
		}
		for _, l := range lines(f.Raw) {
			if l = defang(l); f.Name == "" {
				l = quotedLine(l)
			}
			out = append(out, l)
		}
	}
	return out
}

// body is the original's body within the bound, as text, with no link left alive. A body that cannot be
// read any more is left out: the report stands without it.
func (c *Language) body(d mail.Data) []string {
	b := make([]byte, min(d.Size, int64(c.cfg.Body)))
	if _, err := io.ReadFull(d.Reader(), b); err != nil || len(b) == 0 {
		return nil
	}
	out := []string{""}
	for _, l := range lines(b) {
		out = append(out, defang(l))
	}
	if int64(len(b)) < d.Size {
		out = append(out, fmt.Sprintf("[cut: the body has %d octets]", d.Size))
	}
	return out
}

// lines cuts bytes into lines that are safe to show. A fold keeps its first blank as a space.
func lines(raw []byte) []string {
	text := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	var out []string
	for l := range strings.SplitSeq(text, "\n") {
		l = strings.TrimSuffix(l, "\r")
		l = strings.ReplaceAll(l, "\t", "        ")
		out = append(out, result.Clean(l))
	}
	return out
}

// trace are the fields that we put on top: RFC 5321, 4.4 and RFC 8601, 2.2.
func trace(r *verify.Report) []string {
	with := "SMTP"
	if r.Session.TLS != nil {
		with = "ESMTPS"
	} else if len(r.Session.Transcript) > 0 {
		with = "ESMTP"
	}
	// RFC 5321, 4.4: an IPv6 address literal has its tag.
	ip := r.Session.ClientIP
	if strings.Contains(ip, ":") {
		ip = "IPv6:" + ip
	}
	return []string{
		"Return-Path: <" + safe(r.Session.MailFrom) + ">",
		"Received: from " + safe(r.Session.Helo) + " ([" + safe(ip) + "])",
		"        by " + r.Host + " with " + with + " id " + r.ID + ";",
		"        " + date(r.Time),
		"Authentication-Results: " + unlink(strings.ReplaceAll(authenticationResults(r), "; ", ";\n        ")),
	}
}

// authenticationResults: go-msgauth formats what is made safe before.
func authenticationResults(r *verify.Report) string {
	var out []authres.Result
	for _, k := range r.Checks {
		if !k.Registered || k.Result == result.NotRun {
			continue
		}
		g := &authres.GenericResult{Method: k.Method, Value: authres.ResultValue(k.Result), Params: map[string]string{}}
		for property, v := range k.Identities {
			g.Params[property] = arValue(v)
		}
		for property, v := range k.Properties {
			g.Params[property] = arValue(v.Value)
		}
		out = append(out, g)
	}
	// It leaves a space behind a result without properties.
	return strings.TrimRight(strings.ReplaceAll(authres.Format(r.Host, out), " ;", ";"), " ")
}

// arValue: nothing that could end a value, a field or a comment. authres.Format quotes, but it writes CR
// and LF raw and does not escape a backslash.
func arValue(s string) string {
	s = strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune(`"\();<>,`, c) {
			return '_'
		}
		return c
	}, s)
	return result.Cut(s, 255)
}
