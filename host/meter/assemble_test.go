package meter

import "github.com/wasmill/wasmill/host/module"

// assembly is a module under construction.
type assembly struct {
	types    []module.FuncType
	imports  []imported
	funcs    []defined
	tables   [][]byte // encoded table types
	memory   []byte   // encoded limits, nil: none
	globals  [][]byte // encoded global types and initial values
	exports  []module.Export
	start    int // -1: none
	elements [][]byte
	data     [][]byte
	customs  []module.Custom // behind all other sections
}

type imported struct {
	module, name string
	typ          uint32
}

type defined struct {
	typ    uint32
	locals []module.ValueType
	code   []byte // without the last end
}

func assemble() *assembly { return &assembly{start: -1} }

func types(ts ...module.ValueType) []module.ValueType { return ts }

func (a *assembly) typ(params, results []module.ValueType) uint32 {
	t := module.FuncType{Params: params, Results: results}
	for i := range a.types {
		if a.types[i].Equal(t) {
			return uint32(i)
		}
	}
	a.types = append(a.types, t)
	return uint32(len(a.types) - 1)
}

// fn defines a function, exported when it has a name, and returns its index.
func (a *assembly) fn(name string, params, results, locals []module.ValueType, code ...any) uint32 {
	index := uint32(len(a.imports) + len(a.funcs))
	a.funcs = append(a.funcs, defined{a.typ(params, results), locals, instrs(code...)})
	if name != "" {
		a.exports = append(a.exports, module.Export{Name: name, Kind: module.KindFunction, Index: index})
	}
	return index
}

// instrs writes instructions: an Opcode or byte is written as an opcode, an int as an unsigned immediate, an int32 as
// i32.const, an int64 as i64.const, bytes as they are.
func instrs(code ...any) []byte {
	var p []byte
	for _, c := range code {
		switch c := c.(type) {
		case module.Opcode:
			p = appendOp(p, c)
		case int:
			p = appendU32(p, uint32(c))
		case int32:
			p = appendS64(append(p, byte(module.OpI32Const)), int64(c))
		case int64:
			p = appendS64(append(p, byte(module.OpI64Const)), c)
		case byte:
			p = append(p, c)
		case []byte:
			p = append(p, c...)
		default:
			panic(c)
		}
	}
	return p
}

func (a *assembly) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id module.SectionID, n int, body []byte) {
		if n > 0 {
			out = appendSection(out, id, append(appendU32(nil, uint32(n)), body...))
		}
	}
	join := func(items [][]byte) (p []byte) {
		for _, i := range items {
			p = append(p, i...)
		}
		return p
	}
	var p []byte
	for _, t := range a.types {
		p = appendTypes(appendTypes(append(p, 0x60), t.Params), t.Results)
	}
	section(module.SectionType, len(a.types), p)
	p = nil
	for _, i := range a.imports {
		p = appendU32(append(appendName(appendName(p, i.module), i.name), 0), i.typ)
	}
	section(module.SectionImport, len(a.imports), p)
	p = nil
	for _, f := range a.funcs {
		p = appendU32(p, f.typ)
	}
	section(module.SectionFunction, len(a.funcs), p)
	section(module.SectionTable, len(a.tables), join(a.tables))
	if a.memory != nil {
		section(module.SectionMemory, 1, a.memory)
	}
	section(module.SectionGlobal, len(a.globals), join(a.globals))
	p = nil
	for _, e := range a.exports {
		p = appendU32(append(appendName(p, e.Name), byte(e.Kind)), e.Index)
	}
	section(module.SectionExport, len(a.exports), p)
	if a.start >= 0 {
		out = appendSection(out, module.SectionStart, appendU32(nil, uint32(a.start)))
	}
	section(module.SectionElement, len(a.elements), join(a.elements))
	if len(a.data) > 0 {
		out = appendSection(out, module.SectionDataCount, appendU32(nil, uint32(len(a.data))))
	}
	p = nil
	for _, f := range a.funcs {
		body := appendU32(nil, uint32(len(f.locals)))
		for _, l := range f.locals {
			body = append(body, 1, byte(l))
		}
		body = append(append(body, f.code...), byte(module.OpEnd))
		p = append(appendU32(p, uint32(len(body))), body...)
	}
	section(module.SectionCode, len(a.funcs), p)
	section(module.SectionData, len(a.data), join(a.data))
	for _, c := range a.customs {
		out = appendSection(out, module.SectionCustom, append(appendName(nil, c.Name), c.Data...))
	}
	return out
}

// Opcodes of test modules.
const (
	block     = module.OpBlock
	loop      = module.OpLoop
	ifOp      = module.OpIf
	elseOp    = module.OpElse
	end       = module.OpEnd
	br        = module.OpBr
	brIf      = module.OpBrIf
	brTable   = module.OpBrTable
	ret       = module.OpReturn
	callOp    = module.OpCall
	get       = module.OpLocalGet
	set       = module.OpLocalSet
	tee       = module.OpLocalTee
	drop      = module.OpDrop
	globalGet = module.OpGlobalGet
	globalSet = module.OpGlobalSet
	i32Add    = opI32Add
	i32Sub    = opI32Sub
	i64Add    = opI64Add
	i64Mul    = module.Opcode(0x7e)
	i64Xor    = module.Opcode(0x85)
	i32Eqz    = module.Opcode(0x45)
	i32LtU    = module.Opcode(0x49)
	i32RemU   = opI32RemU
	extend    = opI64ExtendU
	load8     = module.Opcode(0x2d)
	store8    = module.Opcode(0x3a)
	store32   = module.Opcode(0x36)
)

const void = byte(blockTypeVoid)

var (
	i32 = module.I32
	i64 = module.I64
)
