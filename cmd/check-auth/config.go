package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"checkauth/reply/folder"
	"checkauth/reply/store"
	"checkauth/verify/tomlfile"
)

// settings is the whole configuration: the file's keys, serve's flags and the table of the README come
// from it. A default is written in the package that it belongs to, and joined in defaults().
type settings struct {
	Hostname string      `toml:"hostname" help:"Our name: in the greeting, the reports, Authentication-Results and the service address. Must have A and PTR records that agree."`
	Domains  []string    `toml:"domains" help:"Further domains whose check-auth@ is ours."`
	Operator string      `toml:"operator" help:"Your address. Mail for postmaster and abuse goes there; needed as soon as a public address is listened on."`
	State    string      `toml:"state" help:"Folder for the queue, the DKIM key and large messages on their way. It is this user's alone (mode 0700), or nothing starts."`
	Memory   memoryLimit `toml:"memory-limit" name:"memory-limit" help:"Memory that the garbage collector keeps to, such as 512MiB. auto: a quarter of the control group's limit or of the machine's memory, at least 256 MiB, at most three quarters of it. GOMEMLIMIT in the environment wins."`
	Listen   []string    `toml:"listen" help:"Addresses to take mail on: 0.0.0.0:25 is all of IPv4, [::]:25 all of IPv6, :25 both."`

	PublicAddresses []string `toml:"public-addresses" name:"public-addresses" help:"Addresses by which others reach this service where they are neither of this machine's interfaces nor what the DNS says of hostname, as behind NAT. No reply and no question is sent to an address of ours."`

	Proxy    proxySettings    `toml:"proxy" embed:"" prefix:"proxy-"`
	TLS      tlsSettings      `toml:"tls" embed:"" prefix:"tls-"`
	Resolver resolverSettings `toml:"resolver" embed:"" prefix:"resolver-"`
	SMTP     smtpSettings     `toml:"smtp" embed:"" prefix:"smtp-"`
	Evaluate evaluateSettings `toml:"evaluate" embed:"" prefix:"evaluate-"`
	Reply    replySettings    `toml:"reply" embed:"" prefix:"reply-"`
	Policy   policySettings   `toml:"policy" embed:"" prefix:"policy-"`
	Deliver  deliverSettings  `toml:"deliver" embed:"" prefix:"deliver-"`
	Store    storeSettings    `toml:"store" embed:"" prefix:"store-"`
	Log      logSettings      `toml:"log" embed:"" prefix:"log-"`

	places   map[string]string // of the file's keys: "FILE, line N"
	warnings []error           // what check put right
}

type proxySettings struct {
	Listen  []string       `toml:"listen" help:"Addresses to take mail on that comes through a load balancer with the PROXY protocol, v1 or v2."`
	Trusted []netip.Prefix `toml:"trusted" help:"Networks of the load balancers; all other clients are closed."`
	Timeout duration       `toml:"timeout" help:"How long to wait for the PROXY header."`
}

type tlsSettings struct {
	Certificate string `toml:"certificate" help:"File with the certificate chain in PEM. Without one STARTTLS is offered with a self-signed certificate."`
	Key         string `toml:"key" help:"File with the certificate's private key in PEM."`
	Ask         bool   `toml:"ask-client-certificate" name:"ask-client-certificate" help:"Ask clients for a certificate of theirs, which the report then names and nobody checks. Some old programs do not expect to be asked."`
}

type resolverSettings struct {
	Servers    []string `toml:"servers" help:"DNS resolvers, ADDRESS or ADDRESS:PORT; empty: those of /etc/resolv.conf. One that validates DNSSEC is best."`
	Tries      int      `toml:"tries" help:"How often a question is asked."`
	Timeout    duration `toml:"timeout" help:"How long to wait for an answer."`
	TrustAD    bool     `toml:"trust-ad" name:"trust-ad" help:"The servers validate DNSSEC, and nobody can change their answers on the way; servers on loopback, and those of a resolv.conf with options trust-ad, are trusted without it. DANE needs it."`
	PerNetwork limit    `toml:"per-network" name:"per-network" help:"Questions a minute on behalf of one client network (/24; each of /64, /56 and /48); beyond them its mail is put off (451) for the rest of the minute."`
	PerTarget  limit    `toml:"per-target" name:"per-target" help:"Made names of one domain a minute on behalf of one client network: names that do not exist, or that only an SPF macro or a wildcard can have made; beyond them its mail that asks for more is put off (451) for the rest of the minute."`
	Made       limit    `toml:"made-names" name:"made-names" help:"Made names of one domain a minute on behalf of all, in mail of other senders than that domain; one network gets an eighth of what is left of them. Then that domain's servers are left alone, and mail that asks for more is put off (451) for the rest of the minute."`
	PerServer  limit    `toml:"per-server" name:"per-server" help:"Questions a minute to one authoritative name server itself, four times as many to its network; beyond them advice is left out."`
}

