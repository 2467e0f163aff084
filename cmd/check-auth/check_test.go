package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns/dnstest"
)

func TestNamesThatNobodyCanUse(t *testing.T) {
	t.Parallel()
	const operator, host = "operator = \"you@example.org\"\n", "hostname = \"verifier.example.org\"\n"
	for _, c := range []struct {
		name, text string
		say        []string // none: it is taken
	}{
		{"all is well", host + operator, nil},
		{"the default", operator, []string{"hostname", "localhost", "PTR record"}},
		{"localhost in other words", "hostname = \"LOCALHOST.localdomain\"\n" + operator, []string{"line 2", "every machine"}},
		{"an address", "hostname = \"192.0.2.25\"\n" + operator, []string{"line 2: hostname", "is an address"}},
		{"an address with a dot", "hostname = \"192.0.2.25.\"\n" + operator, []string{"line 2: hostname", "is an address"}},
		{"an address in brackets", "hostname = \"[192.0.2.25]\"\n" + operator, []string{"line 2: hostname", "want this machine's name"}},
		{"one label", "hostname = \"verifier\"\n" + operator, []string{"line 2: hostname", "one label"}},
		{"a container's id", "hostname = \"0f3b21c7d9aa\"\n" + operator, []string{"one label"}},
		{"a last dot", "hostname = \"verifier.example.org.\"\n" + operator, nil},
		{"two last dots", "hostname = \"verifier.example.org..\"\n" + operator, []string{"want this machine's name"}},
		{"an underscore", "hostname = \"my_verifier.example.org\"\n" + operator, []string{"want this machine's name"}},
		{"a slash", "hostname = \"verifier/example.org\"\n" + operator, []string{"want this machine's name"}},
		{"a domain that is none", host + operator + "domains = [\"a b\"]\n", []string{"line 4: domains"}},

		{"no operator", host, []string{"operator", "postmaster"}},
		{"a name before the address", host + "operator = \"Jane Doe <you@example.org>\"\n", []string{"line 3: operator", `the address alone: "you@example.org"`}},
		{"brackets", host + "operator = \"<you@example.org>\"\n", []string{`the address alone: "you@example.org"`}},
		{"two addresses", host + "operator = \"you@example.org, me@example.net\"\n", []string{"want one address"}},
		{"no domain", host + "operator = \"you@\"\n", []string{"want your address"}},
		{"no address", host + "operator = \"you\"\n", []string{"want your address"}},
		{"a blank", host + "operator = \"you @example.org\"\n", []string{"line 3: operator"}},
		{"a line more", host + "operator = \"you@example.org\\r\\nDATA\"\n", []string{"want your address"}},
		{"an address without its brackets", host + "operator = \"you@192.0.2.1\"\n", []string{"want your address"}},
		{"an address literal", host + "operator = \"you@[198.51.100.1]\"\n", nil},
		{"no address literal", host + "operator = \"you@[198.51.100]\"\n", []string{"want your address"}},

		{"a loop over the hostname", host + "operator = \"postmaster@Verifier.example.org\"\n", []string{"line 3: operator", "come back here"}},
		{"a loop over the service address", host + "operator = \"check-auth@verifier.example.org\"\n", []string{"come back here"}},
		{"a loop over a domain", host + "operator = \"you@example.org\"\ndomains = [\"a.example\", \"Example.ORG.\"]\n", []string{"come back here"}},
		{"a loop over a domain's other spelling", host + "operator = \"you@bücher.example\"\ndomains = [\"xn--bcher-kva.example\"]\n", []string{"come back here"}},
		{"a loop over an address that we listen on", host + "operator = \"you@[192.0.2.25]\"\n", []string{"address of this machine"}},
		{"a loop over loopback", host + "operator = \"you@[IPv6:::1]\"\n", []string{"address of this machine"}},

		{"a service with a blank", host + operator + "[reply]\nservice = \"check auth\"\n", []string{"line 5: reply.service", "before the @"}},
		{"a service with an @", host + operator + "[reply]\nservice = \"check@auth\"\n", []string{"reply.service"}},
		{"a service with a plus", host + operator + "[reply]\nservice = \"check+auth\"\n", []string{"reply.service"}},
		{"no service", host + operator + "[reply]\nservice = \"\"\n", []string{"reply.service"}},
		{"a From with a dot at its end", host + operator + "[reply]\nfrom = \"results.\"\n", []string{"line 5: reply.from"}},
		{"a From in capitals", host + operator + "[reply]\nfrom = \"Auth-Results\"\n", nil},
		{"a service for postmaster", host + operator + "[reply]\nservice = \"Postmaster\"\n", []string{"line 5: reply.service", "postmaster"}},
		{"a service for abuse", host + operator + "[reply]\nservice = \"abuse\"\n", []string{"line 5: reply.service", "abuse"}},
		{"one name for both", host + operator + "[reply]\nservice = \"check\"\nfrom = \"Check\"\n", []string{"line 6: reply.from", "would be a test"}},
		{"a From that stops replies", host + operator + "[reply]\nservice = \"check\"\nfrom = \"check-stop\"\n", []string{"reply.from"}},
		{"a selector with a slash", host + operator + "[reply]\nselector = \"../key\"\n", []string{"line 5: reply.selector"}},
		{"a selector with a blank", host + operator + "[reply]\nselector = \"a b\"\n", []string{"reply.selector"}},

		{"a relay that is ourselves", host + operator + "[deliver]\nrelay = \"192.0.2.25:25\"\n", []string{"line 5: deliver.relay", "come back here"}},
		{"a relay by our name", host + operator + "[deliver]\nrelay = \"verifier.example.org:25\"\n", []string{"deliver.relay", "come back here"}},
		{"a relay beside us", host + operator + "[deliver]\nrelay = \"127.0.0.1:25\"\n", nil},
		{"a relay without a number", host + operator + "[deliver]\nrelay = \"mail.example.org:smtp\"\n", []string{"deliver.relay", "HOST:PORT"}},
		{"an EHLO name that is none", host + operator + "[deliver]\nhelo = \"a b\"\n", []string{"line 5: deliver.helo"}},
		{"a source that is none", host + operator + "[deliver]\nsource = [\"eth0\"]\n", []string{"line 5: deliver.source"}},
		{"a spamd without a port", host + operator + "[evaluate]\nspamd = \"localhost\"\n", []string{"line 5: evaluate.spamd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, t.Context(), "", "config", "--config", configFileOf(t, "listen = [\"192.0.2.25:25\"]\n"+c.text))
			if want := map[bool]int{true: 0, false: exitConfig}[c.say == nil]; got.code != want {
				t.Fatalf("exit %d (%s), want %d", got.code, got.err, want)
			}
			for _, want := range c.say {
				if !strings.Contains(got.err, want) {
					t.Errorf("it does not say %q:\n%s", want, got.err)
				}
			}
		})
	}
}

