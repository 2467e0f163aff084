package panics

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"testing"
)

func TestRecover(t *testing.T) {
	t.Parallel()
	var got *Recovered
	func() {
		defer Recover(func(r *Recovered) { got = r })
		place(io.ErrUnexpectedEOF)
	}()
	if got == nil || !errors.Is(got, io.ErrUnexpectedEOF) || !bytes.Contains(got.Stack, []byte("panics.place(")) {
		t.Errorf("got %v, want the value and the stack of the place", got)
	}
	got = nil
	func() { defer Recover(func(r *Recovered) { got = r }) }()
	if got != nil {
		t.Errorf("without a panic: told of %v", got)
	}
}

func place(v any) { panic(v) }

func TestCatch(t *testing.T) {
	t.Parallel()
	if err := Catch(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("an error: got %v", err)
	}
	if err := Catch(func() error { place("oops"); return nil }); err == nil || err.Error() != "panic: oops" {
		t.Errorf("a panic: got %v", err)
	}
}

func TestGroupPassesAPanicOnToWhoeverWaits(t *testing.T) {
	t.Parallel()
	var g Group
	var ran atomic.Int32
	for i := range 8 {
		g.Start(func() {
			ran.Add(1)
			if i == 3 {
				place("oops")
			}
		})
	}
	err, ok := errors.AsType[*Recovered](Catch(func() error { g.Wait(); return nil }))
	if !ok || err.Value != "oops" || !bytes.Contains(err.Stack, []byte("panics.place(")) {
		t.Errorf("got %v, want the panic with its place", err)
	}
	if ran.Load() != 8 {
		t.Errorf("%d of 8 ran: Wait returned too early", ran.Load())
	}
}
