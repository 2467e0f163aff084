package compose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/reply"
	"checkauth/reply/policy"
	"checkauth/reply/sign"
	"checkauth/verify"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// taken is a reply, taken apart.
type taken struct {
	header netmail.Header
	kinds  []string // of the parts
	parts  []string // decoded, in order: text, page, JSON, header fields
}

func takeApart(t testing.TB, raw []byte) taken {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	out := taken{header: m.Header}
	out.read(t, m.Header.Get("Content-Type"), "7bit", m.Body)
	return out
}

// read goes down into parts of parts.
func (out *taken) read(t testing.TB, contentType, encoding string, in io.Reader) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatalf("Content-Type %q: %v", contentType, err)
	}
	if !strings.HasPrefix(kind, "multipart/") {
		switch strings.ToLower(encoding) {
		case "7bit":
		case "quoted-printable":
			in = quotedprintable.NewReader(in)
		case "base64":
			in = base64.NewDecoder(base64.StdEncoding, in)
		default:
			t.Fatalf("encoding %q", encoding)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		out.kinds, out.parts = append(out.kinds, kind), append(out.parts, string(b))
		return
	}
	for r := multipart.NewReader(in, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		out.read(t, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p)
	}
}

// decoded is all that a reader could see: the header and every part.
func decoded(t testing.TB, raw []byte) []byte {
	t.Helper()
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	return append(slices.Clone(head), strings.Join(takeApart(t, raw).parts, "\n")...)
}

func TestHostile_37_header_of_the_reply(t *testing.T) {
	t.Parallel()
	r, body := load(t, "all-well")
	e, err := composer(t).Reply(r, policy.Decision{Class: policy.Proved, To: r.Session.MailFrom}, body, now)
	if err != nil {
		t.Fatal(err)
	}
	if e.From != "" || e.To != "ann@example.org" || e.UTF8 || e.EightBit || !e.Created.Equal(now) {
		t.Errorf("envelope: got %q to %q, SMTPUTF8 %t, 8BITMIME %t; want the null sender to MAIL FROM", e.From, e.To, e.UTF8, e.EightBit)
	}
	h := takeApart(t, e.Body).header
	for name, want := range map[string]string{
		"Auto-Submitted":           "auto-replied",
		"X-Auto-Response-Suppress": "All",
		"In-Reply-To":              "<1@example.org>",
		"References":               "<1@example.org>",
		"Message-Id":               "<wellwellwellwellwellwellaa@verifier.example>",
		"From":                     "check-auth <auth-results@verifier.example>",
		"To":                       "<ann@example.org>",
		"Subject":                  "Authentication Report: PASS example.org",
		"Date":                     "Tue, 24 Nov 2026 02:10:07 +0000",
		"Mime-Version":             "1.0",
		"Reply-To":                 "",
		"Cc":                       "",
		"Precedence":               "",
		"List-Id":                  "",
		"Return-Path":              "",
	} {
		if got := h[name]; strings.Join(got, "|") != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// RFC 5322, 3.6.4: what is no message id is not quoted back, and none is made up.
func TestHostile_37_only_well_formed_ids_are_answered(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"<1@example.org>": "<1@example.org>", "": "", "1@example.org": "", "<1@example.org>\r\nBcc: x@example.net": "",
		"<" + strings.Repeat("x", 250) + "@example.org>": "",
	} {
		r, body := load(t, "all-well")
		r.Message.MessageID = id
		e, err := composer(t).Reply(r, policy.Decision{Class: policy.Proved, To: r.Session.MailFrom}, body, now)
		if err != nil {
			t.Fatal(err)
		}
		h := takeApart(t, e.Body).header
		if h.Get("In-Reply-To") != want || h.Get("References") != want || h.Get("Bcc") != "" {
			t.Errorf("%q: got In-Reply-To %q, References %q; want %q", id, h["In-Reply-To"], h["References"], want)
		}
	}
}

func TestHostile_37_subject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, want, compatible string }{
		{"all-well", "Authentication Report: PASS example.org", "Authentication Report"},
		{"spf-permerror", "Authentication Report: FAIL (DMARC) example.org", "Authentication Report"},
		{"founding-story", "Authentication Report: FAIL distillate.co.uk", "Authentication Report"},
		{"dns-outage", "Authentication Report: UNKNOWN example.org", "Authentication Report"},
		{"all-well, in another name", "Authentication Report: NOT FOR FROM example.org", "Authentication Report"},
	} {
		for _, compatible := range []bool{false, true} {
			of, other, _ := strings.Cut(c.name, ",")
			r, body := load(t, of)
			if other != "" {
				inAnotherName(r)
			}
			co := composer(t, func(cfg *Config) { cfg.Compatible = compatible })
			e, err := co.Reply(r, policy.Decision{Class: policy.Open, To: r.Session.MailFrom}, body, now)
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if compatible {
				want = c.compatible
			}
			if got := takeApart(t, e.Body).header.Get("Subject"); got != want {
				t.Errorf("%s: got %q, want %q", c.name, got, want)
			}
		}
	}
}

