package meter

import "github.com/wasmill/wasmill/host/module"

// random makes valid modules out of bytes: the same bytes give the same module, and a fuzzer can steer it. Its functions
// take (i32, i32) and return an i64; they loop, branch, trap and call each other as the bytes say, for ever if they say
// so.
type random struct {
	data   []byte
	labels []byte // per open block: what a branch to it needs (void, or a result type)
	budget int    // statements that may still be written
	code   []byte
}

// Locals of each function: two parameters, i32s, i64s.
const (
	randomI32s      = 5 // 0 to 4
	randomI64s      = 3 // 5 to 7
	randomFunctions = 4
)

func (r *random) pick(n int) int {
	if len(r.data) == 0 {
		return 0
	}
	v := int(r.data[0])
	r.data = r.data[1:]
	return v % n
}

// randomModule exports f (function 0), memory and global.
func randomModule(data []byte) []byte {
	a := assemble()
	r := &random{data: data}
	a.imports = []imported{{"test", "host", a.typ(types(i32), types(i32))}}
	locals := types(i32, i32, i32, i64, i64, i64)
	for i := range randomFunctions {
		r.budget, r.code, r.labels = 60, nil, []byte{byte(i64)}
		name := ""
		if i == 0 {
			name = "f"
		}
		r.block(0)
		r.wide(0)
		a.fn(name, types(i32, i32), types(i64), locals, r.code)
	}
	a.memory = []byte{1, 1, 2}
	a.globals = [][]byte{append([]byte{byte(i64), 1}, instrs(int64(7), end)...)}
	a.tables = [][]byte{{byte(module.FuncRef), 0, randomFunctions}}
	a.elements = [][]byte{append(append([]byte{0}, instrs(int32(0), end)...), randomFunctions, 1, 2, 3, 4)}
	a.exports = append(a.exports, module.Export{Name: "memory", Kind: module.KindMemory},
		module.Export{Name: "global", Kind: module.KindGlobal})
	return a.bytes()
}

func (r *random) emit(code ...any) { r.code = append(r.code, instrs(code...)...) }

// narrow writes an i32 expression, wide an i64 one.
func (r *random) narrow(depth int) {
	kind := r.pick(9)
	if depth > 3 {
		kind %= 2
	}
	switch kind {
	case 0:
		r.emit(int32(r.pick(16)))
	case 1:
		r.emit(get, r.pick(randomI32s))
	case 2, 3, 4:
		r.narrow(depth + 1)
		r.narrow(depth + 1)
		r.emit([]module.Opcode{i32Add, i32Sub, i32RemU}[kind-2])
	case 5:
		r.narrow(depth + 1)
		r.emit(i32Eqz)
	case 6:
		r.address(depth + 1)
		r.emit(load8, 0, 0)
	case 7:
		r.narrow(depth + 1)
		r.emit(callOp, 0)
	case 8:
		r.wide(depth + 1)
		r.emit(module.Opcode(0xa7)) // i32.wrap_i64
	}
}

func (r *random) wide(depth int) {
	kind := r.pick(7)
	if depth > 3 {
		kind %= 2
	}
	switch kind {
	case 0:
		r.emit(int64(r.pick(256)) << 20)
	case 1:
		r.emit(get, randomI32s+r.pick(randomI64s))
	case 2, 3, 4:
		r.wide(depth + 1)
		r.wide(depth + 1)
		r.emit([]module.Opcode{i64Add, i64Mul, i64Xor}[kind-2])
	case 5:
		r.narrow(depth + 1)
		r.emit(extend)
	case 6:
		r.emit(globalGet, 0)
	}
}

// address writes an address that mostly lies in memory.
func (r *random) address(depth int) {
	r.narrow(depth)
	if r.pick(16) > 0 {
		r.emit(int32(0x7fff), module.Opcode(0x71)) // i32.and
	}
}

func (r *random) open(op module.Opcode, typ byte, label byte) {
	r.emit(op, typ)
	r.labels = append(r.labels, label)
}

func (r *random) close() {
	r.emit(end)
	r.labels = r.labels[:len(r.labels)-1]
}

// block writes some statements.
func (r *random) block(depth int) {
	for range 1 + r.pick(5) {
		if r.budget--; r.budget <= 0 {
			return
		}
		r.statement(depth)
	}
}

