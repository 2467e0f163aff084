package main

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"checkauth/reply/store"
	"checkauth/verify/dns/dnstest"
)

// tools/kill.sh turns them up. With the seed that a run printed its moments come again.
var (
	kills  = flag.Int("kills", 4, "how often TestKillCycles kills the service")
	atOnce = flag.Int("at-once", 1, "its deliveries at once")
	seed   = flag.Uint64("seed", 0, "of the moments at which it is killed; 0: another one each time")
)

// killTime is the longest time that a process gets before it is killed.
const killTime = 1500 * time.Millisecond

// A 250 is a promise that outlives the process: killed at any moment, at its start, between its commit and its
// 250, while it delivers, it loses no reply. What comes twice is a reply that its destination took and whose end
// was not written down yet: of n deliveries at once n at most.
func TestKillCycles(t *testing.T) {
	t.Parallel()
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("-seed=%d", from)
	moments := rand.New(rand.NewPCG(from, 0))
	c := newCrowd(t)
	args := c.serve(t.TempDir(), "--listen=127.0.0.1:0", fmt.Sprintf("--deliver-concurrency=%d", *atOnce))
	c.begin()
	for range *kills {
		p := launch(t, exec.Command(os.Args[0], args...))
		moment, born := time.Duration(moments.Int64N(int64(killTime))), moments.IntN(4) == 0
		if !born { // from the time when it takes mail; else from its birth
			c.addr.Store(p.await(t))
		}
		p.live(t, c, moment)
		c.addr.Store(nil)
		p.kill()
		p.blameless(t)
	}
	last := launch(t, exec.Command(os.Args[0], args...))
	c.addr.Store(last.await(t))
	f := c.close(t, last)
	t.Logf("kills %d, deliveries at once %d, 250s heard %d (%d for a mail sent again whose first 250 nobody heard), connections that broke %d, put off %d",
		*kills, *atOnce, f.heard, f.again, c.seen("closed"), c.seen("4"))
	t.Logf("lost %d, replies %d, duplicates %d, mails with two reports %d", f.lost, f.replies, f.twice, f.two)
	if f.lost > 0 || f.two > 0 || f.twice > *kills**atOnce {
		t.Errorf("lost %d, mails with two reports %d, duplicates %d: want none, none, and %d a kill at most", f.lost, f.two, f.twice, *atOnce)
	}
	if *kills > 0 && f.heard < *kills {
		t.Errorf("%d answers: there was no load", f.heard)
	}
}

// life is a process of the service, from its birth.
type life struct {
	cmd    *exec.Cmd
	taking chan string   // its address, when it takes mail
	over   chan struct{} // closed when it has ended
	err    error         // of Wait, then

	mu      sync.Mutex
	lines   []string // of its log, the last ones
	trouble []string // of its log, at the level of errors
}

var takesMail = regexp.MustCompile(`msg="taking mail" address=(\S+)`)

func launch(t *testing.T, cmd *exec.Cmd) *life {
	t.Helper()
	cmd.Env = append(append(os.Environ(), asProgram+"=1"), cmd.Env...)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &life{cmd: cmd, taking: make(chan string, 1), over: make(chan struct{})}
	go p.read(out)
	t.Cleanup(p.kill)
	return p
}

func (p *life) read(out io.Reader) {
	for log := bufio.NewScanner(out); log.Scan(); {
		if m := takesMail.FindStringSubmatch(log.Text()); m != nil {
			p.taking <- m[1]
		}
		p.mu.Lock()
		p.lines = append(p.lines[max(len(p.lines)-20, 0):], log.Text())
		if strings.Contains(log.Text(), "level=ERROR") {
			p.trouble = append(p.trouble, log.Text())
		}
		p.mu.Unlock()
	}
	p.err = p.cmd.Wait()
	close(p.over)
}

func (p *life) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// blameless looks for errors in the log of a process that has ended.
func (p *life) blameless(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.trouble {
		t.Errorf("the service logged %s", line)
	}
}

// await waits until it takes mail.
func (p *life) await(t *testing.T) *string {
	t.Helper()
	select {
	case a := <-p.taking:
		return &a
	case <-p.over:
		t.Fatalf("the service ended by itself (%v):\n%s", p.err, p.log())
	}
	return nil
}

// live lets it live for a while, with clients as soon as it takes mail.
func (p *life) live(t *testing.T, c *crowd, d time.Duration) {
	t.Helper()
	end := time.After(d)
	for {
		select {
		case a := <-p.taking:
			c.addr.Store(&a)
		case <-end:
			return
		case <-p.over:
			t.Fatalf("the service ended by itself (%v):\n%s", p.err, p.log())
		}
	}
}

// kill is SIGKILL.
func (p *life) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.over
}

// stop is SIGTERM; it ends with status 0.
func (p *life) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if <-p.over; p.err != nil {
		t.Fatalf("the service ended with %v after SIGTERM:\n%s", p.err, p.log())
	}
	p.blameless(t)
}

