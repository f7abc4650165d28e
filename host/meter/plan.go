package meter

import "github.com/wasmill/wasmill/host/module"

// plan is where one function is charged, and how much.
//
// A loop is charged where it jumps back, for the iteration that ends there; its last iteration belongs to the code
// around it. A loop that a br_table may begin again, that has many jumps back, or parameters, is charged at its header
// instead. The cases of a br_table are charged where they begin. Other code that may be passed by and is heavy enough
// is charged where it begins, too, but without asking whether there is fuel left: it is no cycle.
type plan struct {
	entry   int64   // all that is not charged elsewhere
	charges []int64 // per instruction: in front of a br or br_if, behind a loop or an end; 0: none
	splits  []int64 // per instruction: behind it, without asking; 0: none
	charged bool    // there are charges
	split   bool    // there are splits
	tight   bool    // some loop calls nothing that counts fuel

	regions []region
	places  []place
	marks   []mark  // per loop, and per end of a dispatch loop's block
	before  []int64 // per instruction: the weight of all in front of it
	loops   int     // open, the dispatch loop aside
	cycle   bool    // in a cycle of the dispatch loop
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
	kind   regionKind
	chain  bool // regionCase: it may go on to another case
}

type regionKind uint8

const (
	regionLoop  regionKind = iota
	regionCase             // begins at a label of a br_table
	regionSplit            // begins where control may come or not
)

// place is one open block.
type place struct {
	block  int32
	region int32 // region around the block, which goes on behind its end
}

const (
	// maxJumpsBack is how many jumps back a loop may have that is charged at them.
	maxJumpsBack = 4
	// splitWeight is how heavy code must be to be a region of its own, because it may be passed by; splitWeightInLoop,
	// in a loop without others around it, where each charge is felt. Measured with Go guests: 16 and 48 count within a
	// factor of two of what runs, at no cost that could be told from noise; without splits it was a factor of five.
	splitWeight       = 16
	splitWeightInLoop = 48
)

// atHeader says whether a loop is charged at its header.
func (b *body) atHeader(loop int32) bool {
	return loop != b.dispatch.loop && (b.tabled[loop] || b.jumps[loop] > maxJumpsBack || b.hasParams(loop))
}

// make decides where the function in b is charged. weigh gives an instruction's weight, counts whether it is a call
// that counts fuel itself.
func (p *plan) make(b *body, weigh func(*module.Instr) int64, counts func(*module.Instr) bool) {
	n := len(b.instrs)
	p.charges, p.splits, p.marks = resize(p.charges, n), resize(p.splits, n), resize(p.marks, n)
	p.charged, p.split, p.tight = false, false, false
	p.regions = append(p.regions[:0], region{at: function})
	p.places = append(p.places[:0], place{block: function})
	p.loops, p.cycle = 0, false
	p.weigh(b, weigh)
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
			current = p.open(b, i, current, calls)
		case module.OpElse:
			current = p.maySplit(b, i, p.places[len(p.places)-1].region)
		case module.OpEnd:
			current = p.end(b, i, current, calls)
		case module.OpBr, module.OpBrIf:
			p.branch(b, i, current, calls)
			if in.Op == module.OpBrIf {
				current = p.maySplit(b, i, current)
			}
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

// weigh fills before.
func (p *plan) weigh(b *body, weigh func(*module.Instr) int64) {
	p.before = resize(p.before, len(b.instrs))
	sum := int64(0)
	for i := range b.instrs {
		p.before[i] = sum
		sum += weigh(&b.instrs[i])
	}
}

func (p *plan) begin(r region) int32 {
	p.regions = append(p.regions, r)
	return int32(len(p.regions) - 1)
}

// maySplit returns the region that goes on behind instruction i: a new one, if the code up to the end of the block is
// heavy. Nothing but i leads there.
func (p *plan) maySplit(b *body, i, current int32) int32 {
	last := int32(len(b.instrs) - 1)
	to := last
	if block := p.places[len(p.places)-1].block; block != function {
		to = b.ends[block]
	}
	least := int64(splitWeight)
	if p.loops > 0 || p.cycle {
		least = splitWeightInLoop
	}
	if p.before[to]-p.before[i] < least || p.before[last] <= lightWeight {
		return current
	}
	return p.begin(region{at: i, kind: regionSplit})
}

// open is for the block that begins at instruction i.
func (p *plan) open(b *body, i, current, calls int32) int32 {
	p.places = append(p.places, place{block: i, region: current})
	p.marks[i] = mark{p.regions[current].weight, current, calls}
	switch {
	case b.instrs[i].Op == module.OpIf:
		return p.maySplit(b, i, current)
	case b.instrs[i].Op == module.OpLoop && i != b.dispatch.loop:
		p.loops++
		if b.atHeader(i) {
			return p.begin(region{at: i})
		}
	}
	return current
}

// end closes the innermost block at instruction i and returns the region that goes on behind it.
func (p *plan) end(b *body, i, current, calls int32) int32 {
	was := p.places[len(p.places)-1]
	p.places = p.places[:len(p.places)-1]
	if was.block == function {
		return current
	}
	p.marks[i] = mark{p.regions[was.region].weight, was.region, calls}
	if s, ok := b.segmentOf(was.block); ok {
		p.cycle = b.dispatch.cycled[s]
	}
	switch {
	case was.block == b.dispatch.loop:
		p.cycle = false
	case b.loop(was.block):
		p.loops--
		if b.atHeader(was.block) && p.marks[was.block].calls == calls {
			p.tight = true
		}
	case b.tabled[was.block]:
		if !b.leaves(i - 1) {
			p.regions[current].chain = true
		}
		return p.begin(region{at: i, kind: regionCase})
	}
	return p.maySplit(b, i, was.region)
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
		switch {
		case r.kind == regionSplit:
			p.splits[r.at] = max(1, r.weight)
			p.split = true
		case r.kind == regionCase && !r.chain && r.weight <= caseWeight:
		default:
			p.charges[r.at] = max(1, r.weight)
			p.charged = true
		}
	}
}
