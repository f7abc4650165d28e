package jobmanager

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// The checkpoints of one attempt, as a pure state machine like jobFSM: it holds no clock, socket or store. One checkpoint
// at a time is in flight; requests wait for it in their order.
//
//	idle -> numbering -> collecting -> deciding -> idle
//
// Until deciding, a checkpoint can be given up. From deciding on it can not: whether its decision was stored may be unknown.
type ckPhase int

const (
	ckIdle       ckPhase = iota
	ckNumbering          // an id is being taken from the durable counter
	ckCollecting         // tasks give their parts
	ckDeciding           // manifest and decision are being stored
	ckEnded              // the attempt is over
)

func (p ckPhase) String() string {
	return [...]string{"idle", "numbering", "collecting", "deciding", "ended"}[p]
}

// ckRequest is a checkpoint that somebody asked for.
type ckRequest struct {
	number int             // names the request in what becomes of it; 0: the periodic one
	kind   checkpoint.Kind // Savepoint, or Periodic for a plain one
	path   string          // of a savepoint
	stop   bool            // nothing is processed behind it: the job ends with it
	drain  bool            // with stop: event time comes to its end first
	waits  bool            // it overtakes nothing: what goes on from it may be another graph

	exchange uint32 // tasks go on behind the barrier with the modules of this exchange; 0: with those they have
}

// overtakes says whether the checkpoint may overtake what is in flight. What a person keeps holds no records in flight.
func (r ckRequest) overtakes() bool {
	return r.kind != checkpoint.Savepoint && !r.stop && !r.waits && r.exchange == 0
}

type ckEvent interface{}

type (
	ckStart    struct{}                // every task runs
	ckAsk      struct{ ask ckRequest } // a person asks
	ckTimer    struct{ number int }    // a timer has run out
	ckNumbered struct{ id checkpoint.ID }
	ckAck      struct { // a task's part is there
		attempt graph.Attempt
		id      checkpoint.ID
		task    graph.TaskID
	}
	ckDecline struct {
		attempt graph.Attempt
		id      checkpoint.ID
		cause   string
	}
	ckFinished struct{ task graph.TaskID } // its last part counts from now on
	ckStored   struct{ id checkpoint.ID }  // the decision is stored
	ckRefused  struct{ cause string }      // no id, or nothing was decided for certain
	ckOver     struct{ cause string }      // the attempt has failed, was cancelled or ends
)

type ckAction interface{}

type (
	ckDoTimer struct {
		number int
		after  time.Duration
	}
	ckDoNumber  struct{}
	ckDoTrigger struct {
		id  checkpoint.ID
		ask ckRequest
	}
	ckDoDecide struct {
		id  checkpoint.ID
		ask ckRequest
	}
	ckDoAbort struct {
		id    checkpoint.ID
		cause string
	}
	ckDoAnswer struct {
		request int
		id      checkpoint.ID
		cause   string
	} // cause is empty: completed
	ckDoWithdraw struct { // what is being stored is not decided any more: remove what there is of it, then answer
		request int
		id      checkpoint.ID
		cause   string
	}
	ckDoFail struct{ cause string } // the attempt
)

// ckFSM is the state machine. Its owner serializes calls.
type ckFSM struct {
	attempt                     graph.Attempt
	interval, minPause, timeout time.Duration             // from beginning to beginning, 0: only when asked; from end to beginning; of one
	tolerated                   int                       // failures in a row
	called                      func(graph.TaskID) string // a task, by those who read logs
	unsettled                   bool                      // until a checkpoint is decided a failure takes the job back to what it was before a change

	phase    ckPhase
	id       checkpoint.ID
	ask      ckRequest
	queue    []ckRequest
	missing  map[graph.TaskID]bool // of collecting
	running  map[graph.TaskID]bool // tasks that have not finished
	failures int
	timer    int
	now      time.Time
	begun    time.Time // the last one
	actions  []ckAction
}

func (m *ckFSM) step(now time.Time, e ckEvent) []ckAction {
	m.actions, m.now = nil, now
	if m.phase == ckEnded {
		if e, ok := e.(ckAsk); ok {
			m.do(ckDoAnswer{e.ask.number, 0, "the job is not running"})
		}
		return m.actions
	}
	switch e := e.(type) {
	case ckStart:
		switch {
		case m.phase != ckIdle:
		case m.unsettled: // not for longer than it takes
			m.queue = append(m.queue, ckRequest{kind: checkpoint.Periodic})
			m.next()
		default:
			m.wait(m.interval)
		}
	case ckAsk:
		m.queue = append(m.queue, e.ask)
		m.next()
	case ckTimer:
		if e.number != m.timer {
			break
		}
		switch m.phase {
		case ckIdle:
			m.queue = append(m.queue, ckRequest{kind: checkpoint.Periodic})
			m.next()
		case ckCollecting:
			m.giveUp("it timed out: nothing came from " + m.stragglers())
		}
	case ckNumbered:
		if m.phase == ckNumbering {
			m.collect(e.id)
		}
	case ckAck:
		if m.current(e.attempt, e.id) {
			delete(m.missing, e.task)
			m.complete()
		}
	case ckDecline:
		if m.current(e.attempt, e.id) {
			m.giveUp(e.cause)
		}
	case ckFinished:
		delete(m.running, e.task)
		if m.phase == ckCollecting {
			delete(m.missing, e.task)
			m.complete()
		}
	case ckStored:
		if m.phase == ckDeciding && e.id == m.id {
			m.failures, m.unsettled = 0, m.ask.exchange != 0
			m.answer("")
			m.idle()
		}
	case ckRefused:
		if m.phase == ckNumbering || m.phase == ckDeciding {
			m.giveUp(e.cause)
		}
	case ckOver:
		m.over(e.cause)
	}
	return m.actions
}

