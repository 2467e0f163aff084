package compose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-message"
	"golang.org/x/net/html"

	"checkauth/reply/policy"
	"checkauth/templates"
	"checkauth/verify"
	"checkauth/verify/arc"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/dnsbl"
	"checkauth/verify/evaluate"
	"checkauth/verify/header"
	"checkauth/verify/helo"
	"checkauth/verify/inbound"
	"checkauth/verify/iprev"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spam"
	"checkauth/verify/spf"
)

// strangersTexts are what strangers may write into names, records and messages.
var strangersTexts = []string{
	"\x1b]0;title\x07\x1b[2J\x1b[31mred", "\x00\x01\x08\x0b\x0c\x1f\x7f", "\u0080\u0085\u009b31m\u009d0;x\u009c",
	"\u202egpj.exe\u202c\u2066x\u2069\u200e\u200f", "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00ad", "\u2028\u2029\u0085line",
	"a\r\n.\r\nMAIL FROM:<x@example.org>\r\n", "x\r\nBcc: x@example.org\r\n", "\r\n\r\nbody\r\n--b--\r\n", "a\rb\nc",
	"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, `' onmouseover='x`, "<!-- ", "]]>", "</code></td></table>", "&lt;b&gt;&#x202e;&amp;",
	"{{.Host}}", "{host} {domain} %s %d %{i}", "http://evil.example/", "HTTPS://evil.example/?a=1&b=2", "javascript:alert(1)", "mailto:x@example.org?bcc=y@example.org",
	"data:text/html,<script>", "www.evil.example", strings.Repeat("a", 63) + "." + strings.Repeat("long.", 2000), strings.Repeat("word ", 500), strings.Repeat("\u202e", 600),
	"\xff\xfe\x80\xc0\xaf", "\xed\xa0\x80\xed\xb0\x80", "\xf4\x90\x80\x80", "e" + strings.Repeat("\u0301\u0323\u0489", 400), "\U000e0041\U000e0042", "\ufffd",
	"From x@example.org Tue Nov 24", "From: admin@example.org", ".", "..", "=?utf-8?q?=0D=0ABcc:_x?=", "a'b(.evil; spf=pass (", `\" \\ \`, "a@b>, <c@d", "\t\u00a0\u3000 ", "==========",
	"SPF check:          pass", "\u0441heck-auth \u4e2d\u6587 \u0639\u0631\u0628\u064a \U0001f600",
}

func TestHostile_56_nothing_raw_leaves_in_a_reply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, s := range strangersTexts {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for _, class := range classes {
				if len(s) < 1000 || class == policy.Proved { // who gets most
					b.reply(t, s, class, i)
				}
			}
		})
	}
}

// However long a stranger's names are, the reply is as small as any, and a whole mail.
func TestHostile_56_a_reply_keeps_its_size(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, s := range []string{strings.Repeat("long.", 2000), strings.Repeat("\u202e", 600), "example.org"} {
		r := b.maker(0).report(s)
		body := hostileMail(r, s)
		e, err := composer(t).Reply(r, policy.Decision{Class: policy.Proved, To: "ann@example.org"}, body, now)
		if err != nil {
			t.Fatal(err)
		}
		if parts := received(t, s, e.Body); len(e.Body) > Defaults().Size || parts["text/plain"] == "" {
			t.Errorf("%.20q: %d octets in %d parts, want %d at most, with the text", s, len(e.Body), len(parts), Defaults().Size)
		}
	}
}

// Every sentence that there is, with everything at once in each of its places.
func TestHostile_56_nothing_raw_leaves_in_any_sentence(t *testing.T) {
	t.Parallel()
	all := strings.Join(slices.DeleteFunc(slices.Clone(strangersTexts), func(s string) bool { return len(s) > 1000 }), "")
	b := newBench(t)
	each := b.maker(0).codesOf("example.org")
	each -= 1 - each%2 // odd, so that what is true in one is false in the next
	for from := 0; from < len(b.codes); from += each {
		t.Run(fmt.Sprint(from), func(t *testing.T) {
			t.Parallel()
			for _, class := range classes {
				b.reply(t, all, class, from)
			}
		})
	}
}

// A mailbox in mbox form puts ">" before a line that begins with "From ", and the signature of the reply is broken
// (RFC 6376, 5.3; RFC 2049, 3). No line of ours begins so, nor of the message that we show.
func TestReply_has_no_line_that_a_mailbox_changes(t *testing.T) {
	t.Parallel()
	r, _ := load(t, "all-well")
	body := within(t, r, "Subject: x\r\nFrom x: y\r\n\r\nFrom here on\r\n")
	e, err := composer(t).Reply(r, policy.Decision{Class: policy.Proved}, body, now)
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.Index(e.Body, []byte("\nFrom ")); i >= 0 {
		t.Errorf("%q", e.Body[i:min(i+40, len(e.Body))])
	}
	if text := takeApart(t, e.Body).parts[0]; !strings.Contains(text, "\r\nFrom here on\r\n") {
		t.Error("the line is not shown as it is")
	}
}

// What a signature says of itself gets into no field of Authentication-Results, neither one of the reply nor
// of the header that is shown.
func TestHostile_71_no_result_is_put_into_Authentication_Results(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	quoted := regexp.MustCompile(`"[^"\\]*"`)
	for _, s := range []string{
		"a'b(.evil; dkim=pass header.d=bank.example", "x; spf=pass smtp.mailfrom=bank.example", "x\r\n dkim=pass", "x\"; dmarc=pass header.from=\"bank.example",
		"x (; dmarc=pass", "x\\; dmarc=pass", "bank.example\x00.evil.example", "x\n\tdmarc=pass header.from=bank.example",
	} {
		r := b.maker(0).report(s)
		for i := range r.Checks {
			r.Checks[i].Result = result.Fail
		}
		for _, got := range []string{authenticationResults(r), strings.Join(trace(r)[len(trace(r))-1:], "")} {
			if bare := quoted.ReplaceAllString(got, ""); strings.Contains(bare, "=pass") || strings.ContainsAny(bare, "\"()\\\r\x00") {
				t.Errorf("%q: got %q", s, got)
			}
		}
	}
}

