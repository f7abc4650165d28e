package jobmanager

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// cluster is a JobManager with TaskManagers that do what a test says, on the test's time.
type cluster struct {
	t     *testing.T
	meta  ha.Store
	blobs *MemoryBlobs
	jm    *JobManager
	tms   []*fakeTM
	now   func() time.Time // nil: the bubble's
	store string           // of checkpoints, empty: jobs take none
	gate  *gatedStores     // the same, where a test says what becomes of what is put
	log   lockedBuffer
}

// lockedBuffer is a log that is shown when a test fails.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// onFakeTime runs a test of a cluster in a bubble of its own time.
func onFakeTime(t *testing.T, test func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, blobs: NewMemoryBlobs()}
		var err error
		if c.meta, err = ha.OpenMemory(slog.Default()); err != nil {
			t.Fatal(err)
		}
		c.start()
		test(t, c)
		c.stop()
		if t.Failed() {
			t.Logf("end of the log of the JobManager:\n%s", c.log.b.Bytes()[max(0, c.log.b.Len()-4000):])
		}
	})
}

// start starts a JobManager on the cluster's metadata.
func (c *cluster) start() {
	c.t.Helper()
	config := Config{
		Meta: c.meta, Blobs: c.blobs, Inspect: inspectFake, Describe: describeFake, Connectors: fakeConnectors, Version: "test",
		UploadLimit: 1000, Now: c.now,
		Dial: func(r wire.Register) (TaskManager, error) { return c.tm(r.TaskManager), nil },
		Log:  slog.New(slog.NewTextHandler(&c.log, nil)),
	}
	if c.store != "" {
		config.OpenStore, config.Checkpoints.URL = blob.Open, c.store
	}
	if c.gate != nil {
		config.OpenStore, config.Checkpoints = c.gate.open, Checkpoints{URL: c.gate.dir, Interval: time.Hour}
	}
	jm, err := New(config)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := jm.Start(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.jm = jm
}

func (c *cluster) stop() {
	c.t.Helper()
	for _, tm := range c.tms {
		tm.kill()
	}
	if err := errors.Join(c.jm.Close(), c.meta.Close()); err != nil {
		c.t.Error(err)
	}
}

func (c *cluster) tm(id wire.TaskManagerID) *fakeTM {
	i := slices.IndexFunc(c.tms, func(tm *fakeTM) bool { return tm.id == id })
	return c.tms[i]
}

// add registers a TaskManager that sends heartbeats until it is killed.
func (c *cluster) add(id wire.TaskManagerID, slots int) *fakeTM {
	c.t.Helper()
	tm := &fakeTM{c: c, id: id, slots: slots, alive: make(chan struct{})}
	c.tms = append(c.tms, tm)
	tm.register()
	go tm.beat(tm.alive)
	return tm
}

// upload uploads a module; its bytes do not matter.
func (c *cluster) upload() graph.ModuleID {
	c.t.Helper()
	m, err := c.jm.UploadModule(c.t.Context(), strings.NewReader("wasm"))
	if err != nil {
		c.t.Fatal(err)
	}
	return m.ID
}

func (c *cluster) submit(parallelism int, params ...string) *api.Job {
	c.t.Helper()
	s := &api.Submit{Module: c.upload(), Parallelism: &parallelism, Params: map[string]string{"input": "4"}}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		s.Params[name] = value
	}
	job, err := c.jm.SubmitJob(c.t.Context(), s)
	if err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
	return job
}

