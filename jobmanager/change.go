package jobmanager

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// What a rescaling or an upgrade changes about a job, and what becomes of it: it is done with the first checkpoint behind it,
// or a failure before takes the job back. Either stays in the record, and so does an upgrade in place that was never decided, until
// there are too many behind it.

// keptChanges is how many changes a job's record has: so many at least have to come behind one before people do not see any more what
// became of it, also those that came to nothing. One is some 200 bytes.
const keptChanges = 5

// wentBackText begins the failure of an attempt of what the job is not any more.
const wentBackText = "the job went back to what it was before: "

// change is one that is stored now.
func (j *jobMaster) change(kind api.ChangeKind, was, is *graph.JobGraph) api.Change {
	return api.Change{
		Kind: kind, Time: j.jm.config.Now(), Outcome: api.ChangePending, Changes: slices.Concat(changes(was, is), parallelisms(was, is), reordered(was, is)),
	}
}

// prove forgets the graph before: a checkpoint of this one is decided, or the job's end.
func (r *jobRecord) prove() {
	r.Previous, r.PreviousParallelism = nil, nil
	r.settle(func(c *api.Change) {
		if c.Outcome == api.ChangePending {
			c.Outcome = api.ChangeDone
		}
	})
}

// begin makes a change what the job is from now on.
func (r *jobRecord) begin(c api.Change) {
	r.Trial = nil
	r.newest(c)
}

// newest puts a change in front of those that there are, whose array others may be reading.
func (r *jobRecord) newest(c api.Change) {
	r.Changes = append([]api.Change{c}, r.Changes[:min(len(r.Changes), keptChanges-1)]...)
}

// settle looks at each change that there is, and may say what became of it.
func (r *jobRecord) settle(of func(*api.Change)) {
	r.Changes = slices.Clone(r.Changes)
	for i := range r.Changes {
		of(&r.Changes[i])
	}
}

// undo says of the change that the job was that a failure has taken it back.
func (r *jobRecord) undo(attempt graph.Attempt, cause string) {
	r.settle(func(c *api.Change) {
		if c.Outcome == api.ChangePending {
			*c = wentBack(*c, attempt, cause)
		}
	})
}

// wentBack is a change that a failure has undone, or kept from being decided.
func wentBack(c api.Change, attempt graph.Attempt, cause string) api.Change {
	c.Outcome, c.Attempt, c.Reason = api.ChangeWentBack, attempt, reasonOf(cause)
	return c
}

// reasonOf is what a failure of an attempt of what the job is not any more says of the change.
func reasonOf(cause string) string { return strings.TrimPrefix(cause, wentBackText) }

// giveUp ends the trial of an upgrade that was not decided, if there is one.
func (r *jobRecord) giveUp(attempt graph.Attempt, cause string) {
	if t := r.Trial; t != nil {
		r.begin(wentBack(*t, attempt, cause))
	}
}

// gaveUp stores why an upgrade in place has come to nothing.
func (j *jobMaster) gaveUp(cause string) {
	if e := j.storeOr(nil, func(r *jobRecord) { r.giveUp(j.fsm.attempt, cause) }); e != nil {
		j.log.Error("store why an upgrade was given up", "err", e.(evStoreFailed).failure.Message)
	}
}

// explain stores a better cause for what the current attempt was taken back for: it had another, which others may have had as well.
func (j *jobMaster) explain(had string) {
	of := func(c *api.Change) bool {
		return c.Outcome == api.ChangeWentBack && c.Attempt == j.fsm.attempt && c.Reason == reasonOf(had)
	}
	if !slices.ContainsFunc(j.record.Changes, func(c api.Change) bool { return of(&c) }) {
		return // nothing was stored that could have been undone
	}
	if e := j.storeOr(nil, func(r *jobRecord) {
		r.settle(func(c *api.Change) {
			if of(c) {
				c.Reason = reasonOf(j.fsm.failure.Message)
			}
		})
	}); e != nil {
		j.log.Error("store why the job went back", "err", e.(evStoreFailed).failure.Message)
	}
}

