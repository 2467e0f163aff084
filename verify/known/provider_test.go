package known

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/naming"
)

func TestEachProviderIsFoundByItsNames(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	_, providers := files(t)
	for _, p := range providers {
		for _, mx := range p.MX {
			if got, ok := a.ProviderOfMX(example(mx)); !ok || got.ID != p.ID {
				t.Errorf("MX %s: got %q, want %q", mx, got.ID, p.ID)
			}
		}
		for _, host := range slices.Concat(p.Host, p.SignsAs, p.BounceDomains) {
			if got, ok := a.ProviderOf(example(host)); !ok || got.ID != p.ID {
				t.Errorf("host %s: got %q, want %q", host, got.ID, p.ID)
			}
		}
		for _, host := range p.NotHost {
			if got, ok := a.ProviderOf(example(host)); ok {
				t.Errorf("host %s: got %q, want none: it is a customer's", host, got.ID)
			}
		}
		for _, term := range slices.Concat([]string{p.SPF}, p.Alternatives, p.Old) {
			target, ok := included(term)
			if !ok {
				continue
			}
			if got, _ := a.ByInclude(target); got.ID != p.ID && got.ID != p.Via {
				t.Errorf("%s: got %q, want %q, or %q", term, got.ID, p.ID, p.Via)
			}
		}
	}
}

func TestProviderOf(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	mx := func(names ...string) (Provider, bool) { return a.ProviderOfMX(names...) }
	of := func(names ...string) (Provider, bool) { return a.ProviderOf(names...) }
	include := func(names ...string) (Provider, bool) { return a.ByInclude(names[0]) }
	for _, c := range []struct {
		name string
		find func(...string) (Provider, bool)
		args string
		want string
	}{
		{"a host by its suffix", of, "mail-sor-f41.google.com", "google-workspace"},
		{"the suffix is no label", of, "mail.notgoogle.com", ""},
		{"the name goes on", of, "mail.google.com.example.org", ""},
		{"the domain itself", of, "sendgrid.net", "sendgrid"},
		{"the first that tells", of, "mail.example.org O1.SendGrid.net. mail-1.google.com", "sendgrid"},
		{"d= of a signature by default", of, "example-org.20230601.gappssmtp.com", "google-workspace"},
		{"d= of a tenant", of, "example.onmicrosoft.com", "microsoft365"},
		{"a domain of MAIL FROM", of, "bf10x.hubspotemail.net", "hubspot"},
		{"a customer's machine", of, "static.1.2.0.192.clients.your-server.de", ""},
		{"the provider's beside it", of, "www12.your-server.de", "hetzner-web"},
		{"a rented server that is called as MX targets are", of, "ns300.ovh.net", ""},
		{"who resells has the other's hosts", of, "a8-50.smtp-out.amazonses.com", "amazon-ses"},
		{"MX, exact", mx, "aspmx.l.google.com", "google-workspace"},
		{"MX, exact, and a name below it", mx, "x.aspmx.l.google.com", ""},
		{"MX of a tenant", mx, "example-org.mail.protection.outlook.com", "microsoft365"},
		{"MX by a regular expression", mx, "inbound-smtp.eu-west-1.amazonaws.com", "amazon-ses"},
		{"another service of the same domain", mx, "ec2-192-0-2-1.amazonaws.com", ""},
		{"a null MX", mx, "", ""},
		{"include", include, "spf.protection.outlook.com", "microsoft365"},
		{"include in capitals", include, "Servers.MCSV.net.", "mailchimp"},
		{"redirect", include, "_spf.mail.ru", "mailru-biz"},
		{"an include that differs", include, "12345.spf03.hubspotemail.net", "hubspot"},
		{"an include below the provider's domain", include, "u123.wl001.sendgrid.net", "sendgrid"},
		{"an include of one's own", include, "_spf.example.org", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, ok := c.find(append(strings.Fields(c.args), "")...)
			if got.ID != c.want || ok != (c.want != "") {
				t.Errorf("%s: got %q, %v, want %q", c.args, got.ID, ok, c.want)
			}
		})
	}
}

