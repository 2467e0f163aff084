package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing can be read":     {nil, 256 << 20},
		"the machine's":           {map[string]string{"meminfo": "MemFree: 1 kB\nMemTotal: 8388608 kB\n"}, 2 << 30},
		"a small machine":         {map[string]string{"meminfo": "MemTotal: 524288 kB\n"}, 256 << 20},
		"less than there must be": {map[string]string{"meminfo": "MemTotal: 8388608 kB\n", "cgroup": "0::/a\n", "fs/a/memory.max": "134217728\n"}, 96 << 20},
		"cgroup v2": {map[string]string{"meminfo": "MemTotal: 8388608 kB\n", "cgroup": "0::/system.slice/check-auth.service\n",
			"fs/system.slice/check-auth.service/memory.max": "2147483648\n"}, 512 << 20},
		"cgroup v2, a limit above it": {map[string]string{"meminfo": "MemTotal: 8388608 kB\n", "cgroup": "0::/a/b\n",
			"fs/a/b/memory.max": "max\n", "fs/a/memory.max": "4294967296\n"}, 1 << 30},
		"cgroup v2 without a limit": {map[string]string{"meminfo": "MemTotal: 8388608 kB\n", "cgroup": "0::/a\n", "fs/a/memory.max": "max\n"}, 2 << 30},
		"cgroup v1": {map[string]string{"meminfo": "MemTotal: 8388608 kB\n", "cgroup": "3:cpu,cpuacct:/x\n2:memory:/x\n",
			"fs/memory/x/memory.limit_in_bytes": "2147483648\n"}, 512 << 20},
		"cgroup v1 without a limit": {map[string]string{"meminfo": "MemTotal: 8388608 kB\n", "cgroup": "2:memory:/\n",
			"fs/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 2 << 30},
	} {
		dir := t.TempDir()
		for file, text := range c.files {
			at := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m := memoryFiles{filepath.Join(dir, "cgroup"), filepath.Join(dir, "fs"), filepath.Join(dir, "meminfo")}
		if got := m.limit(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
