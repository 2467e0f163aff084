package known

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

func atlas(t testing.TB) *Atlas {
	t.Helper()
	a, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// claim is a name as it stands in a file, and who has it.
type claim struct{ kind, name, id string }

func claims(t *testing.T) (all []claim) {
	t.Helper()
	panels, providers := files(t)
	add := func(kind, id string, names []string) {
		for _, n := range names {
			all = append(all, claim{kind, n, id})
		}
	}
	for _, p := range panels {
		add("ns", p.ID, p.NS)
	}
	for _, p := range providers {
		add("mx", p.ID, p.MX)
		add("host", p.ID, slices.Concat(p.Host, p.NotHost, p.SignsAs))
		add("include", p.ID, p.Includes)
		add("bounce", p.ID, p.BounceDomains)
		add("bounce mx", p.ID, p.BounceMX)
	}
	var hs struct {
		Hosters []string `toml:"hosters"`
	}
	if err := decode(hostersFile, &hs); err != nil {
		t.Fatal(err)
	}
	add("hoster", "hosters", hs.Hosters)
	return all
}

func files(t *testing.T) ([]panelEntry, []providerEntry) {
	t.Helper()
	var ps struct {
		Panels []panelEntry `toml:"panel"`
	}
	var vs struct {
		Providers []providerEntry `toml:"provider"`
	}
	if err := decode(panelsFile, &ps); err != nil {
		t.Fatal(err)
	}
	if err := decode(providersFile, &vs); err != nil {
		t.Fatal(err)
	}
	return ps.Panels, vs.Providers
}

func TestNamesOfTheFilesAreNames(t *testing.T) {
	t.Parallel()
	all := claims(t)
	if len(all) < 150 {
		t.Fatalf("%d names: the search is broken", len(all))
	}
	for _, c := range all {
		name := strings.TrimPrefix(c.name, ".")
		if got, ok := naming.Host(name); !ok || got != name || dns.IsLocal(name) {
			t.Errorf("%s of %s: %q is no name of a host, or not in lower case", c.kind, c.id, c.name)
		}
		// A whole public suffix would make everybody a customer; operators' private ones may stand alone.
		if suffix, icann := publicsuffix.PublicSuffix(name); suffix == name && icann {
			t.Errorf("%s of %s: %q is a public suffix", c.kind, c.id, c.name)
		}
	}
}

// Two of one kind that claim the same, or one of which is below the other, would make the answer hang on
// their order. Where one is below the other's on purpose it stands here.
func TestNoTwoClaimTheSame(t *testing.T) {
	t.Parallel()
	all := claims(t)
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.kind != b.kind {
				continue
			}
			x, y := strings.TrimPrefix(a.name, "."), strings.TrimPrefix(b.name, ".")
			nested := strings.HasPrefix(a.name, ".") && strings.HasSuffix(y, "."+x) ||
				strings.HasPrefix(b.name, ".") && strings.HasSuffix(x, "."+y)
			if x == y || nested && a.id != b.id {
				t.Errorf("%s: %s of %s and %s of %s", a.kind, a.name, a.id, b.name, b.id)
			}
		}
	}
}

func TestRegularExpressionsOfNamesAreAnchored(t *testing.T) {
	t.Parallel()
	panels, providers := files(t)
	var all []string
	for _, p := range panels {
		all = append(all, p.NSRegexp)
	}
	for _, p := range providers {
		all = append(all, p.MXRegexp)
	}
	n := 0
	for _, expr := range all {
		if expr == "" {
			continue
		}
		n++
		re, err := regexp.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(expr, "^") || !strings.HasSuffix(expr, "$") || strings.Count(expr, "|") > 0 && !strings.Contains(expr, "(") {
			t.Errorf("%s: not anchored", expr)
		}
		if strings.Contains(regexp.MustCompile(`\\.`).ReplaceAllString(expr, ""), ".") || re.MatchString("") {
			t.Errorf("%s: a dot that is not escaped, or nothing matches", expr)
		}
	}
	if n < 3 {
		t.Fatalf("%d regular expressions: the search is broken", n)
	}
}

func TestIDsAreUnique(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	seen := map[string]bool{}
	see := func(kind, id, name string) {
		if seen[kind+id] || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || id == "" || name == "" || result.Clean(name) != name {
			t.Errorf("%s %q, %q: want an id once, of lower-case letters, digits and hyphens, and a name", kind, id, name)
		}
		seen[kind+id] = true
	}
	for _, p := range a.panels {
		see("panel ", p.ID, p.Name)
	}
	for _, p := range a.providers {
		see("provider ", p.ID, p.Name)
	}
	for _, m := range a.servers {
		see("server ", m.ID, m.Name)
	}
	if len(a.panels) != 44 || len(a.providers) != 65 || len(a.servers) != 11 {
		t.Errorf("got %d panels, %d providers, %d servers", len(a.panels), len(a.providers), len(a.servers))
	}
}

// Load refuses a code of the files that is not in codes.go; here is the other way round.
func TestEveryRemarkIsUsed(t *testing.T) {
	t.Parallel()
	for code, r := range remarks {
		if !strings.HasPrefix(string(code), "trap-") && !strings.HasPrefix(string(code), "setting-") || len(r.Args) > 0 {
			t.Errorf("%s: want trap-... or setting-..., without arguments", r)
		}
		if !strings.Contains(panelsFile+providersFile+serversFile, `"`+string(code)+`"`) {
			t.Errorf("%s is in no file", code)
		}
	}
	if _, err := said([]result.Code{"trap-unheard-of"}); err == nil || !strings.Contains(err.Error(), "trap-unheard-of") {
		t.Errorf("unknown code: got %v", err)
	}
}

func TestBrokenFilesAreRefused(t *testing.T) {
	t.Parallel()
	var into struct {
		Panels []panelEntry `toml:"panel"`
	}
	if err := decode("[[panel]]\nids = \"x\"\n", &into); err == nil {
		t.Error("unknown key: got no error")
	}
	var x index
	if err := x.addPattern(0, "("); err == nil {
		t.Error("broken regular expression of names: got no error")
	}
	for _, e := range []serverEntry{
		{Received: "("},
		{NotReceived: "("},
		{Settings: map[Kind]settingsEntry{"colour": {}}},
		{Settings: map[Kind]settingsEntry{Helo: {Notes: []result.Code{"setting-unheard-of"}}}},
	} {
		if _, err := e.server(); err == nil {
			t.Errorf("%+v: got no error", e)
		}
	}
}

// Many people's machines have names below these domains; the others are somebody's own.
func TestShared(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	for name, want := range map[string]bool{
		"vps-4711.vps.ovh.net": true, "ovh.net": true, "OVH.NET.": true, "static.7.113.0.203.clients.your-server.de": true,
		"mail-ed1-f41.google.com": true, "notovh.net": false, "ovh.net.example": false, "mail.example.org": false, "": false,
	} {
		if got := a.Shared(name); got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}
