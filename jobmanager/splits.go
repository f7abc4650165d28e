package jobmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// enumerate makes every source of a job list its splits, by the index of the source's operator. They are listed once, when
// the job is submitted or taken over, so that every attempt reads the same input.
func enumerate(ctx context.Context, connectors *connector.Registry, g *graph.JobGraph) (map[int]connector.Splits, error) {
	all := map[int]connector.Splits{}
	for _, i := range g.Sources() {
		op := &g.Operators[i]
		source, err := connectors.Source(op.Connector, op.Output)
		if err != nil {
			return nil, fmt.Errorf("source %q: %w", op.Name, err)
		}
		if all[i], err = source.Enumerate(ctx, op.Parallelism); err != nil {
			return nil, fmt.Errorf("source %q: %w", op.Name, err)
		}
	}
	return all, nil
}

// connectorFailure is an error of enumerate as the cause of a job's failure.
func connectorFailure(err error) *wire.Failure {
	f := &wire.Failure{Kind: wire.KindIO, Message: err.Error()}
	var fault *connector.Error
	if errors.As(err, &fault) {
		f.Kind, f.Hint = wire.KindInput, fault.Hint
	}
	return f
}

// splitQueue gives out the splits of one source in one attempt, in their order. A split that does not end is never followed
// by another: such splits are dealt out to the subtasks, each of which asks for all of its share. The same request of the same task is
// answered as it was before: its first answer may be lost on the way, and a lost split would be lost input. So every
// request is remembered, one a split and a last one a subtask.
type splitQueue struct {
	connector.Splits
	order   []int                   // indices of the splits to give out
	readers []int                   // subtasks among which they are dealt out; nil: whoever asks first has the next one
	next    []int                   // in order, of each share: of each reader, or one for all
	given   map[splitRequest]int    // place in order, or len(order)
	begin   checkpoint.SourceSplits // how the attempt began

	promised map[int]map[string]int64 // of splits that were begun before, by index
	read     map[int]graph.TaskID     // in batch mode: which task has taken which split, by index
}

type splitRequest struct {
	task    graph.TaskID
	request wire.RequestID
}

func newSplitQueue(splits connector.Splits, readers []int) *splitQueue {
	q := &splitQueue{Splits: splits, readers: readers, given: map[splitRequest]int{}, read: map[int]graph.TaskID{}, promised: map[int]map[string]int64{}}
	for share := range max(1, len(readers)) {
		q.next = append(q.next, share)
	}
	q.begin = checkpoint.SourceSplits{Splits: splits.Splits, Ordered: splits.Ordered, Watermark: abi.MinTime}
	for i := range splits.Splits {
		q.order = append(q.order, i)
	}
	return q
}

// restore goes on from a checkpoint: what was begun comes first, at its position, then what was not; in their order, so
// that ordered splits stay so.
func (q *splitQueue) restore(s checkpoint.SourceSplits) {
	q.Splits.Splits = slices.Clone(q.Splits.Splits)
	done := map[int]bool{}
	for _, i := range s.Done {
		done[int(i)] = true
	}
	if failpoint.Planted(failpoint.ReplayDoneSplit) && len(s.Done) > 0 {
		delete(done, int(s.Done[0]))
	}
	var open, fresh []int
	for _, o := range s.Open {
		if i := int(o.Index); i < len(q.Splits.Splits) {
			q.Splits.Splits[i].Position, q.promised[i] = o.Position, o.Promised
			open = append(open, i)
			done[i] = true
		}
	}
	for i := range q.Splits.Splits {
		if !done[i] {
			fresh = append(fresh, i)
		}
	}
	slices.Sort(open)
	q.order = append(open, fresh...)
	q.begin = s
}

// keep leaves out what tasks have read in an attempt before that need not run again.
func (q *splitQueue) keep(before *splitQueue, kept func(graph.TaskID) bool) {
	for i, task := range before.read {
		if kept(task) && !failpoint.Planted(failpoint.ForgetRead) {
			q.read[i] = task
		}
	}
	q.order = slices.DeleteFunc(q.order, func(i int) bool {
		_, done := q.read[i]
		return done
	})
}

func (q *splitQueue) assign(r splitRequest) *wire.SplitAssignment {
	at, again := q.given[r]
	if !again {
		share := max(0, slices.Index(q.readers, r.task.Subtask))
		at = min(q.next[share], len(q.order))
		q.next[share] = at + len(q.next)
		q.given[r] = at
	}
	a := &wire.SplitAssignment{Ordered: q.Ordered, Last: at+len(q.next) >= len(q.order)}
	if at < len(q.order) {
		i := q.order[at]
		a.Split, a.Index, a.Promised = &q.Splits.Splits[i], uint32(i), q.promised[i]
		q.read[i] = r.task
	}
	return a
}

