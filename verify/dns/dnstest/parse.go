package dnstest

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	mdns "github.com/miekg/dns"
)

// world is a zone text after reading: what the resolver knows, how it fails, and what each
// authoritative server says in its place.
type world struct {
	zone    *zone
	faults  []*fault
	servers map[netip.Addr]*authority
}

// authority is one authoritative server.
type authority struct {
	zone  *zone
	cuts  []string // zones that it refers to
	fault *fault   // of the whole server, may be nil
}

// difference is what the directives say of one authoritative server, by its name.
type difference struct {
	over  map[key][]mdns.RR
	cuts  []string
	fault *fault
}

// directives are the lines that are comments to other programs.
var directives = map[string]func(r *reader, line string, words []string) error{
	";FAULT":     (*reader).fault,
	";AUTH":      (*reader).auth,
	";AUTHGONE":  (*reader).authGone,
	";AUTHREFER": (*reader).authRefer,
	";AUTHFAULT": (*reader).authFault,
}

type reader struct {
	world       world
	differences map[string]*difference // by the server's name
}

// parse reads a zone text with its directives. All errors name the line.
func parse(text string) (*world, error) {
	r := reader{world: world{zone: newZone()}, differences: map[string]*difference{}}
	records, err := records(text)
	if err != nil {
		return nil, fmt.Errorf("zone text: %w", err)
	}
	for _, rr := range records {
		r.world.zone.add(rr)
	}
	for i, line := range strings.Split(text, "\n") {
		if err := r.directive(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("zone text, line %d: %q: %w", i+1, line, err)
		}
	}
	if err := r.authorities(); err != nil {
		return nil, err
	}
	return &r.world, nil
}

// records reads all records of the text, or of one line of it.
func records(text string) ([]mdns.RR, error) {
	// A $TTL of the text's own: with SetDefaultTTL alone, a TTL given to one record would be that of
	// all that follow (RFC 1035, 5.1, before RFC 2308, 4).
	out, err := parsed("$TTL 300\n" + text)
	if err != nil {
		_, err = parsed(text) // its line number is the reader's
	}
	return out, err
}

func parsed(text string) ([]mdns.RR, error) {
	p := mdns.NewZoneParser(strings.NewReader(text), ".", "")
	p.SetDefaultTTL(300)
	var out []mdns.RR
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		out = append(out, rr)
	}
	return out, p.Err()
}

// directive reads a line that begins with a directive's word. What only looks like one is a mistake and
// no comment: a mistyped fault would make a test pass for the wrong reason.
func (r *reader) directive(line string) error {
	if !strings.HasPrefix(line, ";") {
		return nil
	}
	words := strings.Fields(line)
	if read := directives[words[0]]; read != nil {
		return read(r, strings.TrimPrefix(line, words[0]), words[1:])
	}
	first, _, _ := strings.Cut(strings.TrimLeft(line, "; \t"), " ")
	if _, ok := directives[";"+strings.ToUpper(first)]; ok || strings.HasPrefix(line, ";FAULT") || strings.HasPrefix(line, ";AUTH") {
		return errors.New("unknown directive; known are ;FAULT, ;AUTH, ;AUTHGONE, ;AUTHREFER, ;AUTHFAULT, at the line's start and in capitals")
	}
	return nil
}

// fault reads ";FAULT KIND name type".
func (r *reader) fault(_ string, words []string) error {
	if len(words) != 3 {
		return errors.New("want ;FAULT KIND name type")
	}
	f, err := newFault(words[0])
	if err != nil {
		return err
	}
	f.name, f.below = words[1], false
	if rest, ok := strings.CutPrefix(words[1], "*."); ok {
		f.name, f.below = rest, true
	}
	f.name = canonical(f.name)
	if f.kind, err = recordType(words[2]); err != nil {
		return err
	}
	r.world.faults = append(r.world.faults, f)
	return nil
}

// auth reads ";AUTH server rr": several such lines of one name and type are one set.
func (r *reader) auth(line string, words []string) error {
	if len(words) < 3 {
		return errors.New("want ;AUTH server rr")
	}
	rest := line[strings.Index(line, words[0])+len(words[0]):]
	found, err := records(strings.TrimSpace(rest))
	if err == nil && len(found) != 1 {
		err = errors.New("no record")
	}
	if err != nil {
		return fmt.Errorf("want ;AUTH server rr: %w", err)
	}
	h := found[0].Header()
	k := key{canonical(h.Name), h.Rrtype}
	d := r.of(words[0])
	d.over[k] = append(d.over[k], found[0])
	return nil
}

// authGone reads ";AUTHGONE server name type".
func (r *reader) authGone(_ string, words []string) error {
	if len(words) != 3 {
		return errors.New("want ;AUTHGONE server name type")
	}
	t, err := recordType(words[2])
	if err != nil {
		return err
	}
	r.of(words[0]).over[key{canonical(words[1]), t}] = nil
	return nil
}

// authRefer reads ";AUTHREFER server zone".
func (r *reader) authRefer(_ string, words []string) error {
	if len(words) != 2 {
		return errors.New("want ;AUTHREFER server zone")
	}
	d := r.of(words[0])
	d.cuts = append(d.cuts, canonical(words[1]))
	return nil
}

// authFault reads ";AUTHFAULT server KIND".
func (r *reader) authFault(_ string, words []string) error {
	if len(words) != 2 {
		return errors.New("want ;AUTHFAULT server KIND")
	}
	f, err := newFault(words[1])
	if err != nil {
		return err
	}
	f.name, f.below, f.kind = ".", true, mdns.TypeANY
	r.of(words[0]).fault = f
	return nil
}

// of is the difference of the named server, made at its first directive.
func (r *reader) of(server string) *difference {
	server = canonical(server)
	if r.differences[server] == nil {
		r.differences[server] = &difference{over: map[key][]mdns.RR{}}
	}
	return r.differences[server]
}

// authorities finds the servers that can be started: names of NS records and of directives whose A
// record is a loopback address.
func (r *reader) authorities() error {
	names := map[string]bool{}
	for k, set := range r.world.zone.sets {
		if k.kind != mdns.TypeNS {
			continue
		}
		for _, rr := range set {
			names[canonical(rr.(*mdns.NS).Ns)] = true
		}
	}
	for name := range r.differences {
		if len(r.world.zone.sets[key{name, mdns.TypeA}]) == 0 {
			return fmt.Errorf("zone text: a directive names the server %q, which has no A record", name)
		}
		names[name] = true
	}
	r.world.servers = map[netip.Addr]*authority{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		for _, rr := range r.world.zone.sets[key{name, mdns.TypeA}] {
			ip, _ := netip.AddrFromSlice(rr.(*mdns.A).A.To4())
			if !ip.IsLoopback() {
				continue
			}
			a := r.world.servers[ip]
			if a == nil {
				a = &authority{zone: r.world.zone}
				r.world.servers[ip] = a
			}
			if d := r.differences[name]; d != nil {
				a.zone, a.cuts, a.fault = a.zone.with(d.over), append(a.cuts, d.cuts...), d.fault
			}
		}
	}
	return nil
}

func recordType(word string) (uint16, error) {
	if t, ok := mdns.StringToType[strings.ToUpper(word)]; ok {
		return t, nil
	}
	return 0, fmt.Errorf("unknown record type %q", word)
}

// addresses of the authoritative servers, sorted, so that a failure to listen is the same each time.
func (w *world) addresses() []netip.Addr {
	return slices.SortedFunc(maps.Keys(w.servers), netip.Addr.Compare)
}
