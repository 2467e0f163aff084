package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/dkim"
	"checkauth/verify/dns"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// dkimVerdicts verifies a message and compares it with go-msgauth, asked about the whole by itself.
func dkimVerdicts(t *testing.T, r dns.Resolver, raw string) dkim.Result {
	t.Helper()
	whole := mail.Data{At: strings.NewReader(raw), Size: int64(len(raw))}
	fields, body, err := mail.Split(whole, mail.DefaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	got := dkim.Verifier{DNS: r}.Check(t.Context(), fields, body)
	for _, s := range got.Signatures {
		if s.Word == result.Pass && (!s.BodyVerifies || s.HashComputed != s.HashClaimed) {
			t.Errorf("signature %d passes; its body hash is %s, claimed %s", s.Index, s.HashComputed, s.HashClaimed)
		}
	}
	others, err := msgauth.VerifyWithOptions(strings.NewReader(raw), &msgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		a, err := r.Resolve(t.Context(), dns.Ask(name, dns.TXT))
		if e, ok := errors.AsType[*dns.Error](err); ok {
			return nil, e.NetError()
		}
		if len(a.Records) == 0 {
			return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		}
		return a.Texts(), nil
	}})
	if err != nil {
		return got // a header without its empty line
	}
	for i, o := range others {
		if s := got.Signatures[i]; o.Err == nil && s.Word != result.Pass && !dkimStricter[s.Reason.Code] {
			t.Errorf("signature %d: go-msgauth passes it, we say %s (%s)", i, s.Word, s.Reason)
		}
		if s := got.Signatures[i]; o.Err != nil && s.Word == result.Pass {
			t.Errorf("signature %d: go-msgauth says %v, we say pass", i, o.Err)
		}
	}
	return got
}

// dkimStricter are the reasons for which we refuse what go-msgauth passes.
var dkimStricter = map[result.Code]bool{"dkim-key-strict": true}

// dkimRows reads a table: a line each, columns parted by tabs, # before a comment.
func dkimRows(t *testing.T, file string) [][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][]string
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := s.Text(); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, append(strings.Split(line, "\t"), "", "", ""))
		}
	}
	return out
}

// dkimRecord is a line of a zone with one TXT.
func dkimRecord(name, text string) string {
	var parts []string
	for len(text) > 255 {
		parts, text = append(parts, text[:255]), text[255:]
	}
	line := name + ". TXT"
	for _, p := range append(parts, text) {
		line += ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p) + `"`
	}
	return line + "\n"
}

// dkimZoneOf makes a zone of a dns.tsv; replaced puts another text at a name.
func dkimZoneOf(t *testing.T, file string, replaced map[string]string) string {
	t.Helper()
	var zone strings.Builder
	for _, r := range dkimRows(t, file) {
		name, kind, text := r[0], r[1], r[2]
		if other, ok := replaced[name]; ok {
			text = other
		}
		switch kind {
		case "TXT":
			zone.WriteString(dkimRecord(name, strings.Trim(text, `"`)))
		case "NXDOMAIN":
		default:
			fmt.Fprintf(&zone, ";FAULT %s %s. ANY\n", kind, name)
		}
	}
	return zone.String()
}

func dkimMessage(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return dkimOnTheWire(string(b))
}

func dkimOnTheWire(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

func dkimWords(r dkim.Result) []string {
	var out []string
	for _, s := range r.Signatures {
		out = append(out, string(s.Word))
	}
	return out
}

func dkimExplain(r dkim.Result) string {
	var out []string
	for _, s := range r.Signatures {
		out = append(out, fmt.Sprintf("%s (%s)", s.Word, s.Reason))
	}
	return strings.Join(out, ", ")
}

// expectDKIM holds a suite to its size: a file that is not found must not look like a pass.
func expectDKIM(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%d %s, want %d", got, what, want)
	}
}

func dkimHasFinding(r dkim.Result, code result.Code) bool {
	return slices.ContainsFunc(r.Signatures, func(s dkim.Signature) bool {
		return slices.ContainsFunc(s.Findings, func(f result.Finding) bool { return f.Code == code })
	})
}