// dealt are those of the tasks that hold their watermarks for splits that nobody reads yet, of a source that has none left to give
// out. Whoever was given one before counts with what it has promised, also while the answer is on its way.
func (j *jobMaster) dealt(tasks []wire.TaskMetrics) (all []wire.Dealt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range tasks {
		if !m.Held || m.Attempt != j.fsm.attempt || m.Task.Chain >= len(j.exec.Chains) {
			continue
		}
		if q := j.splits[j.exec.Chains[m.Task.Chain].Operators[0]]; q != nil && q.dealt() {
			all = append(all, wire.Dealt{Job: m.Job, Attempt: m.Attempt, Task: m.Task})
		}
	}
	return all
}

// dealt says whether every split has been given out.
func (q *splitQueue) dealt() bool {
	return !slices.ContainsFunc(q.next, func(next int) bool { return next < len(q.order) })
}

// splitReaders are the subtasks among which the splits of a source are dealt out: those that run, if the splits do not end;
// else none.
func (j *jobMaster) splitReaders(operator int) (readers []int) {
	op := &j.record.Graph.Operators[operator]
	source, err := j.jm.config.Connectors.Source(op.Connector, op.Output)
	if err != nil || source.Bounded() { // a source that cannot be made fails in its task
		return nil
	}
	chain := slices.IndexFunc(j.exec.Chains, func(c graph.Chain) bool { return c.Operators[0] == operator })
	for s := range op.Parallelism {
		if j.restored == nil || j.restored.Finished[graph.TaskID{Chain: chain, Subtask: s}] == nil {
			readers = append(readers, s)
		}
	}
	return readers
}

// inputBytes is how much bounded input the sources of a graph know to have, 0 when one of them does not.
func inputBytes(g *graph.JobGraph, sources map[string]connector.Splits) int64 {
	var sum int64
	for _, op := range g.Sources() {
		for _, s := range sources[g.Operators[op].UID].Splits {
			if s.Bytes == 0 {
				return 0
			}
			sum += s.Bytes
		}
	}
	return sum
}

// splitsByUID are the splits of a job's sources as they are stored: every attempt, also under another JobManager, reads the
// same input.
func splitsByUID(g *graph.JobGraph, sources map[int]connector.Splits) map[string]connector.Splits {
	all := map[string]connector.Splits{}
	for op, s := range sources {
		all[g.Operators[op].UID] = s
	}
	return all
}

// splitsOf are the splits that are stored of a job's sources, those of the graph that it may go back to among them.
func (jm *JobManager) splitsOf(ctx context.Context, r *jobRecord) (all map[string]connector.Splits, err error) {
	key := splitsKey + string(r.ID)
	data, ok := jm.config.Meta.Get(key)
	if !ok { // it was stored by an older version
		sources, err := enumerate(ctx, jm.config.Connectors, &r.Graph)
		return splitsByUID(&r.Graph, sources), err
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("read metadata: %s: %w", key, err)
	}
	for _, g := range []*graph.JobGraph{&r.Graph, r.Previous} {
		if g == nil {
			continue
		}
		if err := allStored(g, all); err != nil {
			return nil, fmt.Errorf("read metadata: %s: %w", key, err)
		}
	}
	return all, nil
}

// allStored says which source of a graph has no splits among those: it would read nothing, as if its input were empty.
func allStored(g *graph.JobGraph, splits map[string]connector.Splits) error {
	for _, i := range g.Sources() {
		if op := &g.Operators[i]; !hasSplits(splits, op.UID) {
			return fmt.Errorf("source %q (uid %q): its splits are not stored", op.Name, op.UID)
		}
	}
	return nil
}

func hasSplits(splits map[string]connector.Splits, uid string) bool {
	_, ok := splits[uid]
	return ok
}

// newSplits lists what the sources of a graph read that the one before does not have, by uid.
func (jm *JobManager) newSplits(ctx context.Context, was, is *graph.JobGraph) (map[string]connector.Splits, error) {
	fresh := *is
	fresh.Operators = nil
	for _, i := range is.Sources() {
		if !slices.ContainsFunc(was.Operators, func(o graph.Operator) bool { return o.Kind == abi.OperatorSource && o.UID == is.Operators[i].UID }) {
			fresh.Operators = append(fresh.Operators, is.Operators[i])
		}
	}
	sources, err := enumerate(ctx, jm.config.Connectors, &fresh)
	if err != nil {
		return nil, connectorError(err)
	}
	return splitsByUID(&fresh, sources), nil
}
