package main

import "testing"

func TestFieldsOfALine(t *testing.T) {
	const text = "ann,1500,a banner, wide"
	if field(text, 0) != "ann" || timeOf(text) != 1500 || field(text, 2) != "a banner, wide" {
		t.Errorf("%q, %d, %q", field(text, 0), timeOf(text), field(text, 2))
	}
	if got := line("ann", "a", "b", 250); got != "ann,a,b,250" {
		t.Errorf("line %q", got)
	}
}
