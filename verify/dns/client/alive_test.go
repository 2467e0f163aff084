package client_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
)

// A resolver is alive where it says anything but SERVFAIL; of several one is enough.
func TestAlive(t *testing.T) {
	t.Parallel()
	server := func(fault string) netip.AddrPort { return dnstest.New(t, fault).Addr() }
	well, failing, silent := server(""), server(";FAULT SERVFAIL *. ANY\n"), server(";FAULT TIMEOUT *. ANY\n")
	gone := dnstest.New(t, "")
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		servers []netip.AddrPort
		want    dns.Kind // "": it is alive
	}{
		{"well", []netip.AddrPort{well}, ""},
		{"refuses", []netip.AddrPort{server(";FAULT REFUSED *. ANY\n")}, ""},
		{"has none", []netip.AddrPort{server(";FAULT NXDOMAIN *. ANY\n")}, ""},
		{"a cut answer", []netip.AddrPort{server(";FAULT TRUNCATE *. ANY\n;FAULT TIMEOUT-TCP *. ANY\n")}, ""},
		{"the first datagram is lost", []netip.AddrPort{server(";FAULT DROP=1 *. ANY\n")}, ""},
		{"fails", []netip.AddrPort{failing}, dns.ServFail},
		{"silent", []netip.AddrPort{silent}, dns.Timeout},
		{"not there", []netip.AddrPort{gone.Addr()}, dns.Unreachable},
		{"one of three", []netip.AddrPort{silent, failing, well}, ""},
		{"none of two", []netip.AddrPort{failing, gone.Addr()}, dns.ServFail},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := client.Defaults()
			config.Servers = c.servers
			r, err := client.New(config)
			if err != nil {
				t.Fatal(err)
			}
			err = r.Alive(t.Context())
			e, _ := errors.AsType[*dns.Error](err)
			if (err == nil) != (c.want == "") || err != nil && (e == nil || !strings.Contains(err.Error(), ": "+string(c.want))) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
