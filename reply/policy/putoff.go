package policy

import "checkauth/verify/result"

// Trouble is one of ours that passes by itself: the message is put off, nothing is mailed and nobody's quota is spent.
type Trouble string

// The troubles: our resolver is down; replies leave too slowly; the disk is full; the same message comes over two connections
// at once, so that it is not known yet whether it is answered; a quota of DNS questions is full.
const (
	ResolverDown Trouble = "resolver-down"
	Behind       Trouble = "behind"
	NoRoom       Trouble = "no-room"
	AtOnce       Trouble = "at-once"
	DNSQuota     Trouble = "quota"
)

// troubles are the only answers with a 4 for which no rule asked: the difference between "our trouble" and "your mail" is what
// the client goes by. RFC 5321, 4.2.3 and RFC 3463, 3.4: 452 and X.3.1 are what a full disk is called.
var troubles = map[Trouble]struct {
	code     int
	enhanced [3]int
}{
	ResolverDown: {451, [3]int{4, 4, 3}},
	Behind:       {451, [3]int{4, 3, 2}},
	NoRoom:       {452, [3]int{4, 3, 1}},
	AtOnce:       {451, [3]int{4, 3, 0}},
	DNSQuota:     {451, [3]int{4, 7, 1}},
}

// PutOff is the answer to a trouble, which why puts into words.
func PutOff(t Trouble, why result.Reason) Decision {
	a := troubles[t]
	return Decision{Code: a.code, Enhanced: a.enhanced, Lines: []result.Reason{why}}
}

// Answered is what the client hears where nothing is left to be decided: the message was answered before, or is the
// operator's.
func Answered(why result.Reason) Decision {
	return Decision{Code: 250, Enhanced: [3]int{2, 0, 0}, Lines: []result.Reason{why}}
}
