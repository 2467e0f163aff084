package dkim

import (
	"time"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// remark is one thing that the reader should know of a signature beside its verdict; nil where it is
// not so.
type remark func(c *check, s *signature) *result.Finding

var remarks = []remark{sha1, weakKey, testMode, partOfBody, fromTheFuture, secondFrom, secondField}

func (c *check) remarks(s *signature) []result.Finding {
	var out []result.Finding
	for _, r := range remarks {
		if f := r(c, s); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

func found(f result.Finding) *result.Finding { return &f }

// sha1: RFC 8301, 3.1.
func sha1(_ *check, s *signature) *result.Finding {
	if s.Algorithm != "rsa-sha1" {
		return nil
	}
	return found(result.Found(result.Error, "dkim-sha1", "domain", result.Domain(s.Domain), "selector", s.selector()))
}

// weakKey: RFC 8301, 3.2: signers should use 2048 bits.
func weakKey(_ *check, s *signature) *result.Finding {
	if s.key.rsa == nil || s.Key.Bits < minBits || s.Key.Bits >= goodBits {
		return nil
	}
	return found(result.Found(result.Warning, "dkim-key-weak", "name", result.Domain(s.KeyName), "bits", s.Key.Bits))
}

// testMode: RFC 6376, 3.6.1, t=y: the result is as without it, and some receivers take the signature
// for none.
func testMode(_ *check, s *signature) *result.Finding {
	if s.Key == nil || !s.Key.TestMode {
		return nil
	}
	return found(result.Found(result.Info, "dkim-key-test-mode", "name", result.Domain(s.KeyName)))
}

// partOfBody: RFC 6376, 8.2: l=. Where it counts the whole body the signature passes; some verifiers refuse any.
func partOfBody(_ *check, s *signature) *result.Finding {
	switch {
	case s.Length == nil || s.HashComputed == "":
		return nil
	case s.CanonLength > *s.Length:
		return found(result.Found(result.Error, "dkim-l-tag-appended", "domain", result.Domain(s.Domain), "length", *s.Length,
			"appended", s.CanonLength-*s.Length))
	case s.CanonLength < *s.Length:
		return found(result.Found(result.Error, "dkim-l-tag-beyond", "domain", result.Domain(s.Domain), "length", *s.Length,
			"body", s.CanonLength))
	}
	return found(result.Found(result.Warning, "dkim-l-tag", "domain", result.Domain(s.Domain), "length", *s.Length))
}

// fromTheFuture: RFC 6376, 3.5, t=: a verifier may ignore such a signature. Five minutes are for clocks
// that differ.
func fromTheFuture(c *check, s *signature) *result.Finding {
	if s.Time.IsZero() || !s.Time.After(c.now.Add(5*time.Minute)) {
		return nil
	}
	return found(result.Found(result.Warning, "dkim-signed-in-future", "domain", result.Domain(s.Domain),
		"time", result.Ours(s.Time.Format("2006-01-02 15:04:05 UTC"))))
}

// once are the fields that a message may have once (RFC 5322, 3.6) and that a reader sees, From apart.
var once = []string{"Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Content-Type"}

// secondFrom: RFC 6376, 8.15: fields are signed from the bottom, so that a From put on top of a signed
// message leaves the signature valid and is what many programs show.
func secondFrom(c *check, s *signature) *result.Finding {
	if !s.uncovered(c, "From") {
		return nil
	}
	return found(result.Found(result.Error, "dkim-second-from", "domain", result.Domain(s.Domain),
		"count", c.header.count("From"), "signed", s.names("From")))
}

// secondField is the same for the other fields that stand once.
func secondField(c *check, s *signature) *result.Finding {
	var names []string
	for _, name := range once {
		if s.uncovered(c, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return found(result.Found(result.Warning, "dkim-second-field", "domain", result.Domain(s.Domain), "fields", mail.FieldNames(names...)))
}

// uncovered tells whether a passing signature covers some of the fields of that name and not all.
func (s *signature) uncovered(c *check, name string) bool {
	n := s.names(name)
	return s.Word == result.Pass && n > 0 && c.header.count(name) > n
}

// dkim2Fields are those of the DKIM2 drafts (draft-ietf-dkim-dkim2-spec), which nobody judges yet.
var dkim2Fields = []string{"DKIM2-Signature", "Message-Instance"}

// dkim2 names them.
func (h *header) dkim2() []result.Finding {
	var there []string
	for _, name := range dkim2Fields {
		if h.count(name) > 0 {
			there = append(there, name)
		}
	}
	if len(there) == 0 {
		return nil
	}
	return []result.Finding{result.Found(result.Info, "dkim2-present", "fields", mail.FieldNames(there...))}
}

// ofAll finds what is true of the message's signatures together.
func ofAll(n int, evaluated []*signature) []result.Finding {
	var out []result.Finding
	if n > len(evaluated) {
		out = append(out, result.Found(result.Warning, "dkim-too-many-signatures", "count", n, "evaluated", len(evaluated)))
	}
	passes, ed := 0, 0
	for _, s := range evaluated {
		if s.Word == result.Pass {
			passes++
			if s.key.ed25519 != nil {
				ed++
			}
		}
	}
	if passes > 0 && passes == ed {
		out = append(out, result.Found(result.Warning, "dkim-ed25519-only"))
	}
	return out
}