// inAnotherName has From name a domain that nothing in the report proves, and that has no DMARC record.
func inAnotherName(r *verify.Report) {
	r.Verdict = verify.Verdict{Word: verify.NotProved, Why: result.Because(verify.NotForFrom, "method", "dkim", "passed", "example.org", "domain", "victim.example")}
	for i := range r.Checks {
		if k := &r.Checks[i]; k.Method == verify.MethodDMARC {
			*k = result.Outcome{Method: k.Method, Result: result.None, Identities: map[string]string{"header.from": "victim.example"}}
		}
	}
}

func TestVerdict_that_is_not_for_From(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string]string{
		"en": "PASSES, BUT NOT FOR THE FROM ADDRESS. DKIM passes for example.org, but From names victim.example, and nothing in this mail proves that it comes from victim.example.",
		"tr": "PASS VAR, AMA FROM ADRESİ İÇİN DEĞİL. DKIM sonucu example.org için pass, ama From alanında victim.example yazıyor",
	} {
		r, body := load(t, "all-well")
		inAnotherName(r)
		d := policy.Decision{Class: policy.Proved, Form: policy.Form{Details: []string{lang}}}
		text, err := composer(t).Text(r, d, body)
		if err != nil {
			t.Fatal(err)
		}
		page, err := composer(t).HTML(r, d)
		if err != nil {
			t.Fatal(err)
		}
		if said := unfolded(text); !strings.Contains(said, want) || strings.Contains(said, " AUTHENTICATED.") {
			t.Errorf("%q is missing in\n%s", want, text)
		}
		headline, why, _ := strings.Cut(want, ". ")
		if said := unfolded(readable(page)); !strings.Contains(said, headline) || !strings.Contains(said, why) || !strings.Contains(page, "#cf222e") {
			t.Errorf("%s: the page does not say so, in red:\n%s", lang, page)
		}
	}
}

// The signature covers what a replay would want to change, and ends within a week.
func TestHostile_45_signed_for_a_week(t *testing.T) {
	t.Parallel()
	now := time.Now() // the library that verifies looks at its own clock
	key, _, err := sign.Open(t.TempDir(), "verifier.example", "ca1")
	if err != nil {
		t.Fatal(err)
	}
	cfg := composer(t).cfg
	c, err := New(cfg, key)
	if err != nil {
		t.Fatal(err)
	}
	r, body := load(t, "all-well")
	e, err := c.Reply(r, policy.Decision{Class: policy.Proved, To: r.Session.MailFrom}, body, now)
	if err != nil {
		t.Fatal(err)
	}
	asked := ""
	got, err := dkim.VerifyWithOptions(bytes.NewReader(e.Body), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		asked = name
		return []string{key.Text()}, nil
	}})
	if err != nil || len(got) != 1 || got[0].Err != nil || asked != "ca1._domainkey.verifier.example" {
		t.Fatalf("the signature does not verify: %v, %+v, key of %q", err, got, asked)
	}
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-ID", "Cc", "Reply-To"} {
		n := 0
		for _, h := range got[0].HeaderKeys {
			if strings.EqualFold(h, name) {
				n++
			}
		}
		if want := map[string]int{"Cc": 1, "Reply-To": 1}[name]; n != max(want, 2) && n != want {
			t.Errorf("%s stands %d times in h=", name, n)
		}
	}
	if d := got[0].Expiration.Sub(now); d <= 0 || d.Hours() > 7*24 {
		t.Errorf("it expires after %s, want a week at most", d)
	}
	if !strings.Contains(takeApart(t, e.Body).parts[0], "ann@example.org as its sender") {
		t.Error("the text does not name whom it was written to")
	}
}

