package avrorow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/jsonrow"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// ErrBroken is the error of bytes that are no value of the writer's schema: where the next one begins is not known.
var ErrBroken = errors.New("not what the file's schema says")

// Fault is a value of the writer's schema that is no row.
type Fault struct {
	Path    string
	Problem string
}

func (f *Fault) Error() string {
	if f.Path == "" {
		return f.Problem
	}
	return f.Path + ": " + f.Problem
}

// place is a field, or an element of a list.
type place struct {
	name  string
	index int
}

// maxScratch bounds the nested rows and lists of one row while it is made.
const maxScratch = 16 * abi.MaxRecordBytes

// Decoder makes rows of values. One goroutine at a time.
type Decoder struct {
	schema  *abi.Schema
	root    *plan
	p       []byte
	i       int
	broken  bool
	fault   *Fault
	path    []place
	scratch []byte
	json    jsonrow.Decoder
}

// NewDecoder returns a decoder of the rows of a schema from values of a writer's. Fields are found by name; those that the writer
// has not are null, if they may be.
func NewDecoder(s *abi.Schema, writer string) (*Decoder, error) {
	t, err := parseSchema(writer)
	if err != nil {
		return nil, err
	}
	p, err := newPlan(t, &abi.Field{Type: abi.TypeRow, Row: s})
	if err != nil {
		return nil, err
	}
	return &Decoder{schema: s, root: p}, nil
}

// Decode appends to dst the row of the value at the beginning of p, and says how many bytes that has. The error is a *Fault when
// the value is no row, or ErrBroken.
func (d *Decoder) Decode(dst, p []byte) (row []byte, n int, err error) {
	d.p, d.i, d.broken, d.fault, d.scratch, d.path = p, 0, false, nil, d.scratch[:0], d.path[:0]
	c := d.value(d.root)
	switch {
	case d.broken:
		return dst, 0, ErrBroken
	case d.fault != nil:
		return dst, d.i, d.fault
	case len(c.part) > abi.MaxRecordBytes:
		return dst, d.i, &Fault{Problem: fmt.Sprintf("a row of %d bytes (expected <= %d)", len(c.part), abi.MaxRecordBytes)}
	}
	return append(dst, c.part...), d.i, nil
}

// misfit notes the first thing that keeps the value from being a row.
func (d *Decoder) misfit(format string, args ...any) cell {
	if d.fault == nil {
		f := &Fault{Problem: fmt.Sprintf(format, args...)}
		for _, at := range d.path {
			switch {
			case at.name == "":
				f.Path += fmt.Sprintf("[%d]", at.index)
			case f.Path != "":
				f.Path += "." + at.name
			default:
				f.Path = at.name
			}
		}
		d.fault = f
	}
	return cell{}
}

// value reads a value.
func (d *Decoder) value(p *plan) cell {
	if p.some >= 0 {
		switch branch := d.long(); {
		case branch == int64(p.null):
			if !p.to.Nullable {
				return d.misfit("null (expected a value)")
			}
			return cell{null: true}
		case branch != int64(p.some):
			d.broken = true
			return cell{}
		}
	}
	switch p.from.kind {
	case kindBool:
		b := d.take(1)
		if len(b) == 1 && b[0] > 1 {
			d.broken = true
		}
		if len(b) == 1 && b[0] == 1 {
			return cell{bits: 1}
		}
		return cell{}
	case kindLong:
		return d.number(p, d.long())
	case kindFloat:
		if b := d.take(4); b != nil {
			return cell{bits: math.Float64bits(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))}
		}
		return cell{}
	case kindDouble:
		if b := d.take(8); b != nil {
			return cell{bits: binary.LittleEndian.Uint64(b)}
		}
		return cell{}
	case kindEnum:
		n := d.long()
		if n < 0 || n >= int64(len(p.from.symbols)) {
			d.broken = true
			return cell{}
		}
		return cell{part: []byte(p.from.symbols[n])}
	case kindArray:
		return d.array(p)
	case kindRecord:
		return d.record(p)
	}
	return d.bytes(p)
}

