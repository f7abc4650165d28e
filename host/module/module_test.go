package module

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func judge(wasm []byte) error {
	m, err := Parse(wasm)
	if err != nil {
		return err
	}
	return m.Check(DefaultBudget())
}

// text is an error as a user meets it: the line, and the hint behind a bar.
func text(t *testing.T, err error) string {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *Error", err)
	}
	if e.Hint == "" {
		return e.Error()
	}
	return e.Error() + " | " + e.Hint
}

func TestASoundModuleIsTaken(t *testing.T) {
	if err := judge(sound().bytes()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoModuleIsRefused(t *testing.T) {
	whole := sound().bytes()
	for _, c := range []struct {
		wasm []byte
		want string
	}{
		{nil, "module: the file is empty"},
		{[]byte("#!/bin/sh\n"), `module: not a WebAssembly module: it begins with "#!/b" (expected "\x00asm") | give the .wasm file that the compiler wrote`},
		{[]byte("(module)"), `module: not a WebAssembly module: it begins with "(mod" (expected "\x00asm") | this is the text format: assemble it with wat2wasm`},
		{whole[:6], "module: truncated after 6 bytes, in its header | build or upload the module again"},
		{[]byte("\x00asm\x0d\x00\x01\x00"), "module: a WebAssembly component; Wasmill runs core modules | build for wasm32-wasip1, for example: cargo build --target wasm32-wasip1"},
		{[]byte("\x00asm\x02\x00\x00\x00"), "module: binary version 02 00 00 00 (expected 01 00 00 00) | build a core WebAssembly module, for example for wasm32-wasip1"},
		{whole[:len(whole)-3], "code section, byte 0xd0: the file ends 21 bytes into a section of 24 bytes | the module is truncated: build or upload it again"},
		{whole[:8+1], "module, byte 0x9: the file ends in the middle of the size of section type | the module is truncated: build or upload it again"},
	} {
		if got := text(t, judge(c.wasm)); got != c.want {
			t.Errorf("%.20q:\n got %s\nwant %s", c.wasm, got, c.want)
		}
	}
}

// However a module is cut off, it is refused, and the place is named.
func TestEveryTruncationIsRefused(t *testing.T) {
	whole := sound().bytes()
	boundary := map[int]bool{}
	m, err := Parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Sections {
		boundary[s.End] = true
	}
	for n := range len(whole) {
		err := judge(whole[:n])
		if err == nil {
			t.Fatalf("%d of %d bytes are taken", n, len(whole))
		}
		if !boundary[n] && n > headerSize && !strings.Contains(err.Error(), "byte 0x") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestAModuleOutsideTheContractIsRefused(t *testing.T) {
	without := func(name string) func(p *parts) {
		return func(p *parts) {
			p.exports = slices.DeleteFunc(p.exports, func(e []byte) bool { return bytes.HasPrefix(e[1:], []byte(name)) })
		}
	}
	for _, c := range []struct {
		change func(p *parts)
		want   string
	}{
		{without("wasmill_abi_1"), "export wasmill_abi_1: missing: the module is not built with a Wasmill SDK | build the module with one of the SDKs in guest-sdk"},
		{func(p *parts) {
			without("wasmill_abi_1")(p)
			p.exports = append(p.exports, join("_start", byte(0), 2))
		}, "export wasmill_abi_1: missing: the module is not built with a Wasmill SDK | this is a program with a main function: use an SDK and build a reactor (Go: -buildmode=c-shared, C: -mexec-model=reactor)"},
		{func(p *parts) { p.exports[1] = join("wasmill_abi_2", byte(0), 2) },
			"export wasmill_abi_2: the module speaks ABI 2; this Wasmill speaks 1 | upgrade Wasmill, or build with an SDK for ABI 1"},
		{func(p *parts) { p.exports[1] = join("wasmill_abi_x", byte(0), 2) },
			"export wasmill_abi_x: no ABI version (expected wasmill_abi_1)"},
		{func(p *parts) {
			p.imports = append(p.imports, join("env", "puts", byte(0), 2), join("env", "exit", byte(0), 0), join("wasmill", "sing", byte(0), 0))
			shiftExports(p, 3)
		}, "imports: 3 unknown functions: env.puts, env.exit, wasmill.sing | a function is declared but not linked, or the module is built for a browser: build for wasm32-wasip1 or freestanding"},
		{func(p *parts) {
			p.imports = append(p.imports, join("wasmill_meter", "quantum", byte(0), 0))
			shiftExports(p, 1)
		}, "imports: unknown function: wasmill_meter.quantum | only functions of wasmill and of wasi_snapshot_preview1 can be imported"},
		{func(p *parts) { p.imports[0] = join("wasmill", "emit", byte(0), 2) },
			"import wasmill.emit: declared as (i32) -> i32 (expected (i32, i32, i32))"},
		{func(p *parts) {
			p.imports = append(p.imports, join("env", "memory", byte(2), byte(0), 1))
			p.memories = nil
		},
			"import env.memory: an imported memory; Wasmill gives functions only | let the module define and export its memory (clang: without --import-memory)"},
		{func(p *parts) { p.imports = append(p.imports, join("env", "t", byte(1), FuncRef, byte(0), 1)) },
			"import env.t: an imported table; Wasmill gives functions only | link the module statically, without imported tables and globals"},
		{func(p *parts) { p.imports = append(p.imports, join("env", "g", byte(3), I32, byte(0))) },
			"import env.g: an imported global; Wasmill gives functions only | link the module statically, without imported tables and globals"},
		{without("memory"), `export memory: missing: the host reads and writes records in it | export the linear memory as "memory"`},
		{func(p *parts) { without("wasmill_open")(p); without("wasmill_process")(p) },
			"exports: missing: wasmill_open, wasmill_process | the linker drops what is not exported: see the build line of your SDK"},
		{func(p *parts) { p.exports[4] = join("wasmill_open", byte(0), 4) },
			"export wasmill_open: declared as (i32) -> i32 (expected (i32, i32, i32) -> i32)"},
		{func(p *parts) { p.exports[4] = join("wasmill_open", byte(2), 0) },
			"export wasmill_open: a memory (expected a function)"},
		{func(p *parts) { p.exports = append(p.exports, join("wasmill_keyed", byte(0), 2)) },
			"export wasmill_keyed: declared as () (expected (i32, i32, i32, i32) -> i32)"},
		{func(p *parts) { p.exports = append(p.exports, join("wasmill_meter_fuel", byte(0), 2)) },
			"export wasmill_meter_fuel: names that begin with wasmill_meter are Wasmill's own"},
	} {
		p := sound()
		c.change(p)
		if got := text(t, judge(p.bytes())); got != c.want {
			t.Errorf("\n got %s\nwant %s", got, c.want)
		}
	}
}

// A small function can keep a compiler busy: each of its branches is compared with each other one.
func TestWhatTakesTooLongToCompileIsRefused(t *testing.T) {
	p := sound()
	table := append(join(OpI32Const, byte(0), OpBrTable, 99_999), make([]byte, 100_000)...)
	p.define(body(table))
	want := "function 7: would take about 15s to compile (expected <= 5s): 0 locals, 100000 branches | split the function"
	if got := text(t, judge(p.bytes())); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	p = sound()
	for range 100 {
		p.define(body(append(join(OpI32Const, byte(0), OpBrTable, 29_999), make([]byte, 30_000)...)))
	}
	want = "functions: would take more than 1m0s to compile | split the module"
	if got := text(t, judge(p.bytes())); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// shiftExports moves the exported functions' indices, because n more functions are imported.
func shiftExports(p *parts, n byte) {
	for i, e := range p.exports {
		if e[len(e)-2] == byte(KindFunction) {
			p.exports[i][len(e)-1] += n
		}
	}
}

func TestAModuleOverTheBudgetIsRefused(t *testing.T) {
	for _, c := range []struct {
		limit  func(b *Budget)
		change func(p *parts)
		want   string
	}{
		{func(b *Budget) { b.Bytes = 100 }, nil, "bytes: 234 (expected <= 100)"},
		{func(b *Budget) { b.Types = 5 }, nil, "types: 6 (expected <= 5)"},
		{func(b *Budget) { b.Params = 3 }, nil, "type 5: 4 parameters or results (expected <= 3)"},
		{func(b *Budget) { b.Imports = 1 }, nil, "imports: 2 (expected <= 1)"},
		{func(b *Budget) { b.Exports = 5 }, nil, "exports: 6 (expected <= 5)"},
		{func(b *Budget) { b.Functions = 4 }, nil, "functions: 5 (expected <= 4)"},
		{func(b *Budget) { b.MemoryPages = 10 }, func(p *parts) { p.memories[0] = []byte{0, 11} }, "memory pages: 11 (expected <= 10)"},
		{func(b *Budget) { b.Tables = 1 }, func(p *parts) { p.tables = [][]byte{{byte(FuncRef), 0, 0}, {byte(FuncRef), 0, 0}} },
			"tables: 2 (expected <= 1)"},
		{func(*Budget) {}, func(p *parts) { p.tables = [][]byte{join(FuncRef, byte(0), 1<<20), join(ExternRef, byte(0), 1)} },
			"table elements: 1048577 (expected <= 1048576)"},
		{func(b *Budget) { b.Globals = 0 }, func(p *parts) { p.globals = [][]byte{join(I32, byte(1), OpI32Const, byte(0), OpEnd)} },
			"globals: 1 (expected <= 0)"},
		{func(b *Budget) { b.DataBytes = 3 }, func(p *parts) { p.data = [][]byte{join(byte(1), "1234")} }, "data bytes: 4 (expected <= 3)"},
		{func(b *Budget) { b.Segments = 0 }, func(p *parts) { p.data = [][]byte{join(byte(1), "")} }, "segments: 1 (expected <= 0)"},
		{func(b *Budget) { b.BodyBytes = 9 }, func(p *parts) { p.define(body(bytes.Repeat([]byte{1}, 8))) },
			"function 7: 10 bytes (expected <= 9) | split the function"},
		{func(b *Budget) { b.Locals = 9 }, func(p *parts) { p.define(join(4, 1, 10, I32, OpEnd)) }, "function 7: 10 locals (expected <= 9) | split the function"},
		{func(b *Budget) { b.Nesting = 2 }, func(p *parts) {
			p.define(body(bytes.Repeat([]byte{byte(OpBlock), 0x40}, 3), bytes.Repeat([]byte{byte(OpEnd)}, 3)))
			p.customs = [][]byte{join("name", byte(1), 9, 1, 7, "deeper")}
		}, "function 7 (deeper): 3 nested blocks (expected <= 2) | split the function"},
	} {
		p := sound()
		if c.change != nil {
			c.change(p)
		}
		m, err := Parse(p.bytes())
		if err != nil {
			t.Errorf("%s: %v", c.want, err)
			continue
		}
		b := DefaultBudget()
		c.limit(&b)
		if err := m.Check(b); err == nil {
			t.Errorf("taken (expected %s)", c.want)
		} else if got := text(t, err); got != c.want {
			t.Errorf("\n got %s\nwant %s", got, c.want)
		}
	}
}

func TestMalformedModulesAreRefused(t *testing.T) {
	for _, c := range []struct {
		change func(p *parts)
		want   string
	}{
		{func(p *parts) { p.define(body(byte(0x12), 0)) }, "function 7, byte 0xed: unknown opcode 0x12"},
		{func(p *parts) { p.define(body(byte(0xfc), 18)) }, "unknown opcode 0xfc12"},
		{func(p *parts) { p.define(body(byte(0xfd), 154)) }, "unknown opcode 0xfd9a"},
		{func(p *parts) { p.define(body(byte(0xfe), 3)) }, "unknown opcode 0xfe"},
		{func(p *parts) { p.define(body(OpGlobalGet, 0)) }, "global 0 of 0"},
		{func(p *parts) { p.define(body(OpLocalGet, 0)) }, "local 0 of 0"},
		{func(p *parts) { p.define(body(OpCall, 8)) }, "function 8 of 8"},
		{func(p *parts) { p.define(body(OpBr, 1)) }, "label 1 of 1"},
		{func(p *parts) { p.define(body(OpElse)) }, "else without if"},
		{func(p *parts) { p.define(body(OpEnd)) }, "instructions behind the function's end"},
		{func(p *parts) { p.define(body(OpBlock, byte(0x40))) }, "the body ends with 1 blocks open"},
		{func(p *parts) { p.define(body(OpBlock, byte(0xe3), byte(0))) }, "type 99 of 6"},
		{func(p *parts) { p.define(body(OpBlock, byte(0x6a))) }, "a block of unknown type 0x6a"},
		{func(p *parts) { p.define(body(byte(0xfc), 8, 0, 0)) }, "no data count section"},
		{func(p *parts) { p.define(body(byte(0x28), 70, 0)) }, "alignment 2^70"},
		{func(p *parts) { p.define(body(byte(0x41), []byte{0x80, 0x80, 0x80, 0x80, 0x70})) }, "a constant is no 32-bit number"},
		{func(p *parts) { p.define(join(8, 1, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, I32, OpEnd)) }, "locals (expected <= 50000)"},
		{func(p *parts) { p.functions = append(p.functions, []byte{0}) }, "5 bodies for 6 declared functions"},
		{func(p *parts) { p.types[0] = []byte{0x5f, 0} }, "a type of form 0x5f (expected a function, 0x60)"},
		{func(p *parts) { p.types[0] = function([]byte{0x6e}, nil) }, "unknown type 0x6e"},
		{func(p *parts) { p.memories[0] = []byte{3, 1, 2} }, "a memory's size of kind 0x3"},
		{func(p *parts) { p.memories = append(p.memories, []byte{0, 1}) }, "2 memories (expected 1)"},
		{func(p *parts) { p.memories[0] = []byte{1, 3, 2} }, "minimum 3 above maximum 2"},
		{func(p *parts) { p.memories[0] = join(byte(0), 65537) }, "a memory of 65537 pages"},
		{func(p *parts) { p.exports = append(p.exports, join("memory", byte(2), 0)) }, `a second export "memory"`},
		{func(p *parts) { p.exports = append(p.exports, join("x", byte(0), 99)) }, `export "x" names function 99 of 7`},
		{func(p *parts) { p.exports = append(p.exports, join("\xff", byte(0), 0)) }, "an export's name is not UTF-8"},
		{func(p *parts) { p.elements = [][]byte{join(0, OpI32Const, byte(0), OpEnd, 0)} }, "table 0 of 0"},
		{func(p *parts) { p.elements = [][]byte{join(9)} }, "an element segment of form 9"},
		{func(p *parts) { p.globals = [][]byte{join(I32, byte(2), OpI32Const, byte(0), OpEnd)} }, "mutability 0x2"},
		{func(p *parts) {
			p.globals = [][]byte{join(I32, byte(0), OpI32Const, byte(0), OpI32Const, byte(0), OpEnd)}
		}, "more than one instruction"},
		{func(p *parts) { p.globals = [][]byte{join(I32, byte(0), OpGlobalGet, 0, OpEnd)} }, "reads global 0 (expected an imported one, of 0)"},
		{func(p *parts) { p.customs = [][]byte{join("wasmill.manifest"), join("wasmill.manifest")} }, "a second section wasmill.manifest"},
	} {
		p := sound()
		c.change(p)
		if err := judge(p.bytes()); err == nil || !strings.Contains(text(t, err), c.want) {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

func TestSectionsOutOfOrderAreRefused(t *testing.T) {
	for _, c := range []struct {
		wasm []byte
		want string
	}{
		{binary(section(SectionFunction, 0), section(SectionType, 0)), "module, byte 0xb: section type behind section function"},
		{binary(section(SectionType, 0), section(SectionType, 0)), "module, byte 0xb: section type behind section type"},
		{binary(section(SectionCode, 0), section(SectionDataCount, 0)), "module, byte 0xb: section data count behind section code"},
		{binary(section(13, 0)), "module, byte 0x8: unknown section 0xd"},
		{binary(section(SectionType, 0, 0)), "type section, byte 0xb: 1 bytes behind the section's last item"},
		{binary(section(SectionDataCount, 1)), "data count section: 1 segments announced, 0 given"},
		{binary(section(SectionType, 1, function(nil, nil)), section(SectionFunction, 1, 0)), "module: 1 functions declared, but no code section"},
	} {
		if err := judge(c.wasm); err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

func TestWhatAModuleIsCanBeRead(t *testing.T) {
	p := sound()
	p.tables = [][]byte{join(FuncRef, byte(1), 2, 5)}
	p.globals = [][]byte{join(I32, byte(1), OpI32Const, byte(3), OpEnd)}
	p.elements = [][]byte{join(0, OpI32Const, byte(0), OpEnd, 2, 3, 4)}
	p.data = [][]byte{join(byte(0), OpI32Const, byte(8), OpEnd, "hello"), join(byte(1), "world")}
	p.bodies[0] = join(7, 2, 2, I64, 1, V128, OpNop, OpEnd)
	p.customs = [][]byte{join("wasmill.manifest", []byte("{}")), join("name", byte(0), 3, "mo", byte(1), 7, 1, 2, "mark")}
	m, err := Parse(p.bytes())
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(m.Name, " ", m.Names, " ", string(m.Manifest), " ", m.Tables, " ", m.Memories, " ", m.DataBytes(), " ",
		m.Elements[0].Funcs, " ", m.Functions[0].NumLocals, " ", m.Functions[0].Locals, " ", m.ImportedFunctions(), " ",
		m.Types[m.FunctionType(1)], " ", m.Types[m.FunctionType(3)], " ", len(m.Customs))
	want := "mo map[2:mark] {} [{funcref {2 5 true}}] [{{1 0 false}}] 10 [3 4] 3 [{2 i64} {1 v128}] 2 (i32, i32, i32, i32) -> i32 (i32, i32) -> i64 2"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// A name section with faults is no fault of the module.
func TestABrokenNameSectionIsNoFault(t *testing.T) {
	p := sound()
	p.customs = [][]byte{join("name", byte(1), 200, 1)}
	if err := judge(p.bytes()); err != nil {
		t.Error(err)
	}
}

func TestHostFunctionsAreListed(t *testing.T) {
	if got := strings.Join(HostFunctions("wasmill"), " "); got != "emit fail log metric param reply state watermark" {
		t.Errorf("%s", got)
	}
	if f, ok := HostFunction("wasi_snapshot_preview1", "fd_seek"); !ok || f.String() != "(i32, i64, i32, i32) -> i32" {
		t.Errorf("fd_seek: %s", f)
	}
}
