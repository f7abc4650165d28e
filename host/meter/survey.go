package meter

import "github.com/wasmill/wasmill/host/module"

// facts is what the survey finds out about one function that the module defines.
type facts struct {
	calls   []call   // functions that the module defines and that it calls
	through []uint32 // types that it calls through tables, each once
	own     int64    // its weight without its callees'
	heavy   bool     // it has loops, or is charged in several places
	light   int64    // its weight, when its callers charge it; 0: it charges itself
	frame   int      // bytes of call stack, estimated
	deep    bool     // its calls are counted in depth
}

// call is a callee, as an index into rewriter.facts, and how many places call it.
type call struct {
	callee uint32
	places uint32
}

// factsOf is what is known of function index, which the module defines.
func (w *rewriter) factsOf(index uint32) *facts { return &w.facts[int(index)-w.imported] }

// survey looks at all functions before any is rewritten: callers need to know their callees.
func (w *rewriter) survey() error {
	at := make([]uint32, len(w.m.Functions)) // per callee: its place in the caller's calls
	seen := newStamps(len(w.m.Functions))
	types := newStamps(len(w.m.Types))
	for i := range w.m.Functions {
		if err := w.read(i); err != nil {
			return err
		}
		f := &w.facts[i]
		seen.next()
		types.next()
		for j := range w.body.instrs {
			in := &w.body.instrs[j]
			switch in.Op {
			case module.OpCall:
				callee := int(in.Index) - w.imported
				switch {
				case callee < 0:
				case seen.add(callee):
					at[callee] = uint32(len(f.calls))
					f.calls = append(f.calls, call{uint32(callee), 1})
				default:
					f.calls[at[callee]].places++
				}
			case module.OpCallIndirect:
				if t := w.canonical[in.Index]; types.add(int(t)) {
					f.through = append(f.through, t)
				}
			case module.OpRefFunc:
				w.taken(in.Index)
			default:
				if isBulk(in.Op) {
					w.needHelper(in)
				}
			}
		}
		w.plan.make(&w.body, w.weigh, w.counts)
		f.own, f.heavy = w.plan.entry, w.plan.charged || w.plan.split
		f.frame = frameBytes(w.m, i, len(w.body.instrs))
	}
	w.takenByModule()
	w.judgeCalls()
	return nil
}

// read takes defined function i into w.body.
func (w *rewriter) read(i int) error {
	return w.body.read(w.m, &w.m.Functions[i], w.m.FunctionPlace(uint32(w.imported+i)))
}

// frameBytes estimates what one call of defined function i takes of the engine's stack. wazero gives each value that
// must be kept over a call a slot of its own; the formula is fitted to its frames for a Go guest, of which it is 0.7 to
// 3.6 times (90 % of functions), and 1.3 times their sum. What a module made to deceive it takes more is bounded by the
// engine's own limit.
func frameBytes(m *module.Module, i, instrs int) int {
	f := &m.Functions[i]
	t := &m.Types[f.Type]
	n := 48 + 8*(f.NumLocals+len(t.Results)) + instrs/2 + max(0, instrs-1000)/2
	for _, run := range f.Locals {
		if run.Type == module.V128 {
			n += 8 * int(run.N)
		}
	}
	return n
}

// stamps is a set of small numbers that is emptied in no time.
type stamps struct {
	at  []uint32
	now uint32
}

func newStamps(n int) *stamps { return &stamps{at: make([]uint32, n)} }

func (s *stamps) next() { s.now++ }

// add says whether i was not yet in the set.
func (s *stamps) add(i int) bool {
	if s.at[i] == s.now {
		return false
	}
	s.at[i] = s.now
	return true
}
