package meter

import "github.com/wasmill/wasmill/host/module"

// rewriter holds what one rewriting knows. The indices it adds all stand behind the module's own.
type rewriter struct {
	m        *module.Module
	opt      Options
	imported int // functions imported by the module; quantum gets that index

	types     []module.FuncType // the module's, then added ones
	canonical []uint32          // per type of the module: the first equal one
	facts     []facts           // per function that the module defines
	isTaken   []bool            // per function that the module defines: it may be called through a table
	byType    [][]uint32        // per canonical type: the taken functions of that type
	helpers   []helper
	helperAt  map[helper]int

	body  body // of the function being looked at
	plan  plan
	write writer
}

func newRewriter(m *module.Module, opt Options) *rewriter {
	w := &rewriter{m: m, opt: opt, imported: m.ImportedFunctions(), helperAt: map[helper]int{}}
	globals := uint32(len(m.Globals))
	for i := range m.Imports {
		if m.Imports[i].Kind == module.KindGlobal {
			globals++
		}
	}
	w.write.rewriter = w
	w.write.counter = counter{fuel: globals, depth: globals + 1, quantum: uint32(w.imported)}
	w.types = append(w.types, m.Types...)
	w.canonical = canonicalTypes(m.Types)
	w.facts = make([]facts, len(m.Functions))
	w.isTaken = make([]bool, len(m.Functions))
	w.byType = make([][]uint32, len(m.Types))
	return w
}

func canonicalTypes(types []module.FuncType) []uint32 {
	first := map[string]uint32{}
	canonical := make([]uint32, len(types))
	for i, t := range types {
		key := t.String()
		if _, ok := first[key]; !ok {
			first[key] = uint32(i)
		}
		canonical[i] = first[key]
	}
	return canonical
}

// functionIndex is where function index of the module is found in the rewritten one.
func (w *rewriter) functionIndex(index uint32) uint32 {
	if int(index) < w.imported {
		return index
	}
	return index + 1
}

func (w *rewriter) helperFunction(i int) uint32 {
	return uint32(w.imported + 1 + len(w.m.Functions) + i)
}

// typeIndex finds or adds a type.
func (w *rewriter) typeIndex(t module.FuncType) uint32 {
	for i := range w.types {
		if w.types[i].Equal(t) {
			return uint32(i)
		}
	}
	w.types = append(w.types, t)
	return uint32(len(w.types) - 1)
}
