package jobmanager

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// What an operator was given by name stays with its uid when another module calls it otherwise, and hinders nothing when the
// operator is gone.
func TestParallelismGoesWithTheUID(t *testing.T) {
	was := &graph.JobGraph{Operators: []graph.Operator{{Name: "in", UID: "in"}, {Name: "count", UID: "counts"}, {Name: "split", UID: "split"}}}
	given := map[string]int{"in": 2, "count": 3, "split": 4}
	is := &abi.Manifest{Operators: []abi.Operator{{Name: "in"}, {Name: "tally", UID: "counts"}, {Name: "count", UID: "other"}}}
	if got, want := carried(was, given, is), map[string]int{"in": 2, "tally": 3}; !maps.Equal(got, want) {
		t.Errorf("%v (expected %v)", got, want)
	}
}

// A rescaling of an operator that fails before its first checkpoint is taken back as a whole: what comes later does not bring it
// again.
func TestARescalingThatWentBackIsForgotten(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 2)
		job := c.submit(1)
		operators := func() []graph.Operator {
			j, err := c.jm.findJob(job.ID)
			if err != nil {
				t.Fatal(err)
			}
			return j.stored().Graph.Operators
		}
		source := operators()[0].Name
		answer := make(chan error, 1)
		go func() {
			_, err := c.jm.RescaleJob(t.Context(), job.ID, &api.Rescale{Operators: map[string]int{source: 2}})
			answer <- err
		}()
		synctest.Wait()
		a.acknowledge(1)
		c.after(2 * commitPoll) // its output may have to be committed first
		c.answered(answer, "")
		if n := operators()[0].Parallelism; n != 2 {
			t.Fatalf("%s has parallelism %d (expected 2)", source, n)
		}
		if j := c.job(job.ID); len(j.Changes) != 1 || j.Changes[0].Kind != api.ChangeRescale || j.Changes[0].Outcome != api.ChangePending || j.Operators[source] != 2 {
			t.Fatalf("%+v, %v (expected a rescaling that is pending)", j.Changes, j.Operators)
		}
		c.after(stopLimit)
		a.kill()
		c.jm.Lost("a", "killed")
		c.add("b", 2)
		c.after(stopLimit)
		c.expect(job.ID, api.JobRunning, "killed")
		if n := operators()[0].Parallelism; n != 1 {
			t.Fatalf("%s has parallelism %d after what happened (expected 1, as before)", source, n)
		}
		done, err := c.jm.UpgradeJob(t.Context(), job.ID, &api.Upgrade{Module: c.upload(), Params: map[string]string{"window": "7"}, DryRun: true})
		if err != nil || done.Way != api.UpgradeInPlace {
			t.Errorf("upgrade: %+v, %v (expected in place: the graph is what it was)", done, err)
		}

		// What comes later, another failure or another JobManager, does not hide what became of it.
		want := []string{fmt.Sprintf("parallelism of operator %q 2 instead of 1", source)}
		told := func(when string) {
			t.Helper()
			j := c.job(job.ID)
			if len(j.Changes) != 1 {
				t.Fatalf("%s: %+v (expected one)", when, j.Changes)
			}
			if ch := &j.Changes[0]; ch.Outcome != api.ChangeWentBack || !strings.Contains(ch.Reason, "killed") || strings.HasPrefix(ch.Reason, wentBackText) ||
				ch.Attempt != 2 || !slices.Equal(ch.Changes, want) || len(j.Operators) != 0 {
				t.Errorf("%s: %+v, %v (expected that it went back, which changes %q)", when, ch, j.Operators, want)
			}
		}
		told("after it went back")
		c.jm.Lost("b", "cut off")
		c.add("d", 2)
		c.after(stopLimit)
		c.expect(job.ID, api.JobRunning, "cut off")
		told("after another failure")
		c.stop()
		c.start()
		told("with another JobManager")
	})
}

