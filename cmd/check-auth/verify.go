package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"checkauth/reply/compose"
	"checkauth/reply/folder"
	"checkauth/reply/policy"
	"checkauth/verify"
	"checkauth/verify/dns"
	"checkauth/verify/dns/client"
	"checkauth/verify/dns/dnstest"
	"checkauth/verify/evaluate"
	"checkauth/verify/known"
	"checkauth/verify/mail"
	"checkauth/verify/result"
)

// verifyCmd is `check-auth verify`.
type verifyCmd struct {
	IP       string   `required:"" help:"Address that the mail came from." placeholder:"ADDRESS"`
	Helo     string   `help:"Name that the client gave in HELO or EHLO." placeholder:"NAME"`
	MailFrom string   `help:"Envelope sender; '' is the null sender." placeholder:"ADDRESS"`
	RcptTo   []string `help:"Envelope recipients." placeholder:"ADDRESS" sep:"none"`
	TLS      *bool    `help:"The mail came over TLS (--tls), or in clear text (--tls=false)." negatable:""`
	Resolver string   `help:"Ask this DNS resolver instead of the system's." placeholder:"HOST:PORT" xor:"dns"`
	Zone     string   `help:"Take the DNS from this zone file, such as --save-zone has written, and ask nobody." placeholder:"FILE" xor:"dns"`
	SaveZone string   `help:"Write the DNS answers that were used to this zone file, to evaluate the message again later." placeholder:"FILE"`
	Host     string   `default:"localhost" help:"Our own name: authserv-id of Authentication-Results, macro %%{r} of SPF." placeholder:"NAME"`
	Rules    string   `name:"receivers" help:"File with further receivers and rules, in the form of verify/receivers/receivers.toml." placeholder:"FILE"`
	Loopback bool     `help:"Evaluate SPF and the reverse DNS also for a client address on loopback (127.0.0.1, ::1), which says nothing of who sent a mail."`
	Language string   `help:"Language of the report, such as tr; without it the one that the message asks for." placeholder:"TAG"`
	JSON     bool     `help:"Print JSON."`
	Full     bool     `help:"Show also what is mailed to a proved sender alone: fields and body."`
	Message  string   `arg:"" help:"File with the message, or - for standard input."`
}

// Run evaluates the message; exit 0 where it authenticates, 1 where not, 2 where the DNS did not tell.
func (c *verifyCmd) Run(ctx context.Context, e env) error {
	c.Host = result.Clean(c.Host) // it stands in fields of one line
	m, err := c.message(e)
	if err != nil {
		return err
	}
	resolver, done, err := c.resolver()
	if err != nil {
		return err
	}
	defer done()
	rules, err := receiverRules(c.Rules)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--receivers: %w", err)}
	}
	atlas, err := known.Load()
	if err != nil {
		return err
	}
	record := dns.NewRecorder(resolver)
	ev := evaluate.Evaluator{Config: evaluate.Defaults(), DNS: record, Authorities: c.authorities(), Now: e.now, Receivers: rules, Atlas: atlas, Loopback: c.Loopback,
		Panicked: func(id, method string, v any, _ []byte) {
			fmt.Fprintf(e.err, "check-auth: report %s: check %s failed by our fault: %q\n", id, method, fmt.Sprint(v))
		}}
	r := ev.Evaluate(ctx, m)
	if dead(r) {
		return &exitError{exitUnknown, fmt.Errorf("no DNS resolver answers (asked %s): name one that does with --resolver HOST:PORT", c.asked())}
	}
	if err := c.print(e, r, m); err != nil {
		return err
	}
	if err := c.save(record); err != nil {
		return err
	}
	return verdictExit(r)
}

