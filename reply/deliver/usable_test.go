package deliver

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/inbound"
)

// tlsaData is what may stand behind the three numbers of a TLSA record.
func tlsaData() []string {
	ofNothing256, ofNothing512 := sha256.Sum256(nil), sha512.Sum512(nil)
	of := sha512.Sum512([]byte("a certificate"))
	out := []string{
		hex.EncodeToString(ofNothing256[:]), hex.EncodeToString(ofNothing512[:]), strings.Repeat("00", 32), strings.Repeat("ff", 64), strings.Repeat("00", 31) + "01",
		"3000", "3003020101", "300302010100", "02010a", "3080", "a0023000",
	}
	for _, n := range []int{1, 20, 31, 32, 33, 63, 64} {
		out = append(out, hex.EncodeToString(of[:n]))
	}
	return append(out, hex.EncodeToString(append(of[:], 0)))
}

// tlsaSets are sets of records: each one alone, pairs with two digests of one usage and selector (RFC 7671, 9), long
// ones of which the last alone counts, and such as chance makes.
func tlsaSets() (sets [][]string) {
	data := tlsaData()
	record := func(usage, selector, matching int, d string) string {
		return fmt.Sprintf("%d %d %d %s", usage, selector, matching, d)
	}
	var all []string
	for _, usage := range []int{0, 1, 2, 3, 4, 255} {
		for _, selector := range []int{0, 1, 2, 255} {
			for _, matching := range []int{0, 1, 2, 3, 255} {
				for _, d := range data {
					all = append(all, record(usage, selector, matching, d))
				}
			}
		}
	}
	for _, r := range all {
		sets = append(sets, []string{r})
	}
	for _, usage := range []int{2, 3} {
		for _, weak := range data {
			for _, strong := range data {
				sets = append(sets, []string{record(usage, 1, 1, weak), record(usage, 1, 2, strong)}, []string{record(usage, 1, 1, weak), record(usage, 0, 2, strong)})
			}
		}
	}
	good := record(3, 1, 1, hex.EncodeToString([]byte("a digest of thirty-two octets...")))
	for n := 8; n < 24; n++ {
		long := make([]string, 0, n+1)
		for i := range n {
			long = append(long, fmt.Sprintf("0 0 1 %064x", i))
		}
		sets = append(sets, append(long, good))
	}
	chance := rand.New(rand.NewPCG(7672, 7671))
	for range 500 {
		var set []string
		for range 2 + chance.IntN(4) {
			set = append(set, all[chance.IntN(len(all))])
		}
		sets = append(sets, set)
	}
	return sets
}

// RFC 7672, 3.1 and RFC 7671, 9: what the report says of a domain's TLSA records, and what we do when we deliver to it,
// are one rule. The report praises none that our own delivery does not use.
func TestRFC7672_3_1_report_and_delivery_agree(t *testing.T) {
	t.Parallel()
	sets := tlsaSets()
	var zone strings.Builder
	for i, set := range sets {
		fmt.Fprintf(&zone, "d%[1]d.example. MX 10 mx.d%[1]d.example.\nmx.d%[1]d.example. A 192.0.2.1\n", i)
		for _, r := range set {
			fmt.Fprintf(&zone, "_25._tcp.mx.d%d.example. TLSA %s\n", i, r)
		}
		fmt.Fprintf(&zone, ";FAULT AD d%[1]d.example. ANY\n;FAULT AD mx.d%[1]d.example. ANY\n;FAULT AD _25._tcp.mx.d%[1]d.example. TLSA\n", i)
	}
	resolver := dnstest.New(t, zone.String()).Client(t)
	c := config(t)
	c.DANE, c.Port = true, 25
	k := openStore(t, t.TempDir(), time.Minute)
	t.Cleanup(func() { _ = k.Close() })
	d := newDeliverer(t, c, k, resolver)
	usable, impossible := 0, 0
	for i, set := range sets {
		domain := fmt.Sprintf("d%d.example", i)
		report := inbound.Evaluator{DNS: resolver}.Check(t.Context(), domain)
		places, err := d.Destination(t.Context(), resolver, "a@"+domain)
		if err != nil || len(places) != 1 {
			t.Fatalf("%q: %v, %v", set, places, err)
		}
		said := false
		for _, f := range report.Findings {
			said = said || f.Code == "inbound-tlsa-impossible"
		}
		if p := places[0]; report.DANE.Usable != p.DANE || (report.DANE.State == inbound.Present) != p.DANE || said != p.Impossible {
			t.Errorf("%q: the report says usable %t (%s), impossible %t; the delivery usable %t, impossible %t", set, report.DANE.Usable, report.DANE.State, said, p.DANE, p.Impossible)
		}
		if places[0].DANE {
			usable++
		}
		if places[0].Impossible {
			impossible++
		}
	}
	if usable < 100 || usable > len(sets)-100 || impossible < 50 {
		t.Errorf("%d sets, %d usable, %d impossible: the table is lopsided", len(sets), usable, impossible)
	}
}
