package jobmanager

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// What a job can be asked for, each with what shows that it was done.
var asked = map[string]struct {
	ask  func(ctx context.Context, c *cluster, job graph.JobID) error
	done func(r *jobRecord) bool
}{
	"rescale": {
		func(ctx context.Context, c *cluster, job graph.JobID) error {
			_, err := c.jm.RescaleJob(ctx, job, &api.Rescale{Parallelism: new(2)})
			return err
		},
		func(r *jobRecord) bool { return r.Graph.Parallelism == 2 },
	},
	"rescale of an operator that stays as it is": {
		func(ctx context.Context, c *cluster, job graph.JobID) error {
			_, err := c.jm.RescaleJob(ctx, job, &api.Rescale{Operators: map[string]int{"numbers": 1}})
			return err
		},
		func(r *jobRecord) bool { return r.Parallelism["numbers"] == 1 },
	},
	"upgrade in place":           upgradeOf("window", "7"),
	"another upgrade in place":   upgradeOf("window", "8"),
	"upgrade with a new source":  upgradeOf("more", "a"),
	"upgrade with another of it": upgradeOf("more", "b"),
}

// While tasks of the graph before are ended, what they tell of themselves is counted for nobody: their operators are not those of
// the graph that people are shown by now.
func TestTasksOfTheGraphBeforeAreNotCounted(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 2)
		job := c.submit(1, "more=extra")
		a.set(func() { a.sink, a.lasting = 3, true })
		c.after(3 * time.Second)
		if now := c.job(job.ID); now.Progress.SinkIn == 0 || now.Subtasks.Running == 0 {
			t.Fatalf("%+v, %+v (expected records and tasks)", now.Progress, now.Subtasks)
		}
		answer := make(chan error, 1)
		go func() {
			_, err := c.jm.UpgradeJob(t.Context(), job.ID, &api.Upgrade{Module: c.upload(), Params: map[string]string{"more": ""}, AllowDroppedState: true})
			answer <- err
		}()
		synctest.Wait()
		a.acknowledge(1)
		c.after(2 * commitPoll)
		c.answered(answer, "")
		c.after(stopLimit / 2)
		now := c.expect(job.ID, api.JobRestarting, "")
		if now.Progress.SinkIn != 0 || now.Subtasks.Running != 0 || now.Subtasks.Total != 1 {
			t.Errorf("while the tasks end: %+v, %+v (expected what the checkpoint holds, and one task that does not run)", now.Progress, now.Subtasks)
		}
		plan, err := c.jm.JobPlan(t.Context(), job.ID)
		if err != nil || len(plan.Tasks) != 1 || plan.Tasks[0].State != "WAITING" {
			t.Errorf("plan %+v, %v (expected one task that waits)", plan, err)
		}
		c.after(stopLimit)
		c.expect(job.ID, api.JobRunning, "")
	})
}

func upgradeOf(param, value string) (one struct {
	ask  func(ctx context.Context, c *cluster, job graph.JobID) error
	done func(r *jobRecord) bool
}) {
	one.ask = func(ctx context.Context, c *cluster, job graph.JobID) error {
		_, err := c.jm.UpgradeJob(ctx, job, &api.Upgrade{Module: c.upload(), Params: map[string]string{param: value}})
		return err
	}
	one.done = func(r *jobRecord) bool { return r.Graph.Params[param] == value }
	return one
}

// Of two changes that are worked out from the same job one is made, whole, and the other refused by name, in whatever order
// they come, and over another JobManager: the job is what those that were made say, and every source has its input. Both may be
// made when one was done before the other looked at the job.
func TestTwoChangesAtOnce(t *testing.T) {
	for first := range asked {
		for second := range asked {
			for _, late := range []bool{false, true} { // the second is asked for when the first waits for its checkpoint; or both at once
				t.Run(fmt.Sprintf("%s, %s, %v", first, second, late), func(t *testing.T) { twoChanges(t, first, second, late) })
			}
		}
	}
}

