package store_test

import (
	"net/url"
	"strings"
	"testing"

	"checkauth/reply/store"
)

func TestMasked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		clear    bool
	}{
		{"", "", true},
		{"postgres://check_auth@db.example.org/check_auth?sslmode=verify-full", "postgres://check_auth@db.example.org/check_auth?sslmode=verify-full", true},
		{"postgres://a:b@h/d", "postgres://a:xxxxx@h/d", true},
		{"postgresql://a:b%40c%2Fd@h1:5432,[::1]:5433,h3/d?sslmode=disable", "postgresql://a:xxxxx@h1:5432,[::1]:5433,h3/d?sslmode=disable", true},
		{"postgres://a:@h/d", "postgres://a:xxxxx@h/d", true},
		{"postgres://:b@h/d", "postgres://:xxxxx@h/d", true},
		{"postgres://a:b?c#d@h/d", "postgres://a:xxxxx@h/d", true},
		{"postgres://a:b:c@h/d", "postgres://a:xxxxx@h/d", true},
		{"postgres://h/d?user=a&password=b&sslpassword=c&sslmode=disable", "postgres://h/d?user=a&password=xxxxx&sslpassword=xxxxx&sslmode=disable", true},
		{"postgres://h/d?user=a&pass%77ord=b", "postgres://h/d?user=a&password=xxxxx", true},
		{"postgres:///d?host=/run/postgresql", "postgres:///d?host=/run/postgresql", true},
		// Nobody can tell where the password ends.
		{"postgres://a:b@c@h/d", "postgres://xxxxx", false},
		{"postgres://a:b/c@h/d", "postgres://xxxxx", false},
		{"postgres://a:12/c@h/d", "postgres://xxxxx", false},
		{"postgres://a:b/c?d@h/d", "postgres://xxxxx", false},
		{"postgres://a@h:b/d", "postgres://xxxxx", false},
		{"postgres://h/d?pass%7ord=b", "postgres://xxxxx", false},
		{"postgres:/a:b@h/d", "xxxxx", false},
		{"postgresq://a:b@h/d?sslmode=disable", "xxxxx", false},
		{"http://a:b@h/d", "xxxxx", false},
		{"db.example.org", "xxxxx", false},

		{"host=h user=a dbname=d", "host=h user=a dbname=d", true},
		{"host=h password=b user=a", "host=h password=xxxxx user=a", true},
		{" host = h  PASSWORD = 'b c\\'d' user='a b' ", "host=h PASSWORD=xxxxx user='a b'", true},
		{`host=h password=b\ c user=a`, "host=h password=xxxxx user=a", true},
		{"password= host=h", "password=xxxxx", true}, // so libpq and pgx read it: the blank is skipped
		{"host=h sslpassword=b", "host=h sslpassword=xxxxx", true},
		{"host=h password=b c", "xxxxx", false},
		{"host=h password='b c", "xxxxx", false},
		{"host=h password", "xxxxx", false},
	} {
		if got, clear := store.Masked(c.in); got != c.want || clear != c.clear {
			t.Errorf("%q: got %q, %t, want %q, %t", c.in, got, clear, c.want, c.clear)
		}
		if again, clear := store.Masked(c.want); c.clear && (again != c.want || !clear) {
			t.Errorf("%q: once more it is %q, %t", c.in, again, clear)
		}
	}
}

// secretly are spellings of a password that nobody else would have in a message.
var secretly = []string{
	"S3cr3tA", "S3cr3tA%40S3cr3tB", "S3cr3tA@S3cr3tB", "S3cr3tA/S3cr3tB", "S3cr3tA?S3cr3tB", "S3cr3tA#S3cr3tB", "S3cr3tA:S3cr3tB", "S3cr3tA%zzS3cr3tB", "S3cr3tA%S3cr3tB", "S3cr3tA S3cr3tB",
	"S3cr3tA'S3cr3tB", `S3cr3tA\S3cr3tB`, "S3cr3tA`: S3cr3tB", "S3cr3tA&S3cr3tB=c", "S3cr3tA\x00S3cr3tB", "[S3cr3tA", "S3cr3tA,S3cr3tB", "1/S3cr3tA", "1?S3cr3tA", "S%33cr3tA", "S3cr3tA%00S3cr3tB", "S3cr3tA\nS3cr3tB", "S3cr3tA=S3cr3tB",
}

// places of a password in a URL or in pairs.
var placesOfPasswords = []string{
	"postgres://u:PW@127.0.0.1:1/d?sslmode=disable", "postgresql://u:PW@127.0.0.1:1,127.0.0.1:2/d", "postgres://u:PW@/d", "postgres://u:PW@h:port/d", "postgres://u:PW@h/d?sslmode=nonsense", "postgres://u:PW@h/d?sslrootcert=/nowhere&sslmode=verify-full",
	"postgres://127.0.0.1:1/d?user=u&password=PW&sslmode=disable", "postgres://127.0.0.1:1/d?sslpassword=PW", "postgres://u@h/d?password=PW&sslmode=nonsense", "postgres:/u:PW@h/d", "postgress://u:PW@h/d?sslmode=disable", "u:PW@h/d",
	"host=127.0.0.1 port=1 user=u password=PW dbname=d sslmode=disable", "host=127.0.0.1 port=1 password='PW' sslmode=nonsense", "password=PW", "host=127.0.0.1 password = PW port=x", "host=127.0.0.1 password=PW port=1 x",
}

// What is shown of a URL, and what is wrong with one, tells no part of the password.
func TestNoPasswordInAFaultOfTheURL(t *testing.T) {
	t.Parallel()
	for _, place := range placesOfPasswords {
		for _, pw := range secretly {
			noPassword(t, strings.ReplaceAll(place, "PW", pw))
		}
	}
}

func noPassword(t *testing.T, dsn string) {
	t.Helper()
	if shown, _ := store.Masked(dsn); leaks(shown) {
		t.Errorf("%q: %q is shown", dsn, shown)
	}
	c := store.PostgresDefaults()
	c.URL, c.Node = dsn, "a"
	if err := c.Check(); err != nil && leaks(err.Error()) {
		t.Errorf("%q: the fault is %v", dsn, err)
	}
}

func leaks(text string) bool {
	plain, _ := url.PathUnescape(text)
	return strings.Contains(text+plain, "S3cr3t") || strings.Contains(text, "S%33cr3t")
}

func FuzzMasked(f *testing.F) {
	for _, place := range placesOfPasswords {
		f.Add(place, "%41")
	}
	f.Fuzz(func(t *testing.T, dsn, between string) {
		shown, clear := store.Masked(dsn)
		if again, _ := store.Masked(shown); clear && again != shown {
			t.Fatalf("%q: %q, and once more %q", dsn, shown, again)
		}
		for _, place := range placesOfPasswords[:3] {
			noPassword(t, strings.ReplaceAll(place, "PW", "S3cr3tA"+between+"S3cr3tB"))
		}
	})
}
