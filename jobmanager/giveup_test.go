package jobmanager

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// piece is a file of ten rows that the sink of the fake jobs has prepared.
func piece(name string) connector.Committable {
	data, err := json.Marshal(map[string]any{"dir": "/out", "pending": name, "rows": 10, "bytes": 120})
	if err != nil {
		panic(err)
	}
	return connector.Committable{Operator: "counts", Data: data}
}

func pieces(names string) (all []connector.Committable) {
	for _, n := range strings.Fields(names) {
		all = append(all, piece(n))
	}
	return all
}

// What is left out is what is gone and still to be committed, each once, and it is counted and committed no more.
func TestWhatIsGoneIsLeftOut(t *testing.T) {
	before := func() *jobRecord {
		return &jobRecord{
			Committed:   3,
			Checkpoints: []decided{{ID: 3}, {ID: 4, Prepared: pieces("a b")}, {ID: 5, Prepared: pieces("c")}},
			Written:     []api.Output{{Operator: "counts", Path: "/out", Files: 7, Rows: 70, Bytes: 840}},
			Decision: &decision{Checkpoint: 6, Prepared: pieces("d e"),
				Output: []api.Output{{Operator: "counts", Path: "/out", Files: 9, Rows: 90, Bytes: 1080}}},
		}
	}
	gone := func(places ...string) (all []missing) {
		for _, p := range places {
			var id uint64
			var name string
			if _, err := fmt.Sscanf(p, "%d %s", &id, &name); err != nil {
				t.Fatal(err)
			}
			all = append(all, missing{id, piece(name), "/out/part-" + name, "removed"})
		}
		return all
	}
	for _, c := range []struct {
		gone                []missing
		lost, left          string
		writtenRows, endRow int64
	}{
		{nil, "", "a b | c | d e", 70, 90},
		{gone("4 a"), "4 a", "b | c | d e", 60, 80},
		{gone("6 e", "4 a", "4 b"), "4 a, 4 b, 6 e", " | c | d", 50, 60},
		{gone("3 x", "5 a", "4 c"), "", "a b | c | d e", 70, 90}, // committed meanwhile, or of another checkpoint
		{gone("4 a", "4 b", "5 c", "6 d", "6 e"), "4 a, 4 b, 5 c, 6 d, 6 e", " |  | ", 40, 40},
	} {
		shared := before()
		r := *shared
		lost := r.leaveOut(c.gone)
		var got, left []string
		for _, l := range lost {
			if l.Rows != 10 || l.Bytes != 120 || l.Operator != "counts" || l.Cause != "removed" {
				t.Errorf("lost %+v", l)
			}
			got = append(got, fmt.Sprintf("%d %s", l.Checkpoint, strings.TrimPrefix(l.Name, "/out/part-")))
		}
		names := func(prepared []connector.Committable) string {
			var all []string
			for _, p := range prepared {
				var told struct{ Pending string }
				if err := json.Unmarshal(p.Data, &told); err != nil {
					t.Fatal(err)
				}
				all = append(all, told.Pending)
			}
			return strings.Join(all, " ")
		}
		for _, d := range r.Checkpoints[1:] {
			left = append(left, names(d.Prepared))
		}
		left = append(left, names(r.Decision.Prepared))
		if strings.Join(got, ", ") != c.lost || strings.Join(left, " | ") != c.left {
			t.Errorf("%v: lost %q, left %q (expected %q, %q)", c.gone, got, left, c.lost, c.left)
		}
		if r.Written[0].Rows != c.writtenRows || r.Decision.Output[0].Rows != c.endRow || len(r.Lost) != len(lost) {
			t.Errorf("%v: written %+v, at the end %+v (expected %d and %d rows), %d lost in all", c.gone, r.Written, r.Decision.Output, c.writtenRows, c.endRow, len(r.Lost))
		}
		if !reflect.DeepEqual(shared, before()) {
			t.Errorf("%v: what others see was changed: %+v", c.gone, shared)
		}
		if again := r.leaveOut(c.gone); len(again) > 0 || len(r.Lost) != len(lost) {
			t.Errorf("%v: once more: %+v", c.gone, again)
		}
	}
}

