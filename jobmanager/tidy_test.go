package jobmanager

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// What the job had as sinks is remembered until their pending output is removed, and only what it has no more.
func TestFormerSinks(t *testing.T) {
	sinks := func(paths string) *graph.JobGraph {
		g := &graph.JobGraph{Operators: []graph.Operator{{Name: "source", Kind: abi.OperatorSource}}}
		for i, p := range strings.Fields(paths) {
			g.Operators = append(g.Operators, graph.Operator{
				Name: fmt.Sprint("sink", i), Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file", Config: map[string]string{"path": p}},
			})
		}
		return g
	}
	var former []formerSink
	was := sinks("/a /b")
	for i, step := range []struct{ is, want string }{
		{"/a /b", ""},
		{"/b /a", ""}, // other operators, the same places
		{"/a", "/b 2"},
		{"/c", "/b 2, /a 3"},
		{"/a", "/b 2, /c 4"}, // back again
		{"/b /d", "/c 4, /a 5"},
	} {
		is := sinks(step.is)
		former = left(former, was, is, graph.Attempt(i))
		var got []string
		for _, f := range former {
			got = append(got, fmt.Sprintf("%s %d", f.Sink.Connector.Config["path"], f.Attempt))
		}
		if strings.Join(got, ", ") != step.want {
			t.Errorf("step %d, to %s: former sinks %q (expected %q)", i, step.is, got, step.want)
		}
		was = is
	}
}

// What sinks make once is there behind the first attempt that ran; of a changed graph behind its first checkpoint.
func TestSinksHaveRun(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		r    jobRecord
		want bool
	}{
		{jobRecord{}, false},
		{jobRecord{Running: &now}, true},
		{jobRecord{Running: &now, Previous: &graph.JobGraph{}}, false},
		{jobRecord{Running: &now, Graph: graph.JobGraph{Batch: true}}, false},
	} {
		if got := c.r.ran(); got != c.want {
			t.Errorf("%+v: %t", c.r, got)
		}
	}
}

// TaskManagers are told so with each attempt behind the first that ran, and when they clean up, by another JobManager, too.
func TestTaskManagersAreToldThatSinksHaveRun(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		job := c.submit(1)
		if err := a.report(graph.TaskID{}, wire.TaskFailed, &wire.Failure{Kind: wire.KindIO, Message: "it is away"}); err != nil {
			t.Fatal(err)
		}
		c.after(time.Minute)
		c.expect(job.ID, api.JobRunning, "it is away")
		if err := c.jm.Close(); err != nil {
			t.Fatal(err)
		}
		c.start()
		a.register()
		c.after(time.Minute)
		if _, err := c.jm.CancelJob(t.Context(), job.ID); err != nil {
			t.Fatal(err)
		}
		c.after(time.Minute)
		c.expect(job.ID, api.JobCanceled, "")
		var told []bool
		for _, m := range a.deployed {
			told = append(told, m.Ran)
		}
		if len(told) != 3 || told[0] || !told[1] || !told[2] {
			t.Errorf("deployed: %v (expected false, true, true)", told)
		}
		for _, m := range a.cleaned {
			if !m.Ran {
				t.Errorf("cleaned before attempt %d as if nothing had run", m.Attempt)
			}
		}
		if len(a.cleaned) == 0 {
			t.Error("nothing was cleaned")
		}
	})
}
