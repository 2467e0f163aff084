package smtpd

import (
	"fmt"
	"testing"

	"checkauth/verify/docstest"
)

// The table of docs/abuse.md is the code's, and the test that proves each row is there.
func TestDocs(t *testing.T) {
	t.Parallel()
	table := docstest.Table{Name: "smtpd", Head: []string{"key", "at once", "the client hears", "of what", "test"}}
	var tests []string
	for _, p := range pots {
		table.Rows = append(table.Rows, []string{"`" + p.key + "`", fmt.Sprintf("%d %s", p.size(Defaults()), p.unit),
			fmt.Sprintf("%d %d.%d.%d", p.code, p.enhanced[0], p.enhanced[1], p.enhanced[2]), p.why, "`" + p.test + "`"})
		tests = append(tests, p.test)
	}
	docstest.Proved(t, tests, ".")
	docstest.Tables(t, "../docs/abuse.md", "./smtpd", table)
}