// On loopback, for a try, the names need not be known to anybody else.
func TestNamesOfATry(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"localhost", "verifier", "127.0.0.1"} {
		if got := play(t, t.Context(), "", "config", "--config", configFileOf(t, "hostname = \""+host+"\"\n")); got.code != 0 {
			t.Errorf("%s: exit %d, %s", host, got.code, got.err)
		}
	}
}

// A last dot does no harm where it is taken off.
func TestLastDotIsTakenOff(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "--hostname=verifier.example.", "--deliver-helo=out.example.", "--resolver-servers=127.0.0.1:1")
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := make([]byte, 100)
	n, err := conn.Read(b)
	if err != nil || !strings.HasPrefix(string(b[:n]), "220 verifier.example ") {
		t.Errorf("the greeting is %q (%v)", b[:n], err)
	}
	s := defaults(func(string) string { return "" })
	s.Hostname, s.Deliver.Helo = "a.example.", "b.example."
	if err := s.check(); err != nil || s.Hostname != "a.example" || s.Deliver.Helo != "b.example" || len(s.warnings) != 2 {
		t.Errorf("got %q, %q, warnings %v, %v", s.Hostname, s.Deliver.Helo, s.warnings, err)
	}
	s = defaults(func(string) string { return "" })
	s.Hostname, s.Deliver.Helo = "prüfer.example", "Straße.example"
	if err := s.check(); err != nil || s.Hostname != "xn--prfer-lva.example" || s.Deliver.Helo != "xn--strae-oqa.example" || len(s.warnings) != 0 {
		t.Errorf("in U-labels: got %q, %q, warnings %v, %v", s.Hostname, s.Deliver.Helo, s.warnings, err)
	}
}

