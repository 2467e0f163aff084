// Attack attacks a running check-auth serve in a network namespace whose loopback plays the Internet: production
// defaults, port 25, real source addresses, a real DNS and real mail servers, of which some hang. Beside each attack
// honest senders want their reports. It prints a table, and ends with 1 where an attack did what it must not.
//
//	tools/attack.sh [-logs FOLDER] [NAME...]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Of what runs without names, and of what has to be named, how long one attack may take.
const (
	longest     = 3 * time.Minute
	longestLong = 25 * time.Minute
)

// attacks are those of a run without names, in the order of the table.
var attacks = slices.Concat(ofVictims, ofQuestions, ofPlaces, ofDestinations)

func main() {
	program := flag.String("program", "", "the check-auth to attack")
	logs := flag.String("logs", "", "folder in which the logs of the service are kept")
	list := flag.Bool("list", false, "print the names of the attacks")
	flag.Parse()
	if *list {
		for _, a := range slices.Concat(attacks, wide, long) {
			fmt.Printf("%-12s %s\n", a.name, a.what)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, err := run(ctx, *program, *logs, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// choose finds attacks by name; without names it is all but the long ones.
func choose(names []string) ([]attack, error) {
	if len(names) == 0 {
		return attacks, nil
	}
	var out []attack
	for _, n := range names {
		all := slices.Concat(attacks, wide, long)
		i := slices.IndexFunc(all, func(a attack) bool { return a.name == n })
		if i < 0 {
			return nil, fmt.Errorf("%q: no such attack; -list has them", n)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// run makes the chosen attacks, one after the other; failed are those that did what they must not.
func run(ctx context.Context, program, logs string, wanted []string) (failed int, err error) {
	chosen, err := choose(wanted)
	if err != nil {
		return 0, err
	}
	if program == "" {
		return 0, errors.New("start this by tools/attack.sh")
	}
	if err := openInternet(); err != nil {
		return 0, err
	}
	n, err := openNames()
	if err != nil {
		return 0, err
	}
	defer n.close()
	folder, err := os.MkdirTemp("", "attack")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	fmt.Println("| attack | what came of it | honest reports within 30 s | honest 4xx/5xx | |\n| --- | --- | --- | --- | --- |")
	begun := time.Now()
	for _, a := range chosen {
		most := longest
		if slices.ContainsFunc(long, func(l attack) bool { return l.name == a.name }) {
			most = longestLong
		}
		here := filepath.Join(folder, a.name)
		r, err := a.play(ctx, n, program, here, most)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", a.name, err)
		}
		if ctx.Err() != nil {
			return 0, errors.New("told to stop")
		}
		r.print()
		if !r.passed() {
			failed++
		}
		if err := keep(logs, here, a.name); err != nil {
			return 0, err
		}
	}
	fmt.Printf("\n%d attacks, %d of them did what they must not, in %s\n", len(chosen), failed, time.Since(begun).Round(time.Second))
	return failed, nil
}

// print writes a row, and to standard error what explains it.
func (r row) print() {
	end := "FAIL"
	if r.passed() {
		end = "pass"
	}
	f := r.fared
	if r.panics > 0 {
		r.number += fmt.Sprintf("; %d panics", r.panics)
	}
	if f.wrong > 0 {
		r.number += fmt.Sprintf("; %d honest mails judged wrongly", f.wrong)
	}
	codes := fmt.Sprintf("%d/%d", f.put, f.refused)
	if f.cut > 0 {
		codes += fmt.Sprintf(", %d cut", f.cut)
	}
	fmt.Printf("| %s: %s | %s | %d of %d, p95 %.1f s | %s | %s |\n", r.name, r.what, r.number, f.inTime, f.n, f.p95.Seconds(), codes, end)
	fmt.Fprintf(os.Stderr, "  %s took %s\n", r.name, r.took.Round(time.Second/10))
	slices.Sort(f.words)
	for i, w := range f.words {
		if i == 4 {
			fmt.Fprintf(os.Stderr, "    and %d more\n", len(f.words)-i)
			break
		}
		fmt.Fprintln(os.Stderr, "    an honest sender heard:", strings.TrimSpace(w))
	}
}

// keep copies the log of the service, and forgets its folder.
func keep(logs, folder, name string) error {
	if logs != "" {
		b, err := os.ReadFile(filepath.Join(folder, "log"))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(logs, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(logs, name+".log"), b, 0o644); err != nil {
			return err
		}
	}
	return os.RemoveAll(folder)
}
