package compose

import (
	"fmt"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/result"
)

// actions are the lines of What to do now, most important first.
func (c *Composer) actions(r *verify.Report) (out []string) {
	for i, a := range r.Actions {
		if i > 0 {
			out = append(out, "")
		}
		out = append(out, c.action(i+1, a)...)
	}
	return out
}

// action is one: what to do, the record, why, the proof, what to think of first, when and where.
func (c *Composer) action(n int, a verify.Action) []string {
	mark := fmt.Sprintf("%d. ", n)
	out := []string{mark + wrap(c.say(a.Code, a.Args), "   ", width-len(mark)), ""}
	row := func(label, text string) {
		if text != "" {
			out = append(out, strings.TrimRight(fmt.Sprintf("   %-8s%s", label, text), " "))
		}
	}
	// A record is to be copied: it is never broken, nor cut.
	exact := func(s string) string { return unlink(result.Clean(s)) }
	sentence := func(label string, all ...result.Reason) {
		var said []string
		for _, r := range all {
			if !r.IsZero() {
				said = append(said, c.reason(r))
			}
		}
		row(label, wrap(strings.Join(said, " "), strings.Repeat(" ", 11), width-11))
	}
	if a.Name != "" {
		name := exact(a.Name) + "."
		if a.Where != nil && a.Where.Field != "" && a.Where.Field != a.Name {
			name += "  (in most web forms: " + exact(a.Where.Field) + ")"
		}
		row("Name", name)
		row("Type", a.Type)
		row("Value", exact(a.Value))
		row("Zone", exact(a.Zone))
		for _, old := range a.Replaces {
			row("Was", changed(exact(result.Cut(old, 2*argument)), exact(a.Value)))
		}
		out = append(out, "")
	}
	label := "Set"
	for _, s := range a.Settings {
		row(label, wrap(exact(s), strings.Repeat(" ", 13), width-13))
		label = ""
	}
	sentence("Why", a.Why)
	row("Proof", wrap(c.proof(a.Proof), strings.Repeat(" ", 11), width-11))
	sentence("Before", a.Before...)
	sentence("When", a.When...)
	sentence("Where", c.place(a.Where)...)
	if out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// changed is the old value with the words that go in brackets.
func changed(old, value string) string {
	keep := strings.Fields(value)
	var out []string
	for _, w := range strings.Fields(old) {
		if i := slices.Index(keep, w); i >= 0 {
			keep = slices.Delete(keep, i, i+1)
		} else {
			w = "[-" + w + "-]"
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// proof in words: which results become others, and what that means at the receivers.
func (c *Composer) proof(p *verify.Proof) string {
	if p == nil {
		return ""
	}
	var parts []string
	for _, w := range []struct {
		name          string
		before, after result.Word
	}{
		{"SPF", p.Before.SPF, p.SPF}, {"DKIM", p.Before.DKIM, p.DKIM}, {"DMARC", p.Before.DMARC, p.DMARC},
		{"iprev", p.Before.IPRev, p.IPRev}, {"HELO SPF", p.Before.SPFHelo, p.SPFHelo},
	} {
		if w.before != w.after {
			parts = append(parts, fmt.Sprintf("%s %s -> %s", w.name, w.before, w.after))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, c.sayPairs("proof-same", "spf", string(p.SPF), "dkim", string(p.DKIM), "dmarc", string(p.DMARC)))
	}
	if p.Before.SPF != p.SPF {
		parts = append(parts, c.sayPairs("proof-lookups", "count", fmt.Sprint(p.Lookups)))
	}
	for _, s := range p.Receivers {
		parts = append(parts, fmt.Sprintf("%s %s -> %s", safe(s.Name), s.Before, s.After))
	}
	if p.With > 0 {
		return c.sayPairs("proof-with-others", "list", strings.Join(parts, "; "))
	}
	return c.sayPairs("proof-alone", "list", strings.Join(parts, "; "))
}

// place says where the record is edited.
func (c *Composer) place(p *verify.Place) []result.Reason {
	if p == nil {
		return nil
	}
	servers := strings.Join(p.Servers[:min(len(p.Servers), 3)], ", ")
	out := []result.Reason{result.Because("where-servers", "zone", p.Zone, "servers", servers)}
	if p.Panel != "" {
		out[0] = result.Because("where-panel", "zone", p.Zone, "panel", p.Panel)
	}
	if p.Path != "" {
		out = append(out, result.Because("where-path", "path", p.Path))
	}
	return append(out, p.Traps...)
}

// authoritative are the lines of what the zones' own servers say.
func (c *Composer) authoritative(all []verify.Authority) (out []string) {
	for i, a := range all {
		if i > 0 {
			out = append(out, "")
		}
		out = append(out, field("Record:", safe(a.Name)+". "+a.Type))
		for _, s := range a.Servers {
			serial := ""
			if s.Serial != nil {
				serial = fmt.Sprintf(" (serial %d)", *s.Serial)
			}
			out = append(out, "    "+safe(s.Server)+"."+serial+":")
			switch {
			case !s.Error.IsZero():
				out = append(out, "        "+c.reason(s.Error))
			case len(s.Data) == 0:
				out = append(out, "        (no records)")
			}
			for _, d := range s.Data {
				out = append(out, "        "+result.Cut(inZone(d), 500))
			}
		}
		if !a.Says.IsZero() {
			out = append(out, wrapped("Says:", c.reason(a.Says)))
		}
	}
	return out
}
