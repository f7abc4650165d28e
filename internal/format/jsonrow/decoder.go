// Package jsonrow reads lines of JSON into rows and writes rows as JSON. It knows schemas and bytes, and nothing about
// files. The decoder takes the fields that the schema names and passes over the others, checking their syntax.
package jsonrow

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// Bounds of what a line may hold.
const (
	maxDepth     = 10_000                  // objects and lists in each other
	maxScratch   = 16 * abi.MaxRecordBytes // bytes of nested rows while one is made
	keptScratch  = 4 << 20                 // stay from one line to the next
	maxSteps     = abi.MaxFields           // remembered of the order of keys
	maxStepBytes = 2 * abi.MaxFieldName
)

// Fault says where a line is not what the schema asks for.
type Fault struct {
	At      int    // byte of the line
	Path    string // "bid.price", empty when it is about the line itself
	Problem string
}

func (f *Fault) Error() string {
	if f.Path == "" {
		return f.Problem
	}
	return f.Path + ": " + f.Problem
}

// Decoder makes rows of lines. It allocates nothing for a line that is right once it has seen some. One goroutine at a
// time.
//
// Keys come in the same order in nearly all lines, with the same spaces between. So each object remembers what stood
// between its values in the last line; where that stands again, neither syntax nor names need to be looked at.
type Decoder struct {
	root    node
	high    uint64 // all words of strings so far, or-ed: tells whether any byte is outside ASCII
	scratch []byte // nested rows, lists and what escapes stand for
	times   scalar.Times
	fault   *Fault
}

// NewDecoder returns a decoder of the rows of a schema.
func NewDecoder(s *abi.Schema) *Decoder {
	d := &Decoder{}
	d.root.typ = abi.TypeRow
	d.root.compile(s)
	return d
}

// node is a field, the element of a list, or the whole.
type node struct {
	name             string
	typ              abi.FieldType
	nullable         bool
	precision, scale int
	elem             *node // of a list, whose elements are in cells
	fields           []node
	index            map[string]int
	steps            []step
	cells            cells
}

// step is what stood between two values: `,"price":`.
type step struct {
	text  []byte
	field int // which value follows; -1: none that is wanted
}

func (n *node) compile(s *abi.Schema) {
	n.fields = make([]node, len(s.Fields))
	n.index = make(map[string]int, len(s.Fields))
	n.cells.resize(len(s.Fields))
	for i := range s.Fields {
		n.index[s.Fields[i].Name] = i
		n.fields[i].set(&s.Fields[i])
	}
}

func (n *node) set(f *abi.Field) {
	n.name, n.typ, n.nullable, n.precision, n.scale = f.Name, f.Type, f.Nullable, f.Precision, f.Scale
	if f.Elem != nil {
		n.elem = &node{}
		n.elem.set(f.Elem)
	}
	if f.Row != nil {
		n.compile(f.Row)
	}
}

// Decode appends to dst the row of the JSON object in line. Of keys that stand twice the last one counts; a field that may
// not be null must be there. The error is a *Fault; dst is returned as it was then.
func (d *Decoder) Decode(dst, line []byte) ([]byte, error) {
	if cap(d.scratch) > keptScratch {
		d.scratch = nil
	}
	d.scratch, d.high, d.fault = d.scratch[:0], 0, nil
	i := space(line, 0)
	if i == len(line) || line[i] != '{' {
		d.unexpected(line, i, "an object")
	} else if i = d.object(line, i, &d.root); i >= 0 {
		if i = space(line, i); i < len(line) {
			d.unexpected(line, i, "the end")
		}
	}
	if d.fault == nil && d.high&highBits != 0 && !utf8.Valid(line) {
		d.fail(invalidAt(line), "not UTF-8")
	}
	if d.fault != nil {
		return dst, d.fault
	}
	size := d.root.cells.size(0)
	if size > abi.MaxRecordBytes {
		return dst, &Fault{Problem: fmt.Sprintf("a row of %d bytes (expected <= %d)", size, abi.MaxRecordBytes)}
	}
	dst, row := grow(dst, size)
	d.root.cells.fill(row, 0, line, d.scratch)
	return dst, nil
}

