package tomlfile

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

type decoded struct {
	Port  int `toml:"port"`
	Table struct {
		Name string `toml:"name"`
	} `toml:"table"`
	Rule []struct {
		ID string `toml:"id"`
	} `toml:"rule"`
}

func TestDecode_names_each_fault(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"port = 25\n[table]\nname = \"x\"\n":   nil,
		"prot = 25\n\n[table]\nnmae = \"x\"\n": {`f.toml, line 1: unknown key "prot": did you mean "port"?`, `f.toml, line 4: unknown key "table.nmae": none is near`},
		"\nport = \"x\"\n":                     {"f.toml, line 2, column 8: port: want a number"},
		"port = \n":                            {"f.toml, line 1, column "},
	} {
		f := File{Name: "f.toml", Body: []byte(in), Want: func(key string) string { return map[string]string{"port": "a number"}[key] },
			Meant: func(path []string) string { return Nearest(path[len(path)-1], []string{"port"}, "none is near") }}
		var into decoded
		err := f.Decode(&into)
		if len(want) == 0 && err != nil {
			t.Errorf("%q: %v", in, err)
		}
		for _, w := range want {
			if !strings.Contains(fmt.Sprint(err), w) {
				t.Errorf("%q: got %v, want %q", in, err, w)
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	got := File{Body: []byte("port = 25\n[table]\nname = \"x\"\n[[rule]]\nid = \"a\"\n\n[[rule]]\nid = \"b\"\n")}.Places()
	want := []Place{{"", -1, "port", 1}, {"table", -1, "", 2}, {"table", -1, "name", 3}, {"rule", 0, "", 4}, {"rule", 0, "id", 5}, {"rule", 1, "", 7}, {"rule", 1, "id", 8}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"port = 25", "[[rule]]\nid = 1", "[table", "a.b.c = {x=1}", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		file := File{Name: "f", Body: []byte(body), Meant: func([]string) string { return "" }}
		var into decoded
		if err := file.Decode(&into); err != nil && !strings.HasPrefix(err.Error(), "f") {
			t.Errorf("%q: the error does not name the file: %v", body, err)
		}
		file.Places()
	})
}
