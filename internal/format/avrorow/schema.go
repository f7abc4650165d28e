// Package avrorow reads Avro's binary encoding into rows, writes rows in it, and knows the object container files that hold
// them: their header, blocks and sync markers. It refuses to know where files lie and how they are divided.
package avrorow

import (
	"fmt"
	"strings"

	"github.com/twmb/avro"

	"github.com/wasmill/wasmill/abi"
)

// kind is how a value is encoded.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindLong   // int and long: zigzag varint
	kindFloat  // 4 bytes
	kindDouble // 8 bytes
	kindBytes  // bytes and string: length, bytes
	kindFixed
	kindEnum
	kindArray
	kindMap
	kindRecord
	kindUnion
)

// typ is a type of the writer's schema.
type typ struct {
	kind    kind
	name    string // as the schema has it
	logical string // "timestamp-millis", ...
	text    bool   // kindBytes: a string
	size    int    // of a fixed
	scale   int    // of a decimal
	symbols [][]byte
	items   *typ    // of an array or map
	fields  []field // of a record
	union   []*typ  // branches
	zero    bool    // takes no bytes: null, an empty record or fixed
}

type field struct {
	name string
	typ  *typ
}

// parseSchema reads a writer's schema.
func parseSchema(text string) (*typ, error) {
	s, err := avro.Parse(text, avro.WithLaxNames(nil))
	if err != nil {
		return nil, fmt.Errorf("its schema: %w", err)
	}
	c := compiler{named: map[string]*typ{}}
	return c.typ(s.Root().ExpandReferences(), "", 0)
}

// compiler makes types of nodes. Types refer to each other by name when they are recursive.
type compiler struct{ named map[string]*typ }

// maxDepth bounds types, and values of recursive ones, in each other.
const maxDepth = 1000

var kinds = map[string]kind{
	"null": kindNull, "boolean": kindBool, "int": kindLong, "long": kindLong, "float": kindFloat, "double": kindDouble,
	"bytes": kindBytes, "string": kindBytes, "fixed": kindFixed, "enum": kindEnum, "array": kindArray, "map": kindMap,
	"record": kindRecord, "error": kindRecord, "union": kindUnion,
}

func (c *compiler) typ(n *avro.SchemaNode, space string, depth int) (*typ, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("its schema: more than %d types in each other", maxDepth)
	}
	k, known := kinds[n.Type]
	if !known {
		for _, name := range []string{n.Type, space + "." + n.Type} {
			if t := c.named[name]; t != nil {
				return t, nil
			}
		}
		return nil, fmt.Errorf("its schema: no type %q", n.Type)
	}
	t := &typ{kind: k, name: n.Type, logical: n.LogicalType, text: n.Type == "string", size: n.Size, scale: n.Scale}
	for _, s := range n.Symbols {
		t.symbols = append(t.symbols, []byte(s))
	}
	if n.Name != "" && (k == kindRecord || k == kindEnum || k == kindFixed) {
		space = n.Namespace
		full := n.Name
		if space != "" && !strings.Contains(full, ".") {
			full = space + "." + full
		}
		c.named[full] = t
	}
	t.zero = k == kindNull || k == kindFixed && n.Size == 0 || k == kindRecord && len(n.Fields) == 0
	return t, c.inner(t, n, space, depth)
}

// inner compiles what a type consists of.
func (c *compiler) inner(t *typ, n *avro.SchemaNode, space string, depth int) (err error) {
	switch t.kind {
	case kindArray:
		t.items, err = c.typ(n.Items, space, depth+1)
	case kindMap:
		t.items, err = c.typ(n.Values, space, depth+1)
	case kindUnion:
		for i := range n.Branches {
			b, err := c.typ(&n.Branches[i], space, depth+1)
			if err != nil {
				return err
			}
			t.union = append(t.union, b)
		}
	case kindRecord:
		zero := true
		for i := range n.Fields {
			f, err := c.typ(&n.Fields[i].Type, space, depth+1)
			if err != nil {
				return err
			}
			t.fields = append(t.fields, field{n.Fields[i].Name, f})
			zero = zero && f.zero
		}
		t.zero = zero
	}
	return err
}

// schemaOf is the Avro schema that rows of a schema are written in. columns are the fields that are.
func schemaOf(s *abi.Schema, columns []int) (string, error) {
	p := printer{}
	if err := p.record(s, columns, "row"); err != nil {
		return "", err
	}
	return p.String(), nil
}

// printer writes a schema as JSON.
type printer struct{ strings.Builder }

func (p *printer) record(s *abi.Schema, columns []int, name string) error {
	fmt.Fprintf(p, `{"type":"record","name":%q,"fields":[`, name)
	for k, i := range columns {
		f := &s.Fields[i]
		if !isName(f.Name) {
			return fmt.Errorf("field %q: Avro has no such name (expected a letter or underscore, followed by letters, digits and underscores)", f.Name)
		}
		if k > 0 {
			p.WriteByte(',')
		}
		fmt.Fprintf(p, `{"name":%q,"type":`, f.Name)
		if err := p.field(f, name+"_"+f.Name); err != nil {
			return err
		}
		p.WriteByte('}')
	}
	p.WriteString("]}")
	return nil
}

// field writes the type of a field. name is that of a record, if it is one.
func (p *printer) field(f *abi.Field, name string) (err error) {
	if f.Nullable {
		p.WriteString(`["null",`)
		defer p.WriteByte(']')
	}
	switch f.Type {
	case abi.TypeBool:
		p.WriteString(`"boolean"`)
	case abi.TypeI64:
		p.WriteString(`"long"`)
	case abi.TypeF64:
		p.WriteString(`"double"`)
	case abi.TypeMs:
		p.WriteString(`{"type":"long","logicalType":"timestamp-millis"}`)
	case abi.TypeUTF8, abi.TypeJSON:
		p.WriteString(`"string"`)
	case abi.TypeBytes:
		p.WriteString(`"bytes"`)
	case abi.TypeDecimal:
		fmt.Fprintf(p, `{"type":"bytes","logicalType":"decimal","precision":%d,"scale":%d}`, f.Precision, f.Scale)
	case abi.TypeList:
		p.WriteString(`{"type":"array","items":`)
		err = p.field(f.Elem, name)
		p.WriteByte('}')
	case abi.TypeRow:
		all, _ := f.Row.Choose(nil)
		err = p.record(f.Row, all, name)
	}
	return err
}

func isName(s string) bool {
	for i, c := range []byte(s) {
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}
