package main

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// The password of the database may stand in its URL. No command shows it, whatever is wrong: neither the configuration
// in force nor a fault of it, nor that nobody answers there, nor --help with the values in force.
func TestNoCommandShowsThePasswordOfTheDatabase(t *testing.T) {
	t.Parallel()
	for _, place := range []string{
		"postgres://u:PW@127.0.0.1:1/d?sslmode=disable", "postgresql://127.0.0.1:1/d?user=u&password=PW&sslmode=disable", "postgres://u:PW@127.0.0.1:1/d?sslmode=nonsense",
		"host=127.0.0.1 port=1 user=u password=PW dbname=d sslmode=disable", "host=127.0.0.1 port=1 user=u password='PW' dbname=d sslmode=nonsense", "u:PW@127.0.0.1/d",
	} {
		for _, password := range []string{"S3cr3tA", "S3cr3tA%40S3cr3tB", "%53%33cr3tA", "S3cr3tA@S3cr3tB", "S3cr3tA/S3cr3tB", "S3cr3tA%zzS3cr3tB", `S3cr3tA\\S3cr3tB`} {
			dsn := strings.ReplaceAll(place, "PW", password)
			file := configFileOf(t, strings.Join([]string{`hostname = "verifier.example.org"`, `operator = "you@example.org"`, `listen = ["192.0.2.77:25"]`,
				`resolver.servers = ["127.0.0.1:1"]`, `state = "` + t.TempDir() + `"`, "store.url = " + strconv.Quote(dsn)}, "\n"))
			for _, args := range [][]string{{"config"}, {"config", "--check"}, {"serve", "--help"}, {"queue", "list"}} {
				got := play(t, t.Context(), "", append(args, "--config="+file)...)
				out := got.out + got.err
				plain, _ := url.PathUnescape(out)
				for _, text := range []string{out, plain} {
					if at := strings.Index(text, "S3cr3t"); at >= 0 {
						t.Errorf("%v with %q shows it: ...%.120s", args, dsn, text[max(0, at-40):])
					}
				}
				if args[0] == "config" && len(args) == 1 && (got.code != 0 || !strings.Contains(out, "xxxxx") || !strings.Contains(out, "# the password is not shown")) {
					t.Errorf("config with %q: exit %d, and it does not say that it is hidden", dsn, got.code)
				}
			}
		}
	}
}

// What has no password is shown as it is, and can be read again.
func TestConfigShowsAURLWithoutAPassword(t *testing.T) {
	t.Parallel()
	const dsn = `postgres://check_auth@db.example.org/check_auth?sslmode=verify-full`
	got := play(t, t.Context(), "", "config", "--config="+configFileOf(t, "store.url = \""+dsn+"\""))
	if want := "\nurl = \"" + dsn + "\"\n"; got.code != 0 || !strings.Contains(got.out, want) {
		t.Errorf("exit %d, want %q in\n%s", got.code, want, got.out)
	}
	if again := play(t, t.Context(), "", "config", "--config="+configFileOf(t, got.out)); again.out != got.out {
		t.Errorf("read again it is\n%s", again.out)
	}
	if help := play(t, t.Context(), "", "serve", "--help", "--config="+configFileOf(t, "store.url = \""+dsn+"\"")); !strings.Contains(help.out, "db.example.org") {
		t.Error("--help does not show it")
	}
}
