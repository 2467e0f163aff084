package dkim

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// specimen is a letter before it is signed.
type specimen struct {
	name string
	letter
}

const textHead = `From: Ann <ann@example.org>
To: bob@example.net
Subject: Test
Date: Mon, 17 Nov 2025 09:12:40 +0000
Message-ID: <t1@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=%s%s
Content-Transfer-Encoding: %s
`

// text is a letter with the usual fields.
func text(name, charset, encoding, body string) specimen {
	more := ""
	if name == "format=flowed" {
		more = "; format=flowed"
	}
	return whole(name, fmt.Sprintf(textHead, charset, more, encoding), body)
}

func whole(name, head, body string) specimen {
	fields := strings.Split(unfolded.ReplaceAllString(wire(strings.TrimSuffix(head, "\n")), "\r\n\x00$1"), "\r\n\x00")
	return specimen{name, letter{fields, wire(body)}}
}

const bareHead = `From: ann@example.org
To: Bob@example.net
Subject: disk full
`

const shortBody = `Hello,

this is a test of our mail set-up.

Regards
The administrator
`

const flowedBody = `A paragraph that flows ` + `
over two lines.

> quoted ` + `
> text

-- ` + `
Ann
`

const signedBody = `Hello Bob,

see you at noon.

-- ` + `
Ann, Example Ltd
`

const fromBody = `Hello,

From here on it is downhill.
From: is no field here.

From the start, that is.
 From is no trouble with a space in front.
`

const dotsBody = `Hello,

.profile is a file
... as is this
.
the end
`

const twoDotsBody = `Hello,

..profile is a file
... as is this
the end
`

const spacesBody = "Hello,  \n\n name\tprice\t \n apple\t1.00\n\n two  spaces inside\t\nend \n"

const tableBody = `name	price	count
	apple	1.00	17
	cherry	2.50	4

The end.
`

const utf8Body = `Grüße aus Köln,

das ist ein Text mit Umlauten: äöü, und 1 + 1 = 2.

Schöne Grüße
`

// qpBody has nothing that two encoders would encode differently.
const qpBody = `Gr=C3=BC=C3=9Fe aus K=C3=B6ln,

das ist ein Text mit Umlauten: =C3=A4=C3=B6=C3=BC.

Sch=C3=B6ne Gr=C3=BC=C3=9Fe
`

const qpLongBody = `Gr=C3=BC=C3=9Fe aus K=C3=B6ln. Das ist eine lange Zeile, die weich umbrochen =
werden muss, weil sie nicht in 76 Zeichen passt, und das zwei Mal, damit man =
es sieht. 1 + 1 =3D 2.

Sch=C3=B6ne Gr=C3=BC=C3=9Fe
`

const multipartHead = `From: Ann <ann@example.org>
To: bob@example.net
Subject: Test
Date: Mon, 17 Nov 2025 09:12:40 +0000
Message-ID: <t2@example.org>
MIME-Version: 1.0
Content-Type: multipart/%s; boundary="=_outer-1"
`

const alternativeBody = `This is a message in MIME format.
--=_outer-1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße aus Köln,

das ist ein Text.

--=_outer-1
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html><body>
<p class=3D"a">Gr=C3=BC=C3=9Fe aus K=C3=B6ln,</p>
<p>das ist ein Text.</p>
</body></html>
--=_outer-1--
`

const mixedBody = `--=_outer-1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Hello,

the file is attached.
--=_outer-1
Content-Type: application/octet-stream; name=data.bin
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=data.bin

%s--=_outer-1--
`

const listsHead = `From: "Ann Example" <ann@example.org>
To: "Bob Builder" <bob@example.net>,
 "Carol, of Sales" <carol@example.net>,
 dan@example.net
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=
Date: Mon, 17 Nov 2025 09:12:40 +0000
Message-ID: <t3@example.org>
References: <a-long-message-identifier-0001@mail.example.org>
 <a-long-message-identifier-0002@mail.example.org>
 <a-long-message-identifier-0003@mail.example.org>
`

const unfoldedHead = `From: Ann Example <ann@example.org>
To: Bob Builder <bob@example.net>, Carol Carpenter <carol@example.net>, Dan Digger <dan@example.net>
Subject: =?iso-8859-1?B?R3L832UgYXVzIEv2bG4=?=
Date: Mon, 17 Nov 2025 09:12:40 +0000
Message-ID: <t4@example.org>
References: <a-long-message-identifier-0001@mail.example.org> <a-long-message-identifier-0002@mail.example.org> <a-long-message-identifier-0003@mail.example.org>
`

