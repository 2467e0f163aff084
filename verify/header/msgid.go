package header

import "checkauth/verify/mail"

// isMessageID: RFC 5322, 3.6.4: <left@right>, comments and white space around it alone. utf8: RFC 6532,
// 3.2 and 3.3: other letters may stand in it as well.
func isMessageID(value string, utf8 bool) bool {
	rest, ok := mail.CutMessageID(mail.SkipCFWS(value), utf8)
	return ok && mail.SkipCFWS(rest) == ""
}
