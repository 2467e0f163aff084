package dns_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns"
	"checkauth/verify/dns/dnstest"
)

func TestOverlay(t *testing.T) {
	t.Parallel()
	below := dnstest.Zone(t, `
example.org.            TXT   "old"
example.org.            MX    10 mx.example.org.
alias.example.org.      CNAME target.example.net.
target.example.net.     TXT   "target"
far.example.org.        CNAME alias.example.org.
other.example.org.      TXT   "other"
;FAULT SERVFAIL broken.example.org ANY
`)
	txt := func(s string) dns.Record { return dns.Record{TTL: 60, Strings: []string{s}} }
	for _, c := range []struct {
		name   string
		change func(o *dns.Overlay)
		ask    string
		kind   dns.Type
		want   string // records and chain; NX; or the error's kind
	}{
		{"nothing differs", func(*dns.Overlay) {}, "example.org", dns.TXT, `"old"`},
		{"a set is replaced", func(o *dns.Overlay) { o.Set("Example.org.", dns.TXT, txt("new")) }, "EXAMPLE.org", dns.TXT, `"new"`},
		{"other types stay", func(o *dns.Overlay) { o.Set("example.org", dns.TXT, txt("new")) }, "example.org", dns.MX, `10 mx.example.org.`},
		{"a set is gone", func(o *dns.Overlay) { o.Set("example.org", dns.TXT) }, "example.org", dns.TXT, ``},
		{"a name that did not exist", func(o *dns.Overlay) { o.Set("s._domainkey.example.org", dns.TXT, txt("key")) }, "s._domainkey.example.org", dns.TXT, `"key"`},
		{"the name above it exists now", func(o *dns.Overlay) { o.Set("s._domainkey.example.org", dns.TXT, txt("key")) }, "_domainkey.example.org", dns.TXT, ``},
		{"another name does not", func(o *dns.Overlay) { o.Set("s._domainkey.example.org", dns.TXT, txt("key")) }, "x.example.org", dns.TXT, `NX`},
		{"at the end of a chain from below", func(o *dns.Overlay) { o.Set("target.example.net", dns.TXT, txt("new")) }, "far.example.org", dns.TXT, `"new" by alias.example.org target.example.net`},
		{"a CNAME is put in", func(o *dns.Overlay) {
			o.Set("new.example.org", dns.CNAME, dns.Record{Target: "alias.example.org"})
		}, "new.example.org", dns.TXT, `"target" by alias.example.org target.example.net`},
		{"a CNAME leads elsewhere", func(o *dns.Overlay) {
			o.Set("alias.example.org", dns.CNAME, dns.Record{Target: "other.example.org"})
		}, "far.example.org", dns.TXT, `"other" by alias.example.org other.example.org`},
		{"a CNAME is gone", func(o *dns.Overlay) { o.Set("alias.example.org", dns.CNAME) }, "alias.example.org", dns.TXT, ``},
		{"a CNAME is gone further on", func(o *dns.Overlay) { o.Set("alias.example.org", dns.CNAME) }, "far.example.org", dns.A, ` by alias.example.org`},
		{"a set in place of a CNAME", func(o *dns.Overlay) { o.Set("alias.example.org", dns.TXT, txt("new")) }, "alias.example.org", dns.TXT, `"new"`},
		{"and what the CNAME led to is gone", func(o *dns.Overlay) { o.Set("alias.example.org", dns.TXT, txt("new")) }, "alias.example.org", dns.A, ``},
		{"a circle", func(o *dns.Overlay) {
			o.Set("a.example.org", dns.CNAME, dns.Record{Target: "b.example.org"})
			o.Set("b.example.org", dns.CNAME, dns.Record{Target: "a.example.org"})
		}, "a.example.org", dns.TXT, `chain`},
		{"a fault stays", func(o *dns.Overlay) { o.Set("example.org", dns.TXT, txt("new")) }, "broken.example.org", dns.TXT, `servfail`},
		{"a fault is mended", func(o *dns.Overlay) { o.Set("broken.example.org", dns.TXT, txt("new")) }, "broken.example.org", dns.TXT, `"new"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := dns.Over(below, time.Now)
			c.change(o)
			if got := shown(o.Resolve(t.Context(), dns.Question{Name: c.ask, Type: c.kind})); got != c.want {
				t.Errorf("%s %s: got %q, want %q", c.ask, c.kind, got, c.want)
			}
		})
	}
}

// shown puts an answer into one line.
func shown(a dns.Answer, err error) string {
	if e, ok := errors.AsType[*dns.Error](err); ok {
		return string(e.Kind)
	}
	if a.NX {
		return "NX"
	}
	var data []string
	for _, r := range a.Records {
		data = append(data, r.Data())
	}
	out := strings.Join(data, ", ")
	for i, link := range a.Chain {
		if i == 0 {
			out += " by"
		}
		out += " " + link.Target
	}
	return out
}
