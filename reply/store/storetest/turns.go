package storetest

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"checkauth/reply/store"
)

// puts stores n entries that wait since a moment, each a second after the one before.
func puts(t *testing.T, s store.Store, name, client, to string, n int, since time.Time) {
	t.Helper()
	for i := range n {
		e := Entry(fmt.Sprint(name, i))
		e.To = to
		if client != "" {
			e.Client = netip.MustParseAddr(client)
		}
		put(t, s, e)
		must(t, s.Release(t.Context(), e.ID, since.Add(time.Duration(i)*time.Second)))
	}
}

// claimsSome are the ids of n that are claimed.
func claimsSome(t *testing.T, s store.Store, n int) (ids []string) {
	t.Helper()
	got, err := s.Claim(t.Context(), Start.Add(time.Hour), n)
	must(t, err)
	for _, c := range got {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}

func wantIDs(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A network with many entries that wait for longer does not keep the others' in the store. All /64 of a /48 are one.
func turns(t *testing.T, s store.Store) {
	puts(t, s, "flood", "192.0.2.1", "a@evil.example", 30, Start)
	puts(t, s, "six", "2001:db8:1:1::1", "a@evil.example", 5, Start.Add(time.Minute))
	puts(t, s, "same48", "2001:db8:1:2::1", "a@evil.example", 5, Start.Add(2*time.Minute))
	puts(t, s, "honest", "198.51.100.1", "ann@honest.example", 2, Start.Add(3*time.Minute))
	wantIDs(t, claimsSome(t, s, 3), "flood0", "six0", "honest0")
	wantIDs(t, claimsSome(t, s, 4), "flood1", "six1", "honest1", "flood2")
	if got := claimsSome(t, s, 100); len(got) != 35 {
		t.Errorf("%d are left, want 35", len(got))
	}
}

func turnsInside(t *testing.T, s store.Store) {
	puts(t, s, "flood", "192.0.2.1", "a@one.evil.example", 20, Start)
	puts(t, s, "sub", "192.0.2.2", "a@two.evil.example", 20, Start)
	puts(t, s, "honest", "192.0.2.3", "ann@honest.example", 2, Start.Add(time.Minute))
	got := claimsSome(t, s, 2)
	if len(got) != 2 || !slices.Contains(got, "honest0") {
		t.Errorf("got %q, want one of each organisation", got)
	}
}

func turnsOfNobody(t *testing.T, s store.Store) {
	puts(t, s, "flood", "192.0.2.1", "a@evil.example", 20, Start)
	puts(t, s, "operator", "", "postmaster@example.org", 2, Start.Add(time.Minute))
	got, err := s.Claim(t.Context(), Start.Add(time.Hour), 2)
	must(t, err)
	for _, c := range got {
		if want := map[string]string{"flood0": "192.0.2.0", "operator0": "invalid IP"}[c.ID]; c.Client.String() != want {
			t.Errorf("%s: client %s, want %q", c.ID, c.Client, want)
		}
	}
}

func turnsOfLeases(t *testing.T, s store.Store) {
	e := Entry("left")
	e.Client = netip.MustParseAddr("198.51.100.1")
	put(t, s, e) // its lease runs out
	puts(t, s, "flood", "192.0.2.1", "a@evil.example", 20, Start)
	wantIDs(t, claimsSome(t, s, 2), "flood0", "left")
	puts(t, s, "more", "192.0.2.1", "a@evil.example", 20, Start)
	if got := claimsSome(t, s, 1); slices.Contains(got, "left") {
		t.Error("what is leased was claimed again")
	}
}
