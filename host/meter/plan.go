package meter

import "github.com/wasmill/wasmill/host/module"

// plan is where one function is charged, and how much.
//
// A loop is charged where it jumps back, for the iteration that ends there; its last iteration belongs to the code
// around it. A loop that a br_table may begin again, that has many jumps back, or parameters, is charged at its header instead. The
// cases of a br_table are charged where they begin.
type plan struct {
	entry   int64   // all that is not charged elsewhere
	charges []int64 // per instruction: in front of a br or br_if, behind a loop or an end; 0: none
	charged bool    // there are charges but the one at the entry
	tight   bool    // some loop calls nothing that counts fuel

	regions []region
	places  []place
	marks   []mark // per loop, and per end of a dispatch loop's block
}

// mark is how far the function had come at some point.
type mark struct {
	weight int64 // of the region around the block
	region int32
	calls  int32 // that count fuel
}

// region is code that is charged at one place. Each path through the code passes that place first, and passes it
// again before it runs the code again.
type region struct {
	at     int32 // charged behind this instruction; function: at the entry
	weight int64
	kase   bool // begins at a label of a br_table
	chain  bool // it may go on to another case
}

// place is one open block.
type place struct {
	block  int32
	region int32 // region around the block, which goes on behind its end
}

// maxJumpsBack is how many jumps back a loop may have that is charged at them.
const maxJumpsBack = 4

// atHeader says whether a loop is charged at its header.
func (b *body) atHeader(loop int32) bool {
	return loop != b.dispatch.loop && (b.tabled[loop] || b.jumps[loop] > maxJumpsBack || b.hasParams(loop))
}

// make decides where the function in b is charged. weigh gives an instruction's weight, counts whether it is a call
// that counts fuel itself.
func (p *plan) make(b *body, weigh func(*module.Instr) int64, counts func(*module.Instr) bool) {
	n := len(b.instrs)
	p.charges, p.marks = resize(p.charges, n), resize(p.marks, n)
	p.charged, p.tight = false, false
	p.regions = append(p.regions[:0], region{at: function})
	p.places = append(p.places[:0], place{block: function})
	current, calls := int32(0), int32(0)
	run := int64(0) // weight since the last point that a branch can reach or leave
	for i := range int32(n) {
		in := &b.instrs[i]
		w := weigh(in)
		p.regions[current].weight += w
		run += w
		if counts(in) {
			calls++
		}
		switch in.Op {
		case module.OpUnreachable:
			// What leads to a trap runs once: it would only make the calls that go well look dearer.
			p.regions[current].weight -= run
		case module.OpBlock, module.OpIf, module.OpLoop:
			p.places = append(p.places, place{block: i, region: current})
			p.marks[i] = mark{p.regions[current].weight, current, calls}
			if in.Op == module.OpLoop && b.atHeader(i) {
				current = p.begin(region{at: i})
			}
		case module.OpElse:
			current = p.places[len(p.places)-1].region
		case module.OpEnd:
			current = p.end(b, i, current, calls)
		case module.OpBr, module.OpBrIf:
			p.branch(b, i, current, calls)
		case module.OpBrTable:
			p.regions[current].chain = true
		case module.OpReturn:
		default:
			continue
		}
		run = 0
	}
	p.settle()
}

func (p *plan) begin(r region) int32 {
	p.regions = append(p.regions, r)
	return int32(len(p.regions) - 1)
}

// end closes the innermost block at instruction i and returns the region that goes on behind it.
func (p *plan) end(b *body, i, current, calls int32) int32 {
	was := p.places[len(p.places)-1]
	p.places = p.places[:len(p.places)-1]
	if was.block == function {
		return current
	}
	p.marks[i] = mark{p.regions[was.region].weight, was.region, calls}
	if b.loop(was.block) {
		if b.atHeader(was.block) && p.marks[was.block].calls == calls {
			p.tight = true
		}
		return was.region
	}
	if !b.tabled[was.block] {
		return was.region
	}
	if !b.leaves(i - 1) {
		p.regions[current].chain = true
	}
	return p.begin(region{at: i, kase: true})
}

// branch charges the br or br_if at i if it jumps back.
func (p *plan) branch(b *body, i, current, calls int32) {
	from := b.targets[i]
	switch {
	case from == function:
		return
	case b.jump(i):
		block, ok := b.destination(i)
		if ok && b.ends[block] > i {
			return
		}
		if from = b.dispatch.table; ok {
			from = b.ends[block]
		}
	case !b.loop(from):
		if b.tabled[from] {
			p.regions[current].chain = true
		}
		return
	case b.atHeader(from):
		return
	}
	m := p.marks[from]
	p.charges[i] = max(1, p.regions[m.region].weight-m.weight)
	p.charged = true
	if m.calls == calls {
		p.tight = true
	}
}

// settle charges the regions. A light case of a switch is charged with the switch, unless it may go on to another
// case: a chain of them would be as long as the function, and free.
func (p *plan) settle() {
	p.entry = p.regions[0].weight
	for _, r := range p.regions[1:] {
		if r.kase && !r.chain && r.weight <= caseWeight {
			continue
		}
		p.charges[r.at] = max(1, r.weight)
		p.charged = true
	}
}
