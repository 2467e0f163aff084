package arc

import (
	"slices"
	"strconv"
	"strings"

	"checkauth/verify/dkim"
	"checkauth/verify/result"
)

func (f *field) signs(name string) bool {
	return slices.ContainsFunc(f.signed.Facts().Signed, func(s string) bool { return strings.EqualFold(s, name) })
}

// messageFault is about the newest message signature. Where the mail was changed behind the newest host,
// that is named as well.
func (v *validation) messageFault(i int, o dkim.Outcome) fault {
	n, host, domain := strconv.Itoa(i), v.sets[i].host(), v.Instances[i-1].Message.Domain
	if o.Word != result.Fail {
		return fault{i, result.Because("arc-signature-unusable", "instance", result.Ours(n)),
			result.Found(result.Warning, "arc-fail-signature-unusable", "instance", result.Ours(n), "domain", result.Domain(domain), "error", o.Detail)}
	}
	v.Findings = append(v.Findings, result.Found(result.Info, "arc-broken-after", "host", result.Domain(host), "instance", result.Ours(n)))
	if o.Reason.Code == "dkim-header-hash-differs" {
		return fault{i, result.Because("arc-header-differs", "instance", result.Ours(n)),
			result.Found(result.Warning, "arc-fail-header", "instance", result.Ours(n), "domain", result.Domain(domain))}
	}
	return fault{i, result.Because("arc-body-differs", "instance", result.Ours(n)),
		result.Found(result.Warning, "arc-fail-body", "instance", result.Ours(n), "domain", result.Domain(domain))}
}

func (v *validation) sealFault(i int, o dkim.Outcome) fault {
	n, domain := strconv.Itoa(i), v.Instances[i-1].Seal.Domain
	if o.Word != result.Fail {
		return fault{i, result.Because("arc-seal-unusable", "instance", result.Ours(n)),
			result.Found(result.Warning, "arc-fail-seal-unusable", "instance", result.Ours(n), "domain", result.Domain(domain), "error", o.Detail)}
	}
	return fault{i, result.Because("arc-seal-differs", "instance", result.Ours(n)),
		result.Found(result.Warning, "arc-fail-seal", "instance", result.Ours(n), "domain", result.Domain(domain))}
}
