package main

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"strconv"
	"strings"
)

// leastMemory is what the service is given however small the machine is: with less the garbage collector would run all
// the time under load.
const leastMemory = 256 << 20

// memoryFiles are where the kernel says how much memory there is.
type memoryFiles struct {
	cgroup  string // which cgroup this process is in: /proc/self/cgroup
	mount   string // of the cgroups: /sys/fs/cgroup
	meminfo string // /proc/meminfo
}

var procFiles = memoryFiles{"/proc/self/cgroup", "/sys/fs/cgroup", "/proc/meminfo"}

// limit is a quarter of the cgroup's limit, or of the machine's memory where that is less or there is no limit; in octets,
// at least leastMemory, and never so much that the kernel would end us before the garbage collector works for it.
func (m memoryFiles) limit() int64 {
	all := m.machine()
	if c := m.group(); c > 0 && (all == 0 || c < all) {
		all = c
	}
	if all == 0 {
		return leastMemory
	}
	return min(max(all/4, leastMemory), all/4*3)
}

// group is the least limit of the process's cgroup and of those above it, of version 2 (memory.max) or 1
// (memory.limit_in_bytes); 0 without one.
func (m memoryFiles) group() (least int64) {
	b, err := os.ReadFile(m.cgroup)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[1] != "" && parts[1] != "memory" {
			continue
		}
		folder, file := m.mount, "memory.max"
		if parts[1] == "memory" {
			folder, file = path.Join(m.mount, "memory"), "memory.limit_in_bytes"
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			b, err := os.ReadFile(path.Join(folder, at, file))
			if err == nil {
				n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64) // "max" is no number
				if err == nil && n > 0 && (least == 0 || n < least) {
					least = n
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// machine is MemTotal, 0 where it cannot be read.
func (m memoryFiles) machine() int64 {
	f, err := os.Open(m.meminfo)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == "MemTotal:" {
			n, _ := strconv.ParseInt(words[1], 10, 64)
			return n << 10
		}
	}
	return 0
}
