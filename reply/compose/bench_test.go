package compose

import (
	"testing"

	"checkauth/reply/policy"
	"checkauth/reply/sign"
)

// The parts of a usual reply, and the whole without and with its signature of RSA.
func BenchmarkReply(b *testing.B) {
	r, body := load(b, "forwarded")
	c := composer(b)
	d := policy.Decision{Class: policy.Proved, To: r.Session.MailFrom, Again: again, Never: never}
	bench := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("text", func() error { _, err := c.Text(r, d, body); return err })
	bench("page", func() error { _, err := c.HTML(r, d); return err })
	bench("json", func() error { _, err := c.JSON(r, d.Class); return err })
	bench("unsigned", func() error { _, err := c.Reply(r, d, body, now); return err })
	key, err := sign.Make("verifier.example", "ca1", sign.RSA, sign.Bits)
	if err != nil {
		b.Fatal(err)
	}
	signing, err := New(c.cfg, key)
	if err != nil {
		b.Fatal(err)
	}
	bench("signed", func() error { _, err := signing.Reply(r, d, body, now); return err })
}
