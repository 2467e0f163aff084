package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ours is a folder as Make makes it.
func ours(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a", "state")
	if err := Make(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMakeForUsAlone(t *testing.T) {
	t.Parallel()
	dir := ours(t)
	for _, d := range []string{dir, filepath.Dir(dir)} {
		info, err := os.Stat(d)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v, want mode 0700", d, info.Mode(), err)
		}
	}
	if err := Make(dir); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestCheckRefusesAFolderThatOthersMayEnter(t *testing.T) {
	t.Parallel()
	for mode, ok := range map[fs.FileMode]bool{
		0o700: true, 0o500: true, 0o777: false, 0o777 | fs.ModeSticky: false, 0o770: false, 0o750: false, 0o755: false, 0o701: false, 0o710: false, 0o704: false, 0o702: false, 0o720: false,
		0o2700 | fs.ModeSetgid: true,
	} {
		dir := ours(t)
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"Check": Check(dir), "Look": Look(dir), "Make": Make(dir)} {
			if ok != (err == nil) || !ok && (!errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), "chmod 700 "+dir)) {
				t.Errorf("%s of mode %v: got %v, want ok: %t", what, mode, err, ok)
			}
		}
		_ = os.Chmod(dir, 0o700)
	}
}

func TestCheckRefusesWhatIsNoFolder(t *testing.T) {
	t.Parallel()
	dir := ours(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(file); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file: got %v", err)
	}
	if err := Check(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: got %v", err)
	}
	link := filepath.Join(dir, "link") // systemd's DynamicUser has one to /var/lib/private
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := Check(link); err != nil {
		t.Errorf("a link to a good one: got %v", err)
	}
}

func TestCheckRefusesAnothersFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 { // of ours there is one, then
		if err := Check("/"); !errors.Is(err, ErrForeign) {
			t.Errorf("root's: got %v", err)
		}
		return
	}
	dir := ours(t)
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Skip(err)
	}
	err := Check(dir)
	if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "chown") {
		t.Errorf("another's: got %v, want the folder and the way out", err)
	}
	if err := Look(dir); err != nil {
		t.Errorf("root looks at the service's: got %v", err)
	}
}

// put are the things that may stand in the place of a file, each with the kind of its refusal.
var put = map[string]struct {
	make func(file, elsewhere string) error
	want error
}{
	"a link":            {func(file, elsewhere string) error { return os.Symlink(elsewhere, file) }, ErrLink},
	"a link to nowhere": {func(file, _ string) error { return os.Symlink("/nowhere/at/all", file) }, ErrLink},
	"a second name":     {func(file, elsewhere string) error { return os.Link(elsewhere, file) }, ErrLink},
	"a folder":          {func(file, _ string) error { return os.Mkdir(file, 0o700) }, ErrNoFile},
	"a pipe":            {func(file, _ string) error { return unix.Mkfifo(file, 0o600) }, ErrNoFile},
}

func TestOpenFileRefuses(t *testing.T) {
	t.Parallel()
	for what, c := range put {
		for flags, flag := range map[string]int{"to read": os.O_RDONLY, "to read and write": os.O_RDWR | os.O_CREATE, "to write": os.O_WRONLY | os.O_CREATE | os.O_TRUNC} {
			t.Run(what+" "+flags, func(t *testing.T) {
				t.Parallel()
				dir := ours(t)
				file, elsewhere := filepath.Join(dir, "lock"), filepath.Join(dir, "diary")
				if err := os.WriteFile(elsewhere, []byte("dear diary"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := c.make(file, elsewhere); err != nil {
					t.Fatal(err)
				}
				f, err := OpenFile(file, flag, 0o600)
				if f != nil || !errors.Is(err, c.want) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "remove it") {
					t.Errorf("got %v, want %v with the file and the way out", err, c.want)
				}
				if b, err := os.ReadFile(elsewhere); string(b) != "dear diary" {
					t.Errorf("the other file is %q, %v", b, err)
				}
				if err := Sound(file); what != "a second name" && !errors.Is(err, c.want) {
					t.Errorf("Sound: got %v, want %v", err, c.want)
				}
			})
		}
	}
}

func TestOpenFileRefusesAnothersFile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may look at the files of the service")
	}
	if _, err := OpenFile("/etc/passwd", os.O_RDONLY, 0); !errors.Is(err, ErrForeign) {
		t.Errorf("got %v", err)
	}
}

func TestFilesOfOurs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(ours(t), "x")
	if err := Sound(file); err != nil {
		t.Errorf("nothing there: %v", err)
	}
	if _, err := ReadFile(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing to read: got %v", err)
	}
	for _, text := range []string{"one and more", "two"} {
		if err := WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := ReadFile(file); string(b) != text {
			t.Errorf("got %q, %v, want %q", b, err, text)
		}
	}
}
