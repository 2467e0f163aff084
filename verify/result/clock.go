package result

import "time"

// Clock is a time to come in UTC, to the minute and rounded up, so that who comes then is not too early; with its
// date where it is not soon.
func Clock(until, now time.Time) string {
	until = until.UTC().Add(time.Minute - 1).Truncate(time.Minute)
	if until.Sub(now) >= 12*time.Hour {
		return until.Format("2006-01-02 15:04 UTC")
	}
	return until.Format("15:04 UTC")
}

// Date is a time in UTC as RFC 5322, 3.3 writes it.
func Date(t time.Time) Ours { return Ours(t.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700")) }