func twoChanges(t *testing.T, first, second string, late bool) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 4)
		job := c.submit(1)
		names, answers := []string{first, second}, make([]chan error, 2)
		for i, name := range names {
			answers[i] = make(chan error, 1)
			go func() { answers[i] <- asked[name].ask(t.Context(), c, job.ID) }()
			if late {
				synctest.Wait()
			}
		}
		synctest.Wait()
		oneOnly := late && len(answers[0]) == 0
		for id := range checkpoint.ID(4) {
			a.acknowledge(id + 1)
			c.after(2 * commitPoll) // its output may have to be committed first
		}
		c.after(stopLimit)
		made := 0
		j, err := c.jm.findJob(job.ID)
		if err != nil {
			t.Fatal(err)
		}
		r := j.stored()
		for i, name := range names {
			select {
			case err := <-answers[i]:
				switch {
				case err == nil:
					made++
					if !asked[name].done(r) {
						t.Errorf("%s was answered well, and is not there: %+v, %v", name, r.Graph.Params, r.Parallelism)
					}
				case !refusedByName(err):
					t.Errorf("%s: %v (expected a refusal that says what to do)", name, err)
				case first != second && asked[name].done(r):
					t.Errorf("%s was refused, and is there", name)
				}
			default:
				t.Errorf("%s has no answer", name)
			}
		}
		if made == 0 || made > 1 && oneOnly {
			t.Errorf("%d were made (expected 1)", made)
		}
		everySourceHasItsInput(t, c, job.ID)
		a.kill()
		if err := c.jm.Close(); err != nil {
			t.Fatal(err)
		}
		c.start()
		c.add("b", 4)
		c.after(stopLimit)
		everySourceHasItsInput(t, c, job.ID)
	})
}

func refusedByName(err error) bool {
	e, ok := err.(*api.Error)
	if !ok || e.Hint == "" {
		return ok && strings.Contains(e.Detail, "has these parallelisms") // it is what it was asked to be
	}
	for _, text := range []string{"was changed meanwhile (", "is under way", "(expected RUNNING)"} {
		if strings.Contains(e.Detail, text) {
			return true
		}
	}
	return false
}

// everySourceHasItsInput asks for a split of every source, as its task does.
func everySourceHasItsInput(t *testing.T, c *cluster, id graph.JobID) {
	t.Helper()
	synctest.Wait()
	j, err := c.jm.findJob(id)
	if err != nil {
		t.Fatal(err)
	}
	if j.job().State != api.JobRunning {
		t.Fatalf("the job is %s: %v", j.job().State, j.job().Failure)
	}
	for _, op := range j.stored().Graph.Sources() {
		next := &wire.NextSplit{Header: j.header(), Operator: op, Task: graph.TaskID{}}
		next.Request = wire.RequestID(fmt.Sprint("test ", op))
		if split, err := c.jm.NextSplit(t.Context(), next); err != nil || split.Split == nil {
			t.Errorf("source %q has nothing to read: %+v, %v", j.stored().Graph.Operators[op].Name, split, err)
		}
	}
}

// What a source reads that an upgrade has brought is in the next savepoint like that of any other, and it promises nothing before
// it has read.
func TestASourceThatAnUpgradeBringsBeginsAtItsBeginning(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 4)
		job := c.submit(1)
		answer := make(chan error, 1)
		do := func(ask func() error) {
			t.Helper()
			go func() { answer <- ask() }()
			synctest.Wait()
			for id := range checkpoint.ID(4) {
				a.acknowledge(id + 1)
				c.after(2 * commitPoll)
			}
			c.after(stopLimit)
			c.answered(answer, "")
		}
		do(func() error { return asked["upgrade with a new source"].ask(t.Context(), c, job.ID) })
		to := t.TempDir()
		do(func() error {
			_, err := c.jm.TakeSavepoint(t.Context(), job.ID, &api.TakeSavepoint{Path: to})
			return err
		})
		data, err := os.ReadFile(filepath.Join(to, checkpoint.SavepointManifest))
		if err != nil {
			t.Fatal(err)
		}
		m, err := checkpoint.Decode(data, checkpoint.Sum(data))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range m.Sources {
			if want := map[string]int{"numbers": 4, "a": 3}[s.Operator]; len(s.Splits) != want || s.Watermark != abi.MinTime {
				t.Errorf("source %q in the savepoint: %d splits, watermark %d (expected %d, %d)", s.Operator, len(s.Splits), s.Watermark, want, abi.MinTime)
			}
		}
		for _, task := range a.deployed[len(a.deployed)-1].Tasks {
			if task.Restore == nil || task.Restore.Watermark != abi.MinTime {
				t.Errorf("task %s goes on from %+v (expected that nothing was promised)", task.Task, task.Restore)
			}
		}
	})
}

// A source without stored splits would end as if there were no input: the job fails instead, and says which.
func TestASourceWithoutStoredSplitsIsAnError(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		job := c.submit(1)
		if err := c.jm.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.meta.Apply(ha.Put(splitsKey+string(job.ID), encode(map[string]connector.Splits{"another": {}}))); err != nil {
			t.Fatal(err)
		}
		c.start()
		c.add("a", 1)
		c.after(stopLimit)
		c.expect(job.ID, api.JobFailed, `source "numbers" (uid "numbers"): its splits are not stored`)
	})
}
