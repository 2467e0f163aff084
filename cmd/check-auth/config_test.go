package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func configFileOf(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBadConfigurationIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		say        []string
	}{
		{"an unknown key", "hostname = \"a.example\"\n[smtp]\nmesage = \"1MiB\"\n", []string{"line 3", `"smtp.mesage"`, `did you mean "smtp.message"`}},
		{"two unknown keys at once", "foo = 1\nbar = 2\n", []string{"line 1", "line 2"}},
		{"a wrong type", "listen = \"0.0.0.0:25\"\n", []string{"line 1", "listen", `["a", "b"]`}},
		{"a bad time", "[smtp]\ncommand = \"five\"\n", []string{"line 2", "smtp.command", `"30s"`}},
		{"a time of zero", "[smtp]\ncommand = \"0s\"\n", []string{"line 2", "smtp.command", "above zero"}},
		{"a bound of zero", "[smtp]\n\nrecipients = 0\n", []string{"line 3", "smtp.recipients", "above zero", "unlimited"}},
		{"a negative bound", "[smtp]\nmessage = -1\n", []string{"line 2", "smtp.message", "above zero"}},
		{"a number of zero", "[evaluate]\nsignatures = 0\n", []string{"line 2", "evaluate.signatures", "above zero"}},
		{"a broken line", "hostname = \"a\nlisten = []\n", []string{"line 1"}},
		{"a public address without an operator", "listen = [\"0.0.0.0:2525\"]\n", []string{"operator", "0.0.0.0:2525"}},
		{"a proxy listener that trusts nobody", "[proxy]\nlisten = [\"127.0.0.1:0\"]\n", []string{"proxy.trusted"}},
		{"half a certificate", "[tls]\nkey = \"k.pem\"\n", []string{"certificate and key go together"}},
		{"an envelope sender without a relay", "[deliver]\nenvelope-from = \"you@example.org\"\n", []string{"line 2", "deliver.envelope-from", "without deliver.relay"}},
		{"an envelope sender that we answer", "hostname = \"v.example\"\n[deliver]\nrelay = \"smtp.example.org:25\"\nenvelope-from = \"check-auth@V.example\"\n", []string{"line 4", "deliver.envelope-from", "mail loop"}},
		{"an envelope sender that is no address", "[deliver]\nrelay = \"smtp.example.org:25\"\nenvelope-from = \"you\"\n", []string{"line 3", "deliver.envelope-from", "want an address"}},
		{"a relay without a port", "[deliver]\nrelay = \"smtp.example.org\"\n", []string{"line 2", "deliver.relay", "HOST:PORT"}},
		{"a name that is none", "hostname = \"b\u00fccher\u00ad.example\"\n", []string{"line 1", "hostname"}},
		{"neither of two words", "[smtp]\nloopback-clients = \"yes\"\n", []string{"line 2", "smtp.loopback-clients", "\"yes\"", "refuse or evaluate"}},
		{"faults in two places", "hostname = \"a b\"\n[log]\nlevel = \"loud\"\n", []string{"line 1", "hostname", "line 3", "log.level"}},
		{"no part of a reply", "[reply]\nparts = [\"html\", \"pdf\"]\n", []string{"line 2", "reply.parts", "\"pdf\"", "html, json, headers"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := configFileOf(t, c.text)
			for _, command := range []string{"serve", "config"} {
				got := play(t, t.Context(), "", command, "--config", file)
				if got.code != exitConfig {
					t.Fatalf("%s: got exit %d (%s), want %d", command, got.code, got.err, exitConfig)
				}
				for _, want := range c.say {
					if !strings.Contains(got.err, want) {
						t.Errorf("%s: the error does not say %q:\n%s", command, want, got.err)
					}
				}
				if strings.Contains(got.err, "main.") {
					t.Errorf("%s: a name of the program's own types reached the user:\n%s", command, got.err)
				}
			}
		})
	}
}

// What config prints is a file that config takes, and changes nothing.
func TestConfigIsItsOwnInput(t *testing.T) {
	t.Parallel()
	first := play(t, t.Context(), "", "config", "--config", configFileOf(t, `
hostname = "verifier.example.org"
operator = "you@example.org"
listen = ["0.0.0.0:25", "[::]:25"]
state = "/var/lib/check-auth"
[smtp]
recipients = 3
commands = "unlimited"
message = 5242880
[deliver]
retries = ["10s", "2h"]
[proxy]
trusted = ["192.0.2.0/24", "2001:db8::/32"]
`))
	if first.code != 0 {
		t.Fatalf("exit %d: %s", first.code, first.err)
	}
	second := play(t, t.Context(), "", "config", "--config", configFileOf(t, first.out))
	if second.code != 0 || second.out != first.out {
		t.Errorf("exit %d (%s); first\n%s\nsecond\n%s", second.code, second.err, first.out, second.out)
	}
	for _, want := range []string{"recipients = 3\n", `commands = "unlimited"`, `message = "5MiB"`, `retries = ["10s", "2h"]`, `trusted = ["192.0.2.0/24", "2001:db8::/32"]`} {
		if !strings.Contains(first.out, want) {
			t.Errorf("no %q in\n%s", want, first.out)
		}
	}
}

func TestFlagsWinOverTheFile(t *testing.T) {
	t.Parallel()
	file := configFileOf(t, "[smtp]\nmessage = \"5MiB\"\n")
	got := play(t, t.Context(), "", "serve", "--config", file, "--help")
	if !strings.Contains(got.out, "--smtp-message=5MiB") {
		t.Errorf("help does not show what is in force:\n%s", got.out)
	}
	got = play(t, t.Context(), "", "serve", "--config", file, "--smtp-recipients=0")
	if got.code == 0 || !strings.Contains(got.err, "above zero") {
		t.Errorf("a flag of zero: exit %d, %s", got.code, got.err)
	}
}

// Each key has its flag, or the file's value would not reach the service.
func TestEveryKeyIsAFlag(t *testing.T) {
	t.Parallel()
	s := defaults(func(string) string { return "" })
	help := play(t, t.Context(), "", "serve", "--help").out
	for _, f := range s.all() {
		if !regexp.MustCompile(`--(\[no-\])?` + f.flag() + `\b`).MatchString(help) {
			t.Errorf("%s: serve has no --%s", f.key, f.flag())
		}
	}
}
