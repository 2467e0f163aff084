package dkim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"checkauth/verify/dns"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// The kinds of a permerror's Cause.
var (
	ErrSignature = errors.New("DKIM signature cannot be used")
	ErrKey       = errors.New("DKIM key cannot be used")
	ErrNoKey     = errors.New("DKIM key does not exist")
)

// verdict is a result with all that goes with it.
type verdict struct {
	word     result.Word
	reason   result.Reason
	findings []result.Finding
	cause    error
}

// permanent: RFC 6376, 6.1 calls PERMFAIL what will never verify, a field with a syntax error as well
// as a key that is missing. RFC 8601, 2.7.1 has permerror for "unrecoverable"; its neutral ("contained
// syntax errors or were not otherwise able to be processed") says less, so that it is kept for
// signatures that we did not look at.
func permanent(r result.Reason, cause error, fs ...result.Finding) *verdict {
	return &verdict{word: result.PermError, reason: r, cause: cause, findings: fs}
}

// rule is one demand on a signature; nil where it is met.
type rule func(s *signature, now time.Time) *verdict

// rules are what a signature must satisfy before anything is computed: RFC 6376, 6.1.1 for the field,
// then 6.1.2 for its key. The first that objects decides.
var rules = []rule{
	readable,     // 3.2
	version,      // 3.5, v=
	complete,     // 3.5, the tags that must be there
	wellFormed,   // 3.5, each value
	fewNames,     // our bound
	fromSigned,   // 5.4
	sameIdentity, // 3.5, i=
	inOrder,      // 3.5, x= after t=
	notExpired,   // 3.5, x=
	queryable,    // 3.5, q=
	hasKey,       // 6.1.2
	notSHA1,      // RFC 8301, 3.1
	keyHash,      // 3.6.1, h=
	keyType,      // 3.6.1, k=
	keyService,   // 3.6.1, s=
	keyStrict,    // 3.6.1, t=s
}

func readable(s *signature, _ time.Time) *verdict {
	if s.syntax == nil {
		return nil
	}
	return permanent(result.Because("dkim-signature-unreadable", "error", s.syntax.Error()),
		fmt.Errorf("%w: %w", ErrSignature, s.syntax),
		result.Found(result.Error, "dkim-signature-syntax", "error", s.syntax.Error()))
}

// bad is a tag of the field that is missing or says what it must not.
func (s *signature) bad(tag, value string) *verdict {
	return permanent(result.Because("dkim-signature-tag-unusable", "tag", tag, "value", value),
		fmt.Errorf("%w: %s=%q", ErrSignature, tag, clip(value)),
		result.Found(result.Error, "dkim-signature-tag", "tag", tag, "value", value, "domain", result.Domain(s.Domain)))
}

// version: RFC 6376, 3.5: v=1; the drafts before the standard had none or another.
func version(s *signature, _ time.Time) *verdict {
	if v, _ := s.tags.get("v"); v.value != "1" {
		return s.bad("v", v.value)
	}
	return nil
}

func complete(s *signature, _ time.Time) *verdict {
	return s.lacks("a", "b", "bh", "d", "h", "s")
}

// lacks names the first of the tags that is not there.
func (s *signature) lacks(names ...string) *verdict {
	for _, name := range names {
		if _, ok := s.tags.get(name); !ok {
			return permanent(result.Because("dkim-signature-lacks-tag", "tag", result.Ours(name)),
				fmt.Errorf("%w: no %s= in it", ErrSignature, name),
				result.Found(result.Error, "dkim-signature-tag-missing", "tag", result.Ours(name), "domain", result.Domain(s.Domain)))
		}
	}
	return nil
}

