package meter

import "github.com/wasmill/wasmill/host/module"

// dispatch is a loop that only serves to jump between blocks, as Go's compiler writes one around each function:
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
// To count at its header would charge every jump, forward ones too. Instead a jump forward becomes a branch to the
// block that the table would choose, which is open around it; and a jump backward is charged where it stands with
// the weight of the segments that it goes back over. All cycles within the loop have a jump backward.
type dispatch struct {
	loop  int32 // instruction that opens it; -1: the function has none
	table int32 // its br_table
}

func (d *dispatch) found() bool { return d.loop >= 0 }

// findDispatch looks for the function's first loop of that form. Every branch to its header must be a plain br right
// behind a constant being put into the variable.
func (b *body) findDispatch() {
	b.dispatch = dispatch{loop: -1}
	for i := range b.instrs {
		if b.instrs[i].Op != module.OpLoop {
			continue
		}
		table, ok := b.dispatchTable(i)
		if !ok {
			continue
		}
		d := dispatch{loop: int32(i), table: int32(table)}
		if b.onlyJumps(d) {
			b.dispatch = d
		}
		return
	}
}

// dispatchTable finds the br_table of the dispatch loop that begins at instruction i.
func (b *body) dispatchTable(i int) (int, bool) {
	void := func(i int) bool { return b.instrs[i].Value == blockVoid }
	j := i + 1
	for j < len(b.instrs) && b.instrs[j].Op == module.OpBlock && void(j) {
		j++
	}
	ok := void(i) && j > i+1 && j+1 < len(b.instrs) && b.instrs[j].Op == module.OpLocalGet &&
		b.instrs[j+1].Op == module.OpBrTable
	return j + 1, ok
}

// blockVoid is the type of a block without parameters and results, as Instr.Value has it.
const blockVoid = -64

func (b *body) onlyJumps(d dispatch) bool {
	depth := 0 // of the loop's label, seen from the instruction
	blocks := d.table - 2 - d.loop
	variable := b.instrs[d.table-1].Index
	for i := int(d.loop) + 1; i < len(b.instrs); i++ {
		switch in := &b.instrs[i]; in.Op {
		case module.OpBlock, module.OpLoop, module.OpIf:
			depth++
		case module.OpEnd:
			if depth--; depth < 0 {
				return true
			}
		case module.OpBr:
			if b.target[i] == d.loop && !b.jump(i, variable) {
				return false
			}
		case module.OpBrIf:
			if b.target[i] == d.loop {
				return false
			}
		case module.OpBrTable:
			if int32(i) == d.table {
				if names(in, blocks) {
					return false
				}
			} else if names(in, int32(depth)) {
				return false
			}
		}
	}
	return false
}

// names says whether a br_table can branch to a label.
func names(in *module.Instr, label int32) bool {
	for _, l := range in.Labels {
		if int32(l) == label {
			return true
		}
	}
	return int32(in.Index) == label
}

// jump says whether the br at i stands behind i32.const; local.set variable.
func (b *body) jump(i int, variable uint32) bool {
	return i >= 2 && b.instrs[i-1].Op == module.OpLocalSet && b.instrs[i-1].Index == variable &&
		b.instrs[i-2].Op == module.OpI32Const
}

// destination is the block at whose end the jump at br i arrives: the instruction that opened it. -1: it is none of the
// dispatch loop's own blocks.
func (b *body) destination(i int) int32 {
	table := &b.instrs[b.dispatch.table]
	n := uint32(b.instrs[i-2].Value)
	label := table.Index
	if int64(n) < int64(len(table.Labels)) {
		label = table.Labels[n]
	}
	if open := int64(b.dispatch.table) - 2 - int64(label); open > int64(b.dispatch.loop) {
		return int32(open)
	}
	return -1
}
