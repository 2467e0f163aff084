package compose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"checkauth/reply/policy"
	"checkauth/templates"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// pages are the replies whose HTML part has a golden file.
var pages = []string{
	"all-well", "founding-story", "founding-story-tr", "dkim-body-changed", "dns-outage", "spf-eleven-lookups", "spf-two-records",
	"stale-cache", "hostile", "hostile-unproved",
}

// reportOf reads a report of testdata, and what is to be done about it where NAME.actions.json has that.
func reportOf(t testing.TB, name string) *verify.Report {
	t.Helper()
	r, _ := load(t, name)
	b, err := os.ReadFile(filepath.Join("testdata", strings.TrimSuffix(name, "-tr")+".actions.json"))
	if os.IsNotExist(err) {
		return r
	}
	if err == nil {
		err = json.Unmarshal(b, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func classOf(name string) policy.Class {
	for _, c := range given {
		if c.name == name {
			return c.class
		}
	}
	return policy.Proved
}

func pageOf(t testing.TB, r *verify.Report, class policy.Class) string {
	t.Helper()
	out, err := composer(t).HTML(r, decision(r, class))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestHTML_is_what_the_golden_files_say(t *testing.T) {
	t.Parallel()
	for _, name := range pages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name+".html", pageOf(t, reportOf(t, name), classOf(name)))
		})
	}
}

// A reply must fit 64 KiB with its text, its JSON and what their encodings add. A record of eleven look-ups is
// as large as an honest one comes.
func TestHTML_of_a_usual_reply_is_small(t *testing.T) {
	t.Parallel()
	for _, c := range given {
		most := 20 << 10
		if c.name == "spf-eleven-lookups" {
			most = 24 << 10
		}
		if n := len(pageOf(t, reportOf(t, c.name), c.class)); n > most {
			t.Errorf("%s: %d octets, want %d at most", c.name, n, most)
		}
	}
}

// everyPage is all that is given, the rehearsal, and a report with a stranger's text in every place.
func everyPage(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, c := range given {
		out[c.name] = pageOf(t, reportOf(t, c.name), c.class)
	}
	for i, p := range rehearsals() {
		out[fmt.Sprintf("rehearsal %d", i)] = pageOf(t, p.r, p.d.Class)
	}
	for i, s := range hostileTexts {
		r, _ := load(t, "hostile")
		r.Actions, r.Receivers, r.Authoritative = rehearsedActions(), rehearsedReceivers(), rehearsedServers()
		spread(r, s)
		spreadAdvice(r, s)
		out[fmt.Sprintf("hostile text %d", i)] = pageOf(t, r, policy.Proved)
	}
	return out
}

var hostileTexts = []string{
	`"><script>alert(1)</script>`, `' onmouseover=alert(1) x='`, "javascript:alert(1)", "\x1b[2J\u202egpj.exe\u2028\u200b\u009b31m\x00\xff", "{{.}}{host}%s",
	`</style><style>*{background:url(//evil.example)}`, "--><img src=x onerror=alert(1)><!--", "\r\n\r\n--b\r\n", "https://evil.example/ www.evil.example",
	strings.Repeat("x", 10<<10), strings.Repeat("\u0301", 500), "<a href=http://evil.example>", "&lt;script&gt;", "`${alert(1)}`",
}

// spreadAdvice writes s where spread does not.
func spreadAdvice(r *verify.Report, s string) {
	for i := range r.Actions {
		a := &r.Actions[i]
		a.Name, a.Type, a.Value, a.Zone, a.Replaces, a.Settings = s, s, s, s, []string{s, s}, []result.Text{{Value: s}}
		spreadArgs(a.Args, s)
		a.Where = &verify.Place{Zone: s, Servers: []string{s}, Panel: s, Path: s, Field: s}
		a.Proof.Receivers = []verify.VerdictShift{{Name: s, Before: "reject", After: "junk"}}
	}
	for i := range r.Receivers {
		v := &r.Receivers[i]
		v.Name, v.Why.Text, v.Hint.Text = s, s, s
		spreadArgs(v.Why.Args, s)
		for j := range v.Rules {
			v.Rules[j].Requirement.Text = s
		}
	}
	for i := range r.Authoritative {
		a := &r.Authoritative[i]
		a.Name, a.Type = s, s
		spreadArgs(a.Says.Args, s)
		for j := range a.Servers {
			a.Servers[j].Server, a.Servers[j].Data = s, []string{s}
			spreadArgs(a.Servers[j].Error.Args, s)
		}
	}
}