// Facts of a log are values. The handlers of the standard library quote what they must for their own form, and the
// text form all that steers a terminal; of the other one the runes beyond ASCII are escaped behind it.
func TestHostile_56_a_log_line_is_one_line(t *testing.T) {
	t.Parallel()
	for _, s := range strangersTexts {
		var text, object bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&object, nil)} {
			slog.New(h).Info("report stored", "helo", s, "from", []string{s, s}, slog.Group("dkim", "d", s), "err", fmt.Errorf("of %q", s))
		}
		for _, out := range []string{text.String(), string(ASCII(object.Bytes()))} {
			line, rest, _ := strings.Cut(out, "\n")
			if rest != "" || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q: got %q", s, out)
			}
		}
	}
}

// FuzzHostileReply puts one text into every place of a report that strangers write, and into header and body of
// the message, and looks at the whole reply as its receiver would.
func FuzzHostileReply(f *testing.F) {
	for i, s := range strangersTexts {
		if len(s) < 1000 { // the others take their time, and tests above have them
			f.Add(s, byte(i*5))
		}
	}
	b := newBench(f)
	each := b.maker(0).codesOf("example.org")
	f.Fuzz(func(t *testing.T, s string, n byte) {
		if s == "" || len(s) > 2<<10 {
			t.Skip()
		}
		b.reply(t, s, classes[int(n)%len(classes)], int(n)/32*each+int(n)%2)
	})
}

// bench is what the replies are made with.
type bench struct {
	c      *Composer
	codes  []string // of sentences that have an argument
	shapes sync.Map // of pages with harmless text in the same places
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{c: composer(t, func(cfg *Config) { cfg.Size = 32 << 20 })}
	for _, code := range b.c.words.Codes(templates.English) {
		if len(b.c.words.Arguments(templates.English, code)) > 0 {
			b.codes = append(b.codes, code)
		}
	}
	return b
}

func (b *bench) maker(from int) *maker { return &maker{codes: b.codes, words: b.c.words, from: from} }

// again and never are addresses as a decision has them.
const again, never = "check-auth+token@verifier.example", "check-auth-stop+token@verifier.example"

