package compose

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/evaluate"
	"checkauth/verify/known"
	"checkauth/verify/mail"
	"checkauth/verify/receivers"
	"checkauth/verify/result"
)

const (
	schemaFile = "../../docs/report.schema.json"
	guideFile  = "../../docs/report.md"
)

// published is the schema as JSON, a copy for each caller.
func published(t testing.TB) map[string]any {
	t.Helper()
	b, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return asMap(t, b)
}

func asMap(t testing.TB, b []byte) map[string]any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%.40q is no object", b)
	}
	return m
}

func compiled(t testing.TB, schema map[string]any) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource("urn:check-auth:report:1", schema); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:check-auth:report:1")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// strict allows no field that the schema does not describe. What stands behind "then" describes only a part of
// its object, and has no type.
func strict(schema map[string]any) map[string]any {
	eachObject(schema, func(o map[string]any) {
		if _, has := o["properties"].(map[string]any); has && o["type"] == "object" {
			o["additionalProperties"] = false
		}
	})
	return schema
}

// withLists gives the lists that every evaluation makes to a report from before there were any, and takes a
// stranger's text from where it cannot stand: the evaluation puts these words of the policy there itself.
func withLists(r *verify.Report) *verify.Report {
	if d := result.Detail[dmarc.Result](r.Check(verify.MethodDMARC)); d != nil && len(d.Policy) > len("quarantine") {
		d.Policy, d.Tag, d.SPFMode, d.DKIMMode = "reject", "p", "r", "s"
	}
	if r.Receivers == nil {
		r.Receivers = []verify.Receiver{}
	}
	if r.Actions == nil {
		r.Actions = []verify.Action{}
	}
	if r.Authoritative == nil {
		r.Authoritative = []verify.Authority{}
	}
	return r
}

var classes = []policy.Class{policy.Proved, policy.Open, policy.Refuted}

func checkSchema(t *testing.T, name string, b []byte, schemas ...*jsonschema.Schema) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, s := range schemas {
		if err := s.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchema_holds_for_the_reports_of_testdata(t *testing.T) {
	t.Parallel()
	open, closed := compiled(t, published(t)), compiled(t, strict(published(t)))
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d reports in testdata (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := json.Marshal(kept(t, name))
			if err != nil {
				t.Fatal(err)
			}
			checkSchema(t, name, b, open, closed)
			for _, class := range classes {
				checkSchema(t, name+", class "+string(class), asJSON(t, kept(t, name), class), open, closed)
			}
		})
	}
}

// kept is a report of testdata; NAME.actions has what is to be done about NAME.
func kept(t *testing.T, name string) *verify.Report {
	t.Helper()
	of, more, _ := strings.Cut(name, ".")
	r, _ := load(t, of)
	if more != "" {
		if err := json.Unmarshal(read(t, "testdata", name+".json"), r); err != nil {
			t.Fatal(err)
		}
	}
	return withLists(r)
}

const incidents = "../../verify/testdata/cases"

func TestSchema_holds_for_every_incident(t *testing.T) {
	t.Parallel()
	open, closed := compiled(t, published(t)), compiled(t, strict(published(t)))
	dirs, err := filepath.Glob(incidents + "/*/case.json")
	if err != nil || len(dirs) != 27 {
		t.Fatalf("%d incidents below %s, want 27 (%v)", len(dirs), incidents, err)
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			r := incident(t, dir)
			for _, class := range classes {
				checkSchema(t, "class "+string(class), asJSON(t, r, class), open, closed)
			}
		})
	}
}

