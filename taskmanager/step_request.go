package taskmanager

import (
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// requestStep runs a request function: it has the operator ask the outside about records, and passes on what the function makes
// of the answers. It never waits: answers wake the task, and results go out by tick.
type requestStep struct {
	name      string
	op        *operator.Requests
	requester *requester
	handle    *handle
	header    abi.CallHeader
	time      *taskTime
	emitter   emitter
	received  int64 // watermark of the input
	passed    int64 // behind the operator
	metrics   *requestMetrics
	inputIdle func() bool
}

func (c *chain) newRequest(op *graph.Operator, h *handle, parts chainParts) (step, error) {
	r, err := parts.requester(op)
	if err != nil {
		return nil, err
	}
	st := &requestStep{name: op.Name, requester: r, handle: h, header: parts.header(), time: &c.time, received: abi.MinTime, passed: abi.MinTime, metrics: c.metrics.requests[op.UID]}
	i := c.plan.operatorIndex(op)
	from, to := parts.keyGroups()
	st.op, err = operator.NewRequests(operator.RequestsConfig{
		UID: op.UID, Requests: *op.Requests, Failures: op.Declared.Failures, Placed: c.plan.graph.Placed(i), Groups: c.plan.graph.MaxParallelism,
		From: from, To: to, Store: c.store, Calls: st, Sender: r, Now: time.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("operator %q: %w", op.Name, err)
	}
	c.requests = append(c.requests, st)
	return st, nil
}

func (s *requestStep) save() error { return s.op.Save() }

func (s *requestStep) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	s.begin()
	return s.end(s.op.Process(&b.Batch, b.from, b.first))
}

func (s *requestStep) advance(watermark int64) (bool, error) {
	s.received = watermark
	s.op.Advance(watermark)
	s.passed = s.op.Passed()
	return false, nil
}

func (s *requestStep) wake() time.Time { return s.op.Wake() }

func (s *requestStep) tick(time.Time) (bool, error) {
	s.begin()
	waited := s.op.Waiting()
	more, err := s.op.Tick()
	s.passed = s.op.Passed()
	return more || waited && !s.op.Waiting(), s.end(err) // who waits for nothing may be idle
}

// renew has everything asked anew, by another guest.
func (s *requestStep) renew() { s.op.Renew() }

// idle says that nothing is to be expected from the operator for now.
func (s *requestStep) idle() bool { return !s.op.Waiting() && s.inputIdle() }

func (s *requestStep) begin() {
	s.handle.guest.rest()
	s.header.Watermark, s.header.ProcessingTime = s.received, s.time.ms
}

func (s *requestStep) end(err error) error {
	s.metrics.set(s.op.Figures())
	if err != nil {
		return requestFailure(s.name, err)
	}
	return nil
}

// Request implements operator.Inquirer.
func (s *requestStep) Request(groups *abi.GroupsWriter) ([]byte, error) {
	effects, err := s.handle.keyed(abi.VerbRequest, &s.header, groups)
	if err != nil {
		return nil, err
	}
	if len(effects.Emits) > 0 {
		return nil, &operator.ReplyError{Problem: "the request function emits where it says what to ask (expected requests; a record that needs none is answered at once)"}
	}
	return effects.Reply, nil
}

// Response implements operator.Inquirer.
func (s *requestStep) Response(groups *abi.GroupsWriter) error {
	effects, err := s.handle.keyed(abi.VerbResponse, &s.header, groups)
	if err != nil {
		return err
	}
	return s.emitter.emit(effects)
}

// Retry implements operator.Inquirer.
func (s *requestStep) Retry(err error, n int, call func(lo, hi int) error, describe func(int) operator.Unit) error {
	return s.handle.retry(err, n, call, func(i int) poisoned {
		u := describe(i)
		return poisoned{kind: "record", name: u.Name, data: u.Data, key: u.Key, time: u.Time, skip: u.Skip}
	})
}

// waiting says whether records of the chain have no answer yet.
func (c *chain) waiting() bool {
	for _, s := range c.requests {
		if s.op.Waiting() {
			return true
		}
	}
	return false
}

// congested says that the chain should take no input for now, because too many records have no answer yet.
func (c *chain) congested() bool {
	for _, s := range c.requests {
		if s.op.Congested() {
			return true
		}
	}
	return false
}
