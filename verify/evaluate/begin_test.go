package evaluate

import (
	"slices"
	"testing"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/known"
	"checkauth/verify/result"
)

// What stands before the header is named as that, and not by what it hides.
func TestWhatStandsBeforeTheHeader(t *testing.T) {
	t.Parallel()
	atlas, err := known.Load()
	if err != nil {
		t.Fatal(err)
	}
	const from, date, id, signature = "From: a@example.org\r\n", "Date: Tue, 24 Nov 2026 02:10:05 +0000\r\n", "Message-ID: <x@example.org>\r\n",
		"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s; h=From; bh=AAAA; b=AAAA\r\n"
	const bom = "\xef\xbb\xbf"
	for _, c := range []struct {
		name, raw string
		want      result.Code
		field     string
		action    result.Code
		not       []result.Code
		others    []result.Code // which are true all the same
	}{
		{"an empty line", "\r\n" + from + date + id + "\r\nhello\r\n", "header-empty-line-first", "", "action-empty-line",
			[]result.Code{"from-missing", "header-no-date", "header-no-message-id", "dkim-not-signed"}, nil},
		{"an empty line of a bare LF", "\n" + from + "\r\nhello\r\n", "header-empty-line-first", "", "action-empty-line",
			[]result.Code{"from-missing", "header-no-date", "header-no-message-id"}, nil},
		{"an empty line alone", "\r\n", "header-empty-line-first", "", "action-empty-line", []result.Code{"from-missing", "header-no-date"}, nil},
		{"a BOM before From", bom + from + date + id + "\r\nhello\r\n", "header-bom", "From", "action-bom",
			[]result.Code{"from-space-before-colon", "header-malformed-line", "header-no-date"}, []result.Code{"dkim-not-signed"}},
		{"a BOM before Date", bom + date + from + "\r\nhello\r\n", "header-bom", "Date", "action-bom",
			[]result.Code{"header-malformed-line", "header-no-date"}, []result.Code{"header-no-message-id"}},
		{"a BOM before Message-ID", bom + id + from + "\r\nhello\r\n", "header-bom", "Message-ID", "action-bom",
			[]result.Code{"header-malformed-line", "header-no-message-id"}, []result.Code{"header-no-date"}},
		{"a BOM before the signature", bom + signature + from + date + id + "\r\nhello\r\n", "header-bom", "DKIM-Signature", "action-bom",
			[]result.Code{"header-malformed-line", "dkim-not-signed"}, nil},
		{"a BOM and a broken line", bom + from + "broken\r\n" + date + id + "\r\nhello\r\n", "header-bom", "From", "action-bom",
			nil, []result.Code{"header-malformed-line"}},
		{"a BOM before no field", bom + "hello\r\n" + date + id + "\r\n", "header-bom", "-", "action-bom",
			[]result.Code{"header-malformed-line"}, []result.Code{"from-missing"}},
		{"a header", from + "\r\n\r\nhello\r\n", "", "", "", []result.Code{"header-empty-line-first", "header-bom"},
			[]result.Code{"header-no-date", "header-no-message-id", "dkim-not-signed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ev := Evaluator{Config: Defaults(), DNS: dnstest.Zone(t, zone), Now: time.Now, Atlas: atlas}
			r := ev.Evaluate(t.Context(), message(t, "192.0.2.1", c.raw))
			at := func(code result.Code) int {
				return slices.IndexFunc(r.Findings, func(f result.Finding) bool { return f.Code == code })
			}
			if c.want != "" && (at(c.want) < 0 || r.Findings[at(c.want)].Severity != result.Error || r.Findings[at(c.want)].Args.Get("field") != c.field) {
				t.Errorf("findings %+v, want %s of %q", r.Findings, c.want, c.field)
			}
			for _, code := range c.not {
				if at(code) >= 0 {
					t.Errorf("it says %s too", code)
				}
			}
			for _, code := range c.others {
				if at(code) < 0 {
					t.Errorf("it does not say %s", code)
				}
			}
			if c.action != "" && (len(r.Actions) == 0 || r.Actions[0].Code != c.action || r.Actions[0].Type != verify.ActionHost) {
				t.Errorf("actions %+v, want %s first", r.Actions, c.action)
			}
			if h := r.Check(verify.MethodHeader); c.want != "" && h.Result != result.Fail {
				t.Errorf("header: %s (%s)", h.Result, h.Reason)
			}
			if d := r.Check(verify.MethodDMARC); c.field == "From" && d.Reason.Code != "header-begins-with-bom" {
				t.Errorf("dmarc: %s (%s)", d.Result, d.Reason)
			}
			if i := at("header-malformed-line"); i >= 0 && r.Findings[i].Args.Get("line") != "2" {
				t.Errorf("the broken line is said to be line %s", r.Findings[i].Args.Get("line"))
			}
		})
	}
}
