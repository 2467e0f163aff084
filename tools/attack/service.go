package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The production defaults: only what has to be said is said.
const configuration = `hostname = "verifier.example.net"
operator = "operator@operator.example"
listen = ["%s:25", "[%s]:25"]
state = "%s"
[resolver]
servers = ["%s"]
`

// process is a running check-auth serve.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// start runs the service with a fresh state folder, and waits until it takes mail.
func start(ctx context.Context, program, folder string) (*process, error) {
	state := filepath.Join(folder, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(folder, "config.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configuration, ours4, ours6, state, resolver), 0o600); err != nil {
		return nil, err
	}
	p := &process{log: filepath.Join(folder, "log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.CommandContext(ctx, program, "serve", "--config", config)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	for begun := time.Now(); time.Since(begun) < 20*time.Second && !p.ended(); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", netip.AddrPortFrom(ours6, 25).String()); err == nil {
			return p, c.Close()
		}
	}
	if p.ended() {
		text, _ := os.ReadFile(p.log)
		return nil, fmt.Errorf("check-auth serve has ended:\n%s", text)
	}
	p.kill()
	return nil, errors.New("check-auth serve takes no mail within 20 s")
}

// kill ends the process; its state is thrown away.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// cpu is the time of processors that it has used (proc(5): utime and stime, in hundredths of a second).
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is what it holds, in MiB.
func (p *process) memory() int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return pages * os.Getpagesize() >> 20
}

// panics counts what the log tells of them.
func (p *process) panics() int {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return 1
	}
	return bytes.Count(b, []byte("panicked")) + bytes.Count(b, []byte("\npanic: ")) + bytes.Count(b, []byte("\nfatal error: "))
}
