package meter

import "github.com/wasmill/wasmill/host/module"

// dispatch is a loop that only serves to jump between its segments, as Go's compiler writes one around each function:
//
//	loop
//	  block block block ...
//	    local.get v
//	    br_table 0 1 2 ...
//	  end
//	  segment 0: ... i32.const 2; local.set v; br loop ...
//	  end
//	  segment 1: ...
//
// To count at its header would charge every jump, and forward ones have no need of it. So a jump forward becomes a
// branch to the block that the table would choose, which is still open; and a jump backward is charged where it stands,
// with the weight of the segments that it goes back over. All cycles within the loop have a jump backward.
//
// An innermost cycle, the segments from its first to the last one that jumps back there, is also written as a loop of
// its own, in the place of its first segment: without the way through the table the engine can keep values in
// registers. Its other segments stay where they are for the table, which may choose any of them.
type dispatch struct {
	loop   int32 // the block; function: there is none
	table  int32 // its br_table
	blocks []int32
	cycles []cycle // innermost, the last first
	cycled []bool  // per segment: it is in one
}

// cycle is segments first to last of a dispatch loop; segment k stands behind the end of dispatch.blocks[k].
type cycle struct{ first, last int }

// maxCycle bounds the instructions of a cycle that is written twice.
const maxCycle = 4000

func (d *dispatch) found() bool { return d.loop != function }

// findDispatch looks for the function's first loop of that form. Every branch to it must be a plain br right behind a
// constant being put into the variable.
func (b *body) findDispatch() {
	d := &b.dispatch
	d.loop, d.cycles = function, d.cycles[:0]
	for i := range b.instrs {
		if b.instrs[i].Op == module.OpLoop && b.dispatchTable(i) {
			if b.onlyJumps(int32(i)) {
				d.loop = int32(i)
			}
			return
		}
	}
}

// dispatchTable says whether the loop at i begins as a dispatch loop does, and notes its blocks and table.
func (b *body) dispatchTable(i int) bool {
	void := func(i int) bool { return b.instrs[i].Value == blockVoid }
	j := i + 1
	for j < len(b.instrs) && b.instrs[j].Op == module.OpBlock && void(j) {
		j++
	}
	if !void(i) || j == i+1 || j+1 >= len(b.instrs) || b.instrs[j].Op != module.OpLocalGet ||
		b.instrs[j+1].Op != module.OpBrTable {
		return false
	}
	b.dispatch.table = int32(j + 1)
	b.dispatch.blocks = b.dispatch.blocks[:0]
	for k := j - 1; k > i; k-- {
		b.dispatch.blocks = append(b.dispatch.blocks, int32(k))
	}
	return true
}

// blockVoid is the type of a block without parameters and results, as Instr.Value has it.
const blockVoid = -64

func (b *body) onlyJumps(loop int32) bool {
	variable := b.instrs[b.dispatch.table-1].Index
	for i := loop + 1; i < b.ends[loop]; i++ {
		switch b.instrs[i].Op {
		case module.OpBr:
			if b.targets[i] == loop && !b.setsBefore(i, variable) {
				return false
			}
		case module.OpBrIf:
			if b.targets[i] == loop {
				return false
			}
		case module.OpBrTable:
			for _, t := range b.tableOf(int(i)) {
				if t == loop {
					return false
				}
			}
		}
	}
	return true
}

// setsBefore says whether i32.const; local.set variable stands right before instruction i.
func (b *body) setsBefore(i int32, variable uint32) bool {
	return i >= 2 && b.instrs[i-1].Op == module.OpLocalSet && b.instrs[i-1].Index == variable &&
		b.instrs[i-2].Op == module.OpI32Const
}

// jump says whether instruction i is a br to the dispatch loop.
func (b *body) jump(i int32) bool {
	return b.dispatch.found() && b.instrs[i].Op == module.OpBr && b.targets[i] == b.dispatch.loop
}

// destination is the block at whose end the jump at i arrives; false: it is none of the dispatch loop's own.
func (b *body) destination(i int32) (int32, bool) {
	table := b.tableOf(int(b.dispatch.table))
	n := min(uint32(b.instrs[i-2].Value), uint32(len(table)-1))
	block := table[n]
	return block, block > b.dispatch.loop
}

// findCycles fills dispatch.cycles.
func (b *body) findCycles() {
	d := &b.dispatch
	if !d.found() {
		return
	}
	d.cycled = resize(d.cycled, len(d.blocks))
	for _, block := range d.blocks {
		if b.tabled[block] {
			return
		}
	}
	last := make([]int, len(d.blocks)) // per segment: the last that jumps back to it; -1: none
	for k := range last {
		last[k] = -1
	}
	here := 0
	for i := d.table + 1; i < b.ends[d.loop]; i++ {
		if b.instrs[i].Op == module.OpEnd {
			if k, ok := b.segmentOf(b.parents[i]); ok {
				here = k
			}
		} else if b.jump(i) {
			block, own := b.destination(i)
			if to, _ := b.segmentOf(block); own && to <= here {
				last[to] = here
			}
		}
	}
	for first := len(last) - 1; first >= 0; first-- {
		if last[first] < 0 {
			continue
		}
		c := cycle{first, last[first]}
		if n := len(d.cycles); n > 0 && d.cycles[n-1].first <= c.last {
			continue // another one lies within
		}
		if b.worthCopying(c) {
			d.cycles = append(d.cycles, c)
			for k := c.first; k <= c.last; k++ {
				d.cycled[k] = true
			}
		}
	}
}

func (b *body) worthCopying(c cycle) bool {
	from, to := b.segment(c.first)
	if c.last > c.first {
		_, to = b.segment(c.last)
	}
	// Behind the last segment of all stands code outside of the loop, and no block that could be branched to.
	runsOut := c.last == len(b.dispatch.blocks)-1 && !b.leaves(to-1)
	return to-from <= maxCycle && !runsOut
}

// segmentOf is the segment behind the end of a block; false: the block is none of the dispatch loop's own.
func (b *body) segmentOf(block int32) (int, bool) {
	d := &b.dispatch
	return len(d.blocks) - int(block-d.loop), d.found() && block > d.loop && block < d.table
}

// segment is the range of instructions of segment k.
func (b *body) segment(k int) (from, to int32) {
	d := &b.dispatch
	from, to = b.ends[d.blocks[k]]+1, b.ends[d.loop]
	if k+1 < len(d.blocks) {
		to = b.ends[d.blocks[k+1]]
	}
	return from, to
}
