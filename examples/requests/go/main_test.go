package main

import (
	"testing"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func TestResultsOfPages(t *testing.T) {
	var got []string
	emit := func(s string) { got = append(got, s) }
	size("http://a/", &wasmill.HTTPResponse{Status: 200, Body: []byte("page")}, emit)
	unreachable("http://b/", &wasmill.RequestError{TimedOut: true, Why: "no answer in time"}, emit)
	if len(got) != 2 || got[0] != "http://a/ 200  4 bytes" || got[1] != "http://b/ no answer in time" {
		t.Errorf("%q", got)
	}
}
