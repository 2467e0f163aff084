package mtasts

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRFC8461_3_2_policy(t *testing.T) {
	t.Parallel()
	const rest = "mode: enforce\nmx: mx.example.org\nmax_age: 1"
	for _, c := range []struct {
		name, body string
		want       string // as described, or the beginning of the error
	}{
		{"CRLF", policyText, "enforce [mx.example.org *.backup.example.org] 604800"},
		{"LF", strings.ReplaceAll(policyText, "\r", ""), "enforce [mx.example.org *.backup.example.org] 604800"},
		{"the last line has no end", "version: STSv1\n" + rest, "enforce [mx.example.org] 1"},
		{"LF and CRLF mixed", "version: STSv1\r\nmode: testing\nmx: a\r\nmax_age: 1\n", "testing [a] 1"},
		{"any order", "max_age: 1\nmx: a\nmode: testing\nversion: STSv1", "testing [a] 1"},
		{"no blank behind the colon", "version:STSv1\nmode:enforce\nmx:a\nmax_age:1", "enforce [a] 1"},
		{"many blanks behind the colon", "version: \t STSv1\nmode:\tenforce\nmx: a\nmax_age: 1", "enforce [a] 1"},
		{"blanks at the end", "version: STSv1 \t\nmode: enforce \r\nmx: a \nmax_age: 1  ", "enforce [a] 1"},
		{"blank before a name", " version: STSv1\n" + rest, "line 1"},
		{"blank before the colon", "version : STSv1\n" + rest, "line 1"},
		{"unknown field", "version: STSv1\nx-y_z.1: some words: \u00e4\n" + rest, "enforce [mx.example.org] 1"},
		{"unknown field without a value", "version: STSv1\nx:\n" + rest, "line 2"},
		{"unknown field with a control", "version: STSv1\nx: a\tb\n" + rest, "line 2"},
		{"unknown field that is no UTF-8", "version: STSv1\nx: \xff\n" + rest, "line 2"},
		{"name that is too long", "version: STSv1\n" + strings.Repeat("x", 33) + ": a\n" + rest, "line 2"},
		{"name that begins with a dot", "version: STSv1\n.x: a\n" + rest, "line 2"},
		{"names with case are others", "version: STSv1\nMode: testing\n" + rest, "enforce [mx.example.org] 1"},
		{"empty line", "version: STSv1\n\n" + rest, "line 2"},
		{"empty line at the end", "version: STSv1\n" + rest + "\n\n", "line 5"},
		{"CR at the end", "version: STSv1\n" + rest + "\r", "line 4"},
		{"CR alone", "version: STSv1\r" + rest, "line 1"},
		{"two CR", "version: STSv1\r\r\n" + rest, "line 1"},
		{"byte order mark", "\ufeffversion: STSv1\n" + rest, "line 1"},
		{"no colon", "version: STSv1\nhello\n" + rest, "line 2"},
		{"nothing", "", "line 1"},
		{"HTML", "<!DOCTYPE html>\n<title>404</title>", "line 1"},

		{"no version", rest, "want a field version"},
		{"another version", "version: STSv2\n" + rest, "line 1"},
		{"version with case", "version: stsv1\n" + rest, "line 1"},
		{"two versions", "version: STSv1\nversion: STSv2\n" + rest, "enforce [mx.example.org] 1"},
		{"no mode", "version: STSv1\nmx: a\nmax_age: 1", "want a field mode"},
		{"unknown mode", "version: STSv1\nmode: report\nmx: a\nmax_age: 1", "line 2"},
		{"mode with case", "version: STSv1\nmode: Enforce\nmx: a\nmax_age: 1", "line 2"},
		{"of two modes the first counts", "version: STSv1\n" + rest + "\nmode: none", "enforce [mx.example.org] 1"},
		{"of two modes the first counts, though it is none", "version: STSv1\nmode: x\n" + rest, "line 2"},
		{"mode none without mx", "version: STSv1\nmode: none\nmax_age: 1", "none [] 1"},
		{"mode none with mx", "version: STSv1\nmode: none\nmx: a\nmax_age: 1", "none [a] 1"},
		{"no mx", "version: STSv1\nmode: testing\nmax_age: 1", "want a field mx"},
		{"no max_age", "version: STSv1\nmode: none", "want a field max_age"},
		{"max_age 0", "version: STSv1\nmode: none\nmax_age: 0", "none [] 0"},
		{"max_age with zeros", "version: STSv1\nmode: none\nmax_age: 0000000001", "none [] 1"},
		{"max_age of eleven digits", "version: STSv1\nmode: none\nmax_age: 00000000001", "line 3"},
		{"a year", "version: STSv1\nmode: none\nmax_age: 31557600", "none [] 31557600"},
		{"more than a year", "version: STSv1\nmode: none\nmax_age: 31557601", "line 3"},
		{"ten digits", "version: STSv1\nmode: none\nmax_age: 9999999999", "line 3"},
		{"max_age with a sign", "version: STSv1\nmode: none\nmax_age: +1", "line 3"},
		{"max_age below zero", "version: STSv1\nmode: none\nmax_age: -1", "line 3"},
		{"max_age with a fraction", "version: STSv1\nmode: none\nmax_age: 1.5", "line 3"},
		{"max_age overflows", "version: STSv1\nmode: none\nmax_age: 18446744073709551617", "line 3"},
		{"of two max_age the first counts", "version: STSv1\nmode: none\nmax_age: 1\nmax_age: x", "none [] 1"},

		{"mx in upper case", mx("MX.Example.ORG"), "enforce [mx.example.org] 1"},
		{"mx in A-labels", mx("*.xn--bcher-kva.example"), "enforce [*.xn--bcher-kva.example] 1"},
		{"mx in U-labels", mx("b\u00fccher.example"), "line 3"},
		{"mx with a final dot", mx("mx.example.org."), "line 3"},
		{"mx with a wildcard in the middle", mx("mx.*.example.org"), "line 3"},
		{"mx with a wildcard in a label", mx("mx*.example.org"), "line 3"},
		{"mx that is all", mx("*"), "line 3"},
		{"mx with two wildcards", mx("*.*.example.org"), "line 3"},
		{"mx that begins with a dot", mx(".example.org"), "line 3"},
		{"mx with an underscore", mx("m_x.example.org"), "line 3"},
		{"mx with a hyphen at an end", mx("-mx.example.org"), "line 3"},
		{"mx with a long label", mx(strings.Repeat("a", 64) + ".example.org"), "line 3"},
		{"mx that is an address", mx("[192.0.2.1]"), "line 3"},
		{"two names in one mx", mx("a.example.org b.example.org"), "line 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := Parse([]byte(c.body))
			if err != nil {
				s, ok := errors.AsType[*SyntaxError](err)
				if !ok || !strings.Contains(err.Error(), c.want) || s.Want == "" || !reflect.ValueOf(p).IsZero() {
					t.Errorf("%q: got %v, %+v; want %s", c.body, err, p, c.want)
				}
				return
			}
			if got := fmt.Sprintf("%s %v %d", p.Mode, p.MX, seconds(p)); got != c.want {
				t.Errorf("%q: got %s, want %s", c.body, got, c.want)
			}
		})
	}
}

