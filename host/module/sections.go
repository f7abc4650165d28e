package module

func (p *parser) types(r *reader) {
	n := r.count("types")
	for range n {
		at := r.at
		if form := r.byte("a type"); form != 0x60 && r.err == nil {
			r.fail(at, "a type of form %#x (expected a function, 0x60)", form)
			r.err.hint(hintProposal)
		}
		t := FuncType{Params: r.valueTypes("parameters"), Results: r.valueTypes("results")}
		if r.err != nil {
			return
		}
		p.m.Types = append(p.m.Types, t)
	}
}

func (r *reader) valueTypes(what string) []ValueType {
	n := r.count(what)
	if n == 0 {
		return nil
	}
	ts := make([]ValueType, 0, n)
	for range n {
		ts = append(ts, r.valueType())
		if r.err != nil {
			return nil
		}
	}
	return ts
}

func (r *reader) valueType() ValueType {
	at := r.at
	t := ValueType(r.byte("a type"))
	if !t.known() && r.err == nil {
		r.fail(at, "unknown type %s", t)
		r.err.hint(hintProposal)
	}
	return t
}

func (r *reader) refType() ValueType {
	at := r.at
	t := r.valueType()
	if !t.Reference() {
		r.fail(at, "%s is no reference type", t)
	}
	return t
}

// limits reads bounds: flag, min and max.
func (r *reader) limits(what string) Limits {
	at := r.at
	flag := r.byte(what)
	if flag > 1 {
		r.fail(at, "%s of kind %#x (shared or 64-bit; expected 0 or 1)", what, flag)
		r.err.hint(hintProposal)
		return Limits{}
	}
	l := Limits{Min: r.u32(what), HasMax: flag == 1}
	if l.HasMax {
		l.Max = r.u32(what)
		if l.Max < l.Min {
			r.fail(at, "%s: minimum %d above maximum %d", what, l.Min, l.Max)
		}
	}
	return l
}

func (r *reader) table() Table { return Table{Type: r.refType(), Limits: r.limits("a table's size")} }

func (r *reader) memory() Memory {
	at := r.at
	m := Memory{r.limits("a memory's size")}
	if m.Min > maxPages || m.HasMax && m.Max > maxPages {
		r.fail(at, "a memory of %d pages (expected <= %d)", max(m.Min, m.Max), maxPages)
	}
	return m
}

// maxPages is 4 GiB, all that 32 bits can address.
const maxPages = 1 << 16

func (r *reader) globalType() GlobalType {
	g := GlobalType{Type: r.valueType()}
	at := r.at
	m := r.byte("a global's mutability")
	if m > 1 {
		r.fail(at, "a global of mutability %#x (expected 0 or 1)", m)
	}
	g.Mutable = m == 1
	return g
}

func (p *parser) imports(r *reader) {
	for range r.count("imports") {
		im := Import{Module: r.name("an import's module"), Name: r.name("an import's name")}
		at := r.at
		im.Kind = Kind(r.byte("an import's kind"))
		switch im.Kind {
		case KindFunction:
			im.Type = p.typeIndex(r)
			p.funcs++
			p.imported++
		case KindTable:
			im.Table = r.table()
		case KindMemory:
			im.Memory = r.memory()
		case KindGlobal:
			im.Global = r.globalType()
		default:
			r.fail(at, "import %s.%s of kind %s", im.Module, im.Name, im.Kind)
		}
		if r.err != nil {
			return
		}
		p.m.Imports = append(p.m.Imports, im)
	}
}

func (p *parser) typeIndex(r *reader) uint32 {
	at := r.at
	i := r.u32("a type index")
	if int64(i) >= int64(len(p.m.Types)) {
		r.fail(at, "type %d of %d", i, len(p.m.Types))
		return 0
	}
	return i
}

func (p *parser) functions(r *reader) {
	n := r.count("functions")
	p.funcTypes = make([]uint32, 0, n)
	for range n {
		p.funcTypes = append(p.funcTypes, p.typeIndex(r))
		if r.err != nil {
			return
		}
	}
	p.funcs += uint32(len(p.funcTypes))
}

func (p *parser) tables(r *reader) {
	for range r.count("tables") {
		t := r.table()
		if r.err != nil {
			return
		}
		p.m.Tables = append(p.m.Tables, t)
	}
}

func (p *parser) memories(r *reader) {
	for range r.count("memories") {
		m := r.memory()
		if r.err != nil {
			return
		}
		p.m.Memories = append(p.m.Memories, m)
	}
	if n := len(p.m.Memories) + p.m.imported(KindMemory); n > 1 {
		r.fail(r.at, "%d memories (expected 1)", n)
		r.err.hint(hintProposal)
	}
}

func (p *parser) globals(r *reader) {
	for range r.count("globals") {
		g := Global{GlobalType: r.globalType(), Init: p.expression(r, "a global's initial value")}
		if r.err != nil {
			return
		}
		p.m.Globals = append(p.m.Globals, g)
	}
}

func (p *parser) exports(r *reader) {
	seen := map[string]bool{}
	for range r.count("exports") {
		at := r.at
		e := Export{Name: r.name("an export's name"), Kind: Kind(r.byte("an export's kind"))}
		e.Index = r.u32("an export's index")
		if r.err != nil {
			return
		}
		if n := p.size(e.Kind); int64(e.Index) >= int64(n) {
			r.fail(at, "export %q names %s %d of %d", e.Name, e.Kind, e.Index, n)
			return
		}
		if seen[e.Name] {
			r.fail(at, "a second export %q", e.Name)
			return
		}
		seen[e.Name] = true
		p.m.Exports = append(p.m.Exports, e)
	}
}

// size is how many items of a kind the module has, imported ones included. The sections that define them come before
// those that name them.
func (p *parser) size(kind Kind) int {
	switch kind {
	case KindFunction:
		return int(p.funcs)
	case KindTable:
		return len(p.m.Tables) + p.m.imported(KindTable)
	case KindMemory:
		return len(p.m.Memories) + p.m.imported(KindMemory)
	case KindGlobal:
		return len(p.m.Globals) + p.m.imported(KindGlobal)
	}
	return 0
}

func (p *parser) start(r *reader) {
	i := p.functionIndex(r)
	p.m.Start = &i
}

func (p *parser) functionIndex(r *reader) uint32 {
	at := r.at
	i := r.u32("a function index")
	if i >= p.funcs {
		r.fail(at, "function %d of %d", i, p.funcs)
		return 0
	}
	return i
}
