package client

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// maxServers of a resolv.conf are used, as by the C library (resolv.conf(5), MAXNS): more would only
// make a failing question longer.
const maxServers = 3

// FromResolvConf reads the name servers of a file such as /etc/resolv.conf, and whether its options trust
// what they say of validation (trust-ad). Their port is 53, unless a line has another one as OpenBSD's
// resolv.conf(5) writes it: "nameserver [192.0.2.53]:5353".
func FromResolvConf(path string) (servers []netip.AddrPort, trustAD bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, false, fmt.Errorf("name servers: %w", err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		trustAD = trustAD || len(words) > 0 && words[0] == "options" && slices.Contains(words, "trust-ad")
		if len(words) < 2 || words[0] != "nameserver" || len(servers) == maxServers {
			continue
		}
		server, err := nameserver(words[1])
		if err != nil {
			return nil, false, fmt.Errorf("name servers: %s, line %d: %w", path, i+1, err)
		}
		servers = append(servers, server)
	}
	if len(servers) == 0 {
		return nil, false, fmt.Errorf("name servers: %s has no line such as \"nameserver 127.0.0.1\"", path)
	}
	return servers, trustAD, nil
}

func nameserver(s string) (netip.AddrPort, error) {
	address, port := s, "53"
	if strings.HasPrefix(s, "[") {
		var err error
		if address, port, err = net.SplitHostPort(s); err != nil {
			return netip.AddrPort{}, err
		}
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return netip.AddrPort{}, fmt.Errorf("port %q: want 1 to 65535", port)
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}
