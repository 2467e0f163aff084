package dkim

import (
	"fmt"
	"strings"
	"testing"

	"checkauth/verify/result"
)

// The dearest message within all bounds: ten signatures, each over 10 MiB, all right.
func BenchmarkCheck(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20, 10 << 20} {
		for _, n := range []int{1, 10} {
			b.Run(fmt.Sprintf("%d signatures of %d octets", n, size), func(b *testing.B) {
				plain := "From: ann@example.org\r\n\r\n" + strings.Repeat("The quick brown fox jumps over the lazy dog, again and again.  \r\n", size/64)
				m := sign(plainTags, plain)
				m = strings.Repeat(m[:len(m)-len(plain)], n) + plain
				fields, body := split(b, m)
				v := Verifier{DNS: ourKeys()}
				b.SetBytes(int64(len(m)))
				for b.Loop() {
					if r := v.Check(b.Context(), fields, body); r.Signatures[n-1].Word != result.Pass {
						b.Fatal(words(r))
					}
				}
			})
		}
	}
}
