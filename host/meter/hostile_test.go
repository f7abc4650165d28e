package meter

import (
	"errors"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/host/module"
)

// hostile modules export f, which takes nothing and never ends by itself, or only after ages.
var hostile = []struct {
	name string
	make func(a *assembly)
	want error
}{
	{"loop", func(a *assembly) {
		a.fn("f", nil, nil, nil, loop, void, br, 0, end)
	}, errFuel},
	{"loop on a condition", func(a *assembly) {
		a.fn("f", nil, nil, nil, loop, void, int32(1), brIf, 0, end)
	}, errFuel},
	{"loop by table", func(a *assembly) {
		a.fn("f", nil, nil, nil, loop, void, block, void, int32(1), brTable, 1, 0, 1, end, end)
	}, errFuel},
	{"loop with a parameter", func(a *assembly) {
		unary := a.typ(types(i32), types(i32))
		a.fn("f", nil, nil, nil, int32(1), loop, int(unary), int32(1), i32Add, br, 0, end, drop)
	}, errFuel},
	{"loop from within blocks", func(a *assembly) {
		a.fn("f", nil, nil, nil, loop, void, block, void, block, void, br, 1, end, end, br, 0, end)
	}, errFuel},
	{"loop in a loop that ends", func(a *assembly) {
		a.fn("f", nil, nil, types(i32), loop, void, int32(0), set, 0,
			loop, void, get, 0, int32(1), i32Add, tee, 0, int32(3), i32LtU, brIf, 0, end, br, 0, end)
	}, errFuel},
	{"many jumps back", func(a *assembly) {
		var code []any
		for range 10 {
			code = append(code, int32(0), brIf, 0)
		}
		a.fn("f", nil, nil, nil, append(append([]any{loop, void}, code...), br, 0, end)...)
	}, errFuel},
	{"dispatch backward", func(a *assembly) {
		a.fn("f", nil, nil, types(i32), loop, void, block, void, block, void, get, 0, brTable, 1, 0, 1, end,
			int32(1), set, 0, br, 1, end, int32(0), set, 0, br, 0, end)
	}, errFuel},
	{"dispatch to itself", func(a *assembly) {
		a.fn("f", nil, nil, types(i32), loop, void, block, void, get, 0, brTable, 0, 0, end,
			int32(7), set, 0, br, 0, end)
	}, errFuel},
	{"dispatch by a default outside", func(a *assembly) {
		a.fn("f", nil, nil, types(i32), loop, void, loop, void, block, void, get, 0, brTable, 1, 0, 2, end,
			int32(1), set, 0, br, 0, end, end)
	}, errFuel},
	{"calls without end through a loop", func(a *assembly) {
		f := a.fn("", nil, nil, nil, module.OpNop)
		a.fn("f", nil, nil, nil, loop, void, callOp, int(f), br, 0, end)
	}, errFuel},
	{"recursion", func(a *assembly) {
		a.fn("f", nil, nil, nil, callOp, 0)
	}, errStack},
	{"recursion in turns", func(a *assembly) {
		a.fn("f", nil, nil, nil, callOp, 1)
		a.fn("", nil, nil, nil, callOp, 0)
	}, errStack},
	{"recursion through a table", func(a *assembly) {
		a.tables = [][]byte{{byte(module.FuncRef), 0, 1}}
		a.elements = [][]byte{append(append([]byte{0}, instrs(int32(0), end)...), 1, 0)}
		a.fn("f", nil, nil, nil, int32(0), module.OpCallIndirect, 0, 0)
	}, errStack},
	{"recursion through a reference put into a table", func(a *assembly) {
		a.tables = [][]byte{{byte(module.FuncRef), 0, 1}}
		a.elements = [][]byte{{3, 0, 1, 0}}
		a.fn("f", nil, nil, nil, int32(0), module.OpRefFunc, 0, module.OpTableSet, 0, int32(0), module.OpCallIndirect, 0, 0)
	}, errStack},
	{"recursion with results", func(a *assembly) {
		a.fn("f", nil, types(i64, i32), nil, callOp, 0, ret)
	}, errStack},
	{"a tree of calls", func(a *assembly) {
		const levels = 60
		for i := range levels {
			name := ""
			if i == 0 {
				name = "f"
			}
			a.fn(name, nil, nil, nil, callOp, i+1, callOp, i+1)
		}
		a.fn("", nil, nil, nil, module.OpNop)
	}, errFuel},
	{"a tree of calls through a table", func(a *assembly) {
		const levels = 60
		a.tables = [][]byte{{byte(module.FuncRef), 0, levels + 1}}
		element := append(append([]byte{0}, instrs(int32(0), end)...), levels+1)
		for i := range levels {
			name := ""
			if i == 0 {
				name = "f"
			}
			a.fn(name, nil, nil, nil, int32(i+1), module.OpCallIndirect, 0, 0, int32(i+1), module.OpCallIndirect, 0, 0)
			element = append(element, byte(i))
		}
		a.fn("", nil, nil, nil, module.OpNop)
		a.elements = [][]byte{append(element, levels)}
	}, errFuel},
	{"a long chain of big frames", func(a *assembly) {
		locals := make([]module.ValueType, 5000)
		for i := range locals {
			locals[i] = i64
		}
		for i := range 300 {
			name := ""
			if i == 0 {
				name = "f"
			}
			a.fn(name, nil, nil, locals, callOp, i+1)
		}
		a.fn("", nil, nil, nil, module.OpNop)
	}, errStack},
	{"filling memory", func(a *assembly) {
		a.memory = []byte{0, 0x80, 8} // 1,024 pages
		a.fn("f", nil, nil, nil, int32(0), int32(1), int32(60<<20), module.OpMemoryFill, 0)
	}, errFuel},
	{"copying memory upward", func(a *assembly) {
		a.memory = []byte{0, 0x80, 8}
		a.fn("f", nil, nil, nil, int32(1000), int32(0), int32(60<<20), module.OpMemoryCopy, 0, 0)
	}, errFuel},
	{"copying memory downward", func(a *assembly) {
		a.memory = []byte{0, 0x80, 8}
		a.fn("f", nil, nil, nil, int32(0), int32(1000), int32(60<<20), module.OpMemoryCopy, 0, 0)
	}, errFuel},
	{"filling a table", func(a *assembly) {
		a.tables = [][]byte{{byte(module.ExternRef), 0, 0x80, 0x80, 0x20}} // 524,288 elements
		a.fn("f", nil, nil, nil, loop, void,
			int32(0), module.OpRefNull, byte(module.ExternRef), int32(500_000), module.OpTableFill, 0, br, 0, end)
	}, errFuel},
	{"copying a table", func(a *assembly) {
		a.tables = [][]byte{{byte(module.ExternRef), 0, 0x80, 0x80, 0x20}}
		a.fn("f", nil, nil, nil, loop, void,
			int32(0), int32(1), int32(500_000), module.OpTableCopy, 0, 0, br, 0, end)
	}, errFuel},
}

