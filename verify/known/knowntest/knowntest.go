// Package knowntest has what tests in several packages hold against the settings of mail servers: real Received
// fields of each server, and settings that must not be printed.
package knowntest

import (
	_ "embed"
	"regexp"
	"strings"
	"testing"
)

//go:embed refused.txt
var refused string

// Refused says why a setting as it is printed, "Postfix: main.cf: ...", must not be: it breaks a server, does
// nothing, or is no setting. "" where nothing is known against it.
func Refused(t testing.TB, text string) string {
	t.Helper()
	why, patterns := "", 0
	for line := range strings.Lines(refused) {
		line = strings.TrimSpace(line)
		if said, ok := strings.CutPrefix(line, "# "); ok {
			why = said
			continue
		}
		if line == "" {
			continue
		}
		patterns++
		re, err := regexp.Compile("(?m)" + line)
		if err != nil {
			t.Fatalf("refused.txt: %v", err)
		}
		if re.MatchString(text) {
			return why
		}
	}
	if patterns == 0 {
		t.Fatal("refused.txt: no pattern")
	}
	return ""
}

// Sample is the top of a header as a mail server writes it, LF line ends.
type Sample struct {
	Server string // its id
	Header string
}

// Samples has each server that is recognised once or more often.
var Samples = []Sample{
	{"postfix", `Received: from pc.example.org (pc.example.org [192.0.2.7])
	(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
	 key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)
	(No client certificate requested)
	by mail.example.org (Postfix) with ESMTPSA id 4XyZ1234567
	for <ann@example.net>; Mon, 23 Nov 2026 10:00:00 +0000 (UTC)
`},
	{"postfix", `Received: by mail.example.org (Postfix, from userid 33)
	id 4XyZ1234567; Mon, 23 Nov 2026 10:00:00 +0000 (UTC)
`},
	{"plesk-postfix", `Received: from [192.0.2.7] (pc.example.org [192.0.2.7])
	by mail.example.org (Postfix) with ESMTPSA id 4XyZ1234567
	for <ann@example.net>; Mon, 23 Nov 2026 11:00:00 +0100 (CET)
X-PPP-Message-ID: <176389200000.12345.1234567890123456789@mail.example.org>
X-PPP-Vhost: example.org
`},
	{"exim-debian", `Received: from pc.example.org ([192.0.2.7])
	by mail.example.org with esmtpsa  (TLS1.3) tls TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
	(Exim 4.96)
	(envelope-from <bob@example.org>)
	id 1tEabc-0001Xy-2z
	for ann@example.net;
	Mon, 23 Nov 2026 10:00:00 +0000
`},
	{"exim-debian", `Received: from www-data by mail.example.org with local (Exim 4.96)
	(envelope-from <www-data@mail.example.org>)
	id 1tEabc-0001Xy-2z
	for ann@example.net;
	Mon, 23 Nov 2026 10:00:00 +0000
`},
	{"exim-cpanel", `Received: from [192.0.2.7] (port=51234 helo=pc)
	by server.example.org with esmtpsa  (TLS1.3) tls TLS_AES_256_GCM_SHA384
	(Exim 4.98.1)
	(envelope-from <bob@example.org>)
	id 1tEabc-00000001Xyz-2z3A
	for ann@example.net;
	Mon, 23 Nov 2026 10:00:00 +0000
X-AntiAbuse: This header was added to track abuse, please include it with any abuse report
X-AntiAbuse: Primary Hostname - server.example.org
`},
	{"qmail-plesk", `Received: (qmail 12345 invoked by uid 1000); 23 Nov 2026 10:00:00 -0000
`},
	{"qmail-plesk", `Received: (qmail 12345 invoked from network); 23 Nov 2026 10:00:00 -0000
Received: from unknown (HELO pc) (192.0.2.7)
  by mail.example.org with SMTP; 23 Nov 2026 10:00:00 -0000
`},
	{"sendmail", `Received: from pc.example.org (pc.example.org [192.0.2.7])
	(authenticated bits=0)
	by mail.example.org (8.17.1/8.17.1/Debian-2) with ESMTPSA id 4ANA00ab012345
	(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)
	for <ann@example.net>; Mon, 23 Nov 2026 10:00:00 GMT
`},
	{"sendmail", `Received: (from bob@localhost)
	by mail.example.org (8.17.1/8.17.1/Submit) id 4ANA00ab012345
	for ann@example.net; Mon, 23 Nov 2026 10:00:00 GMT
`},
	{"opensmtpd", `Received: from pc (pc.example.org [192.0.2.7])
	by mail.example.org (OpenSMTPD) with ESMTPSA id 1a2b3c4d (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)
	for <ann@example.net>;
	Mon, 23 Nov 2026 10:00:00 +0000 (UTC)
`},
	{"exchange", `Received: from EX01.corp.example.org (192.0.2.8) by EX01.corp.example.org (192.0.2.8)
 with Microsoft SMTP Server (version=TLS1_2,
 cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.2.1544.11; Mon, 23 Nov 2026
 10:00:00 +0000
`},
	{"mailenable", `Received: from pc ([192.0.2.7]) by mail.example.org with MailEnable ESMTPA; Mon, 23 Nov 2026 10:00:00 +0000
`},
	{"haraka", `Received: from pc (pc.example.org [192.0.2.7])
	by mail.example.org (Haraka/3.0.5) with ESMTPSA id 0A1B2C3D-4E5F-6789-ABCD-EF0123456789.1
	envelope-from <bob@example.org>
	tls TLS_AES_256_GCM_SHA384 (authenticated bits=0);
	Mon, 23 Nov 2026 10:00:00 +0000
`},
	{"hmailserver", `Received: from [192.0.2.7] (pc.example.org [192.0.2.7])
	by mail.example.org with ESMTPSA
	; Mon, 23 Nov 2026 10:00:00 +0000
`},
}
