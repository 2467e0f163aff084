package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"checkauth/reply/compose"
	"checkauth/verify/result"
)

// terminal puts what a command found into lines.
type terminal struct {
	*compose.Composer
	colour bool
}

func newTerminal(e env) (terminal, error) {
	composer, err := compose.New(compose.Defaults(), nil)
	return terminal{composer, colourful(e)}, err
}

func (t *terminal) paint(line, colour string) string {
	if !t.colour || colour == "" {
		return line
	}
	return "\x1b[" + colour + "m" + line + "\x1b[0m"
}

// word is a result with its reason.
func (t *terminal) word(w result.Word, why result.Reason) string {
	if why.IsZero() {
		return string(w)
	}
	return string(w) + " (" + strings.TrimSuffix(t.Say(why), ".") + ")"
}

// result is the line of a result, its first line painted.
func (t *terminal) result(line func(string), w result.Word, why result.Reason) {
	head, rest, more := strings.Cut(compose.Field("Result:", t.word(w, why)), "\n")
	line(t.paint(head, wordColour[w]))
	if more {
		line(rest)
	}
}

// findings are a numbered list.
func (t *terminal) findings(line func(string), findings []result.Finding) {
	for i, f := range findings {
		mark := fmt.Sprintf("%d. %s: ", i+1, f.Severity)
		text := compose.Item("   ", string(f.Severity)+": "+t.Finding(f))
		line(t.paint(mark[:len(mark)-1], severityColour[f.Severity]) + text[len("   "+string(f.Severity)+":"):])
	}
}

// nothingFound stands in the place of findings.
const nothingFound = "Nothing was found that calls for a change."

// say puts the sentence of a reason beside its code.
func (t *terminal) say(r *result.Reason) {
	if !r.IsZero() {
		r.Text = t.Say(*r)
	}
}

// sentences are findings for JSON: each with its sentence, none is a list without any.
func (t *terminal) sentences(findings []result.Finding) []result.Finding {
	out := make([]result.Finding, len(findings))
	for i, f := range findings {
		f.Text = t.Finding(f)
		out[i] = f
	}
	return out
}

// shown is what a command found, for people and for programs.
type shown interface {
	text() string
	forJSON() any
}

func write(e env, s shown, asJSON bool) error {
	out, err := []byte(nil), error(nil)
	if asJSON {
		out, err = asciiJSON(s.forJSON())
	} else {
		out = []byte(printed(e, s.text()))
	}
	if err == nil {
		_, err = e.out.Write(out)
	}
	return err
}

// sgr are the colours that paint uses, and its end.
var sgr = regexp.MustCompile("\x1b\\[(?:" + strings.Join([]string{red, green, yellow, faint, "0"}, "|") + ")m")

// printed is a text for the terminal. Each stranger's word was cleaned where it was put in; this is for the one that
// was forgotten. Of all that a terminal obeys line feeds stay, and our colours where there are any.
func printed(e env, text string) string {
	if !colourful(e) {
		return result.Lines(text)
	}
	var b strings.Builder
	end := 0
	for _, at := range sgr.FindAllStringIndex(text, -1) {
		b.WriteString(result.Lines(text[end:at[0]]) + text[at[0]:at[1]])
		end = at[1]
	}
	b.WriteString(result.Lines(text[end:]))
	return b.String()
}

// asciiJSON is pure ASCII, so that no byte of a stranger reaches a terminal raw.
func asciiJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return compose.ASCII(b.Bytes()), nil
}

// causeText is the error behind temperror and permerror, in English.
func causeText(err error) string {
	if err == nil {
		return ""
	}
	return result.Clean(err.Error())
}
