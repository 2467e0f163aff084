package dkim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// benchLine is one line of benchText.
const benchLine = "The quick brown fox jumps over the lazy dog, again and again and on.\r\n"

func benchText(size int) string {
	var b strings.Builder
	for i := 0; b.Len() <= size-len(benchLine)-1; i++ {
		switch line := benchLine; i % 16 {
		case 7:
			b.WriteString(strings.Replace(line, ", ", ".  ", 1))
		case 15:
			b.WriteString(strings.Replace(line, "\r", " \r", 1))
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

func benchMessage(tags string, signatures, size int) string {
	plain := "From: ann@example.org\r\nTo: bob@example.net\r\nSubject: Hello\r\n\r\n" + benchText(size)
	m := sign(tags, plain)
	return strings.Repeat(m[:len(m)-len(plain)], signatures) + plain
}

// libraryAlone asks go-msgauth as we do, once a signature with that field on top, and does nothing else.
func libraryAlone(ctx context.Context, v Verifier, fields mail.Fields, body mail.Data) (passes int) {
	signs := fields.All(fieldName)
	for i := range signs {
		var head bytes.Buffer
		head.Write(signs[i].Raw)
		n := 0
		for _, f := range fields {
			if f.Is(fieldName) {
				if n++; n == i+1 {
					continue
				}
			}
			head.Write(f.Raw)
		}
		head.WriteString("\r\n")
		vs, _ := dkim.VerifyWithOptions(io.MultiReader(&head, body.Reader()), &dkim.VerifyOptions{MaxVerifications: 1,
			LookupTXT: func(name string) ([]string, error) { return []string{v.DNS.(texts)[name]}, nil }})
		if len(vs) == 1 && vs[0].Err == nil {
			passes++
		}
	}
	return passes
}

func weAndLibrary(ctx context.Context, v Verifier, fields mail.Fields, body mail.Data) (passes int) {
	for _, s := range v.Check(ctx, fields, body).Signatures {
		if s.Word == result.Pass {
			passes++
		}
	}
	return passes
}

// BenchmarkCheck compares all that we do, go-msgauth's verdict included, with go-msgauth alone. "in_turn"
// does both one after the other and reports the ratio, which is the same on a machine that is busy.
func BenchmarkCheck(b *testing.B) {
	for _, canon := range []string{relaxed, simple} {
		for _, size := range []int{10 << 10, 1 << 20} {
			for _, n := range []int{1, 4} {
				fields, body := split(b, benchMessage(tagsWith("c="+canon+"/"+canon), n, size))
				v := Verifier{DNS: ourKeys()}
				used := func(b *testing.B, check side) float64 {
					began := cpu()
					if passes := check(b.Context(), v, fields, body); passes != n {
						b.Fatalf("%d of %d pass", passes, n)
					}
					return float64(cpu() - began)
				}
				b.Run(fmt.Sprintf("%s/%d_KiB/%d", canon, size>>10, n), func(b *testing.B) {
					b.Run("ours", func(b *testing.B) { benchOne(b, used, weAndLibrary) })
					b.Run("go-msgauth", func(b *testing.B) { benchOne(b, used, libraryAlone) })
					b.Run("in_turn", func(b *testing.B) {
						var ours, theirs float64
						for b.Loop() {
							ours += used(b, weAndLibrary)
							theirs += used(b, libraryAlone)
						}
						b.ReportMetric(ours/theirs, "ratio")
					})
				})
			}
		}
	}
}

type side func(context.Context, Verifier, mail.Fields, mail.Data) (passes int)

func benchOne(b *testing.B, used func(*testing.B, side) float64, check side) {
	b.ReportAllocs()
	sum := 0.0
	for b.Loop() {
		sum += used(b, check)
	}
	b.ReportMetric(sum/float64(b.N), "cpu-ns/op")
}

// cpu is what the process has used, that of the garbage collector included.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