// resolver is what the command line names; done gives it back.
func (c *verifyCmd) resolver() (r dns.Resolver, done func(), err error) {
	if c.Zone == "" {
		r, err = openResolver(c.Resolver)
		return r, func() {}, err
	}
	zone, err := folder.ReadRegular(c.Zone)
	if err != nil {
		return nil, nil, usage("--zone %q cannot be read (%w): give a zone file", c.Zone, cause(err))
	}
	server, err := dnstest.Start(string(zone))
	if err != nil {
		return nil, nil, usage("--zone %q: %w", c.Zone, err)
	}
	r, err = openResolver(server.Addr().String())
	return r, func() { _ = server.Close() }, err // nothing is lost with it
}

// authorities are asked at port 53 on the public Internet; beside a resolver of one's own on loopback, at
// its port, they may be on loopback too. With a zone file nobody is asked.
func (c *verifyCmd) authorities() *dns.Authorities {
	if c.Zone != "" {
		return nil
	}
	at, err := addrPort(c.Resolver, 53)
	if err != nil || !at.Addr().IsLoopback() || at.Port() == 53 {
		return authorities(&ours{found: interfaceAddresses()})
	}
	a := client.Authorities(at.Port(), netip.Addr.IsLoopback)
	return &a
}

// save writes the zone file, whole or with an error.
func (c *verifyCmd) save(record *dns.Recorder) error {
	if c.SaveZone == "" {
		return nil
	}
	var zone bytes.Buffer
	err := record.WriteZone(&zone)
	if err == nil {
		err = os.WriteFile(c.SaveZone, zone.Bytes(), 0o644)
	}
	if err != nil {
		return usage("--save-zone %q cannot be written: %w", c.SaveZone, cause(err))
	}
	return nil
}

// cause is what the system said, without the path, which is quoted elsewhere.
func cause(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

func (c *verifyCmd) asked() string {
	if c.Resolver == "" {
		return "those of " + resolvConf
	}
	return c.Resolver
}

// dead: questions were asked, and not one was answered by any server.
func dead(r *verify.Report) bool {
	asked := 0
	for _, k := range r.Checks {
		for _, e := range k.Evidence {
			if e.Rcode != "TIMEOUT" && e.Rcode != "UNREACHABLE" && e.Rcode != "CANCELED" {
				return false
			}
			asked++
		}
	}
	return asked > 0
}

func (c *verifyCmd) print(e env, r *verify.Report, m *verify.Message) error {
	cfg := compose.Defaults()
	cfg.Host, cfg.Service = c.Host, "check-auth@"+c.Host
	if len(c.RcptTo) > 0 {
		cfg.Service = result.Clean(c.RcptTo[0])
	}
	composer, err := compose.New(cfg, nil)
	if err != nil {
		return err
	}
	ours := policy.Addresses{Domains: []string{c.Host}, Service: "check-auth", From: "auth-results"} // which rules name
	d := policy.Config{Addresses: ours}.Decide(r, policy.Facts{}, e.now())
	if c.Full {
		d.Class = policy.Proved
	}
	if c.Language != "" {
		if !composer.Speaks(c.Language) {
			return &exitError{exitUsage, fmt.Errorf("--language %q: want one of %s", c.Language, strings.Join(composer.Languages(), ", "))}
		}
		d.Form.Details = []string{c.Language}
	}
	var out []byte
	if c.JSON {
		if out, err = composer.JSON(r, d.Class); err == nil {
			var b bytes.Buffer
			err = json.Indent(&b, out, "", "  ")
			out = b.Bytes()
		}
	} else {
		var text string
		text, err = composer.Text(r, d, m.Body)
		out = []byte(text)
	}
	if err != nil {
		return err
	}
	_, err = e.out.Write(out)
	return err
}

// message reads what the command line names.
func (c *verifyCmd) message(e env) (*verify.Message, error) {
	ip, err := netip.ParseAddr(c.IP)
	if err != nil {
		return nil, usage("--ip %q is no address: give an IPv4 or IPv6 address such as 192.0.2.1", c.IP)
	}
	if c.MailFrom != "" && !strings.Contains(c.MailFrom, "@") {
		return nil, usage("--mail-from %q is no address: give local-part@domain, or '' for the null sender", c.MailFrom)
	}
	raw, err := read(c.Message, e.in)
	if err != nil {
		return nil, err
	}
	env := verify.Envelope{
		ID: newID(), Host: c.Host, Time: e.now(), Client: netip.AddrPortFrom(ip.Unmap(), 0), Helo: c.Helo, ESMTP: true,
		Purpose: verify.ForTest, MailFrom: strings.TrimSuffix(strings.TrimPrefix(c.MailFrom, "<"), ">"), RcptTo: c.RcptTo,
	}
	if env.TLSUnknown = c.TLS == nil; !env.TLSUnknown && *c.TLS {
		env.TLS = &verify.TLS{}
	}
	return newMessage(env, raw), nil
}

// newMessage takes the octets of a message apart. What cannot be parsed is said in the report.
func newMessage(env verify.Envelope, raw []byte) *verify.Message {
	// When it was received nobody knows of a saved message: its Date is compared with nothing.
	m := &verify.Message{Envelope: env, Whole: mail.Data{At: bytes.NewReader(raw), Size: int64(len(raw))}}
	var err error
	if m.Fields, m.Body, err = mail.Split(m.Whole, mail.DefaultBounds()); err != nil {
		m.Unparsed = err
	}
	if _, _, ok := mail.HeaderEnd(raw); !ok && err == nil {
		m.Notes = append(m.Notes, verify.Note{Code: verify.NoteNoEmptyEnd, Count: 1})
	}
	return m
}

// maxSaved: a saved message of more octets than this is not read into memory.
const maxSaved = 64 << 20

// read takes a file or, for "-", standard input. A file with LF line ends alone was saved by a Unix
// program: on the wire it had CRLF.
func read(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("message %q cannot be read (%w): give the path of a saved message, or - for standard input", name, cause(err))
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxSaved+1))
	switch {
	case err != nil:
		return nil, usage("message %q cannot be read: %w", name, err)
	case len(raw) == 0:
		return nil, usage("message %q is empty: give a whole message with its header", name)
	case len(raw) > maxSaved:
		return nil, usage("message %q has more than %d octets: no mail server takes it", name, maxSaved)
	}
	if !bytes.Contains(raw, []byte("\r\n")) {
		raw = bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
	}
	return raw, nil
}

