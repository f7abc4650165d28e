package module

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// Check decides whether Wasmill can run the module: whether it speaks this ABI, imports only what there is, exports
// what the contract asks for, and stays in the budget. Errors are of type *Error.
func (m *Module) Check(b Budget) error {
	for _, check := range []func() *Error{m.checkABI, m.checkImports, m.checkExports} {
		if err := check(); err != nil {
			return err
		}
	}
	return m.CheckBudget(b)
}

func (m *Module) checkABI() *Error {
	var versions []string
	for _, e := range m.Exports {
		if v, ok := strings.CutPrefix(e.Name, abi.MarkerPrefix); ok && e.Kind == KindFunction {
			versions = append(versions, v)
		}
	}
	mine := strconv.Itoa(abi.Version)
	switch {
	case slices.Contains(versions, mine):
		return nil
	case len(versions) == 0:
		e := refuse("export "+abi.MarkerPrefix+mine, "missing: the module is not built with a Wasmill SDK")
		if _, command := m.Export("_start"); command {
			return e.hint("this is a program with a main function: use an SDK and build a reactor (Go: -buildmode=c-shared, C: -mexec-model=reactor)")
		}
		return e.hint("build the module with one of the SDKs in guest-sdk")
	}
	v := versions[0]
	if n, err := strconv.ParseUint(v, 10, 31); err != nil || n == 0 || errors.Is(err, strconv.ErrRange) {
		return refuse("export "+abi.MarkerPrefix+v, "no ABI version (expected %s%s)", abi.MarkerPrefix, mine)
	}
	return refuse("export "+abi.MarkerPrefix+v, "the module speaks ABI %s; this Wasmill speaks %s", v, mine).
		hint("upgrade Wasmill, or build with an SDK for ABI " + mine)
}

func (m *Module) checkImports() *Error {
	var unknown []string
	for i := range m.Imports {
		im := &m.Imports[i]
		name := im.Module + "." + im.Name
		if im.Kind != KindFunction {
			return refuse("import "+name, "an imported %s; Wasmill gives functions only", im.Kind).
				hint(importHint(im.Kind))
		}
		want, ok := HostFunction(im.Module, im.Name)
		if !ok {
			if !slices.Contains(unknown, name) {
				unknown = append(unknown, name)
			}
			continue
		}
		if got := m.Types[im.Type]; !got.Equal(want) {
			return refuse("import "+name, "declared as %s (expected %s)", got, want)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return unknownImports(unknown)
}

func importHint(kind Kind) string {
	if kind == KindMemory {
		return "let the module define and export its memory (clang: without --import-memory)"
	}
	return "link the module statically, without imported tables and globals"
}

// namedImports bounds how many names one refusal lists.
const namedImports = 20

func unknownImports(names []string) *Error {
	list := strings.Join(names[:min(len(names), namedImports)], ", ")
	if more := len(names) - namedImports; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	what := "unknown function"
	if len(names) > 1 {
		what = fmt.Sprintf("%d unknown functions", len(names))
	}
	e := refuse("imports", "%s: %s", what, list)
	switch module, _, _ := strings.Cut(names[0], "."); module {
	case "gojs", "go":
		return e.hint("build with GOOS=wasip1 GOARCH=wasm, not GOOS=js")
	case "env":
		return e.hint("a function is declared but not linked, or the module is built for a browser: build for wasm32-wasip1 or freestanding")
	case abi.ImportModule:
		return e.hint("known are " + strings.Join(HostFunctions(abi.ImportModule), ", "))
	}
	return e.hint("only functions of " + abi.ImportModule + " and of " + WASIModule + " can be imported")
}

func (m *Module) checkExports() *Error {
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, MeterModule) {
			return refuse("export "+e.Name, "names that begin with %s are Wasmill's own", MeterModule)
		}
	}
	if e, ok := m.Export(abi.ExportMemory); !ok || e.Kind != KindMemory {
		return refuse("export "+abi.ExportMemory, "missing: the host reads and writes records in it").
			hint("export the linear memory as " + strconv.Quote(abi.ExportMemory))
	}
	var missing []string
	for _, want := range contract {
		e, ok := m.Export(want.name)
		if !ok {
			if want.required {
				missing = append(missing, want.name)
			}
			continue
		}
		if e.Kind != KindFunction {
			return refuse("export "+want.name, "a %s (expected a function)", e.Kind)
		}
		if got, typ := m.Types[m.FunctionType(e.Index)], signature(want.signature); !got.Equal(typ) {
			return refuse("export "+want.name, "declared as %s (expected %s)", got, typ)
		}
	}
	if len(missing) > 0 {
		return refuse("exports", "missing: %s", strings.Join(missing, ", ")).
			hint("the linker drops what is not exported: see the build line of your SDK")
	}
	return nil
}

