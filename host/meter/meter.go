// Package meter rewrites a WebAssembly module so that it counts what it uses: fuel, which is about the number of
// instructions executed, and the depth of its calls in bytes. When either runs out it calls its host. The package
// knows the binary format and decides where a count is needed; it knows no engine, and whether the module is one for
// Wasmill at all is package module's question.
//
// What is added stands behind the module's own items, and every index in the module was checked against its own items
// before: the code that was uploaded cannot name a counter.
//
//	import  "wasmill_meter" "quantum" (reason i32) -> i64   the last import; functions behind it move up by one
//	global  fuel  (mut i64)   what is left; below zero quantum(0) is called; its answer, >= 0, is what is left then
//	global  depth (mut i64)   bytes of call stack left; below zero quantum(1) is called, which must not return
//	export  "wasmill_meter_fuel"   the global fuel
//
// Fuel is charged for code before it runs, where it begins or where a loop jumps back, and by length for what copies or
// fills memory and tables; small functions are charged by their callers. A host that wants to know what was used reads
// the global when quantum is called, when it calls a function, and when a function that it called returns. A charge may
// take it far below zero before quantum is called.
package meter

import (
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/host/module"
)

// Names of what is added. An uploaded module may not use ImportModule, nor export a name that begins with it.
const (
	ImportModule = module.MeterModule
	ImportName   = "quantum"
	ExportFuel   = ImportModule + "_fuel"
)

// Reasons for which quantum is called.
const (
	ReasonFuel  = 0 // fuel ran out; the answer is how much there is from now on
	ReasonStack = 1 // the call stack is too deep; the host must not return
)

// Options bounds what the rewritten module may do.
type Options struct {
	StackLimit    int    // bytes of call stack, estimated; 0: DefaultStackLimit
	TableElements uint32 // elements that each table may grow to; 0: DefaultTableElements
}

const (
	DefaultStackLimit    = 8 << 20
	DefaultTableElements = 1 << 20 // 8 MiB of references
)

// Rewrite returns the metered form of a module. It is deterministic: an equal module gives equal bytes.
func Rewrite(m *module.Module, opt Options) ([]byte, error) {
	if err := refuse(m); err != nil {
		return nil, err
	}
	if opt.StackLimit <= 0 {
		opt.StackLimit = DefaultStackLimit
	}
	if opt.TableElements == 0 {
		opt.TableElements = DefaultTableElements
	}
	w := newRewriter(m, opt)
	if err := w.survey(); err != nil {
		return nil, err
	}
	return w.encode()
}

// refuse is for modules that were metered before or pretend to be.
func refuse(m *module.Module) error {
	for i := range m.Imports {
		if im := &m.Imports[i]; strings.HasPrefix(im.Module, ImportModule) {
			return &module.Error{Place: "import " + im.Module + "." + im.Name,
				Problem: fmt.Sprintf("modules named %s... are Wasmill's own", ImportModule)}
		}
	}
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, ImportModule) {
			return &module.Error{Place: "export " + e.Name,
				Problem: fmt.Sprintf("names that begin with %s are Wasmill's own", ImportModule)}
		}
	}
	return nil
}
