package main

import (
	"slices"
	"testing"
)

func TestSplitEmitsLongestRunsOfLettersInLowerCase(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                 nil,
		" ... 42 ":                         nil,
		"Call me Ishmael.":                 {"call", "me", "ishmael"},
		"it's THE-end":                     {"it", "s", "the", "end"},
		"na\u00efve \u212aelvin caf\u00e9": {"na", "ve", "elvin", "caf"},
		"\tx\x00y\xffz":                    {"x", "y", "z"},
	} {
		var got []string
		split(line, func(word string) { got = append(got, word) })
		if !slices.Equal(got, want) {
			t.Errorf("split(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestAddCounts(t *testing.T) {
	word, n := one("whale")
	if word != "whale" || add(add(n, n), n) != 3 {
		t.Errorf("one, add: %q, %d", word, add(add(n, n), n))
	}
}
