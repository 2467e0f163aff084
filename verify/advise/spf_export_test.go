package advise

import (
	"context"
	"slices"

	"checkauth/verify"
)

// RunSPF gives the actions of SPF's rule alone.
func RunSPF(ctx context.Context, q Query) []verify.Action {
	a := newAdviser(q)
	all := a.spfRecord(ctx)
	slices.SortStableFunc(all, func(x, y candidate) int { return int(x.rank - y.rank) })
	return a.choose(ctx, all)
}

// Mended reads records as they were meant.
func Mended(domain string, texts ...string) string { return readSPF(domain, texts).String() }
