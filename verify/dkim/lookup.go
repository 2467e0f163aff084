package dkim

import (
	"context"
	"fmt"
	"net"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// keyAnswer is what the DNS said at one name.
type keyAnswer struct {
	answer dns.Answer
	err    *dns.Error
}

// keys asks for each name once a message, however many signatures name it.
type keys struct {
	dns  dns.Resolver
	seen map[string]keyAnswer

	further map[string]keyAnswer // what the search for a key asked beside it
	tried   int                  // keys that the search computed with
}

func (k *keys) at(ctx context.Context, name string) keyAnswer {
	q := dns.Ask(name, dns.TXT)
	if a, ok := k.seen[q.Name]; ok {
		return a
	}
	var out keyAnswer
	a, err := k.dns.Resolve(ctx, q)
	if err != nil {
		out.err = dns.AsError(q, err)
	}
	out.answer = a
	k.seen[q.Name] = out
	return out
}

// furtherBound is how many names the search for a key asks about, a message.
const furtherBound = 22

// known gives the answer for a name that was asked about already.
func (k *keys) known(name string) (keyAnswer, bool) {
	name = dns.Canonical(name)
	if a, ok := k.seen[name]; ok {
		return a, true
	}
	a, ok := k.further[name]
	return a, ok
}

// elsewhere is at for names that no signature names; r is asked, and what it says changes no verdict. Over
// the bound there is no answer, and without r none beyond what is known.
func (k *keys) elsewhere(ctx context.Context, r dns.Resolver, name string) (dns.Answer, bool) {
	a, ok := k.known(name)
	if !ok {
		if r == nil || len(k.further) >= furtherBound {
			return dns.Answer{}, false
		}
		q := dns.Ask(name, dns.TXT)
		var err error
		if a.answer, err = r.Resolve(ctx, q); err != nil {
			a.err = dns.AsError(q, err)
		}
		if k.further == nil {
			k.further = map[string]keyAnswer{}
		}
		k.further[q.Name] = a
	}
	return a.answer, a.err == nil
}

// lookUp gets the signature its key, or the fault why there is none: RFC 6376, 6.1.2.
func (s *signature) lookUp(ctx context.Context, k *keys) {
	if s.KeyName == "" {
		return // the rules about d= and s= say why
	}
	found := k.at(ctx, s.KeyName)
	if found.err != nil {
		s.keyFault = noAnswer(found.err)
		return
	}
	records := found.answer.Records
	switch len(records) {
	case 0:
		s.keyFault = noKey(s.KeyName, found.answer)
		return
	case 1:
	default:
		s.keyFault = severalKeys(s.KeyName, found.answer.Texts())
		return
	}
	s.KeyRecord, s.KeyTTL = records[0].Text(), records[0].TTL
	s.Key, s.key, s.keyFault = readKey(s.KeyName, s.KeyRecord)
}

// noAnswer: RFC 6376, 6.1.2, step 2: a server that does not answer is a temporary failure.
func noAnswer(err *dns.Error) *verdict {
	r := err.Reason()
	return &verdict{word: result.TempError, reason: r, cause: err,
		findings: []result.Finding{{Severity: result.Error, Code: r.Code, Args: r.Args}}}
}

// noKey: RFC 6376, 6.1.2, step 3.
func noKey(name string, a dns.Answer) *verdict {
	f := result.Found(result.Error, "dkim-key-missing", "name", result.Domain(name))
	if n := len(a.Chain); n > 0 && a.NX {
		f = result.Found(result.Error, "dkim-key-cname-dangling", "name", result.Domain(name), "target", result.Domain(a.Chain[n-1].Target))
	}
	return permanent(result.Because("dkim-key-does-not-exist", "name", result.Domain(name)),
		fmt.Errorf("%w: no record at %s", ErrNoKey, name), f)
}

// severalKeys: RFC 6376, 3.6.2.2 leaves the result undefined; most verifiers, and we, take none.
func severalKeys(name string, texts []string) *verdict {
	n := fmt.Sprint(len(texts))
	v := permanent(result.Because("dkim-key-several-records", "name", result.Domain(name), "count", result.Ours(n)),
		fmt.Errorf("%w: %s records at %s", ErrKey, n, name),
		result.Found(result.Error, "dkim-key-multiple-records", "name", result.Domain(name), "count", result.Ours(n)))
	for _, text := range texts {
		if f := privateKey(name, text); f != nil {
			v.findings = append([]result.Finding{*f}, v.findings...)
			break
		}
	}
	return v
}

// texts is the same answer as go-msgauth wants it. It takes every error that is no temporary net.Error
// for permanent.
func (k *keys) texts(ctx context.Context, name string) ([]string, error) {
	found := k.at(ctx, name)
	switch {
	case found.err != nil:
		return nil, found.err.NetError()
	case len(found.answer.Records) == 0:
		return nil, &net.DNSError{Err: "no such record", Name: name, Server: found.answer.Server, IsNotFound: true}
	}
	return found.answer.Texts(), nil
}