// wellFormed checks each value by itself; what only the algorithm decides comes after the key.
func wellFormed(s *signature, _ time.Time) *verdict {
	if t, ok := s.tags.broken(); ok {
		return s.bad(t.name, t.value)
	}
	if !isName(s.Domain) {
		return s.bad("d", s.Domain)
	}
	if !isName(s.Selector) || s.KeyName == "" {
		return s.bad("s", s.Selector)
	}
	if len(s.claimed) == 0 {
		return s.bad("bh", s.HashClaimed)
	}
	if len(s.signed) == 0 {
		return s.bad("b", s.tags.value("b"))
	}
	if !isCanon(s.Header) || !isCanon(s.Body) {
		return s.bad("c", s.tags.value("c"))
	}
	if _, ok := length(s.tags); !ok {
		return s.bad("l", s.tags.value("l"))
	}
	for _, name := range []string{"t", "x"} {
		if _, ok := instant(s.tags, name); !ok {
			return s.bad(name, s.tags.value(name))
		}
	}
	return nil
}

// isName: RFC 6376, 3.5: d= and s= are domain names of letters, digits, hyphens and underscores; RFC 8616
// adds UTF-8. The DNS would take any octet, so that a quote or a parenthesis in d= could pass and then
// hide, in the fields that name it, behind another domain.
func isName(s string) bool {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		case r > 0x9f && r != utf8.RuneError: // IDNA decides on these
		default:
			return false
		}
	}
	return dns.Askable(s) && !strings.HasSuffix(s, ".") && aLabels(s) != ""
}

// fewNames is a bound of ours, which RFC 8601, 2.7.1 calls policy.
func fewNames(s *signature, _ time.Time) *verdict {
	if len(s.Signed) <= maxNames {
		return nil
	}
	n := fmt.Sprint(len(s.Signed))
	return &verdict{word: result.Policy, reason: result.Because("dkim-too-many-names", "count", result.Ours(n)),
		findings: []result.Finding{result.Found(result.Warning, "dkim-h-too-long", "count", result.Ours(n), "domain", result.Domain(s.Domain))}}
}

// fromSigned: RFC 6376, 5.4: From must be signed; 6.1.1: else the signature is ignored.
func fromSigned(s *signature, _ time.Time) *verdict {
	if s.names("From") > 0 {
		return nil
	}
	return permanent(result.Because("dkim-from-is-not-signed"), fmt.Errorf("%w: From is not in h=", ErrSignature),
		result.Found(result.Error, "dkim-from-not-signed", "domain", result.Domain(s.Domain)))
}

// sameIdentity: RFC 6376, 3.5: the domain of i= is that of d= or below it; by label, without regard to
// case (RFC 4343).
func sameIdentity(s *signature, _ time.Time) *verdict {
	if _, ok := s.tags.get("i"); ok && s.Identity == "" {
		return s.bad("i", s.Identity)
	}
	if isUnder(s.identityDomain(), s.Domain) {
		return nil
	}
	return permanent(result.Because("dkim-identity-elsewhere", "identity", s.Identity, "domain", result.Domain(s.Domain)),
		fmt.Errorf("%w: i=%q is not in d=%q", ErrSignature, clip(s.Identity), clip(s.Domain)),
		result.Found(result.Error, "dkim-identity-mismatch", "identity", s.Identity, "domain", result.Domain(s.Domain)))
}

func isUnder(name, domain string) bool {
	return naming.Below(strings.ToLower(name), strings.ToLower(domain))
}

// inOrder: RFC 6376, 3.5: x= must be greater than t=.
func inOrder(s *signature, _ time.Time) *verdict {
	if s.Time.IsZero() || s.Expires.IsZero() || s.Expires.After(s.Time) {
		return nil
	}
	return permanent(result.Because("dkim-expires-before-signed"),
		fmt.Errorf("%w: x= is not after t=", ErrSignature),
		result.Found(result.Error, "dkim-x-before-t", "domain", result.Domain(s.Domain)))
}

