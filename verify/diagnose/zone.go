package diagnose

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"checkauth/verify"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns"
	"checkauth/verify/panics"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// suspect is a record that decided a failure.
type suspect struct {
	q        dns.Question
	method   string
	explains func(result.Finding) bool
	mended   func(spf result.Word, dkim []result.Word) bool
}

// maxSuspects are looked at, the sender's own record first.
const maxSuspects = 3

// suspects of a report: the SPF record where SPF does not pass, the keys of signatures that do not verify.
func suspects(r *verify.Report) (out []suspect) {
	if c := r.Check(verify.MethodSPF); result.Detail[spf.Result](c) != nil && bad(c.Result) {
		out = append(out, suspect{
			q: dns.Ask(result.Detail[spf.Result](c).Domain, dns.TXT), method: verify.MethodSPF,
			explains: func(f result.Finding) bool { return f.Check == verify.MethodSPF && f.Severity != result.Info },
			mended:   func(spf result.Word, _ []result.Word) bool { return spf == result.Pass },
		})
	}
	for i, c := range r.All(verify.MethodDKIM) {
		if result.Detail[dkim.Signature](c) == nil || !bad(c.Result) || !dns.Askable(result.Detail[dkim.Signature](c).KeyName) {
			continue
		}
		out = append(out, suspect{
			q: dns.Ask(result.Detail[dkim.Signature](c).KeyName, dns.TXT), method: verify.MethodDKIM,
			explains: func(f result.Finding) bool { return strings.HasPrefix(string(f.Code), "dkim-key-") },
			mended:   func(_ result.Word, dkim []result.Word) bool { return i < len(dkim) && dkim[i] == result.Pass },
		})
	}
	// That a domain has no DMARC record decides nothing where the mail authenticates without.
	if c := r.Check(verify.MethodDMARC); result.Detail[dmarc.Result](c) != nil && r.Verdict.Word == verify.NotProved && (c.Result == result.None || c.Result == result.PermError) {
		if name := "_dmarc." + result.Detail[dmarc.Result](c).Author; dns.Askable(name) && result.Detail[dmarc.Result](c).Author != "" {
			out = append(out, suspect{q: dns.Ask(name, dns.TXT), method: verify.MethodDMARC, mended: func(result.Word, []result.Word) bool { return false }})
		}
	}
	return out[:min(len(out), maxSuspects)]
}

func bad(w result.Word) bool {
	switch w {
	case result.Pass, result.TempError, result.NotRun, result.Policy:
		return false
	}
	return true
}

// stale: the zone's own servers know a record that would pass, or do not agree about it.
func stale(ctx context.Context, q Query) (Diagnosis, bool) {
	if q.Servers == nil {
		return Diagnosis{}, false
	}
	all := suspects(q.Report)
	heard := make([]statements, len(all))
	var asked panics.Group
	for i, s := range all {
		asked.Start(func() { heard[i].zone, heard[i].said = q.Servers(ctx, s.q) })
	}
	asked.Wait()
	for i, s := range all {
		zone, said := heard[i].zone, heard[i].said
		said = slices.DeleteFunc(slices.Clone(said), func(x dns.Statement) bool { return x.Err != nil })
		if len(said) == 0 {
			continue
		}
		if slices.ContainsFunc(said, func(x dns.Statement) bool { return data(x.Answer) != data(said[0].Answer) }) {
			if d, ok := q.disagreement(ctx, s, zone, said); ok {
				return d, true
			}
			continue
		}
		if d, ok := q.cached(ctx, s, said[0].Answer); ok {
			return d, true
		}
	}
	return Diagnosis{}, false
}

// statements of the servers of a zone.
type statements struct {
	zone string
	said []dns.Statement
}

// data is an answer as one text, whatever order the server chose.
func data(a dns.Answer) string {
	texts := a.Texts()
	slices.Sort(texts)
	return strings.Join(texts, "\n")
}

// cached: all servers say the same, the resolver has something else, and with theirs the check passes.
func (q Query) cached(ctx context.Context, s suspect, theirs dns.Answer) (Diagnosis, bool) {
	ours := q.used(ctx, s)
	if ours == nil || data(theirs) == data(*ours) || !s.mended(q.Again(ctx, s.q, theirs.Records)) {
		return Diagnosis{}, false
	}
	f := result.Found(result.Error, "dns-stale-cache", "name", result.Domain(s.q.Name), "seconds", result.Ours(strconv.FormatUint(uint64(ours.Left()), 10)))
	f.Check, f.Evidence = s.method, []result.Evidence{theirs.Evidence()}
	return Diagnosis{Finding: f, Explains: s.explains}, true
}

// used is the answer that the evaluation had.
func (q Query) used(ctx context.Context, s suspect) *dns.Answer {
	a, err := q.Resolver.Resolve(ctx, s.q)
	if err != nil {
		return nil
	}
	return &a
}

// disagreement: the servers say different things, and with one of them the check passes. The one with
// the older serial serves an old zone: it did not get the new one (RFC 1034, 4.3.5).
func (q Query) disagreement(ctx context.Context, s suspect, zone string, said []dns.Statement) (Diagnosis, bool) {
	if !slices.ContainsFunc(said, func(x dns.Statement) bool { return s.mended(q.Again(ctx, s.q, x.Answer.Records)) }) {
		return Diagnosis{}, false
	}
	f := result.Found(result.Error, "dns-secondary-stale", "name", result.Domain(s.q.Name), "zone", result.Domain(zone), "servers", result.Join(result.Domains(behind(said)), ", "))
	f.Check = s.method
	for _, x := range said {
		f.Evidence = append(f.Evidence, x.Answer.Evidence())
	}
	return Diagnosis{Finding: f, Explains: s.explains}, true
}

// behind names the servers with an older serial than another's; all that disagree where the serials do
// not tell.
func behind(said []dns.Statement) (out []string) {
	for _, x := range said {
		older := func(y dns.Statement) bool {
			return x.HasSerial && y.HasSerial && dns.SerialNewer(y.Serial, x.Serial)
		}
		if slices.ContainsFunc(said, older) {
			out = append(out, x.Server)
		}
	}
	if len(out) == 0 {
		for _, x := range said {
			out = append(out, x.Server)
		}
	}
	slices.Sort(out)
	return out
}
