package main

import "testing"

func TestLines(t *testing.T) {
	if rest("7,Ann, of York") != "Ann, of York" || amount("7,1250") != 1250 {
		t.Errorf("%q, %d", rest("7,Ann, of York"), amount("7,1250"))
	}
	if got := line("Ann", 2, 1300); got != "Ann,2,1300" {
		t.Errorf("line %q", got)
	}
}