func mx(value string) string {
	return policy("version: STSv1", "mode: enforce", "mx: "+value, "max_age: 1")
}

func seconds(p Policy) int64 { return int64(p.MaxAge / time.Second) }

func TestRFC8461_4_1_allows(t *testing.T) {
	t.Parallel()
	p := Policy{Mode: Enforce, MX: []string{"mx.example.org", "*.example.net", "xn--bcher-kva.example"}}
	for host, want := range map[string]bool{
		"mx.example.org": true, "MX.EXAMPLE.ORG": true, "mx.example.org.": true, "a.mx.example.org": false,
		"example.org": false, "xmx.example.org": false, "": false, ".": false,
		"mail.example.net": true, "Mail.Example.Net.": true, "example.net": false, "foo.bar.example.net": false,
		".example.net": false, "*.example.net": true, "mailexample.net": false, "example.net.example.org": false,
		"xn--bcher-kva.example": true, "XN--Bcher-KVA.example": true, "b\u00fccher.example": true, "bcher.example": false,
		"[192.0.2.1]": false, "\xff.example.org": false,
	} {
		if got := p.Allows(host); got != want {
			t.Errorf("%q: got %t, want %t", host, got, want)
		}
	}
	p.Mode = Testing
	if p.Allows("other.example.org") || !p.Allows("mx.example.org") {
		t.Error("testing: the answer differs from enforce's")
	}
}

func TestRFC8461_5_modes(t *testing.T) {
	t.Parallel()
	for _, p := range []Policy{{}, {Mode: None}, {Mode: None, MX: []string{"mx.example.org"}}} {
		if !p.Allows("other.example.org") {
			t.Errorf("%+v forbids a host", p)
		}
	}
}

