package receivers

import (
	"slices"
	"strings"
	"time"

	"checkauth/verify"
	"checkauth/verify/header"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// learnHeader reads the fields themselves.
func (f *Facts) learnHeader(r *verify.Report) {
	fs := r.Message.Fields
	if len(fs) == 0 {
		// A header that could not be taken apart is no header without fields.
		if r.Check(verify.MethodDKIM).Result == result.NotRun {
			f.headerFailed()
		}
		return
	}
	from := mail.ParseFrom(fs)
	f.FromAuthors = Known(len(from.Addresses))
	f.ARC = Known(fs.Value("ARC-Seal") != "")
	f.learnUnsubscribe(fs)
	h := result.Detail[header.Result](r.Check(verify.MethodHeader))
	if h == nil { // the check did not come to its end
		f.headerUnknown()
		return
	}
	f.FromCount, f.HeaderDuplicates = Known(h.FromCount), Known(h.Duplicates)
	f.HeaderMalformed = Known(h.Malformed > 0 || len(h.Faulty) > 0)
	f.HeaderUnsound = Known(h.Malformed > 0 || slices.ContainsFunc(h.Faulty, func(name string) bool {
		return !strings.EqualFold(name, "Date") && !strings.EqualFold(name, "Message-ID")
	}))
	f.HasMessageID, f.DateOK = Known(h.MessageID == header.OK), Known(h.Date == header.OK || h.Date == header.Off && !farOff(h.DateDiffers))
}

// headerFailed: nothing is known of the header.
func (f *Facts) headerFailed() {
	f.FromAuthors = Failed[int]()
	for _, x := range []*Fact[bool]{&f.ARC, &f.Unsubscribe, &f.OneClick, &f.UnsubscribeSigned} {
		*x = Failed[bool]()
	}
	f.headerUnknown()
}

// headerUnknown: what the check of the header tells is not known.
func (f *Facts) headerUnknown() {
	f.FromCount, f.HeaderDuplicates = Failed[int](), Failed[[]string]()
	for _, x := range []*Fact[bool]{&f.HeaderMalformed, &f.HeaderUnsound, &f.HasMessageID, &f.DateOK} {
		*x = Failed[bool]()
	}
}

// How far off a Date may be. No receiver publishes its own bounds; these are beyond what waiting in
// queues explains, and leave a clock that was never set.
const (
	ahead = 24 * time.Hour
	back  = 5 * 365 * 24 * time.Hour
)

// farOff is beyond what a queue explains.
func farOff(seconds int64) bool {
	d := time.Duration(seconds) * time.Second
	return d > ahead || d < -back
}

// learnUnsubscribe: RFC 8058, 3.1: https in List-Unsubscribe, List-Unsubscribe-Post, and both signed.
func (f *Facts) learnUnsubscribe(fs mail.Fields) {
	list, post := fs.Value("List-Unsubscribe"), fs.Value("List-Unsubscribe-Post")
	f.Unsubscribe = Known(strings.Contains(list, "<"))
	f.OneClick = Known(strings.Contains(strings.ToLower(list), "<https://") &&
		strings.EqualFold(strings.TrimSpace(post), "List-Unsubscribe=One-Click"))
	covers := func(s Signature) bool {
		has := func(name string) bool {
			return slices.ContainsFunc(s.Signed, func(h string) bool { return strings.EqualFold(h, name) })
		}
		return has("List-Unsubscribe") && has("List-Unsubscribe-Post")
	}
	switch signed(*f, covers) {
	case Met:
		f.UnsubscribeSigned = Known(true)
	case NotMet:
		f.UnsubscribeSigned = Known(false)
	case Undecided:
		f.UnsubscribeSigned = Failed[bool]()
	}
}
