package compose

import (
	"fmt"
	"strconv"
	"strings"
)

// units of a duration, the largest first, with the sentences for one and for more of them.
var units = []struct {
	seconds   int
	one, more string
}{
	{86400, "duration-day", "duration-days"},
	{3600, "duration-hour", "duration-hours"},
	{60, "duration-minute", "duration-minutes"},
	{1, "duration-second", "duration-seconds"},
}

// duration says how long something takes, in one or two units and rounded up, so that who waits so long has waited
// long enough.
func (c *Language) duration(seconds int) string {
	upTo := func(unit int) int { return (seconds + unit - 1) / unit * unit }
	switch {
	case seconds > 86400:
		seconds = upTo(3600)
	case seconds > 120:
		seconds = upTo(60)
	}
	var said []string
	for _, u := range units {
		n := seconds / u.seconds
		seconds %= u.seconds
		switch {
		case n == 1:
			said = append(said, c.sayPairs(u.one, "count", "1"))
		case n > 1 || u.seconds == 1 && len(said) == 0:
			said = append(said, c.sayPairs(u.more, "count", fmt.Sprint(n)))
		}
	}
	return strings.Join(said, " ")
}

// durations are the arguments that are a time, and the seconds in one of each.
var durations = map[string]int{"seconds": 1, "minutes": 60}

// durationOf is an argument that is a time, in words; not ok where it is none.
func (c *Language) durationOf(name, value string) (said string, ok bool) {
	unit := durations[name]
	if unit == 0 {
		return "", false
	}
	n, err := strconv.ParseUint(value, 10, 32)
	return c.duration(int(n) * unit), err == nil
}
