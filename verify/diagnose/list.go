package diagnose

import (
	"context"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// listFields name a mailing list: RFC 2919, RFC 2369, and what came before them.
var listFields = []string{"List-Id", "List-Post", "Mailing-List", "X-Mailing-List"}

// mailingList: the trace names a list, the author's own domain does not pass by itself, and the envelope is
// the list's: the words differ from those that the author's server would get, and only the list can mend
// that.
func mailingList(_ context.Context, q Query) (Diagnosis, bool) {
	name := listName(q.Report.Message.Fields)
	c := q.Report.Check(verify.MethodDMARC)
	if name == "" || result.Detail[dmarc.Result](c) == nil || c.Result == result.Pass {
		return Diagnosis{}, false
	}
	from := mail.ParseFrom(q.Report.Message.Fields).Domain
	spf := result.Detail[spf.Result](q.Report.Check(verify.MethodSPF))
	if from == "" || spf == nil || strings.EqualFold(spf.Domain, from) {
		return Diagnosis{}, false
	}
	f := result.Found(result.Warning, "mailing-list", "list", name, "domain", result.Domain(from), "sender", result.Domain(spf.Domain))
	f.Check = verify.MethodDMARC
	return Diagnosis{Finding: f, Explains: func(f result.Finding) bool {
		return f.Code == "spf-not-aligned" || f.Code == "dmarc-not-aligned"
	}}, true
}

// listName is what the first of the fields says, without the brackets; empty where there is none.
func listName(fields mail.Fields) string {
	at := slices.IndexFunc(listFields, func(name string) bool { return fields.Value(name) != "" })
	if at < 0 {
		return ""
	}
	value := fields.Value(listFields[at])
	if _, id, ok := strings.Cut(value, "<"); ok {
		value, _, _ = strings.Cut(id, ">")
	}
	return result.Cut(strings.TrimPrefix(value, "mailto:"), 100)
}
