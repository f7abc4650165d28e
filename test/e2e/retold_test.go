package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/test/harness"
)

// retold is a job that writes each change of its results, beside others on a cluster.
type retold struct {
	name   string // of revisedCases
	out    string
	id     graph.JobID
	run    *harness.Process
	before map[string]int // rows that were there before each interference
}

// rows are those of all committed files, in the order of their commits.
func (j *retold) rows(t *testing.T) (all []update) {
	t.Helper()
	files, err := workload.Read(j.out, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, line := range f.Lines {
			var u update
			if err := json.Unmarshal([]byte(line), &u); err != nil {
				t.Fatalf("%s: %q: %v", f.Name, line, err)
			}
			all = append(all, u)
		}
	}
	return all
}

// saves waits until attempt has a checkpoint, so that what is done next cuts the job where some results are out, and change still.
func (j *retold) saves(t *testing.T, cluster *harness.Cluster, attempt int, what string) {
	t.Helper()
	harness.Until(t, time.Minute, "a checkpoint with results before the "+what, func() bool {
		job, err := cluster.GetJob(context.Background(), j.id)
		if err != nil {
			t.Fatal(err)
		}
		if job.State.Terminal() {
			t.Fatalf("%s: the job has ended before the %s: %+v", j.name, what, job)
		}
		return job.State == api.JobRunning && job.Checkpoint != nil && int(job.Checkpoint.Attempt) >= attempt && visible(t, j.out) > 100
	})
	j.before[what] = visible(t, j.out)
}

// visible is how many rows are committed.
func visible(t *testing.T, dir string) (rows int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		rows += strings.Count(string(data), "\n")
	}
	return rows
}

// check holds what the job has written against its lines: each window has +I once, then +U, each of more than the one before, and the last
// is what it must be; and each interference has come between the changes of some window.
func (j *retold) check(t *testing.T, lines []revisedLine) {
	t.Helper()
	c := revisedCases[j.name]
	windows := tumbled(lines, c.window) // of what is counted
	session, counted := slices.Contains(c.params, "kind=session"), slices.Contains(c.params, "trigger=count")
	same := slices.Contains(c.params, "kind=sliding") || slices.Contains(c.params, "trigger=continuousEventTime") // a result may come again as it was
	type result struct {
		first, last, n int
		value          int64
	}
	got, values := map[string]*result{}, map[string]int64{}
	for i, u := range j.rows(t) {
		r, known := got[u.Key+u.Start]
		if !known {
			r = &result{first: i}
			got[u.Key+u.Start] = r
		}
		op := map[bool]string{false: "+I", true: "+U"}[known]
		if u.Op != op && !(session && u.Op == "+I") { // one that has grown is another one
			t.Fatalf("row %d: %+v behind %d of that window (expected %s)", i, u, r.n, op)
		}
		if u.Value < r.value || u.Value == r.value && !same {
			t.Fatalf("row %d: %+v comes behind %d", i, u, r.value)
		}
		r.last, r.n, r.value = i, r.n+1, u.Value
		values[u.Key+u.Start] = u.Value
		if of := windows[u.Start][u.Key]; counted && r.n*3 <= len(of) {
			if sum, _ := sumOf(of[:r.n*3]); sum != u.Value {
				t.Fatalf("row %d: %+v is result %d of its window (expected %d)", i, u, r.n, sum)
			}
		}
	}
	want := c.want(lines, c.window)
	for id := range values {
		if _, lasts := want[id]; session && !lasts {
			delete(values, id)
		}
	}
	sameResults(t, j.name, values, want)
	for what, n := range j.before {
		cut := 0
		for _, r := range got {
			if r.first < n && n <= r.last {
				cut++
			}
		}
		t.Logf("%s: %d windows on both sides of %s at %d rows", j.name, cut, what, n)
		if cut == 0 {
			t.Errorf("no window has changed on both sides of the %s at %d rows: nothing was tested", what, n)
		}
	}
}

// Where each change of a result is written, what had been told before is known behind a kill of all TaskManagers, two rescales and an upgrade:
// no window is new a second time, and no change is lost.
func TestResultsAreToldOnceThroughRestarts(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := pausing(t, 400*time.Millisecond)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "5")
	dir, module := t.TempDir(), filepath.Join(harness.Root(t), "test/guests/updates.wasm")
	input := filepath.Join(dir, "in.txt")
	lines := revisedInput(t, input, 40_000)
	var jobs []*retold
	for _, name := range []string{
		"late lines of a window function", "late lines of a guest's sums, sliding", "late lines of a guest's sums of sessions", "steps of event time", "each third line",
	} {
		c := revisedCases[name]
		j := &retold{name: name, out: filepath.Join(dir, strings.ReplaceAll(name, " ", "-")), before: map[string]int{}}
		args := []string{"--parallelism", "1"}
		for _, p := range append(slices.Clone(c.params), "input="+input, "output="+j.out, "lateness=2000", "updates=all", fmt.Sprint("window=", c.window)) {
			args = append(args, "--param", p)
		}
		behind := cluster.Job()
		j.run = cluster.Start(module, args...)
		harness.Until(t, time.Minute, "the job is there", func() bool {
			job := cluster.Job()
			if job == nil || behind != nil && job.ID == behind.ID {
				return false
			}
			j.id = job.ID
			return true
		})
		jobs = append(jobs, j)
	}
	cut := func(attempt int, what string, do func(j *retold) []string) {
		t.Helper()
		var commands []*harness.Process
		for _, j := range jobs {
			j.saves(t, cluster, attempt, what)
			if do != nil {
				commands = append(commands, built.wasmill.Start(t, append(do(j), "--jobmanager", cluster.URL)...))
			}
		}
		for _, c := range commands {
			c.Wait().OK(t)
		}
	}
	cut(1, "kill", nil)
	again := []func(){cluster.Lose("taskmanager-1"), cluster.Lose("taskmanager-2")}
	for _, start := range again {
		start()
	}
	next := another(t, module)
	cut(2, "rescale to 2", func(j *retold) []string { return []string{"rescale", string(j.id), "--parallelism", "2"} })
	cut(3, "upgrade", func(j *retold) []string { return []string{"upgrade", string(j.id), next} })
	cut(3, "rescale to 1", func(j *retold) []string { return []string{"rescale", string(j.id), "--parallelism", "1"} })
	pace.full()
	for _, j := range jobs {
		j.run.Wait().OK(t)
		j.check(t, lines)
	}
}