// number is a whole number as one of the field's type.
func (d *Decoder) number(p *plan, n int64) cell {
	switch p.to.Type {
	case abi.TypeF64:
		return cell{bits: math.Float64bits(float64(n))}
	case abi.TypeMs:
		return cell{bits: uint64(milliseconds(n, p.from.logical))}
	case abi.TypeDecimal:
		return d.decimal(p.to, scalar.DecimalOf(n>>63, uint64(n)), 0)
	}
	return cell{bits: uint64(n)}
}

// milliseconds of a time in the unit of a logical type.
func milliseconds(n int64, logical string) int64 {
	per := int64(1)
	switch logical {
	case "date":
		return n * 24 * 60 * 60 * 1000
	case "timestamp-micros", "local-timestamp-micros":
		per = 1e3
	case "timestamp-nanos", "local-timestamp-nanos":
		per = 1e6
	}
	if n%per < 0 {
		return n/per - 1
	}
	return n / per
}

// bytes reads bytes, a string or a fixed.
func (d *Decoder) bytes(p *plan) cell {
	size := int64(p.from.size)
	if p.from.kind == kindBytes {
		size = d.long()
	}
	b := d.take(size)
	switch {
	case d.broken:
		return cell{}
	case p.to.Type == abi.TypeDecimal:
		v, ok := scalar.DecimalOfBytes(b)
		if !ok {
			return d.misfit("a decimal of %d bytes", len(b))
		}
		return d.decimal(p.to, v, p.from.scale)
	case p.to.Type == abi.TypeUTF8 && !utf8.Valid(b):
		return d.misfit("not UTF-8")
	case p.to.Type == abi.TypeJSON:
		if err := d.json.Valid(b); err != nil {
			return d.misfit("not JSON: %v", err)
		}
	}
	return cell{part: b}
}

func (d *Decoder) decimal(f *abi.Field, v scalar.Decimal, scale int) cell {
	v, ok := v.Rescale(f.Scale - scale)
	if !ok || !v.Fits(f.Precision) {
		return d.misfit("does not fit a number of %d digits, %d of them behind the point", f.Precision, f.Scale)
	}
	from := len(d.scratch)
	hi, lo := v.Halves()
	d.scratch = abi.AppendDecimal(d.scratch, hi, lo)
	return cell{part: d.scratch[from:]}
}

// record reads a row.
func (d *Decoder) record(p *plan) cell {
	p.row.Reset(p.to.Row)
	for k := range p.from.fields {
		if d.broken {
			return cell{}
		}
		if p.cols[k] == nil {
			d.skip(p.from.fields[k].typ, 0)
			continue
		}
		d.path = append(d.path, place{name: p.from.fields[k].name})
		c := d.value(p.cols[k])
		d.path = d.path[:len(d.path)-1]
		switch i := p.at[k]; {
		case c.null:
			p.row.SetNull(i)
		case p.cols[k].to.Type.Variable():
			p.row.SetBytes(i, c.part)
		default:
			p.row.SetI64(i, int64(c.bits))
		}
	}
	if d.broken || d.fault != nil {
		return cell{}
	}
	return d.keep(p.row.AppendTo)
}

// array reads a list.
func (d *Decoder) array(p *plan) cell {
	p.list.cells = p.list.cells[:0]
	n := 0
	d.blocks(p.from.items, func() {
		d.path = append(d.path, place{index: n})
		c := d.value(p.elem)
		d.path = d.path[:len(d.path)-1]
		if n++; 8*n > abi.MaxRecordBytes {
			d.misfit("a list of more than %d elements", abi.MaxRecordBytes/8)
			return
		}
		p.list.cells = append(p.list.cells, c)
	})
	if d.broken || d.fault != nil {
		return cell{}
	}
	w := &p.list.writer
	w.Reset(len(p.list.cells))
	for i, c := range p.list.cells {
		switch {
		case c.null:
			w.SetNull(i)
		case p.elem.to.Type.Variable():
			w.SetBytes(i, c.part)
		default:
			w.SetI64(i, int64(c.bits))
		}
	}
	return d.keep(w.AppendTo)
}

// keep writes a row or list to scratch. What parts of it were made before stays where it was, if scratch moves.
func (d *Decoder) keep(appendTo func([]byte) []byte) cell {
	from := len(d.scratch)
	if from > maxScratch {
		return d.misfit("larger than a record may be")
	}
	d.scratch = appendTo(d.scratch)
	return cell{part: d.scratch[from:]}
}
