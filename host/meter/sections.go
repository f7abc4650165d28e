package meter

import "github.com/wasmill/wasmill/host/module"

// order is how sections follow each other in a binary.
var order = []module.SectionID{module.SectionType, module.SectionImport, module.SectionFunction, module.SectionTable,
	module.SectionMemory, module.SectionGlobal, module.SectionExport, module.SectionStart, module.SectionElement,
	module.SectionDataCount, module.SectionCode, module.SectionData}

// encode writes the whole module. Custom sections stay where they are among the others. The code section is made first:
// it may add types.
func (w *rewriter) encode() ([]byte, error) {
	code, err := w.code()
	if err != nil {
		return nil, err
	}
	quantum := w.typeIndex(module.FuncType{Params: []module.ValueType{module.I32}, Results: []module.ValueType{module.I64}})
	helperTypes := make([]uint32, len(w.helpers))
	for i, h := range w.helpers {
		helperTypes[i] = w.typeIndex(w.helperType(h))
	}
	out := make([]byte, 0, len(w.m.Bytes)+len(code)/4)
	out = append(out, w.m.Bytes[:8]...)
	rest := w.m.Sections
	for _, id := range order {
		out, rest = w.customs(out, rest)
		var own []byte
		if len(rest) > 0 && rest[0].ID == id {
			own = w.m.Bytes[rest[0].Start:rest[0].End]
			rest = rest[1:]
		}
		var body []byte
		switch id {
		case module.SectionType:
			body = w.typeSection()
		case module.SectionImport:
			body = w.importSection(own, quantum)
		case module.SectionFunction:
			body = w.functionSection(helperTypes)
		case module.SectionTable:
			body = w.tableSection()
		case module.SectionGlobal:
			body = w.globalSection()
		case module.SectionExport:
			body = w.exportSection()
		case module.SectionStart:
			if w.m.Start != nil {
				body = appendU32(nil, w.functionIndex(*w.m.Start))
			}
		case module.SectionElement:
			body = w.elementSection()
		case module.SectionCode:
			body = code
		default:
			body = own
		}
		if body != nil {
			out = appendSection(out, id, body)
		}
	}
	out, _ = w.customs(out, rest)
	return out, nil
}

// customs writes the custom sections at the head of rest.
func (w *rewriter) customs(out []byte, rest []module.Section) ([]byte, []module.Section) {
	for len(rest) > 0 && rest[0].ID == module.SectionCustom {
		out = w.custom(out, w.m.Bytes[rest[0].Start:rest[0].End])
		rest = rest[1:]
	}
	return out, rest
}

func (w *rewriter) code() ([]byte, error) {
	n := len(w.m.Functions) + len(w.helpers)
	if n == 0 {
		return nil, nil
	}
	code := appendU32(nil, uint32(n))
	for i := range w.m.Functions {
		if err := w.write.function(i); err != nil {
			return nil, err
		}
		code = append(appendU32(code, uint32(len(w.write.p))), w.write.p...)
	}
	for _, h := range w.helpers {
		w.write.helper(h)
		code = append(appendU32(code, uint32(len(w.write.p))), w.write.p...)
	}
	return code, nil
}

func (w *rewriter) typeSection() []byte {
	p := appendU32(nil, uint32(len(w.types)))
	for _, t := range w.types {
		p = appendTypes(appendTypes(append(p, 0x60), t.Params), t.Results)
	}
	return p
}

func (w *rewriter) importSection(own []byte, quantum uint32) []byte {
	p := appendU32(nil, uint32(len(w.m.Imports)+1))
	p = append(p, skipU32(own)...)
	p = appendName(appendName(p, ImportModule), ImportName)
	return appendU32(append(p, byte(module.KindFunction)), quantum)
}

// skipU32 is p behind the count it begins with.
func skipU32(p []byte) []byte {
	for i, b := range p {
		if b < 0x80 {
			return p[i+1:]
		}
	}
	return nil
}

func (w *rewriter) functionSection(helperTypes []uint32) []byte {
	n := len(w.m.Functions) + len(helperTypes)
	if n == 0 {
		return nil
	}
	p := appendU32(nil, uint32(n))
	for i := range w.m.Functions {
		p = appendU32(p, w.m.Functions[i].Type)
	}
	for _, t := range helperTypes {
		p = appendU32(p, t)
	}
	return p
}

// tableSection gives every table a maximum: what a table grows by is in no memory limit.
func (w *rewriter) tableSection() []byte {
	if len(w.m.Tables) == 0 {
		return nil
	}
	p := appendU32(nil, uint32(len(w.m.Tables)))
	for _, t := range w.m.Tables {
		most := max(t.Min, w.opt.TableElements)
		if t.HasMax {
			most = min(most, t.Max)
		}
		p = append(p, byte(t.Type), 1)
		p = appendU32(appendU32(p, t.Min), most)
	}
	return p
}

func (w *rewriter) globalSection() []byte {
	p := appendU32(nil, uint32(len(w.m.Globals)+2))
	for _, g := range w.m.Globals {
		p = append(p, byte(g.Type), mutability(g.Mutable))
		p = w.expression(p, g.Init)
	}
	p = append(p, byte(module.I64), 1, byte(module.OpI64Const), 0, byte(module.OpEnd))
	p = append(p, byte(module.I64), 1, byte(module.OpI64Const))
	return append(appendS64(p, int64(w.opt.StackLimit)), byte(module.OpEnd))
}

func mutability(mutable bool) byte {
	if mutable {
		return 1
	}
	return 0
}

// expression writes a constant expression, which is one instruction and end.
func (w *rewriter) expression(dst []byte, s module.Span) []byte {
	var c module.Cursor
	var in module.Instr
	c.Reset(w.m, s.Start, s.End, "expression")
	if c.Next(&in) && in.Op == module.OpRefFunc {
		return append(appendOp(dst, in.Op, w.functionIndex(in.Index)), byte(module.OpEnd))
	}
	return append(dst, w.m.Bytes[s.Start:s.End]...)
}

func (w *rewriter) exportSection() []byte {
	p := appendU32(nil, uint32(len(w.m.Exports)+1))
	for _, e := range w.m.Exports {
		index := e.Index
		if e.Kind == module.KindFunction {
			index = w.functionIndex(index)
		}
		p = appendU32(append(appendName(p, e.Name), byte(e.Kind)), index)
	}
	return appendU32(append(appendName(p, ExportFuel), byte(module.KindGlobal)), w.write.fuel)
}

func (w *rewriter) elementSection() []byte {
	if len(w.m.Elements) == 0 {
		return nil
	}
	p := appendU32(nil, uint32(len(w.m.Elements)))
	for i := range w.m.Elements {
		p = w.element(p, &w.m.Elements[i])
	}
	return p
}

// element writes a segment in the form it had.
func (w *rewriter) element(p []byte, e *module.ElementSegment) []byte {
	p = appendU32(p, e.Flag)
	if e.Flag&1 == 0 {
		if e.Flag&2 != 0 {
			p = appendU32(p, e.Table)
		}
		p = w.expression(p, e.Offset)
	}
	if e.Flag&3 != 0 {
		kind := byte(0)
		if e.Flag&4 != 0 {
			kind = byte(e.Type)
		}
		p = append(p, kind)
	}
	if e.Flag&4 != 0 {
		p = appendU32(p, uint32(len(e.Exprs)))
		for _, s := range e.Exprs {
			p = w.expression(p, s)
		}
		return p
	}
	p = appendU32(p, uint32(len(e.Funcs)))
	for _, f := range e.Funcs {
		p = appendU32(p, w.functionIndex(f))
	}
	return p
}
