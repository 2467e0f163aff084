package known

import (
	"slices"
	"strings"
	"testing"

	"checkauth/verify/result"
)

func TestPanel(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	for _, c := range []struct {
		name, servers, want string
	}{
		{"a suffix", "ada.ns.cloudflare.com bob.ns.cloudflare.com", "cloudflare"},
		{"in capitals, with final dots", "NS01.DOMAINCONTROL.COM. ns02.domaincontrol.com.", "godaddy"},
		{"exact names", "ns1.digitalocean.com ns2.digitalocean.com ns3.digitalocean.com", "digitalocean"},
		{"an exact name has nothing below it", "x.ns1.digitalocean.com", ""},
		{"a regular expression", "ns-1.awsdns-01.com ns-22.awsdns-02.co.uk ns-333.awsdns-03.net ns-4.awsdns-04.org", "route53"},
		{"what only looks like it", "ns-1.awsdns-01.com.example.org", ""},
		{"with something in front", "x.ns-1.awsdns-01.com", ""},
		{"the regular expression before the suffix", "ns-cloud-a1.googledomains.com ns-cloud-a2.googledomains.com", "google-cloud"},
		{"no label's end", "ns1.notovh.net ns2.notovh.net", ""},
		{"most of them", "ada.ns.cloudflare.com bob.ns.cloudflare.com ns.example.org", "cloudflare"},
		{"half of them", "ada.ns.cloudflare.com ns.example.org", ""},
		{"two panels", "ada.ns.cloudflare.com bob.ns.cloudflare.com ns1.he.net", ""},
		{"none", "", ""},
		{"no names at all", ". .. a..b", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, ok := a.Panel(strings.Fields(c.servers))
			if got.ID != c.want || ok != (c.want != "") {
				t.Errorf("%s: got %q, %v, want %q", c.servers, got.ID, ok, c.want)
			}
		})
	}
}

// example is a name that a claim of a file covers.
func example(name string) string {
	if strings.HasPrefix(name, ".") {
		return "x1" + name
	}
	return name
}

func TestEachPanelIsFoundByItsNameServers(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	panels, _ := files(t)
	for _, p := range panels {
		for _, ns := range p.NS {
			if got, ok := a.Panel([]string{example(ns)}); !ok || got.ID != p.ID {
				t.Errorf("%s: got %q, want %q", ns, got.ID, p.ID)
			}
		}
		if got, ok := a.PanelByID(p.ID); !ok || got.Name != p.Name {
			t.Errorf("%s by id: got %q, %v", p.ID, got.Name, ok)
		}
	}
	if got, ok := a.PanelByID("paper"); ok {
		t.Errorf("got %q for an id that is not there", got.ID)
	}
}

func TestPanelsAreWhole(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	for _, p := range a.panels {
		if !slices.Contains([]string{Relative, Full, Either}, p.NameField) || !slices.Contains([]string{Auto, Manual, Limit}, p.LongTXT) ||
			!slices.Contains([]string{Added, Needed, Either}, p.Quotes) {
			t.Errorf("%s: name_field %q, long_txt %q, quotes %q", p.ID, p.NameField, p.LongTXT, p.Quotes)
		}
		if p.Path == "" && p.ID != "bind" {
			t.Errorf("%s: no path", p.ID)
		}
		for _, text := range append([]string{p.Name, p.Path, p.DKIMPath}, p.Others...) {
			if result.Clean(text) != text || strings.ContainsAny(text, "{}\n") {
				t.Errorf("%s: %q", p.ID, text)
			}
		}
		if _, ok := a.PanelByID(p.Or); p.Or != "" && (!ok || p.Or == p.ID) {
			t.Errorf("%s: or %q is no other panel", p.ID, p.Or)
		}
		for _, trap := range p.Traps {
			if !strings.HasPrefix(string(trap.Code), "trap-") {
				t.Errorf("%s: %s is no trap", p.ID, trap)
			}
		}
	}
}

func TestNameIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ field, owner, zone, want string }{
		{Relative, "example.org", "example.org", "@"},
		{Relative, "Example.ORG.", "example.org", "@"},
		{Relative, "_dmarc.example.org", "example.org", "_dmarc"},
		{Relative, "s1._domainkey.news.example.org.", "example.org.", "s1._domainkey.news"},
		{Relative, "notexample.org", "example.org", "notexample.org"}, // not in the zone
		{Either, "example.org", "example.org", "@"},
		{Either, "_dmarc.example.org", "example.org", "_dmarc"},
		{Full, "example.org", "example.org", "example.org"},
		{Full, "_dmarc.Example.org.", "example.org", "_dmarc.example.org"},
	} {
		if got := (Panel{NameField: c.field}).NameIn(c.owner, c.zone); got != c.want {
			t.Errorf("%s, %s in %s: got %q, want %q", c.field, c.owner, c.zone, got, c.want)
		}
	}
}

// FuzzNames: whatever a stranger's name is, the answer is of the file, and more labels in front do not
// change whose a domain with everything below it is.
func FuzzNames(f *testing.F) {
	a := atlas(f)
	f.Add("ada.ns.cloudflare.com", "ns1.notovh.net")
	f.Add("mail-1.google.com.", "\xff.sendgrid.net")
	f.Add("ns-1.awsdns-01.com", strings.Repeat("a.", 200))
	f.Add("static.1.2.0.192.clients.your-server.de", "..")
	f.Fuzz(func(t *testing.T, one, two string) {
		p, ok := a.Panel([]string{one, two})
		if _, known := a.PanelByID(p.ID); known != ok {
			t.Fatalf("%q, %q: panel %q, %v", one, two, p.ID, ok)
		}
		if again, ok2 := a.Panel([]string{two, one}); ok2 != ok || again.ID != p.ID {
			t.Fatalf("%q, %q: panel %q, the other way round %q", one, two, p.ID, again.ID)
		}
		for _, find := range []func(...string) (Provider, bool){a.ProviderOf, a.ProviderOfMX,
			func(names ...string) (Provider, bool) { return a.ByInclude(names[0]) }} {
			v, ok := find(one, two)
			if _, known := a.ProviderByID(v.ID); known != ok {
				t.Fatalf("%q, %q: provider %q, %v", one, two, v.ID, ok)
			}
			if !ok && v.ID != "" {
				t.Fatalf("%q: %q and not found", one, v.ID)
			}
		}
	})
}