func TestReply_has_its_forms_and_attachments(t *testing.T) {
	t.Parallel()
	r, body := load(t, "dkim-body-changed")
	e, err := composer(t).Reply(r, policy.Decision{Class: policy.Proved, To: r.Session.MailFrom}, body, now)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(bytes.ReplaceAll(e.Body, []byte("\r\n"), nil), []byte("\n")) || !isASCII(e.Body) {
		t.Error("the reply has bare LF or octets beyond ASCII")
	}
	got := takeApart(t, e.Body)
	if want := []string{"text/plain", "text/html", "application/json", "text/rfc822-headers"}; !slices.Equal(got.kinds, want) {
		t.Fatalf("parts %q, want %q", got.kinds, want)
	}
	parts := got.parts
	if want := text(t, "dkim-body-changed", policy.Proved); strings.ReplaceAll(parts[0], "\r\n", "\n") != want {
		t.Errorf("the text part differs from the text:\n%s", parts[0])
	}
	if !strings.HasPrefix(parts[2], `{"version":1,`) || !strings.HasPrefix(parts[3], "Return-Path: <office@example.org>\r\n") {
		t.Errorf("got parts %.60q and %.60q", parts[2], parts[3])
	}
	if strings.Contains(parts[3], "Directions") {
		t.Error("the part of the header fields has the body")
	}
}

// A domain beyond ASCII has A-labels, which a server without SMTPUTF8 takes; a local part has no other form.
func TestRFC6531_3_2_only_a_local_part_needs_SMTPUTF8(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to, want string
		utf8     bool
	}{
		{"bob@bücher.example", "bob@xn--bcher-kva.example", false},
		{"bob@BÜCHER.example", "bob@xn--bcher-kva.example", false},
		{"bob@Example.org", "bob@Example.org", false},
		{`"a@ü"@example.org`, `"a@ü"@example.org`, true},
		{"jürgen@bücher.example", "jürgen@bücher.example", true},
		{"jürgen@example.org", "jürgen@example.org", true},
		{"bob@\u2488.example", "bob@\u2488.example", true}, // no name at all
	} {
		r, body := load(t, "all-well")
		e, err := composer(t).Reply(r, policy.Decision{Class: policy.Proved, To: c.to}, body, now)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := bytes.Cut(e.Body, []byte("\r\n\r\n"))
		ascii := !bytes.ContainsFunc(head, func(r rune) bool { return r > '~' })
		if e.To != c.want || e.UTF8 != c.utf8 || ascii == c.utf8 || !bytes.Contains(head, []byte("\r\nTo: <"+c.want+">\r\n")) {
			t.Errorf("%s: got to %q, SMTPUTF8 %t, want %q, %t; header:\n%s", c.to, e.To, e.UTF8, c.want, c.utf8, head)
		}
	}
}

// An operator may leave parts out; a part that there is not is refused.
func TestReply_has_the_parts_that_the_operator_wants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ parts, want []string }{
		{nil, []string{"text/plain"}},
		{[]string{PartJSON}, []string{"text/plain", "application/json"}},
		{[]string{PartHeaders, PartHTML}, []string{"text/plain", "text/html", "text/rfc822-headers"}},
	} {
		cfg := composer(t).cfg
		cfg.Parts = c.parts
		made, err := New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, body := load(t, "all-well")
		e, err := made.Reply(r, policy.Decision{Class: policy.Proved, To: r.Session.MailFrom}, body, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := takeApart(t, e.Body).kinds; !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.parts, got, c.want)
		}
	}
	if _, err := New(Config{Parts: []string{"pdf"}}, nil); err == nil || !strings.Contains(err.Error(), `"pdf" is no part of a reply: want any of html, json, headers`) {
		t.Errorf("got %v", err)
	}
}