type evaluateSettings struct {
	Time       duration `toml:"time" help:"How long the evaluation of one message may take; what is unfinished then is temperror."`
	SPF        duration `toml:"spf" help:"How long one SPF evaluation may take."`
	Signatures int      `toml:"signatures" help:"How many DKIM signatures of a message are verified."`
	Receivers  string   `toml:"receivers" help:"File with further receivers and rules, in the form of verify/receivers/receivers.toml; empty: the built-in ones alone."`
	Blocklists []string `toml:"blocklists" help:"DNS block and allow lists to ask about the client and the domains, by zone or as NAME=ZONE, at most 10; empty: none. Some want to be asked by a resolver of your own."`
	Spamd      string   `toml:"spamd" help:"SpamAssassin's spamd, HOST:PORT or the path of its socket; empty: it is not asked."`
}

type replySettings struct {
	Service    string   `toml:"service" help:"Local part of the address that tests are sent to."`
	From       string   `toml:"from" help:"Local part of the address that replies come from."`
	Selector   string   `toml:"selector" help:"Selector of the DKIM key of our replies."`
	Templates  string   `toml:"templates" help:"Folder with your own report.txt, report.html and words/LANGUAGE.toml, each in place of the built-in one or beside it; empty: the built-in ones."`
	Compatible bool     `toml:"compatible-subject" name:"compatible-subject" help:"Subject \"Authentication Report\" as Port25's, without the verdict."`
	Parts      []string `toml:"parts" help:"What a reply has beside the text: html (the report as a page), json (report.json), headers (headers.txt, which an unproved sender does not get)."`
	Size       size     `toml:"size" help:"Octets of a whole reply."`
	Queue      duration `toml:"queue" help:"How long a reply is tried."`
	Again      duration `toml:"again" help:"The same message again within this time is not answered twice, unless its client heard the first answer."`
	Operator   int      `toml:"operator-per-hour" name:"operator-per-hour" help:"Mails for the operator that are passed on, an hour; of that a client network has its share, and three at most."`
}

type logSettings struct {
	Level string `toml:"level" help:"debug, info, warn or error."`
	JSON  bool   `toml:"json" help:"One JSON object a line."`
}

// duration is written as 5m, 90s, 1h30m.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v <= 0 {
		return fmt.Errorf("%q: want a time above zero such as \"30s\", \"5m\" or \"24h\"", b)
	}
	*d = duration(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) {
	s := time.Duration(d).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return []byte(s), nil
}