// reply makes the reply of a class and looks at everything that leaves.
func (b *bench) reply(t *testing.T, s string, class policy.Class, from int) {
	t.Helper()
	p := b.maker(from)
	r := p.report(s)
	body := hostileMail(r, s)
	d := policy.Decision{Class: class, To: s, Short: class == policy.Refuted, Again: again, Never: never, Code: 550, Enhanced: [3]int{5, 7, 1}, Lines: p.said(s)}
	for _, l := range b.c.Answer(d).Lines {
		if len(l) > 480 || strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q: the answer has %q", s, l)
		}
	}
	e, err := b.c.Reply(r, d, body, now)
	if err != nil {
		t.Fatal(err)
	}
	parts := received(t, s, e.Body)
	if d.Short {
		if len(parts) != 1 {
			t.Fatalf("%q: %d parts, want the short one alone", s, len(parts))
		}
		return
	}
	kinds := []string{"text/plain", "text/html", "application/json", "text/rfc822-headers"}
	if class != policy.Proved { // half the size, of all sentences at once
		kinds = kinds[:1]
	}
	for _, kind := range kinds {
		if parts[kind] == "" {
			t.Fatalf("%q: no part %s", s, kind)
		}
	}
	if page := parts["text/html"]; page != "" {
		b.checkPage(t, s, class, from, b.c.language(r, d), page)
	}
	if object := parts["application/json"]; object != "" {
		checkObject(t, s, object)
	}
}

// hostileMail is a message that has the text in a field's name, in fields, as lines and as its body.
func hostileMail(r *verify.Report, s string) mail.Data {
	raw := s + ": x\r\nFrom: " + s + "\r\nSubject: " + s + "\r\n" + s + "\r\nReceived: from " + s + "\r\n\tby " + s + "\r\n" +
		"Authentication-Results: verifier.example; " + s + "\r\nMessage-ID: <" + s + ">\r\nDKIM-Signature: " + s + "\r\n\r\n" + s + "\r\n" + s
	fields, body, err := mail.Split(data(raw), mail.DefaultBounds())
	if err != nil {
		fields, body = nil, data(s)
	}
	r.Message.Fields = fields
	return body
}

// received takes a mail apart as a receiver does, by kind of its parts, and looks at each octet.
func received(t *testing.T, s string, raw []byte) map[string]string {
	t.Helper()
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("%q: a line of %d octets or with a bare CR or LF: %q", s, len(line), line[:min(len(line), 200)])
		}
	}
	checkHeader(t, raw)
	whole, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	parts := map[string]string{}
	err = whole.Walk(func(path []int, p *message.Entity, err error) error {
		if err != nil {
			return err
		}
		for f := p.Header.Fields(); f.Next(); {
			if i := strings.IndexFunc(f.Value(), notShown); i >= 0 {
				t.Fatalf("%q: %s: %q", s, f.Key(), f.Value())
			}
			if len(path) > 0 && !strings.HasPrefix(f.Key(), "Content-") {
				t.Fatalf("%q: part %v has a field %s", s, path, f.Key())
			}
		}
		if p.MultipartReader() != nil {
			return nil
		}
		b, err := io.ReadAll(p.Body)
		kind, _, _ := p.Header.ContentType()
		parts[kind] = strings.ReplaceAll(string(b), "\r\n", "\n")
		return err
	})
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	for kind, text := range parts {
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && notShown(r) }); i >= 0 || !utf8.ValidString(text) {
			t.Fatalf("%q: %s: %q", s, kind, text[max(i-40, 0):min(max(i, 0)+40, len(text))])
		}
		if i := strings.Index(text, "://"); i >= 0 && kind != "application/json" {
			t.Fatalf("%q: %s: a link lives: %q", s, kind, text[max(i-40, 0):i+20])
		}
	}
	return parts
}

// notShown: what has no shape of its own, the space apart.
func notShown(r rune) bool { return !unicode.IsPrint(r) }

// shape is every element of a page with each of its attributes, and every kind of node that is neither that nor text.
func shape(t *testing.T, page string) map[string]bool {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for n := range root.Descendants() {
		switch n.Type {
		case html.TextNode:
		case html.ElementNode:
			out["<"+n.Data+">"] = true
			for _, a := range n.Attr {
				out["<"+n.Data+" "+a.Key+"="+a.Val+">"] = true
			}
		default:
			out[fmt.Sprint(n.Type, " ", n.Data)] = true
		}
	}
	return out
}

// checkPage: the page has nothing but text that one with harmless text has not: short, long, or of many words.
func (b *bench) checkPage(t *testing.T, s string, class policy.Class, from int, v *Language, page string) {
	t.Helper()
	key := fmt.Sprint(class, from, v.lang)
	allowed, ok := b.shapes.Load(key)
	if !ok {
		all := map[string]bool{}
		for _, text := range []string{"example.org", strings.Repeat("x", 2000), strings.Repeat("word ", 400)} {
			var out bytes.Buffer
			if err := v.write(&out, v.pageOf(forClass(b.maker(from).report(text), class), policy.Decision{Class: class, Again: again, Never: never})); err != nil {
				t.Fatal(err)
			}
			maps.Copy(all, shape(t, out.String()))
		}
		allowed, _ = b.shapes.LoadOrStore(key, all)
	}
	for part := range shape(t, page) {
		if !allowed.(map[string]bool)[part] {
			t.Fatalf("%q: the text adds %s to the page", s, part)
		}
	}
}

