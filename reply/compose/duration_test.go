package compose

import (
	"testing"

	"checkauth/verify/result"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	c := composer(t)
	for _, k := range []struct {
		seconds          int
		english, turkish string
	}{
		{0, "0 seconds", "0 saniye"},
		{1, "1 second", "1 saniye"},
		{59, "59 seconds", "59 saniye"},
		{60, "1 minute", "1 dakika"},
		{90, "1 minute 30 seconds", "1 dakika 30 saniye"},
		{121, "3 minutes", "3 dakika"},
		{300, "5 minutes", "5 dakika"},
		{3599, "1 hour", "1 saat"},
		{3600, "1 hour", "1 saat"},
		{3601, "1 hour 1 minute", "1 saat 1 dakika"},
		{86399, "1 day", "1 g\u00fcn"},
		{86401, "1 day 1 hour", "1 g\u00fcn 1 saat"},
		{172800, "2 days", "2 g\u00fcn"},
		{604800 - 1, "7 days", "7 g\u00fcn"},
	} {
		if en, tr := c.duration(k.seconds), c.languages["tr"].duration(k.seconds); en != k.english || tr != k.turkish {
			t.Errorf("%d: got %q and %q, want %q and %q", k.seconds, en, tr, k.english, k.turkish)
		}
	}
}

// An argument that is a time is said as one; what is no number stands as it is.
func TestSayADuration(t *testing.T) {
	t.Parallel()
	c := composer(t)
	for _, k := range []struct {
		reason result.Reason
		want   string
	}{
		{result.Because("when-cached", "until", "15:04 UTC", "seconds", "3600"), "Caches that hold the present record drop it by 15:04 UTC (in 1 hour). Then test again."},
		{result.Because("action-wait", "name", "example.org", "until", "15:04 UTC", "minutes", "90"), "Change nothing and test again after 15:04 UTC (in 1 hour 30 minutes)."},
		{result.Because("when-cached", "until", "15:04 UTC", "seconds", "-1"), "Caches that hold the present record drop it by 15:04 UTC (in -1). Then test again."},
	} {
		if got := c.Say(k.reason); got != k.want {
			t.Errorf("%s: got %q, want %q", k.reason, got, k.want)
		}
	}
}
