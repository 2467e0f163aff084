package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite what is made of the program's own output: deploy/config.toml and the table of README.md")

const readme = "../../README.md"

// shipped is the configuration that deploy/ has: the README's four lines over the defaults.
const shipped = `hostname = "verifier.example.org"
operator = "you@example.org"
listen = ["0.0.0.0:25", "[::]:25"]
state = "/var/lib/check-auth"
`

func TestShippedConfigurationIsWhatConfigPrints(t *testing.T) {
	t.Parallel()
	got := play(t, t.Context(), "", "config", "--config", configFileOf(t, shipped))
	if got.code != 0 {
		t.Fatal(got.err)
	}
	same(t, "../../deploy/config.toml", "# Every key of check-auth with its default. What you leave out keeps it.\n\n"+got.out)
}

// The README's table of configuration is made of the settings themselves.
func TestReadmeHasEveryKey(t *testing.T) {
	t.Parallel()
	s := defaults(func(string) string { return "" })
	s.State = "" // it depends on who asks
	var table strings.Builder
	table.WriteString("| key | default | what it is |\n| --- | --- | --- |\n")
	for _, f := range s.all() {
		value := "`" + f.toml() + "`"
		if f.key == "state" {
			value = "systemd's `STATE_DIRECTORY`, else `~/.local/state/check-auth`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", f.key, value, f.help)
	}
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- configuration -->\n", "<!-- /configuration -->"
	before, rest, found := strings.Cut(string(b), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no %s", readme, begin)
	}
	same(t, readme, before+begin+table.String()+end+after)
}

func same(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte(want)) {
		t.Errorf("%s is not what the program says; go test ./cmd/check-auth -update rewrites it. Want:\n%s", file, want)
	}
}

// Every block of TOML in the README is taken, and every check-auth command line names flags that there
// are.
func TestReadmeIsTrue(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	blocks := regexp.MustCompile("(?s) *```toml\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) < 2 {
		t.Fatalf("%d blocks of TOML in the README: the search is broken", len(blocks))
	}
	for _, m := range blocks {
		var s = defaults(func(string) string { return "" })
		file := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(file, []byte(m[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.load(file); err != nil {
			t.Errorf("block of the README:\n%s\n%v", m[1], err)
		}
	}
	help := map[string]string{}
	for _, c := range []string{"demo", "serve", "verify", "explain", "visible", "spf", "dkim", "dmarc", "keygen", "config"} {
		help[c] = play(t, t.Context(), "", c, "--help").out
	}
	lines := regexp.MustCompile(`(?:cmd/|\x60)?check-auth (demo|serve|verify|explain|visible|spf|dkim|dmarc|keygen|config)\b([^\x60\n]*)`).FindAllStringSubmatch(text, -1)
	if len(lines) < 4 {
		t.Fatalf("%d command lines in the README: the search is broken", len(lines))
	}
	for _, m := range lines {
		for _, f := range regexp.MustCompile(`--[a-z-]+`).FindAllString(m[2], -1) {
			if !strings.Contains(help[m[1]], f) {
				t.Errorf("README: check-auth %s%s: %s has no %s", m[1], m[2], m[1], f)
			}
		}
	}
}

// What differs from run to run: times, report ids, message ids.
var varying = regexp.MustCompile(`\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d|\b[a-z2-7]{26}\b|\d\d:\d\d UTC`)

// The README shows the demo as it really is: each line of a block that begins with an answer of the demo
// stands in its output, in that order; [...] stands for what is left out.
func TestReadmeShowsTheDemo(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\n```\n((?:250|550).*?)```").FindAllStringSubmatch(string(b), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks in the README that show an answer, want 2", len(blocks))
	}
	for i, name := range []string{"story", "forgery"} {
		got := varying.ReplaceAllString(play(t, t.Context(), "", "demo", "--case", name).out, "*")
		lines := strings.Split(strings.ReplaceAll(got, "    | ", ""), "\n")
		for line := range strings.Lines(blocks[i][1]) {
			line = varying.ReplaceAllString(strings.TrimRight(line, "\n"), "*")
			if strings.Trim(line, " ") == "[...]" || line == "" {
				continue
			}
			at := slices.Index(lines, line)
			if at < 0 {
				t.Errorf("README, demo %s: the demo does not print %q there", name, line)
				continue
			}
			lines = lines[at+1:]
		}
	}
}
