package compose

import (
	"reflect"
	"slices"
	"strings"

	"checkauth/verify"
	"checkauth/verify/naming"
	"checkauth/verify/result"
)

// mark gives the arguments of a report that was read from JSON the provenance that the checks give them, as far as their form
// tells: names are those of their domains, numbers and this program's words are ours, and what stands in a record is that
// domain's. All else stays a stranger's.
func mark(r *verify.Report) {
	marker{evidenceIn(r)}.walk(reflect.ValueOf(r).Elem())
}

type marker struct{ evidence []result.Evidence }

func (m marker) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			m.walk(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			m.walk(v.Index(i))
		}
	case reflect.Struct:
		switch x := v.Addr().Interface().(type) {
		case *result.Arg:
			x.From = m.from(x.Name, x.Value)
			return
		case *result.Text:
			x.From = result.Ourselves // a setting
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				m.walk(v.Field(i))
			}
		}
	}
}

// ourArguments have this program's own words.
var ourArguments = []string{"method", "policy", "result", "rcode", "type", "until", "date", "code", "list", "provider", "vendor", "family", "want", "octets", "field", "fields", "was", "is", "spf", "dkim", "dmarc", "where", "panel", "path", "version", "cipher", "near"}

func (m marker) from(name, value string) result.From {
	if value == "" || slices.Contains(ourArguments, name) || strings.Trim(value, "0123456789abcdef.:-/ ") == "" {
		return result.Ourselves
	}
	from := result.Ourselves
	for part := range strings.SplitSeq(value, ", ") {
		host, ok := naming.Host(strings.TrimPrefix(part, "_dmarc."))
		if !ok || !strings.Contains(host, ".") {
			from = result.Stranger
			break
		}
		from = from.And(result.Of(part))
	}
	if from != result.Stranger {
		return from
	}
	for _, e := range m.evidence {
		for _, d := range e.Data {
			if strings.Contains(strings.ReplaceAll(d, `" "`, ""), value) && e.Type != "PTR" {
				return result.Of(e.Name)
			}
		}
	}
	return result.Stranger
}
