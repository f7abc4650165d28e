package control_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/internal/transport/control"
	"github.com/wasmill/wasmill/internal/wire"
)

// box hands what a handler got to the test.
type box struct {
	mu sync.Mutex
	v  any
}

func (b *box) put(v any) {
	b.mu.Lock()
	b.v = v
	b.mu.Unlock()
}

func (b *box) take() any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.v
}

// jobManager records what it is asked and answers what a test wants.
type jobManager struct {
	got    box
	err    error // before the first call
	later  box   // an answer, instead of err
	module io.ReadCloser
	block  chan struct{} // told when a blocked Register has seen its context end
}

// answer says what the calls from now on are answered with: a handler may still be at the one before.
type answer struct{ err error }

func (jm *jobManager) failure() error {
	if a, ok := jm.later.take().(answer); ok {
		return a.err
	}
	return jm.err
}

func (jm *jobManager) Register(ctx context.Context, m *wire.Register) (*wire.Registered, error) {
	jm.got.put(m)
	if jm.block != nil {
		<-ctx.Done()
		jm.block <- struct{}{}
	}
	return &wire.Registered{Epoch: 5, Heartbeat: time.Second, Timeout: 3 * time.Second, Liveness: "127.0.0.1:1"}, jm.failure()
}

func (jm *jobManager) Heartbeat(_ context.Context, m *wire.Heartbeat) (*wire.Noted, error) {
	jm.got.put(m)
	return &wire.Noted{Over: m.Kept}, jm.failure()
}

func (jm *jobManager) Report(_ context.Context, m *wire.Report) error {
	jm.got.put(m)
	return jm.failure()
}

func (jm *jobManager) NextSplit(_ context.Context, m *wire.NextSplit) (*wire.SplitAssignment, error) {
	jm.got.put(m)
	return &wire.SplitAssignment{Split: &connector.Split{ID: "moby.txt[0:100]"}, Index: 3, Last: true}, jm.failure()
}

func (jm *jobManager) Module(_ context.Context, id graph.ModuleID) (io.ReadCloser, error) {
	jm.got.put(id)
	return jm.module, jm.failure()
}

// taskManager does the same.
type taskManager struct {
	got box
	err error
}

func (tm *taskManager) Deploy(_ context.Context, m *wire.Deploy) error { tm.got.put(m); return tm.err }
func (tm *taskManager) Cancel(_ context.Context, m *wire.Cancel) error { tm.got.put(m); return tm.err }
func (tm *taskManager) Commit(_ context.Context, m *wire.Commit) error { tm.got.put(m); return tm.err }

func (tm *taskManager) Examine(_ context.Context, m *wire.Commit) (*wire.Examined, error) {
	tm.got.put(m)
	return &wire.Examined{Obstacles: []wire.Obstacle{{Prepared: 1, Name: "part-1", Failure: wire.Failure{Kind: wire.KindGone, Message: "gone"}}}}, tm.err
}

func (tm *taskManager) Logs(_ context.Context, job graph.JobID, after time.Time, max int) ([]wire.LogLine, error) {
	tm.got.put([]any{job, after, max})
	return []wire.LogLine{{Time: after, Text: "hello"}}, tm.err
}

// endpoints answers one that serves h and one to call it from.
func endpoints(t *testing.T, h http.Handler) (server, client *transport.Endpoint) {
	t.Helper()
	ca, err := transport.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	var both [2]*transport.Endpoint
	for i := range both {
		id, err := ca.Issue("test")
		if err != nil {
			t.Fatal(err)
		}
		if both[i], err = transport.Listen(transport.Config{Address: "127.0.0.1:0", Identity: id}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { both[i].Close() })
	}
	if h != nil {
		both[0].HandleControl(h)
	}
	return both[0], both[1]
}

func callJobManager(t *testing.T, jm *jobManager) *control.JobManagerClient {
	server, client := endpoints(t, control.JobManagerHandler(jm))
	return control.NewJobManagerClient(client, server.Addr())
}

func callTaskManager(t *testing.T, tm *taskManager) *control.TaskManagerClient {
	server, client := endpoints(t, control.TaskManagerHandler(tm))
	return control.NewTaskManagerClient(client, server.Addr())
}

