package taskmanager

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// Client makes requests to the outside for guests. Any number of goroutines call it.
type Client interface {
	// Check says why an operator may not ask these hosts, nil: it may.
	Check(hosts []string) error
	// Do makes a request, which the guest has written, to one of hosts. It returns when there is an answer, or ctx ends: by its
	// deadline the answer is TimedOut. One of an outcome other than Answered says why in its body.
	Do(ctx context.Context, hosts []string, request []byte) abi.Answer
}

// requester makes the requests of one operator of a task, each on a goroutine of its own. It is the operator's Sender: the
// task's goroutine calls it.
type requester struct {
	client Client
	hosts  []string
	nudge  func() // tells the task that there is something to take

	ctx     context.Context // of the requests since the last Forget
	cancel  context.CancelFunc
	running sync.WaitGroup

	pending atomic.Bool
	mu      sync.Mutex
	answers []operator.Reply // guarded by mu
	over    uint64           // guarded by mu; answers to requests up to this one are dropped
	newest  uint64           // the number of the last request
}

func newRequester(client Client, hosts []string, nudge func()) *requester {
	r := &requester{client: client, hosts: hosts, nudge: nudge}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Send implements operator.Sender.
func (r *requester) Send(number uint64, request []byte, deadline time.Time) {
	ctx := r.ctx
	r.newest = number
	r.running.Go(func() {
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		a := r.client.Do(ctx, r.hosts, request)
		r.mu.Lock()
		defer r.mu.Unlock()
		if number <= r.over {
			return
		}
		r.answers = append(r.answers, operator.Reply{Number: number, Answer: a})
		r.pending.Store(true)
		r.nudge()
	})
}

// Pending implements operator.Sender.
func (r *requester) Pending() bool { return r.pending.Load() }

// Take implements operator.Sender.
func (r *requester) Take() []operator.Reply {
	if !r.pending.Load() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending.Store(false)
	taken := r.answers
	r.answers = nil
	return taken
}

// Forget implements operator.Sender.
func (r *requester) Forget() {
	r.cancel()
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers, r.over = nil, r.newest
	r.pending.Store(false)
}

// close gives up all requests, and waits until none is running.
func (r *requester) close() {
	r.cancel()
	r.running.Wait()
}

// requester makes the one of a request operator.
func (t *task) requester(op *graph.Operator) (*requester, error) {
	client := t.attempt.tm.config.Clients[op.Requests.Client]
	if client == nil {
		return nil, refuse(wire.KindInput, "operator %q: this TaskManager has no client %s", op.Name, op.Requests.Client)
	}
	if err := client.Check(op.Requests.Hosts); err != nil {
		f := refuse(wire.KindInput, "operator %q: %v", op.Name, err)
		var denied interface{ Hint() string }
		if errors.As(err, &denied) {
			f.Hint = denied.Hint()
		}
		return nil, f
	}
	return newRequester(client, op.Requests.Hosts, t.nudge), nil
}
