package main

import (
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
