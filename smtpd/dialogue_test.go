package smtpd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"checkauth/smtpd"
)

// Each file of testdata is a dialogue: "C: " is sent with CR LF, consecutive ones in one segment; "S: "
// is what must come, where * stands for anything to the end; "S! closed" is the end of the connection.
// Lines with # are remarks. Each is played in clear text and, without its own STARTTLS, in TLS.
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.smtp")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d dialogues, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".smtp"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			bothWays(t, func(t *testing.T, inTLS bool) {
				b := serve(t, &recorder{}, func(c *smtpd.Config) { c.PerIP = 100 })
				play(t, b.bare(inTLS), strings.Split(strings.TrimSpace(string(text)), "\n"), inTLS)
			})
		})
	}
}

func play(t *testing.T, c *client, lines []string, inTLS bool) {
	t.Helper()
	var out strings.Builder
	for n, line := range lines {
		switch text := line[min(3, len(line)):]; {
		case strings.HasPrefix(line, "C:"):
			out.WriteString(text + "\r\n")
			continue
		case strings.HasPrefix(line, "#"), line == "", inTLS && text == "250-STARTTLS":
			continue
		case out.Len() > 0:
			c.send(out.String())
			out.Reset()
			fallthrough
		default:
			want, got := text, c.line()
			if p, ok := strings.CutSuffix(want, "*"); ok && len(got) >= len(p) {
				want, got = p, got[:len(p)]
			}
			if got != want {
				t.Fatalf("line %d: got %q, want %q", n+1, got, text)
			}
		}
	}
}

// line reads one line of a reply.
func (c *client) line() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "closed"
	}
	return strings.TrimSuffix(line, "\r\n")
}
