package taskmanager

import (
	"errors"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// partitionMapper calls a function with all records of a subtask, some at a time, between a call at their beginning and one at their
// end. What the function makes of them meanwhile lies in the memory of its instance, so that is its own: no other function can
// bring it down. What it traps on cannot be tried again.
type partitionMapper struct {
	handle  *handle
	header  abi.CallHeader
	time    *taskTime
	emitter emitter
	begun   bool
	came    int64 // records before those of the call
	groups  abi.GroupsWriter
	values  [][]byte
	times   []int64
}

func (m *partitionMapper) take(b *batch) error {
	m.header.Watermark = abi.MinTime
	if err := m.begin(); err != nil {
		return err
	}
	for lo := 0; lo < b.N; {
		hi := pieceOf(&b.Batch, lo)
		m.values, m.times = m.values[:0], m.times[:0]
		for i := lo; i < hi; i++ {
			m.values, m.times = append(m.values, b.Value(i)), append(m.times, b.Timestamp(i))
		}
		name := fmt.Sprintf("records %d to %d of the subtask", m.came+1, m.came+int64(hi-lo))
		if err := m.call(abi.VerbProcess, name); err != nil {
			return err
		}
		m.came += int64(hi - lo)
		lo = hi
	}
	return nil
}

// begin is before the first record, or before the end if there is none.
func (m *partitionMapper) begin() error {
	if m.begun {
		return nil
	}
	m.begun = true
	m.values, m.times = m.values[:0], m.times[:0]
	return m.call(abi.VerbBegin, "the beginning of the subtask")
}

func (m *partitionMapper) finish(watermark int64) (bool, error) {
	m.header.Watermark = watermark
	if err := m.begin(); err != nil {
		return false, err
	}
	m.values, m.times = m.values[:0], m.times[:0]
	return false, m.call(abi.VerbEnd, fmt.Sprintf("the end of the subtask's %d records", m.came))
}

func (m *partitionMapper) close() error { return nil } // its guest is the chain's

func (m *partitionMapper) call(verb abi.Verb, what string) error {
	m.header.ProcessingTime = m.time.ms
	m.groups.Reset()
	m.groups.Begin(abi.Group{})
	if verb == abi.VerbProcess {
		m.groups.List(abi.ListInput0, 0, len(m.values), m.times, m.values)
	}
	m.groups.EndGroup()
	clear(m.values)
	effects, err := m.handle.keyed(verb, &m.header, &m.groups)
	if err != nil {
		return m.final(err, what)
	}
	if len(effects.Reply) > 0 {
		return m.final(&operator.ReplyError{Problem: "a function over all records of a subtask answers nothing, and this one did"}, what)
	}
	return m.emitter.emit(effects)
}

// final is the failure that comes of a call's error.
func (m *partitionMapper) final(err error, what string) error {
	again, final := m.handle.decide(err)
	if !again {
		return final
	}
	var e *host.Error
	if !errors.As(err, &e) {
		e = &host.Error{Kind: host.KindRefused, Message: err.Error(), Record: abi.None}
	}
	f := guestFailure(m.handle.names, e, "", nil)
	f.Message += ", in " + what
	return f
}
