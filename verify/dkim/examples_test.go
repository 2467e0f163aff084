package dkim

import (
	"strings"
	"testing"

	"checkauth/verify/dns/dnstest"
	"checkauth/verify/result"
)

// The examples of the RFCs, with their published keys.

const exampleRFC6376 = `DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
        4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
        KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
        4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
`

const exampleRFC8463 = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`

const (
	keyRFC6376    = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
	keyRFC8463    = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	keyRFC8463RSA = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)

func exampleZone() string {
	return txt("brisbane._domainkey.example.com", keyRFC6376) +
		txt("brisbane._domainkey.football.example.com", keyRFC8463) +
		txt("test._domainkey.football.example.com", keyRFC8463RSA)
}

func wire(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestRFC6376_A_2_example(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: dnstest.Zone(t, exampleZone())}
	s := one(t, checked(t, v, wire(exampleRFC6376)), result.Pass, "dkim-key-weak")
	if s.Domain != "example.com" || s.Identity != "joe@football.example.com" || s.Reason.Code != "dkim-matches-from" {
		t.Errorf("got d=%s i=%s (%s)", s.Domain, s.Identity, s.Reason)
	}
	for _, c := range []struct {
		name, from, to string
		code           result.Code
	}{
		{"the body", "game.", "game!", "dkim-body-changed"},
		{"the subject", "dinner", "supper", "dkim-header-changed"},
	} {
		one(t, checked(t, v, wire(strings.Replace(exampleRFC6376, c.from, c.to, 1))), result.Fail, c.code, "dkim-key-weak")
	}
}

func TestRFC8463_A_3_example(t *testing.T) {
	t.Parallel()
	v := Verifier{DNS: dnstest.Zone(t, exampleZone())}
	r := checked(t, v, wire(exampleRFC8463))
	if got := words(r); got != "pass pass" {
		t.Fatalf("got %s (%v), want pass pass", got, r)
	}
	for i, want := range []struct {
		algorithm, kind string
		bits            int
	}{{"ed25519-sha256", "ed25519", 256}, {"rsa-sha256", "rsa", 1024}} {
		if s := r.Signatures[i]; s.Algorithm != want.algorithm || s.Key.Type != want.kind || s.Key.Bits != want.bits || !s.Strong {
			t.Errorf("signature %d: got %s, %+v, From signed as absent %t", i, s.Algorithm, s.Key, s.Strong)
		}
	}
	broken := strings.Replace(exampleRFC8463, "Joe.", "Jo.", 1)
	if got := words(checked(t, v, wire(broken))); got != "fail fail" {
		t.Errorf("with another body: got %s, want fail fail", got)
	}
}
