package header

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// How far Date may be from the receipt. No RFC says it; filters count what is further off.
const (
	aheadAtMost  = 24 * time.Hour
	behindAtMost = 7 * 24 * time.Hour
)

// date: RFC 5322, 3.6 and 3.6.1: every message has it. The first one is read; duplicates tells of others.
func (s *state) date() {
	all := s.fields.All("Date")
	if len(all) == 0 {
		s.Date = Missing
		s.broken(result.Because("header-lacks-field", "field", result.Ours("Date")))
		if !s.lost("Date") {
			s.found(result.Found(result.Error, "header-no-date"))
		}
		return
	}
	value := all[0].Value()
	d, ok := parseDate(value)
	if !ok {
		s.Date = Malformed
		s.faulty("Date")
		s.broken(result.Because("header-date-unreadable"))
		s.found(result.Found(result.Error, "header-date-malformed", "date", shown(value)))
		return
	}
	s.Date, s.DateTime = OK, d.time
	s.weekday(d, value)
	if d.obsolete {
		s.found(result.Found(result.Info, "header-date-obsolete", "date", shown(value)))
	}
	s.distance(value)
}

// weekday: RFC 5322, 3.3: the day of the week, where there is one, is that of the date.
func (s *state) weekday(d date, value string) {
	if d.weekday >= 0 && d.weekday != d.day {
		s.broken(result.Because("header-date-weekday-wrong"))
		s.found(result.Found(result.Warning, "header-date-weekday", "date", shown(value), "weekday", d.day.String()[:3]))
	}
}

func (s *state) distance(value string) {
	if s.facts.Received.IsZero() {
		return
	}
	s.DateDiffers = s.DateTime.Unix() - s.facts.Received.Unix()
	if s.DateDiffers > int64(aheadAtMost/time.Second) || s.DateDiffers < -int64(behindAtMost/time.Second) {
		s.Date = Off
		s.found(result.Found(result.Warning, "header-date-off", "date", shown(value),
			"time", result.Ours(s.facts.Received.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))))
	}
}

// date is a Date field that can be read.
type date struct {
	time     time.Time    // in UTC
	day      time.Weekday // of the date as written, in its own zone
	weekday  time.Weekday // that it names; -1 where it names none
	obsolete bool         // RFC 5322, 4.3: a year of two or three digits, a zone by its name
}

var (
	days   = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	months = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

	dateForm = regexp.MustCompile(`^(?:([a-z]{3}) ?, ?)?([0-9]{1,2}) ([a-z]{3}) ([0-9]{2,9}) ([0-9]{2}):([0-9]{2})(?::([0-9]{2}))? ([+-][0-9]{4}|[a-z]{1,5})$`)
)

// parseDate: RFC 5322, 3.3, and of 4.3 the years and zones.
func parseDate(value string) (date, bool) {
	text, ok := mail.Uncomment(value)
	m := dateForm.FindStringSubmatch(strings.ToLower(text))
	if !ok || m == nil {
		return date{}, false
	}
	d := date{weekday: time.Weekday(slices.Index(days, m[1]))}
	year, old := fullYear(m[4])
	offset, named := zone(m[8])
	d.obsolete = old || named
	month := slices.Index(months, m[3]) + 1
	day, hour, minute, second := number(m[2]), number(m[5]), number(m[6]), number(m[7])
	// RFC 5322, 3.3: 60 is a leap second. The year: no program shows one of five digits.
	if d.weekday < 0 && m[1] != "" || month == 0 || year < 1900 || year > 9998 || hour > 23 || minute > 59 || second > 60 || !offset.valid {
		return date{}, false
	}
	local := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	noon := time.Date(year, time.Month(month), day, 12, 0, 0, 0, time.UTC)
	if noon.Day() != day {
		return date{}, false
	}
	d.day, d.time = noon.Weekday(), local.Add(-offset.east)
	return d, true
}

// fullYear: RFC 5322, 4.3: 00 to 49 are of this century, 50 to 99 and three digits count from 1900.
func fullYear(s string) (year int, obsolete bool) {
	year = number(s)
	switch {
	case len(s) == 2 && year < 50:
		return year + 2000, true
	case len(s) < 4:
		return year + 1900, true
	}
	return year, false
}

type offset struct {
	east  time.Duration
	valid bool
}

// zones: RFC 5322, 4.3: hours east of UTC of the names that mean something.
var zones = map[string]int{"edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8}

// zone: RFC 5322, 3.3: hours and minutes, which are fewer than 60. 4.3: a name that says nothing stands
// for UTC.
func zone(s string) (o offset, named bool) {
	if s[0] != '+' && s[0] != '-' {
		return offset{time.Duration(zones[s]) * time.Hour, true}, true
	}
	o.east = time.Duration(number(s[1:3]))*time.Hour + time.Duration(number(s[3:]))*time.Minute
	o.valid = number(s[3:]) < 60
	if s[0] == '-' {
		o.east = -o.east
	}
	return o, false
}

// number reads what the form has found to be a few digits, or nothing.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
