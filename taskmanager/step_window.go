package taskmanager

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// What a keyedStep does for windows with a window function, or with functions that say when they fire.

// Call implements operator.Calls.
func (s *keyedStep) Call(verb abi.Verb, groups *abi.GroupsWriter, overlay *operator.Overlay) ([]byte, error) {
	effects, err := s.handle.keyedWith(verb, &s.header, groups, overlay)
	if err != nil {
		return nil, err
	}
	s.effects = effects
	return effects.Reply, nil
}

// Emit implements operator.Calls.
func (s *keyedStep) Emit(kind abi.ChangeKind) error { return s.emitter.emitAs(s.effects, kind) }

// asks are the functions that the operator's window names, by their handles.
func (s *keyedStep) asks(op *graph.Operator, handles []*handle) (a operator.Asks) {
	for i, f := range op.WindowFunctions {
		h := handles[i]
		h.poison = s.poison
		one := asked{step: s, handle: h}
		switch f.Kind {
		case abi.FunctionTrigger:
			one.verb = abi.VerbTrigger
			a.Trigger, a.TriggerStates = &one, f.States
		case abi.FunctionEvict:
			one.verb = abi.VerbEvict
			a.Evict = &one
		case abi.FunctionGap:
			one.verb = abi.VerbGap
			a.Gap = &one
		}
	}
	return a
}

// asked is a function that a window names. It emits nothing.
type asked struct {
	step   *keyedStep
	handle *handle
	verb   abi.Verb
}

// Ask implements operator.Asked.
func (a *asked) Ask(groups *abi.GroupsWriter) ([]byte, error) {
	effects, err := a.handle.keyed(a.verb, &a.step.header, groups)
	if err != nil {
		return nil, err
	}
	return effects.Reply, nil
}

// Retry implements operator.Asked.
func (a *asked) Retry(err error, n int, call func(lo, hi int) error, describe func(int) operator.Unit) error {
	return a.handle.retry(err, n, call, func(i int) poisoned {
		u := describe(i)
		if u.Row < 0 {
			return poisoned{kind: "result", name: u.Name, data: u.Data, key: u.Key, time: u.Time}
		}
		return recordUnit(a.step.input, &u)
	})
}
