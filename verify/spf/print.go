package spf

import (
	"strconv"
	"strings"

	"checkauth/verify/result"
)

// String prints the record again, in one spelling: what is understood stands there, and no more.
func (p *Policy) String() string {
	var b strings.Builder
	b.WriteString(version)
	for i := range p.Terms {
		b.WriteByte(' ')
		b.WriteString(p.Terms[i].String())
	}
	return b.String()
}

var signs = map[result.Word]string{result.Fail: "-", result.SoftFail: "~", result.Neutral: "?"}

// String prints the term in one spelling; one that cannot be read as it was published.
func (d *Directive) String() string {
	switch {
	case d.Err != nil:
		return d.Text
	case d.Modifier:
		return d.Name + "=" + d.Domain
	}
	s := signs[d.Qualifier] + d.Name
	if d.Domain != "" {
		s += ":" + d.Domain
	}
	if d.Addr.IsValid() {
		s += ":" + d.Addr.String()
	}
	if d.Mask4 != 32 {
		s += "/" + strconv.Itoa(d.Mask4)
	}
	if d.Mask6 != 128 && d.Name == "ip6" {
		s += "/" + strconv.Itoa(d.Mask6)
	} else if d.Mask6 != 128 {
		s += "//" + strconv.Itoa(d.Mask6)
	}
	return s
}

func alpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func digit(c byte) bool { return '0' <= c && c <= '9' }

func allDigits(s string) bool {
	for i := range len(s) {
		if !digit(s[i]) {
			return false
		}
	}
	return true
}

// visible: printing ASCII, the space only where it is allowed.
func visible(s string, space bool) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' && (c != ' ' || !space) || c > '~' {
			return false
		}
	}
	return true
}

// lower folds ASCII alone: strings.ToLower would make a k of a Kelvin sign.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for j, c := range b {
				if 'A' <= c && c <= 'Z' {
					b[j] = c + 0x20
				}
			}
			return string(b)
		}
	}
	return s
}
