package dkim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

func signings() []signing {
	return []signing{signingWith("relaxed/relaxed", "rsa"), signingWith("simple/simple", "rsa"),
		signingWith("relaxed/simple", "rsa"), signingWith("relaxed/relaxed", "ed"), signingWith("simple/simple", "ed")}
}

func TestWhy_body(t *testing.T)   { eachDamage(t, bodyDamages) }
func TestWhy_signer(t *testing.T) { eachDamage(t, signerDamages) }
func TestWhy_header(t *testing.T) { eachDamage(t, headerDamages) }
func TestWhy_key(t *testing.T)    { eachDamage(t, keyDamages) }

// eachDamage tries each damage on all letters that it can be done to.
func eachDamage(t *testing.T, ds []damage) {
	t.Helper()
	t.Parallel()
	for _, d := range ds {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			var wrong []string
			for i, o := range specimens() {
				for j, how := range signings() {
					// Ed25519 gives no hash back, so that each guess at a header is a verification: some letters do.
					if how.key == "ed" && (i+j)%5 != 0 {
						continue
					}
					tr, ok := attempt(t, o, how, d)
					if !ok {
						continue
					}
					s := tr.check(t)
					if tr.isNone(s) {
						continue
					}
					n++
					wrong = append(append(wrong, tr.found(s)...), tr.claims(s)...)
				}
			}
			if n == 0 {
				t.Error("no letter can be damaged like that")
			}
			if len(wrong) > 0 {
				t.Errorf("of %d letters:\n%s\n(%d such lines)", n, strings.Join(wrong[:min(len(wrong), 8)], "\n"), len(wrong))
			}
		})
	}
}

// found compares what was found with what was done.
func (tr trial) found(s Signature) []string {
	d := tr.damages[0]
	wanted := d.wanted(tr.of)
	if s.Word == result.Pass || !hasCode(s, wanted) {
		return []string{fmt.Sprintf("%s: got %s (%s) %v, want one of %v", tr, s.Word, s.Reason, codesOf(s), wanted)}
	}
	var wrong []string
	for _, f := range s.Findings {
		if slices.Contains(d.want, f.Code) {
			wrong = append(wrong, tr.says(f)...)
		}
	}
	return wrong
}

// claims holds that nothing is claimed with certainty that is not true.
func (tr trial) claims(s Signature) []string {
	var wrong []string
	for _, code := range certainOf(s) {
		if !slices.Contains(tr.trueCodes(), code) {
			wrong = append(wrong, fmt.Sprintf("%s: %s is claimed among %v", tr, code, codesOf(s)))
		}
	}
	n := bodyClaims(s)
	if n > len(tr.damages) {
		wrong = append(wrong, fmt.Sprintf("%s: %d causes of a changed body: %v", tr, n, codesOf(s)))
	}
	if n > 0 && hasCode(s, onlyChanged) {
		wrong = append(wrong, fmt.Sprintf("%s: the body is explained and not explained: %v", tr, codesOf(s)))
	}
	if s.Word == result.Fail && len(certainOf(s)) == 0 && !hasCode(s, []result.Code{"dkim-body-changed", "dkim-header-changed", "dkim-header-or-key"}) {
		wrong = append(wrong, fmt.Sprintf("%s: it fails, and nothing says so: %v", tr, codesOf(s)))
	}
	return wrong
}

func codesOf(s Signature) []result.Code { return codes(Result{Signatures: []Signature{s}}) }

// bodyClaims counts the causes of a wrong body hash; a wrong c= may be that of the header.
func bodyClaims(s Signature) int {
	n := 0
	for _, code := range certainOf(s) {
		if slices.Contains(bodyCauses, code) && code != "dkim-wrong-canonicalization" {
			n++
		}
	}
	return n
}

// says compares the arguments: each must have one of the texts in it.
func (tr trial) says(f result.Finding) []string {
	var wrong []string
	for name, want := range tr.damages[0].says {
		i := slices.IndexFunc(f.Args, func(a result.Arg) bool { return a.Name == name })
		if i < 0 || !slices.ContainsFunc(strings.Split(want, "|"), func(w string) bool {
			return strings.Contains(strings.ToLower(f.Args[i].Value), strings.ToLower(w))
		}) {
			wrong = append(wrong, fmt.Sprintf("%s: got %s %v, want %s=%q", tr, f.Code, f.Args, name, want))
		}
	}
	return wrong
}

// Two changes cannot always be taken back; then nothing may be claimed that was not done.
func TestWhy_two_damages(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6376, 8601))
	all := slices.Concat(bodyDamages, signerDamages, headerDamages, keyDamages)
	letters, ways := specimens(), signings()
	var count [3]int
	for n := 0; n < 200; {
		a, b := all[random.IntN(len(all))], all[random.IntN(len(all))]
		o, how := letters[random.IntN(len(letters))], ways[random.IntN(len(ways))]
		if a.want[0] == b.want[0] {
			continue
		}
		tr, ok := attempt(t, o, how, a, b)
		if !ok {
			continue
		}
		s := tr.check(t)
		if tr.isNone(s) {
			continue
		}
		n++
		if s.Word == result.Pass {
			t.Errorf("%s: it passes", tr)
		}
		for _, wrong := range tr.claims(s) {
			t.Error(wrong)
		}
		count[foundCause(s, a, o)+foundCause(s, b, o)]++
	}
	t.Logf("of 200 pairs: both found %d, one found %d, none found %d", count[2], count[1], count[0])
}

