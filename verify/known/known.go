// Package known tells who hosts a zone, whose mail service a host belongs to, and which software wrote a
// Received field; and for each what somebody has to know to make a change there. The facts are data:
// panels.toml, providers.toml, servers.toml and hosters.toml.
//
// It is for words and places alone: what it finds of a stranger's names is a guess by their spelling, and
// proves nothing. It asks no DNS, so who advises a term has to look it up.
package known

import (
	_ "embed"
	"fmt"

	"checkauth/verify/result"
	"checkauth/verify/tomlfile"
)

var (
	//go:embed panels.toml
	panelsFile string
	//go:embed providers.toml
	providersFile string
	//go:embed servers.toml
	serversFile string
	//go:embed hosters.toml
	hostersFile string
)

// Atlas is what is known. It does not change, and nobody may change what its slices hold: one serves any
// number of goroutines.
type Atlas struct {
	panels    []Panel
	providers []Provider
	servers   []MailServer

	nameServers index // of panels
	targets     index // of MX records: providers
	hosts       index // that send, domains in MAIL FROM and d=: providers
	includes    index // of SPF terms: providers
	bounces     index // domains in MAIL FROM that are providers'
	rented      index // names of hosters' customers' machines
	returns     index // of MX records of customers' domains in MAIL FROM: providers
}

// Load reads the files. Where it fails they are broken, and so is the program.
func Load() (*Atlas, error) {
	a := &Atlas{}
	for _, f := range []struct {
		name string
		read func() error
	}{
		{"panels.toml", a.readPanels}, {"providers.toml", a.readProviders}, {"servers.toml", a.readServers},
		{"hosters.toml", a.readHosters},
	} {
		if err := f.read(); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return a, nil
}

func decode(text string, into any) error {
	return tomlfile.File{Name: "built-in file", Body: []byte(text)}.Decode(into)
}

// said gives the reasons of codes in a file.
func said(codes []result.Code) ([]result.Reason, error) {
	var out []result.Reason
	for _, c := range codes {
		r, ok := remarks[c]
		if !ok {
			return nil, fmt.Errorf("unknown code %q: put it into codes.go, with its sentence in the words", c)
		}
		out = append(out, r)
	}
	return out, nil
}
