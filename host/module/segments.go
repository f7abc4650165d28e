package module

// expression passes over a constant expression: one instruction that gives a value, then end. The span covers both.
func (p *parser) expression(r *reader, what string) Span {
	start := r.at
	var c Cursor
	var in Instr
	c.r = *r
	c.r.what = r.what
	if !c.Next(&in) {
		p.expressionFault(r, &c, what)
		return Span{start, start}
	}
	switch in.Op {
	case OpI32Const, OpI64Const, OpF32Const, OpF64Const, opV128Const, OpRefNull:
	case OpRefFunc:
		if in.Index >= p.funcs {
			c.r.fail(in.Start, "function %d of %d", in.Index, p.funcs)
		}
	case OpGlobalGet:
		if n := p.m.imported(KindGlobal); int64(in.Index) >= int64(n) {
			c.r.fail(in.Start, "%s reads global %d (expected an imported one, of %d)", what, in.Index, n)
		}
	default:
		c.r.fail(in.Start, "%s is not constant (opcode %#x)", what, uint16(in.Op))
	}
	if at := c.r.at; c.r.byte(what) != byte(OpEnd) {
		c.r.fail(at, "%s is more than one instruction", what)
		if c.r.err != nil {
			c.r.err.hint(hintProposal)
		}
	}
	r.at, r.err = c.r.at, c.r.err
	return Span{start, r.at}
}

func (p *parser) expressionFault(r *reader, c *Cursor, what string) {
	if c.r.err == nil {
		c.r.short(what)
	}
	r.at, r.err = c.r.at, c.r.err
}

func (p *parser) elements(r *reader) {
	for range r.count("element segments") {
		e := p.element(r)
		if r.err != nil {
			return
		}
		p.m.Elements = append(p.m.Elements, e)
	}
}

// element reads one segment. Bits of the flag: 1 not active, 2 with a table (active) or declarative, 4 expressions.
func (p *parser) element(r *reader) ElementSegment {
	at := r.at
	e := ElementSegment{Flag: r.u32("an element segment"), Type: FuncRef}
	if e.Flag > 7 {
		r.fail(at, "an element segment of form %d (expected <= 7)", e.Flag)
		return e
	}
	if e.Flag&1 == 0 {
		if e.Flag&2 != 0 {
			e.Table = r.u32("a table index")
		}
		if n := p.size(KindTable); int64(e.Table) >= int64(n) {
			r.fail(at, "table %d of %d", e.Table, n)
			return e
		}
		e.Offset = p.expression(r, "an element segment's offset")
	}
	if e.Flag&3 != 0 {
		p.elementKind(r, &e)
	}
	n := r.count("elements")
	if e.Flag&4 != 0 {
		e.Exprs = make([]Span, 0, n)
	} else {
		e.Funcs = make([]uint32, 0, n)
	}
	for range n {
		if r.err != nil {
			return e
		}
		if e.Flag&4 != 0 {
			e.Exprs = append(e.Exprs, p.expression(r, "an element"))
		} else {
			e.Funcs = append(e.Funcs, p.functionIndex(r))
		}
	}
	e.Span = Span{at, r.at}
	return e
}

func (p *parser) elementKind(r *reader, e *ElementSegment) {
	if e.Flag&4 != 0 {
		e.Type = r.refType()
		return
	}
	at := r.at
	if kind := r.byte("an element segment's kind"); kind != 0 {
		r.fail(at, "elements of kind %#x (expected 0)", kind)
	}
}

func (p *parser) dataSegments(r *reader) {
	for range r.count("data segments") {
		at := r.at
		d := DataSegment{Flag: r.u32("a data segment")}
		switch {
		case d.Flag > 2:
			r.fail(at, "a data segment of form %d (expected <= 2)", d.Flag)
		case d.Flag == 2 && r.u32("a memory index") != 0:
			r.fail(at, "a data segment of a memory other than the first")
		}
		if d.Flag != 1 {
			if p.size(KindMemory) == 0 {
				r.fail(at, "a data segment, but no memory")
			}
			d.Offset = p.expression(r, "a data segment's offset")
		}
		d.Init = r.skip(uint64(r.u32("a data segment's size")), "a data segment")
		if r.err != nil {
			return
		}
		p.m.Data = append(p.m.Data, d)
	}
}
