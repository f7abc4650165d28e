package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/test/harness"
)

// Words that go from process to process are folded before that, unless whoever runs the job says otherwise. What is sent, info and the
// plan agree, and the counts are the same.
func TestPreAggregationIsAnOption(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "1")
	module := guests(t)["c"]
	words := int64(0)
	for _, row := range strings.Split(strings.TrimSpace(shellCounts(t)), "\n") {
		var word string
		var n int64
		if _, err := fmt.Sscan(row, &word, &n); err != nil {
			t.Fatalf("row %q: %v", row, err)
		}
		words += n
	}
	byCommand := func(flags ...string) func(*testing.T, string) {
		return func(t *testing.T, out string) {
			cluster.Run(module, append(flags, "--param", "input="+mobyDick(t), "--param", "output="+out, "--parallelism", "2")...).OK(t)
		}
	}
	for name, c := range map[string]struct {
		run   func(t *testing.T, out string)
		folds bool
		says  string
	}{
		"by itself": {byCommand(), true, "of count, where it pays"},
		"auto":      {byCommand("--pre-aggregate", "auto"), true, "of count, where it pays"},
		"off":       {byCommand("--pre-aggregate", "off"), false, "none of count: the job says so"},
		"off, over REST": {func(t *testing.T, out string) {
			submitted(t, cluster, module, &api.Submit{PreAggregate: "off", Params: map[string]string{"input": mobyDick(t), "output": out}})
		}, false, "none of count: the job says so"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "counts")
			c.run(t, out)
			harness.Same(t, harness.Output(t, out), shellCounts(t))
			job := cluster.Job().ID
			if got := taken(t, cluster); c.folds && got > words/2 || !c.folds && got != words {
				t.Errorf("%d records have come to be counted, of %d words", got, words)
			}
			if info := built.wasmill.Run(t, "info", string(job), "--jobmanager", cluster.URL).OK(t).Stdout; !strings.Contains(info, c.says) {
				t.Errorf("info has not %q:\n%s", c.says, info)
			}
			plan, err := cluster.JobPlan(context.Background(), job)
			if err != nil {
				t.Fatal(err)
			}
			if edges := plan.Execution.Edges; len(edges) != 1 || edges[0].PreAggregates != c.folds {
				t.Errorf("edges of the plan: %+v", edges)
			}
		})
	}
}

// submitted runs a module to its end over REST.
func submitted(t *testing.T, cluster *harness.Cluster, module string, s *api.Submit) {
	t.Helper()
	two := 2
	s.Module, s.Parallelism = uploaded(t, cluster, module), &two
	job, err := cluster.SubmitJob(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	var end api.Job
	if err := cluster.WatchJob(context.Background(), job.ID, func(j *api.Job) { end = *j }); err != nil || end.State != api.JobFinished {
		t.Fatalf("the job is %s: %v, %v", end.State, end.Failure, err)
	}
}

func uploaded(t *testing.T, cluster *harness.Cluster, module string) graph.ModuleID {
	t.Helper()
	wasm, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cluster.UploadModule(context.Background(), bytes.NewReader(wasm), int64(len(wasm)))
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// taken is how many records have come to the second chain of the newest job.
func taken(t *testing.T, cluster *harness.Cluster) (n int64) {
	t.Helper()
	figures, err := cluster.JobMetrics(context.Background(), cluster.Job().ID)
	if err != nil {
		t.Fatal(err)
	}
	for i := range figures.Tasks {
		if figures.Tasks[i].Task.Chain == 1 {
			n += figures.Tasks[i].Metrics.RecordsIn
		}
	}
	return n
}

// A word that is no answer is refused, by the command and by the JobManager.
func TestPreAggregationIsOneOfTwoWords(t *testing.T) {
	cluster := built.wasmill.Cluster(t)
	module := guests(t)["c"]
	out := filepath.Join(t.TempDir(), "counts")
	for flags, want := range map[string]string{
		"--pre-aggregate=never": `--pre-aggregate "never" (expected auto or off)`,
		"--pre-aggregate=":      `--pre-aggregate "" (expected auto or off)`,
	} {
		got := built.wasmill.Run(t, "run", module, flags, "--param", "input="+mobyDick(t), "--param", "output="+out)
		if got.Code != 2 || !strings.Contains(got.Stderr, want) {
			t.Errorf("%s: exit status %d, %s (expected %s)", flags, got.Code, got.Stderr, want)
		}
	}
	_, err := cluster.SubmitJob(context.Background(), &api.Submit{Module: uploaded(t, cluster, module), PreAggregate: "on", Params: map[string]string{"input": mobyDick(t), "output": out}})
	if err == nil || !strings.Contains(err.Error(), `preAggregate: "on" (expected off)`) {
		t.Errorf("over REST: %v", err)
	}
}
