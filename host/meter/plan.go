package meter

import "github.com/wasmill/wasmill/host/module"

// plan is where one function is charged, and what else changes in it.
type plan struct {
	entry   int64    // at the function's entry; 0: its callers charge it
	after   []charge // behind an instruction (a loop's header, a case's label), in order
	before  []charge // in front of an instruction (a jump backward), in order
	forward []reroute
	regions []region // scratch
	frames  []frame  // scratch
}

// charge is a weight to charge at an instruction.
type charge struct {
	at     int32
	weight int64
}

// reroute is a br that gets another label.
type reroute struct {
	at    int32
	label uint32
}

// region is code that is charged at one place. Each path through the code passes that place first, and passes it
// again before it runs the code again.
type region struct {
	at     int32 // behind this instruction; -1: at the entry
	weight int64
	kase   bool // begins at a label of a br_table
	chain  bool // it may go on to another case
}

// frame is one open block.
type frame struct {
	opener int32
	region int32 // region around the block, which goes on behind its end
}

// make decides where the function in b is charged. b must be weighed.
func (p *plan) make(b *body) {
	p.after, p.before, p.forward = p.after[:0], p.before[:0], p.forward[:0]
	p.regions = append(p.regions[:0], region{at: -1})
	p.frames = append(p.frames[:0], frame{opener: -1})
	current := int32(0)
	for i := range b.instrs {
		in := &b.instrs[i]
		p.regions[current].weight += b.weight[i+1] - b.weight[i]
		switch in.Op {
		case module.OpBlock, module.OpIf, module.OpLoop:
			p.frames = append(p.frames, frame{opener: int32(i), region: current})
			if in.Op == module.OpLoop && int32(i) != b.dispatch.loop {
				current = p.begin(region{at: int32(i)})
			}
		case module.OpElse:
			current = p.frames[len(p.frames)-1].region
		case module.OpEnd:
			f := p.frames[len(p.frames)-1]
			p.frames = p.frames[:len(p.frames)-1]
			if f.opener >= 0 && b.cases[f.opener] {
				p.regions[current].chain = p.regions[current].chain || !b.leaves(i-1)
				current = p.begin(region{at: int32(i), kase: true})
			} else {
				current = f.region
			}
		case module.OpBrTable:
			p.regions[current].chain = true
		case module.OpBr, module.OpBrIf:
			if t := b.target[i]; t >= 0 && b.cases[t] {
				p.regions[current].chain = true
			}
			if b.dispatch.found() && b.target[i] == b.dispatch.loop {
				p.jump(b, i)
			}
		}
	}
	p.settle()
}

func (p *plan) begin(r region) int32 {
	p.regions = append(p.regions, r)
	return int32(len(p.regions) - 1)
}

// leaves says whether nothing runs past instruction i.
func (b *body) leaves(i int) bool {
	switch b.instrs[i].Op {
	case module.OpBr, module.OpBrTable, module.OpReturn, module.OpUnreachable:
		return true
	}
	return false
}

// jump handles a br to the dispatch loop.
func (p *plan) jump(b *body, i int) {
	to := b.destination(i)
	for depth := range p.frames {
		if f := &p.frames[len(p.frames)-1-depth]; to >= 0 && f.opener == to {
			p.forward = append(p.forward, reroute{at: int32(i), label: uint32(depth)})
			return
		} else if f.opener == b.dispatch.loop {
			break
		}
	}
	from := int(b.dispatch.table)
	if to >= 0 {
		from = int(b.end[to])
	}
	p.before = append(p.before, charge{at: int32(i), weight: max(1, b.weight[i]-b.weight[from])})
}

// settle turns regions into charges. A light case of a switch is charged with the switch, unless it may go on to
// another case: a chain of them would be as long as the function, and free.
func (p *plan) settle() {
	p.entry = p.regions[0].weight
	for _, r := range p.regions[1:] {
		if r.kase && !r.chain && r.weight <= caseWeight {
			continue
		}
		p.after = append(p.after, charge{at: r.at, weight: max(1, r.weight)})
	}
}
