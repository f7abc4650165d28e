package meter

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/host/module"
)

// unusualModule has one of each thing that holds a function index: start, export, all forms of element segments, a
// global, ref.func, call, names; and customs, several results, a table without a maximum, SIMD, a return from within.
func unusualModule() []byte {
	a := assemble()
	a.imports = []imported{{"test", "host", a.typ(types(i32), types(i32))}}
	a.memory = []byte{0, 1}
	a.tables = [][]byte{{byte(module.FuncRef), 0, 10}, {byte(module.ExternRef), 1, 2, 0xc8, 1}}
	unary := a.typ(types(i32), types(i32))
	ten := a.fn("ten", types(i32), types(i32), nil, int32(10), get, 0, i32Add)
	twice := a.fn("", types(i32), types(i32), nil, get, 0, get, 0, i32Add)
	pair := a.fn("", types(i32), types(i32, i64), nil,
		block, void, get, 0, brIf, 0, int32(1), int64(2), ret, end, int32(3), int64(4))
	a.fn("pairs", types(i32), types(i64), types(i64), get, 0, callOp, int(pair), set, 1, extend, get, 1, i64Add)
	a.fn("through", types(i32, i32), types(i32), nil, get, 0, get, 1, module.OpCallIndirect, int(unary), 0)
	a.fn("host", types(i32), types(i32), nil, get, 0, callOp, 0)
	a.fn("put", types(i32), nil, nil, get, 0, module.OpRefFunc, int(twice), module.OpTableSet, 0)
	a.fn("even", types(i32), types(i32), nil, // recursion, deep
		get, 0, i32Eqz, ifOp, void, int32(1), ret, end, get, 0, int32(1), i32Sub, callOp, int(twice)+7)
	a.fn("odd", types(i32), types(i32), nil,
		get, 0, i32Eqz, ifOp, void, int32(0), ret, end, get, 0, int32(1), i32Sub, callOp, int(twice)+6)
	init := a.fn("", nil, nil, nil, int32(0), int32(77), store32, 0, 0)
	a.fn("simd", types(i32), types(i32), nil,
		get, 0, byte(0xfd), 17, get, 0, byte(0xfd), 17, byte(0xfd), 174, 1, byte(0xfd), 27, byte(3))
	a.fn("grow", types(i32), types(i32), nil, module.OpRefNull, byte(module.FuncRef), get, 0, module.OpTableGrow, 0)
	a.fn("loaded", nil, types(i32), nil, int32(0), load8, 0, 0)
	a.start = int(init)
	a.globals = [][]byte{append([]byte{byte(module.FuncRef), 0}, instrs(module.OpRefFunc, int(twice), end)...)}
	offset := instrs(int32(1), end)
	ref := instrs(module.OpRefFunc, int(ten), end)
	a.elements = [][]byte{
		append(append([]byte{0}, offset...), 1, byte(ten)),
		{1, 0, 1, byte(twice)},
		append(append([]byte{2, 0}, instrs(int32(2), end)...), 0, 1, byte(twice)),
		{3, 0, 1, byte(twice)},
		append(append(append([]byte{4}, instrs(int32(3), end)...), 1), ref...),
		append([]byte{5, byte(module.FuncRef), 1}, ref...),
		append(append(append([]byte{6, 0}, instrs(int32(4), end)...), byte(module.FuncRef), 2), append(ref, instrs(module.OpRefNull, byte(module.FuncRef), end)...)...),
		append([]byte{7, byte(module.FuncRef), 1}, ref...),
	}
	for i := range a.funcs {
		a.exports = append(a.exports, module.Export{Name: "export" + string(rune('A'+i)), Kind: module.KindFunction,
			Index: uint32(i + 1)})
	}
	names := []byte{0, 3, 2, 'm', 'o'}
	functions := []byte{3, 0, 4, 'h', 'o', 's', 't', 1, 3, 't', 'e', 'n', 2, 5, 't', 'w', 'i', 'c', 'e'}
	names = append(append(names, 1, byte(len(functions))), functions...)
	locals := []byte{1, 2, 1, 0, 1, 'x'}
	names = append(append(names, 2, byte(len(locals))), locals...)
	a.customs = []module.Custom{{Name: "before", Data: []byte("kept")}, {Name: "name", Data: names}, {Name: "producers"}}
	return a.bytes()
}