func (c *cluster) job(id graph.JobID) *api.Job {
	c.t.Helper()
	synctest.Wait()
	job, err := c.jm.GetJob(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return job
}

// expect checks where a job stands now.
func (c *cluster) expect(id graph.JobID, state api.JobState, cause string) *api.Job {
	c.t.Helper()
	job := c.job(id)
	found := ""
	if job.Failure != nil {
		found = job.Failure.Message
	}
	if job.State != state || !strings.Contains(found, cause) || cause == "" && found != "" {
		c.t.Fatalf("job is %s, cause %q (expected %s, %q)", job.State, found, state, cause)
	}
	return job
}

// after lets time go by.
func (c *cluster) after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// fakeTM is a TaskManager whose tasks do what the test says. By default a deployed task reports that it runs, and a
// cancelled one that it has ended.
type fakeTM struct {
	c     *cluster
	id    wire.TaskManagerID
	slots int
	alive chan struct{} // closed when it is dead

	mu         sync.Mutex // guards the rest
	epoch      graph.Epoch
	deployed   []*wire.Deploy
	seen       []string // every message, in order
	tasks      map[graph.TaskID]wire.Header
	silent     bool // does not answer, nor act
	refuse     error
	unprepared error // its answer when it is to prepare an exchange
	lost       int   // answers to deploys that get lost
	lines      []wire.LogLine
	commits    []*wire.Commit
	cleaned    []*wire.Commit
	obstacles  map[string]wire.Kind // what it answers about what is prepared, by its data; it refuses to commit that
	sink       int                  // index of the operator that its tasks write to, 0: 1
	lasting    bool                 // its tasks do not end when they are cancelled
}

func (tm *fakeTM) register() {
	tm.mu.Lock()
	tm.tasks = map[graph.TaskID]wire.Header{} // a deploy may come before the answer
	tm.mu.Unlock()
	r, err := tm.c.jm.Register(tm.c.t.Context(), &wire.Register{
		Version: wire.Version, TaskManager: tm.id, Name: "taskmanager-" + string(tm.id), Address: "127.0.0.1:" + string(tm.id), Slots: tm.slots,
	})
	if err != nil {
		tm.c.t.Fatal(err)
	}
	tm.mu.Lock()
	defer tm.mu.Unlock()
	tm.epoch = r.Epoch
}

func (tm *fakeTM) beat(alive chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-alive:
			return
		case <-tick.C:
			tm.mu.Lock()
			m := &wire.Heartbeat{Epoch: tm.epoch, TaskManager: tm.id, RSS: 1 << 20}
			for id, h := range tm.tasks {
				m.Tasks = append(m.Tasks, wire.TaskMetrics{Job: h.Job, Attempt: h.Attempt, Task: id, RecordsIn: 100, RecordsOut: 50, InputRead: 20, SinkIn: map[int]int64{cmp.Or(tm.sink, 1): 50}})
			}
			silent := tm.silent
			tm.mu.Unlock()
			if !silent {
				tm.c.jm.Heartbeat(context.Background(), m)
			}
		}
	}
}

// kill ends it without a word; the JobManager has to notice.
func (tm *fakeTM) kill() {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	tm.silent = true
	select {
	case <-tm.alive:
	default:
		close(tm.alive)
	}
}

// hear notes a message; when it is silent it waits for the caller to give up.
func (tm *fakeTM) hear(ctx context.Context, format string, args ...any) error {
	tm.mu.Lock()
	silent, refuse := tm.silent, tm.refuse
	if !silent {
		tm.seen = append(tm.seen, fmt.Sprintf(format, args...))
	}
	tm.mu.Unlock()
	if silent {
		<-ctx.Done()
		return ctx.Err()
	}
	return refuse
}

func (tm *fakeTM) Deploy(ctx context.Context, m *wire.Deploy) error {
	if err := tm.hear(ctx, "deploy %d of attempt %d", len(m.Tasks), m.Attempt); err != nil {
		return err
	}
	tm.mu.Lock()
	lost := tm.lost > 0
	if lost {
		tm.lost--
	}
	again := len(tm.deployed) > 0 && tm.deployed[len(tm.deployed)-1].Request == m.Request
	if !again {
		tm.deployed = append(tm.deployed, m)
		for _, t := range m.Tasks {
			tm.tasks[t.Task] = m.Header
		}
	}
	tm.mu.Unlock()
	if again && !lost {
		return nil
	}
	for _, t := range m.Tasks {
		go tm.report(t.Task, wire.TaskRunning, nil)
	}
	if lost {
		return errors.New("no answer")
	}
	return nil
}

func (tm *fakeTM) Cancel(ctx context.Context, m *wire.Cancel) error {
	if err := tm.hear(ctx, "cancel attempt %d", m.Attempt); err != nil {
		return err
	}
	tm.mu.Lock()
	defer tm.mu.Unlock()
	for id, h := range tm.tasks {
		if h.Job == m.Job && h.Attempt <= m.Attempt && !tm.lasting {
			go tm.report(id, wire.TaskCanceled, nil)
		}
	}
	return nil
}

