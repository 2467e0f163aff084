package arc

import (
	"strconv"

	"checkauth/verify/result"
)

// fault is one thing that is wrong, as a reason and as a finding.
type fault struct {
	instance int // 0: of the chain
	reason   result.Reason
	finding  result.Finding
}

// shownFaults is how many faults become findings.
const shownFaults = 5

// structure: RFC 8617, 5.2, steps 1 to 3; the first fault is the reason.
func (c *chain) structure() []fault {
	if c.count > maxSets {
		n := strconv.Itoa(c.count)
		return []fault{{reason: result.Because("arc-over-50-sets", "count", result.Ours(n)),
			finding: result.Found(result.Warning, "arc-fail-count", "count", result.Ours(n))}}
	}
	out := c.given()
	out = append(out, c.instances()...)
	for i := 1; i <= c.length; i++ {
		out = append(out, c.complete(i)...)
	}
	for i := 1; i <= c.length; i++ {
		out = append(out, c.validation(i)...)
	}
	return out
}

// given: RFC 8617, 5.2, step 2: the newest seal may say itself that the chain was broken.
func (c *chain) given() []fault {
	if c.cv(c.length) != "fail" {
		return nil
	}
	i, host := strconv.Itoa(c.length), c.sets[c.length].host()
	return []fault{{c.length, result.Because("arc-sealed-as-failed", "instance", result.Ours(i)),
		result.Found(result.Warning, "arc-fail-sealed", "instance", result.Ours(i), "host", result.Domain(host))}}
}

// instances: RFC 8617, 4.2.1: each field has its instance.
func (c *chain) instances() (out []fault) {
	for k, n := range c.unreadable {
		if n > 0 {
			out = append(out, fault{0, result.Because("arc-instance-unreadable", "field", result.Ours(names[k])),
				result.Found(result.Warning, "arc-fail-instance", "field", result.Ours(names[k]))})
		}
	}
	return out
}

// complete: RFC 8617, 5.2, step 3 A and B: one of each field, and no gap.
func (c *chain) complete(i int) (out []fault) {
	s, n := &c.sets[i], strconv.Itoa(i)
	if s.count == [kinds]int{} {
		return []fault{{i, result.Because("arc-set-is-missing", "instance", result.Ours(n)),
			result.Found(result.Warning, "arc-fail-gap", "instance", result.Ours(n), "count", c.length)}}
	}
	for k, count := range s.count {
		switch {
		case count == 0:
			out = append(out, fault{i, result.Because("arc-field-is-missing", "field", result.Ours(names[k]), "instance", result.Ours(n)),
				result.Found(result.Warning, "arc-fail-missing", "field", result.Ours(names[k]), "instance", result.Ours(n))})
		case count > 1:
			out = append(out, fault{i, result.Because("arc-field-stands-twice", "field", result.Ours(names[k]), "instance", result.Ours(n)),
				result.Found(result.Warning, "arc-fail-duplicate", "field", result.Ours(names[k]), "instance", result.Ours(n))})
		}
	}
	return out
}

// validation: RFC 8617, 5.2, step 3 C: cv=none in the first seal, cv=pass in all others. An empty one is
// neither.
func (c *chain) validation(i int) []fault {
	want, got := "pass", c.cv(i)
	if i == 1 {
		want = "none"
	}
	f := c.sets[i].fields[seal]
	// With a tag list that cannot be read it is not known whether there is one: the seal will not verify.
	if f == nil || f.signed.Syntax() != nil || got == want || i == c.length && got == "fail" {
		return nil
	}
	n := strconv.Itoa(i)
	return []fault{{i, result.Because("arc-cv-not-expected", "instance", result.Ours(n), "cv", got, "want", result.Ours(want)),
		result.Found(result.Warning, "arc-fail-cv", "instance", result.Ours(n), "cv", got, "want", result.Ours(want), "host", result.Domain(c.sets[i].host()))}}
}

func (c *chain) cv(i int) string {
	f := c.sets[i].fields[seal]
	if f == nil {
		return ""
	}
	v, _ := f.signed.Tag("cv")
	return v
}

// host is the name for who made a set: that which its results are reported by, else the domain that
// sealed it. Both are its own word.
func (s *set) host() string {
	if f := s.fields[results]; f != nil {
		_, rest := claimed(f.raw.Value())
		if host, _ := authserv(rest); host != "" {
			return host
		}
	}
	for _, k := range []int{seal, message} {
		if f := s.fields[k]; f != nil {
			return shown(f.signed.Facts().Domain, 255)
		}
	}
	return ""
}
