package known

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
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
	full := Args{Host: "mail.example.org", Domain: "example.org", Selector: "s1", IP: netip.MustParseAddr("192.0.2.1")}
	for _, m := range a.servers {
		if m.received.String() == "" || m.received.MatchString("") {
			t.Errorf("%s: received %q finds everything", m.ID, m.received)
		}
		for _, k := range []Kind{Helo, SourceIP, IPv6Off, DKIM, Canon, Footer, TLS, Reload} {
			if len(m.Directives(k, full)) == 0 && len(m.Notes(k)) == 0 {
				t.Errorf("%s: nothing on %s", m.ID, k)
			}
		}
		for k, s := range m.settings {
			for _, text := range s.set {
				if text == "" || strings.TrimSpace(text) != text || !onlyPlaceholders(text, "{host}", "{domain}", "{ip}", "{selector}") {
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
		{"exim-debian", SourceIP, Args{IP: six}, "/etc/exim4/conf.d/main/000_local: REMOTE_SMTP_INTERFACE = <; 2001:db8::1"},
		{"opensmtpd", SourceIP, Args{IP: six}, `smtpd.conf: action "out" relay src 2001:db8::1`},
		{"sendmail", Helo, Args{Host: "mail.example.org"}, "sendmail.mc: define(`confDOMAIN_NAME', `mail.example.org')dnl"},
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
	exim, _ := a.ServerByID("exim-debian")
	signing := exim.Directives(DKIM, Args{Domain: "example.org", Selector: "s1"})
	if len(signing) != 3 || !strings.Contains(signing[0], "DKIM_DOMAIN = example.org\n") || !strings.Contains(signing[1], "${lc:${domain:$h_from:}}\n") {
		t.Errorf("exim, dkim: got %q", signing)
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
