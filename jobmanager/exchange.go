package jobmanager

import (
	"context"
	"fmt"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// A job whose graph stays what it is gets other modules without a restart: they are prepared beside the running tasks, and
// tasks go on with them behind the barrier of a checkpoint. Its decision changes the job's modules, in the same write.

// evExchange gives the job the modules of another graph; answer has room.
type evExchange struct {
	from   uint64 // the generation of the job that it was worked out from
	graph  *graph.JobGraph
	answer chan<- answer
}

// evPrepared is what a TaskManager has answered.
type evPrepared struct {
	number uint32
	prep   exPrepared
}

func (evExchange) event() {}
func (evPrepared) event() {}

// exchange carries out what an exFSM asks for. The job's loop owns it.
type exchange struct {
	fsm     exFSM
	number  uint32
	graph   *graph.JobGraph
	request int           // of its checkpoint
	decided checkpoint.ID // its checkpoint, 0: it is not
	answer  chan<- answer
}

// exchangeModules exchanges the modules of a job for those of a graph that was worked out from its record, and answers the
// checkpoint that has decided it.
func (jm *JobManager) exchangeModules(ctx context.Context, j *jobMaster, r *jobRecord, g *graph.JobGraph) (checkpoint.ID, error) {
	if !jm.takesCheckpoints() {
		return 0, api.Errorf(api.KindConflict, "job %s takes no checkpoints", j.id)
	}
	answers := make(chan answer, 1)
	a, err := j.ask(ctx, evExchange{r.Generation, g, answers}, answers)
	if err != nil {
		return 0, err
	}
	if a.refused != nil {
		return 0, a.refused
	}
	if a.cause != "" {
		return 0, api.Errorf(api.KindConflict, "job %s was not upgraded: %s", j.id, a.cause)
	}
	return a.id, nil
}

// exchange begins one.
func (c *checkpoints) exchange(e evExchange) {
	j := c.job
	var refused error
	if c.fsm == nil || j.phase() != running {
		refused = j.notRunning()
	} else {
		refused = j.mayChange(e.from)
	}
	if refused == nil {
		refused = j.try(e.graph)
	}
	if refused != nil {
		e.answer <- answer{refused: refused}
		return
	}
	c.exchanges++
	c.exchanging = &exchange{number: c.exchanges, graph: e.graph, answer: e.answer}
	j.log.Info("modules are to be exchanged", "module", short(e.graph.Modules[0].ID), "exchange", c.exchanges)
	c.stepExchange(exBegin{j.fsm.taskManagers()})
}

// try stores that an upgrade to a graph was begun: whatever becomes of it, the job says so.
func (j *jobMaster) try(g *graph.JobGraph) error {
	if failed := j.storeOr(nil, func(r *jobRecord) { r.Trial = new(j.change(api.ChangeUpgrade, &r.Graph, g)) }); failed != nil {
		return api.Errorf(api.KindInternal, "%s", failed.(evStoreFailed).failure.Message)
	}
	return nil
}

// stepExchange feeds an event to the exchange that is under way, and carries out what it asks for.
func (c *checkpoints) stepExchange(e exEvent) {
	x := c.exchanging
	if x == nil {
		return
	}
	j := c.job
	for _, a := range x.fsm.step(e) {
		switch a := a.(type) {
		case exDoPrepare:
			c.prepare(x, a.tm)
		case exDoAsk:
			c.requests++
			x.request = c.requests
			c.step(ckAsk{ckRequest{number: x.request, kind: checkpoint.Periodic, exchange: x.number}})
		case exDoTry:
			j.take(evTrying{})
		case exDoDrop:
			c.conclude(&wire.Conclude{Header: j.header(), Dropped: x.number})
		case exDoAnswer:
			j.log.Info("exchange of modules is over", "exchange", x.number, "checkpoint", x.decided, "cause", a.cause)
			c.exchanging = nil
			if a.cause != "" {
				j.gaveUp(a.cause)
			}
			x.answer <- answer{id: x.decided, cause: a.cause}
		}
	}
}

// prepare tells one TaskManager until it answers.
func (c *checkpoints) prepare(x *exchange, id wire.TaskManagerID) {
	j := c.job
	m := &wire.Prepare{Header: j.header(), Exchange: x.number, Graph: *x.graph}
	tm := j.jm.resources.holding(id, j.id)
	j.later(func(context.Context) event {
		done := evPrepared{x.number, exPrepared{tm: id}}
		if tm == nil {
			done.prep.cause = fmt.Sprintf("TaskManager %s is lost", id)
			return done
		}
		if err := insist(tm, deployTimeout, func(ctx context.Context) error { return tm.client.Prepare(ctx, m) }); err != nil {
			done.prep.cause = fmt.Sprintf("prepare it on TaskManager %s: %s", tm.info.Name, err)
		}
		return done
	})
}

// modules is what the job's graph is from a checkpoint on, nil: what it was.
func (c *checkpoints) modules(number uint32) *graph.JobGraph {
	if x := c.exchanging; number != 0 && x != nil && x.number == number {
		return x.graph
	}
	return nil
}

// tried is the graph of the modules that tasks go on with and that nothing is decided for, nil: there are none.
func (c *checkpoints) tried() *graph.JobGraph {
	if x := c.exchanging; x != nil && x.fsm.phase == exTrying {
		return x.graph
	}
	return nil
}

// whyOver is why the job's attempt is over, for whoever has asked something of it.
func (j *jobMaster) whyOver() (why, then string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fsm.whyOver()
}
