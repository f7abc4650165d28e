package module

import (
	"slices"
	"strconv"
	"strings"
)

// ValueType is a value type as its byte in the binary.
type ValueType byte

const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "0x" + strconv.FormatUint(uint64(t), 16)
}

func (t ValueType) known() bool { return t >= V128 && t <= I32 || t.Reference() }

// Reference says whether t is a reference type.
func (t ValueType) Reference() bool { return t == FuncRef || t == ExternRef }

// FuncType is a function's parameters and results.
type FuncType struct {
	Params, Results []ValueType
}

// Equal says whether two types are the same.
func (t FuncType) Equal(o FuncType) bool {
	return slices.Equal(t.Params, o.Params) && slices.Equal(t.Results, o.Results)
}

// String is the type as "(i32, i32) -> i32".
func (t FuncType) String() string {
	var b strings.Builder
	list := func(ts []ValueType) {
		for i, v := range ts {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(v.String())
		}
	}
	b.WriteByte('(')
	list(t.Params)
	b.WriteByte(')')
	switch len(t.Results) {
	case 0:
	case 1:
		b.WriteString(" -> ")
		list(t.Results)
	default:
		b.WriteString(" -> (")
		list(t.Results)
		b.WriteByte(')')
	}
	return b.String()
}

// Kind is what an import or export is, as its byte in the binary.
type Kind byte

const (
	KindFunction Kind = 0
	KindTable    Kind = 1
	KindMemory   Kind = 2
	KindGlobal   Kind = 3
)

func (k Kind) String() string {
	switch k {
	case KindFunction:
		return "function"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	}
	return "0x" + strconv.FormatUint(uint64(k), 16)
}

// SectionID is a section's number.
type SectionID byte

const (
	SectionCustom    SectionID = 0
	SectionType      SectionID = 1
	SectionImport    SectionID = 2
	SectionFunction  SectionID = 3
	SectionTable     SectionID = 4
	SectionMemory    SectionID = 5
	SectionGlobal    SectionID = 6
	SectionExport    SectionID = 7
	SectionStart     SectionID = 8
	SectionElement   SectionID = 9
	SectionCode      SectionID = 10
	SectionData      SectionID = 11
	SectionDataCount SectionID = 12
)

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start",
	"element", "code", "data", "data count"}

func (id SectionID) String() string {
	if int(id) < len(sectionNames) {
		return sectionNames[id]
	}
	return "0x" + strconv.FormatUint(uint64(id), 16)
}

// order is where a section stands in a binary: the data count section comes before the code section.
func (id SectionID) order() int {
	switch {
	case id == SectionDataCount:
		return 2*int(SectionElement) + 1
	default:
		return 2 * int(id)
	}
}