// drained waits until the queue is empty.
func drained(t *testing.T, state string) {
	t.Helper()
	queue, err := store.Attach(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	end := time.Now().Add(5 * time.Minute)
	for {
		s, err := queue.Stats(t.Context())
		switch {
		case err != nil:
			t.Fatal(err)
		case s.Failed > 0:
			t.Fatalf("%d replies failed", s.Failed)
		case s.Leased+s.Waiting == 0:
			return
		case time.Now().After(end):
			t.Fatalf("the queue does not get empty: %+v", s)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// crowd is what outlives the service: clients that send until each of their mails was answered, the server that
// takes the replies, and what both know. Each client has a domain, and each mail an envelope sender of its own.
type crowd struct {
	world   *dnstest.Server
	sink    *sink
	state   string                 // the service's folder
	addr    atomic.Pointer[string] // of the service; nil: there is none
	clients sync.WaitGroup
	leave   chan struct{}
	failed  chan struct{} // the test is over: nobody will answer any more
	drain   func()        // ends the record of replies; all that the service has delivered is in it

	mu       sync.Mutex
	heard    map[string][]string // by sender: the report ids of 250s
	again    int                 // 250s that said that the very message was answered already
	replies  map[string][]received
	outcomes map[string]int // "WHAT at STEP"
	faults   []string
}

const crowdSize = 6

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	zone := serveZone
	for k := range crowdSize {
		zone += fmt.Sprintf("c%d.example. TXT \"v=spf1 ip4:127.0.0.1 -all\"\nc%[1]d.example. MX 10 mx.sender.example.\n"+
			"_dmarc.c%[1]d.example. TXT \"v=DMARC1; p=reject\"\n", k)
	}
	c := &crowd{world: dnstest.New(t, zone), sink: newSink(t), leave: make(chan struct{}), failed: make(chan struct{}),
		heard: map[string][]string{}, replies: map[string][]received{}, outcomes: map[string]int{}}
	stop, done := make(chan struct{}), make(chan struct{})
	c.drain = sync.OnceFunc(func() { close(stop); <-done })
	go c.record(stop, done)
	t.Cleanup(c.drain)
	t.Cleanup(func() { close(c.failed); c.end() })
	return c
}

// serve are the arguments of a service without quotas that delivers to the sink.
func (c *crowd) serve(state string, more ...string) []string {
	c.state = state
	args := []string{"serve", "--hostname=verifier.example", "--operator=you@operator.example", "--state=" + state,
		"--resolver-servers=" + c.world.Addr().String(), "--deliver-allow-private", "--deliver-port=" + c.sink.port(),
		"--deliver-retries=1s", "--log-level=info", "--smtp-loopback-clients=evaluate"}
	for _, limit := range []string{"smtp-per-ip", "smtp-per-network", "smtp-commands", "smtp-transactions-per-session",
		"smtp-transactions-per-minute", "resolver-per-network", "resolver-made-names", "resolver-per-target",
		"policy-address-per-minute", "policy-address-per-day", "policy-network-per-hour", "policy-destination-per-hour",
		"policy-domain-per-day", "policy-open-address-per-day", "policy-open-network-per-hour", "policy-open-domain-per-hour",
		"policy-open-domain-per-day", "policy-total-per-hour"} {
		args = append(args, "--"+limit+"=unlimited")
	}
	return append(args, more...)
}

func (c *crowd) record(stop, done chan struct{}) {
	defer close(done)
	take := func(m received) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.replies[m.to] = append(c.replies[m.to], m)
	}
	for {
		select {
		case m := <-c.sink.mails:
			take(m)
			continue
		default:
		}
		select {
		case m := <-c.sink.mails:
			take(m)
		case <-stop:
			for len(c.sink.mails) > 0 {
				take(<-c.sink.mails)
			}
			return
		}
	}
}

// begin starts the clients.
func (c *crowd) begin() {
	for k := range crowdSize {
		c.clients.Go(func() { (&regular{crowd: c, domain: fmt.Sprintf("c%d.example", k)}).run() })
	}
}

// end lets each client get an answer to its last mail.
func (c *crowd) end() {
	select {
	case <-c.leave:
	default:
		close(c.leave)
	}
	c.clients.Wait()
}

// close ends everything in order when the last process has delivered all, and counts.
func (c *crowd) close(t *testing.T, last *life) figures {
	t.Helper()
	c.end()
	drained(t, c.state)
	last.stop(t)
	c.drain()
	return c.count(t)
}

func (c *crowd) note(outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes[outcome]++
}

// seen counts the outcomes that begin so.
func (c *crowd) seen(prefix string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o, k := range c.outcomes {
		if strings.HasPrefix(o, prefix) {
			n += k
		}
	}
	return n
}

// answers counts the 250s with a report id.
func (c *crowd) answers() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ids := range c.heard {
		n += len(ids)
	}
	return n
}

// figures of a run. Lost: an id that was heard and is in no reply, or a reply to another one. Twice: replies that
// had come before. Two: mails whose replies are not the same.
type figures struct{ heard, again, replies, lost, twice, two int }

func (c *crowd) count(t *testing.T) (f figures) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.faults {
		t.Error(s)
	}
	f.again = c.again
	for from, ids := range c.heard {
		f.heard += len(ids)
		got := messageIDs(c.replies[from])
		for _, id := range ids {
			if !slices.Contains(got, id+"@verifier.example") {
				f.lost++
				t.Errorf("<%s> heard of report %s; its replies are %q", from, id, got)
			}
		}
	}
	for to, all := range c.replies {
		f.replies += len(all)
		f.twice += len(all) - 1
		got := messageIDs(all)
		if len(slices.Compact(slices.Clone(got))) > 1 {
			f.two++
			t.Errorf("<%s> got the reports %q to one mail", to, got)
		}
		if len(c.heard[to]) == 0 {
			t.Errorf("<%s> got a reply and has never heard a 250", to)
		}
		for _, m := range all {
			if m.from != "" {
				t.Errorf("a reply to <%s> came from <%s>", to, m.from)
			}
		}
	}
	return f
}