func TestMessagesToTheJobManagerArriveAsTheyWere(t *testing.T) {
	jm := &jobManager{}
	c := callJobManager(t, jm)
	header := wire.Header{Epoch: 5, Job: "7f3a9c19be02", Attempt: 2, Request: "r-1"}
	register := &wire.Register{Version: wire.Version, TaskManager: "tm-1", PID: 7, Address: "127.0.0.1:9", Slots: 2}
	heartbeat := &wire.Heartbeat{Epoch: 5, Tasks: []wire.TaskMetrics{{Watermark: math.MinInt64, BytesIn: math.MaxInt64}}, Kept: []graph.JobID{"7f3a9c19be02"}}
	report := &wire.Report{Header: header, State: wire.TaskFailed, Failure: &wire.Failure{Kind: wire.KindGuest, Message: "m"}}
	split := &wire.NextSplit{Header: header, Operator: 1}
	for name, c := range map[string]struct {
		sent any
		call func() (any, error)
		want any
	}{
		"register": {register, func() (any, error) { return c.Register(t.Context(), register) },
			&wire.Registered{Epoch: 5, Heartbeat: time.Second, Timeout: 3 * time.Second, Liveness: "127.0.0.1:1"}},
		"heartbeat": {heartbeat, func() (any, error) { return c.Heartbeat(t.Context(), heartbeat) }, &wire.Noted{Over: heartbeat.Kept}},
		"report":    {report, func() (any, error) { return nil, c.Report(t.Context(), report) }, nil},
		"split": {split, func() (any, error) { return c.NextSplit(t.Context(), split) },
			&wire.SplitAssignment{Split: &connector.Split{ID: "moby.txt[0:100]"}, Index: 3, Last: true}},
	} {
		got, err := c.call()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if arrived := jm.got.take(); !reflect.DeepEqual(arrived, c.sent) {
			t.Errorf("%s: %+v arrived (sent %+v)", name, arrived, c.sent)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: answer %+v (expected %+v)", name, got, c.want)
		}
	}
}

func TestMessagesToATaskManagerArriveAsTheyWere(t *testing.T) {
	tm := &taskManager{}
	c := callTaskManager(t, tm)
	header := wire.Header{Epoch: 5, Job: "7f3a9c19be02", Attempt: 2, Request: "r-1"}
	after := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	deploy := &wire.Deploy{Header: header, Graph: graph.JobGraph{Name: "wordcount", Params: map[string]string{"input": "x"}}}
	cancel := &wire.Cancel{Header: header}
	prepare := &wire.Prepare{Header: header, Exchange: 3, Graph: graph.JobGraph{Modules: []graph.Module{{ID: "new"}}}}
	commit := &wire.Commit{Header: header, Checkpoint: 9, Prepared: []connector.Committable{{Operator: "out", Data: []byte(`{}`)}}}
	for name, c := range map[string]struct {
		sent any
		call func() error
	}{
		"deploy":  {deploy, func() error { return c.Deploy(t.Context(), deploy) }},
		"cancel":  {cancel, func() error { return c.Cancel(t.Context(), cancel) }},
		"prepare": {prepare, func() error { return c.Prepare(t.Context(), prepare) }},
		"commit":  {commit, func() error { return c.Commit(t.Context(), commit) }},
		"examine": {commit, func() error {
			found, err := c.Examine(t.Context(), commit)
			if err != nil || len(found.Obstacles) != 1 || found.Obstacles[0].Prepared != 1 || found.Obstacles[0].Failure.Kind != wire.KindGone {
				t.Errorf("examine: %+v", found)
			}
			return err
		}},
		"logs": {[]any{graph.JobID("7f3a9c19be02"), after, 5}, func() error {
			lines, err := c.Logs(t.Context(), "7f3a9c19be02", after, 5)
			if len(lines) != 1 || lines[0].Text != "hello" || !lines[0].Time.Equal(after) {
				t.Errorf("logs: %+v", lines)
			}
			return err
		}},
	} {
		if err := c.call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if arrived := tm.got.take(); !reflect.DeepEqual(arrived, c.sent) {
			t.Errorf("%s: %+v arrived (sent %+v)", name, arrived, c.sent)
		}
	}
}

func TestRefusalsKeepTheirKind(t *testing.T) {
	want := &wire.Failure{Kind: wire.KindStale, Message: "epoch 4 is over", Hint: "register again", Operator: "split", Subtask: 2}
	jm := &jobManager{err: want}
	c := callJobManager(t, jm)
	_, register := c.Register(t.Context(), &wire.Register{})
	_, module := c.Module(t.Context(), "abc")
	_, beat := c.Heartbeat(t.Context(), &wire.Heartbeat{})
	for name, err := range map[string]error{"register": register, "heartbeat": beat, "module": module} {
		var got *wire.Failure
		if !errors.As(err, &got) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v (expected %#v)", name, err, want)
		}
	}
}

// What is refused because it is too late is counted by its name, and nothing else is.
func TestStaleCallsAreCounted(t *testing.T) {
	jm := &jobManager{err: &wire.Failure{Kind: wire.KindStale, Message: "attempt 1 is over"}}
	h := control.JobManagerHandler(jm)
	server, from := endpoints(t, h)
	c := control.NewJobManagerClient(from, server.Addr())
	for range 2 {
		_ = c.Report(t.Context(), &wire.Report{})
	}
	_, _ = c.Heartbeat(t.Context(), &wire.Heartbeat{})
	jm.later.put(answer{&wire.Failure{Kind: wire.KindInput}})
	_, _ = c.Register(t.Context(), &wire.Register{})
	jm.later.put(answer{})
	_ = c.Report(t.Context(), &wire.Report{})
	if got, want := h.Stale(), map[string]int64{"report": 2, "heartbeat": 1}; !maps.Equal(got, want) {
		t.Errorf("%v (expected %v)", got, want)
	}
}

