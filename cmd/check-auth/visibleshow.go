package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"checkauth/reply/compose"
	"checkauth/verify/result"
	"checkauth/verify/visible"
)

// visibleShow prints a round.
type visibleShow struct {
	terminal
	round visible.Round
}

var stateColour = map[string]string{visible.OK: green, visible.NotYet: yellow, visible.Fails: red, visible.Unknown: faint}

// text is each zone with its servers, the resolvers, and the conclusion.
func (s *visibleShow) text() string {
	var b strings.Builder
	line := func(l string) { b.WriteString(l + "\n") }
	v := s.round
	line(wholeLine("Name:", v.Name+" "+v.Type))
	if v.Want != "" {
		line(wholeLine("Wanted:", result.Cut(v.Want, maxValue)))
	}
	for i, z := range v.Zones {
		if i > 0 {
			line(wholeLine("CNAME:", z.Name))
		}
		if z.Zone != "" {
			line(wholeLine("Zone:", z.Zone))
		}
		for _, h := range z.Servers {
			s.answer(line, h, s.server(h))
		}
	}
	if v.Held {
		line(compose.Field("Resolvers:", "not asked yet: the question would put the old answer into their caches"))
	} else {
		line("Resolvers:")
	}
	for _, h := range v.Resolvers {
		s.answer(line, h, s.resolver(h))
	}
	line("")
	line(compose.Item("", s.Say(v.Reason)))
	return b.String()
}

// answer is one line: its state, who said it, and what. Further values stand on lines of their own.
func (s *visibleShow) answer(line func(string), h visible.Answer, about string) {
	values := shownValues(h)
	text := result.Clean(about)
	if h.Why.IsZero() {
		text += ": " + values[0]
	}
	line("  " + s.paint(fmt.Sprintf("%-9s", h.State), stateColour[h.State]) + text)
	for _, v := range values[1:] {
		line(strings.Repeat(" ", 11) + v)
	}
}

func (s *visibleShow) server(h visible.Answer) string {
	text := address(h)
	if h.Serial != nil {
		text += fmt.Sprintf(", serial %d", *h.Serial)
		if h.OlderZone {
			text += " (an older zone)"
		}
	}
	if !h.Why.IsZero() {
		return text + ": " + s.Say(h.Why)
	}
	if h.Empty() {
		return text + fmt.Sprintf(", negative TTL %d", h.TTL)
	}
	return text + fmt.Sprintf(", TTL %d", h.TTL)
}

func (s *visibleShow) resolver(h visible.Answer) string {
	text := address(h)
	switch {
	case !h.Why.IsZero():
		return text + ": " + s.Say(h.Why)
	case h.State == visible.NotYet && h.Empty():
		return text + fmt.Sprintf(", %d s left, forgets by %s", h.TTL, visible.Clock(h.Until, s.round.Time))
	case h.State == visible.NotYet:
		return text + fmt.Sprintf(", %d s left, drops the old value by %s", h.TTL, visible.Clock(h.Until, s.round.Time))
	}
	return text + fmt.Sprintf(", %d s left", h.TTL)
}

func address(h visible.Answer) string {
	if h.Address == "" || h.Address == h.Server {
		return h.Server
	}
	return h.Server + " (" + h.Address + ")"
}

// Bounds of what is shown: a stranger's server has no other.
const (
	maxValue  = 2000 // octets of one value
	maxValues = 20
)

// shownValues are what somebody has, at least one line.
func shownValues(h visible.Answer) (out []string) {
	for _, target := range h.Chain {
		out = append(out, "CNAME "+result.Clean(result.Cut(target, maxValue))+".")
	}
	for _, v := range h.Values {
		out = append(out, result.Clean(result.Cut(v, maxValue)))
	}
	switch {
	case len(out) > maxValues:
		return append(out[:maxValues:maxValues], fmt.Sprintf("... and %d more", len(out)-maxValues))
	case h.NX:
		return append(out, "no such name")
	case len(out) == 0:
		return []string{"no record of this type"}
	}
	return out
}

func (s *visibleShow) forJSON() any {
	v := s.round
	s.say(&v.Reason)
	for _, z := range v.Zones {
		for i := range z.Servers {
			s.say(&z.Servers[i].Why)
		}
	}
	for i := range v.Resolvers {
		s.say(&v.Resolvers[i].Why)
	}
	return v
}

// progress is one line on standard error: rewritten in place on a terminal, else a line a round.
type progress struct {
	out   io.Writer
	place bool
}

func newProgress(e env) *progress {
	f, ok := e.err.(*os.File)
	if !ok || e.getenv("TERM") == "dumb" {
		return &progress{out: e.err}
	}
	info, err := f.Stat()
	return &progress{e.err, err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) say(text string) {
	text = result.ASCII(text)
	if !p.place {
		fmt.Fprintln(p.out, text)
		return
	}
	// Cut, as a line that is broken in two is not rewritten whole.
	fmt.Fprintf(p.out, "\r\x1b[K%s", result.Cut(text, 78))
}

func (p *progress) clear() {
	if p.place {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// progressLine is the round in one line.
func progressLine(v *visible.Round, now time.Time, pause time.Duration) string {
	resolvers := "resolvers not asked yet"
	if !v.Held {
		resolvers = fmt.Sprintf("%d of %d resolvers", visible.Count(v.Resolvers), len(v.Resolvers))
	}
	servers := v.Servers()
	return fmt.Sprintf("%s UTC: %d of %d name servers, %s; again in %s; missing: %s",
		now.UTC().Format("15:04:05"), visible.Count(servers), len(servers), resolvers, pause, strings.Join(v.Missing(), ", "))
}
