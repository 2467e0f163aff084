package transport_test

import (
	"strings"
	"testing"
	"time"

	"checkauth/verify/result"
	"checkauth/verify/transport"
)

func codes(r transport.Result) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Severity)+" "+string(f.Code))
	}
	return strings.Join(out, ", ")
}

func TestRFC9325_3_2_clear_text(t *testing.T) {
	t.Parallel()
	// What is said of a version without TLS is nonsense and not looked at.
	for _, q := range []transport.Query{{}, {Version: "TLS 1.3", Cipher: "RC4-SHA"}} {
		r := transport.Check(q)
		if r.Word != result.None || r.Reason.String() != "tls-clear-text" || codes(r) != "warning tls-none" {
			t.Errorf("%+v: got %s (%s), %s; want none with tls-none", q, r.Word, r.Reason, codes(r))
		}
	}
}

// Who tried TLS and gave up is told why, and not to use it.
func TestFailedHandshake(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 10, 2, 59, 0, time.UTC)
	why := result.Because("tls-failed-certificate", "alert", "unknown_ca")
	r := transport.Check(transport.Query{Failed: why, FailedAt: at})
	if r.Word != result.None || r.Reason.String() != why.String() || codes(r) != "warning tls-failed-certificate" ||
		r.Findings[0].Args.Get("at") != "10:02 UTC" || r.Findings[0].Args.Get("alert") != "unknown_ca" {
		t.Errorf("got %s (%s), %+v", r.Word, r.Reason, r.Findings)
	}
	if r := transport.Check(transport.Query{Present: true, Version: "TLS 1.3", Failed: why, FailedAt: at}); r.Word != result.Pass || codes(r) != "" {
		t.Errorf("in TLS after all: got %s, %s", r.Word, codes(r))
	}
	if r := transport.Check(transport.Query{Failed: result.Because("tls-failed-by-magic"), FailedAt: at}); codes(r) != "warning tls-none" {
		t.Errorf("a cause that nobody knows: got %s", codes(r))
	}
}

func TestRFC9325_3_1_1_versions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ version, reason, findings string }{
		{"TLS 1.3", `tls-version version="TLS 1.3"`, ""},
		{"TLS 1.2", `tls-version version="TLS 1.2"`, ""},
		{"TLSv1.2", `tls-version version="TLSv1.2"`, ""},
		{"TLS 1.1", `tls-version version="TLS 1.1"`, "warning tls-old"},
		{"TLS 1.0", `tls-version version="TLS 1.0"`, "warning tls-old"},
		{"TLSv1", `tls-version version="TLSv1"`, "warning tls-old"},
		{"TLSv1.1", `tls-version version="TLSv1.1"`, "warning tls-old"},
		{"SSLv3", `tls-version version="SSLv3"`, "warning tls-old"},
		{"SSL 3.0", `tls-version version="SSL 3.0"`, "warning tls-old"},
		{"", "tls-version-unknown", ""},
		{"TLS 1.4", `tls-version version="TLS 1.4"`, ""},
	} {
		r := transport.Check(transport.Query{Present: true, Version: c.version})
		if r.Word != result.Pass || r.Reason.String() != c.reason || codes(r) != c.findings {
			t.Errorf("%q: got %s (%s), %q; want pass (%s), %q", c.version, r.Word, r.Reason, codes(r), c.reason, c.findings)
		}
	}
}

func TestRFC9325_4_1_weak_cipher_suites(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, cipher string
		weak            bool
	}{
		{"TLS 1.3", "TLS_AES_128_GCM_SHA256", false},
		{"TLS 1.3", "TLS_CHACHA20_POLY1305_SHA256", false},
		{"TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", false},
		{"TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", false},
		{"TLS 1.2", "ECDHE-RSA-AES256-SHA384", false},
		{"TLS 1.2", "TLS_RSA_WITH_RC4_128_SHA", true},
		{"TLS 1.2", "ECDHE-RSA-RC4-SHA", true},
		{"TLS 1.2", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", true},
		{"TLS 1.2", "DES-CBC3-SHA", true},
		{"TLS 1.2", "EXP-RC2-CBC-MD5", true},
		{"TLS 1.2", "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA", true},
		{"TLS 1.2", "tls_rsa_with_null_sha256", true},
		{"TLS 1.1", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", false},
		{"TLS 1.0", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", true},
		{"TLSv1", "ECDHE-RSA-AES128-SHA", true},
		{"SSLv3", "AES128-SHA", true},
		{"", "AES128-SHA", false},
		{"TLS 1.0", "", false},
	} {
		r := transport.Check(transport.Query{Present: true, Version: c.version, Cipher: c.cipher})
		if got := strings.Contains(codes(r), "warning tls-weak-cipher"); got != c.weak || r.Word != result.Pass {
			t.Errorf("%s %s: got %s, weak %t; want pass, weak %t", c.version, c.cipher, r.Word, got, c.weak)
		}
	}
}

func TestReason_names_version_and_cipher(t *testing.T) {
	t.Parallel()
	got := transport.Check(transport.Query{Present: true, Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256"}).Reason.String()
	if want := `tls-version-cipher cipher="TLS_AES_128_GCM_SHA256" version="TLS 1.3"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
