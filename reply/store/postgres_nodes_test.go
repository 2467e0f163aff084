package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/reply/store/storetest"
)

// childURL, in the environment, makes the test binary a node of that database.
const childURL = "STORE_TEST_CHILD_POSTGRES"

// node is what a service does with its store: puts entries, sends most of them at once and has others wait, claims
// what is due from whomever, and says each step after it.
type node struct {
	s    store.Store
	name string
	say  func(what, id string)
	fail func(error)
}

func (n *node) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for p := range 6 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				n.put(fmt.Sprintf("%s-%d-%d", n.name, p, i), i)
			}
		})
	}
	for ctx.Err() == nil {
		due, err := n.s.Claim(context.Background(), time.Now(), 20)
		if err != nil {
			n.fail(err)
		}
		for _, c := range due {
			n.send(c.ID)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (n *node) put(id string, i int) {
	now := time.Now()
	e := storetest.Entry(id)
	e.Created, e.Expires = now, now.Add(24*time.Hour)
	var buckets []reply.Bucket
	for k := range 4 { // in an order of their own, and shared with the other node
		buckets = append(buckets, reply.Bucket{Key: fmt.Sprint("b", (i*7+k*3)%11), Limit: 1 << 40, Expires: now.Add(time.Hour)})
	}
	if full, err := n.s.Put(context.Background(), e, buckets, now); err != nil || full.Key != "" {
		n.fail(fmt.Errorf("put %s: %v, %w", id, full, err))
		return
	}
	n.say("put", id)
	if i%4 > 0 {
		n.send(id)
	} else if err := n.s.Retry(context.Background(), id, now, store.Outcome{Reason: "greylisted"}); err != nil {
		n.fail(err)
	}
}

func (n *node) send(id string) {
	n.say("sent", id)
	if err := n.s.Done(context.Background(), id, time.Now(), store.Outcome{Answer: "2.0.0 queued"}); err != nil {
		n.fail(err)
	}
}

func childNode(url string) {
	c := store.PostgresDefaults()
	c.URL, c.Node = url, "child"
	s, err := store.OpenPostgres(context.Background(), c)
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err != nil {
		fail(err)
	}
	n := &node{s: s, name: "child", fail: fail, say: func(what, id string) { fmt.Println(what, id) }}
	n.run(context.Background())
}

// seen is what nodes said.
type seen struct {
	mu        sync.Mutex
	put, sent map[string]int
}

func (s *seen) add(what, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if what == "put" {
		s.put[id]++
	} else {
		s.sent[id]++
	}
}

// Two nodes under load, one of which is killed: nothing is lost, the other one takes its leases over when they are
// over, and what comes twice is at most what the dead one was sending.
func TestPostgres_a_killed_node_loses_nothing(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	s := openPostgres(t, u, "parent")
	all := &seen{put: map[string]int{}, sent: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		(&node{s: s, name: "parent", say: all.add, fail: func(err error) { t.Error(err) }}).run(ctx)
	})
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childURL+"="+u)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		what, id, whole := strings.Cut(lines.Text(), " ")
		if whole && id != "" {
			all.add(what, id)
		}
		if n++; n == 600 {
			_ = child.Process.Kill() // SIGKILL
		}
	}
	_ = child.Wait() // killed, as it should be
	if n < 600 {
		t.Fatalf("the child said %d lines", n)
	}
	stop()
	running.Wait()
	killed := time.Now()
	due, err := s.Claim(t.Context(), killed, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range due { // those that waited
		all.add("sent", c.ID)
	}
	if early, err := s.Claim(t.Context(), killed.Add(storetest.Lease-time.Minute), 1000); len(early) > 0 || err != nil {
		t.Errorf("%d leases were taken over before they were over, %v", len(early), err)
	}
	over := killed.Add(storetest.Lease + store.PostgresDefaults().Apart)
	taken, err := s.Claim(t.Context(), over, 1000)
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, c := range taken {
		if strings.HasPrefix(c.ID, "child") || all.sent[c.ID] == 0 {
			all.add("sent", c.ID)
			left++
		}
	}
	lost, twice, children := 0, 0, 0
	for id := range all.put {
		if strings.HasPrefix(id, "child") {
			children++
		}
		switch all.sent[id] {
		case 0:
			lost++
			t.Errorf("%s was acknowledged and is lost", id)
		case 1:
		default:
			twice++
		}
	}
	t.Logf("%d acknowledged, %d of them by the node that was killed; %d of its leases taken over, lost %d, twice %d", len(all.put), children, left, lost, twice)
	if children < 100 || twice > 6+20 {
		t.Errorf("%d of the child, %d came twice: want at least 100, and at most what it was sending", children, twice)
	}
}