// CheckBudget decides whether the module stays within b.
func (m *Module) CheckBudget(b Budget) error {
	for _, l := range m.asked(b) {
		if l.n > l.max {
			return refuse(l.what, "%d (expected <= %d)", l.n, l.max)
		}
	}
	for i, t := range m.Types {
		if n := max(len(t.Params), len(t.Results)); n > b.Params {
			return refuse(fmt.Sprintf("type %d", i), "%d parameters or results (expected <= %d)", n, b.Params)
		}
	}
	imported := uint32(m.ImportedFunctions())
	for i := range m.Functions {
		f := &m.Functions[i]
		for _, l := range []asked{{"bytes", f.End - f.Start, b.BodyBytes}, {"locals", f.NumLocals, b.Locals},
			{"nested blocks", f.Nesting, b.Nesting}} {
			if l.n > l.max {
				return refuse(m.FunctionPlace(imported+uint32(i)), "%d %s (expected <= %d)", l.n, l.what, l.max).
					hint("split the function")
			}
		}
	}
	return m.checkTime(b)
}

// checkTime is for modules that are small, and would keep the compiler busy for hours.
func (m *Module) checkTime(b Budget) error {
	imported := uint32(m.ImportedFunctions())
	var sum time.Duration
	for i := range m.Functions {
		t := m.Functions[i].CompileTime()
		if t > b.FunctionTime {
			return refuse(m.FunctionPlace(imported+uint32(i)), "would take about %v to compile (expected <= %v): %d locals, %d branches",
				t.Round(time.Second), b.FunctionTime, m.Functions[i].NumLocals, m.Functions[i].Branches).hint("split the function")
		}
		if sum += t; sum > b.Time {
			return refuse("functions", "would take more than %v to compile", b.Time).hint("split the module")
		}
	}
	return nil
}

// asked is how much of one thing a module has, and may have.
type asked struct {
	what   string
	n, max int
}

func (m *Module) asked(b Budget) []asked {
	list := []asked{
		{"bytes", len(m.Bytes), b.Bytes},
		{"types", len(m.Types), b.Types},
		{"imports", len(m.Imports), b.Imports},
		{"exports", len(m.Exports), b.Exports},
		{"functions", len(m.Functions), b.Functions},
		{"globals", len(m.Globals), b.Globals},
		{"tables", len(m.Tables), b.Tables},
		{"segments", len(m.Elements) + len(m.Data), b.Segments},
		{"data bytes", m.DataBytes(), b.DataBytes},
	}
	if len(m.Memories) > 0 {
		list = append(list, asked{"memory pages", int(m.Memories[0].Min), b.MemoryPages})
	}
	elements, initial := 0, 0
	for _, t := range m.Tables {
		elements += int(t.Min)
	}
	for _, e := range m.Elements {
		initial += len(e.Funcs) + len(e.Exprs)
	}
	return append(list, asked{"table elements", elements, b.TableElements}, asked{"elements of segments", initial, b.TableElements})
}
