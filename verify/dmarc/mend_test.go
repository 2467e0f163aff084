package dmarc

import "testing"

// What is mended is a record that can be used, and is left alone when mended again.
func FuzzMend(f *testing.F) {
	for _, s := range []string{"v=DMARC1 p=reject rua=mailto:a@b.example", "p=none; v=DMARC1", "v=DMARC1; p=rejct; rua=a@b.example", `"v=DMARC1\; p=none"`, "v=DMARC1; p=none rua=a@b.example c@d.example; sp=x", "v=DMARC1; p=quarantine, rua=mailto:a@b.example", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		mended, ok := Mend(text)
		if !ok {
			return
		}
		r, read := Parse(mended)
		if !read || r.P == "" || r.Unusable || r.Fallback {
			t.Fatalf("%q: %q cannot be used", text, mended)
		}
		if again, _ := Mend(mended); again != mended {
			t.Fatalf("%q: mended again %q is %q", text, mended, again)
		}
	})
}

// RFC 9989, 4.7: what was written is kept, and no sub-domain gets a stricter policy than before.
func TestMend_keeps_what_is_not_divided(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"v=DMARC1; p=none rua=mailto:a@example.org":                 "v=DMARC1; p=none; rua=mailto:a@example.org",
		"v=DMARC1; p=none, rua = mailto:a@example.org; fo=1":        "v=DMARC1; p=none; rua=mailto:a@example.org; fo=1",
		"v=DMARC1; p=rejct; rua=a@example.org b@example.org":        "v=DMARC1; p=reject; rua=mailto:a@example.org,mailto:b@example.org",
		"v=DMARC1; p=quarantine; sp=foo; rua=mailto:a@example.org":  "v=DMARC1; p=quarantine; sp=none; rua=mailto:a@example.org",
		"v=DMARC1 p=none rua=mailto:a@example.org,b@example.org":    "v=DMARC1; p=none; rua=mailto:a@example.org,mailto:b@example.org",
		"v=DMARC1; p=rejct; rua=mailto:a@example.org?x=1; aspf = s": "v=DMARC1; p=reject; rua=mailto:a@example.org?x=1; aspf=s",
	} {
		if got, ok := Mend(text); !ok || got != want {
			t.Errorf("%s: got %q %t, want %q", text, got, ok, want)
		}
	}
}

func TestWithAndWithout(t *testing.T) {
	t.Parallel()
	const text = "v=DMARC1; p=reject; adkim=s; aspf=s; "
	if got := Without(text, "adkim", "aspf"); got != "v=DMARC1; p=reject" {
		t.Errorf("Without: %q", got)
	}
	if got := With("v=DMARC1;p=none", "p", "reject"); got != "v=DMARC1; p=reject" {
		t.Errorf("With: %q", got)
	}
	if got := With("v=DMARC1; p=none", "rua", "mailto:a@example.org"); got != "v=DMARC1; p=none; rua=mailto:a@example.org" {
		t.Errorf("With, at the end: %q", got)
	}
}