// foundCause is 1 where a certain cause of the damage was found.
func foundCause(s Signature, d damage, o specimen) int {
	for _, code := range certainOf(s) {
		if slices.Contains(d.wanted(o), code) {
			return 1
		}
	}
	return 0
}

// What looks like MIME may be text, in any octets.
func TestWhy_odd_bodies(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"\u00e4 charset=utf-8", "\xe4 charset=iso-8859-1", "\u0130 charset=utf-8", "--=_outer-1", "--=_outer-1\r\n--=_outer-1--",
		"--=_outer-1\r\nContent-Type: multipart/mixed; boundary=\"=_outer-1\"\r\n\r\n--=_outer-1--", "\r", "\r\r", "=", "=\r\n", " ", "\x00", "</body>", "l="} {
		for _, o := range specimens() {
			sent, _ := signingWith("simple/simple", "rsa").sign(o.letter)
			sent.body = body
			s := checked(t, Verifier{DNS: ourKeys()}, sent.String()).Signatures[0]
			// Such a body is what is left of none of these letters, but an empty one has it in its place.
			if s.Word != result.Fail || len(certainOf(s)) > 0 && !isEmpty(o) && o.body != body {
				t.Errorf("%s with the body %q: got %s %v", o.name, body, s.Word, codesOf(s))
			}
		}
	}
}

// Each signature is explained by itself; the change was the same.
func TestWhy_two_signatures(t *testing.T) {
	t.Parallel()
	for _, o := range specimens() {
		twice, _ := signingWith("simple/simple", "ed").sign(o.letter)
		twice, _ = signingWith("relaxed/relaxed", "rsa").sign(twice)
		for _, d := range bodyDamages {
			sent := twice.clone()
			if d.want[0] != "dkim-body-changed-footer" && d.want[0] != "dkim-body-changed-banner" || d.fits != nil && !d.fits(o) || !d.change(&sent) {
				continue
			}
			for _, s := range checked(t, Verifier{DNS: ourKeys()}, sent.String()).Signatures {
				if s.Word == result.Pass || !hasCode(s, d.want) {
					t.Errorf("%s, c=%s/%s, %s: got %s %v, want one of %v", o.name, s.Header, s.Body, d.name, s.Word, codesOf(s), d.want)
				}
			}
		}
	}
}

// manyLines has them as real text does, so that no two are alike.
func manyLines(size, width int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%08d%s\r\n", i, strings.Repeat(" word", (width-8)/5))
	}
	return b.String()
}

// A large body is not rewritten, but a footer is seen as it streams by.
func TestWhy_large_bodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		width  int
		change func(*letter) bool
		want   []result.Code
	}{
		{"a footer", 70, onBody(func(s string) string { return s + footerText }), []result.Code{"dkim-body-changed-footer"}},
		{"wrapped", 300, wrapHard(76, "\r\n"), []result.Code{"dkim-body-changed", "dkim-body-not-searched"}},
	} {
		for _, canon := range []string{"relaxed/relaxed", "simple/simple"} {
			t.Run(c.name+" "+strings.ReplaceAll(canon, "/", " "), func(t *testing.T) {
				t.Parallel()
				o := text(c.name, "us-ascii", "7bit", "")
				o.body = manyLines(2<<20, c.width)
				tr, ok := attempt(t, o, signingWith(canon, "rsa"), damage{name: c.name, change: c.change, want: c.want})
				if !ok {
					t.Fatal("it is not damaged")
				}
				s := tr.check(t)
				for _, code := range c.want {
					if !hasCode(s, []result.Code{code}) {
						t.Errorf("got %s %v, want %s", s.Word, codesOf(s), code)
					}
				}
				for _, wrong := range tr.claims(s) {
					t.Error(wrong)
				}
			})
		}
	}
}

// FuzzWhy: no message makes the search panic, or explain what verifies.
func FuzzWhy(f *testing.F) {
	for _, o := range specimens() { // RSA: what makes fuzzing slow is Ed25519
		for i, d := range slices.Concat(bodyDamages, signerDamages, headerDamages) {
			if i%9 != 0 {
				continue
			}
			if tr, ok := attempt(f, o, signings()[i%3], d); ok {
				f.Add(tr.sent.String())
			}
		}
	}
	v := Verifier{DNS: ourKeys(), Diagnose: ourKeys()}
	f.Fuzz(func(t *testing.T, message string) {
		fields, body, err := mail.Split(mail.Data{At: strings.NewReader(message), Size: int64(len(message))}, mail.DefaultBounds())
		if err != nil {
			t.Skip()
		}
		r := v.Check(t.Context(), fields, body)
		words := v.Words(t.Context(), v.Digest(t.Context(), fields, body))
		for i, s := range r.Signatures {
			if words[i] != s.Word {
				t.Errorf("signature %d is %s, and without the search %s", i, s.Word, words[i])
			}
			if n := bodyClaims(s); n > 2 { // a search tries two changes together at most
				t.Errorf("%d causes of a changed body: %v", n, s.Findings)
			}
			if s.Word == result.Pass && len(certainOf(s)) > 0 {
				t.Errorf("it passes, and still: %v", s.Findings)
			}
		}
	})
}
