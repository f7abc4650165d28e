package meter

import "github.com/wasmill/wasmill/host/module"

// function writes the body of defined function i into w.out.
func (w *rewriter) writeFunction(i int) error {
	f := &w.m.Functions[i]
	if err := w.body.read(w.m, f, w.m.FunctionPlace(uint32(w.imported+i))); err != nil {
		return err
	}
	w.body.weigh(w.imported, w.leafOf)
	w.plan.make(&w.body)
	facts := &w.facts[i]
	a := &w.out
	a.p = append(a.p[:0], w.m.Bytes[f.Start:f.Code]...)
	if facts.leaf == 0 {
		w.charge(a, max(1, w.plan.entry))
	}
	if facts.deep {
		w.enter(a, facts.frame)
		w.beginWrap(a, w.m.Types[f.Type])
	}
	w.writeInstructions(facts.deep)
	if facts.deep {
		a.end()
		w.leave(a, facts.frame)
	}
	a.end()
	return nil
}

// beginWrap opens a block around the function's own code, so that all its ways out arrive at one place. A branch to the
// function's label now names that block without being changed; only return has to become a branch.
func (w *rewriter) beginWrap(a *asm, t module.FuncType) {
	a.op(module.OpBlock)
	switch len(t.Results) {
	case 0:
		a.p = append(a.p, blockTypeVoid)
	case 1:
		a.p = append(a.p, byte(t.Results[0]))
	default:
		a.p = appendS64(a.p, int64(w.typeIndex(module.FuncType{Results: t.Results})))
	}
}

// writeInstructions copies the function's instructions but its last end, changed as the plan says.
func (w *rewriter) writeInstructions(wrapped bool) {
	a, b, p := &w.out, &w.body, &w.plan
	after, before, forward := p.after, p.before, p.forward
	instrs := b.instrs[:len(b.instrs)-1]
	if len(instrs) == 0 {
		return
	}
	copied := instrs[0].Start // what is in front of it has been written
	depth := uint32(0)
	for i := range instrs {
		in := &instrs[i]
		switch in.Op {
		case module.OpBlock, module.OpLoop, module.OpIf:
			depth++
		case module.OpEnd:
			depth--
		}
		if len(before) > 0 && before[0].at == int32(i) {
			a.p = append(a.p, w.m.Bytes[copied:in.Start]...)
			copied = in.Start
			w.charge(a, before[0].weight)
			before = before[1:]
		}
		if len(forward) > 0 && forward[0].at == int32(i) {
			a.p = append(a.p, w.m.Bytes[copied:in.Start]...)
			copied = in.End
			a.op(module.OpBr, forward[0].label)
			forward = forward[1:]
		} else if w.changes(in, wrapped) {
			a.p = append(a.p, w.m.Bytes[copied:in.Start]...)
			copied = in.End
			w.writeChanged(in, depth)
		}
		if len(after) > 0 && after[0].at == int32(i) {
			a.p = append(a.p, w.m.Bytes[copied:in.End]...)
			copied = in.End
			w.charge(a, after[0].weight)
			after = after[1:]
		}
	}
	a.p = append(a.p, w.m.Bytes[copied:b.instrs[len(instrs)].Start]...)
}

// changes says whether an instruction is written otherwise than it was read.
func (w *rewriter) changes(in *module.Instr, wrapped bool) bool {
	switch in.Op {
	case module.OpCall, module.OpRefFunc:
		return int(in.Index) >= w.imported
	case module.OpReturn:
		return wrapped
	}
	return isBulk(in.Op)
}

func (w *rewriter) writeChanged(in *module.Instr, depth uint32) {
	switch in.Op {
	case module.OpCall, module.OpRefFunc:
		w.out.op(in.Op, w.function(in.Index))
	case module.OpReturn:
		w.out.op(module.OpBr, depth)
	default:
		w.out.op(module.OpCall, w.helperFunction(w.helperAt[helperOf(in)]))
	}
}
