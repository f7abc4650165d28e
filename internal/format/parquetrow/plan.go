// Package parquetrow reads the rows of Parquet files, a row group at a time, and writes them. It refuses to know where files lie
// and how they are divided.
package parquetrow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/cell"
)

// plan is how a node of a file's schema becomes a field of a row. A column has one value a row, or one an element of the lists
// that it is in: with a repetition level, which of these lists goes on, and a definition level, how much of its path is there.
type plan struct {
	to       *abi.Field
	def      int // from this definition level on, the value is there
	from, up int // its columns among those of the compiler
	scalar   scalarKind
	scale    int // of a decimal

	elem    *plan // of a list
	elemRep int   // the repetition level of another element
	elemDef int   // from this definition level on, there is one

	cols []*plan // of a row
	at   []int   // where those go in it

	row   abi.RowWriter
	list  abi.ListWriter
	cells []cell.Cell // of a list while it is read
}

// scalarKind is what the values of a column are.
type scalarKind uint8

const (
	scalarNone scalarKind = iota
	scalarBool
	scalarInt
	scalarUint
	scalarFloat
	scalarMillis
	scalarMicros
	scalarNanos
	scalarDate
	scalarInt96 // nanoseconds and a Julian day, as Hive and Spark once wrote
	scalarText
	scalarBytes
	scalarDecimal
)

// compiler makes plans, and collects the columns that they need.
type compiler struct{ columns []int }

func (c *compiler) plan(n *parquet.Column, f *abi.Field) (*plan, error) {
	p := &plan{to: f, def: n.MaxDefinitionLevel(), from: len(c.columns)}
	var err error
	switch {
	case f.Type == abi.TypeList:
		err = c.list(p, n)
	case n.Repeated():
		err = fmt.Errorf("the file has a list (expected what makes %s)", f.Type)
	default:
		err = c.inner(p, n)
	}
	p.up = len(c.columns)
	return p, err
}

// inner plans what is no list.
func (c *compiler) inner(p *plan, n *parquet.Column) error {
	if !n.Leaf() {
		if p.to.Type != abi.TypeRow || isList(n) || logical(n) == "MAP" {
			return fmt.Errorf("the file has %s (expected what makes %s)", describe(n), p.to.Type)
		}
		return c.fields(p, n)
	}
	p.scalar, p.scale = scalarOf(n)
	if !p.scalar.makes(p.to.Type) {
		return fmt.Errorf("the file has %s (expected what makes %s)", describe(n), p.to.Type)
	}
	c.columns = append(c.columns, n.Index())
	return nil
}

// fields finds those of a row.
func (c *compiler) fields(p *plan, n *parquet.Column) error {
	var names []string
	s := p.to.Row
	found := make([]bool, len(s.Fields))
	for _, child := range n.Columns() {
		names = append(names, child.Name())
		i := s.Index(child.Name())
		if i < 0 || found[i] {
			continue
		}
		made, err := c.plan(child, &s.Fields[i])
		if err != nil {
			return fmt.Errorf("field %q: %w", child.Name(), err)
		}
		p.cols, p.at, found[i] = append(p.cols, made), append(p.at, i), true
	}
	for i := range s.Fields {
		if !found[i] && !s.Fields[i].Nullable {
			return fmt.Errorf("no field %q (the file has %s)", s.Fields[i].Name, strings.Join(names, ", "))
		}
	}
	if !slices.Contains(found, true) {
		return fmt.Errorf("none of the fields is in the file (it has %s)", strings.Join(names, ", "))
	}
	return nil
}

