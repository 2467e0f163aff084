package compose

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/arc"
	"checkauth/verify/dkim"
	"checkauth/verify/dmarc"
	"checkauth/verify/evaluate"
	"checkauth/verify/inbound"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spam"
	"checkauth/verify/spf"
)

// unsafeRune: what steers a terminal, reorders a line or ends it, anywhere but at our own line ends.
func unsafeRune(r rune) bool {
	return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029')
}

// FuzzReply puts one stranger's text into every place of a report that strangers write, and the same
// bytes into the message, and looks at everything that leaves: no byte of it is raw.
func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"example.org", "\x1b[2J<script>\r\nBcc: victim@example.net\r\n", "\u009b31m\u202egpj.exe\u2028\u200b", "\xff\xfe\x00\x7f", "{host} %s {{.}}",
		"a@b>, <c@d", "'; spf=pass (", strings.Repeat("\u00e9", 300), "\r\n\r\n--b\r\n", "\n.\n", "=?utf-8?q?=0D=0ABcc:?=",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	c := composer(f)
	f.Fuzz(func(t *testing.T, s string, proved bool) {
		if len(s) > 4<<10 {
			t.Skip()
		}
		class := policy.Open
		if proved {
			class = policy.Proved
		}
		r, _ := load(t, "hostile")
		// Every argument and name in the report is the same text; "hostile.json" has it everywhere.
		spread(r, s)
		r.Message.Fields, _ = mail.Parse([]byte("From: "+s+"\r\nSubject: "+s+"\r\nReceived: "+s+"\r\n"+s+"\r\n"), mail.DefaultBounds())
		e, err := c.Reply(r, policy.Decision{Class: class}, data(s), now)
		if err != nil {
			t.Fatal(err)
		}
		checkHeader(t, e.Body)
		got := takeApart(t, e.Body)
		if len(got.header["To"]) != 1 || got.header.Get("Bcc") != "" {
			t.Fatalf("%q: To %q, Bcc %q", s, got.header["To"], got.header["Bcc"])
		}
		for n, p := range got.parts {
			p = strings.ReplaceAll(p, "\r\n", "\n")
			if i := strings.IndexFunc(p, unsafeRune); i >= 0 || got.kinds[n] != "application/json" && strings.Contains(p, "\uFFFD") {
				t.Fatalf("%q: part %d has an unsafe character: %q", s, n, p[max(i-20, 0):min(i+20, len(p))])
			}
		}
		b, err := c.JSON(r, class)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsFunc(b, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
			t.Fatalf("%q: the JSON is not ASCII", s)
		}
	})
}

// checkHeader: each line of the reply's own header is a field of ours or a fold of one.
func checkHeader(t *testing.T, raw []byte) {
	t.Helper()
	head, _, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok || bytes.ContainsFunc(bytes.ReplaceAll(head, []byte("\r\n"), []byte("\n")), unsafeRune) {
		t.Fatalf("header with a control or bidirectional character: %q", head)
	}
	for l := range strings.SplitSeq(string(head), "\r\n") {
		name, _, _ := strings.Cut(l, ":")
		switch name {
		case "From", "To", "Subject", "Date", "Message-Id", "Auto-Submitted", "X-Auto-Response-Suppress", "Mime-Version",
			"Content-Type", "Content-Language", "In-Reply-To", "References":
		default:
			if l == "" || l[0] != ' ' && l[0] != '\t' {
				t.Fatalf("a line of the header that is not ours: %q", l)
			}
		}
	}
}

// spread writes s wherever hostile.json has its own hostile text.
func spread(r *verify.Report, s string) {
	r.Session.Helo, r.Session.MailFrom = "mail"+s, s+"@example.org"
	r.Session.RcptTo = []string{s}
	r.Message.From, r.Message.Subject, r.Message.MessageID = s, s, "<"+s+"@example.org>"
	spreadArgs(r.Verdict.Why.Args, s)
	for i := range r.Findings {
		spreadArgs(r.Findings[i].Args, s)
	}
	for i := range r.Checks {
		k := &r.Checks[i]
		k.Cause = s
		spreadArgs(k.Reason.Args, s)
		for p := range k.Identities {
			k.Identities[p] = s
		}
		for j := range k.Evidence {
			e := &k.Evidence[j]
			e.Name, e.Server, e.Chain = s, s, []string{s}
			for n := range e.Data {
				e.Data[n] = s
			}
		}
		spreadDetail(k.Detail, s)
	}
	_ = evaluate.Restore(r) // it has the facts of the new details
}

func spreadArgs(as result.Args, s string) {
	for i := range as {
		as[i].Value = s
	}
}

func spreadDetail(detail any, s string) {
	switch d := detail.(type) {
	case *arc.Result:
		a := d
		for i := range a.Instances {
			x := &a.Instances[i]
			x.CV, x.Authserv, x.Results, x.Seal.Domain, x.Message.Domain = s, s, s, s, s
			for j := range x.Problems {
				spreadArgs(x.Problems[j].Args, s)
			}
		}
	case *inbound.Result:
		p := d
		p.Domain, p.MTASTS.Text = s, s
		for i := range p.MX {
			p.MX[i].Host = s
		}
	case *spam.Result:
		p := d
		for i := range p.Rules {
			p.Rules[i].Name, p.Rules[i].Text = s, s
		}
	case *spf.Result:
		p := d
		p.Sender, p.Domain, p.Explanation, p.Matched, p.MatchedIn = s, s, s, s, s
		if p.Root != nil {
			p.Root.Domain, p.Root.Text = s, s
			for i := range p.Root.Terms {
				t := &p.Root.Terms[i]
				t.Text, t.Target, t.Found = s, s, []string{s, s}
				spreadArgs(t.Why.Args, s)
			}
		}
	case *dkim.Signature:
		g := d
		g.Domain, g.Selector, g.Algorithm, g.Header, g.Body, g.Identity = s, s, s, s, s, s
		g.Signed, g.OverSigned, g.HashClaimed, g.KeyName, g.KeyRecord = []string{s, s}, []string{s}, s, s, s
		g.CanonHeader, g.CanonBody = []byte(s), []byte(s)
		g.Key.Type, g.Key.Hashes, g.Key.Services, g.Key.Flags, g.Key.Notes = s, []string{s}, []string{s}, []string{s, s}, s
	case *dmarc.Result:
		m := d
		m.Author, m.Org, m.PolicyName, m.Record, m.Policy, m.Tag = s, s, s, s, dmarc.Policy(s), s
		m.SPF.Domain, m.SPF.Org = s, s
		for i := range m.DKIM {
			m.DKIM[i].Domain, m.DKIM[i].Org = s, s
			spreadArgs(m.DKIM[i].Why.Args, s)
		}
	}
}