const greedyHead = `From: <ann@example.org>
To: <bob@example.net>
Subject: Grüße aus Köln
Message-ID: <t5@example.org>
References: <short-1@example.org> <short-2@example.org> <short-3@example.org>
 <short-4@example.org> <short-5@example.org> <short-6@example.org>
 <short-7@example.org>
`

// specimens are made anew each time, so that a damage of one is none of another.
func specimens() []specimen {
	alternative, mixed := fmt.Sprintf(multipartHead, "alternative"), fmt.Sprintf(multipartHead, "mixed")
	return []specimen{
		text("short text", "utf-8", "7bit", shortBody),
		whole("bare", bareHead, "The disk of host1 is full.\n"),
		text("long lines", "us-ascii", "7bit", longLines()),
		text("From at line starts", "us-ascii", "7bit", fromBody),
		text("dots at line starts", "us-ascii", "7bit", dotsBody),
		text("two dots at line starts", "us-ascii", "7bit", twoDotsBody),
		text("trailing spaces and tabs", "us-ascii", "7bit", spacesBody),
		text("a table", "us-ascii", "7bit", tableBody),
		text("format=flowed", "us-ascii", "7bit", flowedBody),
		text("a signature", "us-ascii", "7bit", signedBody),
		text("latin-1", "iso-8859-1", "8bit", inLatin1(utf8Body)),
		text("utf-8", "utf-8", "8bit", utf8Body),
		text("quoted-printable", "utf-8", "quoted-printable", qpBody),
		text("quoted-printable with soft breaks", "utf-8", "quoted-printable", qpLongBody),
		text("base64", "utf-8", "base64", gatewayBase64(wire(utf8Body))),
		whole("alternative", alternative, alternativeBody),
		whole("mixed", mixed, fmt.Sprintf(mixedBody, gatewayBase64(strings.Repeat("\x00\x01attached\xff", 20)))),
		text("empty body", "us-ascii", "7bit", ""),
		whole("lists of addresses", listsHead, shortBody),
		whole("fields of one line", unfoldedHead, shortBody),
		whole("fields folded late", greedyHead, shortBody),
	}
}

// longLines has lines of 300 and 1200 octets with spaces, one to a paragraph.
func longLines() string {
	words := strings.Repeat("all the words of this line are short but it has very many of them ", 20)
	return "Hello,\n\n" + strings.TrimRight(words[:300], " ") + "\n\n" + strings.TrimRight(words[:1200], " ") + "\n\nBye\n"
}

func inLatin1(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
	}
	return b.String()
}

// latin1AsUTF8 is the same text in UTF-8.
func latin1AsUTF8(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteRune(rune(c))
	}
	return b.String()
}

// gatewayBase64 has lines of 76 that end as the text's do that it stands in.
func gatewayBase64(s string) string {
	b := base64.StdEncoding.EncodeToString([]byte(s))
	var out strings.Builder
	for len(b) > 76 {
		out.WriteString(b[:76] + "\n")
		b = b[76:]
	}
	return out.String() + b + "\n"
}

func gatewayFromBase64(s string) string {
	b, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(s))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// gatewayQP is quoted-printable (RFC 2045, 6.7) with as little encoded as can be.
func gatewayQP(s string) string {
	var out []string
	for line := range strings.SplitSeq(s, "\r\n") {
		var b strings.Builder
		width := 0
		for i, c := range []byte(line) {
			item := string(c)
			if c == '=' || c >= 0x7f || c < ' ' && c != '\t' || i == len(line)-1 && (c == ' ' || c == '\t') {
				item = fmt.Sprintf("=%02X", c)
			}
			if rest := len(line) - i - 1; width+len(item) > 76 || width+len(item) > 75 && rest > 0 {
				b.WriteString("=\r\n")
				width = 0
			}
			b.WriteString(item)
			width += len(item)
		}
		out = append(out, b.String())
	}
	return strings.Join(out, "\r\n")
}

func gatewayFromQP(s string) string {
	return quotedPrintable(strings.ReplaceAll(s, "=\r\n", ""))
}
