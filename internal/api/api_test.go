package api

import (
	"strings"
	"testing"
)

func TestShorten(t *testing.T) {
	id := strings.Repeat("é", 64)
	for said, want := range map[string]string{"": "", "7f3a9c": "7f3a9c", id: id, id + "é": id + "…", strings.Repeat("x", 9999): strings.Repeat("x", 64) + "…"} {
		if got := Shorten(said); got != want {
			t.Errorf("Shorten(%q) = %q (expected %q)", said, got, want)
		}
	}
}