// incident evaluates one as the SMTP side would hand it over, with all that tells of receivers and of what to do.
func incident(t *testing.T, dir string) *verify.Report {
	t.Helper()
	var c struct {
		ClientIP string `json:"client_ip"`
		Helo     string `json:"helo"`
		MailFrom string `json:"mail_from"`
		RcptTo   string `json:"rcpt_to"`
		TLS      bool   `json:"tls"`
	}
	if err := json.Unmarshal(read(t, dir, "case.json"), &c); err != nil {
		t.Fatal(err)
	}
	env := verify.Envelope{ID: "incidentincidentincidentaa", Host: "verifier.example", Time: now, Helo: c.Helo, MailFrom: c.MailFrom, ESMTP: true,
		Client: netip.AddrPortFrom(netip.MustParseAddr(c.ClientIP), 50123), RcptTo: []string{c.RcptTo}, Purpose: verify.ForTest}
	if c.TLS {
		env.TLS = &verify.TLS{Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "verifier.example"}
	}
	m := &verify.Message{Envelope: env, Received: now, Whole: data(string(read(t, dir, "message.eml")))}
	m.Transcript = []verify.Line{{Text: "220 verifier.example ESMTP"}, {Client: true, Text: "EHLO " + c.Helo}}
	var err error
	if m.Fields, m.Body, err = mail.Split(m.Whole, mail.DefaultBounds()); err != nil {
		t.Fatal(err)
	}
	server := dnstest.New(t, string(read(t, dir, "zone.txt")), dnstest.WithAuthoritative())
	authorities := client.Authorities(server.Addr().Port(), netip.Addr.IsLoopback)
	ev := evaluate.Evaluator{Config: evaluate.Defaults(), DNS: server.Client(t), Authorities: &authorities, Now: func() time.Time { return now }}
	if ev.Atlas, err = known.Load(); err != nil {
		t.Fatal(err)
	}
	if ev.Receivers, err = receivers.Load(); err != nil {
		t.Fatal(err)
	}
	return ev.Evaluate(t.Context(), m)
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// at walks down: names of members, and 0 for a list's first element.
func at(v any, path ...any) map[string]any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			v = v.(map[string]any)[step]
		case int:
			v = v.([]any)[step]
		}
	}
	return v.(map[string]any)
}

func TestSchema_refuses_what_the_program_never_writes(t *testing.T) {
	t.Parallel()
	schema := compiled(t, published(t))
	r, _ := load(t, "spf-eleven-lookups")
	good := asJSON(t, r, policy.Proved)
	const spf, dkim, arc = 0, 2, 7
	for _, c := range []struct {
		name  string
		spoil func(v map[string]any)
	}{
		{"no id", func(v map[string]any) { delete(v, "id") }},
		{"an id that is none", func(v map[string]any) { v["id"] = "no id" }},
		{"version 2", func(v map[string]any) { v["version"] = json.Number("2") }},
		{"no version", func(v map[string]any) { delete(v, "version") }},
		{"a time that is none", func(v map[string]any) { v["time"] = "yesterday" }},
		{"no list of actions", func(v map[string]any) { delete(v, "actions") }},
		{"null for the checks", func(v map[string]any) { v["checks"] = nil }},
		{"no tls", func(v map[string]any) { delete(at(v, "session"), "tls") }},
		{"a port that is none", func(v map[string]any) { at(v, "session")["client_port"] = json.Number("65536") }},
		{"a size that is a text", func(v map[string]any) { at(v, "message")["size"] = "700" }},
		{"a verdict that is none", func(v map[string]any) { at(v, "verdict")["result"] = "permerror" }},
		{"a result that is none", func(v map[string]any) { at(v, "checks", spf)["result"] = "passs" }},
		{"SPF's policy", func(v map[string]any) { at(v, "checks", spf)["result"] = "policy" }},
		{"DKIM's softfail", func(v map[string]any) { at(v, "checks", dkim)["result"] = "softfail" }},
		{"ham of ARC", func(v map[string]any) { at(v, "checks", arc)["result"] = "ham" }},
		{"no identities", func(v map[string]any) { delete(at(v, "checks", spf), "identities") }},
		{"SPF's details without a sender", func(v map[string]any) { delete(at(v, "checks", spf, "details"), "sender") }},
		{"details of another method", func(v map[string]any) { at(v, "checks", spf)["method"] = "dmarc" }},
		{"an outcome that is none", func(v map[string]any) {
			at(v, "checks", spf, "details", "record", "terms", 0)["outcome"] = "matched"
		}},
		{"an answer without data", func(v map[string]any) { delete(at(v, "checks", spf, "evidence", 0), "data") }},
		{"a TTL below zero", func(v map[string]any) { at(v, "checks", spf, "evidence", 0)["ttl"] = json.Number("-1") }},
		{"a finding without a code", func(v map[string]any) { delete(at(v, "findings", 0), "code") }},
		{"a code in words", func(v map[string]any) { at(v, "findings", 0)["code"] = "Two records" }},
		{"a severity that is none", func(v map[string]any) { at(v, "findings", 0)["severity"] = "fatal" }},
		{"an argument that is no text", func(v map[string]any) { at(v, "findings", 0, "args")["count"] = json.Number("11") }},
		{"an action without a code", func(v map[string]any) { delete(at(v, "actions", 0), "code") }},
		{"an action of no type", func(v map[string]any) { at(v, "actions", 0)["type"] = "SPF" }},
		{"a proof without what was before", func(v map[string]any) { delete(at(v, "actions", 0, "proof"), "before") }},
		{"a receiver's verdict that is none", func(v map[string]any) { at(v, "receivers", 0)["verdict"] = "spam" }},
		{"a rule without a source", func(v map[string]any) { delete(at(v, "receivers", 0, "rules", 0), "source") }},
		{"a name server without a serial", func(v map[string]any) { delete(at(v, "authoritative", 0, "servers", 0), "serial") }},
	} {
		v := asMap(t, good)
		if err := schema.Validate(v); err != nil {
			t.Fatal(err)
		}
		c.spoil(v)
		if err := schema.Validate(v); err == nil {
			t.Errorf("%s: want it refused", c.name)
		}
	}
}