// object reads the object whose brace is line[i] into n.cells, and returns where it ends; -1: there is a fault.
func (d *Decoder) object(p []byte, i int, n *node) int {
	c := &n.cells
	clear(c.kinds)
	for k := 0; ; k++ {
		field := -1
		if k < len(n.steps) && follows(p, i, n.steps[k].text) {
			field = n.steps[k].field
			i += len(n.steps[k].text)
		} else {
			var end bool
			if i, field, end = d.key(p, i, n, k); end || i < 0 {
				break
			}
		}
		if field < 0 {
			i = d.skip(p, i, 0)
		} else if i, c.kinds[field], c.slots[field] = d.value(p, i, &n.fields[field]); i < 0 {
			d.under(n.fields[field].name)
		}
		if i < 0 {
			break
		}
	}
	if i < 0 {
		return i
	}
	for f, kind := range c.kinds {
		if kind != cellUnset {
			continue
		}
		if !n.fields[f].nullable {
			d.fail(i-1, "missing (expected "+n.fields[f].expects()+")")
			d.under(n.fields[f].name)
			return -1
		}
		c.kinds[f] = cellNull
	}
	return i
}

func follows(p []byte, i int, text []byte) bool {
	return len(p)-i >= len(text) && string(p[i:i+len(text)]) == string(text)
}

// key reads what stands between the values k-1 and k of an object, and remembers it. p[i] is the brace that opens the
// object if k is 0. At the end of the object, i is behind its brace.
func (d *Decoder) key(p []byte, i int, n *node, k int) (at, field int, end bool) {
	from := i
	if k == 0 {
		i++
	}
	i = space(p, i)
	if i < len(p) && p[i] == '}' {
		return i + 1, -1, true
	}
	if k > 0 {
		if i == len(p) || p[i] != ',' {
			return d.unexpected(p, i, ", or }"), -1, false
		}
		i = space(p, i+1)
	}
	if i == len(p) || p[i] != '"' {
		return d.unexpected(p, i, "a key"), -1, false
	}
	begin := i + 1
	closing, escaped := d.quote(p, begin)
	if closing < 0 {
		return -1, -1, false
	}
	name := p[begin:closing]
	if escaped {
		name = d.unescape(name)
	}
	field, known := n.index[string(name)]
	if !known {
		field = -1
	}
	if i = space(p, closing+1); i == len(p) || p[i] != ':' {
		return d.unexpected(p, i, ":"), -1, false
	}
	i = space(p, i+1)
	n.remember(k, p[from:i], field)
	return i, field, false
}

// remember notes what stood before the next value k. It is not looked at again, so it must be right by itself.
func (n *node) remember(k int, text []byte, field int) {
	if k > len(n.steps) || k >= maxSteps || len(text) > maxStepBytes || !utf8.Valid(text) {
		return
	}
	if k == len(n.steps) {
		n.steps = append(n.steps, step{})
	}
	n.steps[k].text, n.steps[k].field = append(n.steps[k].text[:0], text...), field
}

// list reads the list whose bracket is p[i].
func (d *Decoder) list(p []byte, i int, n *node) int {
	c := &n.cells
	c.resize(0)
	i = space(p, i+1)
	if i < len(p) && p[i] == ']' {
		return i + 1
	}
	for {
		next, kind, slot := d.value(p, i, n.elem)
		if next < 0 {
			d.under(fmt.Sprintf("[%d]", len(c.kinds)))
			return -1
		}
		c.kinds, c.slots = append(c.kinds, kind), append(c.slots, slot)
		i = space(p, next)
		switch {
		case i < len(p) && p[i] == ',':
			i++
		case i < len(p) && p[i] == ']':
			return i + 1
		default:
			return d.unexpected(p, i, ", or ]")
		}
	}
}

// fail notes a fault, and returns -1.
func (d *Decoder) fail(at int, problem string) int {
	d.fault = &Fault{At: at, Problem: problem}
	return -1
}

// unexpected is the fault of what stands at p[i].
func (d *Decoder) unexpected(p []byte, i int, expected string) int {
	return d.fail(i, found(p, i)+" (expected "+expected+")")
}

// found shows what stands at p[i].
func found(p []byte, i int) string {
	const shown = 24
	if i >= len(p) {
		return "the end of the line"
	}
	rest := p[i:]
	if len(rest) > shown {
		return fmt.Sprintf("%q...", rest[:shown])
	}
	return fmt.Sprintf("%q", rest)
}

// under puts the name of a field, or of an element, before the path of the fault.
func (d *Decoder) under(name string) {
	switch f := d.fault; {
	case f.Path == "" || strings.HasPrefix(f.Path, "["):
		f.Path = name + f.Path
	default:
		f.Path = name + "." + f.Path
	}
}

func invalidAt(p []byte) int {
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(p)
}
