package known

import "checkauth/verify/result"

// remarks are the codes that the files may give. A trap is what goes wrong in a panel or with a provider, a
// setting what no directive of a mail server says. They take no arguments.
var remarks = byCode(
	result.Because("trap-apex-cname-flattened"),
	result.Because("trap-appends-domain"),
	result.Because("trap-at-is-apex"),
	result.Because("trap-blank-splits"),
	result.Because("trap-copy-dkim-key"),
	result.Because("trap-default-spf"),
	result.Because("trap-dkim-form-key-only"),
	result.Because("trap-ed25519-beside-rsa"),
	result.Because("trap-final-dot"),
	result.Because("trap-forwards-only"),
	result.Because("trap-from-replaced"),
	result.Because("trap-key-in-parts"),
	result.Because("trap-line-is-string"),
	result.Because("trap-mail-settings"),
	result.Because("trap-one-record-set"),
	result.Because("trap-press-update"),
	result.Because("trap-proxied-cname"),
	result.Because("trap-published-late"),
	result.Because("trap-quotes-warning"),
	result.Because("trap-second-spf-helper"),
	result.Because("trap-semicolon-comment"),
	result.Because("trap-serial"),
	result.Because("trap-signs-own-domain"),
	result.Because("trap-spf-not-editable"),
	result.Because("trap-spf-switch"),
	result.Because("trap-split-long"),
	result.Because("trap-split-view"),
	result.Because("trap-strict-spf-default"),
	result.Because("trap-strings-on-one-line"),
	result.Because("trap-two-hetzner-panels"),
	result.Because("trap-zone-elsewhere"),

	result.Because("setting-address-needs-ptr"),
	result.Because("setting-address-of-the-firewall"),
	result.Because("setting-bounces-have-none"),
	result.Because("setting-cannot-sign"),
	result.Because("setting-converted-after-signing"),
	result.Because("setting-edge-only"),
	result.Because("setting-fixed-relaxed"),
	result.Because("setting-fixed-simple-body"),
	result.Because("setting-footer-before-signing"),
	result.Because("setting-keep-ipv6"),
	result.Because("setting-masqueraded-after-signing"),
	result.Because("setting-needs-patch"),
	result.Because("setting-never-converts"),
	result.Because("setting-no-ipv6"),
	result.Because("setting-panel-reloads"),
	result.Because("setting-restart-services"),
	result.Because("setting-rewrites-mime"),
	result.Because("setting-send-7bit"),
	result.Because("setting-sign-after-content-filter"),
	result.Because("setting-sign-by-wrapper"),
	result.Because("setting-sign-last"),
	result.Because("setting-sign-submission-too"),
	result.Because("setting-tls-by-default"),
)

func byCode(all ...result.Reason) map[result.Code]result.Reason {
	out := make(map[result.Code]result.Reason, len(all))
	for _, r := range all {
		out[r.Code] = r
	}
	return out
}
