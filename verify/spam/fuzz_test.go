package spam

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a daemon says, it is an answer within bounds that JSON takes, or one of the known errors.
func FuzzAnswer(f *testing.F) {
	f.Add("SPAMD/1.1 0 EX_OK\r\nContent-length: 4\r\nSpam: True ; 6.5 / 5.0\r\n\r\nxxxx")
	f.Add("SPAMD/1.1 0 EX_OK\r\nSpam: False ; -1 / 5\r\n\r\n---- ---------------------- ----------\n 2.3 A_RULE  text\n      more\n-0.1 B \n\n")
	f.Add("SPAMD/1.0 75 EX_TEMPFAIL")
	f.Add("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1e9 / ..\r\n\r\n")
	f.Add("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 2\r\nContent-length: 99999999999\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := readAnswer(strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrUnreadable) && !errors.Is(err, ErrTooLong) && !errors.Is(err, ErrClosed) && !isRefusal(err) {
				t.Fatalf("%q: an error of no kind: %v", text, err)
			}
			return
		}
		r := conclude(a)
		if _, err := json.Marshal(r); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if (r.Word == Spam) != a.spam || len(r.Rules) > maxRules || math.Abs(r.Score) >= 1e6 {
			t.Fatalf("%q: got %s, %d rules, %v points", text, r.Word, len(r.Rules), r.Score)
		}
		for _, rule := range r.Rules {
			if len(rule.Text) > maxText || len(rule.Name) > maxName || !utf8.ValidString(rule.Text) || strings.ContainsAny(rule.Name, " \r\n") {
				t.Fatalf("%q: got %+v", text, rule)
			}
		}
	})
}
