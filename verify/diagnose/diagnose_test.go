package diagnose

import (
	"context"
	"net/netip"
	"testing"

	"checkauth/verify"
	"checkauth/verify/dmarc"
	"checkauth/verify/helo"
	"checkauth/verify/iprev"
	"checkauth/verify/mail"
	"checkauth/verify/result"
	"checkauth/verify/spf"
)

// RFC 7208, 10.3: a forwarder's address is not in the record, and that is nobody's fault.
func TestForwarded(t *testing.T) {
	t.Parallel()
	const client, origin, other = "203.0.113.19", "192.0.2.44", "198.51.100.9"
	row := func(aligned bool, word result.Word) []dmarc.Alignment {
		return []dmarc.Alignment{{Identifier: dmarc.Identifier{Domain: "example.org", Word: word}, Aligned: aligned}}
	}
	hops := func(ips ...string) (out []mail.Hop) {
		for _, ip := range ips {
			addr, _ := netip.ParseAddr(ip)
			out = append(out, mail.Hop{IP: addr})
		}
		return out
	}
	for _, c := range []struct {
		name string
		spf  result.Word
		dkim []dmarc.Alignment
		hops []mail.Hop
		want bool
	}{
		{"from a server in the record, signed", result.Fail, row(true, result.Pass), hops(origin), true},
		{"softfail too", result.SoftFail, row(true, result.Pass), hops(origin), true},
		{"through hosts of the forwarder's own", result.Fail, row(true, result.Pass), hops("10.0.0.1", "", origin), true},
		{"too far down", result.Fail, row(true, result.Pass), hops(other, other, other, other, other, origin), false},
		{"from a server that is not in the record", result.Fail, row(true, result.Pass), hops(other), false},
		{"the trace names the client itself", result.Fail, row(true, result.Pass), hops(client), false},
		{"without a trace", result.Fail, row(true, result.Pass), nil, false},
		{"another's signature", result.Fail, row(false, result.Pass), hops(origin), false},
		{"a broken signature", result.Fail, row(true, result.Fail), hops(origin), false},
		{"unsigned", result.Fail, nil, hops(origin), false},
		{"SPF passes", result.Pass, row(true, result.Pass), hops(origin), false},
		{"there is no record", result.None, row(true, result.Pass), hops(origin), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q := Query{Hops: c.hops, Report: &verify.Report{Session: verify.Session{ClientIP: client}, Checks: []result.Outcome{
				{Method: verify.MethodSPF, Result: c.spf, Detail: &spf.Result{Domain: "example.org"}},
				{Method: verify.MethodDMARC, Detail: &dmarc.Result{DKIM: c.dkim}},
			}}, SPF: func(_ context.Context, ip netip.Addr) result.Word {
				// Whoever is asked about the client itself would hear what is known.
				if ip.String() == origin || ip.String() == client {
					return result.Pass
				}
				return result.Fail
			}}
			got := Run(t.Context(), q)
			if (len(got) == 1) != c.want {
				t.Fatalf("got %v, want a cause: %t", got, c.want)
			}
			if c.want && (got[0].Finding.Code != "spf-forwarded" || got[0].Finding.Args.Get("origin") != origin || got[0].Finding.Args.Get("signer") != "example.org") {
				t.Errorf("got %+v", got[0].Finding)
			}
		})
	}
}

func TestHeloIsNotThePTRName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, helo string
		names      []string
		helos, ips result.Word
		want       bool
	}{
		{"two names, both in order", "mail.example.org", []string{"host.example.net"}, result.Pass, result.Pass, true},
		{"one of them", "Mail.example.org.", []string{"host.example.net", "mail.example.org"}, result.Pass, result.Pass, false},
		{"HELO has its own fault", "mail.example.org", []string{"host.example.net"}, result.Fail, result.Pass, false},
		{"so has the address", "mail.example.org", []string{"host.example.net"}, result.Pass, result.Fail, false},
	} {
		r := &verify.Report{Session: verify.Session{Helo: c.helo, ClientIP: "192.0.2.1"}, Checks: []result.Outcome{
			{Method: verify.MethodHelo, Result: c.helos, Detail: &helo.Result{Kind: "name"}},
			{Method: verify.MethodIPRev, Result: c.ips, Detail: &iprev.Result{Names: c.names}},
		}}
		got := Run(t.Context(), Query{Report: r})
		if found := len(got) == 1 && got[0].Finding.Code == "helo-not-ptr"; found != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func TestMailingListIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header, envelope string
		dmarc                  result.Word
		want                   string
	}{
		{"a list", "List-Id: Devs <dev.lists.example.net>\r\nFrom: a@example.org\r\n", "lists.example.net", result.Fail, "dev.lists.example.net"},
		{"DMARC passes all the same", "List-Id: <dev.lists.example.net>\r\nFrom: a@example.org\r\n", "lists.example.net", result.Pass, ""},
		{"the author's own envelope", "List-Id: <dev.example.org>\r\nFrom: a@example.org\r\n", "example.org", result.Fail, ""},
		{"no list", "From: a@example.org\r\n", "lists.example.net", result.Fail, ""},
	} {
		fields, err := mail.Parse([]byte(c.header), mail.DefaultBounds())
		if err != nil {
			t.Fatal(err)
		}
		r := &verify.Report{Message: verify.MessageFacts{Fields: fields}, Checks: []result.Outcome{
			{Method: verify.MethodSPF, Result: result.Pass, Detail: &spf.Result{Domain: c.envelope}},
			{Method: verify.MethodDMARC, Result: c.dmarc, Detail: &dmarc.Result{Author: "example.org"}},
		}}
		got := Run(t.Context(), Query{Report: r})
		said := ""
		for _, d := range got {
			if d.Finding.Code == "mailing-list" {
				said = d.Finding.Args.Get("list")
			}
		}
		if said != c.want {
			t.Errorf("%s: got %q, want %q", c.name, said, c.want)
		}
	}
}