func TestHostileModulesAreStopped(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			a := assemble()
			h.make(a)
			metered := rewrite(t, a.bytes(), Options{StackLimit: 1 << 20})
			for _, e := range engines {
				quanta := 20
				if h.want == errStack {
					quanta = 1000
				}
				g, err := e.tryStart(t, metered, &guest{grant: 10_000, quanta: quanta})
				if err != nil {
					t.Fatal(err)
				}
				_, err = g.call(t, "f")
				if e.name == "interpreter" && h.want == errStack && strings.Contains(err.Error(), "stack overflow") {
					continue // it has a limit of its own that comes first
				}
				if !errors.Is(err, h.want) {
					t.Errorf("%s: %v (expected %v)", e.name, err, h.want)
				}
			}
		})
	}
}

func TestAStartFunctionIsMetered(t *testing.T) {
	a := assemble()
	a.start = int(a.fn("f", nil, nil, nil, loop, void, br, 0, end))
	for _, e := range engines {
		if _, err := e.tryStart(t, rewrite(t, a.bytes(), Options{}), &guest{quanta: 3}); !errors.Is(err, errFuel) {
			t.Errorf("%s: %v", e.name, err)
		}
	}
}

// The host gets its quantum while memory is copied, not only before.
func TestBulkOperationsAskInBetween(t *testing.T) {
	a := assemble()
	a.memory = []byte{0, 0x80, 2} // 256 pages
	a.fn("f", nil, nil, nil, int32(0), int32(1), int32(15<<20), module.OpMemoryFill, 0)
	g := engines[0].start(t, rewrite(t, a.bytes(), Options{}))
	g.grant = 1
	if _, err := g.call(t, "f"); err != nil {
		t.Fatal(err)
	}
	if want := 15 << 20 / bulkChunk; g.asked < want {
		t.Errorf("quantum was called %d times (expected >= %d)", g.asked, want)
	}
}

// What happens to memory is what memory.copy and memory.fill do, whatever the lengths.
func TestBulkOperationsInPiecesDoTheSame(t *testing.T) {
	a := assemble()
	a.memory = []byte{0, 16}
	a.exports = append(a.exports, module.Export{Name: "memory", Kind: module.KindMemory})
	a.fn("copy", types(i32, i32, i32), nil, nil, get, 0, get, 1, get, 2, module.OpMemoryCopy, 0, 0)
	a.fn("fill", types(i32, i32, i32), nil, nil, get, 0, get, 1, get, 2, module.OpMemoryFill, 0)
	wasm := a.bytes()
	metered := rewrite(t, wasm, Options{})
	const size, c = 16 << 16, bulkChunk
	calls := []struct {
		name    string
		a, b, n uint64
	}{{"fill", 5, 9, c + 1}, {"copy", 100, 0, 2*c + 77}, {"copy", 0, 100, 3*c - 1}, {"copy", 3*c + 1, 2, c + 3},
		{"fill", 0, 3, size}, {"fill", 1, 4, size}, {"copy", 0, size - c, c + 1}, {"copy", size - c, 7, c + 1},
		{"copy", 7, 7, 2 * c}, {"fill", size, 1, 0}, {"fill", size + 1, 1, 0}, {"copy", 1<<32 - 1, 0, 1<<32 - 1},
		{"copy", 9, 8, c}, {"copy", 8, 9, c}}
	for _, e := range engines {
		was, now := e.start(t, wasm), e.start(t, metered)
		for _, g := range []*guest{was, now} {
			m, _ := g.Memory().Read(0, size)
			for i := range m {
				m[i] = byte(i * 7 >> 3)
			}
		}
		for _, x := range calls {
			_, err1 := was.call(t, x.name, x.a, x.b, x.n)
			_, err2 := now.call(t, x.name, x.a, x.b, x.n)
			m1, _ := was.Memory().Read(0, size)
			m2, _ := now.Memory().Read(0, size)
			if string(m1) != string(m2) || (err1 == nil) != (err2 == nil) {
				t.Errorf("%s: %v differs: %v, %v", e.name, x, err1, err2)
			}
		}
	}
}