func (m *ckFSM) do(a ckAction) { m.actions = append(m.actions, a) }

func (m *ckFSM) current(attempt graph.Attempt, id checkpoint.ID) bool {
	return m.phase == ckCollecting && attempt == m.attempt && id == m.id
}

func (m *ckFSM) wait(after time.Duration) {
	m.timer++
	if m.pace() > 0 {
		m.do(ckDoTimer{m.timer, after})
	}
}

// settleEvery is how often a checkpoint is begun that settles a change, where none are taken by themselves.
const settleEvery = 10 * time.Second

// pace is from the beginning of one checkpoint to that of the next that nobody asks for; 0: there is none.
func (m *ckFSM) pace() time.Duration {
	if m.interval == 0 && m.unsettled {
		return settleEvery
	}
	return m.interval
}

// next begins what waits, if nothing is in flight.
func (m *ckFSM) next() {
	if m.phase != ckIdle || len(m.queue) == 0 {
		return
	}
	m.ask, m.queue = m.queue[0], m.queue[1:]
	m.timer++
	m.id, m.phase, m.begun = 0, ckNumbering, m.now
	m.do(ckDoNumber{})
}

func (m *ckFSM) collect(id checkpoint.ID) {
	m.id, m.phase, m.missing = id, ckCollecting, map[graph.TaskID]bool{}
	for t := range m.running {
		m.missing[t] = true
	}
	m.timer++
	m.do(ckDoTimer{m.timer, m.timeout})
	m.do(ckDoTrigger{id, m.ask})
	m.complete()
}

func (m *ckFSM) complete() {
	if len(m.missing) == 0 {
		m.timer++
		m.phase = ckDeciding
		m.do(ckDoDecide{m.id, m.ask})
	}
}

// stragglers are the tasks that a checkpoint waits for, a few of them by name.
func (m *ckFSM) stragglers() string {
	const most = 3
	ids := slices.SortedFunc(maps.Keys(m.missing), func(a, b graph.TaskID) int {
		return cmp.Or(cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Subtask, b.Subtask))
	})
	var names []string
	for _, id := range ids[:min(most, len(ids))] {
		names = append(names, m.called(id))
	}
	if more := len(ids) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

func (m *ckFSM) answer(cause string) {
	if m.ask.number != 0 {
		m.do(ckDoAnswer{m.ask.number, m.id, cause})
	}
}

func (m *ckFSM) giveUp(cause string) {
	if m.id != 0 {
		m.do(ckDoAbort{m.id, cause})
	}
	m.answer(cause)
	switch {
	case m.ask.stop && m.id != 0: // tasks stand still behind it, and may be at the end of time
		m.do(ckDoFail{"the job was to stop with a savepoint, which was given up: " + cause})
	case m.ask.exchange != 0 && m.id != 0: // tasks may have gone on with the new modules
		m.do(ckDoFail{"the checkpoint that modules were exchanged with was given up: " + cause})
	case m.ask.number != 0: // it says nothing about the job's own
	default:
		if m.failures++; m.failures > m.tolerated {
			m.do(ckDoFail{"too many checkpoints in a row have failed: " + cause})
		}
	}
	m.idle()
}

func (m *ckFSM) idle() {
	m.phase = ckIdle
	if len(m.queue) > 0 {
		m.next()
		return
	}
	m.wait(max(m.pace()-m.now.Sub(m.begun), m.minPause))
}

// over ends the attempt. Nobody decides for it any more: what is being stored is in nobody's record.
func (m *ckFSM) over(cause string) {
	if m.phase == ckNumbering || m.phase == ckCollecting {
		if m.id != 0 {
			m.do(ckDoAbort{m.id, cause})
		}
		m.answer(cause)
	}
	if m.phase == ckDeciding && m.ask.number != 0 {
		m.do(ckDoWithdraw{m.ask.number, m.id, cause})
	}
	for _, r := range m.queue {
		if r.number != 0 {
			m.do(ckDoAnswer{r.number, 0, cause})
		}
	}
	m.queue, m.phase = nil, ckEnded
	m.timer++
}
