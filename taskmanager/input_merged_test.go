package taskmanager

import (
	"context"
	"strconv"
	"testing"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// inBatchMode runs a job's tasks in batch mode, one behind the other.
func (f *fixture) inBatchMode(d *wire.Deploy) {
	f.t.Helper()
	d.Graph.MakeBatch()
	exec := graph.Expand(&d.Graph)
	for n, task := range d.Tasks {
		one := *d
		one.Tasks = []wire.TaskDeploy{task}
		for _, from := range exec.Producers(task.Task) {
			one.Replays = append(one.Replays, wire.Replay{Edge: exec.Chains[task.Task.Chain].Inputs[0], From: from, Attempt: 1, To: task.Task, At: "tm-1"})
		}
		if err := f.tm.Deploy(context.Background(), &one); err != nil {
			f.t.Fatal(err)
		}
		f.jm.ends(n + 1)
	}
}

// Words are counted in a table in batch mode. One that has outgrown its part of the memory is emptied, again and again, and the counts
// are the same, whether words are folded before they are sent or not.
func TestATableThatIsFullIsSorted(t *testing.T) {
	lines, want := words(4, 3000)
	for i, split := range lines { // and many that come once
		for k := range split {
			word := "once-" + string(rune('a'+i)) + "-" + strconv.Itoa(k)
			split[k] += " " + word
			want[word]++
		}
	}
	for _, c := range []struct {
		name   string
		budget int64
		ahead  string
		full   bool
	}{
		{"without a limit", 0, "", false},
		{"in a table that is large enough", 64 << 20, "", false},
		{"in one that is not", 600 << 10, "", true},
		{"in one that is not, not folded ahead", 600 << 10, graph.PreAggregateOff, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, &listSource{splits: lines}, &fakeModule{functions: []fakeFunction{splitWords, byWord}}, countJob(1)...)
			f.tm.config.StateDir, f.tm.config.State.Budget = t.TempDir(), c.budget
			f.tm.disk.Dir = f.tm.config.StateDir
			stores, made := 0, f.tm.config.NewState
			f.tm.config.NewState = func(c state.Config) (state.Store, error) {
				stores++
				return made(c)
			}
			d := f.message(1)
			d.Graph.PreAggregate = c.ahead
			f.inBatchMode(d)
			for _, r := range f.jm.ends(len(d.Tasks)) {
				if r.State != wire.TaskFinished {
					t.Fatalf("%s: %+v", r.State, r.Failure)
				}
			}
			sameCounts(t, rowCounts(t, f.sink), want)
			if full := stores > len(d.Tasks); full != c.full {
				t.Errorf("%d stores were made for %d tasks (expected more: %v)", stores, len(d.Tasks), c.full)
			}
		})
	}
}
