package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"checkauth/verify/dns/client"
)

// stay makes the process one that outlives the reader of its output and the terminal. The channel tells of SIGHUP.
//
// A log that nobody reads any more, as while journald is started anew, is no reason to end: the write fails and we
// go on. The other commands keep what Go does by itself: they end when the reader of their output does.
func stay() <-chan os.Signal {
	signal.Ignore(syscall.SIGPIPE)
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}

// resolversEvery is how often the file of the system's resolvers is read.
const resolversEvery = 5 * time.Second

// keepUp follows the system's resolvers and SIGHUP until the context ends.
func (v *service) keepUp(ctx context.Context) error {
	t := time.NewTicker(resolversEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			v.resolvers.look()
		case <-v.hangUps:
			v.reload()
		}
	}
}

// reload is SIGHUP, as of certbot's deploy hook.
func (v *service) reload() {
	v.certificate.Reload() // says itself what is wrong with it
	certificate := cmp.Or(v.certificate.files.Certificate, "none is configured")
	resolvers := "those of the configuration"
	if r := v.resolvers; r != nil {
		resolvers = r.file
		r.failed = "" // who asks hears of it again
		if !r.look() {
			resolvers = "those before"
		}
	}
	v.log.Info("SIGHUP: certificate and resolvers were read again, the configuration is read at a start alone",
		"certificate", certificate, "resolvers", resolvers)
}

// systemResolvers keeps a client's servers those of a file such as /etc/resolv.conf.
type systemResolvers struct {
	client *client.Client
	file   string
	trust  bool // resolver.trust-ad: whatever the file says
	log    *slog.Logger
	failed string // the last error, said once
}

// look reads the file. Reading it costs less than being wrong about whether it has changed. False: it cannot be used,
// and the servers stay.
func (r *systemResolvers) look() bool {
	if r == nil {
		return true
	}
	servers, trust, err := client.FromResolvConf(r.file)
	changed := false
	if err == nil {
		changed, err = r.client.Use(servers, r.trust || trust)
	}
	switch {
	case err != nil && err.Error() == r.failed:
		return false
	case err != nil:
		r.failed = err.Error()
		r.log.Warn("the resolvers' file cannot be used, the servers before stay in use", "error", err)
		return false
	case changed:
		r.log.Info("the resolvers have changed", "file", r.file, "servers", servers, "trust-ad", r.trust || trust)
	case r.failed != "":
		r.log.Info("the resolvers' file can be used again", "file", r.file, "servers", servers)
	}
	r.failed = ""
	return true
}
