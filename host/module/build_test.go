package module

import "bytes"

// Pieces of binaries.

func u32(n int) (p []byte) {
	for ; n >= 0x80; n >>= 7 {
		p = append(p, byte(n)|0x80)
	}
	return append(p, byte(n))
}

func join(parts ...any) (p []byte) {
	for _, x := range parts {
		switch x := x.(type) {
		case byte:
			p = append(p, x)
		case int:
			p = append(p, u32(x)...)
		case string: // a name
			p = append(append(p, u32(len(x))...), x...)
		case []byte:
			p = append(p, x...)
		case ValueType:
			p = append(p, byte(x))
		case Opcode:
			p = append(p, byte(x))
		default:
			panic(x)
		}
	}
	return p
}

func section(id SectionID, parts ...any) []byte {
	body := join(parts...)
	return join(byte(id), len(body), body)
}

func vector(items ...[]byte) []byte { return join(len(items), bytes.Join(items, nil)) }

func binary(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(sections, nil)...)
}

func function(params, results []byte) []byte {
	return join(byte(0x60), len(params), params, len(results), results)
}

// body is a function body without locals, its end added.
func body(code ...any) []byte {
	p := join(append([]any{byte(0)}, append(code, OpEnd)...)...)
	return join(len(p), p)
}

// parts are the sections of a module that Wasmill takes; tests change one of them.
type parts struct {
	types, imports, functions, tables, memories, globals, exports, elements, bodies, data [][]byte
	customs                                                                               [][]byte
}

// sound is a module that has all that the contract asks for.
func sound() *parts {
	i := []byte{byte(I32)}
	l := []byte{byte(I64)}
	zero := body(OpI32Const, byte(0))
	return &parts{
		types: [][]byte{function(nil, nil), function(join(i, i), l), function(i, i), function(join(i, i, i), i),
			function(join(i, i, i), nil), function(join(i, i, i, i), i)},
		imports:   [][]byte{join("wasmill", "emit", byte(0), 4), join("wasi_snapshot_preview1", "fd_write", byte(0), 5)},
		functions: [][]byte{{0}, {1}, {2}, {3}, {3}},
		memories:  [][]byte{{0, 1}},
		exports: [][]byte{join("memory", byte(2), 0), join("wasmill_abi_1", byte(0), 2), join("wasmill_describe", byte(0), 3),
			join("wasmill_buffer", byte(0), 4), join("wasmill_open", byte(0), 5), join("wasmill_process", byte(0), 6)},
		bodies: [][]byte{body(), body(byte(OpI64Const), byte(0)), zero, zero, zero},
	}
}

func (p *parts) bytes() []byte {
	var s [][]byte
	add := func(id SectionID, items [][]byte) {
		if len(items) > 0 {
			s = append(s, section(id, vector(items...)))
		}
	}
	add(SectionType, p.types)
	add(SectionImport, p.imports)
	add(SectionFunction, p.functions)
	add(SectionTable, p.tables)
	add(SectionMemory, p.memories)
	add(SectionGlobal, p.globals)
	add(SectionExport, p.exports)
	add(SectionElement, p.elements)
	add(SectionCode, p.bodies)
	add(SectionData, p.data)
	for _, c := range p.customs {
		s = append(s, section(SectionCustom, c))
	}
	return binary(s...)
}

// define adds a function of type () -> () with a body.
func (p *parts) define(body []byte) {
	p.functions = append(p.functions, []byte{0})
	p.bodies = append(p.bodies, body)
}