func isASCII(b []byte) bool { return !bytes.ContainsFunc(b, func(r rune) bool { return r > '~' }) }

var live = regexp.MustCompile(`(?i)[a-z]://|www\.`)

// A phishing mail comes back as text: nothing of it can be clicked, no part of it is attached.
func TestHostile_43_phishing_is_not_passed_on(t *testing.T) {
	t.Parallel()
	const link = "https://login.bank.example/?id=1"
	raw := "From: \"Bank www.bank.example\" <ann@example.org>\r\nSubject: Act now " + link + "\r\n" +
		"List-Unsubscribe: <" + link + ">\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/html\r\n\r\n<a href=\"HTTPS://login.bank.example/\">log in</a> or " + link + "\r\n" +
		"--b\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=x.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		strings.Repeat("UEsDBAoAAAAAAA==\r\n", 10<<10) + "--b--\r\n"
	for _, class := range []policy.Class{policy.Proved, policy.Open} {
		r, _ := load(t, "all-well")
		body := within(t, r, raw)
		r.Message.Subject, r.Message.From = r.Message.Fields.Value("Subject"), r.Message.Fields.Value("From")
		e, err := composer(t).Reply(r, policy.Decision{Class: class, To: r.Session.MailFrom}, body, now)
		if err != nil {
			t.Fatal(err)
		}
		got := takeApart(t, e.Body)
		most, parts := 64<<10, 4
		if class == policy.Open { // whose header is not shown
			most, parts = 32<<10, 3
		}
		if len(e.Body) > most || len(got.parts) != parts {
			t.Fatalf("class %s: %d octets in %d parts, want %d at most in %d", class, len(e.Body), len(got.parts), most, parts)
		}
		if s := got.header.Get("Subject"); strings.Contains(s, "Act now") {
			t.Errorf("class %s: Subject %q", class, s)
		}
		for i, p := range got.parts {
			if strings.HasPrefix(got.kinds[i], "application/json") {
				continue
			}
			if m := live.FindString(p); m != "" {
				t.Errorf("class %s, text %d: a live link: %.80q", class, i, p[strings.Index(p, m)-20:])
			}
		}
		if n := strings.Count(got.parts[0], "UEsDBAoAAAAAAA"); n > 128 || class == policy.Open && n > 0 {
			t.Errorf("class %s: %d lines of the attachment", class, n)
		}
		if says := strings.Contains(got.parts[0], fmt.Sprintf("[cut: the body has %d octets]", body.Size)); says != (class == policy.Proved) {
			t.Errorf("class %s: says %t that the body was cut", class, says)
		}
	}
}

// RFC 8601, 5: what claims to be ours and came from outside is removed and named.
func TestRFC8601_5_our_own_name(t *testing.T) {
	t.Parallel()
	for _, field := range []string{
		"Authentication-Results: verifier.example; spf=pass",
		"authentication-results:verifier.example;spf=pass",
		"Authentication-Results: (comment) \"Verifier.Example\" 1;\r\n\tspf=pass",
		"Authentication-Results : verifier.example.; spf=pass",
		"Authentication-Results:\r\n verifier.example; spf=pass",
	} {
		for _, class := range []policy.Class{policy.Proved} { // nobody else sees the header
			r, _ := load(t, "all-well")
			body := within(t, r, "From: ann@example.org\r\n"+field+"\r\nAuthentication-Results: mx.example.net; spf=softfail\r\n\r\nx\r\n")
			got := strings.Join(composer(t).original(r, class, body), "\n")
			// Our own one, on top, is the only one left in our name.
			if n := strings.Count(strings.ToLower(got), "verifier.example; spf=pass") + strings.Count(got, ";spf=pass"); n != 0 {
				t.Errorf("class %s, %q: still there:\n%s", class, field, got)
			}
			if !strings.Contains(got, "mx.example.net; spf=softfail") {
				t.Errorf("class %s, %q: the field of another host is gone", class, field)
			}
			if !strings.Contains(got, "[field 2 removed: an Authentication-Results in the name of verifier.example") {
				t.Errorf("class %s, %q: its removal is not named", class, field)
			}
		}
	}
}

