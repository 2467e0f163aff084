package evaluate

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// statements are what the servers of a zone say to one question.
type statements struct {
	q    dns.Question
	zone string
	said []dns.Statement
}

// authoritative puts what the zones' own servers said beside what was used here.
func (e *Evaluation) authoritative(ctx context.Context) []verify.Authority {
	out := []verify.Authority{}
	slices.SortFunc(e.heard, func(x, y statements) int { return cmp.Compare(x.q.String(), y.q.String()) })
	used := e.memo.View(len(e.heard)) // all of it was asked before
	for _, h := range e.heard {
		if len(h.said) == 0 {
			continue
		}
		a := verify.Authority{Name: h.q.Name, Type: h.q.Type.String(), Zone: h.zone}
		for _, s := range h.said {
			a.Servers = append(a.Servers, server(s))
		}
		ours, err := used.Resolve(ctx, h.q)
		if err == nil {
			a.Says, a.VisibleAt = compared(h, ours)
		}
		out = append(out, a)
	}
	return out
}

func server(s dns.Statement) verify.AuthorityServer {
	out := verify.AuthorityServer{Server: s.Server, Data: []string{}, Error: s.Reason()}
	if s.HasSerial {
		out.Serial = &s.Serial
	}
	for _, r := range s.Answer.Records {
		out.Data = append(out.Data, r.Shown())
	}
	return out
}

// set is an answer's records as one text, in whatever order they came.
func set(a dns.Answer) string {
	var all []string
	for _, r := range a.Records {
		all = append(all, r.Data())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// compared tells whether the servers have what was used, and if not, when caches forget that.
func compared(h statements, ours dns.Answer) (says result.Reason, visible time.Time) {
	answered, same := 0, 0
	for _, s := range h.said {
		if s.Err == nil {
			answered++
			if set(s.Answer) == set(ours) {
				same++
			}
		}
	}
	count := strconv.Itoa(answered)
	switch {
	case answered == 0:
		return result.Because("authority-silent", "zone", result.Domain(h.zone)), visible
	case same == answered:
		return result.Because("authority-same", "zone", result.Domain(h.zone), "count", result.Ours(count)), visible
	}
	visible = ours.Forgotten().UTC().Truncate(time.Second)
	if same > 0 {
		return result.Because("authority-differ", "zone", result.Domain(h.zone), "name", result.Domain(h.q.Name)), visible
	}
	return result.Because("authority-newer", "zone", result.Domain(h.zone), "until", result.Ours(result.Clock(visible, ours.Time))), visible
}