// Mail clients show this beside other mail: nothing in it runs, asks another host, or looks as a stranger wants.
func TestHTML_has_nothing_of_a_stranger_but_text(t *testing.T) {
	t.Parallel()
	layout, err := os.ReadFile("../../templates/report.html")
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range everyPage(t) {
		if i := strings.IndexFunc(page, unsafeRune); i >= 0 {
			t.Errorf("%s: an unsafe character: %q", name, page[max(i-20, 0):min(i+20, len(page))])
		}
		if i := strings.Index(page, "://"); i >= 0 {
			t.Errorf("%s: a link: %q", name, page[max(i-20, 0):min(i+20, len(page))])
		}
		for n := range parsed(t, page).Descendants() {
			if n.Type != html.ElementNode {
				if n.Type == html.CommentNode {
					t.Errorf("%s: a comment %q", name, n.Data)
				}
				continue
			}
			if !slices.Contains(elements, n.Data) {
				t.Errorf("%s: an element <%s>", name, n.Data)
			}
			for _, a := range n.Attr {
				checkAttribute(t, name, n.Data, a, string(layout))
			}
		}
	}
}

var elements = strings.Fields(`html head meta title style body div p h1 h2 h3 span b small br a del code ol ul li table thead tbody tr th td`)

// checkAttribute: each is written in the layout as it stands, apart from the language and our own addresses.
func checkAttribute(t *testing.T, page, element string, a html.Attribute, layout string) {
	t.Helper()
	switch {
	case a.Key == "nowrap" && a.Val == "":
	case a.Key == "lang" && (a.Val == "en" || a.Val == "tr"):
	case element == "a" && a.Key == "href" && regexp.MustCompile(`^mailto:check-auth\+[a-z0-9]+@verifier\.example$`).MatchString(a.Val):
	case a.Key == "href" || a.Key == "src" || strings.HasPrefix(a.Key, "on") || !inLayout(layout, a):
		t.Errorf("%s: <%s %s=%q>", page, element, a.Key, a.Val)
	}
}

// inLayout: quoted or, where it needs none, without quotes.
func inLayout(layout string, a html.Attribute) bool {
	return strings.Contains(layout, " "+a.Key+`="`+a.Val+`"`) ||
		regexp.MustCompile(" "+a.Key+"="+regexp.QuoteMeta(a.Val)+"[ >]").MatchString(layout)
}

func parsed(t *testing.T, page string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// Screen readers go by these: a language, one heading of each page, headings that follow one another, and for
// each table of facts what its columns or rows are.
func TestHTML_has_a_structure(t *testing.T) {
	t.Parallel()
	for name, page := range everyPage(t) {
		if !strings.HasPrefix(page, "<!DOCTYPE html>") {
			t.Errorf("%s begins with %q", name, page[:min(40, len(page))])
		}
		var order []string
		for n := range parsed(t, page).Descendants() {
			switch {
			case n.Type != html.ElementNode:
			case n.Data == "html" && attribute(n, "lang") == "":
				t.Errorf("%s: no language", name)
			case n.Data == "table" && attribute(n, "role") != "presentation":
				checkTable(t, name, n)
			case len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] <= '3':
				order = append(order, n.Data)
			}
		}
		if all := strings.Join(order, " "); strings.Count(all, "h1") != 1 || !strings.HasPrefix(all, "h1 h2") {
			t.Errorf("%s: headings %s", name, all)
		}
	}
}

