package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// The addresses of the service, as its own interface has them.
var (
	ours4 = netip.MustParseAddr("45.0.0.1")
	ours6 = netip.MustParseAddr("2a00::1")
)

const resolver = "127.0.0.1"

// openInternet makes the loopback of this network namespace the whole Internet: 45.0.0.0/8 and 2a00::/16 are this
// machine's, each address of them, to bind and to connect to. It refuses to do so where there is any other interface.
func openInternet() error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("network interfaces: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			return fmt.Errorf("there is an interface %s: start this by tools/attack.sh, which makes a network namespace", i.Name)
		}
	}
	for _, command := range []string{
		"link set lo up",
		"address add 45.0.0.1/32 dev lo",
		"address add 2a00::1/128 dev lo nodad",
		"route add local 45.0.0.0/8 dev lo src 45.0.0.1",
		"-6 route add local 2a00::/16 dev lo src 2a00::1",
	} {
		if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", command, err, out)
		}
	}
	// Thousands of connections of one run shall not wait for each other.
	for file, value := range map[string]string{"/proc/sys/net/ipv4/ip_local_port_range": "1024 65000", "/proc/sys/net/core/somaxconn": "4096"} {
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// v4 is a host of 45.NET.SUB.0/24. Attackers are in 45.66.0.0/16.
func v4(net, sub, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{45, byte(net), byte(sub), byte(host)})
}

// v6 is a host of 2a00:f0aa:SITE:SUB::/64, where the attackers are: SITE is a /48, the upper octet of SUB a /56 of it.
func v6(site, sub, host int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2a00:f0aa:%x:%x::%x", site, sub, host))
}

// attackers are the terms of SPF for the networks of all attackers: they own the domains that they write from.
const attackers = "ip6:2a00:f0aa::/32 ip4:45.66.0.0/16"

// dialer connects from an address of the Internet.
func dialer(from netip.Addr) *net.Dialer {
	return &net.Dialer{Timeout: 20 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Control: free}
}

// listen takes connections at an address of the Internet.
func listen(addr string, port int) (net.Listener, error) {
	c := net.ListenConfig{Control: free}
	return c.Listen(context.Background(), "tcp", net.JoinHostPort(addr, fmt.Sprint(port)))
}

// free lets a socket have an address that no interface has: ip(7), IP_FREEBIND. A route of type local is enough for IPv4
// alone.
func free(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), syscall.SOL_IP, syscall.IP_FREEBIND, 1) })
	return errors.Join(err, failed)
}

// reverse is the name of an address.
func reverse(a netip.Addr) string {
	b := a.AsSlice()
	var out strings.Builder
	for i := len(b) - 1; i >= 0; i-- {
		if a.Is4() {
			fmt.Fprintf(&out, "%d.", b[i])
		} else {
			fmt.Fprintf(&out, "%x.%x.", b[i]&15, b[i]>>4)
		}
	}
	if a.Is4() {
		return out.String() + "in-addr.arpa."
	}
	return out.String() + "ip6.arpa."
}

// addresses are n that differ in one number.
func addresses(format string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(format, i))
	}
	return out
}