const resolvConf = "/etc/resolv.conf"

// resolvers is the file of the system's resolvers.
func (e env) resolvers() string { return cmp.Or(e.resolvConf, resolvConf) }

// openResolver makes a client of HOST:PORT, or of the system's resolvers where that is empty.
func openResolver(address string) (*client.Client, error) {
	cfg := client.Defaults()
	if address == "" {
		servers, trust, err := client.FromResolvConf(resolvConf)
		if err != nil {
			return nil, usage("%w: name a resolver with --resolver HOST:PORT", err)
		}
		cfg.Servers, cfg.TrustAD = servers, trust
	} else {
		server, err := addrPort(address, 53)
		if err != nil {
			return nil, usage("--resolver %q: %w", address, err)
		}
		cfg.Servers = []netip.AddrPort{server}
	}
	c, err := client.New(cfg)
	if err != nil {
		return nil, usage("%w", err)
	}
	return c, nil
}

// addrPort reads ADDRESS or ADDRESS:PORT; localhost is the one name that it knows.
func addrPort(s string, port uint16) (netip.AddrPort, error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		host, p = strings.Trim(s, "[]"), strconv.Itoa(int(port))
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	n, errPort := strconv.ParseUint(p, 10, 16)
	if err != nil || errPort != nil || n == 0 {
		return netip.AddrPort{}, errors.New("want ADDRESS or ADDRESS:PORT, such as 127.0.0.1:53 or [::1]:53")
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// newID makes a report id: 26 letters and digits, 130 bits.
func newID() string { return strings.ToLower(rand.Text()) }