var (
	replyID  = regexp.MustCompile(`(?mi)^Message-ID: <([^>\s]+)>`)
	reportID = regexp.MustCompile(`report (\w+)`)
)

// messageIDs of replies in order, "" where one has none.
func messageIDs(all []received) (out []string) {
	for _, m := range all {
		id := ""
		if found := replyID.FindSubmatch(m.data); found != nil {
			id = string(found[1])
		}
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// regular sends mail after mail, each until it is answered, as a mail server does that has a queue of its own: what
// got no answer, or one with 4, is sent again.
type regular struct {
	crowd  *crowd
	domain string
	conn   *textproto.Conn
}

func (c *regular) run() {
	defer c.hangUp()
	for n := 0; ; n++ {
		from := fmt.Sprintf("anna%d@%s", n, c.domain)
		message := fmt.Sprintf("From: %s\nSubject: test %d\nMessage-ID: <%[2]d@%[3]s>\n\nhello\n", from, n, c.domain)
		for c.send(from, message) {
			select {
			case <-c.crowd.failed:
				return
			case <-time.After(rand.N(20 * time.Millisecond)):
			}
		}
		if n%7 == 6 { // some connections serve several mails
			c.hangUp()
		}
		select {
		case <-c.crowd.leave:
			return
		case <-time.After(rand.N(30 * time.Millisecond)):
		}
	}
}

// send tells whether the mail is to be sent again.
func (c *regular) send(from, message string) (again bool) {
	addr := c.crowd.addr.Load()
	if addr == nil {
		return true
	}
	code, text, step, err := c.dialogue(*addr, from, message)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		c.crowd.note("refused at " + step)
	case err != nil:
		c.crowd.note("closed at " + step)
	default:
		c.crowd.note(fmt.Sprintf("%d at %s", code, step))
	}
	if err != nil || code == 421 {
		c.hangUp()
		return true
	}
	if code/100 == 4 {
		_ = c.conn.PrintfLine("RSET") // where that fails, so does what follows
		_, _, _ = c.conn.ReadResponse(250)
		return true
	}
	c.hear(from, code, text)
	return false
}

// hear keeps the answer to a message.
func (c *regular) hear(from string, code int, text string) {
	w := c.crowd
	w.mu.Lock()
	defer w.mu.Unlock()
	id := reportID.FindStringSubmatch(text)
	if code != 250 || id == nil {
		w.faults = append(w.faults, fmt.Sprintf("<%s> heard %d %s, want 250 with a report id", from, code, text))
		return
	}
	if strings.Contains(text, "answered already") {
		w.again++
	}
	w.heard[from] = append(w.heard[from], id[1])
}

// dialogue sends one mail. It gives the answer at the step where it ended: at "message", or where the service said
// no; err is the connection's end.
func (c *regular) dialogue(addr, from, message string) (code int, text, step string, err error) {
	steps := []struct {
		name, line string
		want       int
	}{
		{"MAIL", "MAIL FROM:<" + from + ">", 250}, {"RCPT", "RCPT TO:<check-auth@verifier.example>", 250},
		{"DATA", "DATA", 354}, {"message", strings.ReplaceAll(message, "\n", "\r\n") + ".", 250},
	}
	if c.conn == nil {
		raw, err := net.Dial("tcp", addr)
		if err != nil {
			return 0, "", "connect", err
		}
		c.conn = textproto.NewConn(raw)
		if code, text, err = c.conn.ReadResponse(0); err != nil || code != 220 {
			return code, text, "greeting", err
		}
		if code, text, err = c.say("EHLO mx.sender.example"); err != nil || code != 250 {
			return code, text, "EHLO", err
		}
	}
	for _, s := range steps {
		if code, text, err = c.say(s.line); err != nil || code != s.want {
			return code, text, s.name, err
		}
	}
	return code, text, "message", nil
}

// say gives the answer to a line. Where the connection is closed already, its last words are read all the same.
func (c *regular) say(line string) (code int, text string, err error) {
	lost := c.conn.PrintfLine("%s", line)
	code, text, err = c.conn.ReadResponse(0)
	return code, text, cmp.Or(err, ignored(lost, code))
}

// ignored: a line that could not be sent has no answer but the service's goodbye.
func ignored(lost error, code int) error {
	if code == 421 {
		return nil
	}
	return lost
}

func (c *regular) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
