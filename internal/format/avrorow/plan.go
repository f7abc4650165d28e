package avrorow

import (
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/cell"
)

// plan is how a value of the writer's schema becomes a field of a row.
type plan struct {
	from *typ
	to   *abi.Field
	null int     // of a union, the branch that is null; -1: none
	some int     // the branch that is not; -1: from is no union
	elem *plan   // of a list
	cols []*plan // of a record, by the fields of from; nil: not wanted
	at   []int   // where those go in the row

	row   abi.RowWriter
	list  abi.ListWriter
	cells []cell.Cell // of a list while it is read
}

// newPlan says how values of t become f, or why they cannot.
func newPlan(t *typ, f *abi.Field) (*plan, error) {
	p := &plan{from: t, to: f, null: -1, some: -1}
	if t.kind == kindUnion {
		for i, b := range t.union {
			switch {
			case b.kind == kindNull:
				p.null = i
			case p.some >= 0:
				return nil, fmt.Errorf("the file has a union of %d types (expected one, and null)", len(t.union))
			default:
				p.some = i
			}
		}
		if p.some < 0 {
			return nil, fmt.Errorf("the file has null (expected %s)", f.Type)
		}
		p.from = t.union[p.some]
	}
	return p, p.fit()
}

// fit compiles what is inside, and checks that the types go together.
func (p *plan) fit() (err error) {
	t, f := p.from, p.to
	long, plain := t.kind == kindLong, t.logical == ""
	ok := false
	switch f.Type {
	case abi.TypeBool:
		ok = t.kind == kindBool
	case abi.TypeI64:
		ok = long
	case abi.TypeF64:
		ok = long && plain || t.kind == kindFloat || t.kind == kindDouble
	case abi.TypeMs:
		ok = long && (plain || t.logical == "date" || strings.Contains(t.logical, "timestamp-"))
	case abi.TypeUTF8:
		ok = t.kind == kindBytes && t.text || t.kind == kindEnum
	case abi.TypeJSON:
		ok = t.kind == kindBytes && t.text
	case abi.TypeBytes:
		ok = t.kind == kindBytes || t.kind == kindFixed
	case abi.TypeDecimal:
		ok = long && plain || (t.kind == kindBytes || t.kind == kindFixed) && t.logical == "decimal"
	case abi.TypeList:
		if ok = t.kind == kindArray; ok {
			if p.elem, err = newPlan(t.items, f.Elem); err != nil {
				return fmt.Errorf("elements: %w", err)
			}
		}
	case abi.TypeRow:
		if ok = t.kind == kindRecord; ok {
			err = p.columns(f.Row)
		}
	}
	if !ok {
		return fmt.Errorf("the file has %s (expected what makes %s)", t.describe(), f.Type)
	}
	return err
}

func (t *typ) describe() string {
	if t.logical != "" {
		return t.name + " " + t.logical
	}
	return t.name
}

// columns finds the fields of a row in the record.
func (p *plan) columns(s *abi.Schema) error {
	p.cols, p.at = make([]*plan, len(p.from.fields)), make([]int, len(p.from.fields))
	found := make([]bool, len(s.Fields))
	for k, f := range p.from.fields {
		i := s.Index(f.name)
		if i < 0 {
			continue
		}
		made, err := newPlan(f.typ, &s.Fields[i])
		if err != nil {
			return fmt.Errorf("field %q: %w", f.name, err)
		}
		p.cols[k], p.at[k], found[i] = made, i, true
	}
	for i := range s.Fields {
		if !found[i] && !s.Fields[i].Nullable {
			return fmt.Errorf("no field %q (the file has %s)", s.Fields[i].Name, names(p.from.fields))
		}
	}
	return nil
}

func names(fields []field) string {
	var all []string
	for _, f := range fields {
		all = append(all, f.name)
	}
	return strings.Join(all, ", ")
}