func TestOriginal_has_our_trace_on_top(t *testing.T) {
	t.Parallel()
	r, body := load(t, "spf-permerror")
	got := strings.Join(composer(t).original(r, policy.Open, body), "\n")
	want := `Return-Path: <desk@example.org>
Received: from mail.example.org ([IPv6:2001:db8::25])
        by verifier.example with ESMTPS id permpermpermpermpermpermaa;
        Tue, 24 Nov 2026 02:10:05 +0000
Authentication-Results: verifier.example;
        spf=permerror smtp.mailfrom=desk@example.org;
        iprev=permerror policy.iprev="2001:db8::25";
        dkim=permerror header.d=example.org header.s=s2026;
        dmarc=fail header.from=example.org policy.dmarc=none
[the message is not shown to an address that is not proved]`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A line that is no field cannot be taken for one of the report's own.
func TestOriginal_quotes_what_is_no_field(t *testing.T) {
	t.Parallel()
	r, _ := load(t, "all-well")
	body := within(t, r, "From: ann@example.org\r\nSPF check:          pass\r\n==========\r\n\tfold\r\n\r\n"+"DKIM check:         pass\r\n")
	got := composer(t).original(r, policy.Proved, body)
	for _, want := range []string{"> ==========", "> \tfold"} {
		want = strings.ReplaceAll(want, "\t", "        ")
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestAnswer_is_ASCII_within_the_line(t *testing.T) {
	t.Parallel()
	c := composer(t)
	for _, v := range []string{"a@example.org", hostileMessage, strings.Repeat("\u00e9", 400), strings.Repeat("x", 2000)} {
		a := c.Answer(policy.Decision{Code: 550, Enhanced: [3]int{5, 7, 1}, Lines: []result.Reason{
			result.Because("answer-stored", "spf", v, "dkim", v, "dmarc", v, "id", v, "to", v), result.Because("answer-suppressed", "rule", v),
		}})
		if a.Code != 550 || len(a.Lines) != 2 {
			t.Fatalf("got %+v", a)
		}
		for _, l := range a.Lines {
			if len(l) > 480 || strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%.40q: got %d octets, %q", v, len(l), l)
			}
		}
	}
}

// check-auth+tr@ and check-auth+port25@: what stands behind a plus of the address that the test was sent to.
func TestReply_as_the_address_asks_for_it(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		details           []string
		header            string
		subject, language string
	}{
		{nil, "", "Authentication Report: PASS example.org", "en"},
		{[]string{"port25"}, "", "Authentication Report", "en"},
		{[]string{"TR"}, "", "Authentication Report: PASS example.org", "tr"},
		{[]string{"app"}, "", "Authentication Report: PASS example.org", "en"},
		{[]string{"app", "tr"}, "", "Authentication Report: PASS example.org", "tr"},
		{[]string{"tr", "App"}, "", "Authentication Report: PASS example.org", "tr"},
		{[]string{"app"}, "Accept-Language: tr\r\n", "Authentication Report: PASS example.org", "tr"},
		{[]string{"tr", "Port25"}, "", "Authentication Report", "tr"},
		{nil, "Accept-Language: tr-TR, en;q=0.5\r\nContent-Language: en\r\n", "Authentication Report: PASS example.org", "tr"},
		{[]string{"en"}, "Content-Language: tr\r\n", "Authentication Report: PASS example.org", "en"},
		{[]string{"xx"}, "Content-Language: tr\r\n", "Authentication Report: PASS example.org", "tr"},
	} {
		r, body := load(t, "all-well")
		extra, err := mail.Parse([]byte(c.header), mail.DefaultBounds())
		if err != nil {
			t.Fatal(err)
		}
		r.Message.Fields = append(extra, r.Message.Fields...)
		e, err := composer(t).Reply(r, policy.Decision{Class: policy.Proved, To: "ann@example.org", Form: policy.Form{Details: c.details}}, body, now)
		if err != nil {
			t.Fatal(err)
		}
		got := takeApart(t, e.Body)
		if s, l := got.header.Get("Subject"), got.header.Get("Content-Language"); s != c.subject || l != c.language {
			t.Errorf("%q, %q: got Subject %q in %q, want %q in %q", c.details, c.header, s, l, c.subject, c.language)
		}
		if turkish := strings.Contains(got.parts[0], "otomatik"); turkish != (c.language == "tr") || strings.Contains(got.parts[1], `<html lang="tr"`) != turkish {
			t.Errorf("%q, %q: the parts are not in %s", c.details, c.header, c.language)
		}
		// Programs get English, whatever people get.
		if !strings.Contains(got.parts[2], "DMARC passes for example.org") {
			t.Errorf("%q, %q: report.json is not English", c.details, c.header)
		}
	}
}

// report.json puts English sentences into the report; a reply in another language does not read them.
func TestReply_is_in_one_language(t *testing.T) {
	t.Parallel()
	r, _ := load(t, "founding-story")
	c := composer(t)
	if _, err := c.JSON(r, policy.Proved); err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, v := range r.Receivers {
		for _, u := range v.Rules {
			said++
			if got := c.languages["tr"].sentence(u.Requirement); got == u.Requirement.Text || got == "" {
				t.Errorf("%s: got %q in Turkish", u.ID, got)
			}
		}
	}
	if own := (result.Reason{Code: "rule-ours", Text: "The operator's own sentence."}); c.languages["tr"].sentence(own) != own.Text || said == 0 {
		t.Errorf("%d rules; the operator's own sentence is not said", said)
	}
}

// A record in an answer is to be published: it is whole, or it is not there.
func TestAnswer_has_a_record_whole_or_not_at_all(t *testing.T) {
	t.Parallel()
	c, given := composer(t), 0
	for octets := 200; octets < 500; octets += 10 {
		r, _ := load(t, "all-well")
		zone := `example.org. 300 IN TXT "v=spf1 `
		zone += strings.Repeat("x", octets-len(zone)-1) + `"`
		r.Actions = []verify.Action{{Code: "action-spf-publish", Name: "example.org", Type: "TXT", Zone: zone}}
		a := c.Answer(policy.Config{}.Full(policy.Decision{}, r, reply.Full{Key: "network-hour/x"}, now))
		for _, l := range a.Lines {
			if said, ok := strings.CutPrefix(l, "Publish: "); ok && said != zone {
				t.Errorf("%d octets: got %q", octets, said)
			} else if ok {
				given++
			}
		}
	}
	if given < 10 {
		t.Errorf("%d records are given, want those of up to 300 octets", given)
	}
}

// What is set is copied: a directive is one line, whatever its length, and each stands alone.
func TestSettings_are_not_broken(t *testing.T) {
	t.Parallel()
	long := "main.cf: smtp_helo_name = " + strings.Repeat("long.", 12) + "example"
	menu := "Tools & Settings > Mail Server Settings > DKIM > Allow signing outgoing mail, and so forth"
	for _, c := range []struct {
		text string
		want []string
	}{
		{"Postfix: main.cf: myhostname = mail.example.org", []string{"Postfix: main.cf: myhostname = mail.example.org"}},
		{"Postfix: main.cf: a = b\nmain.cf: c = d", []string{"Postfix:", "  main.cf: a = b", "  main.cf: c = d"}},
		{"Postfix: " + long, []string{"Postfix:", "  " + long}},
		{"Plesk: " + menu, []string{"Plesk:", "  Tools & Settings > Mail Server Settings > DKIM > Allow signing\n" + strings.Repeat(" ", 15) + "outgoing mail, and so forth"}},
		{"control/helohost", []string{"control/helohost"}},
	} {
		if got := settingOf(c.text).rows(); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
}
