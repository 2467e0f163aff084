package dane_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"checkauth/verify/dane"
	"checkauth/verify/dns/dnstest"
)

// Every form that can be used, from the zone to a real handshake.
func TestRFC7672_3_1_forms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other := newHouse(t)
	shown := shake(t, h.leaf, h.issuer) // the root is not shown, as usual
	for usage, of := range map[uint8][2]*entity{3: {h.leaf, other.leaf}, 2: {h.issuer, other.issuer}} {
		for selector := range uint8(2) {
			for matching := range uint8(3) {
				right, wrong := tlsa(usage, selector, matching, of[0]), tlsa(usage, selector, matching, of[1])
				no := dane.ErrNoMatch
				if text(wrong)[:5] == "2 0 0" {
					no = dane.ErrChain // an anchor all the same
				}
				t.Run(text(right)[:5], func(t *testing.T) {
					t.Parallel()
					for data, want := range map[string]error{text(right): nil, text(wrong): no} {
						r := dnstest.Zone(t, "mx.example.org. A 192.0.2.1\n_25._tcp.mx.example.org. TLSA "+data+signed)
						got, err := dane.Lookup(t.Context(), r, host, 25, true)
						if err != nil || !got.Usable() {
							t.Fatalf("%s: got %s (%v), want it usable", data, got, err)
						}
						if err := got.Verify(shown, nil, now); !errors.Is(err, want) {
							t.Errorf("%.40s: got %v, want %v", data, err, want)
						}
					}
				})
			}
		}
	}
}

// expect runs a table over one connection each.
type expect struct {
	name    string
	records dane.Records
	shown   []*entity
	names   []string
	want    error
}

func verify(t *testing.T, table []expect) {
	t.Helper()
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.records.Verify(shake(t, c.shown...), c.names, now)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.records, err, c.want)
			}
			if err != nil && !strings.HasPrefix(err.Error(), `DANE of "mx.example.org": `) {
				t.Errorf("%v does not name the host", err)
			}
		})
	}
}

func TestRFC7672_3_1_1_neither_name_nor_time_of_the_leaf(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := issue(t, h.issuer, "old", all(server(host), expired))
	other := issue(t, h.issuer, "other", server("other.example.net"))
	bare := issue(t, nil, "no names", nil)
	verify(t, []expect{
		{"expired", records(tlsa(3, 1, 1, old)), []*entity{old}, nil, nil},
		{"of another name", records(tlsa(3, 1, 1, other)), []*entity{other}, nil, nil},
		{"self-signed, no names, no use", records(tlsa(3, 0, 1, bare)), []*entity{bare}, nil, nil},
		{"the leaf alone counts", records(tlsa(3, 1, 1, h.issuer)), h.chain(), nil, dane.ErrNoMatch},
		{"the old certificate's key", records(tlsa(3, 1, 1, h.leaf)), []*entity{old}, nil, dane.ErrNoMatch},
	})
}