// checked is a configuration of which everything is there, with lines added to it.
func checked(t *testing.T, state string, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	writePair(t, dir, "verifier.example.org", time.Now())
	return configFileOf(t, strings.Join(append([]string{
		`hostname = "verifier.example.org"`, `operator = "you@example.org"`, `listen = ["0.0.0.0:25", "[::]:25"]`, `state = "` + state + `"`,
		`resolver.servers = ["127.0.0.1:1"]`, `tls.certificate = "` + dir + `/fullchain.pem"`, `tls.key = "` + dir + `/privkey.pem"`,
	}, more...), "\n"))
}

func TestConfigCheck_all_is_well(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	got := play(t, t.Context(), "", "config", "--check", "--config", checked(t, filepath.Join(parent, "state")))
	if got.code != 0 || !strings.Contains(got.out, "nothing is wrong") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

// The problem of each line is told, all at once, with the line.
func TestConfigCheck_tells_all(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"words/en.toml": "no-such-code = \"x\"\n", "receivers.toml": "nonsense = 1\n", "empty": "\n", "check-auth.key": "dear diary\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.ReadDir(dir)
	file := checked(t, dir, `reply.templates = "`+dir+`"`, `evaluate.receivers = "`+dir+`/receivers.toml"`,
		`deliver.relay = "192.0.2.1:465"`, `deliver.relay-user = "a"`, `deliver.relay-password-file = "`+dir+`/empty"`,
		`store.url = "postgres://a@127.0.0.1:1/b?sslmode=disable"`)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "/privkey.pem", "/none.pem", 1))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got := play(t, t.Context(), "", "config", "--check", "--config", file)
	if got.code != exitConfig {
		t.Errorf("exit %d", got.code)
	}
	for _, want := range []string{
		"line 4: state: DKIM key", "line 7: tls.key \"", "line 8: reply.templates", "no-such-code", "line 9: evaluate.receivers", "nonsense",
		"line 12: deliver.relay-password-file", "first line is empty", "line 13: store.url", "the database is away",
	} {
		if !strings.Contains(got.err, want) {
			t.Errorf("it does not say %q:\n%s", want, got.err)
		}
	}
	if after, _ := os.ReadDir(dir); len(after) != len(before) {
		t.Errorf("the folder has %v, had %v", after, before)
	}
}

func TestConfigCheck_asks_the_database(t *testing.T) {
	t.Parallel()
	got := play(t, t.Context(), "", "config", "--check", "--config", checked(t, t.TempDir(), `store.url = "postgres://a@127.0.0.1:1/b?sslmode=disable"`))
	if got.code != exitConfig || !strings.Contains(got.err, "line 8: store.url") || !strings.Contains(got.err, "the database is away") {
		t.Errorf("exit %d, %s", got.code, got.err)
	}
}

// It works while the service runs, which notices nothing, and says what it did not look at.
func TestConfigCheck_beside_the_service(t *testing.T) {
	t.Parallel()
	world, state := dnstest.New(t, serveZone), t.TempDir()
	p := start(t, state, "--resolver-servers="+world.Addr().String())
	names := func() (out []string) {
		entries, err := os.ReadDir(state)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	before := names()
	got := play(t, t.Context(), "", "config", "--check", "--config", checked(t, state))
	if got.code != 0 || !strings.Contains(got.out, "not checked: the queue in "+state+": process ") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("the state folder has %v, had %v", after, before)
	}
	if code, text := dialogue(t, p.addr, "", "check-auth@verifier.example", mailOf(1)); code != 250 {
		t.Errorf("then the service answers %d %s", code, text)
	}
}

// A start refuses what config --check refuses, but for the certificate, and the database that it waits for.
func TestConfigCheck_is_what_a_start_does(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := strings.Join([]string{`hostname = "verifier.example.org"`, `operator = "you@example.org"`, `state = "` + dir + `"`,
		`reply.templates = "/nonexist"`, `evaluate.receivers = "/nonexist.toml"`}, "\n")
	for _, args := range [][]string{{"serve"}, {"config", "--check"}} {
		got := play(t, t.Context(), "", append(args, "--config", configFileOf(t, text))...)
		for _, want := range []string{"line 4: reply.templates", "make the folder", "line 5: evaluate.receivers"} {
			if got.code != exitConfig || !strings.Contains(got.err, want) {
				t.Errorf("%v: exit %d, want %q:\n%s", args, got.code, want, got.err)
			}
		}
	}
}