// notExpired: RFC 6376, 3.5 and 6.1.1 leave it to the verifier to refuse an expired signature; we do,
// as most do.
func notExpired(s *signature, now time.Time) *verdict {
	if s.Expires.IsZero() || !now.After(s.Expires) {
		return nil
	}
	at := s.Expires.Format("2006-01-02 15:04:05 UTC")
	return permanent(result.Because("dkim-signature-expired", "time", result.Ours(at)),
		fmt.Errorf("%w: expired at %s", ErrSignature, at),
		result.Found(result.Error, "dkim-expired", "time", result.Ours(at), "domain", result.Domain(s.Domain)))
}

// queryable: RFC 6376, 3.5: of the ways in q= one must be known; there is one, dns/txt.
func queryable(s *signature, _ time.Time) *verdict {
	if _, ok := s.tags.get("q"); !ok || slices.Contains(s.tags.list("q"), "dns/txt") {
		return nil
	}
	return s.bad("q", s.tags.value("q"))
}

func hasKey(s *signature, _ time.Time) *verdict { return s.keyFault }

// notSHA1: RFC 8301, 3.1: rsa-sha1 must not be taken for valid; it comes after the key, since a server
// that is down is the first thing to mend.
func notSHA1(s *signature, _ time.Time) *verdict {
	if s.Algorithm == "rsa-sha1" {
		return permanent(result.Because("dkim-uses-sha1"), fmt.Errorf("%w: a=rsa-sha1", ErrSignature))
	}
	if algorithms[s.Algorithm] == "" {
		return s.bad("a", s.Algorithm)
	}
	return nil
}

// keyHash: RFC 6376, 3.6.1, h=: the hash must be one that the key is for.
func keyHash(s *signature, _ time.Time) *verdict {
	_, hash, _ := strings.Cut(s.Algorithm, "-")
	if len(s.Key.Hashes) == 0 || slices.Contains(s.Key.Hashes, hash) {
		return nil
	}
	return permanent(result.Because("dkim-key-not-for-hash", "hash", hash),
		fmt.Errorf("%w: its h= is without %s", ErrKey, hash),
		result.Found(result.Error, "dkim-key-wrong-hash", "name", result.Domain(s.KeyName), "hash", hash, "hashes", strings.Join(s.Key.Hashes, ":")))
}

// keyType: RFC 6376, 6.1.2, step 7: the key must be of the algorithm's kind.
func keyType(s *signature, _ time.Time) *verdict {
	if s.Key.Type == algorithms[s.Algorithm] {
		return nil
	}
	return permanent(result.Because("dkim-key-of-other-type", "type", s.Key.Type, "algorithm", s.Algorithm),
		fmt.Errorf("%w: k=%s under a=%s", ErrKey, s.Key.Type, s.Algorithm),
		result.Found(result.Error, "dkim-key-wrong-type", "name", result.Domain(s.KeyName), "type", s.Key.Type))
}

// keyService: RFC 6376, 3.6.1, s=: the key must be for mail.
func keyService(s *signature, _ time.Time) *verdict {
	if len(s.Key.Services) == 0 || slices.Contains(s.Key.Services, "*") || slices.Contains(s.Key.Services, "email") {
		return nil
	}
	services := strings.Join(s.Key.Services, ":")
	return permanent(result.Because("dkim-key-not-for-mail", "services", services),
		fmt.Errorf("%w: s=%s is not for mail", ErrKey, clip(services)),
		result.Found(result.Error, "dkim-key-wrong-service", "name", result.Domain(s.KeyName), "services", services))
}

// keyStrict: RFC 6376, 3.6.1, t=s: the domains of i= and d= must be the same, not one below the other.
func keyStrict(s *signature, _ time.Time) *verdict {
	if !s.Key.StrictAUID || strings.EqualFold(s.identityDomain(), s.Domain) {
		return nil
	}
	return permanent(result.Because("dkim-key-strict", "identity", s.Identity, "domain", result.Domain(s.Domain)),
		fmt.Errorf("%w: t=s, and i=%q is below d=%q", ErrKey, clip(s.Identity), clip(s.Domain)),
		result.Found(result.Error, "dkim-key-strict-identity", "name", result.Domain(s.KeyName), "identity", s.Identity, "domain", result.Domain(s.Domain)))
}