func TestEveryFunctionIndexMoves(t *testing.T) {
	wasm := unusualModule()
	metered := rewrite(t, wasm, Options{})
	for _, e := range engines {
		before, after := e.start(t, wasm), e.start(t, metered)
		calls := [][]any{{"ten", 5}, {"pairs", 0}, {"pairs", 1}, {"through", 3, 1}, {"through", 3, 2}, {"through", 3, 3},
			{"through", 3, 4}, {"through", 3, 5}, {"through", 3, 9}, {"host", 6}, {"put", 6}, {"through", 4, 6}, {"even", 50},
			{"odd", 50}, {"simd", 21}, {"loaded"}, {"exportA", 4}, {"exportB", 4}}
		for _, c := range calls {
			var args []uint64
			for _, x := range c[1:] {
				args = append(args, uint64(x.(int)))
			}
			want, err1 := before.call(t, c[0].(string), args...)
			got, err2 := after.call(t, c[0].(string), args...)
			if !slices.Equal(got, want) || (err1 == nil) != (err2 == nil) {
				t.Errorf("%s %v: %v %v (expected %v %v)", e.name, c, got, err2, want, err1)
			}
		}
	}
}

func TestNamesAndCustomSectionsSurvive(t *testing.T) {
	m, err := module.Parse(rewrite(t, unusualModule(), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "mo" || m.Names[0] != "host" || m.Names[1] != "wasmill_meter.quantum" || m.Names[2] != "ten" || m.Names[3] != "twice" {
		t.Errorf("names: %q %v", m.Name, m.Names)
	}
	var customs []string
	for _, c := range m.Customs {
		customs = append(customs, c.Name)
		if c.Name == "before" && !bytes.Equal(c.Data, []byte("kept")) {
			t.Errorf("section before: %q", c.Data)
		}
		if c.Name == "name" && !bytes.Contains(c.Data, []byte{1, 3, 1, 0, 1, 'x'}) {
			t.Errorf("names of locals did not move: %q", c.Data)
		}
	}
	if !slices.Equal(customs, []string{"before", "name", "producers"}) {
		t.Errorf("custom sections: %v", customs)
	}
	last := m.Imports[len(m.Imports)-1]
	if last.Module != ImportModule || last.Name != ImportName || m.Types[last.Type].String() != "(i32) -> i64" {
		t.Errorf("last import: %+v", last)
	}
}

func TestTablesCannotGrowWithoutEnd(t *testing.T) {
	metered := rewrite(t, unusualModule(), Options{TableElements: 100})
	m, err := module.Parse(metered)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Tables[0].HasMax || m.Tables[0].Max != 100 || m.Tables[1].Max != 100 {
		t.Errorf("tables: %+v", m.Tables)
	}
	g := engines[0].start(t, metered)
	for _, c := range []struct{ by, was uint64 }{{50, 10}, {41, 1<<32 - 1}, {40, 60}, {1, 1<<32 - 1}} {
		if got, err := g.call(t, "grow", c.by); err != nil || got[0] != c.was {
			t.Errorf("grow by %d: %v %v (expected %d)", c.by, got, err, c.was)
		}
	}
}

func TestMeteredModulesAreRefused(t *testing.T) {
	metered := rewrite(t, randomModule(nil), Options{})
	if _, err := parseAndRewrite(metered, Options{}); err == nil || !strings.Contains(err.Error(), "wasmill_meter") {
		t.Errorf("metered twice: %v", err)
	}
	a := assemble()
	a.fn("wasmill_meter_fuel", nil, nil, nil)
	if _, err := parseAndRewrite(a.bytes(), Options{}); err == nil || !strings.Contains(err.Error(), "export wasmill_meter_fuel") {
		t.Errorf("a function named as the fuel: %v", err)
	}
}

// A module that names the global or function behind its last one would name ours.
func TestOwnIndicesCannotBeNamed(t *testing.T) {
	for _, code := range [][]byte{instrs(globalGet, 0, drop), instrs(int64(1), globalSet, 0), instrs(callOp, 1),
		instrs(module.OpRefFunc, 1, drop), instrs(get, 0, drop), instrs(br, 1), instrs(brTable, 1, 0, 1)} {
		a := assemble()
		a.fn("f", nil, nil, nil, code)
		if _, err := parseAndRewrite(a.bytes(), Options{}); err == nil || !strings.Contains(err.Error(), "function 0, byte") {
			t.Errorf("% x: %v", code, err)
		}
	}
}

func TestUnknownOpcodeNamesFunctionAndOffset(t *testing.T) {
	a := assemble()
	a.fn("f", nil, nil, nil, byte(1), byte(0x12), 0)
	_, err := parseAndRewrite(a.bytes(), Options{})
	if err == nil || err.Error() != "function 0, byte 0x1f: unknown opcode 0x12" {
		t.Errorf("%v", err)
	}
}

func TestRewriteIsDeterministic(t *testing.T) {
	wasm := unusualModule()
	if !bytes.Equal(rewrite(t, wasm, Options{}), rewrite(t, wasm, Options{})) {
		t.Error("two rewritings differ")
	}
}
