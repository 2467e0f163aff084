// Package transport says how the mail travelled over the last hop: in clear text or over TLS, by which
// version and with which cipher suite. It is told what the session agreed upon and asks nobody.
//
// The words are those of RFC 8601, 2.7, which has no such method: none where there was no TLS, pass
// where there was. A weak version or cipher suite is a finding beside pass, because the mail was
// encrypted all the same. Certificates are not looked at: a client of opportunistic TLS has none.
package transport

import (
	"slices"
	"strings"
	"time"

	"checkauth/verify/result"
)

// Query is what the session agreed upon.
type Query struct {
	Present         bool   // there was TLS
	Version, Cipher string // "TLS 1.3" or "TLSv1.3", the suite by its IANA or OpenSSL name; empty where not known
	// Failed is why the client's last handshake came to nothing, where it came in clear text soon after FailedAt.
	Failed   result.Reason
	FailedAt time.Time
}

// Result is what was found of it.
type Result struct {
	Word     result.Word
	Reason   result.Reason
	Findings []result.Finding
}

// Check judges one session.
func Check(q Query) Result {
	if f, ok := failed(q); ok && !q.Present {
		return Result{Word: result.None, Reason: q.Failed, Findings: []result.Finding{f}}
	}
	if !q.Present {
		return Result{
			Word:     result.None,
			Reason:   result.Because("tls-clear-text"),
			Findings: []result.Finding{result.Found(result.Warning, "tls-none")},
		}
	}
	r := Result{Word: result.Pass, Reason: agreed(q)}
	v := canonicalVersion(q.Version)
	if slices.Contains(old, v) {
		r.Findings = append(r.Findings, result.Found(result.Warning, "tls-old", "version", result.Ours(q.Version)))
	}
	if weak(v, q.Cipher) {
		r.Findings = append(r.Findings, result.Found(result.Warning, "tls-weak-cipher", "cipher", result.Ours(q.Cipher), "version", result.Ours(q.Version)))
	}
	return r
}

// failures: why a handshake came to nothing. The arguments are those of the cause.
var failures = []result.Finding{
	result.Found(result.Warning, "tls-failed-cipher"),
	result.Found(result.Warning, "tls-failed-version"),
	result.Found(result.Warning, "tls-failed-certificate", "alert", result.Ours("")),
	result.Found(result.Warning, "tls-failed-alert", "alert", result.Ours("")),
	result.Found(result.Warning, "tls-failed-closed"),
	result.Found(result.Warning, "tls-failed-timeout"),
	result.Found(result.Warning, "tls-failed-not-tls"),
	result.Found(result.Warning, "tls-failed-other", "error", result.Ours("")),
}

// failed names the cause. Such a client wants TLS: advice to use it would not help.
func failed(q Query) (result.Finding, bool) {
	i := slices.IndexFunc(failures, func(f result.Finding) bool { return f.Code == q.Failed.Code })
	if i < 0 {
		return result.Finding{}, false
	}
	f := failures[i]
	f.Args = q.Failed.Args.With("at", q.FailedAt.UTC().Format("15:04 UTC"))
	return f, true
}

func agreed(q Query) result.Reason {
	switch {
	case q.Version == "":
		return result.Because("tls-version-unknown")
	case q.Cipher == "":
		return result.Because("tls-version", "version", result.Ours(q.Version))
	}
	return result.Because("tls-version-cipher", "version", result.Ours(q.Version), "cipher", result.Ours(q.Cipher))
}

// RFC 8996, 2 and RFC 9325, 3.1.1: none of these is to be agreed upon any more.
var old = []string{"SSL2", "SSL3", "TLS1", "TLS1.0", "TLS1.1"}

// canonicalVersion brings "TLS 1.0", "TLSv1", "TLSv1.0" and "SSLv3", "SSL 3.0" to one form each.
func canonicalVersion(s string) string {
	s = strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	s = strings.Replace(s, "V", "", 1)
	if strings.HasPrefix(s, "SSL") {
		s = strings.TrimSuffix(s, ".0")
	}
	return s
}

// weakParts are parts of cipher suites' names that make the whole suite weak.
//
// RFC 9325, 4.1: no NULL, no RC4, nothing under 112 bits; 3DES lies under the 128 bits that should be.
var weakParts = []string{"NULL", "RC4", "RC2", "DES", "DES40", "3DES", "CBC3", "DES3", "EXPORT", "EXPORT1024", "EXP", "EXP1024"}

// aead are parts of names of the suites that do not chain blocks.
var aead = []string{"GCM", "CCM", "CCM8", "CHACHA20", "POLY1305"}

func weak(version, cipher string) bool {
	if cipher == "" {
		return false
	}
	parts := strings.FieldsFunc(strings.ToUpper(cipher), func(r rune) bool { return r == '-' || r == '_' })
	has := func(set []string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(set, p) })
	}
	// RFC 9325, 3.1.1: the chained blocks of TLS 1.0 and before have a vector that an attacker can guess.
	// OpenSSL's names leave CBC out, so what is no stream and no AEAD is taken for it.
	chained := (version == "TLS1" || version == "TLS1.0" || strings.HasPrefix(version, "SSL")) && !has(aead)
	return has(weakParts) || chained
}
