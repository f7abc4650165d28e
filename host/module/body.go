package module

import "fmt"

// bodies reads the code section. Each body's size, locals, instructions and nesting are checked, and every index in it;
// a rewriter may therefore add items behind the module's own without the module being able to name them.
func (p *parser) bodies() error {
	if p.code == nil {
		if len(p.funcTypes) > 0 {
			return refuse("module", "%d functions declared, but no code section", len(p.funcTypes))
		}
		return nil
	}
	r := &reader{p: p.m.Bytes, at: p.code.Start, end: p.code.End, what: "code section"}
	n := r.count("bodies")
	if r.err == nil && n != len(p.funcTypes) {
		r.fail(p.code.Start, "%d bodies for %d declared functions", n, len(p.funcTypes))
	}
	if r.err != nil {
		return r.err
	}
	p.m.Functions = make([]Function, 0, n)
	b := &bodyReader{p: p}
	for i := range n {
		size := r.u32("a body's size")
		s := r.skip(uint64(size), "a body")
		if r.err != nil {
			r.err.Place = p.m.FunctionPlace(p.imported+uint32(i)) + fmt.Sprintf(", byte %#x", r.end)
			return r.err
		}
		f, err := b.read(i, s)
		if err != nil {
			return err
		}
		p.m.Functions = append(p.m.Functions, f)
	}
	if r.left() > 0 {
		r.fail(r.at, "%d bytes behind the last body", r.left())
		return r.err
	}
	return nil
}

// FunctionPlace is how errors name function index: "function 12 (main.hash)".
func (m *Module) FunctionPlace(index uint32) string {
	if name := m.Names[index]; name != "" {
		return fmt.Sprintf("function %d (%s)", index, name)
	}
	return fmt.Sprintf("function %d", index)
}

// bodyReader checks one body after the other.
type bodyReader struct {
	p      *parser
	cursor Cursor
	blocks []Opcode // block, loop, if or else: what is open, the function itself first
}

func (b *bodyReader) read(i int, s Span) (Function, error) {
	m := b.p.m
	f := Function{Type: b.p.funcTypes[i], Start: s.Start, End: s.End}
	place := m.FunctionPlace(b.p.imported + uint32(i))
	r := &reader{p: m.Bytes, at: s.Start, end: s.End, what: place}
	locals := int64(len(m.Types[f.Type].Params))
	for range r.count("local declarations") {
		run := LocalRun{N: r.u32("a number of locals"), Type: r.valueType()}
		locals += int64(run.N)
		if locals > maxLocals {
			r.fail(r.at, "%d locals (expected <= %d)", locals, maxLocals)
		}
		if r.err != nil {
			return f, r.err
		}
		f.Locals = append(f.Locals, run)
	}
	if r.err != nil {
		return f, r.err
	}
	f.Code, f.NumLocals = r.at, int(locals)
	b.cursor.Reset(m, r.at, s.End, place)
	b.instructions(&f)
	if err := b.cursor.r.err; err != nil {
		return f, err
	}
	return f, nil
}

// maxLocals is the engine's own bound.
const maxLocals = 50_000

func (b *bodyReader) instructions(f *Function) {
	var in Instr
	c := &b.cursor
	b.blocks = append(b.blocks[:0], OpBlock)
	for c.Next(&in) {
		if len(b.blocks) == 0 {
			c.r.fail(in.Start, "instructions behind the function's end")
			return
		}
		b.instruction(&in, f)
	}
	if len(b.blocks) > 0 && c.r.err == nil {
		c.r.fail(c.r.at, "the body ends with %d blocks open", len(b.blocks))
	}
}

func (b *bodyReader) instruction(in *Instr, f *Function) {
	r := &b.cursor.r
	switch in.Op {
	case OpBlock, OpLoop, OpIf:
		b.blockType(in)
		b.blocks = append(b.blocks, in.Op)
		f.Blocks++
		f.Nesting = max(f.Nesting, len(b.blocks)-1)
	case OpElse:
		if b.blocks[len(b.blocks)-1] != OpIf {
			r.fail(in.Start, "else without if")
			return
		}
		b.blocks[len(b.blocks)-1] = OpElse
	case OpEnd:
		b.blocks = b.blocks[:len(b.blocks)-1]
	case OpBr, OpBrIf:
		f.Blocks++
		f.Branches++
		b.bound(in, "label", in.Index, len(b.blocks))
	case OpBrTable:
		f.Branches += len(in.Labels) + 1
		b.bound(in, "label", in.Index, len(b.blocks))
		for _, l := range in.Labels {
			b.bound(in, "label", l, len(b.blocks))
		}
	case OpLocalGet, OpLocalSet, OpLocalTee:
		b.bound(in, "local", in.Index, f.NumLocals)
	default:
		b.indices(in)
	}
}

// indices checks those of an instruction that names items of the module.
func (b *bodyReader) indices(in *Instr) {
	p := b.p
	switch in.Op {
	case OpGlobalGet, OpGlobalSet:
		b.bound(in, "global", in.Index, p.size(KindGlobal))
	case OpCall, OpRefFunc:
		b.bound(in, "function", in.Index, int(p.funcs))
	case OpCallIndirect:
		b.bound(in, "type", in.Index, len(p.m.Types))
		b.bound(in, "table", in.Other, p.size(KindTable))
	case OpTableGet, OpTableSet, OpTableGrow, OpTableSize, OpTableFill:
		b.bound(in, "table", in.Index, p.size(KindTable))
	case OpTableCopy:
		b.bound(in, "table", in.Index, p.size(KindTable))
		b.bound(in, "table", in.Other, p.size(KindTable))
	case OpTableInit:
		b.bound(in, "element segment", in.Index, len(p.m.Elements))
		b.bound(in, "table", in.Other, p.size(KindTable))
	case OpElemDrop:
		b.bound(in, "element segment", in.Index, len(p.m.Elements))
	case OpMemoryInit, OpDataDrop:
		if p.m.DataCount == nil {
			b.cursor.r.fail(in.Start, "a data segment is named, but there is no data count section")
		}
		b.bound(in, "data segment", in.Index, len(p.m.Data))
	}
}

func (b *bodyReader) bound(in *Instr, what string, index uint32, n int) {
	if int64(index) >= int64(n) {
		b.cursor.r.fail(in.Start, "%s %d of %d", what, index, n)
	}
}

func (b *bodyReader) blockType(in *Instr) {
	switch v := in.Value; {
	case v == -64:
	case v >= 0:
		if v >= int64(len(b.p.m.Types)) {
			b.cursor.r.fail(in.Start, "type %d of %d", v, len(b.p.m.Types))
		}
	case v < -64 || !ValueType(v&0x7f).known():
		b.cursor.r.fail(in.Start, "a block of unknown type %s", ValueType(v&0x7f))
	}
}