// checkObject: the JSON is ASCII, and has the very text that was put in.
func checkObject(t *testing.T, s, object string) {
	t.Helper()
	if strings.ContainsFunc(object, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
		t.Fatalf("%q: the JSON is not ASCII", s)
	}
	var back verify.Report
	if err := json.Unmarshal([]byte(object), &back); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var want string
	if err := json.Unmarshal(b, &want); err != nil || back.Session.Helo != want {
		t.Fatalf("%q: read back as %q (%v)", want, back.Session.Helo, err)
	}
}

// maker makes reports of one shape: something in every place that there is, and a stranger's text wherever the
// place is not one of ours. Codes are taken in turn, from one on.
type maker struct {
	codes []string
	words *templates.Words
	from  int
	next  int // code
	turn  int // of our own words, and of true and false
	text  string
}

// codesOf is how many codes a report has.
func (p *maker) codesOf(text string) int {
	p.report(text)
	return p.next - p.from
}

// ours are the places of the type string that no stranger writes.
var ours = []string{
	"Report.ID", "Report.Host", "Session.ClientIP", "Outcome.Method", "Outcome.Label", "Finding.Check", "Evidence.Type", "Evidence.Rcode", "Authority.Type",
	"Action.Type", "Receiver.ID", "Receiver.Verdict", "ReceiverRule.Verdict", "ReceiverRule.Scope", "VerdictShift.Before", "VerdictShift.After", "Signature.HashComputed",
}

// own are the values of types that have no other.
var own = map[reflect.Type][]string{
	reflect.TypeFor[result.Word]():        {"fail", "pass", "permerror", "none"},
	reflect.TypeFor[result.Severity]():    {"error", "info", "warning"},
	reflect.TypeFor[verify.VerdictWord](): {"fail"},
	reflect.TypeFor[verify.RuleState]():   {"not met"},
	reflect.TypeFor[spf.Outcome]():        {"no match", "match", "error", "not reached", "modifier"},
	reflect.TypeFor[header.State]():       {"off"},
	reflect.TypeFor[inbound.State]():      {"present", "absent", "malformed"},
	reflect.TypeFor[dmarc.UnderReject]():  {"reject"},
	reflect.TypeFor[dmarc.Found]():        {"record", "other"},
	reflect.TypeFor[dnsbl.Kind]():         {"block"},
	reflect.TypeFor[dnsbl.Of]():           {"ip"},
	reflect.TypeFor[dnsbl.State]():        {"listed"},
}

func (p *maker) report(text string) *verify.Report {
	p.text, p.turn, p.next = text, 0, p.from
	r := &verify.Report{}
	p.fill(reflect.ValueOf(r).Elem(), "", 0)
	r.Version, r.ID, r.Host, r.Session.ClientIP = 1, "hostilehostilehostilehosta", "verifier.example", "192.0.2.66"
	r.Checks = nil
	for method := range detailsOfMethods {
		for range map[bool]int{true: 2, false: 1}[method == verify.MethodDKIM] {
			r.Checks = append(r.Checks, result.Outcome{Method: method})
		}
	}
	// As in a report, or two would differ.
	slices.SortStableFunc(r.Checks, func(a, b result.Outcome) int { return strings.Compare(a.Method, b.Method) })
	for i := range r.Checks {
		k := &r.Checks[i]
		p.fill(reflect.ValueOf(k).Elem(), "", 0)
		if typ := detailsOfMethods[k.Method]; typ != nil {
			detail := reflect.New(typ)
			p.fill(detail.Elem(), "", 0)
			k.Detail = detail.Interface()
		}
	}
	for i, id := range []string{"gmail", "outlook"} {
		r.Receivers[i].ID, r.Receivers[i].Verdict = id, []string{"reject", "junk"}[i]
	}
	// As an operator's file of receivers brings its words.
	theirs := &r.Receivers[1]
	theirs.Why.Text, theirs.Hint.Text, theirs.Bulk.Text = text, text, text
	for i := range theirs.Rules {
		theirs.Rules[i].Requirement.Text, theirs.Rules[i].Scope = text, []string{"all", "bulk"}[i%2]
	}
	r.Actions[0].Type, r.Actions[1].Type = "TXT", verify.ActionHost
	for i := range r.Actions {
		r.Actions[i].For = []result.Code{r.Findings[0].Code} // the other ones stand by themselves
		r.Actions[i].Replaces = []string{text, "gone " + text}
	}
	if err := evaluate.Restore(r); err != nil {
		panic(err)
	}
	return r
}

