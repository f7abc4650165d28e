package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// A job whose output cannot be committed stays FINISHING: who follows it is told why, once, and again when it is for another reason.
func TestProgressSaysWhyAJobIsStillFinishing(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&app{err: &out})
	job := api.Job{ID: "j", Name: "count", State: api.JobFinishing}
	p.show(&job)
	job.Failure = &wire.Failure{Kind: wire.KindIO, Message: "disk is full"}
	p.show(&job)
	p.show(&job)
	if got := out.String(); strings.Count(got, "cause: disk is full") != 1 || strings.Count(got, "FINISHING") != 1 {
		t.Errorf("said %q", got)
	}
	out.Reset()
	p.wayOut = func(id graph.JobID) string { return "ask for " + string(id) }
	job.Failure = &wire.Failure{Kind: wire.KindGone, Message: "it is gone", Hint: "ask somebody"}
	p.show(&job)
	if got := out.String(); !strings.Contains(got, "cause: it is gone\n  hint: ask for j\n") {
		t.Errorf("said %q", got)
	}
}
