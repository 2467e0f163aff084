package known

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"checkauth/verify/known/knowntest"
	"checkauth/verify/mail"
)

func TestServerOf(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	for _, c := range []struct {
		name, received, fields, want string
	}{
		{"Postfix", "from a (a [192.0.2.1])\r\n\t(using TLSv1.3)\r\n\tby mail.example.org (Postfix) with ESMTPS id 4X; Mon, 23 Nov 2026 10:00:00 +0000", "", "postfix"},
		{"Postfix, by sendmail(1)", "by mail.example.org (Postfix, from userid 33)\r\n\tid 4X; Mon, 23 Nov 2026 10:00:00 +0000", "Subject", "postfix"},
		{"Postfix of Plesk", "by mail.example.org (Postfix) with ESMTP id 4X; date", "Subject x-ppp-vhost", "plesk-postfix"},
		{"Postfix in a HELO name", "from (Postfix) by mail.example.org with ESMTP id 4X; date", "", ""},
		{"Exim", "from a ([192.0.2.1])\r\n\tby mail.example.org with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.96)\r\n\t(envelope-from <a@example.org>)\r\n\tid 1abc-0; date", "", "exim-debian"},
		{"Exim of cPanel", "from a by mail.example.org with esmtpsa (TLS1.2) (Exim 4.97.1) (envelope-from <a@example.org>) id 1abc-0; date", "X-AntiAbuse", "exim-cpanel"},
		{"the field without Exim", "by mail.example.org (Postfix) with ESMTP id 4X; date", "X-AntiAbuse", "postfix"},
		{"Sendmail", "from a (a [192.0.2.1])\r\n\tby mail.example.org (8.17.1/8.17.1/Debian-2) with ESMTPS id 4A; date", "", "sendmail"},
		{"OpenSMTPD", "from a (a [192.0.2.1])\r\n\tby mail.example.org (OpenSMTPD) with ESMTPS id 12; date", "", "opensmtpd"},
		{"qmail", "(qmail 12345 invoked by uid 1000); 23 Nov 2026 10:00:00 -0000", "", "qmail-plesk"},
		{"Exchange", "from a.example.org (192.0.2.1) by mail.example.org (192.0.2.2) with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15.2.1258.12; date", "", "exchange"},
		{"Exchange Online", "from a.prod.outlook.com (2001:db8::1) by b.eurprd01.prod.outlook.com (2001:db8::2) with Microsoft SMTP Server (version=TLS1_3, cipher=X) id 15.20.8158.17; date", "", ""},
		{"hMailServer", "from a (a [192.0.2.1])\r\n\tby mail.example.org with ESMTPSA\r\n\t; Mon, 23 Nov 2026 10:00:00 +0000", "", "hmailserver"},
		{"MailEnable", "from a ([192.0.2.1]) by mail.example.org with MailEnable ESMTP; date", "", "mailenable"},
		{"Haraka", "from a (a [192.0.2.1])\r\n\tby mail.example.org (Haraka/3.0.3) with ESMTPSA id 4A.1; date", "", "haraka"},
		{"another", "from a by mail.example.org with SMTP id 4X; date", "", ""},
		{"nothing", "", "", ""},
		{"too far behind", "by " + strings.Repeat("a ", readUpTo) + "by a (Postfix)", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// What hosts before that one wrote does not count.
			got, ok := a.ServerOf([]string{c.received, "by b.example.org (OpenSMTPD) with ESMTP id 1; date"}, strings.Fields(c.fields))
			if got.ID != c.want || ok != (c.want != "") {
				t.Errorf("%q: got %q, %v, want %q", c.received, got.ID, ok, c.want)
			}
		})
	}
	if got, ok := a.ServerOf(nil, []string{"X-AntiAbuse"}); ok {
		t.Errorf("no Received: got %q", got.ID)
	}
}

func TestServersAreWhole(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	for _, m := range a.servers {
		if m.received.String() == "" || m.received.MatchString("") {
			t.Errorf("%s: received %q finds everything", m.ID, m.received)
		}
		for k, s := range m.settings {
			for _, text := range s.set {
				if text == "" || strings.TrimSpace(text) != text || !onlyPlaceholders(text, "{host}", "{domain}", "{ip}") {
					t.Errorf("%s, %s: %q", m.ID, k, text)
				}
			}
			if got := m.Directives(k, full); k != sourceIP6 && len(got) != len(s.set) {
				t.Errorf("%s, %s: %d of %d directives with all that they want", m.ID, k, len(got), len(s.set))
			}
			for _, note := range s.notes {
				if !strings.HasPrefix(string(note.Code), "setting-") {
					t.Errorf("%s, %s: %s is no setting", m.ID, k, note)
				}
			}
		}
	}
}

