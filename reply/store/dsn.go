package store

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// hidden stands in the place of a password.
const hidden = "xxxxx"

// Masked is the URL of a database, or its KEY=VALUE pairs, without a password, to be shown. Where it is not clear what
// of it is the password all is left out, and clear is false: such as where a password has an @ or a / that is not
// percent-encoded. Such a URL is not connected to: part of the password would be looked up as a host's name.
func Masked(dsn string) (shown string, clear bool) {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(dsn, scheme); ok {
			if shown, ok = maskedURL(rest); !ok {
				shown = hidden
			}
			return scheme + shown, ok
		}
	}
	if shown, clear = maskedPairs(dsn); !clear {
		shown = hidden
	}
	return shown, clear
}

// maskedURL takes a URL apart as libpq and pgx do (postgresql.org/docs/current/libpq-connect.html, 32.1.1.2), behind
// its scheme.
func maskedURL(rest string) (string, bool) {
	user, named := "", false
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		name, _, has := strings.Cut(rest[:i], ":")
		if has {
			name += ":" + hidden
		}
		user, rest, named = name+"@", rest[i+1:], true
	}
	at, query, asks := strings.Cut(rest, "?")
	hosts, _, _ := strings.Cut(at, "/")
	if strings.Contains(at, "@") || !plainPorts(hosts) {
		return "", false
	}
	if !asks {
		return user + at, true
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		key, err := url.PathUnescape(key)
		switch {
		case err != nil || !word.MatchString(key) || !named && strings.Contains(value, "@"):
			return "", false
		case isSecret(key):
			pairs[i] = key + "=" + hidden
		}
	}
	return user + at + "?" + strings.Join(pairs, "&"), true
}

// plainPorts: what stands behind a colon is a number, in each of several hosts.
func plainPorts(hosts string) bool {
	for host := range strings.SplitSeq(hosts, ",") {
		if strings.HasPrefix(host, "[") {
			_, host, _ = strings.Cut(host, "]")
		}
		if _, port, _ := strings.Cut(host, ":"); strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	return true
}

// word is what a parameter's name looks like.
var word = regexp.MustCompile(`^[A-Za-z_.]+$`)

// isSecret: password, sslpassword, oauth_client_secret and their like.
func isSecret(key string) bool {
	key = strings.ToLower(key)
	return strings.Contains(key, "password") || strings.Contains(key, "secret") || strings.Contains(key, "token")
}

const blanks = " \t\n\r\v\f"

// maskedPairs takes KEY=VALUE pairs apart (libpq-connect, 32.1.1.1). They come out with one blank between two.
func maskedPairs(s string) (string, bool) {
	var out []string
	for s = strings.TrimLeft(s, blanks); s != ""; s = strings.TrimLeft(s, blanks) {
		key, rest, ok := strings.Cut(s, "=")
		if key = strings.Trim(key, blanks); !ok || !word.MatchString(key) {
			return "", false
		}
		s = strings.TrimLeft(rest, blanks)
		n, ok := valueEnd(s)
		if !ok {
			return "", false
		}
		value := s[:n]
		if isSecret(key) {
			value = hidden
		}
		out, s = append(out, key+"="+value), s[n:]
	}
	return strings.Join(out, " "), true
}

// valueEnd is where a value ends, with its quotes.
func valueEnd(s string) (int, bool) {
	quoted := strings.HasPrefix(s, "'")
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case quoted && i > 0 && s[i] == '\'':
			return i + 1, true
		case !quoted && strings.IndexByte(blanks, s[i]) >= 0:
			return i, true
		}
	}
	return len(s), !quoted
}

// What may be wrong with a URL that has a password in it.
var (
	errUnclear  = errors.New("its parts cannot be told from each other")
	errPassword = errors.New("its password is not in the form of RFC 3986, 2.1")
)

// urlFault is what is wrong with a URL, without a password in it.
type urlFault struct {
	text  string
	cause error
}

func (f *urlFault) Error() string        { return f.text }
func (f *urlFault) Unwrap() error        { return f.cause }
func (f *urlFault) Is(target error) bool { return target == ErrURL }

// unreadable is a URL that cannot be used. What pgx says names the part that it is about, which may be the password: so
// it is asked again, without one.
func unreadable(dsn string, err error) error {
	shown, clear := Masked(dsn)
	if clear {
		_, again := pgx.ParseConfig(shown)
		err = cmp.Or(again, errPassword)
	}
	_, why, ok := strings.Cut(err.Error(), "`: ") // behind the URL
	if !ok {
		why = err.Error()
	}
	return &urlFault{fmt.Sprintf("store: %v: %q: %s: want postgres://USER@HOST:PORT/DATABASE, and the password in store.password-file "+
		"or with %%40 for @, %%2F for / and so on", ErrURL, shown, why), err}
}
