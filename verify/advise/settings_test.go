package advise_test

import (
	"slices"
	"strings"
	"testing"

	"checkauth/verify"
	"checkauth/verify/advise"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/iprev"
	"checkauth/verify/known"
	"checkauth/verify/known/knowntest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// purposes are findings that an action sets something for, each with what a report of it needs.
var purposes = map[known.Kind]result.Finding{
	known.Helo:     result.Found(result.Error, "helo-invalid", "helo", "?192.168.1.5?"),
	known.TLS:      result.Found(result.Warning, "tls-none"),
	known.DKIM:     result.Found(result.Warning, "dkim-not-signed", "domain", "example.org"),
	known.Oversign: result.Found(result.Warning, "dkim-from-not-signed", "domain", "example.org"),
	known.Footer:   result.Found(result.Error, "dkim-body-changed-footer", "domain", "example.org"),
	known.Canon:    result.Found(result.Error, "dkim-header-refolded", "domain", "example.org", "field", "References"),
	known.EightBit: result.Found(result.Error, "dkim-body-reencoded", "domain", "example.org"),
}

// set is what the action for a message's one fault has set, behind a server that wrote these fields.
func set(t *testing.T, asked dns.Resolver, header string, fault result.Finding) []string {
	t.Helper()
	fields, err := mail.Parse([]byte(strings.ReplaceAll(header+"From: <a@example.org>\n", "\n", "\r\n")), mail.DefaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	r := &verify.Report{Session: verify.Session{ClientIP: "192.0.2.1", Helo: "?192.168.1.5?", MailFrom: "a@example.org"},
		Message: verify.MessageFacts{Fields: fields}, Findings: []result.Finding{fault}, Checks: []result.Outcome{
			{Method: verify.MethodSPF, Result: result.Pass, Detail: &spf.Result{Domain: "example.org"}},
			{Method: verify.MethodIPRev, Result: result.Pass, Detail: &iprev.Result{Confirmed: []string{"mail.example.org"}}},
			{Method: verify.MethodDMARC, Result: result.Pass, Detail: &dmarc.Result{Author: "example.org"}},
		}}
	for _, a := range advise.Run(t.Context(), advise.Query{Report: r, Resolver: asked, Atlas: atlas(t)}) {
		if slices.Contains(a.For, fault.Code) {
			var out []string
			for _, s := range a.Settings {
				out = append(out, s.Value)
			}
			return out
		}
	}
	t.Fatalf("%s: no action", fault.Code)
	return nil
}

// For every product and every purpose: nothing that breaks a server or does nothing, and whose software is known gets
// none of another product's.
func TestSettings_are_the_servers_own_or_none(t *testing.T) {
	t.Parallel()
	asked := dnstest.New(t, "mail.example.org. A 192.0.2.1\n").Client(t)
	byID := map[string]string{}
	for _, s := range knowntest.Samples {
		m, ok := atlas(t).ServerByID(s.Server)
		if !ok {
			t.Fatalf("no server %s", s.Server)
		}
		byID[s.Server] = m.Name
	}
	said := map[known.Kind]int{}
	for kind, fault := range purposes {
		for _, s := range append(slices.Clone(knowntest.Samples), knowntest.Sample{Header: "Received: from pc by mail.example.org with SMTP id 4X; Mon, 23 Nov 2026 10:00:00 +0000\n"}, knowntest.Sample{}) {
			for _, text := range set(t, asked, s.Header, fault) {
				said[kind]++
				if why := knowntest.Refused(t, text); why != "" {
					t.Errorf("%s, %s: %q: %s", s.Server, kind, text, why)
				}
				if own, ok := byID[s.Server]; ok && !strings.HasPrefix(text, own+": ") {
					t.Errorf("%s, %s: gets %q", s.Server, kind, text)
				}
			}
		}
	}
	// The purposes for which no product has a line that is right by itself.
	for kind := range purposes {
		if silent := kind == known.EightBit; (said[kind] == 0) != silent {
			t.Errorf("%s: %d settings", kind, said[kind])
		}
	}
}

// A recognised server's own line, and no line where it has none.
func TestSettings_of_one_product(t *testing.T) {
	t.Parallel()
	asked := dnstest.New(t, "mail.example.org. A 192.0.2.1\n").Client(t)
	header := func(id string) string {
		return knowntest.Samples[slices.IndexFunc(knowntest.Samples, func(s knowntest.Sample) bool { return s.Server == id })].Header
	}
	for _, c := range []struct {
		server string
		kind   known.Kind
		want   []string
	}{
		{"qmail-plesk", known.Helo, []string{"qmail: /var/qmail/control/helohost: mail.example.org"}},
		{"exim-debian", known.Oversign, []string{"Exim 4 (Debian): /etc/exim4/exim4.conf.localmacros (conf.d/main/000_local if split): DKIM_SIGN_HEADERS = _DKIM_OVERSIGN_HEADERS"}},
		{"postfix", known.TLS, []string{"Postfix: main.cf: smtp_tls_security_level = may"}},
		{"exim-debian", known.TLS, nil}, {"exim-cpanel", known.TLS, nil}, {"exim-cpanel", known.Helo, nil}, {"sendmail", known.TLS, nil},
		{"opensmtpd", known.DKIM, nil}, {"haraka", known.DKIM, nil}, {"exchange", known.DKIM, nil}, {"postfix", known.DKIM, nil},
		{"postfix", known.Footer, nil}, {"postfix", known.EightBit, nil}, {"exchange", known.Canon, nil},
	} {
		if got := set(t, asked, header(c.server), purposes[c.kind]); !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: got %q, want %q", c.server, c.kind, got, c.want)
		}
	}
}

// Who is told that qmail writes such a HELO is told qmail's setting alone.
func TestSettings_of_the_server_whose_HELO_tells(t *testing.T) {
	t.Parallel()
	r := advisedOf(t, "1.2.0.192.in-addr.arpa. PTR mail.example.org.\nmail.example.org. A 192.0.2.1\nexample.org. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n",
		plain, from("192.0.2.1", "?192.168.1.5?", "a@example.org"))
	i := slices.IndexFunc(r.Actions, func(a verify.Action) bool { return a.Code == "action-helo" })
	if i < 0 || len(r.Actions[i].Settings) != 1 || r.Actions[i].Settings[0].Value != "qmail: /var/qmail/control/helohost: mail.example.org" {
		t.Errorf("%+v", r.Actions)
	}
}

// Where no name is known nobody is told to write an example's.
func TestSettings_name_no_example(t *testing.T) {
	t.Parallel()
	r := advisedOf(t, "example.org. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n", plain, from("192.0.2.1", "?192.168.1.5?", "a@example.org"))
	seen := false
	for _, a := range r.Actions {
		seen = seen || a.Code == "action-helo-choose"
		for _, s := range a.Settings {
			if strings.Contains(s.Value, "mail.example.org") {
				t.Errorf("%s: %q", a.Code, s)
			}
		}
	}
	if !seen {
		t.Errorf("no action about HELO: %+v", r.Actions)
	}
}
