package jobmanager

import (
	"maps"
	"testing"
	"testing/synctest"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
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
	})
}