// list plans a list: a group with a repeated field, which has the elements, or is them; or a repeated field alone.
func (c *compiler) list(p *plan, n *parquet.Column) error {
	repeated := n
	if !n.Repeated() {
		children := n.Columns()
		if n.Leaf() || len(children) != 1 || !children[0].Repeated() || logical(n) == "MAP" {
			return fmt.Errorf("the file has %s (expected what makes a list)", describe(n))
		}
		repeated = children[0]
	} else {
		p.def = n.MaxDefinitionLevel() - 1 // it is never null
	}
	p.elemRep, p.elemDef = repeated.MaxRepetitionLevel(), repeated.MaxDefinitionLevel()
	inside := repeated.Columns()
	var err error
	if !repeated.Leaf() && len(inside) == 1 && repeated != n && repeated.Name() != "array" && repeated.Name() != n.Name()+"_tuple" {
		p.elem, err = c.plan(inside[0], p.to.Elem)
	} else {
		p.elem = &plan{to: p.to.Elem, def: repeated.MaxDefinitionLevel(), from: len(c.columns)}
		if p.to.Elem.Type == abi.TypeList {
			return fmt.Errorf("elements: the file has %s (expected what makes a list)", describe(repeated))
		}
		err = c.inner(p.elem, repeated)
		p.elem.up = len(c.columns)
	}
	if err != nil {
		return fmt.Errorf("elements: %w", err)
	}
	return nil
}

func isList(n *parquet.Column) bool { return logical(n) == "LIST" }

// logical is the name of a node's logical type, empty without one.
func logical(n *parquet.Column) string {
	if t := n.Type(); t != nil {
		if l := t.LogicalType(); l != nil && l.Value != nil {
			name, _, _ := strings.Cut(l.String(), "(")
			return name
		}
	}
	return ""
}

// describe is a node's type for people.
func describe(n *parquet.Column) string {
	if !n.Leaf() {
		if l := logical(n); l != "" {
			return "a " + strings.ToLower(l)
		}
		return "a group"
	}
	if l := n.Type().LogicalType(); l != nil && l.Value != nil {
		return l.String()
	}
	return n.Type().Kind().String()
}

// scalarOf is what a column's values are; scalarNone: nothing that rows have.
func scalarOf(n *parquet.Column) (kind scalarKind, scale int) {
	var annotation any
	if l := n.Type().LogicalType(); l != nil {
		annotation = l.Value
	}
	switch t := annotation.(type) {
	case *format.DecimalType:
		return scalarDecimal, int(t.Scale)
	case *format.DateType:
		return scalarDate, 0
	case *format.TimestampType:
		switch t.Unit.Value.(type) {
		case *format.MilliSeconds:
			return scalarMillis, 0
		case *format.MicroSeconds:
			return scalarMicros, 0
		case *format.NanoSeconds:
			return scalarNanos, 0
		}
		return scalarNone, 0
	case *format.IntType:
		if !t.IsSigned {
			return scalarUint, 0
		}
	case *format.StringType, *format.EnumType, *format.JsonType:
		return scalarText, 0
	case *format.TimeType:
		return scalarNone, 0
	}
	switch n.Type().Kind() {
	case parquet.Boolean:
		return scalarBool, 0
	case parquet.Int32, parquet.Int64:
		return scalarInt, 0
	case parquet.Int96:
		return scalarInt96, 0
	case parquet.Float, parquet.Double:
		return scalarFloat, 0
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return scalarBytes, 0
	}
	return scalarNone, 0
}

// makes says whether such values can become a field of the type. Text without an annotation is bytes to a file.
func (k scalarKind) makes(t abi.FieldType) bool {
	switch t {
	case abi.TypeBool:
		return k == scalarBool
	case abi.TypeI64:
		return k == scalarInt || k == scalarUint
	case abi.TypeF64:
		return k == scalarFloat || k == scalarInt || k == scalarUint
	case abi.TypeMs:
		return k >= scalarMillis && k <= scalarInt96 || k == scalarInt
	case abi.TypeUTF8, abi.TypeJSON:
		return k == scalarText || k == scalarBytes
	case abi.TypeBytes:
		return k == scalarText || k == scalarBytes
	case abi.TypeDecimal:
		return k == scalarDecimal || k == scalarInt || k == scalarUint
	}
	return false
}