// detailsOfMethods are all methods, with the type of the detail.
var detailsOfMethods = map[string]reflect.Type{
	verify.MethodSPF: reflect.TypeFor[spf.Result](), verify.MethodIPRev: reflect.TypeFor[iprev.Result](), verify.MethodDKIM: reflect.TypeFor[dkim.Signature](),
	verify.MethodDMARC: reflect.TypeFor[dmarc.Result](), verify.MethodSPFHelo: reflect.TypeFor[spf.Result](), verify.MethodHelo: reflect.TypeFor[helo.Result](),
	verify.MethodTLS: nil, verify.MethodARC: reflect.TypeFor[arc.Result](), verify.MethodHeader: reflect.TypeFor[header.Result](),
	verify.MethodInbound: reflect.TypeFor[inbound.Result](), verify.MethodDNSBL: reflect.TypeFor[dnsbl.Result](), verify.MethodSpam: reflect.TypeFor[spam.Result](),
}

// fill goes through all that is exported. Below a record in a record in a record there is none.
func (p *maker) fill(v reflect.Value, place string, depth int) {
	typ := v.Type()
	if words, ok := own[typ]; ok {
		v.SetString(words[p.turn%len(words)])
		p.turn++
		return
	}
	switch v.Kind() {
	case reflect.String:
		if !slices.Contains(ours, place) {
			v.SetString(p.text)
		} else if v.String() == "" {
			v.SetString("all")
		}
	case reflect.Bool:
		v.SetBool((p.turn+p.from)%2 == 0)
		p.turn++
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(3)
	case reflect.Float64:
		v.SetFloat(3.5)
	case reflect.Pointer:
		if typ != reflect.TypeFor[*spf.Record]() || depth < 3 {
			v.Set(reflect.New(typ.Elem()))
			p.fill(v.Elem(), place, depth)
		}
	case reflect.Slice:
		p.list(v, place, depth)
	case reflect.Map: // identities
		v.Set(reflect.MakeMap(typ))
		for _, property := range []string{"smtp.mailfrom", "smtp.helo", "policy.iprev", "header.d", "header.from"} {
			v.SetMapIndex(reflect.ValueOf(property), reflect.ValueOf(p.text))
		}
	case reflect.Struct:
		p.object(v, depth)
	}
}

func (p *maker) list(v reflect.Value, place string, depth int) {
	switch v.Type() {
	case reflect.TypeFor[[]byte]():
		v.SetBytes([]byte(p.text))
	case reflect.TypeFor[result.Args](), reflect.TypeFor[mail.Fields]():
	default:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			p.fill(v.Index(i), place, depth)
		}
	}
}

func (p *maker) object(v reflect.Value, depth int) {
	typ := v.Type()
	if typ == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(now))
		return
	}
	if typ == reflect.TypeFor[spf.Record]() {
		depth++
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		made := typ == reflect.TypeFor[result.Outcome]() && f.Tag.Get("json") == "-" // by Restore
		if f.IsExported() && f.Type.Kind() != reflect.Interface && !made {
			p.fill(v.Field(i), typ.Name()+"."+f.Name, depth)
		}
	}
	switch x := v.Addr().Interface().(type) {
	case *result.Reason:
		*x = p.reason()
	case *result.Finding:
		why := p.reason()
		x.Code, x.Args, x.Text = why.Code, why.Args, ""
	case *verify.Action:
		why := p.reason()
		x.Code, x.Args, x.Text = why.Code, why.Args, ""
	}
}

// reason takes the next code, with the text for each of its arguments.
func (p *maker) reason() result.Reason {
	why := p.about(p.codes[p.next%len(p.codes)])
	p.next++
	return why
}

func (p *maker) about(code string) result.Reason {
	why := result.Reason{Code: result.Code(strings.TrimPrefix(code, "finding-"))}
	for _, name := range p.words.Arguments(templates.English, code) {
		why.Args = why.Args.With(name, p.text)
	}
	return why
}

// said are the lines of an answer: all sentences that a client may hear.
func (p *maker) said(text string) (out []result.Reason) {
	p.text = text
	for _, code := range p.codes {
		if strings.HasPrefix(code, "answer-") {
			out = append(out, p.about(code))
		}
	}
	return out
}
