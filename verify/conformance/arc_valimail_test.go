package conformance

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"checkauth/verify/arc"
	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

const arcValimail = "https://github.com/ValiMail/arc_test_suite, tests/arc-draft-validation-tests.yml (f137dcb9)"

const arcValimailTests = 117

// arcNotFollowed are the cases in which we conclude otherwise, with why.
var arcNotFollowed = map[string]string{
	"ams_fields_c_na": "without c= the drafts meant relaxed/relaxed; RFC 8617, 4.1.2 takes c= over from DKIM, where RFC 6376, 3.5 says simple/simple",
}

type arcScenario struct {
	Description string            `yaml:"description"`
	Tests       map[string]arcOne `yaml:"tests"`
	Records     map[string]string `yaml:"txt-records"`
}

type arcOne struct {
	Message string `yaml:"message"`
	CV      string `yaml:"cv"`
}

// word: where the suite leaves the word empty the newest seal says cv=fail: RFC 8617, 5.2, step 2.
func (c arcOne) word() result.Word {
	if c.CV == "" {
		return result.Fail
	}
	return result.Word(strings.ToLower(c.CV))
}

func TestARC_Valimail(t *testing.T) {
	t.Parallel()
	n, used := 0, map[string]bool{}
	for _, s := range arcScenarios(t, Suite(t, "arc/valimail/arc-validation-tests.yml", arcValimail)) {
		var zone strings.Builder
		for name, text := range s.Records {
			zone.WriteString(dkimRecord(name, text))
		}
		r := dnstest.Zone(t, zone.String())
		for name, c := range s.Tests {
			n++
			_, listed := arcNotFollowed[name]
			used[name] = listed
			got := arcResult(t, r, c.Message)
			switch same := got.Word == c.word(); {
			case !same && !listed:
				t.Errorf("%s: got %s (%s; %v), want %s", name, got.Word, got.Reason, got.Findings, c.word())
			case same && listed:
				t.Errorf("%s is followed: take it off the list", name)
			}
		}
	}
	if n != arcValimailTests {
		t.Errorf("%d cases, want %d", n, arcValimailTests)
	}
	for name := range arcNotFollowed {
		if !used[name] {
			t.Errorf("%s is listed and not in the suite", name)
		}
	}
}

func arcResult(t *testing.T, r dns.Resolver, message string) arc.Result {
	t.Helper()
	raw := dkimOnTheWire(message)
	fields, body, err := mail.Split(mail.Data{At: strings.NewReader(raw), Size: int64(len(raw))}, mail.DefaultBounds())
	if err != nil && !errors.Is(err, mail.ErrEmpty) {
		t.Fatal(err)
	}
	return arc.Evaluator{DNS: r}.Check(t.Context(), fields, body)
}

func arcScenarios(t *testing.T, file string) (out []arcScenario) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var s arcScenario
		err := d.Decode(&s)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, s)
	}
}
