package jobmanager

import (
	"slices"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// How joins of batch mode are done that leave it to the host, is chosen when all that they take is there.

// withHints says of tasks that begin with such a join how it is done.
func (j *jobMaster) withHints(tasks []wire.TaskDeploy) []wire.TaskDeploy {
	if !j.record.Graph.Batch {
		return tasks
	}
	j.mu.Lock() // metrics come beside
	defer j.mu.Unlock()
	tasks = slices.Clone(tasks)
	for i := range tasks {
		tasks[i].Hint = j.hint(tasks[i].Task.Chain)
	}
	return tasks
}

// hinted is the job's graph, with what has been chosen. j.mu is held, as for hint.
func (j *jobMaster) hinted() *graph.JobGraph {
	g := &j.record.Graph
	for i, c := range j.exec.Chains {
		if hint := j.hint(i); hint != "" {
			g = g.WithHint(c.Operators[0], hint)
		}
	}
	return g
}

// hint is how the join that begins a chain is done; empty: there is none, or it is not known yet. What a task has sent is counted over all
// who take it, so a task that sends twice counts twice.
func (j *jobMaster) hint(chain int) string {
	c, g := &j.exec.Chains[chain], &j.record.Graph
	head := c.Operators[0]
	if g.ChooseHint(head, [2]int64{}) == "" || j.fsm.tasks == nil {
		return ""
	}
	var sent [2]int64
	for _, i := range c.Inputs {
		e := &j.exec.Edges[i]
		for subtask := range j.exec.Chains[e.From].Parallelism {
			id := graph.TaskID{Chain: e.From, Subtask: subtask}
			if t := j.fsm.tasks[id]; t == nil || t.state != wire.TaskFinished {
				return ""
			}
			sent[e.Input] += j.metrics[id].RecordsOut
		}
	}
	return g.ChooseHint(head, sent)
}
