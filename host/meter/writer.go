package meter

import "github.com/wasmill/wasmill/host/module"

// writer writes one function's new body.
type writer struct {
	counter
	*rewriter
	copied int     // offset in the module: what is in front of it has been written
	depth  int     // blocks open in what is written; the function's own is the first
	at     []int32 // per block of the body: its place among the open ones, 0 when it is closed

	next     int   // the cycle of the dispatch loop that is found next, -1: none
	copying  int32 // the block at whose end the cycle begins that is being written again; function: none
	copyLoop int32 // the place of its loop
}

// function writes the body of defined function i.
func (w *writer) function(i int) error {
	if err := w.read(i); err != nil {
		return err
	}
	w.plan.make(&w.body, w.weigh, w.rewriter.counts)
	f, facts := &w.m.Functions[i], &w.facts[i]
	w.at = resize(w.at, len(w.body.instrs))
	w.depth, w.copying, w.next = 1, function, len(w.body.dispatch.cycles)-1
	w.purse, w.hasPurse = uint32(f.NumLocals), w.plan.tight
	w.locals(f)
	w.takeOut()
	switch {
	case facts.deep:
		w.enter(max(1, w.plan.entry), facts.frame)
	case facts.light == 0:
		w.charge(max(1, w.plan.entry))
	}
	wrap := facts.deep || w.hasPurse
	if wrap {
		w.beginWrap(w.m.Types[f.Type])
	}
	last := int32(len(w.body.instrs) - 1)
	w.copied = w.body.instrs[0].Start
	w.instructions(0, last, wrap)
	w.flush(w.body.instrs[last].Start)
	if wrap {
		w.end()
	}
	if facts.deep {
		w.leave(facts.frame)
	}
	w.putBack()
	w.end()
	return nil
}

// locals writes the declarations of locals, and of the purse.
func (w *writer) locals(f *module.Function) {
	n := len(f.Locals)
	if w.hasPurse {
		n++
	}
	w.p = appendU32(w.p[:0], uint32(n))
	for _, run := range f.Locals {
		w.p = append(appendU32(w.p, run.N), byte(run.Type))
	}
	if w.hasPurse {
		w.p = append(w.p, 1, byte(module.I64))
	}
}

// beginWrap opens a block around the function's own code, so that all its ways out arrive at one place. A branch to the
// function's label now names that block without being changed; only return has to become a branch.
func (w *writer) beginWrap(t module.FuncType) {
	w.op(module.OpBlock)
	switch len(t.Results) {
	case 0:
		w.p = append(w.p, blockTypeVoid)
	case 1:
		w.p = append(w.p, byte(t.Results[0]))
	default:
		w.p = appendS64(w.p, int64(w.typeIndex(module.FuncType{Results: t.Results})))
	}
}

// flush copies what the module has up to an offset.
func (w *writer) flush(offset int) {
	w.p = append(w.p, w.m.Bytes[w.copied:offset]...)
	w.copied = offset
}

// replace is flush for what stands in front of an instruction that will be written otherwise.
func (w *writer) replace(in *module.Instr) {
	w.flush(in.Start)
	w.copied = in.End
}

// instructions writes instructions from to to, changed as the plan says.
func (w *writer) instructions(from, to int32, wrapped bool) {
	b := &w.body
	for i := from; i < to; i++ {
		in := &b.instrs[i]
		switch in.Op {
		case module.OpBlock, module.OpIf, module.OpLoop:
			w.open(i)
		case module.OpEnd:
			w.at[b.parents[i]] = 0
			w.depth--
			if weight := w.plan.charges[i]; weight > 0 {
				w.flush(in.End)
				w.charge(weight)
			}
			if w.cycleAt(b.parents[i]) {
				w.flush(in.End)
				i = w.cycle(i, wrapped) - 1
				w.copied = b.instrs[i+1].Start
			} else {
				w.split(i)
			}
		case module.OpBr, module.OpBrIf:
			w.branch(i)
			w.split(i)
		case module.OpElse:
			w.split(i)
		case module.OpBrTable:
			w.table(i)
		case module.OpReturn:
			if wrapped {
				w.replace(in)
				w.op(module.OpBr, uint32(w.depth-1))
			}
		default:
			w.other(in)
		}
	}
}

// open is for the block that begins at instruction i.
func (w *writer) open(i int32) {
	w.at[i] = int32(w.depth)
	w.depth++
	w.split(i)
	weight := w.plan.charges[i]
	if weight == 0 {
		return
	}
	w.flush(w.body.instrs[i].End)
	if w.body.hasParams(i) {
		w.charge(weight)
	} else {
		w.chargeHeader(weight)
	}
}