// memoryLimit is a size; 0 is auto.
type memoryLimit int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *memoryLimit) UnmarshalText(b []byte) error {
	if string(b) == "auto" {
		*m = 0
		return nil
	}
	var z size
	if err := z.UnmarshalText(b); err != nil {
		return fmt.Errorf("%w, or \"auto\"", err)
	}
	*m = memoryLimit(z)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (m memoryLimit) MarshalText() ([]byte, error) {
	if m == 0 {
		return []byte("auto"), nil
	}
	return size(m).MarshalText()
}

// size is a number of octets, or with KiB or MiB.
type size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *size) UnmarshalText(b []byte) error {
	s, unit := string(b), int64(1)
	for name, n := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20} {
		if v, ok := strings.CutSuffix(s, name); ok {
			s, unit = strings.TrimSpace(v), n
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > (1<<62)/unit {
		return fmt.Errorf("%q: want octets above zero such as \"10MiB\", \"128KiB\" or \"65536\"", b)
	}
	*z = size(n * unit)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (z size) MarshalText() ([]byte, error) {
	switch {
	case z%(1<<20) == 0:
		return fmt.Appendf(nil, "%dMiB", z>>20), nil
	case z%(1<<10) == 0:
		return fmt.Appendf(nil, "%dKiB", z>>10), nil
	}
	return fmt.Appendf(nil, "%d", int64(z)), nil
}

// limit is a count above zero, or unlimited.
type limit int64

const unlimited limit = 1<<63 - 1

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *limit) UnmarshalText(b []byte) error {
	if string(b) == "unlimited" {
		*l = unlimited
		return nil
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n <= 0 {
		return fmt.Errorf("%q: want a number above zero, or \"unlimited\"", b)
	}
	*l = limit(n)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (l limit) MarshalText() ([]byte, error) {
	if l == unlimited {
		return []byte("unlimited"), nil
	}
	return strconv.AppendInt(nil, int64(l), 10), nil
}

// load reads a configuration file over s. The error names file, line, key and what is allowed.
func (s *settings) load(file string) error {
	b, err := folder.ReadRegular(file)
	if err != nil {
		return &exitError{exitConfig, fmt.Errorf("configuration: %w", err)}
	}
	f := tomlfile.File{Name: file, Body: b,
		Meant: func(path []string) string {
			return tomlfile.Nearest(strings.Join(path, "."), s.keys(), "see check-auth config for the keys that there are")
		},
		Want: func(key string) string {
			if f, ok := s.find(key); ok {
				return f.allowed()
			}
			return ""
		}}
	if err := f.Decode(s); err != nil {
		return &exitError{exitConfig, fmt.Errorf("configuration %w", err)}
	}
	s.places = map[string]string{}
	for _, p := range f.Places() { // for faults that are seen only when all values are there
		s.places[strings.TrimPrefix(p.Table+"."+p.Key, ".")] = fmt.Sprintf("%s, line %d", file, p.Line)
	}
	return nil
}

// setting is one key with its place in the struct.
type setting struct {
	key, help string
	value     reflect.Value
}

// all lists the settings in the struct's order.
func (s *settings) all() []setting { return walk("", reflect.ValueOf(s).Elem()) }

func walk(prefix string, v reflect.Value) []setting {
	var out []setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("toml") == "" {
			continue
		}
		key := prefix + f.Tag.Get("toml")
		if f.Tag.Get("help") == "" {
			out = append(out, walk(key+".", v.Field(i))...)
			continue
		}
		out = append(out, setting{key, f.Tag.Get("help"), v.Field(i)})
	}
	return out
}

func (s *settings) keys() []string {
	var out []string
	for _, f := range s.all() {
		out = append(out, f.key)
	}
	return out
}

func (s *settings) find(key string) (setting, bool) {
	all := s.all()
	i := slices.IndexFunc(all, func(f setting) bool { return f.key == key })
	if i < 0 {
		return setting{}, false
	}
	return all[i], true
}

// allowed says what a value of the setting looks like.
func (f setting) allowed() string {
	switch f.value.Interface().(type) {
	case duration:
		return `a time above zero such as "30s", "5m" or "24h", in quotes`
	case []duration:
		return `a list of times above zero such as ["1m", "1h"]`
	case size:
		return `octets above zero such as "10MiB" or 65536`
	case limit:
		return `a number above zero such as 10, or "unlimited"`
	case []netip.Prefix:
		return `networks such as ["192.0.2.0/24"]`
	case []string:
		return `a list of texts such as ["a", "b"]`
	case bool:
		return "true or false"
	case int:
		return "a number above zero such as 10"
	}
	return "a text in quotes"
}

// usable tells whether the value is above zero, where it is a bound. The file may hold bare numbers,
// which pass by UnmarshalText.
func (f setting) usable() bool {
	switch v := f.value.Interface().(type) {
	case duration:
		return v > 0
	case []duration:
		return len(v) > 0 && !slices.ContainsFunc(v, func(d duration) bool { return d <= 0 })
	case size:
		return v > 0
	case limit:
		return v > 0
	case int:
		return v > 0
	}
	return true
}

// text is the value as a flag takes it: lists with commas.
func (f setting) text() string {
	switch v := f.value.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case []netip.Prefix:
		return joined(v, netip.Prefix.String)
	case []duration:
		return joined(v, func(d duration) string { b, _ := d.MarshalText(); return string(b) })
	case interface{ MarshalText() ([]byte, error) }:
		b, _ := v.MarshalText() // the three types above never fail
		return string(b)
	default:
		return fmt.Sprint(v)
	}
}

func joined[T any](items []T, text func(T) string) string {
	var out []string
	for _, i := range items {
		out = append(out, text(i))
	}
	return strings.Join(out, ",")
}

// shown is the text without a password.
func (f setting) shown() string {
	if f.key == "store.url" {
		shown, _ := store.Masked(f.text())
		return shown
	}
	return f.text()
}

// flag is the setting's name on the command line.
func (f setting) flag() string { return strings.ReplaceAll(f.key, ".", "-") }

// setDefaults makes the values of the configuration file, or the built-in ones, the defaults of serve's
// flags, so that a flag wins over the file and --help shows what is in force. Faults of the file are
// kept for Run: --help must work with a broken file.
func setDefaults(root *kong.Node, c *serveCmd, args []string, e env) {
	s := defaults(e.getenv)
	if file := configFile(args); file != "" {
		if c.broken = s.load(file); c.broken == nil {
			c.broken = s.bounds()
		}
		c.places = s.places
	}
	if c.broken != nil {
		s = defaults(e.getenv)
	}
	values := map[string]setting{}
	for _, f := range s.all() {
		values[f.flag()] = f
	}
	for _, node := range root.Children {
		for _, group := range node.AllFlags(false) {
			for _, flag := range group {
				if f, ok := values[flag.Name]; ok {
					flag.Default, flag.HasDefault = f.text(), f.text() != "" && f.text() != "false"
					if shown := f.shown(); shown != f.text() {
						flag.PlaceHolder = strconv.Quote(shown) // in place of the default, in --help
					}
				}
			}
		}
	}
}

// configFile finds --config before kong has parsed the rest.
func configFile(args []string) string {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			return v
		}
		if a == "--config" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// stateDir: systemd's, or the user's own.
func stateDir(getenv func(string) string) string {
	if d := getenv("STATE_DIRECTORY"); d != "" {
		return d
	}
	if d := getenv("XDG_STATE_HOME"); d != "" {
		return filepath.Join(d, "check-auth")
	}
	if d := getenv("HOME"); d != "" {
		return filepath.Join(d, ".local", "state", "check-auth")
	}
	return "check-auth-state"
}
