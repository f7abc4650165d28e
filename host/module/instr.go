package module

// Instr is one instruction of a function body.
type Instr struct {
	Op         Opcode
	Start, End int // offsets in the binary: of the opcode, past the immediates
	// Index is the immediate that counts: local, global, function, type (call_indirect), table, label, data or element
	// segment; of br_table its default label. Other is the second one: the table of call_indirect and table.init, the
	// source of table.copy.
	Index, Other uint32
	Labels       []uint32 // of br_table, without the default; valid until the next call of Next
	Value        int64    // of i32.const and i64.const; a block's type as in the binary (-64: empty, >= 0: type index)
}

// Cursor reads the instructions of one function body, or of a constant expression.
type Cursor struct {
	r      reader
	labels []uint32
}

// Reset sets the cursor to Bytes[start:end] of m; place is what errors name.
func (c *Cursor) Reset(m *Module, start, end int, place string) {
	c.r = reader{p: m.Bytes, at: start, end: end, what: place}
}

// Next reads the next instruction into in. It returns false at the end and after a fault, which Err then names.
func (c *Cursor) Next(in *Instr) bool {
	r := &c.r
	if r.at >= r.end {
		return false
	}
	*in = Instr{Start: r.at}
	b := r.p[r.at]
	r.at++
	in.Op = Opcode(b)
	imm := plainImmediates[b]
	if imm == immPrefix {
		imm = c.prefixed(in, b)
	}
	switch imm {
	case immNone:
	case immLocal, immLabel, immFunction, immGlobal, immTable, immData, immElement:
		in.Index = r.u32("an index")
	case immMemArg:
		c.memArg()
	case immI32:
		in.Value = r.signed(32, "a constant")
	case immI64:
		in.Value = r.signed(64, "a constant")
	case immBytes4:
		r.skip(4, "a constant")
	case immBytes8:
		r.skip(8, "a constant")
	case immBytes16:
		r.skip(16, "a constant")
	case immBlock:
		in.Value = r.signed(33, "a block's type")
	case immLabels:
		c.labelList(in)
	case immCallIndirect:
		in.Index = r.u32("a type index")
		in.Other = r.u32("a table index")
	case immElementTable, immTableTable:
		in.Index = r.u32("an index")
		in.Other = r.u32("a table index")
	case immTypes:
		for range r.count("types of select") {
			c.valueType()
		}
	case immMemory:
		c.memoryZero()
	case immMemoryMemory:
		c.memoryZero()
		c.memoryZero()
	case immDataMemory:
		in.Index = r.u32("a data segment")
		c.memoryZero()
	case immRefType:
		if t := c.valueType(); !t.Reference() {
			r.fail(in.Start, "%s is no reference type", t)
		}
	case immLane:
		r.byte("a lane")
	case immMemArgLane:
		c.memArg()
		r.byte("a lane")
	default:
		r.fail(in.Start, "unknown opcode %#x", uint16(in.Op))
		if r.err != nil {
			r.err.hint(hintProposal)
		}
	}
	in.End = r.at
	return r.err == nil
}

// Err is the fault that ended the reading, nil at the regular end.
func (c *Cursor) Err() error {
	if c.r.err == nil {
		return nil
	}
	return c.r.err
}

func (c *Cursor) prefixed(in *Instr, prefix byte) immediate {
	n := c.r.u32("an opcode")
	if n > 0xff {
		c.r.fail(in.Start, "unknown opcode %#x %d", prefix, n)
		return immNone
	}
	in.Op = Opcode(prefix)<<8 | Opcode(n)
	if prefix == prefixVector {
		return vectorImmediates[n]
	}
	if int(n) < len(miscImmediates) {
		return miscImmediates[n]
	}
	return immUnknown
}

func (c *Cursor) memArg() {
	at := c.r.at
	if align := c.r.u32("an alignment"); align > 4 {
		c.r.fail(at, "alignment 2^%d (expected <= 2^4)", align)
	}
	c.r.u32("an offset")
}

func (c *Cursor) memoryZero() {
	at := c.r.at
	if c.r.byte("a memory index") != 0 {
		c.r.fail(at, "a memory other than the first")
	}
}

func (c *Cursor) valueType() ValueType {
	at := c.r.at
	t := ValueType(c.r.byte("a type"))
	if !t.known() {
		c.r.fail(at, "unknown type %s", t)
	}
	return t
}

func (c *Cursor) labelList(in *Instr) {
	n := c.r.count("labels")
	c.labels = c.labels[:0]
	for range n {
		c.labels = append(c.labels, c.r.u32("a label"))
		if c.r.err != nil {
			return
		}
	}
	in.Labels = c.labels
	in.Index = c.r.u32("a label")
}
