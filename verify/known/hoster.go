package known

// readHosters reads the domains below which machines of customers have names.
func (a *Atlas) readHosters() error {
	var file struct {
		Hosters []string `toml:"hosters"`
	}
	if err := decode(hostersFile, &file); err != nil {
		return err
	}
	for i, domain := range file.Hosters {
		a.rented.add(i, "."+domain)
	}
	return nil
}

// Shared tells whether a name stands below the domain of a hoster, or is that of a host of a mail service: many
// people's machines have such names.
func (a *Atlas) Shared(name string) bool {
	if a == nil {
		return false
	}
	_, hoster := a.rented.find(name)
	_, service := a.hosts.find(name)
	return hoster || service
}