var placeholder = regexp.MustCompile(`\{[a-z0-9_]*\}`)

// onlyPlaceholders tells whether the text has no braces but those of the places named.
func onlyPlaceholders(text string, names ...string) bool {
	left := placeholder.ReplaceAllStringFunc(text, func(p string) string {
		if slices.Contains(names, p) {
			return ""
		}
		return p
	})
	return !placeholder.MatchString(left)
}

func TestProvidersAreWhole(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	for _, p := range a.providers {
		if !slices.Contains([]string{BounceOwn, BounceCustom, BounceSame}, p.Bounce) || p.SPFAt != "" && p.SPFAt != AtBounce {
			t.Errorf("%s: bounce %q, spf_at %q", p.ID, p.Bounce, p.SPFAt)
		}
		if p.SPF != "" {
			terms(t, p.ID, p.SPF)
		}
		for _, text := range slices.Concat(p.Alternatives, p.Old) {
			terms(t, p.ID, text)
		}
		if p.Redirect() != strings.Contains(p.SPF, "redirect") {
			t.Errorf("%s: Redirect of %q is %v", p.ID, p.SPF, p.Redirect())
		}
		if !onlyPlaceholders(p.Proposes, "{ip}", "{host}") {
			t.Errorf("%s: proposes %q", p.ID, p.Proposes)
		}
		if len(p.DKIM) == 0 {
			t.Errorf("%s: no selector", p.ID)
		}
		records(t, &p)
		if via, ok := a.ProviderByID(p.Via); p.Via != "" && (!ok || via.Via != "") {
			t.Errorf("%s: via %q", p.ID, p.Via)
		}
		for _, f := range p.Sure {
			if !slices.Contains([]Fact{TermFact, SelectorFact, TargetFact, HostFact, BounceFact}, f) || !p.Certain(f) {
				t.Errorf("%s: sure of %q", p.ID, f)
			}
		}
	}
}

// terms are what may be put into a record as it is: a include or a redirect of a name, or a mechanism alone.
func terms(t *testing.T, id, text string) {
	t.Helper()
	for _, term := range strings.Fields(text) {
		target, ok := included(term)
		if name, valid := naming.Host(target); ok && (!valid || name != target) || !ok && term != "a" && term != "mx" {
			t.Errorf("%s: %q is no term to publish", id, text)
		}
	}
	if text != strings.Join(strings.Fields(text), " ") || text == "" {
		t.Errorf("%s: %q: want terms with one blank between them", id, text)
	}
}

