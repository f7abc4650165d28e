package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// attempt is what this process runs of one execution of a job.
type attempt struct {
	tm          *TaskManager
	jm          JobManager
	key         exchange.Attempt
	graph       *graph.JobGraph
	exec        *graph.ExecutionGraph
	addresses   map[wire.TaskManagerID]string
	placement   map[string]wire.TaskManagerID
	bounded     bool                  // every source ends
	ran         bool                  // all sinks were open in an attempt before
	finished    map[graph.TaskID]bool // tasks that had ended before the attempt began
	checkpoints *wire.Checkpoints     // nil: the job takes none
	logs        *logRing
	ctx         context.Context // ends when the attempt is cancelled
	cancel      context.CancelFunc
	wg          sync.WaitGroup // a goroutine a task

	tasks       map[graph.TaskID]*task // guarded by tm.mu, as is what follows
	replayed    map[wire.Replay]bool   // that were begun
	running     int
	exchanges   uint32       // the newest that was prepared or dropped
	preparation *preparation // the newest, nil: none was
}

// newAttempt makes an attempt without tasks. tm.mu is held.
func newAttempt(tm *TaskManager, j *job, d *wire.Deploy) (*attempt, error) {
	a := &attempt{
		tm: tm, jm: tm.jm, key: exchange.Attempt{Job: d.Job, Epoch: d.Epoch, Attempt: d.Attempt},
		graph: &d.Graph, exec: graph.Expand(&d.Graph), addresses: d.Addresses, placement: d.Placement,
		logs: j.logs, tasks: map[graph.TaskID]*task{}, replayed: map[wire.Replay]bool{}, finished: map[graph.TaskID]bool{}, checkpoints: d.Checkpoints, ran: d.Ran,
	}
	for _, id := range d.Finished {
		a.finished[id] = true
	}
	var err error
	if a.bounded, err = a.isBounded(); err != nil {
		return nil, err
	}
	if err := tm.config.Network.Attach(a.key); err != nil {
		if errors.Is(err, exchange.ErrStale) {
			return nil, refuse(wire.KindStale, "deploy job %s: %v", d.Job, err)
		}
		return nil, refuse(wire.KindInternal, "deploy job %s: %v", d.Job, err)
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	if a.graph.Batch { // its tasks come stage by stage, and its outputs are replayed in between: it is over when it is cancelled
		a.running++
		tm.live[a] = struct{}{}
		context.AfterFunc(a.ctx, a.gone)
	}
	return a, nil
}

func (a *attempt) isBounded() (bool, error) {
	for _, i := range a.graph.Sources() {
		op := &a.graph.Operators[i]
		src, err := a.tm.config.Connectors.Source(op.Connector, op.Output)
		if err != nil {
			return false, inOperator(op.Name, wire.KindInput, err)
		}
		if !src.Bounded() {
			return false, nil
		}
	}
	return true, nil
}

// deploy starts those tasks that have not been started. Every gate is there before the first task runs. tm.mu is held.
func (a *attempt) deploy(tasks []wire.TaskDeploy, replays []wire.Replay) error {
	if a.ctx.Err() != nil {
		return refuse(wire.KindStale, "deploy job %s: attempt %d was cancelled", a.key.Job, a.key.Attempt)
	}
	for _, d := range tasks {
		if err := a.check(d); err != nil {
			return err
		}
	}
	var fresh []*task
	for _, d := range tasks {
		if a.tasks[d.Task] != nil {
			continue
		}
		t := newTask(a, d)
		a.tasks[d.Task] = t
		a.running++
		a.tm.slots.take(d.Slot, a.key.Job)
		fresh = append(fresh, t)
	}
	for _, t := range fresh {
		a.tm.live[a] = struct{}{}
		a.wg.Go(t.run)
	}
	for _, r := range replays {
		if !a.replayed[r] {
			a.replayed[r] = true
			a.wg.Go(func() { a.replay(r) })
		}
	}
	return nil
}

// abandon ends an attempt that has no task, so that nothing of it is left. tm.mu is held.
func (a *attempt) abandon() {
	a.cancel()
	a.tm.config.Network.Detach(a.key)
}

func (a *attempt) check(d wire.TaskDeploy) error {
	id := d.Task
	if id.Chain < 0 || id.Chain >= len(a.exec.Chains) || id.Subtask < 0 || id.Subtask >= a.exec.Chains[id.Chain].Parallelism {
		return refuse(wire.KindInternal, "deploy job %s: there is no task %s", a.key.Job, id)
	}
	return a.tm.slots.check(d.Slot, a.key.Job)
}

// release gives the slot of a task back, before its end is reported: the answer may be a task of another job.
func (a *attempt) release(t *task) {
	a.tm.mu.Lock()
	defer a.tm.mu.Unlock()
	a.tm.slots.release(t.slot)
}

// gone takes note that nothing of a task is left. With the last one the attempt's channels here end, too.
func (a *attempt) gone() {
	a.tm.mu.Lock()
	a.running--
	last := a.running == 0
	if last {
		delete(a.tm.live, a)
	}
	a.tm.mu.Unlock()
	if last {
		a.tm.config.Network.Detach(a.key)
	}
}

func (a *attempt) fence() fence { return fence{a.key.Epoch, a.key.Attempt} }

// address is where a task runs: "" for this process.
func (a *attempt) address(id graph.TaskID) (string, error) {
	tm, ok := a.placement[id.String()]
	if !ok {
		return "", refuse(wire.KindInternal, "connect to task %s: nobody says where it runs", id)
	}
	if tm == a.tm.config.ID {
		return "", nil
	}
	addr := a.addresses[tm]
	if addr == "" {
		return "", refuse(wire.KindInternal, "connect to task %s: TaskManager %s has no address", id, tm)
	}
	return addr, nil
}

func (a *attempt) header() wire.Header {
	return wire.Header{Epoch: a.key.Epoch, Job: a.key.Job, Attempt: a.key.Attempt}
}

// request names a request, the same each time it is made.
func (a *attempt) request(what string, id graph.TaskID, n int) wire.RequestID {
	return wire.RequestID(fmt.Sprintf("%s-%s-%d-%s-%d", what, a.key.Job, a.key.Attempt, id, n))
}

// alignTimeout is how long a barrier that may overtake waits for the others.
func (a *attempt) alignTimeout() time.Duration {
	if a.checkpoints == nil {
		return 0
	}
	return a.checkpoints.AlignTimeout
}