// checkTable: a row has its header, or each column has one.
func checkTable(t *testing.T, page string, table *html.Node) {
	t.Helper()
	columns, rows, headed := 0, 0, 0
	for n := range table.Descendants() {
		if n.Type != html.ElementNode || n.Data != "tr" {
			continue
		}
		rows++
		for cell := range n.ChildNodes() {
			switch attribute(cell, "scope") {
			case "col":
				columns++
			case "row", "rowgroup":
				headed++
			}
		}
	}
	if columns == 0 && headed != rows {
		t.Errorf("%s: a table of %d rows has %d headers of columns and %d of rows", page, rows, columns, headed)
	}
}

// The verdict is the first thing, then what to do, then the checks, then what they rest on.
func TestHTML_order(t *testing.T) {
	t.Parallel()
	page := pageOf(t, rehearsal(), policy.Open)
	var at []int
	for _, s := range []string{"<h1", "NOT AUTHENTICATED", "What to do now", "Also found", "Also noted", "Summary", "At the large", "The checks", "SPF:", "DMARC:", "zone&#39;s own", "DNS records", "Test again", "Never again"} {
		at = append(at, strings.Index(page, s))
	}
	if slices.Contains(at, -1) || !slices.IsSorted(at) {
		t.Errorf("they stand at %v, want all of them, in order", at)
	}
}

// An address that is not proved gets nothing of the message's own words, and the original stands in the text alone.
func TestHostile_44_the_page_has_no_words_of_the_message(t *testing.T) {
	t.Parallel()
	r, _ := load(t, "unproved")
	page := pageOf(t, r, policy.Open)
	for _, words := range []string{"pills", "Buy now", "Cheap", "555 0100", "this is a test"} {
		if strings.Contains(page, words) {
			t.Errorf("the page has %q of the message", words)
		}
	}
	r, _ = load(t, "dkim-body-changed")
	if page := pageOf(t, r, policy.Proved); strings.Contains(page, "see you on Monday") || strings.Contains(page, "Your appointment") {
		t.Error("the page has the original")
	}
}

// An operator's layout that names what there is not is refused at the start, in whichever section it does.
func TestRehearsal_finds_a_broken_layout(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../templates/report.html")
	if err != nil {
		t.Fatal(err)
	}
	layout := string(b)
	sections := regexp.MustCompile(`\{\{-? *(if|else|range|with|define)[^}]*\}\}`).FindAllStringIndex(layout, -1)
	if len(sections) < 50 {
		t.Fatalf("%d sections found: the search is broken", len(sections))
	}
	dir := t.TempDir()
	for _, at := range sections {
		broken := layout[:at[1]] + "{{.Nosuch}}" + layout[at[1]:]
		if err := os.WriteFile(filepath.Join(dir, "report.html"), []byte(broken), 0o644); err != nil {
			t.Fatal(err)
		}
		line := 1 + strings.Count(layout[:at[1]], "\n")
		_, err := New(Config{Templates: dir, Operator: "postmaster@example.org"}, nil)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("report.html:%d:", line)) {
			t.Errorf("line %d, behind %q: got %v, want a refusal with file and line", line, layout[max(at[0]-20, 0):at[1]], err)
		}
	}
}

// Every sentence that the layout asks for is there.
func TestHTML_has_its_words(t *testing.T) {
	t.Parallel()
	w, err := templates.Default()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("html*.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`"(html-[a-z-]+|test-again|never-again|also-[a-z]+)"`)
	for _, file := range append(files, "../../templates/report.html") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codes.FindAllStringSubmatch(string(b), -1) {
			for _, lang := range []string{"en", "tr"} {
				if !w.Has(lang, m[1]) {
					t.Errorf("%s: %q has no sentence in %s", file, m[1], lang)
				}
			}
		}
	}
}

