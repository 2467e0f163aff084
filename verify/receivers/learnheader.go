package receivers

import (
	netmail "net/mail"
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
	f.FromCount, f.FromAuthors = Known(from.Fields), Known(len(from.Addresses))
	f.HeaderDuplicates = Known(duplicates(fs))
	f.HeaderMalformed = Known(slices.ContainsFunc(fs, func(x mail.Field) bool { return x.Name == "" || x.Spaced }))
	f.HeaderUnsound = f.HeaderMalformed
	f.HasMessageID = Known(isMessageID(fs.Value("Message-ID")))
	f.DateOK = Known(dateOK(fs.Value("Date"), r.Time))
	f.ARC = Known(fs.Value("ARC-Seal") != "")
	if h := result.Detail[header.Result](r.Check(verify.MethodHeader)); h != nil {
		f.FromCount, f.HeaderDuplicates = Known(h.FromCount), Known(h.Duplicates)
		f.HeaderMalformed = Known(h.Malformed > 0 || len(h.Faulty) > 0)
		f.HeaderUnsound = Known(h.Malformed > 0 || slices.ContainsFunc(h.Faulty, func(name string) bool {
			return !strings.EqualFold(name, "Date") && !strings.EqualFold(name, "Message-ID")
		}))
		f.HasMessageID, f.DateOK = Known(h.MessageID == header.OK), Known(h.Date == header.OK || h.Date == header.Off && !farOff(h.DateDiffers))
	}
	f.learnUnsubscribe(fs)
}

func (f *Facts) headerFailed() {
	f.FromCount, f.FromAuthors = Failed[int](), Failed[int]()
	f.HeaderDuplicates = Failed[[]string]()
	for _, x := range []*Fact[bool]{
		&f.HeaderMalformed, &f.HeaderUnsound, &f.HasMessageID, &f.DateOK, &f.ARC, &f.Unsubscribe, &f.OneClick, &f.UnsubscribeSigned,
	} {
		*x = Failed[bool]()
	}
}

// once are the fields that a message may have once: RFC 5322, 3.6, and those of RFC 2045, 3.
var once = []string{
	"Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}

func duplicates(fs mail.Fields) []string {
	out := []string{}
	for _, name := range once {
		if len(fs.All(name)) > 1 {
			out = append(out, name)
		}
	}
	return out
}

// isMessageID: RFC 5322, 3.6.4, without regard to which characters stand on either side of the at sign:
// receivers take what many programs write there.
func isMessageID(value string) bool {
	id, rest, closed := strings.Cut(strings.TrimPrefix(value, "<"), ">")
	left, right, at := strings.Cut(id, "@")
	rest = strings.TrimSpace(rest)
	return strings.HasPrefix(value, "<") && closed && at && left != "" && right != "" &&
		!strings.ContainsAny(id, " \t") && (rest == "" || strings.HasPrefix(rest, "("))
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

func dateOK(value string, received time.Time) bool {
	t, err := netmail.ParseDate(value)
	if err != nil {
		return false
	}
	return received.IsZero() || t.Before(received.Add(ahead)) && t.After(received.Add(-back))
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
