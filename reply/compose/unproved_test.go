package compose

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/result"
)

// programs are the fields that hold this program's own words, or the victim's; a stranger's words are put into all others.
var programs = map[string]bool{
	"Report.ID": true, "Report.Host": true, "Session.ClientIP": true, "Session.MailFrom": true, "Session.RcptTo": true, "Outcome.Method": true, "Outcome.Label": true, "Fact.Label": true, "Finding.Check": true,
	"Evidence.Type": true, "Evidence.Rcode": true, "Arg.Name": true, "Authority.Type": true, "Dnsbl.List": true, "TLS.Version": true, "TLS.Cipher": true,
	"Finding.Text": true, "Reason.Text": true, "AuthorityServer.Server": true, "SPFResult.Cause": true,
}

// The types below are this program's as a whole, but for the arguments of their sentences. Actions are made of the own records.
var programsTypes = []reflect.Type{reflect.TypeFor[verify.Receiver](), reflect.TypeFor[verify.Action](), reflect.TypeFor[verify.Words](), reflect.TypeFor[verify.VerdictShift]()}

// strew puts the words into every text of a report that is not the program's own, and counts them.
func strew(v reflect.Value, field, words string) (n int) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return strew(v.Elem(), field, words)
		}
	case reflect.String:
		if v.CanSet() && v.Type() == reflect.TypeFor[string]() && !programs[field] {
			v.SetString(words)
			return 1
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]byte]() && v.CanSet() {
			v.SetBytes([]byte(words))
			return 1
		}
		for i := range v.Len() {
			n += strew(v.Index(i), field, words)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if v.Type().Elem() == reflect.TypeFor[result.Text]() {
				v.SetMapIndex(k, reflect.ValueOf(result.TextOf(words)))
			} else {
				v.SetMapIndex(k, reflect.ValueOf(words))
			}
			n++
		}
	case reflect.Struct:
		if slices.Contains(programsTypes, v.Type()) {
			return 0
		}
		if v.CanAddr() {
			switch x := v.Addr().Interface().(type) {
			case *result.Text:
				*x = result.TextOf(words)
				return 1
			case *result.Arg:
				x.Value, x.From = words, result.Stranger
				return 1
			}
		}
		if e, ok := v.Interface().(result.Evidence); ok && e.Type == "PTR" {
			return 0 // names of the client, as HELO
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				n += strew(v.Field(i), v.Type().Name()+"."+f.Name, words)
			}
		}
	}
	return n
}

// A stranger writes in a victim's name: whatever he puts anywhere, not one word of his reaches the victim from us.
func TestHostile_44_no_word_of_a_stranger_in_any_place(t *testing.T) {
	t.Parallel()
	header := ""
	for _, name := range []string{
		"Return-Path", "Received", "Received-SPF", "Authentication-Results", "DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results", "Date",
		"Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Subject", "From", "Sender", "Reply-To", "To", "Cc",
		"Comments", "Keywords", "List-Id", "List-Unsubscribe", "X-Mailer", "Auto-Submitted", "Accept-Language", "Resent-From",
	} {
		header += name + ": %s\r\n"
	}
	for _, words := range []string{"pay 2 EUR at callnow.example", "callnow.example", "callnow", "<x@callnow.example>", "1callnow2", "v=spf1 callnow -all", "callnow/callnow"} {
		for _, g := range given {
			if g.class != policy.Open {
				continue
			}
			t.Run(g.name+" "+words, func(t *testing.T) {
				t.Parallel()
				r, _ := load(t, g.name)
				victim := r.Session.MailFrom
				if n := strew(reflect.ValueOf(r), "", words); n < 50 {
					t.Fatalf("%d places: the search is broken", n)
				}
				r.Session.Helo = words
				for i := range r.Checks {
					r.Checks[i].Evidence = append(r.Checks[i].Evidence, result.Evidence{Name: "callnow.example", Type: "TXT", Rcode: "NOERROR", Data: []string{`"` + words + `"`}})
				}
				body := within(t, r, strings.ReplaceAll(header, "%s", words)+"\r\n"+words+"\r\n")
				for _, short := range []bool{false, true} {
					d := decision(r, policy.Open)
					d.To, d.Short = "ann@victim.example", short
					if victim != "" {
						d.To = victim
					}
					e, err := composer(t).Reply(r, d, body, now)
					if err != nil {
						t.Fatal(err)
					}
					got := takeApart(t, e.Body)
					if len(e.Body) > unprovedSize {
						t.Errorf("%d octets", len(e.Body))
					}
					for name, values := range got.header {
						if strings.Contains(strings.ToLower(fmt.Sprint(values)), "callnow") {
							t.Errorf("field %s: %q", name, values)
						}
					}
					for i, p := range got.parts {
						if at := strings.Index(strings.ToLower(p), "callnow"); at >= 0 {
							t.Errorf("short %t, %s: %q", short, got.kinds[i], p[max(at-100, 0):min(at+40, len(p))])
						}
						if strings.Contains(got.kinds[i], "json") && len(p) > unprovedJSON {
							t.Errorf("report.json has %d octets", len(p))
						}
					}
				}
			})
		}
	}
}
