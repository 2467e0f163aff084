package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"checkauth/reply/sign"
)

// inState is a configuration with that state folder, for commands that look at it or start on it.
func inState(t *testing.T, dir string) string {
	t.Helper()
	return configFileOf(t, strings.Join([]string{`hostname = "verifier.example.org"`, `operator = "you@example.org"`, `listen = ["192.0.2.77:25"]`,
		`resolver.servers = ["127.0.0.1:1"]`, `state = "` + dir + `"`}, "\n"))
}

// The folder has strangers' mail and the DKIM key in it. Who finds it open to others cannot know what they have put
// there, so neither a start nor a look takes it.
func TestStateFolderOpenToOthersIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o777, 0o777 | os.ModeSticky, 0o770, 0o755, 0o750, 0o711, 0o704} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"serve"}, {"config", "--check"}} {
			got := play(t, t.Context(), "", append(args, "--config="+inState(t, dir))...)
			for _, want := range []string{"line 5: state", dir, "others may enter it", "chmod 700 " + dir} {
				if got.code != exitConfig || !strings.Contains(got.err, want) {
					t.Errorf("%v with mode %v: exit %d, want %d and %q:\n%s", args, mode, got.code, exitConfig, want, got.err)
				}
			}
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("mode %v: it left %v there", mode, left)
		}
	}
}

func TestStateFolderOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make one")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Skip(err)
	}
	got := play(t, t.Context(), "", "serve", "--config="+inState(t, dir))
	for _, want := range []string{"line 5: state", dir, "another user's", "start the service as that user"} {
		if got.code != exitConfig || !strings.Contains(got.err, want) {
			t.Errorf("serve: exit %d, want %d and %q:\n%s", got.code, exitConfig, want, got.err)
		}
	}
	if got := play(t, t.Context(), "", "config", "--check", "--config="+inState(t, dir)); got.code != 0 {
		t.Errorf("root looks: exit %d\n%s", got.code, got.err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("it left %v there", left)
	}
}

// A service makes its folder as systemd does (StateDirectoryMode of deploy/check-auth.service), whatever the umask is.
func TestStateFolderIsMadeForUsAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lib", "check-auth")
	if got := play(t, t.Context(), "", "serve", "--config="+inState(t, dir)); got.code != exitTemp { // no such address
		t.Fatalf("exit %d, %s", got.code, got.err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v, want mode 0700", info.Mode(), err)
	}
	unit, err := os.ReadFile("../../deploy/check-auth.service")
	if err != nil || !strings.Contains(string(unit), "\nStateDirectoryMode=0700\n") {
		t.Errorf("the unit makes another one (%v)", err)
	}
}

// No file of the folder is reached through a link: whoever made it would have us empty, or fill, a file of ours
// elsewhere, or read one.
func TestLinksInTheStateFolderAreRefused(t *testing.T) {
	t.Parallel()
	// What every command does with the file is another matter: all must refuse, but where they do not use it.
	serve, check, list := []string{"serve"}, []string{"config", "--check"}, []string{"queue", "list"}
	for file, commands := range map[string][][]string{
		"lock": {serve, check}, "check-auth.dns": {serve, check}, "check-auth.key": {serve, check},
		"queue.db": {serve, check, list}, "queue.db-wal": {serve, check, list}, "queue.db-shm": {serve, check, list}, "queue.db-journal": {serve, check, list},
	} {
		for _, target := range []string{"diary", "nowhere"} {
			for _, args := range commands {
				t.Run(strings.Join(append(args, file, target), " "), func(t *testing.T) {
					t.Parallel()
					dir, elsewhere := t.TempDir(), t.TempDir()
					if _, _, err := sign.Open(dir, "verifier.example.org", "check-auth"); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, "queue.db"), []byte("any queue"), 0o600); err != nil {
						t.Fatal(err)
					}
					diary := filepath.Join(elsewhere, "diary")
					if err := os.WriteFile(diary, []byte("dear diary"), 0o600); err != nil {
						t.Fatal(err)
					}
					name := filepath.Join(dir, file)
					_ = os.Remove(name)
					if err := os.Symlink(filepath.Join(elsewhere, target), name); err != nil {
						t.Fatal(err)
					}
					got := play(t, t.Context(), "", append(args, "--config="+inState(t, dir))...)
					for _, want := range []string{name, "it is a link (to \"" + filepath.Join(elsewhere, target) + "\")", "remove it"} {
						if got.code != exitConfig || !strings.Contains(got.err, want) {
							t.Errorf("exit %d, want %d and %q:\n%s", got.code, exitConfig, want, got.err)
						}
					}
					if b, err := os.ReadFile(diary); string(b) != "dear diary" {
						t.Errorf("the other file is now %q, %v", b, err)
					}
					if _, err := os.Stat(filepath.Join(elsewhere, "nowhere")); !errors.Is(err, os.ErrNotExist) {
						t.Errorf("a file was made elsewhere (%v)", err)
					}
				})
			}
		}
	}
}