// changes says what is different about a job's graph, for people.
func changes(was, is *graph.JobGraph) (all []string) {
	if a, b := was.Modules[0], is.Modules[0]; a.ID != b.ID {
		all = append(all, fmt.Sprintf("module %s instead of %s", short(b.ID), short(a.ID)))
	}
	for _, name := range slices.Sorted(maps.Keys(is.Params)) {
		if have, ok := was.Params[name]; !ok || have != is.Params[name] {
			all = append(all, fmt.Sprintf("parameter %q is other", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was.Params)) {
		if _, ok := is.Params[name]; !ok {
			all = append(all, fmt.Sprintf("parameter %q is not read any more", name))
		}
	}
	of := func(g *graph.JobGraph, uid string) *graph.Operator {
		i := slices.IndexFunc(g.Operators, func(o graph.Operator) bool { return o.UID == uid })
		if i < 0 {
			return nil
		}
		return &g.Operators[i]
	}
	for i := range is.Operators {
		if of(was, is.Operators[i].UID) == nil {
			all = append(all, fmt.Sprintf("%s %q is new", is.Operators[i].Kind, is.Operators[i].Name))
		}
	}
	for i := range was.Operators {
		now := of(is, was.Operators[i].UID)
		if now == nil {
			all = append(all, fmt.Sprintf("%s %q is gone", was.Operators[i].Kind, was.Operators[i].Name))
			continue
		}
		all = append(all, migrations(&was.Operators[i], now)...)
	}
	return all
}

// migrations says which states of an operator have another schema version.
func migrations(was, is *graph.Operator) (all []string) {
	if was.Declared == nil || is.Declared == nil {
		return nil
	}
	for _, a := range was.Declared.States {
		for _, b := range is.Declared.States {
			if a.Name == b.Name && a.Version != b.Version {
				all = append(all, fmt.Sprintf("state %q of operator %q has schema version %d instead of %d: what it holds is migrated when it is touched", b.Name, is.Name, b.Version, a.Version))
			}
		}
	}
	return all
}

// parallelisms says which are different, for people.
func parallelisms(was, is *graph.JobGraph) (all []string) {
	tell := func(of string, a, b int) { all = append(all, fmt.Sprintf("parallelism%s %d instead of %d", of, b, a)) }
	jobs := was.Parallelism != is.Parallelism
	if jobs {
		tell("", was.Parallelism, is.Parallelism)
	}
	for i := range is.Operators {
		now := &is.Operators[i]
		k := slices.IndexFunc(was.Operators, func(o graph.Operator) bool { return o.UID == now.UID })
		if k < 0 || was.Operators[k].Parallelism == now.Parallelism || jobs && now.Parallelism == is.Parallelism {
			continue
		}
		tell(fmt.Sprintf(" of operator %q", now.Name), was.Operators[k].Parallelism, now.Parallelism)
	}
	return all
}

// reordered says between which operators records come in turn to several subtasks that did not, for people.
func reordered(was, is *graph.JobGraph) (all []string) {
	had := inTurn(was)
	for _, between := range inTurn(is) {
		if !slices.Contains(had, between) {
			all = append(all, fmt.Sprintf("records from %q to %q are dealt out in turn: their order is not kept, not of one key either", between[0], between[1]))
		}
	}
	return all
}

// inTurn are the edges that do not keep the order of a sender's records, by the names of their ends.
func inTurn(g *graph.JobGraph) (all [][2]string) {
	for i := range g.Operators {
		to := &g.Operators[i]
		for _, in := range to.Inputs {
			if in.Partition == graph.Rebalance && to.Parallelism > 1 {
				all = append(all, [2]string{g.Operators[in.From].Name, to.Name})
			}
		}
	}
	return all
}

// revert is the pure side of it: the attempt on the new graph has failed.
func (m *jobFSM) revert(cause *wire.Failure) {
	m.exec, m.before = m.before, nil
	m.goBack(cause)
	m.do(actRevert{})
}

// reverts says whether a failure takes the job back to the graph before. What happens to a job whose modules were exchanged
// is theirs only if they failed: they were decided for.
func (m *jobFSM) reverts(cause *wire.Failure) bool {
	if m.before == nil || !m.exchanged {
		return m.before != nil
	}
	switch cause.Kind {
	case wire.KindGuest, wire.KindGuestLimit, wire.KindModule:
		return true
	}
	return false
}

// goBack says that the attempt was one of what the job is not.
func (m *jobFSM) goBack(cause *wire.Failure) {
	f := *cause
	f.Message = wentBackText + f.Message
	m.failure, m.wentBack, m.delay = &f, true, 0
}
