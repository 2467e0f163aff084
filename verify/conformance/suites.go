// Package conformance runs suites that others wrote against our checks. It is a module of its own, so
// that the product depends on no peer and holds no file of theirs.
package conformance

import (
	"os"
	"path/filepath"
	"testing"
)

// Suite gives the path of a file below the folder named by CHECK_AUTH_SUITES. Where the folder is not
// set, the test is skipped with where the suite can be had; with CHECK_AUTH_SUITES_REQUIRED=1 a missing
// suite is a failure.
func Suite(t testing.TB, path, origin string) string {
	t.Helper()
	root := os.Getenv("CHECK_AUTH_SUITES")
	required := os.Getenv("CHECK_AUTH_SUITES_REQUIRED") == "1"
	full := filepath.Join(root, filepath.FromSlash(path))
	_, err := os.Stat(full)
	switch {
	case root != "" && err == nil:
		return full
	case required:
		t.Fatalf("suite %s is required, but not below CHECK_AUTH_SUITES=%q; it comes from %s", path, root, origin)
	default:
		t.Skipf("set CHECK_AUTH_SUITES to a folder with %s; it comes from %s", path, origin)
	}
	return ""
}