// Only what no TaskManager can commit is an obstacle, and only what none of them has is gone.
func TestObstaclesAreThoseOfAllTaskManagers(t *testing.T) {
	seen := func(kinds string) map[int]wire.Obstacle { // a letter a file: g gone, b busy, . fine
		all := map[int]wire.Obstacle{}
		for i, k := range kinds {
			switch k {
			case 'g':
				all[i] = wire.Obstacle{Prepared: i, Failure: wire.Failure{Kind: wire.KindGone}}
			case 'b':
				all[i] = wire.Obstacle{Prepared: i, Failure: wire.Failure{Kind: wire.KindIO}}
			}
		}
		return all
	}
	for _, c := range [][]string{ // the last is what they agree on
		{"gb.", "gb."},
		{"ggg", "gb.", "gb."},
		{"gb.", "ggg", "gb."},
		{"ggg", "ggg", "...", "..."}, // two of three lack the directory
	} {
		var all []map[int]wire.Obstacle
		for _, kinds := range c[:len(c)-1] {
			all = append(all, seen(kinds))
		}
		if got, want := agreed(all), seen(c[len(c)-1]); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v (expected %+v)", c, got, want)
		}
	}
}

func (c *cluster) giveUp(id graph.JobID, dryRun bool) (*api.GaveUp, error) {
	return c.jm.GiveUp(c.t.Context(), id, &api.GiveUp{DryRun: dryRun})
}

// lostNames are the files that a job has given up.
func lostNames(all []api.LostOutput) (names []string) {
	for _, l := range all {
		names = append(names, l.Name)
	}
	return names
}

// A job whose end cannot be committed says what helps, and ends when what is gone is given up: the rest is committed, and the loss
// stays with the job. A JobManager that is killed behind the decision leaves the next one only the rest.
func TestAnEndThatCannotBeCommittedIsGivenUp(t *testing.T) {
	for _, killed := range []bool{false, true} {
		onFakeTime(t, func(t *testing.T, c *cluster) {
			a := c.add("a", 2)
			job := c.submit(2)
			lost, rest := piece("0.0"), piece("0.1")
			a.set(func() { a.obstacles = map[string]wire.Kind{string(lost.Data): wire.KindGone} })
			a.finish()
			c.after(time.Hour)
			now := c.expect(job.ID, api.JobFinishing, "kind 13")
			if hint := fmt.Sprintf("`wasmill give-up %s --dry-run`", job.ID); !strings.Contains(now.Failure.Hint, hint) {
				t.Errorf("hint %q (expected %s in it)", now.Failure.Hint, hint)
			}
			if _, err := c.jm.CancelJob(t.Context(), job.ID); err == nil || err.(*api.Error).Hint != now.Failure.Hint {
				t.Errorf("cancel: %v", err)
			}

			would, err := c.giveUp(job.ID, true)
			if err != nil || !slices.Equal(lostNames(would.Lost), []string{"file " + string(lost.Data) + " of 1"}) || would.Lost[0].Rows != 10 {
				t.Fatalf("dry run: %+v, %v", would, err)
			}
			if now := c.expect(job.ID, api.JobFinishing, "kind 13"); len(now.Guarantee.Lost) > 0 || now.Guarantee.Guarantee != connector.ExactlyOnce {
				t.Errorf("a dry run has given up %+v", now.Guarantee)
			}

			if killed { // before anything of the rest is committed
				a.set(func() { a.obstacles[string(rest.Data)] = wire.KindIO })
			}
			done, err := c.giveUp(job.ID, false)
			if err != nil || !slices.Equal(lostNames(done.Lost), lostNames(would.Lost)) || done.Job.Failure != nil {
				t.Fatalf("give up: %+v, %v", done, err)
			}
			if killed {
				if err := c.jm.Close(); err != nil {
					t.Fatal(err)
				}
				a.set(func() { delete(a.obstacles, string(rest.Data)) })
				c.start()
				a.register()
			}
			c.after(time.Second)
			now = c.expect(job.ID, api.JobFinished, "")
			if g := now.Guarantee; g.Guarantee != connector.AtMostOnce || !slices.Equal(lostNames(g.Lost), lostNames(would.Lost)) || len(g.Because) != 1 {
				t.Errorf("guarantee %+v", g)
			}
			if plan, err := c.jm.JobPlan(t.Context(), job.ID); err != nil || len(plan.Guarantee.Lost) != 1 {
				t.Errorf("plan: %+v, %v", plan, err)
			}
			if o := now.Output; len(o) != 1 || o[0].Files != 1 || o[0].Rows != 10 {
				t.Errorf("output %+v (expected what is left)", o)
			}
			if last := a.commits[len(a.commits)-1]; len(last.Prepared) != 1 || string(last.Prepared[0].Data) != string(rest.Data) {
				t.Errorf("committed last %+v", last.Prepared)
			}
			_, err = c.giveUp(job.ID, false)
			isUserError(t, err, api.KindConflict, fmt.Sprintf("job %s: nothing is to be given up: no output of a completed checkpoint is missing", job.ID), "")
		})
	}
}

