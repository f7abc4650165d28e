package graph

import (
	"unicode"
	"unicode/utf8"
)

// MaxName is how many bytes a name may have.
const MaxName = 128

// CheckName refuses what cannot be a name: names stand in logs, tables and terminals. path leads to it.
func CheckName(path, name string) error {
	switch {
	case name == "":
		return faultf(path, "empty (expected a name)")
	case len(name) > MaxName:
		return faultf(path, "%d bytes (expected <= %d)", len(name), MaxName)
	case !utf8.ValidString(name):
		return faultf(path, "%q (expected valid UTF-8)", name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return faultf(path, "%q (expected printable characters, not %q)", name, r)
		}
	}
	return nil
}
