package advise

import (
	"slices"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// saying is what the action for a finding is called and why it is given. The first of the list that a draft
// has speaks for it.
type saying struct {
	code result.Code
	what func(d *draft) result.Reason
	why  func(d *draft, f result.Finding) result.Reason
}

var spfSayings = []saying{
	{"spf-multiple-records", mergeSPF, func(d *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-merge", "domain", result.Domain(d.domain), "count", f.Args.Text("count"))
	}},
	{"spf-type99-only", publishSPF, func(d *draft, _ result.Finding) result.Reason {
		return result.Because("why-spf-type99", "domain", result.Domain(d.domain))
	}},
	{"spf-wrong-name", publishSPF, func(d *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-wrong-name", "domain", result.Domain(d.domain), "name", result.Domain(f.Args.Get("name")))
	}},
	{"spf-strings-joined", mendSPF, func(_ *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-joined", "before", f.Args.Text("before"), "after", f.Args.Text("after"))
	}},
	{"spf-typographic-character", mendSPF, spelling}, {"spf-stray-quotes", mendSPF, spelling},
	{"spf-version", mendSPF, func(d *draft, _ result.Finding) result.Reason {
		return result.Because("why-spf-version", "domain", result.Domain(d.domain))
	}},
	{"spf-syntax", mendSPF, func(_ *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-syntax", "term", f.Args.Text("term"))
	}},
	{"spf-include-no-record", mendSPF, func(_ *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-no-record", "term", f.Args.Text("term"), "target", result.Domain(f.Args.Get("target")))
	}},
	{"spf-include-loop", mendSPF, loopSPF},
	{"spf-too-many-lookups", shortenSPF, func(_ *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-lookups", "count", f.Args.Text("count"))
	}},
	{"spf-void-lookups", mendSPF, func(_ *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-voids", "names", f.Args.Text("names"))
	}},
	{"spf-plus-all", mendSPF, func(d *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-plus-all", "domain", result.Domain(d.domain), "term", f.Args.Text("term"))
	}},
	{"spf-include-passes-all", mendSPF, func(d *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-plus-all", "domain", result.Domain(d.domain), "term", f.Args.Text("term"))
	}},
	{"spf-later-no-record", mendSPF, func(_ *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-later-no-record", "term", f.Args.Text("term"), "target", result.Domain(f.Args.Get("target")))
	}},
	{"spf-later-lookups", shortenSPF, func(_ *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-later-lookups", "count", f.Args.Text("count"))
	}},
	{"spf-later-lookups-own", shortenSPF, func(_ *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-later-lookups", "count", f.Args.Text("count"))
	}},
	{"spf-later-voids", mendSPF, laterVoids}, {"spf-later-voids-family", mendSPF, laterVoids},
	{"spf-later-loop", mendSPF, loopSPF},
	{"spf-later-syntax", mendSPF, laterBroken}, {"spf-later-several-records", mendSPF, laterBroken},
	{"spf-ptr-mechanism", mendSPF, func(_ *draft, f result.Finding) result.Reason {
		return result.Because("why-spf-ptr", "term", f.Args.Text("term"))
	}},
	{"spf-neutral-all", mendSPF, noEnd}, {"spf-no-all", mendSPF, noEnd},
	{"spf-redirect-ignored", mendSPF, ignored}, {"spf-terms-after-all", mendSPF, ignored}, {"spf-equals-sign", mendSPF, ignored},
	{"spf-dead-name", mendSPF, idle}, {"spf-private-address", mendSPF, idle}, {"spf-repeated-term", mendSPF, idle},
	{"spf-version-case", mendSPF, func(d *draft, _ result.Finding) result.Reason {
		return result.Because("why-spf-version-case", "domain", result.Domain(d.domain))
	}},
}

func mergeSPF(d *draft) result.Reason {
	return result.Because("action-spf-merge", "domain", result.Domain(d.domain))
}
func publishSPF(d *draft) result.Reason {
	return result.Because("action-spf-publish", "domain", result.Domain(d.domain))
}
func mendSPF(d *draft) result.Reason {
	return result.Because("action-spf-mend", "domain", result.Domain(d.domain))
}
func shortenSPF(d *draft) result.Reason {
	return result.Because("action-spf-shorten", "domain", result.Domain(d.domain))
}

func spelling(d *draft, _ result.Finding) result.Reason {
	return result.Because("why-spf-spelling", "domain", result.Domain(d.domain))
}

func loopSPF(_ *draft, f result.Finding) result.Reason {
	return result.Because("why-spf-loop", "chain", f.Args.Text("chain"))
}

func laterVoids(_ *draft, f result.Finding) result.Reason {
	return result.Because("why-spf-later-voids", "names", f.Args.Text("names"))
}

func laterBroken(_ *draft, f result.Finding) result.Reason {
	return result.Because("why-spf-later-broken", "term", f.Args.Text("term"), "target", result.Domain(f.Args.Get("domain")))
}

func noEnd(d *draft, _ result.Finding) result.Reason {
	return result.Because("why-spf-no-end", "domain", result.Domain(d.domain))
}

func ignored(_ *draft, f result.Finding) result.Reason {
	return result.Because("why-spf-ignored", "terms", result.Said(f.Args.Get("domain"), f.Args.Get("term")+f.Args.Get("terms")))
}

func idle(_ *draft, f result.Finding) result.Reason {
	return result.Because("why-spf-idle", "terms", f.Args.Text("terms"))
}

// leading is the saying of a draft, with the finding that it is about.
func (d *draft) leading() (saying, result.Finding, bool) {
	for _, s := range spfSayings {
		if i := slices.IndexFunc(d.findings, func(f result.Finding) bool { return f.Code == s.code }); i >= 0 {
			f := d.findings[i]
			if d.strange.Code != "" && dns.Canonical(f.Args.Get("domain")) != d.domain {
				s.what, s.why = mendSPF, func(d *draft, _ result.Finding) result.Reason { return d.strange }
			}
			return s, f, true
		}
	}
	return saying{}, result.Finding{}, false
}

// what is to be done.
func (d *draft) what() result.Reason {
	if len(d.texts) == 0 {
		return publishSPF(d)
	}
	if s, f, ok := d.leading(); ok && (d.term == "" || spfWork[f.Code] == broken) {
		return s.what(d)
	}
	if d.term != "" {
		return result.Because("action-spf-add", "domain", result.Domain(d.domain), "term", result.Said(d.domain, d.term))
	}
	return mendSPF(d)
}

// why: what is broken comes before what is missing.
func (d *draft) why() result.Reason {
	s, f, ok := d.leading()
	if ok && (d.term == "" || spfWork[f.Code] == broken) {
		return s.why(d, f)
	}
	if d.by.Code != "" {
		return d.by
	}
	return result.Because("why-spf-mend", "domain", result.Domain(d.domain))
}

// note adds what is to be thought of first, once.
func (d *draft) note(r result.Reason) {
	if !slices.ContainsFunc(d.before, func(b result.Reason) bool { return b.Code == r.Code && b.Args.Equal(r.Args) }) {
		d.before = append(d.before, r)
	}
}

// listFirst stands beside every record that forbids: this names only what this mail showed.
func (d *draft) listFirst() {
	d.note(result.Because("before-spf-list", "domain", result.Domain(d.domain)))
}

func joinTexts(all []string) string { return result.Cut(strings.Join(all, " "), 200) }