// full is all that a directive can want.
var full = Args{Host: "mail.example.org", Domain: "example.org", IP: netip.MustParseAddr("192.0.2.1")}

// What is printed is copied: nothing that breaks a server or does nothing, nothing that is yet to be filled in, and no
// name without its value. Every purpose of every product is looked at, also those that no advice names yet.
func TestSettings_are_right_as_they_are_printed(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	seen := 0
	for _, m := range a.servers {
		for _, k := range kinds {
			for _, text := range m.Directives(k, full) {
				seen++
				if why := knowntest.Refused(t, m.Name+": "+text); why != "" {
					t.Errorf("%s, %s: %q: %s", m.ID, k, text, why)
				}
				for line := range strings.Lines(text) {
					if why := incomplete(strings.TrimSpace(line)); why != "" {
						t.Errorf("%s, %s: %q %s", m.ID, k, line, why)
					}
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("%d directives: the walk is broken", seen)
	}
}

// incomplete says what a line of a directive lacks.
func incomplete(line string) string {
	if strings.ContainsAny(line, "{}") && !strings.Contains(line, "${") || strings.Contains(line, "...") {
		return "has a placeholder that nothing fills"
	}
	_, what, inFile := strings.Cut(line, ": ")
	if !inFile {
		what = line
	}
	name, value, assigned := strings.Cut(what, "=")
	put := slices.Contains([]string{full.Host, full.Domain, full.IP.String()}, what)
	switch {
	case strings.HasSuffix(line, ":"), assigned && (strings.TrimSpace(name) == "" || strings.TrimSpace(value) == ""):
		return "lacks its value"
	case !assigned && !put && !strings.ContainsAny(what, " (") && !strings.Contains(line, " > "):
		return "is a name without a value"
	}
	return ""
}

func TestIncomplete(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"main.cf: smtp_tls_security_level = may": false, "/var/qmail/control/helohost: mail.example.org": false, "Domains > example.org > DKIM Signing": false,
		"opendkim.conf: OversignHeaders From": false, "main.cf: myorigin = $mydomain": false,
		"qmail-queue": true, "conf: DKIM_SIGN_HEADERS": true, "conf: DKIM_SIGN_HEADERS =": true, "config/dkim/example.org/selector: {selector}": true,
		"relaxed/relaxed": true, "dkim_signing.conf: sign_headers = \"(o)from:...\"": true, "main.cf:": true,
	} {
		if got := incomplete(line); (got != "") != want {
			t.Errorf("%q: got %q", line, got)
		}
	}
}

// The file is matched against the value of the field, which does not begin with its name. Each server is found in its own
// fields, and no other takes them for its own but the product that it is a variety of.
func TestServerOf_finds_each_product_in_real_fields(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	general := map[string]string{"plesk-postfix": "postfix", "exim-cpanel": "exim-debian"}
	found := map[string]bool{}
	for _, s := range knowntest.Samples {
		fields, err := mail.Parse([]byte(strings.ReplaceAll(s.Header, "\n", "\r\n")), mail.DefaultBounds())
		if err != nil {
			t.Fatal(err)
		}
		var received, names []string
		for _, f := range fields {
			names = append(names, f.Name)
		}
		for _, f := range fields.All("Received") {
			received = append(received, f.Value())
		}
		got, _ := a.ServerOf(received, names)
		if got.ID != s.Server {
			t.Errorf("%s: taken for %q\n%s", s.Server, got.ID, s.Header)
		}
		found[s.Server] = true
		text := strings.Join(strings.Fields(received[0]), " ")
		for i := range a.servers {
			if m := &a.servers[i]; m.ID != s.Server && m.ID != general[s.Server] && m.wrote(text, names) {
				t.Errorf("%s: %s takes it for its own\n%s", s.Server, m.ID, s.Header)
			}
		}
	}
	for _, m := range a.servers {
		if !found[m.ID] {
			t.Errorf("%s: no real Received field of it in knowntest", m.ID)
		}
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	var got []string
	for _, m := range a.Servers() {
		got = append(got, m.ID)
		if again, ok := a.ServerByID(m.ID); !ok || again.Name != m.Name {
			t.Errorf("%s by id: got %q", m.ID, again.Name)
		}
	}
	if want := []string{"postfix", "exim-debian", "qmail-plesk", "sendmail", "exchange"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, ok := a.ServerByID("pigeon"); ok {
		t.Error("found an id that is not there")
	}
}

func TestDirective(t *testing.T) {
	t.Parallel()
	a := atlas(t)
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, c := range []struct {
		server string
		kind   Kind
		args   Args
		want   string
	}{
		{"postfix", Helo, Args{Host: "mail.example.org"}, "main.cf: smtp_helo_name = mail.example.org"},
		{"postfix", Helo, Args{Domain: "example.org"}, ""},
		{"postfix", SourceIP, Args{IP: four}, "main.cf: smtp_bind_address = 192.0.2.1"},
		{"postfix", SourceIP, Args{IP: six}, "main.cf: smtp_bind_address6 = 2001:db8::1"},
		{"postfix", SourceIP, Args{IP: netip.MustParseAddr("::ffff:192.0.2.1")}, "main.cf: smtp_bind_address = 192.0.2.1"},
		{"postfix", SourceIP, Args{}, ""},
		{"exim-debian", SourceIP, Args{IP: six}, "/etc/exim4/exim4.conf.localmacros (conf.d/main/000_local if split): REMOTE_SMTP_INTERFACE = <; 2001:db8::1"},
		{"opensmtpd", SourceIP, Args{IP: six}, "smtpd.conf, action that relays: src 2001:db8::1"},
		{"sendmail", Helo, Args{Host: "mail.example.org"}, "sendmail.mc: define(`confHELO_NAME', `mail.example.org')dnl"},
		{"exchange", Helo, Args{Host: "mail.example.org"}, "Set-SendConnector -Identity NAME -Fqdn mail.example.org"},
		{"qmail-plesk", Helo, Args{Host: "{domain}", Domain: "example.org"}, "/var/qmail/control/helohost: {domain}"}, // what is put in is not looked at again
		{"exchange", DKIM, Args{Host: "mail.example.org"}, ""},
		{"postfix", "colour", Args{}, ""},
	} {
		m, ok := a.ServerByID(c.server)
		if !ok {
			t.Fatalf("no server %s", c.server)
		}
		if got := m.Directive(c.kind, c.args); got != c.want {
			t.Errorf("%s, %s, %+v: got %q, want %q", c.server, c.kind, c.args, got, c.want)
		}
	}
	exchange, _ := a.ServerByID("exchange")
	if notes := exchange.Notes(DKIM); len(notes) != 1 || notes[0].Code != "setting-cannot-sign" {
		t.Errorf("exchange, dkim: got %v", notes)
	}
}

func FuzzServerOf(f *testing.F) {
	a := atlas(f)
	f.Add("from a by mail.example.org (Postfix) with ESMTPS id 4X; date", "X-PPP-Vhost")
	f.Add("by a with esmtps (Exim 4.96) id 1", "x-antiabuse")
	f.Add("(qmail 1 invoked by uid 0); date", "")
	f.Add("\xff\x00 by \u2028(8.1/8.1) with Microsoft SMTP Server id 15.20.", "X-AntiAbuse")
	f.Fuzz(func(t *testing.T, received, field string) {
		m, ok := a.ServerOf([]string{received}, []string{field})
		if _, known := a.ServerByID(m.ID); known != ok {
			t.Fatalf("%q: %q, %v", received, m.ID, ok)
		}
		if len(received) > readUpTo {
			cut, _ := a.ServerOf([]string{received[:readUpTo]}, []string{field})
			if cut.ID != m.ID {
				t.Fatalf("%q: %q, and %q of its beginning", received, m.ID, cut.ID)
			}
		}
		// Folds are white space.
		folded, _ := a.ServerOf([]string{strings.ReplaceAll(received, " ", "\r\n\t")}, []string{field})
		if folded.ID != m.ID && len(received)*3 <= readUpTo {
			t.Fatalf("%q: %q, folded %q", received, m.ID, folded.ID)
		}
	})
}
