package client

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// maxServers of a resolv.conf are used, as by the C library (resolv.conf(5), MAXNS): more would only
// make a failing question longer.
const maxServers = 3

// FromResolvConf reads the name servers of a file such as /etc/resolv.conf, port 53, and whether its options trust
// what they say of validation (trust-ad).
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
		ip, err := netip.ParseAddr(words[1])
		if err != nil {
			return nil, false, fmt.Errorf("name servers: %s, line %d: %w", path, i+1, err)
		}
		servers = append(servers, netip.AddrPortFrom(ip, 53))
	}
	if len(servers) == 0 {
		return nil, false, fmt.Errorf("name servers: %s has no line such as \"nameserver 127.0.0.1\"", path)
	}
	return servers, trustAD, nil
}
