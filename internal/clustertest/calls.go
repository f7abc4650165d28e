package clustertest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager"
	"github.com/wasmill/wasmill/taskmanager"
)

// trouble decides what happens to control requests: they are dropped, carried out twice, or carried out though the caller
// is told that time is up.
type trouble struct {
	trace *Trace
	over  chan struct{}  // closed when no late request is to come any more
	late  sync.WaitGroup // requests that are to come

	mu                sync.Mutex
	random            *rand.Rand
	drop, twice, lost float64 // probabilities
	held              float64 // probability that a request comes seconds after its caller has given up
	noCommit          bool    // the output of checkpoints is not committed
	keeping           string  // requests of that name come when they are let go, and no sooner
	kept              []func()
}

func newTrouble(trace *Trace, seed uint64) *trouble {
	return &trouble{trace: trace, over: make(chan struct{}), random: rand.New(rand.NewPCG(seed, 3))}
}

// set changes the probabilities.
func (t *trouble) set(drop, twice, lost float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop, t.twice, t.lost = drop, twice, lost
}

// close ends the requests that are still to come.
func (t *trouble) close() {
	close(t.over)
	t.late.Wait()
}

// hold makes requests come late.
func (t *trouble) hold(probability float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = probability
}

// keep makes requests of a name wait, though their callers are told that time is up.
func (t *trouble) keep(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keeping = name
}

// waiting is how many requests were kept.
func (t *trouble) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.kept)
}

// letGo has what was kept come, all at once, and keeps nothing more.
func (t *trouble) letGo() {
	t.mu.Lock()
	kept := t.kept
	t.keeping, t.kept = "", nil
	t.mu.Unlock()
	for _, request := range kept {
		t.late.Go(request)
	}
}

// keeps says whether a request is kept.
func (t *trouble) keeps(ctx context.Context, name string, request func(context.Context) error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keeping != name {
		return false
	}
	t.kept = append(t.kept, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = request(ctx)
	})
	return true
}

// lateness is how late a request comes, 0: at once.
func (t *trouble) lateness() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held == 0 || t.random.Float64() >= t.held {
		return 0
	}
	return time.Second + time.Duration(t.random.Int64N(int64(4*time.Second)))
}

// holdCommits makes commits get lost.
func (t *trouble) holdCommits(hold bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noCommit = hold
}

func (t *trouble) holdsCommits() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.noCommit
}

func (t *trouble) draw() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.drop+t.twice+t.lost == 0 {
		return 2
	}
	return t.random.Float64()
}

var errTrouble = errors.New("no answer in time")

// do makes one request, or what becomes of it.
func (t *trouble) do(ctx context.Context, name string, request func(context.Context) error) error {
	if t.keeps(ctx, name, request) {
		t.trace.Add("request %s is kept", name)
		return errTrouble
	}
	if late := t.lateness(); late > 0 && name != "heartbeat" {
		t.trace.Effect("request late")
		t.trace.Add("request %s comes %s late", name, late)
		t.late.Go(func() {
			select {
			case <-time.After(late): // virtual
			case <-t.over:
				return
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = request(ctx)
		})
		return errTrouble
	}
	r := t.draw()
	t.mu.Lock()
	drop, twice, lost := t.drop, t.twice, t.lost
	t.mu.Unlock()
	switch {
	case r < drop:
		t.trace.Effect("request dropped")
		t.trace.Add("request %s is dropped", name)
		return errTrouble
	case r < drop+twice:
		t.trace.Effect("request twice")
		t.trace.Add("request %s comes twice", name)
		_ = request(ctx)
	case r < drop+twice+lost:
		t.trace.Effect("request executed, answer lost")
		t.trace.Add("request %s is carried out, its answer is lost", name)
		if err := request(ctx); err != nil {
			return err
		}
		return errTrouble
	}
	return request(ctx)
}

// troubledTM is a TaskManager as its JobManager reaches it.
type troubledTM struct {
	jobmanager.TaskManager
	trouble *trouble
}

func (c troubledTM) Deploy(ctx context.Context, m *wire.Deploy) error {
	return c.trouble.do(ctx, "deploy", func(ctx context.Context) error { return c.TaskManager.Deploy(ctx, m) })
}

func (c troubledTM) Cancel(ctx context.Context, m *wire.Cancel) error {
	return c.trouble.do(ctx, "cancel", func(ctx context.Context) error { return c.TaskManager.Cancel(ctx, m) })
}

func (c troubledTM) Commit(ctx context.Context, m *wire.Commit) error {
	if !m.Abort && c.trouble.holdsCommits() {
		c.trouble.trace.Effect("commit lost")
		return errTrouble
	}
	return c.trouble.do(ctx, "commit", func(ctx context.Context) error { return c.TaskManager.Commit(ctx, m) })
}

func (c troubledTM) Examine(ctx context.Context, m *wire.Commit) (e *wire.Examined, err error) {
	err = c.trouble.do(ctx, "examine", func(ctx context.Context) (err error) {
		e, err = c.TaskManager.Examine(ctx, m)
		return err
	})
	return e, err
}

func (c troubledTM) Prepare(ctx context.Context, m *wire.Prepare) error {
	return c.trouble.do(ctx, "prepare", func(ctx context.Context) error { return c.TaskManager.Prepare(ctx, m) })
}

func (c troubledTM) Trigger(ctx context.Context, m *wire.Trigger) error {
	return c.trouble.do(ctx, "trigger", func(ctx context.Context) error { return c.TaskManager.Trigger(ctx, m) })
}

func (c troubledTM) Conclude(ctx context.Context, m *wire.Conclude) error {
	return c.trouble.do(ctx, "conclude", func(ctx context.Context) error { return c.TaskManager.Conclude(ctx, m) })
}

func (c troubledTM) Logs(ctx context.Context, job graph.JobID, after time.Time, max int) ([]wire.LogLine, error) {
	return c.TaskManager.Logs(ctx, job, after, max)
}

// Close closes the client.
func (c troubledTM) Close() error {
	if closer, ok := c.TaskManager.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// troubledJM is a JobManager as its TaskManagers reach it.
type troubledJM struct {
	taskmanager.JobManager
	trouble *trouble
}

func (c troubledJM) Heartbeat(ctx context.Context, m *wire.Heartbeat) (n *wire.Noted, err error) {
	err = c.trouble.do(ctx, "heartbeat", func(ctx context.Context) (err error) {
		n, err = c.JobManager.Heartbeat(ctx, m)
		return err
	})
	return n, err
}

func (c troubledJM) Report(ctx context.Context, m *wire.Report) error {
	return c.trouble.do(ctx, "report", func(ctx context.Context) error { return c.JobManager.Report(ctx, m) })
}

func (c troubledJM) Acknowledge(ctx context.Context, m *wire.Acknowledge) error {
	return c.trouble.do(ctx, "acknowledge", func(ctx context.Context) error { return c.JobManager.Acknowledge(ctx, m) })
}

func (c troubledJM) NextSplit(ctx context.Context, m *wire.NextSplit) (a *wire.SplitAssignment, err error) {
	answer := make(chan *wire.SplitAssignment, 2)
	err = c.trouble.do(ctx, "split", func(ctx context.Context) error {
		a, err := c.JobManager.NextSplit(ctx, m)
		if err == nil {
			answer <- a
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-answer, nil
}
