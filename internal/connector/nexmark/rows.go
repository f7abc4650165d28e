package nexmark

import (
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/nexmark"
)

// eventType is the field of an event's row that says its kind.
const eventType = "event_type"

// everyKind stands for rows of events of every kind, a row in a row.
const everyKind nexmark.Kind = nexmark.Kinds

// rows writes events as rows of a schema: those of one kind, or all of them as
// row(event_type: i64, person: row(...)?, auction: row(...)?, bid: row(...)?), of which the schema may leave out any fields. Events
// of a kind that it leaves out are left out, unless it names none.
type rows struct {
	kind   nexmark.Kind
	schema *abi.Schema
	wanted [nexmark.Kinds]nexmark.Wanted
	typeAt int                 // index of event_type, -1: left out
	at     [nexmark.Kinds]int  // index of a kind's row, -1: left out
	kinds  [nexmark.Kinds]form // by kind
}

// form is the row of one kind of event.
type form struct {
	schema *abi.Schema
	fields []int // of the event, by field of the schema
}

// writer writes rows one at a time.
type writer struct {
	*rows
	outer, inner abi.RowWriter
	part         []byte // the inner row
}

func newWriter(r *rows) *writer {
	w := &writer{rows: r}
	if r.kind == everyKind {
		w.outer.Reset(r.schema)
	} else {
		w.inner.Reset(r.schema)
	}
	return w
}

// schemaOf is the whole schema of a kind.
func schemaOf(kind nexmark.Kind) string {
	var b strings.Builder
	b.WriteString("row(")
	if kind == everyKind {
		b.WriteString(eventType + ": i64")
		for k := range everyKind {
			fmt.Fprintf(&b, ", %v: %s?", k, schemaOf(k))
		}
		return b.String() + ")"
	}
	for i, f := range kind.Fields() {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %v", f.Name, typeOf(f.Type))
	}
	return b.String() + ")"
}

func typeOf(t nexmark.Type) abi.FieldType {
	return [...]abi.FieldType{nexmark.Number: abi.TypeI64, nexmark.Time: abi.TypeMs, nexmark.Text: abi.TypeUTF8}[t]
}

// newRows compiles the codec that is wanted. Its errors lead to the field.
func newRows(kind nexmark.Kind, codec abi.Codec) (*rows, error) {
	schema, err := abi.ParseSchema(codec)
	if err != nil {
		return nil, fmt.Errorf("%w (expected some fields of %s)", err, schemaOf(kind))
	}
	r := &rows{kind: kind, schema: schema, typeAt: -1, at: [nexmark.Kinds]int{-1, -1, -1}}
	if kind != everyKind {
		return r, r.compile(kind, schema, "")
	}
	named := false
	for i := range schema.Fields {
		f := &schema.Fields[i]
		if f.Name == eventType {
			if f.Type != abi.TypeI64 {
				return nil, fmt.Errorf("%s is a %v (expected i64)", f.Name, f.Type)
			}
			r.typeAt = i
			continue
		}
		k, ok := kindOf(f.Name)
		if !ok {
			return nil, fmt.Errorf("events have no field %q (known: event_type, person, auction, bid)", f.Name)
		}
		if f.Type != abi.TypeRow || !f.Nullable {
			return nil, fmt.Errorf("%s is a %v (expected a row that may be null, as in %s: %s?)", f.Name, f.Type, f.Name, schemaOf(k))
		}
		r.at[k], named = i, true
		if err := r.compile(k, f.Row, f.Name+"."); err != nil {
			return nil, err
		}
	}
	for k := range everyKind {
		if !named {
			r.wanted[k] = nexmark.Bare
		}
	}
	return r, nil
}

func kindOf(name string) (nexmark.Kind, bool) {
	for k := range everyKind {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// compile finds the fields of a kind's schema among those of its events.
func (r *rows) compile(kind nexmark.Kind, schema *abi.Schema, path string) error {
	form := form{schema: schema}
	for i := range schema.Fields {
		f := &schema.Fields[i]
		at := -1
		for j, known := range kind.Fields() {
			if known.Name == f.Name {
				at = j
				if t := typeOf(known.Type); t != f.Type {
					return fmt.Errorf("%s%s is a %v (expected %v)", path, f.Name, f.Type, t)
				}
			}
		}
		if at < 0 {
			return fmt.Errorf("no field %q in %v (known: %s)", path+f.Name, kind, strings.TrimSuffix(strings.TrimPrefix(schemaOf(kind), "row("), ")"))
		}
		form.fields = append(form.fields, at)
		r.wanted[kind] |= 1 << at
	}
	r.kinds[kind] = form
	return nil
}

// append writes the row of an event behind dst.
func (w *writer) append(dst []byte, e *nexmark.Event) []byte {
	if w.kind != everyKind {
		return w.appendForm(dst, e)
	}
	if w.typeAt >= 0 {
		w.outer.SetI64(w.typeAt, int64(e.Kind))
	}
	for _, i := range w.at {
		if i >= 0 {
			w.outer.SetNull(i)
		}
	}
	if i := w.at[e.Kind]; i >= 0 {
		w.inner.Reset(w.kinds[e.Kind].schema)
		w.part = w.appendForm(w.part[:0], e)
		w.outer.SetBytes(i, w.part)
	}
	return w.outer.AppendTo(dst)
}

// appendForm writes the fields of an event that its kind's schema names. All of them are set.
func (w *writer) appendForm(dst []byte, e *nexmark.Event) []byte {
	f := &w.kinds[e.Kind]
	for i, field := range f.fields {
		if f.schema.Fields[i].Type == abi.TypeUTF8 {
			w.inner.SetBytes(i, e.Texts[field])
		} else {
			w.inner.SetI64(i, e.Numbers[field])
		}
	}
	return w.inner.AppendTo(dst)
}