// What an operator was given is taken back, also where that changes nothing for now.
func TestParallelismOfAnOperatorIsTakenBack(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 2)
		job := c.submit(1)
		j, err := c.jm.findJob(job.ID)
		if err != nil {
			t.Fatal(err)
		}
		source := j.stored().Graph.Operators[0].Name
		taken := checkpoint.ID(0)
		rescale := func(to api.Rescale, restarts bool) {
			t.Helper()
			answer := make(chan error, 1)
			go func() {
				_, err := c.jm.RescaleJob(t.Context(), job.ID, &to)
				answer <- err
			}()
			if restarts {
				synctest.Wait()
				taken++
				a.acknowledge(taken)
				c.after(2 * commitPoll)
			}
			c.answered(answer, "")
			c.after(stopLimit)
			if restarts { // it is settled
				taken++
				a.acknowledge(taken)
				c.after(2 * commitPoll)
			}
		}
		stands := func(parallelism int, own map[string]int) {
			t.Helper()
			if is := j.stored(); is.Graph.Operators[0].Parallelism != parallelism || !maps.Equal(is.Parallelism, own) {
				t.Errorf("%s has parallelism %d, own %v (expected %d, %v)", source, is.Graph.Operators[0].Parallelism, is.Parallelism, parallelism, own)
			}
		}
		rescale(api.Rescale{Operators: map[string]int{source: 2}}, true)
		stands(2, map[string]int{source: 2})
		rescale(api.Rescale{Operators: map[string]int{source: 0}}, true)
		stands(1, nil)
		rescale(api.Rescale{Operators: map[string]int{source: 1}}, false) // as it is, whatever the job is given
		stands(1, map[string]int{source: 1})
		rescale(api.Rescale{Operators: map[string]int{source: 0}}, false)
		stands(1, nil)
		for to, want := range map[*api.Rescale]string{
			{Operators: map[string]int{source: 0}}:   "has these parallelisms",
			{Operators: map[string]int{"nobody": 0}}: "there is no operator",
			{Operators: map[string]int{source: -1}}:  "or 0: what it was given is taken back",
		} {
			if _, err := c.jm.RescaleJob(t.Context(), job.ID, to); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v (expected %q)", to.Operators, err, want)
			}
		}
	})
}

// Where no checkpoints are taken by themselves, one is taken that settles a change: a failure behind it is the job's, and takes
// nothing back.
func TestAChangeIsSettledWithoutPeriodicCheckpoints(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 2)
		job := c.submit(1)
		answer := make(chan error, 1)
		go func() {
			_, err := c.jm.RescaleJob(t.Context(), job.ID, &api.Rescale{Parallelism: new(2)})
			answer <- err
		}()
		synctest.Wait()
		a.acknowledge(1)
		c.after(2 * commitPoll)
		c.answered(answer, "")
		c.after(time.Second)
		if j := c.job(job.ID); len(j.Changes) != 1 || j.Changes[0].Outcome != api.ChangePending || j.State != api.JobRunning {
			t.Fatalf("%s, %+v (expected that it runs, and is pending)", j.State, j.Changes)
		}
		a.acknowledge(2) // which nobody has asked for
		if j := c.job(job.ID); j.Changes[0].Outcome != api.ChangeDone {
			t.Errorf("%+v (expected that it is done)", j.Changes)
		}
		c.after(24 * time.Hour)
		if seen := slices.DeleteFunc(slices.Clone(a.seen), func(s string) bool { return !strings.HasPrefix(s, "trigger") }); !slices.Equal(seen, []string{"trigger 1, exchange 0", "trigger 2, exchange 0"}) {
			t.Errorf("%q (expected one checkpoint for the change and one that settles it)", seen)
		}
		a.kill()
		c.jm.Lost("a", "killed")
		c.add("b", 2)
		c.after(stopLimit)
		if j := c.expect(job.ID, api.JobRunning, "killed"); j.Parallelism != 2 || j.Changes[0].Outcome != api.ChangeDone {
			t.Errorf("parallelism %d, %+v (expected 2, and that nothing went back)", j.Parallelism, j.Changes)
		}
	})
}