// What may pass is not given up, nor what only one TaskManager does not see, nor anything that nobody can look at.
func TestOnlyWhatIsGoneIsGivenUp(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a, b := c.add("a", 1), c.add("b", 1)
		job := c.submit(2)
		_, err := c.giveUp(job.ID, false)
		isUserError(t, err, api.KindConflict, fmt.Sprintf("job %s: nothing is to be given up: no output of a completed checkpoint is missing", job.ID), "")

		one, two := string(piece("0.0").Data), string(piece("0.1").Data)
		a.set(func() { a.obstacles = map[string]wire.Kind{one: wire.KindIO, two: wire.KindGone} })
		b.set(func() { b.obstacles = map[string]wire.Kind{one: wire.KindIO, two: wire.KindIO} })
		a.finish()
		b.finish()
		c.after(time.Hour)
		c.expect(job.ID, api.JobFinishing, "kind 7")
		_, err = c.giveUp(job.ID, false)
		isUserError(t, err, api.KindConflict, fmt.Sprintf("job %s: nothing is to be given up: what cannot be committed is there: commit file %s of 1: kind 7, commit file %s of 1: kind 7", job.ID, one, two),
			"mend what hinders it: it is committed by itself then")

		b.set(func() { b.obstacles[two] = wire.KindGone })
		a.set(func() { a.silent = true })
		_, err = c.giveUp(job.ID, false)
		isUserError(t, err, api.KindUnavailable, fmt.Sprintf("look at the output of job %s through TaskManager taskmanager-a: TaskManager taskmanager-a was lost meanwhile", job.ID),
			"nothing was given up; ask again")
		a.set(func() { a.silent = false })
		a.register()
		done, err := c.giveUp(job.ID, false)
		if err != nil || !slices.Equal(lostNames(done.Lost), []string{"file " + two + " of 1"}) || len(done.Hindered) != 1 {
			t.Fatalf("give up: %+v, %v", done, err)
		}
		c.after(time.Minute)
		c.expect(job.ID, api.JobFinishing, "commit file "+one)
		for _, tm := range []*fakeTM{a, b} {
			tm.set(func() { tm.obstacles = nil })
		}
		c.after(commitRetryMax)
		c.expect(job.ID, api.JobFinished, "")
	})
}

// While a job runs, what is gone holds up all output behind it, and whatever has to wait for that; given up, the job goes on at
// once. So does what is owed by one that was cancelled.
func TestOutputOfACheckpointIsGivenUp(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		onFakeTime(t, func(t *testing.T, c *cluster) {
			c.withCheckpoints(t)
			a := c.add("a", 2)
			job := c.submit(1)
			a.set(func() { a.obstacles = map[string]wire.Kind{string(piece("x").Data): wire.KindGone} })
			answer := c.upgrade(job.ID, map[string]string{"window": "7"}) // with a checkpoint
			a.acknowledge(1, piece("x"), piece("y"))
			c.answered(answer, "")
			c.after(time.Minute)
			state := api.JobRunning
			if !cancelled {
				rescaled := make(chan error, 1)
				go func() {
					_, err := c.jm.RescaleJob(t.Context(), job.ID, &api.Rescale{Parallelism: new(2)})
					rescaled <- err
				}()
				synctest.Wait()
				a.acknowledge(2) // that settles the upgrade
				a.acknowledge(3)
				c.answered(rescaled, fmt.Sprintf("job %s: its output has to be committed before it is changed: commit checkpoint 1 through TaskManager taskmanager-a: ", job.ID))
			}
			if cancelled {
				if _, err := c.jm.CancelJob(t.Context(), job.ID); err != nil {
					t.Fatal(err)
				}
				c.after(time.Hour)
				state = api.JobCanceled
			}
			now := c.expect(job.ID, state, "")
			if !strings.Contains(now.Uncommitted, "kind 13") || !strings.Contains(now.UncommittedHint, "wasmill give-up "+string(job.ID)) || cancelled && now.Checkpoint.Committed {
				t.Errorf("uncommitted %q, hint %q, checkpoint %+v", now.Uncommitted, now.UncommittedHint, now.Checkpoint)
			}
			a.set(func() { a.seen = nil })
			done, err := c.giveUp(job.ID, false)
			if err != nil || len(done.Lost) != 1 || done.Lost[0].Checkpoint != 1 || done.Job.Guarantee.Guarantee != connector.AtMostOnce || done.Job.Uncommitted+done.Job.UncommittedHint != "" {
				t.Fatalf("give up: %+v, %v", done, err)
			}
			heard := []string{"examine 2 of checkpoint 1", "commit 1 of attempt 1 under checkpoint 1"}
			if cancelled {
				heard = append(heard, "clean before attempt 2")
			}
			a.heard(heard...)
			now = c.expect(job.ID, state, "")
			if now.Uncommitted != "" || now.UncommittedHint != "" || len(now.Guarantee.Lost) != 1 {
				t.Errorf("uncommitted %q, lost %+v", now.Uncommitted, now.Guarantee.Lost)
			}
			if !cancelled && !now.Checkpoint.Committed {
				t.Errorf("checkpoint %+v (expected that the rest of it is committed)", now.Checkpoint)
			}
			if r := c.jm.jobOf(job.ID).record; r.Owed != 0 {
				t.Errorf("owed: attempts before %d", r.Owed)
			}
		})
	}
}

