package module

// readNames fills Name and Names from the name section. A name section that cannot be read is no fault of the module:
// what was read before the fault is kept.
func (p *parser) readNames() {
	p.m.Names = map[uint32]string{}
	r := &reader{p: p.names, end: len(p.names), what: "name section"}
	for r.left() > 0 {
		id := r.byte("a subsection")
		s := r.skip(uint64(r.u32("a subsection's size")), "a subsection")
		sub := &reader{p: p.names, at: s.Start, end: s.End, what: r.what}
		switch id {
		case 0:
			p.m.Name = sub.name("the module's name")
		case 1:
			for range sub.count("names") {
				index, name := sub.u32("a function index"), sub.name("a function's name")
				if sub.err != nil {
					break
				}
				if index < p.funcs {
					p.m.Names[index] = name
				}
			}
		}
	}
}