func (tm *fakeTM) Commit(ctx context.Context, m *wire.Commit) error {
	if m.Abort {
		tm.mu.Lock()
		tm.cleaned = append(tm.cleaned, m)
		tm.mu.Unlock()
		return tm.hear(ctx, "clean before attempt %d", m.Attempt)
	}
	tm.mu.Lock()
	tm.commits = append(tm.commits, m)
	tm.mu.Unlock()
	if err := tm.hear(ctx, "commit %d of attempt %d under checkpoint %d", len(m.Prepared), m.Attempt, m.Checkpoint); err != nil {
		return err
	}
	if found := tm.obstructed(m); len(found) > 0 {
		return &found[0].Failure
	}
	return nil
}

func (tm *fakeTM) Examine(ctx context.Context, m *wire.Commit) (*wire.Examined, error) {
	if err := tm.hear(ctx, "examine %d of checkpoint %d", len(m.Prepared), m.Checkpoint); err != nil {
		return nil, err
	}
	return &wire.Examined{Obstacles: tm.obstructed(m)}, nil
}

// obstructed is what of a commit it refuses.
func (tm *fakeTM) obstructed(m *wire.Commit) (all []wire.Obstacle) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	for i, p := range m.Prepared {
		if kind, is := tm.obstacles[string(p.Data)]; is {
			name := fmt.Sprintf("file %s of %d", p.Data, m.Checkpoint)
			all = append(all, wire.Obstacle{Prepared: i, Name: name, Failure: wire.Failure{Kind: kind, Message: fmt.Sprintf("commit %s: kind %d", name, kind)}})
		}
	}
	return all
}

func (tm *fakeTM) Logs(ctx context.Context, _ graph.JobID, after time.Time, max int) ([]wire.LogLine, error) {
	if err := tm.hear(ctx, "logs"); err != nil {
		return nil, err
	}
	return tm.lines, nil
}

// report says how a task stands; a finished one has prepared a file of ten rows.
func (tm *fakeTM) report(id graph.TaskID, s wire.TaskState, f *wire.Failure) error {
	tm.mu.Lock()
	m := &wire.Report{Header: tm.tasks[id], TaskManager: tm.id, Task: id, State: s, Failure: f}
	if s != wire.TaskRunning {
		delete(tm.tasks, id)
	}
	tm.mu.Unlock()
	if s == wire.TaskFinished {
		data, _ := json.Marshal(map[string]any{"dir": "/out", "pending": fmt.Sprint(id), "rows": 10, "bytes": 120})
		m.Prepared = []connector.Committable{{Operator: "counts", Data: data}}
		m.Metrics = wire.TaskMetrics{Attempt: m.Attempt, RecordsIn: 200, RecordsOut: 100, InputRead: 40, SinkIn: map[int]int64{1: 100}}
	}
	return tm.c.jm.Report(context.Background(), m)
}

// set changes how it behaves.
func (tm *fakeTM) set(change func()) {
	synctest.Wait()
	tm.mu.Lock()
	defer tm.mu.Unlock()
	change()
}

// finishJob ends its tasks of one job well.
func (tm *fakeTM) finishJob(job graph.JobID) {
	synctest.Wait()
	for _, m := range tm.deployed {
		if m.Job != job {
			continue
		}
		for _, t := range m.Tasks {
			tm.set(func() { tm.tasks[t.Task] = m.Header })
			tm.report(t.Task, wire.TaskFinished, nil)
		}
	}
}

// running lists its tasks.
func (tm *fakeTM) running() []graph.TaskID {
	synctest.Wait()
	tm.mu.Lock()
	defer tm.mu.Unlock()
	var ids []graph.TaskID
	for id := range tm.tasks {
		ids = append(ids, id)
	}
	return ids
}

// finish ends all of its tasks well.
func (tm *fakeTM) finish() {
	for _, id := range tm.running() {
		if err := tm.report(id, wire.TaskFinished, nil); err != nil {
			tm.c.t.Errorf("report: %s", err)
		}
	}
}

// heard checks the messages it has had, in any order, and forgets them.
func (tm *fakeTM) heard(want ...string) {
	tm.c.t.Helper()
	synctest.Wait()
	tm.mu.Lock()
	defer tm.mu.Unlock()
	slices.Sort(tm.seen)
	slices.Sort(want)
	if !slices.Equal(tm.seen, want) {
		tm.c.t.Errorf("%s heard\n%q (expected\n%q)", tm.id, tm.seen, want)
	}
	tm.seen = nil
}

