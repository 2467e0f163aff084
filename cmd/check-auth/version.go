package main

import "runtime/debug"

// version is what this program was built from: the module's version, or the commit that it was built in.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	v := set["vcs.revision"]
	if v == "" {
		return "unknown"
	}
	v = v[:min(len(v), 12)]
	if set["vcs.modified"] == "true" {
		v += "+dirty"
	}
	return v
}
