package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"checkauth/reply"
	"checkauth/reply/store"
	"checkauth/reply/store/storetest"
)

// The tests of PostgreSQL run where a server answers at this URL, in schemas that they make and drop. Where
// they are required (.ci/run) they are never skipped.
const (
	serverURL      = "CHECK_AUTH_TEST_POSTGRES"
	serverRequired = "CHECK_AUTH_TEST_POSTGRES_REQUIRED"
)

func server(t testing.TB) string {
	t.Helper()
	u := os.Getenv(serverURL)
	if u == "" {
		missing(t, "no PostgreSQL server to test with: set "+serverURL+" to its URL")
	}
	return u
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(serverRequired) != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// schema makes one, and gives the URL of it.
func schema(t testing.TB, server string) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	do(t, server, "CREATE SCHEMA "+name)
	t.Cleanup(func() { do(t, server, "DROP SCHEMA "+name+" CASCADE") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

func do(t testing.TB, url, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func pgConfig(t testing.TB, url, node string) store.PostgresConfig {
	c := store.PostgresDefaults()
	c.Config, c.URL = config(t), url
	c.Node = node
	return c
}

func openPostgres(t testing.TB, url, node string) *store.Postgres {
	t.Helper()
	return openPostgresWith(t, pgConfig(t, url, node))
}

func openPostgresWith(t testing.TB, c store.PostgresConfig) *store.Postgres {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := store.OpenPostgres(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := server(t)
	storetest.Run(t, func(t *testing.T) store.Store { return openPostgres(t, schema(t, server), "a.example.org") })
}

func TestAttachedPostgres(t *testing.T) {
	t.Parallel()
	server := server(t)
	storetest.RunAdmin(t, func(t *testing.T) (store.Store, store.Admin) {
		u := schema(t, server)
		s := openPostgres(t, u, "a.example.org")
		b, err := store.AttachPostgres(t.Context(), pgConfig(t, u, "a.example.org"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return s, b
	})
}

// A look takes no node's name and makes no table; it goes on beside a node that runs.
func TestLookPostgres(t *testing.T) {
	t.Parallel()
	u := schema(t, server(t))
	c := pgConfig(t, u, "a.example.org")
	if err := store.LookPostgres(t.Context(), c); err != nil {
		t.Errorf("a schema without tables: %v", err)
	}
	if _, err := store.AttachPostgres(t.Context(), c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the look: got %v, want no tables", err)
	}
	openPostgres(t, u, "a.example.org")
	if err := store.LookPostgres(t.Context(), c); err != nil {
		t.Errorf("beside a node of that name: %v", err)
	}
	do(t, u, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	if err := store.LookPostgres(t.Context(), c); !errors.Is(err, store.ErrNewer) {
		t.Errorf("tables of a newer version: %v", err)
	}
	c.URL = strings.Replace(u, "search_path=", "search_path=no_", 1)
	if err := store.LookPostgres(t.Context(), c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no schema: %v", err)
	}
}

func BenchmarkEnqueuePostgres(b *testing.B) {
	server := server(b)
	body := bytes.Repeat([]byte("X-Line: a report has many lines like this one\r\n"), 400) // 18 kB
	for _, producers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("producers=", producers), func(b *testing.B) {
			s := openPostgres(b, schema(b, server), "a.example.org")
			before := s.Commits()
			n := produceIn(b, producers, func(i int) {
				e := storetest.Entry(fmt.Sprint("e", i))
				e.Body = body
				buckets := []reply.Bucket{{Key: fmt.Sprint("address/", i%1000), Limit: 1 << 40, Expires: e.Expires}}
				if _, err := s.Put(b.Context(), e, buckets, storetest.Start); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64(n)/float64(s.Commits()-before), "entries/commit")
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// produceIn runs b.Loop over so many goroutines.
func produceIn(b *testing.B, producers int, one func(i int)) (n int) {
	jobs := make(chan int)
	var all sync.WaitGroup
	for range producers {
		all.Go(func() {
			for i := range jobs {
				one(i)
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		jobs <- n
		n++
	}
	close(jobs)
	all.Wait()
	return n
}

// BenchmarkLifePostgres is an entry's whole life: stored by two nodes, claimed and done by two others.
func BenchmarkLifePostgres(b *testing.B) {
	server := server(b)
	body := bytes.Repeat([]byte("X-Line: a report has many lines like this one\r\n"), 400) // 18 kB
	for _, producers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("producers=", producers), func(b *testing.B) {
			u := schema(b, server)
			makers := []*store.Postgres{openPostgres(b, u, "a.example.org"), openPostgres(b, u, "b.example.org")}
			var lives, takers sync.WaitGroup
			ctx, stop := context.WithCancel(b.Context())
			for _, name := range []string{"c.example.org", "d.example.org"} {
				s := openPostgres(b, u, name)
				takers.Go(func() { take(b, ctx, s, lives.Done) })
			}
			n := produceIn(b, producers, func(i int) {
				lives.Add(1)
				e := storetest.Entry(fmt.Sprint("e", i))
				e.Body = body
				if _, err := makers[i%2].Put(b.Context(), e, nil, storetest.Start); err != nil {
					b.Error(err)
				}
			})
			lives.Wait()
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
			stop()
			takers.Wait()
		})
	}
}

// take claims and finishes until the context ends.
func take(t testing.TB, ctx context.Context, s store.Store, done func()) {
	for ctx.Err() == nil {
		claimed, err := s.Claim(context.WithoutCancel(ctx), storetest.Start.Add(time.Hour), 40)
		if err != nil {
			t.Error(err)
			return
		}
		var all sync.WaitGroup
		for _, c := range claimed {
			all.Go(func() {
				if err := s.Done(context.WithoutCancel(ctx), c.ID, storetest.Start, store.Outcome{Answer: "2.0.0 queued", TLS: "TLS 1.3"}); err != nil {
					t.Error(err)
				}
				done()
			})
		}
		all.Wait()
		if len(claimed) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}
