package jobmanager

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// job is the job as people see it now.
func (j *jobMaster) job() *api.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, m := &j.record, &j.fsm
	out := &api.Job{
		ID: r.ID, Name: r.Graph.Name, State: m.state(), Attempt: m.attempt, Restarts: max(0, int(m.attempt)-int(r.Before)-1),
		Parallelism: r.Graph.Parallelism, Params: r.Graph.Params, Module: r.Graph.Modules[0].ID,
		Directory: r.Directory, Request: r.Request, Created: r.Created, Running: r.Running, Ended: r.Ended, Failure: m.failure,
		Subtasks: j.subtasks(), Progress: j.progress(),
	}
	out.Mode = api.ModeStreaming
	if r.Graph.Batch {
		out.Mode = api.ModeBatch
	}
	out.Guarantee, out.Skipped, out.Ephemeral = j.guaranteed(), j.skippedOf(), j.jm.config.Ephemeral
	if n := len(r.Checkpoints); n > 0 {
		c := r.checkpoint(n - 1)
		out.Checkpoint = &c
	}
	if out.State == api.JobFinished && r.Decision != nil {
		out.Output = r.Decision.Output
	}
	out.Origin, out.GivenUp = j.origin(), j.givenUp
	if h := j.hindered; h != nil && (m.phase != ended || r.Owed != 0) {
		out.Uncommitted, out.UncommittedHint = h.Message, h.Hint
	}
	out.Operators, out.Changes = r.Parallelism, r.Changes
	out.Notes = j.exec.ApartFromSplits(&r.Graph)
	if m.phase == ended {
		out.GivenUp = nil
	}
	if m.phase == waiting && out.State == api.JobCreated && out.Failure == nil {
		_, _, free := j.jm.resources.count()
		if wanted := j.exec.SlotsNeeded(); free < wanted {
			out.Failure = &wire.Failure{Kind: wire.KindSlots, Message: fmt.Sprintf("waits for slots: wanted %d, free %d", wanted, free)}
		}
	}
	return out
}

// origin is the savepoint that the job goes on from, and how much of it is copied. The caller holds mu.
func (j *jobMaster) origin() *api.Origin {
	o := j.record.Origin
	if o == nil {
		return nil
	}
	out := &api.Origin{Path: o.Path, Size: o.Size, Copied: o.Size, Hindered: j.adoption.hindered}
	if !o.Copied {
		out.Copied = min(j.adoption.copied.Load(), o.Size)
	}
	return out
}

// checkpoint is a retained one as people see it.
func (r *jobRecord) checkpoint(i int) api.Checkpoint {
	d := &r.Checkpoints[i]
	return api.Checkpoint{
		ID: d.ID, Attempt: d.Attempt, Started: d.Time, Duration: d.Duration, Size: d.Size, Committed: d.ID <= r.Committed || !d.Output, Damaged: d.Damaged,
		Unaligned: d.Unaligned, InFlight: d.InFlight,
	}
}

// guaranteed is the job's guarantee now. The caller holds mu.
func (j *jobMaster) guaranteed() api.Guarantee {
	g := j.guarantee
	if j.record.Broken {
		g.Guarantee = connector.Weakest(g.Guarantee, connector.AtLeastOnce)
		g.Because = append(slices.Clone(g.Because), "the job went on from before what it had committed")
	}
	if lost := j.record.Lost; len(lost) > 0 {
		g.Guarantee = connector.Weakest(g.Guarantee, connector.AtMostOnce)
		g.Because, g.Lost = append(slices.Clone(g.Because), lostText(lost)), lost
	}
	return g
}

// skippedOf is what the operators that may leave something out have left out. The caller holds mu.
func (j *jobMaster) skippedOf() (all []api.Skipped) {
	count := j.skipped()
	for i := range j.record.Graph.Operators {
		if op := &j.record.Graph.Operators[i]; op.LeavesOut() {
			all = append(all, api.Skipped{Operator: op.Name, OnTrap: op.OnTrap, Count: count[op.UID]})
		}
	}
	return all
}

// skipped counts by uid: what was stored with the end or the last checkpoint while nothing runs, or else what the attempt
// was restored with and what its tasks have told since. The caller holds mu.
func (j *jobMaster) skipped() map[string]int64 {
	if j.record.Progress != nil || len(j.metrics) == 0 {
		return j.record.Skipped
	}
	all := map[string]int64{}
	if j.restored != nil {
		maps.Copy(all, j.restored.Skipped)
	}
	for _, m := range j.metrics {
		for uid, n := range m.Skipped {
			all[uid] += n
		}
	}
	return all
}

// guaranteeOf derives a job's guarantee from its connectors.
func (jm *JobManager) guaranteeOf(g *graph.JobGraph) (out api.Guarantee) {
	out.Guarantee = connector.ExactlyOnce
	for i := range g.Operators {
		op := &g.Operators[i]
		if op.Connector == nil {
			continue
		}
		made, err := jm.connectorOf(op)
		if err != nil {
			continue
		}
		if one := made.(interface{ Guarantee() connector.Guarantee }).Guarantee(); one != connector.ExactlyOnce {
			out.Guarantee = connector.Weakest(out.Guarantee, one)
			out.Because = append(out.Because, fmt.Sprintf("%s %q (%s) is %s", op.Kind, op.Name, op.Connector.Type, one))
		}
	}
	return out
}