// failingMeta is metadata that cannot be written while a test says so.
type failingMeta struct {
	ha.Store
	fails atomic.Bool
}

func (m *failingMeta) Apply(ops ...ha.Op) error {
	if m.fails.Load() {
		return errors.New("disk full")
	}
	return m.Store.Apply(ops...)
}

// What is left out is decided by one record: a JobManager whose metadata cannot be written has given up nothing.
func TestGivingUpIsStoredOrNothing(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.jm.Close()
		meta := &failingMeta{Store: c.meta}
		c.meta = meta
		c.start()
		a := c.add("a", 1)
		job := c.submit(1)
		a.set(func() { a.obstacles = map[string]wire.Kind{string(piece("0.0").Data): wire.KindGone} })
		a.finish()
		c.after(time.Hour)
		meta.fails.Store(true)
		_, err := c.giveUp(job.ID, false)
		isUserError(t, err, api.KindInternal, fmt.Sprintf("give up output of job %s: store job: disk full", job.ID), "")
		c.after(time.Minute)
		if now := c.expect(job.ID, api.JobFinishing, "kind 13"); len(now.Guarantee.Lost) > 0 {
			t.Errorf("lost %+v", now.Guarantee.Lost)
		}
		meta.fails.Store(false)
		if _, err := c.giveUp(job.ID, false); err != nil {
			t.Error(err)
		}
		c.after(time.Second)
		if now := c.expect(job.ID, api.JobFinished, ""); len(now.Guarantee.Lost) != 1 {
			t.Errorf("lost %+v", now.Guarantee.Lost)
		}
	})
}

// Output is counted by directory: what a sink has left where it wrote before an upgrade stays there.
func TestOutputIsCountedByDirectory(t *testing.T) {
	out := func(op, path string, files int) api.Output {
		return api.Output{Operator: op, Path: path, Files: files, Rows: 10 * int64(files), Bytes: 100 * int64(files)}
	}
	taken := func(op string, rows int64) api.Output { return api.Output{Operator: op, Rows: rows} }
	var sum []api.Output
	for i, step := range []struct{ now, want []api.Output }{
		{[]api.Output{out("a", "/one", 2), taken("p", 0)}, []api.Output{out("a", "/one", 2), taken("p", 0)}},
		{[]api.Output{out("a", "/one", 1), taken("p", 0)}, []api.Output{out("a", "/one", 3), taken("p", 0)}},
		{[]api.Output{out("a", "/two", 4), taken("p", 0)}, []api.Output{out("a", "/one", 3), out("a", "/two", 4), taken("p", 0)}},
		{[]api.Output{taken("a", 75), out("b", "/two", 1), taken("p", 8)}, []api.Output{out("a", "/one", 3), out("a", "/two", 4), out("b", "/two", 1), taken("p", 8)}},
		{[]api.Output{out("b", "/two", 1)}, []api.Output{out("a", "/one", 3), out("a", "/two", 4), out("b", "/two", 2)}},
	} {
		if sum = addOutput(sum, step.now); !reflect.DeepEqual(sum, step.want) {
			t.Errorf("step %d: %+v (expected %+v)", i, sum, step.want)
		}
	}
	less := lessOutput(sum, []api.Output{out("a", "/two", 3), out("c", "/two", 1)})
	if want := []api.Output{out("a", "/one", 3), out("a", "/two", 1), out("b", "/two", 2)}; !reflect.DeepEqual(less, want) {
		t.Errorf("less: %+v (expected %+v)", less, want)
	}
}
