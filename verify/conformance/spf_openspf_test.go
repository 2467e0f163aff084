package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "blitiri.com.ar/go/spf" // its testdata is read: so that the go command has the module
	"go.yaml.in/yaml/v3"

	"checkauth/verify/dns"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// The suite of openspf.org for RFC 7208 is read twice: from a module that carries a copy, so that it
// always runs, and from where it is kept up. Both must pass whole.
const (
	openspfTests        = 203
	openspfExplanations = 22
)

func TestSPFOpenspfOfTheModule(t *testing.T) {
	t.Parallel()
	runOpenspf(t, filepath.Join(moduleDir(t, "blitiri.com.ar/go/spf"), "testdata", "rfc7208-tests.yml"))
}

func TestSPFOpenspf(t *testing.T) {
	t.Parallel()
	runOpenspf(t, Suite(t, "spf/openspf/rfc7208-tests.yml", "https://github.com/sdgathman/pyspf (test/rfc7208-tests.yml)"))
}

// moduleDir is where the go command keeps a module that go.mod names.
func moduleDir(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}

// words is one word or a list of them.
type words []string

func (w *words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*w = words{n.Value}
		return nil
	}
	return n.Decode((*[]string)(w))
}

type scenario struct {
	Description string                 `yaml:"description"`
	Tests       map[string]openspfTest `yaml:"tests"`
	Zone        map[string][]yaml.Node `yaml:"zonedata"`
}

type openspfTest struct {
	Helo        string  `yaml:"helo"`
	Host        string  `yaml:"host"`
	MailFrom    string  `yaml:"mailfrom"`
	Result      words   `yaml:"result"`
	Explanation *string `yaml:"explanation"`
}

func runOpenspf(t *testing.T, file string) {
	tests, explanations := 0, 0
	for _, s := range readScenarios(t, file) {
		z := openspfZone(t, s.Zone)
		for name, c := range s.Tests {
			tests++
			if c.Explanation != nil {
				explanations++
			}
			t.Run(s.Description+"/"+name, func(t *testing.T) {
				t.Parallel()
				checkOpenspf(t, z, c)
			})
		}
	}
	if tests != openspfTests || explanations != openspfExplanations {
		t.Errorf("%s: got %d tests with %d explanations, want %d and %d", file, tests, explanations, openspfTests, openspfExplanations)
	}
}

func checkOpenspf(t *testing.T, z dns.Resolver, c openspfTest) {
	ip, err := netip.ParseAddr(c.Host)
	if err != nil {
		t.Fatal(err)
	}
	got := spf.Evaluator{DNS: z}.Check(t.Context(), spf.Query{IP: ip, Helo: c.Helo, MailFrom: c.MailFrom})
	// Where the suite lets several words pass, the first is the one it prefers.
	if c.Result[0] != string(got.Word) {
		t.Errorf("%s from %s: got %s (%s), want %s", c.MailFrom, c.Host, got.Word, got.Reason, c.Result)
	}
	if (got.Cause != nil) != (got.Word == result.TempError || got.Word == result.PermError) {
		t.Errorf("%s: cause %v", got.Word, got.Cause)
	}
	if c.Explanation == nil {
		return
	}
	want := *c.Explanation
	if want == "DEFAULT" {
		want = ""
	}
	if got.Explanation != want {
		t.Errorf("explanation: got %q, want %q", got.Explanation, want)
	}
}

func readScenarios(t *testing.T, file string) []scenario {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []scenario
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var s scenario
		err := d.Decode(&s)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(s.Tests) > 0 {
			out = append(out, s)
		}
	}
}

func openspfZone(t *testing.T, data map[string][]yaml.Node) *zone {
	t.Helper()
	z := newZone()
	z.broken = beginsWith("error.")
	for name, entries := range data {
		if err := z.openspf(name, entries); err != nil {
			t.Fatalf("zone of %s: %v", name, err)
		}
	}
	return z
}

// openspf reads the entries of one name. A TIMEOUT in the list is for all types that do not stand
// before it; where there is no TXT, the records of type SPF are served as TXT.
func (z *zone) openspf(name string, entries []yaml.Node) error {
	owner := dns.Canonical(name)
	z.records[owner] = nil
	text := false
	for _, e := range entries {
		if e.Kind == yaml.ScalarNode {
			if e.Value != "TIMEOUT" {
				return fmt.Errorf("entry %q", e.Value)
			}
			z.timeout(owner)
			continue
		}
		if len(e.Content) != 2 {
			return fmt.Errorf("line %d: want one type and its data", e.Line)
		}
		kind, value := e.Content[0].Value, e.Content[1]
		if kind == "TIMEOUT" {
			z.timeout(owner)
			continue
		}
		text = text || kind == "TXT"
		if err := z.openspfRecord(owner, kind, value); err != nil {
			return fmt.Errorf("line %d: %w", e.Line, err)
		}
	}
	if !text {
		for _, r := range z.records[owner] {
			if r.Type == dns.SPF {
				r.Type = dns.TXT
				z.records[owner] = append(z.records[owner], r)
			}
		}
		if but, ok := z.all[owner]; ok && slices.Contains(but, dns.SPF) {
			z.all[owner] = append(but, dns.TXT)
		}
	}
	return nil
}

func (z *zone) timeout(owner string) {
	but := []dns.Type{}
	for _, r := range z.records[owner] {
		but = append(but, r.Type)
	}
	z.all[owner] = but
}

func (z *zone) openspfRecord(owner, kind string, value *yaml.Node) error {
	types := map[string]dns.Type{"A": dns.A, "AAAA": dns.AAAA, "MX": dns.MX, "PTR": dns.PTR, "CNAME": dns.CNAME, "CNAMELOOP": dns.CNAME, "TXT": dns.TXT, "SPF": dns.SPF}
	r := dns.Record{Type: types[kind]}
	switch {
	case r.Type == 0:
		return fmt.Errorf("type %q", kind)
	case value.Value == "TIMEOUT":
		z.silent[dns.Question{Name: owner, Type: r.Type}] = true
		return nil
	case kind == "CNAMELOOP": // the module's spelling of a CNAME that leads to itself
		r.Target = owner
	case kind == "A" || kind == "AAAA":
		return z.address(owner, value.Value)
	case kind == "TXT" && value.Value == "NONE":
		return nil
	case kind == "TXT" || kind == "SPF":
		var parts words
		if err := value.Decode(&parts); err != nil {
			return err
		}
		for _, p := range parts {
			r.Strings = append(r.Strings, latin1(p))
		}
	case kind == "MX":
		r.Target = dns.Canonical(value.Content[1].Value)
		if _, err := fmt.Sscan(value.Content[0].Value, &r.Pref); err != nil {
			return err
		}
	default:
		r.Target = dns.Canonical(value.Value)
	}
	z.add(owner, r)
	return nil
}

// latin1 gives the octets that the suite means: it writes "\x96" for one octet, which YAML takes for a
// code point.
func latin1(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return s
		}
		out = append(out, byte(r))
	}
	return string(out)
}
