package meter

import "github.com/wasmill/wasmill/host/module"

// facts is what the survey finds out about one function that the module defines.
type facts struct {
	leaf    int64    // its weight, when its callers charge it; 0: it charges itself
	frame   int      // bytes of call stack, estimated
	deep    bool     // its calls are counted in depth
	calls   []uint32 // functions defined in the module that it calls, as indices into rewriter.facts, each once
	through []uint32 // types that it calls through tables, each once
}

// survey looks at all functions before any is rewritten: callers need to know their callees.
func (w *rewriter) survey() error {
	seen := newStamps(len(w.m.Functions))
	types := newStamps(len(w.m.Types))
	none := func(uint32) int64 { return 0 }
	for i := range w.m.Functions {
		if err := w.body.read(w.m, &w.m.Functions[i], w.m.FunctionPlace(uint32(w.imported+i))); err != nil {
			return err
		}
		f := &w.facts[i]
		seen.next()
		types.next()
		leaf := true
		for j := range w.body.instrs {
			in := &w.body.instrs[j]
			switch in.Op {
			case module.OpCall:
				leaf = false
				if callee := int(in.Index) - w.imported; callee >= 0 && seen.add(callee) {
					f.calls = append(f.calls, uint32(callee))
				}
			case module.OpCallIndirect:
				leaf = false
				if t := w.canonical[in.Index]; types.add(int(t)) {
					f.through = append(f.through, t)
				}
			case module.OpRefFunc:
				w.taken(in.Index)
			default:
				if isBulk(in.Op) {
					leaf = false
					w.needHelper(in)
				}
			}
		}
		f.frame = frameBytes(w.m, i, len(w.body.instrs))
		if leaf {
			w.body.weigh(w.imported, none)
			w.plan.make(&w.body)
			if len(w.plan.after)+len(w.plan.before) == 0 && w.plan.entry <= leafWeight {
				f.leaf = max(1, w.plan.entry)
			}
		}
	}
	w.takenByModule()
	w.markDeep()
	return nil
}

// leafOf is the weight that a call of function index adds to its caller.
func (w *rewriter) leafOf(index uint32) int64 { return w.facts[int(index)-w.imported].leaf }

// frameBytes estimates what one call of defined function i takes of the engine's stack: return address and saved
// registers, one slot per local that may have to be kept over a call, and some for intermediate values.
func frameBytes(m *module.Module, i, instrs int) int {
	f := &m.Functions[i]
	t := &m.Types[f.Type]
	n := 48 + 8*(f.NumLocals+len(t.Results)) + instrs/2
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