func records(t *testing.T, p *Provider) {
	t.Helper()
	for _, s := range p.DKIM {
		if s.Selector == "" || s.Type != "TXT" && s.Type != "CNAME" || s.Type == "TXT" && s.Target != "" ||
			!onlyPlaceholders(s.Selector, "{given}") || !onlyPlaceholders(s.Target, "{domain}", "{dashed}", "{given}") {
			t.Errorf("%s: selector %+v", p.ID, s)
		}
	}
	all := p.BounceHost
	for _, s := range p.DKIM {
		all = append(all, Record{s.Selector + ".{domain}", s.Type, s.Target})
	}
	for _, r := range all {
		if !slices.Contains([]string{"", "CNAME", "MX", "TXT"}, r.Type) || !strings.HasSuffix(r.Name, ".{domain}") ||
			!onlyPlaceholders(r.Name+r.Target, "{domain}", "{dashed}", "{given}") {
			t.Errorf("%s: record %+v", p.ID, r)
		}
		text := strings.NewReplacer("{given}", "x1", "{domain}", "example.org", "{dashed}", "example-org")
		for _, name := range []string{text.Replace(r.Name), text.Replace(r.Target)} {
			if _, ok := naming.Host(name); !ok && name != "" {
				t.Errorf("%s: %q is no name", p.ID, name)
			}
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	provider := func(id string) Provider {
		p, ok := a.ProviderByID(id)
		if !ok {
			t.Fatalf("no provider %s", id)
		}
		return p
	}
	for _, c := range []struct {
		id, want string
	}{
		{"fastmail", "fm1._domainkey.example.org CNAME fm1.example.org.dkim.fmhosted.com"},
		{"brevo", "brevo1._domainkey.example.org CNAME b1.example-org.dkim.brevo.com"},
		{"microsoft365", "  "}, // the tenant's name is in it
		{"google-workspace", "  "},
		{"one-com", "  "},
	} {
		r, ok := provider(c.id).DKIM[0].Record("Example.org.")
		if got := r.Name + " " + r.Type + " " + r.Target; got != c.want || ok != (c.want != "  ") {
			t.Errorf("%s: got %q, %v, want %q", c.id, got, ok, c.want)
		}
	}
	r, ok := provider("zendesk").BounceHost[1].For("example.org")
	if want := (Record{"zendesk2.example.org", "CNAME", "mail2.zendesk.com"}); !ok || r != want {
		t.Errorf("zendesk: got %v, want %v", r, want)
	}
	if r, ok := provider("zendesk").BounceHost[1].For(""); ok {
		t.Errorf("no domain: got %v", r)
	}
	if _, ok := a.ProviderByID("pigeon"); ok {
		t.Error("found an id that is not there")
	}
}

// A program reads what comes to an address for one message, at a service's domain or at one whose mail it takes.
func TestBounces(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	for _, c := range []struct {
		local, domain string
		targets       []string
		want          string
	}{
		{"0100018f2a3b4c5d-6e7f8a9b-000000", "amazonses.com", nil, "amazon-ses"},
		{"0102018f2a3b4c5d-6e7f8a9b-000000", "EU-west-1.AmazonSES.com.", nil, "amazon-ses"},
		{"bounces+123-abcd-ann=example.net", "sendgrid.net", nil, "sendgrid"},
		{"bounce-mc.us6_12.34-ann=example.net", "mail12.suw11.mcsv.net", nil, "mailchimp"},
		{"bounce-md_12.34.v1-56", "mandrillapp.com", nil, "mandrill"},
		{"pm_bounces", "pm.mtasv.net", nil, "postmark"},
		{"msprvs1=12abc=bounces-1", "eu.sparkpostmail.com", nil, "sparkpost"},
		{"bounces-1-x", "ab.d.mailin.fr", nil, "brevo"},
		{"1a2b3c4d.5e6f7a8b9c0d", "a1.bnc3.mailjet.com", nil, "mailjet"},
		{"bounces+1-abcd-ann=example.net", "em123.example.org", []string{"mx.sendgrid.net"}, "sendgrid"},
		{"0100018f2a3b4c5d-6e7f8a9b-000000", "mail.example.org", []string{"feedback-smtp.us-east-1.amazonses.com"}, "amazon-ses"},
		{"bounce+1.2-ann=example.net", "mg.example.org", []string{"MXA.mailgun.org.", "mxb.mailgun.org"}, "mailgun"},

		{"ann", "mailjet.com", nil, ""},
		{"ann.smith2026", "sendgrid.net", nil, ""},
		{"ann", "mg.example.org", []string{"mxa.mailgun.org"}, ""},
		{"bounces+1", "example.org", []string{"aspmx.l.google.com"}, ""},
		{"bounces+1", "example.org", []string{"route1.mx.cloudflare.net"}, ""}, // which passes it on to people
		{"bounces+1", "example.org", []string{"inbound-smtp.eu-west-1.amazonaws.com"}, ""},
		{"bounces+1", "notamazonses.com", []string{"mx.notamazonses.com"}, ""},
		{"", "amazonses.com", nil, ""},
		{"bounces+1", "", nil, ""},
	} {
		if got, ok := a.Bounces(c.local, c.domain, c.targets...); got.ID != c.want || ok != (c.want != "") {
			t.Errorf("%s@%s %q: got %q, %t, want %q", c.local, c.domain, c.targets, got.ID, ok, c.want)
		}
	}
}
