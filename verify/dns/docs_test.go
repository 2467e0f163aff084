package dns

import (
	"fmt"
	"testing"

	"checkauth/verify/docstest"
)

// The table of docs/abuse.md is the code's, and the test that proves each row is there.
func TestDocs(t *testing.T) {
	t.Parallel()
	table := docstest.Table{Name: "dns", Head: []string{"key", "a minute", "of what", "test"}}
	var tests []string
	for _, b := range bounds {
		table.Rows = append(table.Rows, []string{"`" + b.bound.Key() + "`", fmt.Sprintf("%d %s", b.limit(DefaultQuotas()), b.what), b.why, "`" + b.test + "`"})
		tests = append(tests, b.test)
	}
	docstest.Proved(t, tests, ".", "../evaluate")
	docstest.Tables(t, "../../docs/abuse.md", "./verify/dns", table)
}