func (r *random) statement(depth int) {
	kind := r.pick(19)
	if depth > 5 {
		kind %= 4
	}
	switch kind {
	case 0:
		r.narrow(0)
		r.emit(set, r.pick(randomI32s))
	case 1:
		r.wide(0)
		r.emit(set, randomI32s+r.pick(randomI64s))
	case 2:
		r.address(0)
		r.narrow(0)
		r.emit(store32, 0, 0)
	case 3:
		r.wide(0)
		r.emit(globalSet, 0)
	case 4:
		r.open(block, void, void)
		r.block(depth + 1)
		r.close()
	case 5, 6:
		r.loop(depth)
	case 7:
		r.narrow(0)
		r.open(ifOp, void, void)
		r.block(depth + 1)
		r.emit(elseOp)
		r.block(depth + 1)
		r.close()
	case 8, 9:
		r.branch()
	case 10:
		r.table()
	case 11:
		r.wide(0)
		r.emit(ret)
	case 12:
		r.narrow(0)
		r.narrow(0)
		r.emit(callOp, 1+r.pick(randomFunctions), set, randomI32s+r.pick(randomI64s))
	case 13:
		r.narrow(0)
		r.narrow(0)
		r.emit(int32(r.pick(randomFunctions+1)), module.OpCallIndirect, 1, 0, set, randomI32s)
	case 14:
		r.bulk()
	case 15, 16:
		r.dispatch(depth)
	case 17:
		r.value(depth)
	case 18:
		r.unusual(depth)
	}
}

// loop writes one that often ends.
func (r *random) loop(depth int) {
	counter := r.pick(randomI32s)
	r.open(loop, void, void)
	r.block(depth + 1)
	r.emit(get, counter, int32(1), i32Add, tee, counter, int32(r.pick(40)), i32LtU, brIf, 0)
	r.close()
}

func (r *random) branch() {
	label := r.pick(len(r.labels))
	typ := r.labels[len(r.labels)-1-label]
	switch typ {
	case byte(i64):
		r.wide(0)
	case byte(i32):
		r.narrow(0)
	}
	if typ == void && r.pick(2) == 0 {
		r.narrow(0)
		r.emit(brIf, label)
		return
	}
	r.emit(br, label)
}

// table writes a br_table, if the innermost label needs no value.
func (r *random) table() {
	if len(r.labels) == 1 || r.labels[len(r.labels)-1] != void {
		return
	}
	n := r.pick(4)
	r.narrow(0)
	r.emit(brTable, n)
	for range n + 1 {
		r.emit(r.voidLabel(0))
	}
}

// voidLabel picks a label that needs no value, otherwise if there is none.
func (r *random) voidLabel(otherwise int) int {
	label := r.pick(len(r.labels))
	if r.labels[len(r.labels)-1-label] != void {
		return otherwise
	}
	return label
}

func (r *random) bulk() {
	kind := r.pick(3)
	r.address(0)
	if kind == 0 {
		r.narrow(0)
	} else {
		r.address(0)
	}
	r.emit(int32(r.pick(200)))
	switch kind {
	case 0:
		r.emit(module.OpMemoryFill, 0)
	default:
		r.emit(module.OpMemoryCopy, 0, 0)
	}
}

// dispatch writes a loop as Go's compiler does; the variable's first value may be anything.
func (r *random) dispatch(depth int) {
	n := 1 + r.pick(5)
	v := r.pick(randomI32s)
	header := len(r.labels)
	r.open(loop, void, void)
	for range n {
		r.open(block, void, void)
	}
	r.emit(get, v, brTable, n)
	for i := range n {
		r.emit(i)
	}
	r.emit(r.voidLabel(n))
	for range n {
		r.close()
		r.block(depth + 1)
		// Jump if a condition holds, or fall through.
		r.narrow(1)
		r.open(ifOp, void, void)
		r.emit(int32(r.pick(n+1)), set, v, br, len(r.labels)-1-header)
		r.close()
	}
	r.close()
}

// value writes a block with a result.
func (r *random) value(depth int) {
	r.open(block, byte(i64), byte(i64))
	r.block(depth + 1)
	r.wide(0)
	r.close()
	r.emit(set, randomI32s+r.pick(randomI64s))
}

// unusual writes what compilers rarely do.
func (r *random) unusual(depth int) {
	switch r.pick(3) {
	case 0: // a loop with a parameter; block type 0 is (i32) -> (i32)
		x := r.pick(randomI32s)
		r.narrow(0)
		r.open(loop, 0, byte(i32))
		r.emit(set, x)
		r.block(depth + 1)
		r.emit(get, x, get, x, int32(r.pick(20)), i32LtU, brIf, 0)
		r.close()
		r.emit(set, x)
	case 1:
		r.narrow(0)
		r.open(ifOp, byte(i64), byte(i64))
		r.wide(0)
		r.emit(elseOp)
		r.block(depth + 1)
		r.wide(0)
		r.close()
		r.emit(set, randomI32s)
	case 2:
		r.emit(int32(r.pick(2)), module.OpMemoryGrow, 0, set, r.pick(randomI32s))
	}
}