func TestRFC7672_3_1_2_the_way_to_the_anchor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	elsewhere := newHouse(t)
	old := issue(t, h.issuer, "old", all(server(host), expired))
	early := issue(t, h.issuer, "early", all(server(host), func(c *x509.Certificate) { c.NotBefore = now.Add(1e9) }))
	oldIssuer := issue(t, h.root, "old issuer", all(authority, expired))
	under := issue(t, oldIssuer, "under", server(host))
	noCA := issue(t, h.root, "no CA", server(host))
	below := issue(t, noCA, "below", server(host))
	saysNo := issue(t, nil, "says no", func(c *x509.Certificate) { c.BasicConstraintsValid = true })
	belowNo := issue(t, saysNo, "below no", server(host))
	mute := issue(t, nil, "mute", nil)
	belowMute := issue(t, mute, "below mute", server(host))
	noSigner := issue(t, nil, "no signer", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	belowNoSigner := issue(t, noSigner, "below", server(host))
	mailer := issue(t, h.issuer, "mailer", all(server(host), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))
	own := issue(t, nil, "own", server(host))
	ownOld := issue(t, nil, "own", all(server(host), expired))
	verify(t, []expect{
		{"the root is the anchor", records(tlsa(2, 0, 1, h.root)), h.chain(), nil, nil},
		{"in the middle of the chain", records(tlsa(2, 1, 1, h.issuer)), h.chain(), nil, nil},
		{"in another order", records(tlsa(2, 1, 1, h.root)), []*entity{h.leaf, h.root, h.issuer}, nil, nil},
		{"a digest, and the anchor is not shown", records(tlsa(2, 0, 1, h.root)), []*entity{h.leaf, h.issuer}, nil, dane.ErrNoMatch},
		{"a link is missing", records(tlsa(2, 0, 1, h.root)), []*entity{h.leaf, h.root}, nil, dane.ErrChain},
		{"the anchor is shown and signed nothing", records(tlsa(2, 0, 1, h.root)), []*entity{elsewhere.leaf, elsewhere.issuer, h.root}, nil, dane.ErrChain},
		{"the leaf is expired", records(tlsa(2, 1, 1, h.issuer)), []*entity{old, h.issuer}, nil, dane.ErrExpired},
		{"the leaf is not valid yet", records(tlsa(2, 1, 1, h.issuer)), []*entity{early, h.issuer}, nil, dane.ErrExpired},
		{"a link is expired", records(tlsa(2, 1, 1, h.root)), []*entity{under, oldIssuer, h.root}, nil, dane.ErrExpired},
		{"the anchor is expired", records(tlsa(2, 1, 1, oldIssuer)), []*entity{under, oldIssuer}, nil, dane.ErrExpired},
		{"a link is no CA", records(tlsa(2, 0, 1, h.root)), []*entity{below, noCA, h.root}, nil, dane.ErrChain},
		{"the anchor says that it is no CA", records(tlsa(2, 0, 1, saysNo)), []*entity{belowNo, saysNo}, nil, dane.ErrChain},
		{"the anchor does not say whether it is a CA", records(tlsa(2, 0, 1, mute)), []*entity{belowMute, mute}, nil, nil},
		{"the anchor's key is for something else", records(tlsa(2, 0, 1, noSigner)), []*entity{belowNoSigner, noSigner}, nil, dane.ErrChain},
		{"the leaf is for clients", records(tlsa(2, 0, 1, h.issuer)), []*entity{mailer, h.issuer}, nil, dane.ErrChain},
		{"the leaf is its own anchor", records(tlsa(2, 0, 1, own)), []*entity{own}, nil, nil},
		{"the leaf is its own anchor, expired", records(tlsa(2, 0, 1, ownOld)), []*entity{ownOld}, nil, dane.ErrExpired},
		{"one anchor of several leads there", records(tlsa(2, 0, 1, elsewhere.root), tlsa(2, 0, 1, h.issuer)), h.chain(), nil, nil},
	})
}

func TestRFC7671_5_2_2_a_whole_anchor_in_the_record(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := issue(t, h.issuer, "old", all(server(host), expired))
	other := newHouse(t)
	oldRoot := issue(t, nil, "old root", all(authority, expired))
	under := issue(t, oldRoot, "under", server(host))
	verify(t, []expect{
		{"not shown", records(tlsa(2, 0, 0, h.root)), []*entity{h.leaf, h.issuer}, nil, nil},
		{"not shown, and right above the leaf", records(tlsa(2, 0, 0, h.issuer)), []*entity{h.leaf}, nil, nil},
		{"shown", records(tlsa(2, 0, 0, h.root)), h.chain(), nil, nil},
		{"signed nothing here", records(tlsa(2, 0, 0, other.root)), h.chain(), nil, dane.ErrChain},
		{"the leaf is expired", records(tlsa(2, 0, 0, h.issuer)), []*entity{old}, nil, dane.ErrExpired},
		{"itself expired", records(tlsa(2, 0, 0, oldRoot)), []*entity{under}, nil, dane.ErrExpired},
		{"a frame with nothing in it", records(dane.TLSA{Usage: 2, Data: []byte{0x30, 0}}), h.chain(), nil, dane.ErrNoMatch},
	})
}

