package deliver

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRFC6890_2_special_networks_are_refused(t *testing.T) {
	t.Parallel()
	for ip, use := range map[string]string{"10.0.0.1": "private", "127.0.0.1": "loopback", "fe80::1": "link local"} {
		a := netip.MustParseAddr(ip)
		if err := refused(a, nil, false); !errors.Is(err, errUnroutable) || !strings.Contains(err.Error(), "("+use+")") {
			t.Errorf("%s: got %v, want it refused with the network's name", a, err)
		}
		if err := refused(a, nil, true); err != nil {
			t.Errorf("%s with AllowPrivate: got %v", a, err)
		}
	}
}

// only tells that these addresses are ours.
func only(addrs ...string) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return slices.Contains(addrs, a.String()) }
}

func TestGuard(t *testing.T) {
	t.Parallel()
	own := only("8.8.4.4", "2606:4700::53")
	for _, c := range []struct {
		name string
		ok   bool
		ips  string
	}{
		{"public", true, "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255"},
		{"public, IPv6", true, "2001:200:: 2001:4860:4860::8888 2003:: 2606:4700:4700::1111 2a00:: 3ffe:: 4000::"},
		{"mapped", false, "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254"},
		{"mapped public", true, "::ffff:1.1.1.1"},
		{"IPv4-compatible", false, "::127.0.0.1 ::1.1.1.1 ::1 ::"},
		{"translated", false, "64:ff9b::127.0.0.1 64:ff9b::1.1.1.1 64:ff9b:1::a00:1 64:ff9b:1:ffff::1"},
		{"6to4 and Teredo", false, "2002:7f00:1::1 2002:a00:1::1 2001::1 2001:0:7f00:1::"},
		{"with a zone", false, "fe80::1%eth0 ::1%lo fc00::1%1"},
		{"our own", false, "8.8.4.4 ::ffff:8.8.4.4 2606:4700::53 2606:4700::53%1"},
	} {
		for ip := range strings.SplitSeq(c.ips, " ") {
			if err := refused(netip.MustParseAddr(ip), own, false); (err == nil) != c.ok {
				t.Errorf("%s: %s: got %v, want ok %t", c.name, ip, err, c.ok)
			}
		}
	}
	if err := refused(netip.MustParseAddr("8.8.4.4"), own, true); !errors.Is(err, errUnroutable) {
		t.Errorf("our own address with AllowPrivate: got %v, want it refused", err)
	}
}

// A name is looked up by the dialer here, after every check that could have been made before.
func TestGuardChecksTheAddressThatIsConnectedTo(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.AllowPrivate = false
	c.Connect = time.Second
	s := &stub{}
	c.Port = listen(t, map[string]*stub{"127.0.0.1": s})
	for _, host := range []string{"localhost", "127.0.0.1", "::ffff:127.0.0.1"} {
		conn, err := dialer(c)(t.Context(), "tcp", net.JoinHostPort(host, strconv.Itoa(c.Port)))
		if err == nil {
			_ = conn.Close()
		}
		if !errors.Is(err, errUnroutable) {
			t.Errorf("%s: got %v, want %v", host, err, errUnroutable)
		}
	}
	if n := s.connections(); n != 0 {
		t.Errorf("%d connections came in", n)
	}
}
