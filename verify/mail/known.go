package mail

import (
	"strings"

	"checkauth/verify/result"
)

// common are names of fields that say nothing by being there: those of RFC 5322, 3.6, RFC 2045, 3, RFC 2369, RFC 2919, RFC
// 3834, 5, RFC 6376, RFC 8058, RFC 8601, RFC 8617, and what mail programs write everywhere.
var common = fieldSet(`Return-Path Received Resent-Date Resent-From Resent-Sender Resent-To Resent-Cc Resent-Message-ID Date From Sender Reply-To
	To Cc Bcc Message-ID In-Reply-To References Subject Comments Keywords MIME-Version Content-Type Content-Transfer-Encoding Content-ID
	Content-Description Content-Disposition Content-Language Content-Location List-Id List-Help List-Subscribe List-Unsubscribe List-Post
	List-Owner List-Archive List-Unsubscribe-Post Auto-Submitted DKIM-Signature Authentication-Results Received-SPF ARC-Seal ARC-Message-Signature
	ARC-Authentication-Results Accept-Language Precedence Importance Priority X-Priority X-Mailer User-Agent Organization Errors-To Feedback-ID
	Disposition-Notification-To Delivered-To Autocrypt Thread-Index Thread-Topic X-Google-DKIM-Signature X-Originating-IP X-Spam-Status
	X-Spam-Flag X-Spam-Score X-Spam-Level X-Received X-MS-Has-Attach X-Virus-Scanned DKIM2-Signature`)

func fieldSet(names string) map[string]bool {
	out := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		out[strings.ToLower(name)] = true
	}
	return out
}

// FieldsFrom tells whose words the names of fields are: ours where they are common, else those of who wrote the message.
func FieldsFrom(names []string) result.From {
	for _, name := range names {
		if !common[strings.ToLower(name)] {
			return result.Stranger
		}
	}
	return result.Ourselves
}

// FieldNames is a list of them for a sentence.
func FieldNames(names ...string) result.Text {
	return result.Text{Value: strings.Join(names, ", "), From: FieldsFrom(names)}
}