func TestRFC7671_5_2_3_a_bare_key_in_the_record(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := issue(t, h.issuer, "old", all(server(host), expired))
	other := newHouse(t)
	noCA := issue(t, h.root, "no CA", server(host))
	below := issue(t, noCA, "below", server(host))
	oldIssuer := issue(t, h.root, "old issuer", all(authority, expired))
	under := issue(t, oldIssuer, "under", server(host))
	verify(t, []expect{
		{"signed the leaf", records(tlsa(2, 1, 0, h.issuer)), []*entity{h.leaf}, nil, nil},
		{"signed the issuer", records(tlsa(2, 1, 0, h.root)), []*entity{h.leaf, h.issuer}, nil, nil},
		{"shown", records(tlsa(2, 1, 0, h.root)), h.chain(), nil, nil},
		{"signed nothing here", records(tlsa(2, 1, 0, other.root)), h.chain(), nil, dane.ErrNoMatch},
		{"signed a neighbour, and not the leaf's issuer", records(tlsa(2, 1, 0, other.root)), []*entity{h.leaf, other.issuer}, nil, dane.ErrChain},
		{"the leaf is expired", records(tlsa(2, 1, 0, h.issuer)), []*entity{old}, nil, dane.ErrExpired},
		{"what it signed is expired", records(tlsa(2, 1, 0, h.root)), []*entity{under, oldIssuer}, nil, dane.ErrExpired},
		{"what it signed is no CA", records(tlsa(2, 1, 0, h.root)), []*entity{below, noCA}, nil, dane.ErrChain},
		{"another name", records(tlsa(2, 1, 0, other.issuer)), []*entity{issue(t, other.issuer, "x", server("x.example.net"))}, nil, dane.ErrName},
		{"a frame with nothing in it", records(dane.TLSA{Usage: 2, Selector: 1, Data: []byte{0x30, 0}}), h.chain(), nil, dane.ErrNoMatch},
	})
}

func TestRFC7672_3_2_2_names(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	named := func(names ...string) []*entity {
		return []*entity{issue(t, h.issuer, host, server(names...)), h.issuer}
	}
	r := records(tlsa(2, 1, 1, h.issuer))
	domain := []string{"example.org", "alias.example.net"}
	verify(t, []expect{
		{"the host", r, named("x.example.net", "MX.Example.Org"), domain, nil},
		{"the next hop's domain", r, named("example.org"), domain, nil},
		{"where the next hop's alias leads", r, named("alias.example.net"), domain, nil},
		{"the next hop's domain, which was not given", r, named("example.org"), nil, dane.ErrName},
		{"another", r, named("mx.example.net"), domain, dane.ErrName},
		{"none but in the subject", r, named(), domain, dane.ErrName},
		{"an empty name is none", r, named("mx.example.net"), []string{""}, dane.ErrName},
		{"another under usage 3 beside it", records(tlsa(2, 1, 1, h.issuer), tlsa(3, 1, 1, h.leaf)), []*entity{h.leaf}, nil, nil},
	})
}

