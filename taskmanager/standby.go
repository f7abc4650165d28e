package taskmanager

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// standby has the guests that a task goes on with behind the barrier of an exchange. They are started beside the task, on
// another goroutine; the task's own takes them.
type standby struct {
	mu     sync.Mutex
	guests []*guest // guarded by mu, like the rest; in the order of the chain's
	number uint32   // of the exchange that they are for, 0: none are there
	over   uint32   // exchanges up to this one have come or been dropped
}

// put gives the task guests for an exchange. They are freed at once if that is over.
func (s *standby) put(number uint32, guests []*guest) {
	s.mu.Lock()
	before := s.guests
	if number <= s.over {
		before = guests
	} else {
		s.number, s.guests = number, guests
	}
	s.mu.Unlock()
	release(before)
}

// take hands the guests for an exchange to the task; false: there are none.
func (s *standby) take(number uint32) ([]*guest, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.number != number || number == 0 {
		return nil, false
	}
	guests := s.guests
	s.number, s.guests, s.over = 0, nil, max(s.over, number)
	return guests, true
}

// drop frees what is there for exchanges up to this one.
func (s *standby) drop(number uint32) {
	s.mu.Lock()
	var guests []*guest
	if s.number <= number {
		guests = s.guests
		s.number, s.guests = 0, nil
	}
	s.over = max(s.over, number)
	s.mu.Unlock()
	release(guests)
}

// closed says that the task has ended.
func (s *standby) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over == math.MaxUint32
}

// close frees what is there, and what comes.
func (s *standby) close() { s.drop(math.MaxUint32) }

func release(guests []*guest) {
	for _, g := range guests {
		g.release()
	}
}

// preparation is that of all tasks of an attempt here for one exchange.
type preparation struct {
	number uint32
	done   chan struct{} // closed when err is set
	err    error
}

// Prepare has the tasks of an attempt make ready for an exchange. Asked for the same one again it waits for the same.
func (tm *TaskManager) Prepare(ctx context.Context, m *wire.Prepare) error {
	p, err := tm.preparation(m)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// preparation begins the one that is asked for, unless it has begun.
func (tm *TaskManager) preparation(m *wire.Prepare) (*preparation, error) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	a, err := tm.attemptLocked("exchange of modules", m.Header)
	if err != nil {
		return nil, err
	}
	if p := a.preparation; p != nil && p.number == m.Exchange {
		return p, nil
	}
	if m.Exchange <= a.exchanges {
		return nil, refuse(wire.KindStale, "exchange modules of job %s: %d is over", m.Job, m.Exchange)
	}
	if why := graph.NotExchangeable(a.graph, &m.Graph); len(why) > 0 {
		return nil, refuse(wire.KindInternal, "exchange modules of job %s: %s", m.Job, why[0])
	}
	p := &preparation{number: m.Exchange, done: make(chan struct{})}
	a.preparation, a.exchanges = p, m.Exchange
	if a.running == 0 { // nothing waits for goroutines of the attempt any more
		close(p.done)
		return p, nil
	}
	tasks := slices.Collect(maps.Values(a.tasks))
	a.wg.Go(func() {
		defer close(p.done)
		p.err = a.prepare(p.number, &m.Graph, tasks)
	})
	return p, nil
}

// drop frees what was prepared for an exchange.
func (tm *TaskManager) drop(m *wire.Conclude) error {
	tm.mu.Lock()
	a, err := tm.attemptLocked("exchange of modules", m.Header)
	var tasks []*task
	if err == nil {
		a.exchanges = max(a.exchanges, m.Dropped)
		tasks = slices.Collect(maps.Values(a.tasks))
	}
	tm.mu.Unlock()
	for _, t := range tasks {
		t.standby.drop(m.Dropped)
	}
	return err
}

// prepare starts the guests of every task. With an error, nothing is left of it.
func (a *attempt) prepare(number uint32, g *graph.JobGraph, tasks []*task) error {
	for _, t := range tasks {
		if t.standby.closed() {
			continue
		}
		guests, err := t.prepare(g)
		if err != nil {
			for _, t := range tasks {
				t.standby.drop(number)
			}
			return failureOf(err)
		}
		t.standby.put(number, guests)
	}
	failpoint.Hit(failpoint.Prepared)
	return nil
}

// prepare starts guests for all that the task calls, as another graph has it.
func (t *task) prepare(g *graph.JobGraph) (guests []*guest, err error) {
	a := t.attempt
	p, err := newPlan(g, a.exec, t.id.Chain, a.sinkColumns)
	if err != nil {
		return nil, err
	}
	c := &chain{plan: p}
	made := func(module graph.ModuleID) (*guest, error) { return t.guestOf(g, module) }
	for s := range p.steps {
		if p.function(s) != nil {
			if _, err := c.newHandle(s, made); err != nil {
				return nil, err
			}
		}
		if _, err := c.newWindowHandles(s, made); err != nil {
			return nil, err
		}
	}
	for _, to := range p.aheads() {
		if _, err := c.newHandleAhead(to, made); err != nil {
			return nil, err
		}
	}
	for i, one := range c.guests {
		one.ctx = a.ctx
		if err := one.open(); err != nil {
			release(c.guests[:i+1])
			return nil, err
		}
	}
	return c.guests, nil
}
