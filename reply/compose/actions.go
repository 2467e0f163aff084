package compose

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"checkauth/verify"
	"checkauth/verify/result"
)

// actions are the lines of What to do now, most important first, each with what was seen that it is for.
func (c *Language) actions(r *verify.Report, said findings) (out []string) {
	for i, a := range r.Actions {
		if i > 0 {
			out = append(out, "")
		}
		out = append(out, c.action(i+1, a, said.ofAction[i])...)
	}
	return out
}

// advice is one action in words, for either form.
type advice struct {
	Text               string
	Seen               []string // what it is for: the findings, a sentence or several each
	Name, Field        string   // of a record, and what most web forms want as its name, where that is another
	Type, Value, Zone  string
	Was                [][]piece // the values that it takes the place of
	Settings           []setting // where a mail system is changed
	Why, Proof, Before string
	When, Where        string
}

// setting is what to write into which program, a directive or a menu a line.
type setting struct {
	Program string
	Lines   []string
}

// settingOf takes a text such as "Postfix: main.cf: smtp_helo_name = mail.example.org" apart.
func settingOf(text string) setting {
	program, rest, ok := strings.Cut(text, ": ")
	if !ok {
		program, rest = "", text
	}
	out := setting{Program: toCopy(program)}
	for l := range strings.SplitSeq(rest, "\n") {
		out.Lines = append(out.Lines, toCopy(l))
	}
	return out
}

// rows are the setting in the text part, below the program where they do not fit beside it. A way through menus is
// broken into lines, a directive never.
func (s setting) rows() []string {
	const room = width - 11
	if one := s.Program + ": " + s.Lines[0]; len(s.Lines) == 1 && s.Program != "" && utf8.RuneCountInString(one) <= room {
		return []string{one}
	}
	indent := ""
	var out []string
	if s.Program != "" {
		out, indent = append(out, s.Program+":"), "  "
	}
	for _, l := range s.Lines {
		if strings.Contains(l, " > ") {
			l = wrap(l, strings.Repeat(" ", 15), room-4)
		}
		out = append(out, indent+l)
	}
	return out
}

// toCopy is for what is to be copied: it is never broken, nor cut.
func toCopy(s string) string { return unlink(result.Clean(s)) }

// piece is a word of a value that a new one takes the place of.
type piece struct {
	Text string
	Gone bool // it does not stand in the new one
}

func (c *Language) advice(a verify.Action, seen []string) advice {
	out := advice{
		Text: c.say(a.Code, a.Args), Seen: seen, Proof: c.proof(a.Proof), Before: c.sentences(a.Before...),
		When: c.sentences(a.When...), Where: c.sentences(c.place(a.Where)...),
	}
	if len(seen) == 0 || !slices.Contains(restatements, a.Why.Code) {
		out.Why = without(c.sentences(a.Why), seen)
	}
	for _, s := range a.Settings {
		out.Settings = append(out.Settings, settingOf(s.Value))
	}
	if a.Name == "" {
		return out
	}
	out.Name, out.Type, out.Value, out.Zone = toCopy(a.Name)+".", toCopy(a.Type), toCopy(a.Value), toCopy(a.Zone)
	if a.Where != nil && a.Where.Field != a.Name {
		out.Field = toCopy(a.Where.Field)
	}
	for _, old := range a.Replaces {
		out.Was = append(out.Was, changed(toCopy(result.Cut(old, 2*argument)), out.Value))
	}
	return out
}

// restatements are the reasons that say nothing beyond the finding, which stands above them for a reader.
var restatements = []result.Code{
	"why-helo", "why-ptr", "why-key-publish", "why-spf-joined", "why-spf-no-record", "why-spf-version", "why-spf-wrong-name",
}

// sentences puts reasons into words, one behind the other.
func (c *Language) sentences(all ...result.Reason) string {
	var said []string
	for _, r := range all {
		if !r.IsZero() {
			said = append(said, c.reason(r))
		}
	}
	return strings.Join(said, " ")
}

// action is one: what to do, what was seen, the record, why, the proof, what to think of first, when and where.
func (c *Language) action(n int, action verify.Action, seen []string) []string {
	a := c.advice(action, seen)
	mark := fmt.Sprintf("%d. ", n)
	out := []string{mark + wrap(a.Text, "   ", width-len(mark)), ""}
	for _, s := range a.Seen {
		out = append(out, "   "+wrap(s, "   ", width-3), "")
	}
	row := func(label, text string) {
		if text != "" {
			out = append(out, strings.TrimRight(fmt.Sprintf("   %-8s%s", label, text), " "))
		}
	}
	prose := func(label, text string, indent int) {
		row(label, wrap(text, strings.Repeat(" ", indent), width-indent))
	}
	if a.Name != "" {
		name := a.Name
		if a.Field != "" {
			name += "  (in most web forms: " + a.Field + ")"
		}
		row("Name", name)
		row("Type", a.Type)
		row("Value", a.Value)
		row("Zone", a.Zone)
		for _, old := range a.Was {
			row("Was", bracketed(old))
		}
		out = append(out, "")
	}
	label := "Set"
	for _, s := range a.Settings {
		for _, l := range s.rows() {
			row(label, l)
			label = ""
		}
	}
	prose("Why", a.Why, 11)
	prose("Proof", a.Proof, 11)
	prose("Before", a.Before, 11)
	prose("When", a.When, 11)
	prose("Where", a.Where, 11)
	if out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// changed tells of the words of the old value which of them go.
func changed(old, value string) []piece {
	keep := strings.Fields(value)
	var out []piece
	for _, w := range strings.Fields(old) {
		i := slices.Index(keep, w)
		if i >= 0 {
			keep = slices.Delete(keep, i, i+1)
		}
		out = append(out, piece{w, i < 0})
	}
	return out
}

// bracketed has the words that go in brackets.
func bracketed(old []piece) string {
	var out []string
	for _, w := range old {
		if w.Gone {
			w.Text = "[-" + w.Text + "-]"
		}
		out = append(out, w.Text)
	}
	return strings.Join(out, " ")
}

// proof in words: which results become others, and what that means at the receivers.
func (c *Language) proof(p *verify.Proof) string {
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
func (c *Language) place(p *verify.Place) []result.Reason {
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
func (c *Language) authoritative(all []verify.Authority) (out []string) {
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