// A source that has begun goes on in its splits: options that would have it read something else are refused, and those that say
// how it is read, or from another place the same, are taken.
func TestASourceThatHasBegunKeepsItsInput(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 2)
		job := c.submit(1)
		for _, dry := range []bool{true, false} {
			_, err := c.jm.UpgradeJob(t.Context(), job.ID, &api.Upgrade{Module: c.upload(), Params: map[string]string{"input": "5"}, DryRun: dry})
			var refused *api.Error
			if !errors.As(err, &refused) || refused.Kind != api.KindConflict || refused.Hint == "" ||
				refused.Detail != `source "numbers" (uid "numbers") has begun with other input, and would go on in that: n 5 instead of 4` {
				t.Errorf("dry run %v: %+v", dry, err)
			}
		}
		if _, err := c.jm.UpgradeJob(t.Context(), job.ID, &api.Upgrade{Module: c.upload(), Params: map[string]string{"input": "none"}}); err == nil || !strings.Contains(err.Error(), "input none does not exist") {
			t.Errorf("an input that is not there: %v", err)
		}
		answer := make(chan error, 1)
		go func() {
			_, err := c.jm.UpgradeJob(t.Context(), job.ID, &api.Upgrade{Module: c.upload(), Params: map[string]string{"input": "04"}})
			answer <- err
		}()
		synctest.Wait()
		a.acknowledge(1)
		c.after(2 * commitPoll)
		c.answered(answer, "")
		if j := c.job(job.ID); j.Params["input"] != "04" {
			t.Errorf("%v (expected that the option is taken)", j.Params)
		}
	})
}

// An upgrade is one, whatever it changes.
func TestAnUpgradeOfParametersIsCalledOne(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 2)
		job := c.submit(1)
		for i, params := range []map[string]string{{"window": "7"}, {"output": "/elsewhere"}} { // in place, and by a restart
			answer := make(chan error, 1)
			go func() {
				_, err := c.jm.UpgradeJob(t.Context(), job.ID, &api.Upgrade{Module: c.upload(), Params: params})
				answer <- err
			}()
			synctest.Wait()
			a.acknowledge(checkpoint.ID(i + 1))
			c.after(2 * commitPoll)
			c.answered(answer, "")
			if j := c.job(job.ID); len(j.Changes) == 0 || j.Changes[0].Kind != api.ChangeUpgrade {
				t.Errorf("%v: %+v (expected an upgrade)", params, j.Changes)
			}
		}
	})
}

// Who gives an operator a parallelism of its own is told where records lose their order by it, and only there.
func TestWhereOrderIsLost(t *testing.T) {
	graphOf := func(counts, enrich int, to graph.Partition) *graph.JobGraph {
		return &graph.JobGraph{Operators: []graph.Operator{
			{Name: "in", UID: "in", Parallelism: 2},
			{Name: "counts", UID: "counts", Parallelism: counts, Inputs: []graph.Input{{From: 0, Partition: graph.Hash}}},
			{Name: "enrich", UID: "enrich", Parallelism: enrich, Inputs: []graph.Input{{From: 1, Partition: to}}},
		}}
	}
	lost := `records from "counts" to "enrich" are dealt out in turn: their order is not kept, not of one key either`
	for _, c := range []struct {
		name    string
		was, is *graph.JobGraph
		want    []string
	}{
		{"it leaves its chain", graphOf(2, 2, graph.Forward), graphOf(2, 3, graph.Rebalance), []string{lost}},
		{"it is dealt out by one", graphOf(1, 1, graph.Forward), graphOf(1, 2, graph.Rebalance), []string{lost}},
		{"all go to one", graphOf(2, 2, graph.Forward), graphOf(2, 1, graph.Rebalance), nil},
		{"they were before", graphOf(2, 3, graph.Rebalance), graphOf(2, 4, graph.Rebalance), nil},
		{"it comes back", graphOf(2, 3, graph.Rebalance), graphOf(2, 2, graph.Forward), nil},
		{"by key", graphOf(2, 2, graph.Forward), graphOf(3, 3, graph.Forward), nil},
	} {
		if got := reordered(c.was, c.is); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q (expected %q)", c.name, got, c.want)
		}
	}
}
