package known

import (
	"fmt"
	"strings"

	"checkauth/verify/dns"
	"checkauth/verify/result"
)

// What a panel takes in its field for the name of a record.
const (
	Relative = "relative" // what stands in front of the zone; the panel appends the zone
	Full     = "full"     // the whole name
	Either   = "either"   // also of quotes
)

// What a panel does with a TXT value that is longer than one string of 255 octets.
const (
	Auto   = "auto"   // it splits the value
	Manual = "manual" // the user splits it into quoted strings
	Limit  = "limit"  // it refuses such a value
)

// Who types the quotes around a value; Either is the third.
const (
	Added  = "added"  // the panel, so that they are not to be typed
	Needed = "needed" // the user
)

// Panel is where the records of a zone are changed. Menus move, and their words are mostly general
// knowledge: print them as what is usual.
type Panel struct {
	ID        string
	Name      string
	Or        string   // ID of another panel whose zones have the same name servers; "" where there is none
	Path      string   // to a new TXT record, in the product's own words; "" where there are no menus
	Others    []string // where else it may be: a path, or its end
	DKIMPath  string   // to a key that the panel makes itself; "" where it makes none
	NameField string   // Relative, Full, Either
	LongTXT   string   // Auto, Manual, Limit
	Quotes    string   // Added, Needed, Either
	Traps     []result.Reason
	// Certain: the name servers are this panel's by public tables. Where not, and for a panel that was not
	// found by its name servers, it is what is usual.
	Certain bool
	// TrapsCertain: the traps were read in documents.
	TrapsCertain bool
}

// panelEntry is a panel in the file.
type panelEntry struct {
	ID           string        `toml:"id"`
	Name         string        `toml:"name"`
	NS           []string      `toml:"ns"`
	NSRegexp     string        `toml:"ns_regexp"`
	Or           string        `toml:"or"`
	Path         string        `toml:"path"`
	Others       []string      `toml:"others"`
	DKIMPath     string        `toml:"dkim_path"`
	NameField    string        `toml:"name_field"`
	LongTXT      string        `toml:"long_txt"`
	Quotes       string        `toml:"quotes"`
	Traps        []result.Code `toml:"traps"`
	Certain      bool          `toml:"certain"`
	TrapsCertain bool          `toml:"traps_certain"`
}

func (a *Atlas) readPanels() error {
	var file struct {
		Panels []panelEntry `toml:"panel"`
	}
	if err := decode(panelsFile, &file); err != nil {
		return err
	}
	for i := range file.Panels {
		e := &file.Panels[i]
		traps, err := said(e.Traps)
		if err != nil {
			return fmt.Errorf("panel %q: %w", e.ID, err)
		}
		a.nameServers.add(i, e.NS...)
		if err := a.nameServers.addPattern(i, e.NSRegexp); err != nil {
			return fmt.Errorf("panel %q: %w", e.ID, err)
		}
		a.panels = append(a.panels, Panel{
			ID: e.ID, Name: e.Name, Or: e.Or, Path: e.Path, Others: e.Others, DKIMPath: e.DKIMPath,
			NameField: e.NameField, LongTXT: e.LongTXT, Quotes: e.Quotes,
			Traps: traps, Certain: e.Certain, TrapsCertain: e.TrapsCertain,
		})
	}
	return nil
}

// Panel finds who hosts a zone by the names of its servers: more than half of them are one panel's, and
// none another's.
func (a *Atlas) Panel(nameServers []string) (Panel, bool) {
	found, count := nobody, 0
	for _, ns := range nameServers {
		entry, ok := a.nameServers.find(ns)
		if !ok {
			continue
		}
		if found != nobody && entry != found {
			// Who of the two has the records to be changed cannot be told from outside.
			return Panel{}, false
		}
		found, count = entry, count+1
	}
	if 2*count <= len(nameServers) {
		return Panel{}, false
	}
	return a.panels[found], true
}

// PanelByID is for panels on the customers' own servers, whose name servers tell nothing: cpanel, plesk,
// directadmin, bind, windows-dns.
func (a *Atlas) PanelByID(id string) (Panel, bool) {
	for i := range a.panels {
		if a.panels[i].ID == id {
			return a.panels[i], true
		}
	}
	return Panel{}, false
}

// NameIn is what to type into the panel's field for the name of a record with that owner: without final
// dot, and @ for the zone itself where the panel takes what stands in front of the zone.
func (p Panel) NameIn(owner, zone string) string {
	owner, zone = dns.Canonical(owner), dns.Canonical(zone)
	if p.NameField == Full {
		return owner
	}
	if owner == zone {
		return "@"
	}
	return strings.TrimSuffix(owner, "."+zone)
}