// subtasks counts tasks by state. The caller holds mu.
func (j *jobMaster) subtasks() api.Subtasks {
	c := api.Subtasks{Total: len(j.exec.Tasks())}
	if j.record.Decision != nil { // and so all have, also if another JobManager was told
		c.Finished = c.Total
		return c
	}
	for _, t := range j.fsm.tasks {
		switch {
		case j.foreign:
		case t.state == wire.TaskFinished:
			c.Finished++
		case t.state == wire.TaskRunning && !t.gone:
			c.Running++
		}
	}
	return c
}

// progress is what was stored with the end, or the sum of what has passed. The caller holds mu.
func (j *jobMaster) progress() api.Progress {
	if j.record.Progress != nil {
		return *j.record.Progress
	}
	c := j.counts()
	p := api.Progress{InputTotal: inputBytes(&j.record.Graph, j.sources), InputRead: c.InputRead, SourceOut: c.SourceOut, RecordsOut: c.RecordsOut}
	for _, n := range c.SinkIn {
		p.SinkIn += n
	}
	return p
}

// counts is what was stored with the last checkpoint while nothing runs, or else what the attempt was restored with and what its
// tasks have told since. The caller holds mu.
func (j *jobMaster) counts() (sum checkpoint.Counts) {
	if len(j.metrics) == 0 {
		return j.record.Counts
	}
	if j.restored != nil {
		sum = j.restored.Counts
	}
	for task, m := range j.metrics {
		c := checkpoint.Counts{InputRead: m.InputRead, RecordsOut: m.RecordsOut, SinkIn: make(map[string]int64, len(m.SinkIn))}
		if j.head(task.Chain).Kind == abi.OperatorSource {
			c.SourceOut = m.RecordsIn
		}
		for sink, n := range m.SinkIn {
			c.SinkIn[j.record.Graph.Operators[sink].UID] = n
		}
		sum.Add(&c)
	}
	return sum
}

func (j *jobMaster) head(chain int) *graph.Operator {
	return &j.record.Graph.Operators[j.exec.Chains[chain].Operators[0]]
}

// taken is how many records the tasks of a sink have taken. The caller holds mu.
func (j *jobMaster) taken(sink int) int64 {
	return j.counts().SinkIn[j.record.Graph.Operators[sink].UID]
}

// measure notes what tasks of an attempt have told of themselves. What they count only grows: less was told before, and comes late.
func (j *jobMaster) measure(tasks ...wire.TaskMetrics) {
	j.mu.Lock()
	unknown := func(op int, _ int64) bool { return op < 0 || op >= len(j.record.Graph.Operators) }
	for _, m := range tasks {
		maps.DeleteFunc(m.SinkIn, unknown)
		had := j.metrics[m.Task]
		late := had.Attempt == m.Attempt && (m.RecordsIn < had.RecordsIn || m.RecordsOut < had.RecordsOut || m.InputRead < had.InputRead)
		if m.Attempt == j.fsm.attempt && j.fsm.tasks[m.Task] != nil && !j.foreign && !late {
			j.metrics[m.Task] = m
		}
	}
	j.mu.Unlock()
	j.changed()
}

// plan is the job's graph, and where its tasks run.
func (j *jobMaster) plan() *api.Plan {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := &api.Plan{Graph: *j.hinted(), Execution: *j.exec, Guarantee: j.guaranteed()}
	for _, id := range j.exec.Tasks() {
		task := api.Task{Task: id, Name: j.exec.ChainName(&j.record.Graph, id.Chain), State: "WAITING", Metrics: j.metrics[id]}
		if t := j.fsm.tasks[id]; t != nil && !j.foreign {
			task.TaskManager, task.Slot, task.State = t.slot.TaskManager, t.slot.Index, "DEPLOYING"
			if t.state != "" {
				task.State = string(t.state)
			}
		}
		if j.fsm.phase == ended && (j.fsm.outcome == finished || j.fsm.tasks[id] == nil) { // another JobManager may have ended it
			task.State = string(j.fsm.state())
		}
		p.Tasks = append(p.Tasks, task)
	}
	return p
}

// watch sends the job as it is, then after changes until it has ended. Who reads slowly gets the newest, not every one.
func (j *jobMaster) watch(ctx context.Context, out chan<- api.Job) {
	defer close(out)
	look := make(chan struct{}, 1)
	j.mu.Lock()
	j.watchers[look] = true
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		delete(j.watchers, look)
		j.mu.Unlock()
	}()
	for {
		now := j.job()
		select {
		case out <- *now:
		case <-ctx.Done():
			return
		}
		if now.State.Terminal() {
			return
		}
		select {
		case <-look:
		case <-ctx.Done():
			return
		}
	}
}

func (j *jobMaster) watchFor(look chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.watchers[look] = true
}

func (j *jobMaster) watchNoMore(look chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.watchers, look)
}
