package advise

import (
	"context"

	"checkauth/verify/result"
)

// formRules are the findings of a message that begins with something else than its header: before that is fixed
// receivers see another mail than was written.
var formRules = map[result.Code][2]result.Reason{
	"header-empty-line-first": {result.Because("action-empty-line"), result.Because("why-empty-line")},
	"header-bom":              {result.Because("action-bom"), result.Because("why-bom", "field", result.Ours(""))},
}

func (a *adviser) form(context.Context) (out []candidate) {
	for _, f := range a.Report.Findings {
		if rule, ok := formRules[f.Code]; ok {
			c := host(outage, rule[0], f.Code)
			c.Why = rule[1]
			c.Why.Args = f.Args
			out = append(out, c)
		}
	}
	return out
}
