package taskmanager

import (
	"context"
	"sync"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// order is what the JobMaster says of a checkpoint: one of the fields.
type order struct {
	trigger   *exchange.Mark // take your part
	completed checkpoint.ID
	aborted   checkpoint.ID
}

// orders is a task's mailbox for them. Any goroutine may give one, the task takes them.
type orders struct {
	mu    sync.Mutex
	queue []order // guarded by mu
}

func (o *orders) give(one order) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append(o.queue, one)
}

func (o *orders) take() []order {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.queue
	o.queue = nil
	return all
}

// Trigger begins a checkpoint at some tasks of this process. Those that have ended meanwhile take no part: what they gave
// with their end counts.
func (tm *TaskManager) Trigger(_ context.Context, m *wire.Trigger) error {
	mark := exchange.Mark{
		Checkpoint: m.Checkpoint, Base: m.Base, Stop: m.Stop, Drain: m.Drain, Unaligned: m.Unaligned, MayOvertake: m.MayOvertake,
		Exchange: m.Exchange,
	}
	return tm.order(m.Header, order{trigger: &mark}, func(id graph.TaskID) bool {
		for _, t := range m.Tasks {
			if t == id {
				return true
			}
		}
		return false
	})
}

// Conclude tells every task of an attempt how a checkpoint has ended.
func (tm *TaskManager) Conclude(_ context.Context, m *wire.Conclude) error {
	if m.Dropped != 0 {
		return tm.drop(m)
	}
	return tm.order(m.Header, order{completed: m.Completed, aborted: m.Aborted}, func(graph.TaskID) bool { return true })
}

// order gives an order to those tasks of the attempt that are meant.
func (tm *TaskManager) order(h wire.Header, o order, meant func(graph.TaskID) bool) error {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	a, err := tm.attemptLocked("checkpoint", h)
	if err != nil {
		return err
	}
	for id, t := range a.tasks {
		if meant(id) {
			t.orders.give(o)
			t.nudge()
		}
	}
	return nil
}

// attemptLocked is the attempt that a message is about. tm.mu is held.
func (tm *TaskManager) attemptLocked(what string, h wire.Header) (*attempt, error) {
	if err := tm.adoptLocked(h.Epoch); err != nil {
		return nil, err
	}
	j := tm.jobs[h.Job]
	if j == nil || j.current == nil || j.current.fence() != (fence{h.Epoch, h.Attempt}) || j.current.ctx.Err() != nil {
		return nil, refuse(wire.KindStale, "%s of job %s: attempt %d does not run here", what, h.Job, h.Attempt)
	}
	return j.current, nil
}

// output is what sinks have prepared and no completed checkpoint is known to have committed.
type output struct {
	sets []preparedSet
}

type preparedSet struct {
	checkpoint checkpoint.ID // that it was prepared for
	prepared   []connector.Committable
}

func (o *output) add(id checkpoint.ID, prepared []connector.Committable) {
	if len(prepared) > 0 {
		o.sets = append(o.sets, preparedSet{id, prepared})
	}
}

// completed drops what a completed checkpoint has committed.
func (o *output) completed(id checkpoint.ID) {
	for len(o.sets) > 0 && o.sets[0].checkpoint <= id {
		o.sets = o.sets[1:]
	}
}

func (o *output) all() []connector.Committable {
	var all []connector.Committable
	for _, s := range o.sets {
		all = append(all, s.prepared...)
	}
	return all
}
