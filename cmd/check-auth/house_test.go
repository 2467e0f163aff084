package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// allowed names, for each folder, what of ours its packages may import; the longest match counts. Data
// flows one way, and so do imports.
var allowed = map[string][]string{
	"verify/naming":      {},
	"verify/share":       {"verify/naming"},
	"verify/result":      {},
	"verify/panics":      {},
	"verify/docstest":    {}, // for tests
	"verify/mail":        {"verify/naming", "verify/result"},
	"verify/dns":         {"verify/naming", "verify/panics", "verify/share", "verify/result"},
	"verify/dns/client":  {"verify/naming", "verify/panics", "verify/dns", "verify/result"},
	"verify/dns/dnstest": {"verify/dns", "verify/dns/client", "verify/result"},
	"verify/spf":         leaves,
	"verify/dkim":        append([]string{"verify/share"}, leaves...),
	"verify/dmarc":       append([]string{"verify/typo"}, leaves...),
	"verify/iprev":       leaves,
	"verify/helo":        leaves,
	"verify/transport":   leaves,
	"verify/arc":         append([]string{"verify/dkim", "verify/share"}, leaves...),
	"verify/header":      leaves,
	"verify/typo":        {},
	"verify/tomlfile":    {"verify/typo"},
	"verify/dane":        leaves,
	"verify/mtasts":      leaves,
	"verify/inbound":     append([]string{"verify/dane", "verify/mtasts"}, leaves...),
	"verify/dnsbl":       leaves,
	"verify/spam":        leaves,
	"verify":             {"verify/mail", "verify/result"},
	"verify/diagnose":    append([]string{"verify", "verify/spf", "verify/dkim", "verify/dmarc", "verify/iprev", "verify/helo"}, leaves...),
	"verify/receivers":   append([]string{"verify", "verify/header", "verify/helo", "verify/spf", "verify/dkim", "verify/dmarc", "verify/tomlfile"}, leaves...),
	"verify/standing":    append([]string{"verify", "verify/known", "verify/spf", "verify/dkim", "verify/dmarc", "verify/iprev"}, leaves...),
	"verify/known":       append([]string{"verify/tomlfile"}, leaves...),
	"verify/visible":     leaves,
	"verify/advise":      append([]string{"verify", "verify/receivers", "verify/standing", "verify/known", "verify/spf", "verify/dkim", "verify/dmarc", "verify/helo", "verify/iprev", "verify/typo"}, leaves...),
	"verify/evaluate":    {"verify"},
	"templates":          {"verify/tomlfile"},
	"smtpd":              {"reply", "smtpd", "smtpd/front", "verify", "verify/naming", "verify/panics", "verify/share", "verify/mail", "verify/result"},
	"reply":              {"verify", "verify/mail", "verify/naming", "verify/share"},
	"reply/folder":       {},
	"reply/sign":         {"reply/folder"},
	"reply/policy":       {"reply", "verify"},
	"reply/compose":      {"reply", "reply/policy", "reply/sign", "templates", "verify", "verify/mail", "verify/naming", "verify/receivers", "verify/result", "verify/standing"}, // and so knows no check
	"reply/store":        {"reply", "reply/store", "verify/naming", "verify/panics"},
	"reply/deliver":      {"reply", "verify/naming", "verify/panics", "verify/share", "verify/dns", "verify/dane", "verify/mtasts", "verify/inbound", "verify/result"},
	"reply/respond":      {"reply", "verify"},
	"cmd":                {"cmd", "smtpd", "verify", "reply", "templates"},
}

var leaves = []string{"verify/naming", "verify/panics", "verify/result", "verify/mail", "verify/dns"}

// whole: these may import everything below a folder, the rest the named packages alone.
var whole = map[string]bool{"verify/evaluate": true, "reply/policy": true, "reply/respond": true, "cmd": true, "reply/store": true, "reply/deliver": true}

func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	seen := 0
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "conformance" || d.Name() == "tools" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(files, file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(strings.TrimPrefix(filepath.ToSlash(file), "../../"))
		rule, ok := ruleFor(dir)
		if !ok {
			t.Errorf("%s: no rule says what it may import", dir)
			return nil
		}
		for _, i := range f.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			ours, found := strings.CutPrefix(p, "checkauth/")
			if !found {
				if p == "github.com/miekg/dns" && !strings.HasPrefix(dir, "verify/dns/") {
					t.Errorf("%s imports miekg/dns: verify/dns/client and dnstest alone do", dir)
				}
				continue
			}
			seen++
			if !permits(rule, dir, ours) {
				t.Errorf("%s imports %s; it may import %v", dir, ours, allowed[rule])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Fatalf("%d imports seen: the search is broken", seen)
	}
}

// ruleFor is the longest entry of allowed that the folder is or is below.
func ruleFor(dir string) (string, bool) {
	for d := dir; d != "."; d = path.Dir(d) {
		if _, ok := allowed[d]; ok {
			return d, true
		}
	}
	return "", false
}

func permits(rule, dir, ours string) bool {
	for _, a := range allowed[rule] {
		if ours == a || whole[rule] && strings.HasPrefix(ours, a+"/") {
			return true
		}
	}
	// Packages below a room are the room's own.
	return dir != ours && strings.HasPrefix(ours, rule+"/") && rule != "verify" && rule != "reply"
}
