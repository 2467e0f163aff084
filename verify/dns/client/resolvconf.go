package client

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// maxServers of a resolv.conf are used, as by the C library (resolv.conf(5), MAXNS): more would only
// make a failing question longer.
const maxServers = 3

// FromResolvConf reads the name servers of a file such as /etc/resolv.conf, port 53.
func FromResolvConf(path string) ([]netip.AddrPort, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("name servers: %w", err)
	}
	var servers []netip.AddrPort
	for i, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" || len(servers) == maxServers {
			continue
		}
		ip, err := netip.ParseAddr(words[1])
		if err != nil {
			return nil, fmt.Errorf("name servers: %s, line %d: %w", path, i+1, err)
		}
		servers = append(servers, netip.AddrPortFrom(ip, 53))
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("name servers: %s has no line such as \"nameserver 127.0.0.1\"", path)
	}
	return servers, nil
}