// split charges behind instruction i if a region begins there.
func (w *writer) split(i int32) {
	if weight := w.plan.splits[i]; weight > 0 {
		if end := w.body.instrs[i].End; w.copied < end {
			w.flush(end)
		}
		w.chargeOnly(weight)
	}
}

// label is how a branch written here names a block.
func (w *writer) label(block int32) uint32 {
	if block == function {
		return uint32(w.depth - 1)
	}
	return uint32(w.depth-1) - uint32(w.at[block])
}

// branch writes the br or br_if at i.
func (w *writer) branch(i int32) {
	b := &w.body
	in := &b.instrs[i]
	label := w.label(b.targets[i])
	weight := w.plan.charges[i]
	if b.jump(i) {
		block, _ := b.destination(i)
		switch {
		case weight == 0:
			label = w.label(block)
		case w.copying != function && block == w.copying:
			label = uint32(w.depth-1) - uint32(w.copyLoop)
		}
	}
	switch {
	case weight > 0 && in.Op == module.OpBrIf:
		w.replace(in)
		w.begin(module.OpIf)
		w.chargeBack(weight, label+1)
		w.op(module.OpBr, label+1)
		w.end()
	case weight > 0:
		w.replace(in)
		w.chargeBack(weight, label)
		w.op(module.OpBr, label)
	case label != in.Index:
		w.replace(in)
		w.op(in.Op, label)
	}
}

// table writes the br_table at i, if it stands where labels are others than they were.
func (w *writer) table(i int32) {
	if w.copying == function {
		return
	}
	in := &w.body.instrs[i]
	w.replace(in)
	blocks := w.body.tableOf(int(i))
	w.op(in.Op, uint32(len(blocks)-1))
	for _, block := range blocks {
		w.p = appendU32(w.p, w.label(block))
	}
}

// other is for instructions that have nothing to do with labels.
func (w *writer) other(in *module.Instr) {
	switch {
	case in.Op == module.OpRefFunc:
		w.replace(in)
		w.op(in.Op, w.functionIndex(in.Index))
	case in.Op == module.OpCall, in.Op == module.OpCallIndirect, isBulk(in.Op):
		w.replace(in)
		sync := w.counts(in)
		if sync {
			w.putBack()
		}
		switch in.Op {
		case module.OpCall:
			w.op(in.Op, w.functionIndex(in.Index))
		case module.OpCallIndirect:
			w.op(in.Op, in.Index, in.Other)
		default:
			w.op(module.OpCall, w.helperFunction(w.helperAt[helperOf(in)]))
		}
		if sync {
			w.takeOut()
		}
	}
}

// cycleAt says whether the next cycle begins at the end of a block.
func (w *writer) cycleAt(block int32) bool {
	d := &w.body.dispatch
	return d.found() && w.copying == function && w.next >= 0 && d.blocks[d.cycles[w.next].first] == block
}

// cycle writes the next cycle of the dispatch loop as a loop, in the place of its first segment. It returns the
// instruction behind that segment.
func (w *writer) cycle(at int32, wrapped bool) int32 {
	b := &w.body
	c := b.dispatch.cycles[w.next]
	w.next--
	blocks := b.dispatch.blocks
	outer := w.depth
	w.begin(module.OpLoop)
	w.copying, w.copyLoop = blocks[c.first], int32(w.depth)
	w.depth++
	w.split(at)
	// The blocks of the other segments are open around the loop, too: branches within it name the inner ones.
	around := make([]int32, 0, c.last-c.first)
	for s := c.last; s > c.first; s-- {
		w.begin(module.OpBlock)
		around = append(around, w.at[blocks[s]])
		w.at[blocks[s]] = int32(w.depth)
		w.depth++
	}
	for s := c.first; s <= c.last; s++ {
		if s > c.first {
			w.end()
			w.depth--
			w.at[blocks[s]] = around[c.last-s]
		}
		from, to := b.segment(s)
		w.copied = b.instrs[from].Start
		if s > c.first {
			w.split(from - 1)
		}
		w.instructions(from, to, wrapped)
		w.flush(b.instrs[to].Start)
		if s == c.last && s+1 < len(blocks) {
			w.op(module.OpBr, w.label(blocks[s+1]))
		}
	}
	w.end()
	w.depth, w.copying = outer, function
	_, to := b.segment(c.first)
	return to
}
