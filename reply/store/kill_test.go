package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"checkauth/reply/store"
	"checkauth/reply/store/storetest"
)

// childFolder, in the environment, makes the test binary the process that is killed.
const childFolder = "STORE_TEST_CHILD_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		produce(dir)
		return
	}
	if url := os.Getenv(childURL); url != "" {
		childNode(url)
		return
	}
	os.Exit(m.Run())
}

// produce puts entries from several goroutines, and says each id after its Put returned.
func produce(dir string) {
	cfg := store.Defaults()
	s, err := store.Open(context.Background(), dir, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for p := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("p%d-%d", p, i)
				if _, err := s.Put(context.Background(), storetest.Entry(id), nil, storetest.Start); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(id) // one write, whole lines
			}
		})
	}
	all.Wait()
}

// What Put said yes to is there after SIGKILL, once.
func TestKilled_process_loses_nothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	said := map[string]bool{}
	for round := range 3 {
		for id := range killed(t, dir, 50+200*round) {
			said[id] = true
		}
		s := open(t, dir)
		got, err := s.Claim(t.Context(), storetest.Start, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]int{}
		for _, c := range got {
			there[c.ID]++
		}
		for id := range said {
			if there[id] != 1 {
				t.Errorf("round %d: %s was acknowledged and is there %d times", round, id, there[id])
			}
		}
		t.Logf("round %d: %d acknowledged, %d there", round, len(said), len(there))
		for _, c := range got { // the child counts from 0 again
			if err := s.Exec("DELETE FROM entries WHERE id = $1", c.ID); err != nil {
				t.Fatal(err)
			}
		}
		clear(said)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killed runs a child until it has said n ids, kills it, and gives all that it said.
func killed(t *testing.T, dir string, n int) map[string]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childFolder+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		ids[lines.Text()] = true
		if len(ids) == n {
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = child.Wait() // killed, as it should be
	if len(ids) < n {
		t.Fatalf("the child said %d ids, want at least %d", len(ids), n)
	}
	return ids
}
