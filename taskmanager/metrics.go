package taskmanager

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// taskMetrics is what a task counts. Its goroutine writes, anyone reads, no lock is involved.
type taskMetrics struct {
	recordsIn, recordsOut, bytesIn, bytesOut atomic.Int64
	inputRead, busyNs, blockedNs             atomic.Int64
	watermark, fuel, late                    atomic.Int64
	sinkIn                                   map[int]*atomic.Int64 // by operator; the map does not change
	sinks                                    map[int]string        // the uids of these; the same
	idle                                     atomic.Pointer[[]wire.Idle]
	aligned                                  atomic.Pointer[aligned]    // of a source that is of a group
	held, dealt                              atomic.Bool                // of a source, see sourceInput.release
	skipped                                  map[string]*atomic.Int64   // by the uid of those that may leave something out; the same
	requests                                 map[string]*requestMetrics // by the uid of request operators; the same
}

// newTaskMetrics returns the metrics of a task whose chain has these operators.
func newTaskMetrics(g *graph.JobGraph, operators ...int) *taskMetrics {
	m := &taskMetrics{sinkIn: map[int]*atomic.Int64{}, sinks: map[int]string{}, skipped: map[string]*atomic.Int64{}, requests: map[string]*requestMetrics{}}
	for _, i := range operators {
		op := &g.Operators[i]
		if op.Kind == abi.OperatorSink {
			m.sinkIn[i], m.sinks[i] = new(atomic.Int64), op.UID
		}
		if op.Kind == abi.OperatorRequest {
			m.requests[op.UID] = &requestMetrics{name: op.Name}
		}
		if op.LeavesOut() {
			m.skipped[op.UID] = new(atomic.Int64)
		}
	}
	m.watermark.Store(abi.MinTime)
	return m
}

func (m *taskMetrics) in(records, bytes int) {
	m.recordsIn.Add(int64(records))
	m.bytesIn.Add(int64(bytes))
}

func (m *taskMetrics) out(records, bytes int) {
	m.recordsOut.Add(int64(records))
	m.bytesOut.Add(int64(bytes))
}

// setIdle takes a copy of what is idle.
func (m *taskMetrics) setIdle(those []wire.Idle) {
	all := slices.Clone(those)
	m.idle.Store(&all)
}

// left is what each operator has left out, nil when none of them may.
func (m *taskMetrics) left() map[string]int64 {
	if len(m.skipped) == 0 {
		return nil
	}
	all := make(map[string]int64, len(m.skipped))
	for uid, n := range m.skipped {
		all[uid] = n.Load()
	}
	return all
}

// passed is what a checkpoint keeps of the figures of a task, which may be a source's.
func (m *taskMetrics) passed(source bool) checkpoint.Counts {
	c := checkpoint.Counts{InputRead: m.inputRead.Load(), RecordsOut: m.recordsOut.Load()}
	if source {
		c.SourceOut = m.recordsIn.Load()
	}
	if len(m.sinkIn) > 0 {
		c.SinkIn = make(map[string]int64, len(m.sinkIn))
	}
	for op, n := range m.sinkIn {
		c.SinkIn[m.sinks[op]] = n.Load()
	}
	return c
}

// fill sets the figures of w.
func (m *taskMetrics) fill(w *wire.TaskMetrics) {
	w.RecordsIn, w.RecordsOut = m.recordsIn.Load(), m.recordsOut.Load()
	w.BytesIn, w.BytesOut = m.bytesIn.Load(), m.bytesOut.Load()
	w.InputRead, w.BusyNs, w.BlockedNs = m.inputRead.Load(), m.busyNs.Load(), m.blockedNs.Load()
	w.Watermark, w.Fuel, w.Skipped = m.watermark.Load(), m.fuel.Load(), m.left()
	w.Held = m.held.Load()
	if idle := m.idle.Load(); idle != nil {
		w.Idle = *idle
	}
	if a := m.aligned.Load(); a != nil {
		a.fill(w)
	}
	for _, uid := range slices.Sorted(maps.Keys(m.requests)) {
		w.Requests = append(w.Requests, m.requests[uid].figures())
	}
	if len(m.sinkIn) > 0 {
		w.SinkIn = make(map[int]int64, len(m.sinkIn))
	}
	for op, n := range m.sinkIn {
		w.SinkIn[op] = n.Load()
	}
}

// requestMetrics is what a request operator counts.
type requestMetrics struct {
	name                                  string
	inFlight, requests, retries, timeouts atomic.Int64
}

func (m *requestMetrics) set(f operator.RequestFigures) {
	m.inFlight.Store(f.InFlight)
	m.requests.Store(f.Requests)
	m.retries.Store(f.Retries)
	m.timeouts.Store(f.Timeouts)
}

func (m *requestMetrics) figures() wire.Requests {
	return wire.Requests{Operator: m.name, InFlight: m.inFlight.Load(), Made: m.requests.Load(), Retries: m.retries.Load(), Timeouts: m.timeouts.Load()}
}

// guestMetrics is what a task's guests count under names of their own.
type guestMetrics struct {
	mu     sync.Mutex
	values map[string]int64 // guarded by mu
}

// keptMetrics bounds the names that one task's guests may use.
const keptMetrics = 64

func (g *guestMetrics) apply(kind abi.MetricKind, name string, value int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old, known := g.values[name]
	if !known && len(g.values) >= keptMetrics {
		return
	}
	if g.values == nil {
		g.values = map[string]int64{}
	}
	if kind == abi.MetricCounter {
		value += old
	}
	g.values[name] = value
}

func (g *guestMetrics) all() map[string]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.values)
}
