package jobmanager

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// The oldest version that a state may hold rises with the decision of a checkpoint that holds nothing older, when none is retained
// that does: the job may go back to any of them.
func TestTheOldestVersionRisesWithTheLastThatHoldsIt(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 1)
		job := c.submit(1)
		j := c.jm.jobOf(job.ID)
		const op, uid = 1, "totals"
		if failed := j.storeOr(nil, func(r *jobRecord) {
			r.Graph.Operators = slices.Clone(r.Graph.Operators)
			o := &r.Graph.Operators[op]
			o.UID = uid
			o.Declared = &abi.Function{Kind: abi.FunctionProcess, States: []abi.State{{Name: "total", Version: 3}}}
			o.Oldest = map[string]int{"total": 1}
		}); failed != nil {
			t.Fatal(failed)
		}
		for i, step := range []struct {
			version int // of the checkpoint's oldest element
			want    map[string]int
		}{
			{1, map[string]int{"total": 1}}, {2, map[string]int{"total": 1}}, {3, map[string]int{"total": 1}},
			{3, map[string]int{"total": 2}}, // the first one is retained no more
			{3, nil},
		} {
			id := checkpoint.ID(i + 1)
			done := make(chan error, 1)
			go func() {
				_, err := c.jm.TakeCheckpoint(t.Context(), job.ID)
				done <- err
			}()
			synctest.Wait()
			for _, task := range a.running() {
				a.mu.Lock()
				m := &wire.Acknowledge{Header: a.tasks[task], TaskManager: a.id, Checkpoint: id, Task: task, Part: &checkpoint.Task{
					Task: task, Versions: checkpoint.Versions{uid: {"total": step.version}},
				}}
				a.mu.Unlock()
				if err := c.jm.Acknowledge(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := j.stored().Graph.Operators[op].Oldest; !maps.Equal(got, step.want) {
				t.Errorf("behind checkpoint %d: %v (expected %v)", id, got, step.want)
			}
		}
	})
}