func inspectFake(_ context.Context, wasm []byte) (*Inspection, error) {
	if bytes.HasPrefix(wasm, []byte("not")) {
		return nil, errors.New("it is not a WebAssembly module")
	}
	d, err := describeFake(context.Background(), nil, nil)
	return &Inspection{Metered: append([]byte("metered "), wasm...), MeteredID: graph.ModuleID("m" + strconv.Itoa(len(wasm))), Manifest: d.Manifest}, err
}

// describeFake describes numbers -> counts, as wide as the job.
func describeFake(_ context.Context, _ []byte, params map[string]string) (*Description, error) {
	if params["output"] == "trap" {
		return nil, errors.New("describe: the guest trapped")
	}
	numbers := func(name, n string) abi.Operator {
		return abi.Operator{Name: name, Kind: abi.OperatorSource, Connector: &abi.Connector{Type: "numbers", Config: map[string]string{"n": n}}, Output: abi.CodecBytes}
	}
	counts := func(name, from string) abi.Operator {
		return abi.Operator{Name: name, Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "files", Config: map[string]string{"path": params["output"]}}, Inputs: []abi.Input{{From: from}}}
	}
	m := &abi.Manifest{
		ABI: 1, Name: "count", Params: []abi.Param{{Name: "input", Required: true}, {Name: "output"}, {Name: "window"}, {Name: "more"}},
		Operators: []abi.Operator{numbers("numbers", params["input"]), counts("counts", "numbers")},
	}
	if more := params["more"]; more != "" { // another source, of three splits
		m.Operators = append(m.Operators, numbers(more, "3"), counts("counts of "+more, more))
	}
	return &Description{ID: "manifest", Manifest: m}, nil
}

var fakeConnectors = &connector.Registry{
	Sources: map[string]func(map[string]string) (connector.Source, error){
		"numbers": func(config map[string]string) (connector.Source, error) {
			n, err := strconv.Atoi(config["n"])
			if err != nil {
				return nil, &connector.Error{Op: "numbers source", Err: fmt.Errorf("input %s does not exist", config["n"]), Hint: "give a number"}
			}
			return numbers(n), nil
		},
	},
	Sinks: map[string]func(map[string]string) (connector.Sink, error){
		"files": func(config map[string]string) (connector.Sink, error) {
			if config["path"] == "bad" {
				return nil, &connector.Error{Op: "file sink", Err: errors.New("path: bad")}
			}
			return noSink{}, nil
		},
	},
}

// numbers is a source of that many splits of ten bytes.
type numbers int

func (numbers) Bounded() bool        { return true }
func (numbers) Columns() abi.Columns { return abi.ColumnValues }
func (n numbers) Enumerate(context.Context, int) (connector.Splits, error) {
	s := connector.Splits{Ordered: true}
	for i := range int(n) {
		s.Splits = append(s.Splits, connector.Split{ID: fmt.Sprint("n", i), Bytes: 10})
	}
	return s, nil
}
func (numbers) Open(context.Context, connector.Split) (connector.Reader, error) {
	return nil, io.EOF
}

type noSink struct{}

func (noSink) Columns(_, _ abi.Codec) (abi.Columns, error) { return abi.ColumnValues, nil }
func (noSink) Open(context.Context, connector.SinkTask) (connector.Writer, error) {
	return nil, io.EOF
}
func (noSink) Commit(context.Context, string, uint64, []connector.Committable) error { return nil }
func (noSink) Abort(context.Context, string, uint32) error                           { return nil }

func (tm *fakeTM) Prepare(ctx context.Context, m *wire.Prepare) error {
	if err := tm.hear(ctx, "prepare %d", m.Exchange); err != nil {
		return err
	}
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.unprepared
}

func (tm *fakeTM) Trigger(ctx context.Context, m *wire.Trigger) error {
	return tm.hear(ctx, "trigger %d, exchange %d", m.Checkpoint, m.Exchange)
}

func (tm *fakeTM) Conclude(ctx context.Context, m *wire.Conclude) error {
	if m.Dropped != 0 {
		return tm.hear(ctx, "drop %d", m.Dropped)
	}
	return tm.hear(ctx, "conclude %d", max(m.Completed, m.Aborted))
}

func (numbers) Guarantee() connector.Guarantee { return connector.ExactlyOnce }

func (noSink) Guarantee() connector.Guarantee { return connector.ExactlyOnce }