// WCAG 2.1, 1.4.3 wants a contrast of 4.5 to 1 for text. Each colour is held against the
// page's and the cards' ground of its scheme.
func TestHTML_contrast(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../templates/report.html")
	if err != nil {
		t.Fatal(err)
	}
	style, rest, _ := strings.Cut(string(b), "</style>")
	colour := regexp.MustCompile(`[;{" =]color:(#[0-9a-f]{6})`)
	for _, c := range []struct {
		scheme, text string
		grounds      []string
	}{
		{"light", style[:strings.Index(style, "<style>")] + rest, []string{"#ffffff", "#f6f8fa"}},
		{"dark", style[strings.Index(style, "<style>"):], []string{"#0d1117", "#161b22"}},
	} {
		found := colour.FindAllStringSubmatch(c.text, -1)
		if len(found) < 5 {
			t.Fatalf("%s: %d colours found: the search is broken", c.scheme, len(found))
		}
		for _, ground := range c.grounds {
			if !strings.Contains(c.text, "background:"+ground) {
				t.Errorf("%s: %s is no ground of the page", c.scheme, ground)
			}
			for _, m := range found {
				if got := contrast(m[1], ground); got < 4.5 {
					t.Errorf("%s: %s on %s: %.2f, want 4.5", c.scheme, m[1], ground, got)
				}
			}
		}
	}
}

// contrast of two colours by WCAG 2.1's definition.
func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(colour string) float64 {
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		v := float64(n) / 255
		if v <= 0.03928 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

// A layout that writes without an end, or makes a function panic, is refused at the start with its file.
func TestRehearsal_ends_a_layout_that_does_not(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, layout, line string }{
		{"report.txt", "ok\n{{range 1000000000000}}more and more{{end}}", "report.txt writes more than"},
		{"report.html", "ok\n{{range 1000000000000}}more and more{{end}}", "report.html writes more than"},
		{"report.txt", "ok\n\n{{define \"a\"}}x{{template \"a\"}}{{end}}{{template \"a\"}}", "report.txt:3:"},
		{"report.txt", "{{rule \"=\" -1}}", "report.txt:1:"},
		{"report.txt", "{{nosuch .Host}}", "report.txt:1:"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.layout), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Templates: dir}, nil); err == nil || !strings.Contains(err.Error(), c.line) {
			t.Errorf("%s, %.30q: got %v, want a refusal with %s", c.file, c.layout, err, c.line)
		}
	}
}

// Of a field that asks for a language the first two are looked at: a header may have a thousand.
func TestLanguage_of_a_thousand_fields(t *testing.T) {
	t.Parallel()
	c := composer(t)
	for header, want := range map[string]string{
		strings.Repeat("Accept-Language: de\r\n", 1) + "Accept-Language: tr\r\n":    "tr",
		strings.Repeat("Accept-Language: de\r\n", 900) + "Accept-Language: tr\r\n":  "en",
		strings.Repeat("Accept-Language: de\r\n", 900) + "Content-Language: tr\r\n": "tr",
	} {
		r, _ := load(t, "all-well")
		within(t, r, header+"\r\n")
		if got := c.language(r, policy.Decision{}).lang; got != want {
			t.Errorf("%.60q: got %s, want %s", header, got, want)
		}
	}
}

// The built-in layouts are rehearsed here, in every language, and not at each start.
func TestRehearsal_of_the_built_in_layouts(t *testing.T) {
	t.Parallel()
	c := composer(t)
	for lang, v := range c.languages {
		for i, p := range rehearsals() {
			shown := forClass(p.r, p.d.Class)
			if err := v.text(&bytes.Buffer{}, shown, p.d, mail.Data{}); err != nil {
				t.Errorf("%s, report %d, text: %v", lang, i, err)
			}
			if err := v.write(&bytes.Buffer{}, v.pageOf(shown, p.d)); err != nil {
				t.Errorf("%s, report %d, page: %v", lang, i, err)
			}
		}
	}
	if err := c.rehearse(); err != nil {
		t.Error(err)
	}
}
