package main

import (
	"os"

	"checkauth/verify/result"
)

// Colours of a terminal (ECMA-48, SGR). None of them says anything that the words do not.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	faint  = "2"
)

var wordColour = map[result.Word]string{
	result.Pass: green, result.SoftFail: yellow, result.Fail: red, result.PermError: red, result.TempError: yellow,
}

var severityColour = map[result.Severity]string{result.Error: red, result.Warning: yellow}

// lineColour is that of a line of the tree.
func lineColour(t *result.Row) string {
	if t == nil {
		return ""
	}
	switch {
	case t.Matched:
		return wordColour[matchedWord(t.Term.Value)]
	case t.Failed:
		return red
	case t.Skipped:
		return faint
	}
	return ""
}

// matchedWord is what a term gives where it matches (RFC 7208, 4.6.2).
func matchedWord(term string) result.Word {
	switch term[:1] {
	case "-":
		return result.Fail
	case "~":
		return result.SoftFail
	case "?":
		return result.Neutral
	}
	return result.Pass
}

// colourful: on a terminal, unless the user wants none (no-color.org) or insists (bixense.com/clicolors).
func colourful(e env) bool {
	if e.getenv("NO_COLOR") != "" {
		return false
	}
	if force := e.getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	f, ok := e.out.(*os.File)
	if !ok || e.getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
