package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"

	"checkauth/reply/compose"
	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/evaluate"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// explainCmd is `check-auth explain`.
type explainCmd struct {
	Report string `arg:"" help:"File with a report (report.json of a reply, or the output of verify --json), or - for standard input."`
}

// maxReport: octets of a saved report. A reply has 64 KiB; verify's own may be longer.
const maxReport = 16 << 20

// Run prints what the report says, in words: actions with their proof, trees and evidence. The exit code is
// that of the message's verdict.
func (c *explainCmd) Run(_ context.Context, e env) error {
	r, err := c.read(e)
	if err != nil {
		return err
	}
	cfg := compose.Defaults()
	cfg.Host, cfg.Service = r.Host, "check-auth@"+r.Host
	if len(r.Session.RcptTo) > 0 {
		cfg.Service = r.Session.RcptTo[0]
	}
	composer, err := compose.New(cfg, nil)
	if err != nil {
		return err
	}
	text, err := composer.Text(r, policy.Decision{Class: policy.Proved}, mail.Data{})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(e.out, text); err != nil {
		return err
	}
	return verdictExit(r)
}

// read takes a report apart; what is none is refused with what is wanted.
func (c *explainCmd) read(e env) (*verify.Report, error) {
	in := e.in
	if c.Report != "-" {
		f, err := os.Open(c.Report)
		if err != nil {
			return nil, usage("report %q cannot be read (%w): give the report.json of a reply, or - for standard input", c.Report, cause(err))
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxReport+1))
	if err != nil {
		return nil, usage("report %q cannot be read (%w): give the report.json of a reply", c.Report, cause(err))
	}
	if len(b) > maxReport {
		return nil, usage("report %q has more than %d octets: give the report.json of one reply", c.Report, maxReport)
	}
	r := &verify.Report{}
	if err := readReport(b, r); err != nil {
		return nil, usage("report %q is no report (%w): give the report.json of a reply, or what verify --json prints", c.Report, err)
	}
	if err := evaluate.Restore(r); err != nil {
		return nil, usage("report %q is no report (%w): give the report.json of a reply, or what verify --json prints", c.Report, err)
	}
	if r.Version != verify.Version || r.Checks == nil {
		return nil, usage("report %q has version %d: this program reads version %d", c.Report, r.Version, verify.Version)
	}
	return r, nil
}

// readReport decodes a report that a stranger may have sent. Each of its strings is fit to be printed then, and one
// line: codes and words that are none of ours as well.
func readReport(b []byte, r *verify.Report) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	b, err := json.Marshal(cleaned(v))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, r)
}

// cleaned is a decoded JSON value with result.Clean on all strings, those of keys too.
func cleaned(v any) any {
	switch x := v.(type) {
	case string:
		return result.Clean(x)
	case []any:
		for i := range x {
			x[i] = cleaned(x[i])
		}
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, v := range x {
			out[result.Clean(k)] = cleaned(v)
		}
		return out
	}
	return v
}

// verdictExit: 0 where the message authenticates, 1 where not, 2 where the DNS did not tell.
func verdictExit(r *verify.Report) error {
	switch r.Verdict.Word {
	case verify.Authenticated:
		return nil
	case verify.NotProved:
		return &exitError{code: exitFail}
	}
	return &exitError{code: exitUnknown}
}