// Fields are only added: who has this schema reads the reports of a later program.
func TestSchema_allows_fields_of_a_later_program(t *testing.T) {
	t.Parallel()
	open, closed := compiled(t, published(t)), compiled(t, strict(published(t)))
	r, _ := load(t, "spf-eleven-lookups")
	v := asMap(t, asJSON(t, r, policy.Proved))
	eachObject(v, func(o map[string]any) { o["added-later"] = "x" })
	if err := open.Validate(v); err != nil {
		t.Error(err)
	}
	if closed.Validate(v) == nil {
		t.Error("the strict schema allows fields that nobody described: it proves nothing")
	}
}

// Each field of the Go types stands in the schema at its place, is required there where it is always written, and
// has its sentence; and the schema has no field that there is not.
func TestSchema_describes_every_field(t *testing.T) {
	t.Parallel()
	w := &walker{T: t, schema: published(t), done: map[string]bool{}}
	w.walk("report", reflect.TypeFor[verify.Report](), w.schema)
	for method, typ := range detailsOfMethods {
		if typ != nil && method != verify.MethodSPFHelo {
			w.walk("details of "+method, typ, map[string]any{"$ref": "#/$defs/" + method})
		}
	}
	for name := range at(w.schema, "$defs") {
		if !w.done[name] && !slices.Contains([]string{"word", "maybeWord", "code", "args"}, name) {
			t.Errorf("%s stands among the definitions, and no field of the report is one", name)
		}
	}
}

type walker struct {
	*testing.T
	schema map[string]any
	done   map[string]bool // definitions that were gone through
}

// definition follows a reference.
func (w *walker) definition(node map[string]any) (def map[string]any, name string) {
	ref, _ := node["$ref"].(string)
	if ref == "" {
		return node, ""
	}
	name = strings.TrimPrefix(ref, "#/$defs/")
	return at(w.schema, "$defs", name), name
}

func (w *walker) walk(path string, typ reflect.Type, node map[string]any) {
	w.Helper()
	if one, ok := node["oneOf"].([]any); ok { // null, or else
		node = one[1].(map[string]any)
	}
	node, name := w.definition(node)
	if name != "" && w.done[name] && typ.Kind() != reflect.String {
		return
	}
	w.done[name] = true
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	kind := "string"
	switch {
	case typ == reflect.TypeFor[result.Text](): // by MarshalText
	case typ == reflect.TypeFor[time.Time]():
		if node["format"] != "date-time" {
			w.Errorf("%s: want a date-time, the schema has %v", path, node)
		}
	case typ == reflect.TypeFor[result.Args](), typ.Kind() == reflect.Map:
		kind = "object"
	case typ == reflect.TypeFor[[]byte](), typ.Kind() == reflect.String:
	case typ.Kind() == reflect.Struct:
		w.object(path, typ, node)
		kind = "object"
	case typ.Kind() == reflect.Slice:
		w.walk(path+"[]", typ.Elem(), node["items"].(map[string]any))
		kind = "array"
	case typ.Kind() == reflect.Bool:
		kind = "boolean"
	case typ.Kind() == reflect.Float64:
		kind = "number"
	default:
		kind = "integer"
	}
	if node["enum"] == nil && node["const"] == nil && !slices.Contains(typesOf(node), kind) {
		w.Errorf("%s: it is written as %s, the schema has %v", path, kind, node["type"])
	}
}

