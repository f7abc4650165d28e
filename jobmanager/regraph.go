package jobmanager

import (
	"fmt"
	"maps"
	"strings"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// What the loop of a job does with another graph for it. A graph was worked out, and held against the job, outside of the loop and
// for as long as a checkpoint takes: what the job has become meanwhile would be undone by it. So each says which generation of the
// job it was worked out from, and is refused when that is not the current one.

// evGraph gives the job another graph; answer has room, and is given nil or why it cannot be.
type evGraph struct {
	from        uint64 // the generation of the job that it was worked out from
	kind        api.ChangeKind
	graph       *graph.JobGraph
	parallelism map[string]int
	splits      map[string]connector.Splits // by uid, of sources that are new
	waits       bool                        // nothing that is in flight can go on with it
	answer      chan<- error
}

// evParallelism changes which operators have a parallelism of their own, while every operator keeps the one that it has; answer
// has room.
type evParallelism struct {
	from   uint64
	is     map[string]int
	answer chan<- error
}

func (evGraph) event()       {}
func (evParallelism) event() {}

// meanwhile refuses what was worked out from an older generation of the job than it has, nil: it is that one.
func (j *jobMaster) meanwhile(from uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.record.Generation == from || failpoint.Planted(failpoint.StaleChange) {
		return nil
	}
	return api.Errorf(api.KindConflict, "job %s was changed meanwhile (%s)", j.id, j.changedBy).
		WithHint("nothing of this was done: see what it is now, `wasmill info %s`, and ask again", j.id)
}

// mayChange refuses a change of the job while it cannot be made.
func (j *jobMaster) mayChange(from uint64) error {
	if err := j.meanwhile(from); err != nil {
		return err
	}
	if j.checkpoints.exchanging != nil {
		return api.Errorf(api.KindConflict, "an upgrade of job %s is under way", j.id).WithHint("wait until it is done (its command says so), and ask again")
	}
	return nil
}

// whatChanged says what a change was, for people.
func whatChanged(c api.Change) string {
	return fmt.Sprintf("%s: %s", c.Kind, strings.Join(c.Changes, ", "))
}

// changeGraph stores the new graph and what its new sources read, and has the attempt ended. From then on it is what the job is.
func (j *jobMaster) changeGraph(e evGraph) {
	if now := j.phase(); now != deploying && now != running {
		e.answer <- j.notRunning()
		return
	}
	if err := j.mayChange(e.from); err != nil {
		e.answer <- err
		return
	}
	if len(j.uncommitted()) > 0 && j.record.Committed < j.base() {
		e.answer <- j.whyUncommitted()
		return
	}
	if n := len(j.record.Checkpoints); e.waits && n > 0 && j.record.Checkpoints[n-1].InFlight > 0 {
		e.answer <- errInFlight
		return
	}
	e.answer <- j.storeGraph(e)
}

// whyUncommitted is errUncommitted, unless the output is gone: then nobody knows how long it takes.
func (j *jobMaster) whyUncommitted() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if h := j.hindered; h != nil && h.Kind == wire.KindGone {
		return api.Errorf(api.KindConflict, "job %s: its output has to be committed before it is changed: %s", j.id, h.Message).WithHint("%s", h.Hint)
	}
	return errUncommitted
}

func (j *jobMaster) storeGraph(e evGraph) error {
	before := j.record.Graph
	sources := j.sourcesWith(e.splits)
	if err := allStored(e.graph, sources); err != nil {
		return api.Errorf(api.KindInternal, "change job %s: %s", j.id, err)
	}
	var with []ha.Op
	if len(e.splits) > 0 {
		with = append(with, ha.Put(splitsKey+string(j.id), encode(sources)))
	}
	exec, changed := graph.Expand(e.graph), j.change(e.kind, &before, e.graph)
	if failed := j.storeAnd(nil, func(r *jobRecord) {
		r.Former = left(r.Former, &before, e.graph, j.fsm.attempt)
		r.begin(changed)
		r.Graph, r.Previous = *e.graph, &before
		r.Parallelism, r.PreviousParallelism = e.parallelism, r.Parallelism
		r.Generation++
	}, func() { j.regraph(exec, sources, whatChanged(changed)) }, with...); failed != nil {
		return api.Errorf(api.KindInternal, "%s", failed.(evStoreFailed).failure.Message)
	}
	failpoint.Hit(failpoint.Rescaling)
	j.log.Info("the job is given another graph", "changes", strings.Join(changed.Changes, ", "), "parallelism", e.graph.Parallelism)
	j.take(evRedeploy{exec})
	return nil
}

// sourcesWith are the splits of the job's sources as it is, which it may go back to, and of those that are new.
func (j *jobMaster) sourcesWith(fresh map[string]connector.Splits) map[string]connector.Splits {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := map[string]connector.Splits{}
	for _, i := range j.record.Graph.Sources() {
		if uid := j.record.Graph.Operators[i].UID; hasSplits(j.sources, uid) {
			all[uid] = j.sources[uid]
		}
	}
	maps.Copy(all, fresh)
	return all
}

// changeParallelism stores which operators have a parallelism of their own.
func (j *jobMaster) changeParallelism(e evParallelism) {
	if err := j.mayChange(e.from); err != nil {
		e.answer <- err
		return
	}
	if failed := j.storeOr(nil, func(r *jobRecord) {
		r.Parallelism = e.is
		r.Generation++
	}); failed != nil {
		e.answer <- api.Errorf(api.KindInternal, "%s", failed.(evStoreFailed).failure.Message)
		return
	}
	j.noteChange("rescale: which operators have a parallelism of their own")
	e.answer <- nil
}

// noteChange has those who come too late know what has changed the job.
func (j *jobMaster) noteChange(by string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changedBy = by
}

// revertGraph goes back to the graph before.
func (j *jobMaster) revertGraph() {
	exec := j.fsm.exec
	back := func(r *jobRecord) {
		r.Former = left(r.Former, &r.Graph, r.Previous, j.fsm.attempt)
		r.Graph, r.Previous = *r.Previous, nil
		r.Parallelism, r.PreviousParallelism = r.PreviousParallelism, nil
		r.undo(j.fsm.attempt, j.fsm.failure.Message)
		r.Generation++
	}
	then := func() { j.regraph(exec, j.sources, "a failure has taken it back to what it was before") }
	if failed := j.storeAnd(nil, back, then); failed != nil {
		j.log.Error("store the graph that the job goes back to", "err", failed.(evStoreFailed).failure.Message)
		j.mu.Lock()
		back(&j.record)
		then()
		j.mu.Unlock()
	}
}

// regraph forgets what was known under another graph, together with the change of it: who looks sees one or the other. The caller
// holds mu.
func (j *jobMaster) regraph(exec *graph.ExecutionGraph, sources map[string]connector.Splits, by string) {
	j.exec, j.sources, j.changedBy, j.foreign = exec, sources, by, true
	clear(j.metrics)
	j.guarantee = j.jm.guaranteeOf(&j.record.Graph)
}

// proven forgets the graph before: a checkpoint of this one is decided.
func (j *jobMaster) proven() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fsm.before = nil
}
