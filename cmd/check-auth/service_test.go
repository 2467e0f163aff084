package main

import (
	"net/netip"
	"strings"
	"testing"

	"checkauth/verify/dnsbl"
)

// A zone may hold a key of the operator's, so that a list is never called by its zone.
func TestBlocklistsAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, name, fault string }{
		{"zen.spamhaus.org", "Spamhaus", ""},
		{"Our list=secret.bl.example", "Our list", ""},
		{"secret.bl.example", "", "give it a name"},
		{"Ours=two..dots", "", "no name in the DNS"},
	} {
		s := &settings{}
		s.Evaluate.Blocklists = []string{c.text}
		lists, err := s.lists()
		switch {
		case c.fault != "":
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%q: got %v, want %q", c.text, err, c.fault)
			}
		case err != nil || !strings.Contains(lists[0].Name, c.name) || lists[0].Kind != dnsbl.Block:
			t.Errorf("%q: got %+v, %v", c.text, lists, err)
		}
	}
}

// Name servers are named by strangers: on their behalf no address is asked that is special or ours. In a closed network
// special ones are all there are.
func TestWhichNameServersAreAsked(t *testing.T) {
	t.Parallel()
	own := &ours{fixed: []netip.Addr{netip.MustParseAddr("45.0.0.1"), netip.MustParseAddr("10.0.0.1")}}
	for _, closed := range []bool{false, true} {
		s := &settings{}
		s.Deliver.AllowPrivate = closed
		a := s.authorities(own)
		if a.Servers != 4 {
			t.Errorf("%d servers of a zone are asked, want 4", a.Servers)
		}
		for addr, want := range map[string]bool{
			"45.0.0.2": true, "2a00::1": true, "45.0.0.1": false, "::ffff:45.0.0.1": false, "10.0.0.1": false,
			"10.0.0.2": closed, "127.0.0.1": closed, "169.254.0.1": closed, "64:ff9b::1": closed, "ff02::1": closed,
		} {
			if got := a.Permit(netip.MustParseAddr(addr)); got != want {
				t.Errorf("%s, closed network %t: %t, want %t", addr, closed, got, want)
			}
		}
	}
}
