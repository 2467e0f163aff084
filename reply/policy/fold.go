package policy

import "checkauth/verify/standing"

// Fold gives the one form of all spellings of a mailbox, for counting.
func Fold(address string) string { return standing.Fold(address) }

// Split cuts an address at its last @; the domain is in lower case and without a final dot.
func Split(address string) (local, domain string) { return standing.Split(address) }

// organisation is whose domain counts: that of all names of one organisation, so that sub-domains made up for
// the purpose share a counter.
func organisation(address string) string {
	_, domain := Split(address)
	domain = standing.ALabels(domain)
	if org := standing.Organisation(domain); org != "" {
		return org
	}
	return domain
}
