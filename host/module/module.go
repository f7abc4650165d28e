// Package module reads a core WebAssembly binary and judges whether Wasmill can run it: what it imports and exports,
// how much it asks for, which ABI it speaks. It knows bytes and the contract in package abi; it never runs, compiles or
// changes a module, and it knows no engine. What it accepts is structurally sound (sections, counts, indices, nesting);
// types on the operand stack are for the engine to check when it compiles.
package module

// Module is a parsed binary. It shares the bytes given to Parse.
type Module struct {
	Bytes    []byte
	Sections []Section // in the order of the binary

	Types     []FuncType
	Imports   []Import
	Functions []Function // defined here; their indices follow the imported functions
	Tables    []Table
	Memories  []Memory
	Globals   []Global
	Exports   []Export
	Start     *uint32 // index of the start function, nil when there is none
	Elements  []ElementSegment
	Data      []DataSegment
	DataCount *uint32 // what the data count section announces

	Customs  []Custom
	Manifest []byte            // custom section wasmill.manifest, nil when there is none
	Name     string            // of the module, from the name section
	Names    map[uint32]string // function names by index, from the name section
}

// Section is one section of the binary: its body is Bytes[Start:End].
type Section struct {
	ID         SectionID
	Start, End int
}

// Custom is one custom section, its name taken off.
type Custom struct {
	Name string
	Data []byte
}

// Import is one import. Which of the fields below Kind is set depends on Kind.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         uint32 // KindFunction: index of its type
	Table        Table
	Memory       Memory
	Global       GlobalType
}

// Export is one export.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// Function is one function that the module defines.
type Function struct {
	Type   uint32
	Locals []LocalRun // declared, parameters not among them
	Start  int        // offset of the body's size field's end, where the local declarations begin
	Code   int        // offset of the first instruction
	End    int        // offset past the last instruction, its end
	// NumLocals counts declared locals and parameters, Nesting the deepest block, Blocks where control may part or
	// come together, Branches the labels that branches name.
	NumLocals, Nesting, Blocks, Branches int
}

// LocalRun is N locals of one type.
type LocalRun struct {
	N    uint32
	Type ValueType
}

// Table is a table's type.
type Table struct {
	Type ValueType
	Limits
}

// Memory is a memory's type, in pages of 64 KiB.
type Memory struct {
	Limits
}

// Limits is a size's declared bounds; HasMax says whether Max was declared.
type Limits struct {
	Min, Max uint32
	HasMax   bool
}

// GlobalType is a global's type.
type GlobalType struct {
	Type    ValueType
	Mutable bool
}

// Global is one global that the module defines; its initial value is the constant expression Bytes[Init.Start:Init.End].
type Global struct {
	GlobalType
	Init Span
}

// Span is a range of the binary.
type Span struct{ Start, End int }

// ElementSegment is one element segment; Span covers it whole.
type ElementSegment struct {
	Span
	Flag  uint32    // 0 to 7, as the binary format numbers the eight forms
	Table uint32    // of an active segment
	Type  ValueType // of its elements
	// Offset is the expression of an active segment. Exprs are its elements when they are expressions (Flag 4 to 7),
	// else Funcs are.
	Offset Span
	Funcs  []uint32
	Exprs  []Span
}

// DataSegment is one data segment.
type DataSegment struct {
	Flag   uint32 // 0 active, 1 passive, 2 active with a memory index
	Offset Span   // expression of an active segment
	Init   Span   // its bytes
}

// ImportedFunctions is how many functions are imported; the indices of defined functions begin there.
func (m *Module) ImportedFunctions() int { return m.imported(KindFunction) }

func (m *Module) imported(kind Kind) int {
	n := 0
	for i := range m.Imports {
		if m.Imports[i].Kind == kind {
			n++
		}
	}
	return n
}

// FunctionType is the type index of function index, imported or defined. The index must be in range.
func (m *Module) FunctionType(index uint32) uint32 {
	n := uint32(0)
	for i := range m.Imports {
		if m.Imports[i].Kind != KindFunction {
			continue
		}
		if n == index {
			return m.Imports[i].Type
		}
		n++
	}
	return m.Functions[index-n].Type
}

// DataBytes is the size of all data segments together.
func (m *Module) DataBytes() int {
	n := 0
	for _, d := range m.Data {
		n += d.Init.End - d.Init.Start
	}
	return n
}

// Export finds the export of that name.
func (m *Module) Export(name string) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}
