package policy

import "checkauth/verify/naming"

// organisation is whose domain counts: that of all names of one organisation, so that sub-domains made up for
// the purpose share a counter.
func organisation(address string) string { return naming.Registered(naming.Domain(address)) }