func TestRFC8461_3_1_record(t *testing.T) {
	t.Parallel()
	const good = "v=STSv1; id=20160831085700Z;"
	for _, c := range []struct {
		name  string
		texts []string
		want  string
	}{
		{"as published", []string{good}, "20160831085700Z"},
		{"no blanks, no end", []string{"v=STSv1;id=a"}, "a"},
		{"blanks around semicolons", []string{"v=STSv1 \t; id=a \t; x-y_z.1=1:2 ; "}, "a"},
		{"extension before the id", []string{"v=STSv1; x=1; id=a"}, "a"},
		{"32 letters and digits", []string{"v=STSv1; id=" + strings.Repeat("aZ09", 8)}, strings.Repeat("aZ09", 8)},
		{"33", []string{"v=STSv1; id=" + strings.Repeat("a", 33)}, ""},
		{"of two ids the first counts", []string{"v=STSv1; id=a; id=b"}, "a"},
		{"of two ids the first counts, though it is none", []string{"v=STSv1; id=a-b; id=b"}, ""},
		{"empty id", []string{"v=STSv1; id="}, ""},
		{"no id", []string{"v=STSv1;"}, ""},
		{"version alone", []string{"v=STSv1"}, ""},
		{"extension alone", []string{"v=STSv1; x=1"}, ""},
		{"id with case", []string{"v=STSv1; ID=a"}, ""},
		{"hyphen in the id", []string{"v=STSv1; id=2026-01-01"}, ""},
		{"blanks around =", []string{"v=STSv1; id = a"}, ""},
		{"field without =", []string{"v=STSv1; id=a; x"}, ""},
		{"field without a value", []string{"v=STSv1; id=a; x="}, ""},
		{"two = in a field", []string{"v=STSv1; id=a; x=b=c"}, ""},
		{"two semicolons", []string{"v=STSv1; id=a;;"}, ""},
		{"octets", []string{"v=STSv1; id=\x1b\xff"}, ""},
		{"more fields than we read", []string{"v=STSv1; id=a" + strings.Repeat("; x=1", 50)}, ""},
		{"blank before the version", []string{" v=STSv1; id=a"}, ""},
		{"version with case", []string{"v=stsv1; id=a"}, ""},
		{"another version", []string{"v=STSv2; id=a"}, ""},
		{"another version beside it", []string{"v=STSv2; id=a", good}, "20160831085700Z"},
		{"SPF beside it", []string{good, "v=spf1 -all"}, "20160831085700Z"},
		{"several", []string{good, good}, ""},
		{"several, one malformed", []string{good, "v=STSv1; id="}, ""},
		{"none", nil, ""},
	} {
		if got := recordID(c.texts); got != c.want {
			t.Errorf("%s: %q: got %q, want %q", c.name, c.texts, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(policyText))
	f.Add([]byte("version:STSv1\nmode:none\nmax_age:0\nx: \u00e4"))
	f.Add([]byte("max_age: 31557600\r\nmx: *.A\nmode: testing \nversion: STSv1\r\n"))
	f.Add([]byte("version: STSv1\r\r\n\n: \xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := Parse(body)
		if err != nil {
			if s, ok := errors.AsType[*SyntaxError](err); !ok || len(s.Text) > 110 || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: error %q", body, err)
			}
			return
		}
		if p.MaxAge < 0 || p.MaxAge > maxAge*time.Second || p.ID != "" || !p.Expires.IsZero() || p.Mode != None && len(p.MX) == 0 {
			t.Fatalf("%q: %+v", body, p)
		}
		for _, pattern := range p.MX {
			host := strings.Replace(pattern, "*", "any", 1)
			if !isDomain(host) || !p.Allows(host) || !p.Allows(strings.ToUpper(host)) || p.Mode != None && p.Allows("x.y."+host) && !covered(p, "x.y."+host) {
				t.Fatalf("%q: pattern %q, host %q", body, pattern, host)
			}
		}
		again, err := Parse([]byte(printed(p)))
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%q does not survive printing: %+v, %+v, %v", body, p, again, err)
		}
	})
}

// covered is Allows said in another way.
func covered(p Policy, host string) bool {
	for _, pattern := range p.MX {
		labels, want := strings.Split(host, "."), strings.Split(pattern, ".")
		if want[0] == "*" {
			labels[0] = "*"
		}
		if strings.Join(labels, ".") == pattern {
			return true
		}
	}
	return false
}

func printed(p Policy) string {
	lines := []string{"version: STSv1", "mode: " + string(p.Mode), fmt.Sprintf("max_age: %d", seconds(p))}
	for _, pattern := range p.MX {
		lines = append(lines, "mx: "+pattern)
	}
	return policy(lines...)
}

func FuzzRecord(f *testing.F) {
	f.Add("v=STSv1; id=a;", "v=spf1 -all")
	f.Add("v=STSv1 ;x=1;id=20160831085700Z ; ", "v=STSv1")
	f.Add("v=STSv1;;=\xff", "v=STSv1;id=b")
	f.Fuzz(func(t *testing.T, one, two string) {
		id := recordID([]string{one, two})
		if id == "" {
			return
		}
		if !IsID(id) || !strings.Contains(one+two, "id="+id) {
			t.Fatalf("%q, %q: id %q", one, two, id)
		}
		if got := recordID([]string{one, two, "v=STSv1;"}); got != "" {
			t.Fatalf("%q, %q and another: id %q", one, two, got)
		}
		if got := recordID([]string{"v=STSv1; id=" + id}); got != id {
			t.Fatalf("id %q does not survive printing: %q", id, got)
		}
	})
}
