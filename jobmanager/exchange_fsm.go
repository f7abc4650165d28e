package jobmanager

import (
	"slices"

	"github.com/wasmill/wasmill/internal/wire"
)

// The exchange of a job's modules in its running tasks, as a pure state machine like ckFSM.
//
//	preparing -> waiting -> trying -> over
//
// Until its checkpoint is triggered an exchange can be given up without a trace. From then on tasks may have processed
// records with the new modules: only the decision of that checkpoint, that of the job's end if all tasks finish before, or a
// restart with the old ones ends it.
type exPhase int

const (
	exPreparing exPhase = iota // TaskManagers start guests of the new modules, beside the old ones
	exWaiting                  // its checkpoint was asked for
	exTrying                   // barriers carry it
	exOver
)

func (p exPhase) String() string { return [...]string{"preparing", "waiting", "trying", "over"}[p] }

type exEvent interface{}

type (
	exBegin    struct{ on []wire.TaskManagerID } // those of the attempt
	exPrepared struct {
		tm    wire.TaskManagerID
		cause string // why not; empty: it has
	}
	exTriggered struct{}               // its checkpoint
	exConcluded struct{ cause string } // its checkpoint was given up; empty: it, or the job's end in its place, is decided
	exEnded     struct{ cause string } // the attempt
)

type exAction interface{}

type (
	exDoPrepare struct{ tm wire.TaskManagerID }
	exDoAsk     struct{}               // for its checkpoint
	exDoTry     struct{}               // what fails from now on takes the job back
	exDoDrop    struct{}               // what was prepared
	exDoAnswer  struct{ cause string } // empty: the job has the new modules
)

// exFSM is the state machine. Its owner serializes calls.
type exFSM struct {
	phase   exPhase
	missing []wire.TaskManagerID // of preparing
	actions []exAction
}

func (m *exFSM) step(e exEvent) []exAction {
	m.actions = nil
	switch e := e.(type) {
	case exBegin:
		m.missing = slices.Clone(e.on)
		for _, tm := range e.on {
			m.do(exDoPrepare{tm})
		}
		m.prepared()
	case exPrepared:
		if m.phase != exPreparing {
			break
		}
		if e.cause != "" {
			m.giveUp(e.cause)
			break
		}
		m.missing = slices.DeleteFunc(m.missing, func(tm wire.TaskManagerID) bool { return tm == e.tm })
		m.prepared()
	case exTriggered:
		if m.phase == exWaiting {
			m.phase = exTrying
			m.do(exDoTry{})
		}
	case exConcluded:
		switch {
		case m.phase == exTrying:
			m.over(e.cause)
		case m.phase == exWaiting:
			m.giveUp(e.cause)
		}
	case exEnded:
		if m.phase != exOver {
			m.over(e.cause)
		}
	}
	return m.actions
}

func (m *exFSM) do(a exAction) { m.actions = append(m.actions, a) }

func (m *exFSM) prepared() {
	if len(m.missing) == 0 {
		m.phase = exWaiting
		m.do(exDoAsk{})
	}
}

// giveUp leaves the tasks as they are.
func (m *exFSM) giveUp(cause string) {
	m.do(exDoDrop{})
	m.over(cause)
}

func (m *exFSM) over(cause string) {
	m.phase = exOver
	m.do(exDoAnswer{cause})
}
