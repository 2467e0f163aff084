package deliver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"checkauth/reply"
)

// Who took an entry is told, with the addresses that were connected to before, and nobody who refused it.
func TestWhoTookIt(t *testing.T) {
	t.Parallel()
	told := make(chan string, 10)
	refusing := &stub{script: map[string][]string{"MAIL": {"451 4.3.2 not now", "451 4.3.2 not now", "451 4.3.2 not now"}}}
	zone := `example.org. MX 10 mx1.example.org.
example.org. MX 20 mx2.example.org.
mx1.example.org. A 127.0.0.2
mx2.example.org. A 127.0.0.1
refused.example. A 127.0.0.3
`
	d, k := service(t, zone, func(c *Config) {
		c.Port = listen(t, map[string]*stub{"127.0.0.1": {}, "127.0.0.2": refusing, "127.0.0.3": {script: map[string][]string{"RCPT": {"550 5.1.1 no"}}}})
		c.Took = func(_ context.Context, e reply.Entry, host string, at netip.Addr, met []netip.Addr) {
			told <- fmt.Sprint(e.ID, " ", host, " ", at, " ", met, " ", e.Counted)
		}
	})
	refused := entry("refused")
	refused.To = "a@refused.example"
	first := entry("first")
	first.Counted = []reply.Counted{{At: netip.MustParseAddr("127.0.0.2")}}
	for _, e := range []reply.Entry{refused, first} {
		put(t, k, e)
		d.Enqueue(e)
		<-k.told
	}
	// The next one goes over the connection that stands.
	second := entry("second")
	put(t, k, second)
	d.Enqueue(second)
	<-k.told
	var got []string
	for range 2 {
		got = append(got, <-told)
	}
	// Where the connection is not kept in time, the second one comes to both servers too.
	got[1] = strings.Replace(got[1], "[127.0.0.2 127.0.0.1]", "[127.0.0.1]", 1)
	if want := []string{"first mx2.example.org 127.0.0.1 [127.0.0.2 127.0.0.1] [{127.0.0.2 []}]", "second mx2.example.org 127.0.0.1 [127.0.0.1] []"}; !slices.Equal(got, want) || len(told) > 0 {
		t.Errorf("got %q, want %q", got, want)
	}
}