func typesOf(node map[string]any) (out []string) {
	switch v := node["type"].(type) {
	case string:
		out = append(out, v)
	case []any:
		for _, s := range v {
			out = append(out, s.(string))
		}
	}
	return out
}

func (w *walker) object(path string, typ reflect.Type, node map[string]any) {
	w.Helper()
	known, ok := node["properties"].(map[string]any)
	if !ok {
		w.Errorf("%s: no object in the schema", path)
		return
	}
	var required []string
	written := map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		written[name] = true
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
		property, ok := known[name].(map[string]any)
		if !ok {
			w.Errorf("%s.%s: not described", path, name)
			continue
		}
		w.sentence(path+"."+name, property)
		if f.Type.Kind() != reflect.Interface {
			w.walk(path+"."+name, f.Type, property)
		}
	}
	if typ == reflect.TypeFor[result.Evidence]() {
		written["ms"], required = true, append(required, "ms") // MarshalJSON adds it
	}
	for name := range known {
		if !written[name] {
			w.Errorf("%s.%s: described, and never written", path, name)
		}
	}
	var demanded []string
	for _, name := range node["required"].([]any) {
		demanded = append(demanded, name.(string))
	}
	slices.Sort(required)
	slices.Sort(demanded)
	if !slices.Equal(required, demanded) {
		w.Errorf("%s: always written are %q, the schema demands %q", path, required, demanded)
	}
}

// sentence: a property has its own description, or that of its definition.
func (w *walker) sentence(path string, property map[string]any) {
	w.Helper()
	def, _ := w.definition(property)
	for _, node := range []map[string]any{property, def} {
		if s, _ := node["description"].(string); s != "" {
			if !strings.HasSuffix(s, ".") {
				w.Errorf("%s: no sentence: %q", path, s)
			}
			return
		}
	}
	w.Errorf("%s: no description", path)
}

// The commands of the guide print what it says that they print.
func TestGuide_examples_run(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "jq", "python3"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	dir := t.TempDir()
	r, body := load(t, "spf-two-records")
	e, err := composer(t).Reply(r, policy.Decision{Class: policy.Proved}, body, now)
	if err != nil {
		t.Fatal(err)
	}
	save(t, dir, "reply.eml", string(e.Body))
	save(t, dir, "report.schema.json", string(read(t, ".", schemaFile)))
	blocks := strings.Split("\n"+string(read(t, ".", guideFile)), "\n```")
	ran := 0
	for i := 1; i < len(blocks); i += 2 {
		kind, text, _ := strings.Cut(blocks[i], "\n")
		switch kind {
		case "python":
			save(t, dir, "extract.py", text+"\n")
		case "console":
			for _, example := range strings.Split("\n"+text, "\n$ ")[1:] {
				ran++
				runExample(t, dir, example)
			}
		}
	}
	if ran < 6 {
		t.Errorf("%d examples found in %s", ran, guideFile)
	}
}

func runExample(t *testing.T, dir, example string) {
	t.Helper()
	lines := strings.Split(example, "\n")
	n := 1
	for strings.Count(strings.Join(lines[:n], ""), "'")%2 == 1 { // a quoted text goes on
		n++
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Join(lines[:n], "\n"))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if want := strings.Join(lines[n:], "\n"); err != nil || strings.TrimSpace(string(out)) != strings.TrimSpace(want) {
		t.Errorf("%s\ngot  %s (%v)\nwant %s", strings.Join(lines[:n], "\n"), out, err, want)
	}
}

func save(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