func TestOtherErrorsAreNoRefusals(t *testing.T) {
	c := callTaskManager(t, &taskManager{err: errors.New("sync counts/part-1: no space left on device")})
	err := c.Commit(t.Context(), &wire.Commit{})
	var f *wire.Failure
	if errors.As(err, &f) {
		t.Errorf("%#v (expected no *wire.Failure: the call may have been carried out in part)", f)
	}
	for _, want := range []string{"commit: 127.0.0.1:", "sync counts/part-1: no space left on device"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestOverlargeRequestIsRefused(t *testing.T) {
	tm := &taskManager{}
	c := callTaskManager(t, tm)
	deploy := &wire.Deploy{Graph: graph.JobGraph{Params: map[string]string{"x": strings.Repeat("x", 17<<20)}}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // a call without a deadline is given one, which a busy machine does not keep
	defer cancel()
	err := c.Deploy(ctx, deploy)
	var f *wire.Failure
	if got := tm.got.take(); !errors.As(err, &f) || f.Kind != wire.KindInput || got != nil {
		t.Errorf("%v, delivered %v (expected a refusal of KindInput)", err, got != nil)
	}
}

func TestModuleStreams(t *testing.T) {
	wasm := bytes.Repeat([]byte("wasm"), 1<<20)
	jm := &jobManager{module: io.NopCloser(bytes.NewReader(wasm))}
	c := callJobManager(t, jm)
	r, err := c.Module(t.Context(), "abc")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, wasm) {
		t.Errorf("%d bytes, %v (expected %d)", len(got), err, len(wasm))
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if id := jm.got.take(); id != graph.ModuleID("abc") {
		t.Errorf("asked for %v", id)
	}
}

// A module whose bytes cannot all be read must not look whole to who fetches it.
func TestModuleThatBreaksOffIsAnError(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("half of it"), brokenReader{})
	c := callJobManager(t, &jobManager{module: io.NopCloser(broken)})
	r, err := c.Module(t.Context(), "abc")
	if err != nil {
		return // the peer broke off before the first byte was sent
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err == nil {
		t.Errorf("%q without error", text)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk error") }

func TestCallerWhoGivesUpEndsTheCall(t *testing.T) {
	jm := &jobManager{block: make(chan struct{}, 64)}
	c := callJobManager(t, jm)
	for patience := 100 * time.Millisecond; jm.got.take() == nil; patience *= 2 { // a busy machine may not get as far as the handler
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := c.Register(ctx, &wire.Register{})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "does not answer") {
			t.Fatalf("%v (expected the deadline)", err)
		}
	}
	<-jm.block // or the handler's context goes on
}

func TestProcessWithoutHandler(t *testing.T) {
	server, client := endpoints(t, nil)
	c := control.NewTaskManagerClient(client, server.Addr())
	err := c.Cancel(t.Context(), &wire.Cancel{})
	if want := "answered 503"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not say %q", err, want)
	}
}

// A JobManager that is stopped and started again is called on a new connection, by the first call already.
func TestCallsGoOnAfterARestart(t *testing.T) {
	ca, err := transport.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	id, err := ca.Issue("test")
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:0"
	from, err := transport.Listen(transport.Config{Address: address, Identity: id})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	var c *control.TaskManagerClient
	for range 3 {
		e, err := transport.Listen(transport.Config{Address: address, Identity: id})
		if err != nil {
			t.Fatal(err)
		}
		e.HandleControl(control.TaskManagerHandler(&taskManager{}))
		if c == nil {
			address = e.Addr()
			c = control.NewTaskManagerClient(from, address)
		}
		if err := c.Cancel(t.Context(), &wire.Cancel{}); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClosedClientFails(t *testing.T) {
	c := callTaskManager(t, &taskManager{})
	if err := c.Cancel(t.Context(), &wire.Cancel{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Cancel(t.Context(), &wire.Cancel{}); err == nil {
		t.Error("a call after Close succeeds")
	}
}

func (*jobManager) Acknowledge(context.Context, *wire.Acknowledge) error { return nil }

func (tm *taskManager) Prepare(_ context.Context, m *wire.Prepare) error {
	tm.got.put(m)
	return tm.err
}

func (*taskManager) Trigger(context.Context, *wire.Trigger) error   { return nil }
func (*taskManager) Conclude(context.Context, *wire.Conclude) error { return nil }