func TestRFC7672_3_2_3_wildcards(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, want := range map[string]error{
		"*.example.org": nil, "*.org": dane.ErrName, "m*.example.org": dane.ErrName, "*": dane.ErrName, "*.mx.example.org": dane.ErrName,
	} {
		err := records(tlsa(2, 0, 1, h.issuer)).Verify(shake(t, issue(t, h.issuer, name, server(name)), h.issuer), nil, now)
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

func TestRFC7672_3_1_3_usages_of_PKIX(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	verify(t, []expect{
		{"PKIX-TA and PKIX-EE, both right", records(tlsa(0, 1, 1, h.root), tlsa(1, 1, 1, h.leaf)), h.chain(), nil, dane.ErrUnusable},
		{"usable beside unusable", records(tlsa(1, 1, 1, h.leaf), dane.TLSA{}, tlsa(3, 1, 1, h.leaf)), h.chain(), nil, nil},
		{"right but unusable beside usable and wrong", records(tlsa(1, 1, 1, h.leaf), wrong(tlsa(3, 1, 1, h.leaf))), h.chain(), nil, dane.ErrNoMatch},
		{"no record at all", records(), h.chain(), nil, dane.ErrUnusable},
	})
	if r := records(tlsa(0, 1, 1, h.root), tlsa(1, 1, 1, h.leaf)); r.Usable() || !r.Present() {
		t.Errorf("%s: want it present and not usable", r)
	}
	if r := records(tlsa(0, 1, 1, h.root), tlsa(3, 1, 1, h.leaf)); !r.Usable() {
		t.Errorf("%s: want it usable", r)
	}
}

// RFC 7671, 9: a right weak digest beside a wrong strong one of the same usage and selector is nothing.
func TestRFC7671_9_digest_agility(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ee := func(selector, matching uint8) dane.TLSA { return tlsa(3, selector, matching, h.leaf) }
	short := ee(1, 2)
	short.Data = short.Data[:63]
	verify(t, []expect{
		{"both right", records(ee(1, 1), ee(1, 2)), h.chain(), nil, nil},
		{"the strong one is wrong", records(ee(1, 1), wrong(ee(1, 2))), h.chain(), nil, dane.ErrNoMatch},
		{"the strong one is wrong, in another order", records(wrong(ee(1, 2)), ee(1, 1)), h.chain(), nil, dane.ErrNoMatch},
		{"the weak one is wrong", records(wrong(ee(1, 1)), ee(1, 2)), h.chain(), nil, nil},
		{"one of two strong ones is right", records(wrong(ee(1, 2)), ee(1, 2)), h.chain(), nil, nil},
		{"another selector", records(ee(0, 1), wrong(ee(1, 2))), h.chain(), nil, nil},
		{"another usage", records(tlsa(2, 1, 1, h.issuer), wrong(ee(1, 2))), h.chain(), nil, nil},
		{"under an anchor too", records(tlsa(2, 1, 1, h.issuer), wrong(tlsa(2, 1, 2, h.issuer))), h.chain(), nil, dane.ErrNoMatch},
		{"a full value is no digest", records(ee(1, 0), wrong(ee(1, 2))), h.chain(), nil, nil},
		{"a wrong full value hides none", records(wrong(ee(1, 0)), ee(1, 1)), h.chain(), nil, nil},
		{"a strong one that cannot be used hides none", records(ee(1, 1), short), h.chain(), nil, nil},
	})
}

// RFC 7672, 8.1 and 3.2.2: behind an alias the name of the records is the one that SNI and certificate have.
func TestRFC7672_8_1_the_name_of_the_records(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	zone := dnstest.Zone(t, "mx.example.org. CNAME real.example.org.\nreal.example.org. A 192.0.2.1\n"+
		"_25._tcp.real.example.org. TLSA "+text(tlsa(2, 1, 1, h.issuer))+signed)
	got, err := dane.Lookup(t.Context(), zone, host, 25, true)
	if err != nil || got.Base != "real.example.org" {
		t.Fatalf("got %s (%v), want those of real.example.org", got, err)
	}
	for name, want := range map[string]error{"real.example.org": nil, host: dane.ErrName} {
		leaf := issue(t, h.issuer, name, server(name))
		if err := got.Verify(shake(t, leaf, h.issuer), []string{"example.org"}, now); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

func TestNoCertificate(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := records(tlsa(3, 1, 1, h.leaf)).Verify(tls.ConnectionState{}, nil, now); !errors.Is(err, dane.ErrNoCertificate) {
		t.Errorf("got %v, want %v", err, dane.ErrNoCertificate)
	}
}

// What stands behind the tenth certificate is not looked at.
func TestLongChains(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	chain := []*entity{h.leaf}
	for range 8 {
		chain = append(chain, newHouse(t).root)
	}
	r := records(tlsa(2, 1, 1, h.issuer))
	if err := r.Verify(shake(t, append(chain, h.issuer)...), nil, now); err != nil {
		t.Errorf("the tenth: %v", err)
	}
	if err := r.Verify(shake(t, append(chain, chain[1], h.issuer)...), nil, now); !errors.Is(err, dane.ErrNoMatch) {
		t.Errorf("the eleventh: got %v, want %v", err, dane.ErrNoMatch)
	}
}

// A stranger's octets come quoted: in names of certificates, and in those of the DNS.
func TestErrorsAreClean(t *testing.T) {
	t.Parallel()
	evil := "x\r\n250 ok\x1b[2J"
	root := issue(t, nil, evil, authority)
	fake := issueWith(t, nil, evil, mustKey(t), authority)
	leaf := issue(t, fake, evil, server("a\nb.example.net"))
	for name, r := range map[string]dane.Records{
		"chain":    {Base: evil, All: []dane.TLSA{tlsa(2, 0, 1, root)}},
		"name":     {Base: evil, All: []dane.TLSA{tlsa(2, 0, 1, fake)}},
		"no match": {Base: evil, All: []dane.TLSA{wrong(tlsa(2, 0, 1, fake))}},
	} {
		err := r.Verify(shake(t, leaf, root, fake), []string{evil}, now)
		if err == nil || strings.ContainsAny(err.Error()+r.String(), "\r\n\x1b") {
			t.Errorf("%s: got %q, want an error without control characters", name, err)
		}
	}
}

func mustKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