// Nodes that count in the same counter at once lose none of it: it is locked from the look to the change.
func TestPostgres_nodes_count_together(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	const each, nodes = 40, 3
	counter := reply.Bucket{Key: "shared", Limit: each * nodes / 2, Expires: storetest.Start.Add(time.Hour)}
	var taken atomic.Int64
	var all sync.WaitGroup
	for n := range nodes {
		s := openPostgres(t, u, fmt.Sprint("node", n))
		all.Go(func() {
			for i := range each {
				full, err := s.Put(context.Background(), storetest.Entry(fmt.Sprint(n, "-", i)), []reply.Bucket{counter}, storetest.Start)
				if err != nil {
					t.Error(err)
				}
				if full.Key == "" {
					taken.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := taken.Load(); n != counter.Limit {
		t.Errorf("%d entries were taken, want %d", n, counter.Limit)
	}
}

// A node that waits for another one's new counter has changed none yet, so that the other one, which runs into one that
// this node has locked, is told so at once: they do not wait for each other until the database ends one of them.
func TestPostgres_new_counters_are_made_before_others_change(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	s := openPostgres(t, u, "new-before-old")
	counter := func(key string) reply.Bucket {
		return reply.Bucket{Key: key, Limit: 9, Expires: storetest.Start.Add(time.Hour)}
	}
	if _, err := s.Put(t.Context(), storetest.Entry("one"), []reply.Bucket{counter("there")}, storetest.Start); err != nil {
		t.Fatal(err)
	}
	const insert = "INSERT INTO counters (bucket, n, expires) VALUES ($1, 1, 1)"
	other, err := connected(t, u).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), insert, "new"); err != nil {
		t.Fatal(err)
	}
	put := outcome(func() error {
		_, err := s.Put(context.Background(), storetest.Entry("two"), []reply.Bucket{counter("new"), counter("there")}, storetest.Start)
		return err
	})
	waitFor(t, connected(t, u), "new-before-old")
	var refused *pgconn.PgError
	if _, err := other.Exec(t.Context(), insert, "there"); !errors.As(err, &refused) || refused.Code != "23505" {
		t.Errorf("got %v, want that it is there", err)
	}
	if err := errors.Join(other.Rollback(t.Context()), <-put); err != nil {
		t.Error(err)
	}
}

// outcome runs something beside the test.
func outcome(run func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- run() }()
	return done
}

// connected is a connection beside the store's.
func connected(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// waitFor returns when a node waits for a lock. Within one transaction the answer would always be the first one.
func waitFor(t *testing.T, conn *pgx.Conn, node string) {
	t.Helper()
	for range 1000 {
		var waits bool
		if err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock' AND query LIKE '%counters%')",
			"check-auth "+node).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		if waits {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it waits for nothing")
}

// A node that starts again has its own leases at once, and no other's.
func TestPostgres_a_node_that_starts_again(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	a, b := openPostgres(t, u, "a"), openPostgres(t, u, "b")
	for name, s := range map[string]store.Store{"a": a, "b": b} {
		if _, err := s.Put(t.Context(), storetest.Entry(name), nil, storetest.Start); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openPostgres(t, u, "a")
	got, err := a.Claim(t.Context(), storetest.Start, 10)
	if err != nil || len(got) != 1 || got[0].ID != "a" {
		t.Errorf("got %v, %v, want a", got, err)
	}
	// What another node took over is that one's.
	over := storetest.Start.Add(storetest.Lease + store.PostgresDefaults().Apart)
	if got, err := a.Claim(t.Context(), over, 10); err != nil || len(got) != 2 {
		t.Errorf("got %d, %v, want both", len(got), err)
	}
	for name, err := range map[string]error{
		"Renew":   b.Renew(t.Context(), "b", over),
		"Retry":   b.Retry(t.Context(), "b", over, store.Outcome{}),
		"Release": b.Release(t.Context(), "b", over),
	} {
		if !errors.Is(err, store.ErrUnknown) {
			t.Errorf("%s: got %v, want %v", name, err, store.ErrUnknown)
		}
	}
	if err := b.Done(t.Context(), "b", over, store.Outcome{}); err != nil {
		t.Errorf("it was sent all the same: %v", err)
	}
}

// Two processes of one name would take each other's leases.
func TestPostgres_one_process_a_name(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	first := openPostgres(t, u, "a")
	c := pgConfig(t, u, "a")
	c.Timeout = 2 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	s, err := store.OpenPostgres(ctx, c)
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, store.ErrTaken) {
		t.Errorf("got %v, want %v", err, store.ErrTaken)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openPostgres(t, u, "a")
}

// Nodes that start at once make the tables once.
func TestPostgres_many_start_at_once(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			c := pgConfig(t, u, fmt.Sprint("node", i))
			s, err := store.OpenPostgres(t.Context(), c)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Put(t.Context(), storetest.Entry(c.Node), nil, storetest.Start); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestPostgres_refuses_what_it_cannot_use(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	openPostgres(t, u, "a")
	b, err := store.AttachPostgres(t.Context(), pgConfig(t, schema(t, server(t)), "a"))
	if err == nil {
		_ = b.Close()
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a schema without tables, beside: got %v, want %v", err, os.ErrNotExist)
	}
	do(t, u, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)")
	if s, err := store.OpenPostgres(t.Context(), pgConfig(t, u, "b")); !errors.Is(err, store.ErrNewer) {
		t.Errorf("a newer schema: got %v, %v, want %v", s, err, store.ErrNewer)
	}
	for name, c := range map[string]struct {
		url  string
		want error
	}{
		"no schema":   {strings.Replace(u, "search_path=", "search_path=no_", 1), os.ErrNotExist},
		"no database": {strings.Replace(u, "?", "_not_there?", 1), os.ErrNotExist},
		"nonsense":    {"postgres://%", nil},
	} {
		s, err := store.OpenPostgres(t.Context(), pgConfig(t, c.url, "b"))
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, %v, want %v", name, s, err, c.want)
		}
	}
}

// What PostgreSQL takes for no text is refused by itself, or stored without that.
func TestPostgres_odd_texts(t *testing.T) {
	t.Parallel()
	s := openPostgres(t, schema(t, server(t)), "a")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			e := storetest.Entry(fmt.Sprint("e", i))
			if i%2 == 1 {
				e.To = "a\x00\xff@example.org"
			}
			if _, err := s.Put(t.Context(), e, nil, storetest.Start); (err == nil) != (i%2 == 0) {
				t.Errorf("entry %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if err := s.Retry(t.Context(), "e0", storetest.Start, store.Outcome{Reason: "\xff\x00", Answer: "\x00"}); err != nil {
		t.Error(err)
	}
}

// The clocks of two nodes are two minutes apart: an entry is sent once, tries do not multiply, no lease is taken from
// who has it, and a quota of one a minute lets through two at most.
func TestPostgres_clocks_two_minutes_apart(t *testing.T) {
	t.Parallel()
	const ahead = 2 * time.Minute
	u := schema(t, server(t))
	clock := map[string]time.Duration{"a": 0, "b": ahead}
	nodes := map[string]store.Store{"a": openPostgres(t, u, "a"), "b": openPostgres(t, u, "b")}
	names := slices.Sorted(maps.Keys(nodes))
	retries := []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute}
	tries, taken := map[string]int{}, map[string]int{}
	for i := range 20 {
		name := names[i%2]
		e := storetest.Entry(fmt.Sprint("e", i))
		now := storetest.Start.Add(clock[name])
		if _, err := nodes[name].Put(t.Context(), e, nil, now); err != nil {
			t.Fatal(err)
		}
		if i < 10 { // greylisted at once; the others hang in a try until their lease is nearly over
			tries[e.ID]++
			if err := nodes[name].Retry(t.Context(), e.ID, now.Add(retries[0]), store.Outcome{Reason: "greylisted"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	mails := 0
	for step := time.Duration(0); step < storetest.Lease; step += 10 * time.Second {
		for _, name := range names {
			s, now := nodes[name], storetest.Start.Add(step+clock[name])
			due, err := s.Claim(t.Context(), now, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range due {
				if tries[c.ID]++; tries[c.ID] < 4 {
					err = s.Retry(t.Context(), c.ID, now.Add(retries[c.Tries]), store.Outcome{Reason: "greylisted"})
				} else {
					taken[c.ID]++
					err = s.Done(t.Context(), c.ID, now, store.Outcome{})
				}
				if err != nil {
					t.Error(err)
				}
			}
			minute := []reply.Bucket{{Key: "minute/a@example.org", Limit: 1, Expires: now.Add(time.Minute)}}
			full, err := s.Put(t.Context(), storetest.Entry(fmt.Sprint("m", step, name)), minute, now)
			if err != nil {
				t.Fatal(err)
			}
			if full.Key == "" {
				mails++
				if err := s.Done(t.Context(), fmt.Sprint("m", step, name), now, store.Outcome{}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for i := range 20 {
		id := fmt.Sprint("e", i)
		if want := map[bool]int{true: 4, false: 0}[i < 10]; tries[id] != want || taken[id] != want/4 {
			t.Errorf("%s: %d tries, taken %d times, want %d and %d", id, tries[id], taken[id], want, want/4)
		}
	}
	if minutes := int(storetest.Lease / time.Minute); mails < minutes || mails > 2*minutes {
		t.Errorf("%d mails in %d minutes, want one or two a minute", mails, minutes)
	}
	t.Logf("%d mails to one address in %s", mails, storetest.Lease)
}

// A 250 is a lie where a commit does not reach the disk, whatever the role or the URL says.
func TestPostgres_commits_are_durable(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	for said, want := range map[string]string{"off": "on", "on": "on", "remote_apply": "remote_apply"} {
		s := openPostgres(t, u+"&synchronous_commit="+said, "node-"+said)
		writer, others, err := s.Setting("synchronous_commit")
		if writer != want || others != want || err != nil {
			t.Errorf("%s: got %s and %s, %v, want %s", said, writer, others, err, want)
		}
	}
}

// Two nodes count in a bucket that neither has seen: one makes it, and it is full for the other at once.
func TestPostgres_a_new_counter_of_two_nodes(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	nodes := []*store.Postgres{openPostgres(t, u, "a.example.org"), openPostgres(t, u, "b.example.org")}
	for round := range 60 {
		var all sync.WaitGroup
		var taken atomic.Int64
		for i, s := range nodes {
			all.Go(func() {
				e := storetest.Entry(fmt.Sprintf("%d-%d", round, i))
				full, err := s.Put(t.Context(), e, []reply.Bucket{
					{Key: fmt.Sprint("one/", round), Limit: 1, Expires: e.Expires}, {Key: fmt.Sprint("all/", round), Limit: 100, Expires: e.Expires},
				}, storetest.Start)
				switch {
				case err != nil:
					t.Error(err)
				case full.Key == "":
					taken.Add(1)
				}
			})
		}
		all.Wait()
		if n := taken.Load(); n != 1 {
			t.Fatalf("round %d: %d are taken, want one", round, n)
		}
	}
}
