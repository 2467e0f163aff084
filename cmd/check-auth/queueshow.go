package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/verify/result"
)

// queueShow prints a list.
type queueShow struct {
	now     time.Time
	entries []store.Stored
	limit   int
	more    bool // than are listed
	stats   store.Stats
}

// maxReason bounds a reason within a list; show has it whole.
const maxReason = 160

func (s *queueShow) text() string {
	var b strings.Builder
	if len(s.entries) > 0 {
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATE\tTRIES\tDUE\tRECIPIENT\tREASON")
		for _, e := range s.entries {
			reason := result.Cut(result.Clean(e.Reason), maxReason)
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", result.Clean(e.ID), result.Clean(string(e.State)), e.Tries, due(e, s.now), orDash(e.To), orDash(reason))
		}
		_ = w.Flush() // a Builder takes everything
		b.WriteByte('\n')
	}
	if s.more {
		fmt.Fprintf(&b, "There are more: these are the oldest %d (--limit).\n", s.limit)
	}
	b.WriteString(s.counts() + "\n")
	return b.String()
}

// counts is the last line: the whole queue, whatever was listed.
func (s *queueShow) counts() string {
	t := s.stats
	text := fmt.Sprintf("In the queue: %d being tried, %d waiting, %d done, %d failed", t.Leased, t.Waiting, t.Done, t.Failed)
	if t.Aside > 0 {
		text += fmt.Sprintf(" (%d of them set aside, as it could not be read)", t.Aside)
	}
	if !t.Oldest.IsZero() {
		text += "; the oldest on its way is " + rough(s.now.Sub(t.Oldest)) + " old"
	}
	return text + "."
}

// due is when an entry is tried, from now.
func due(e store.Stored, now time.Time) string {
	switch {
	case e.State == reply.Waiting && e.Due.After(now):
		return "in " + rough(e.Due.Sub(now))
	case e.State == reply.Waiting, e.State == reply.Leased:
		return "now"
	}
	return "-"
}

// rough is a time for people: its two largest units.
func rough(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return result.Clean(s)
}

// queueOne prints an entry.
type queueOne struct {
	store.Stored
	now time.Time
}

func (o *queueOne) text() string {
	var b strings.Builder
	line := func(label, text string) {
		if text != "" {
			b.WriteString(wholeLine(label, text) + "\n")
		}
	}
	line("ID:", o.ID)
	line("State:", o.state())
	line("Tries:", fmt.Sprint(o.Tries))
	line("Made:", o.moment(o.Created))
	if o.State == reply.Leased || o.State == reply.Waiting {
		line("Expires:", o.moment(o.Expires))
	}
	if o.To != "" {
		line("Sender:", "<"+o.From+">")
		line("Recipient:", "<"+o.To+">")
	}
	line("Message-ID:", o.MessageID)
	if len(o.Body) > 0 {
		line("Message:", fmt.Sprintf("%d octets%s", len(o.Body), o.needs()))
	}
	line("Last host:", o.Host)
	line("TLS:", o.TLS)
	line("Answer:", o.Answer)
	line("Reason:", o.Reason)
	if o.Fault != nil {
		line("Damage:", o.Fault.Error())
	}
	return b.String()
}

// state in words, with what its time means there.
func (o *queueOne) state() string {
	text := string(o.State)
	switch {
	case o.State == reply.Leased && o.Due.After(o.now):
		return text + " by " + o.Node + ", which tries it, until " + o.moment(o.Due)
	case o.State == reply.Leased:
		return text + " by " + o.Node + ", whose lease is over: it is tried at the next look"
	case o.State == reply.Waiting && o.Due.After(o.now):
		return text + ", next try " + o.moment(o.Due)
	case o.State == reply.Waiting:
		return text + ", due now"
	case o.Aside:
		text += ", set aside because it could not be read"
	}
	return text + ", forgotten " + o.moment(o.Due)
}

// moment is a time as a clock shows it, and from now.
func (o *queueOne) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	text := t.UTC().Format("2006-01-02 15:04:05 UTC")
	if t.Before(o.now) {
		return text + " (" + rough(o.now.Sub(t)) + " ago)"
	}
	return text + " (in " + rough(t.Sub(o.now)) + ")"
}

func (o *queueOne) needs() string {
	text := ""
	if o.UTF8 {
		text += ", SMTPUTF8"
	}
	if o.EightBit {
		text += ", 8BITMIME"
	}
	return text
}

// queueJSON is a list for programs, entryJSON an entry.
type queueJSON struct {
	Entries []entryJSON `json:"entries"`
	More    bool        `json:"more"` // than are listed
	Stats   statsJSON   `json:"stats"`
}

type entryJSON struct {
	ID        string      `json:"id"`
	State     reply.State `json:"state"`
	Tries     int         `json:"tries"`
	Created   time.Time   `json:"created,omitzero"`
	Expires   time.Time   `json:"expires,omitzero"`
	Due       time.Time   `json:"due,omitzero"` // leased: the lease's end; waiting: the next try; else: forgotten then
	Node      string      `json:"node"`
	From      string      `json:"from"`
	To        string      `json:"to"`
	MessageID string      `json:"message_id"`
	SMTPUTF8  bool        `json:"smtputf8"`
	EightBit  bool        `json:"8bitmime"`
	Size      int         `json:"size,omitempty"` // of the message, in show
	Reason    string      `json:"reason"`
	Answer    string      `json:"answer"`
	TLS       string      `json:"tls"`
	Host      string      `json:"host"`
	Aside     bool        `json:"set_aside"`
	Damage    string      `json:"damage,omitempty"`
}

type statsJSON struct {
	Leased  int64     `json:"leased"`
	Waiting int64     `json:"waiting"`
	Done    int64     `json:"done"`
	Failed  int64     `json:"failed"`
	Aside   int64     `json:"set_aside"`
	Oldest  time.Time `json:"oldest,omitzero"`
}

func (s *queueShow) forJSON() any {
	out := queueJSON{Entries: []entryJSON{}, More: s.more, Stats: statsJSON(s.stats)}
	for _, e := range s.entries {
		out.Entries = append(out.Entries, asEntryJSON(e))
	}
	return out
}

func (o *queueOne) forJSON() any { return asEntryJSON(o.Stored) }

func asEntryJSON(e store.Stored) entryJSON {
	return entryJSON{
		ID: e.ID, State: e.State, Tries: e.Tries, Created: e.Created, Expires: e.Expires, Due: e.Due, Node: e.Node,
		From: e.From, To: e.To, MessageID: e.MessageID, SMTPUTF8: e.UTF8, EightBit: e.EightBit, Size: len(e.Body),
		Reason: e.Reason, Answer: e.Answer, TLS: e.TLS, Host: e.Host, Aside: e.Aside, Damage: causeText(e.Fault),
	}
}
