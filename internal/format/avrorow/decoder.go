package avrorow

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/cell"
)

// ErrBroken is the error of bytes that are no value of the writer's schema: where the next one begins is not known.
var ErrBroken = errors.New("not what the file's schema says")

// Decoder makes rows of values. One goroutine at a time.
type Decoder struct {
	root   *plan
	p      []byte
	i      int
	broken bool
	make   cell.Maker
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
	return &Decoder{root: p}, nil
}

// Decode appends to dst the row of the value at the beginning of p, and says how many bytes that has. fault is why the value is no
// row, if it is none; the error is ErrBroken.
func (d *Decoder) Decode(dst, p []byte) (row []byte, n int, fault *cell.Fault, err error) {
	d.p, d.i, d.broken = p, 0, false
	d.make.Reset()
	c := d.value(d.root)
	if d.broken {
		return dst, 0, nil, ErrBroken
	}
	row, fault = d.make.Finish(dst, c)
	return row, d.i, fault, nil
}

// value reads a value.
func (d *Decoder) value(p *plan) cell.Cell {
	if p.some >= 0 {
		switch branch := d.long(); {
		case branch == int64(p.null):
			return d.make.Null(p.to)
		case branch != int64(p.some):
			d.broken = true
			return cell.Cell{}
		}
	}
	switch p.from.kind {
	case kindBool:
		b := d.take(1)
		if len(b) == 1 && b[0] > 1 {
			d.broken = true
		}
		if len(b) == 1 && b[0] == 1 {
			return cell.Cell{Bits: 1}
		}
		return cell.Cell{}
	case kindLong:
		n := d.long()
		if p.to.Type == abi.TypeMs {
			n = milliseconds(n, p.from.logical)
		}
		return d.make.Whole(p.to, n)
	case kindFloat:
		if b := d.take(4); b != nil {
			return cell.Cell{Bits: math.Float64bits(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))}
		}
		return cell.Cell{}
	case kindDouble:
		if b := d.take(8); b != nil {
			return cell.Cell{Bits: binary.LittleEndian.Uint64(b)}
		}
		return cell.Cell{}
	case kindEnum:
		n := d.long()
		if n < 0 || n >= int64(len(p.from.symbols)) {
			d.broken = true
			return cell.Cell{}
		}
		return cell.Cell{Part: p.from.symbols[n]}
	case kindArray:
		return d.array(p)
	case kindRecord:
		return d.record(p)
	}
	return d.bytes(p)
}

// milliseconds of a time in the unit of a logical type.
func milliseconds(n int64, logical string) int64 {
	switch logical {
	case "date":
		return n * cell.DayMillis
	case "timestamp-micros", "local-timestamp-micros":
		return cell.Milliseconds(n, 1e3)
	case "timestamp-nanos", "local-timestamp-nanos":
		return cell.Milliseconds(n, 1e6)
	}
	return n
}

// bytes reads bytes, a string or a fixed.
func (d *Decoder) bytes(p *plan) cell.Cell {
	size := int64(p.from.size)
	if p.from.kind == kindBytes {
		size = d.long()
	}
	switch b := d.take(size); {
	case d.broken:
		return cell.Cell{}
	case p.to.Type == abi.TypeDecimal:
		return d.make.DecimalBytes(p.to, b, p.from.scale)
	default:
		return d.make.Bytes(p.to, b)
	}
}

// record reads a row.
func (d *Decoder) record(p *plan) cell.Cell {
	p.row.Reset(p.to.Row)
	for k := range p.from.fields {
		if d.broken {
			return cell.Cell{}
		}
		if p.cols[k] == nil {
			d.skip(p.from.fields[k].typ, 0)
			continue
		}
		d.make.Enter(p.from.fields[k].name)
		cell.Set(&p.row, p.at[k], p.cols[k].to, d.value(p.cols[k]))
		d.make.Leave()
	}
	if d.broken {
		return cell.Cell{}
	}
	return d.make.Row(&p.row)
}

// array reads a list.
func (d *Decoder) array(p *plan) cell.Cell {
	p.cells = p.cells[:0]
	n := 0
	d.blocks(p.from.items, func() {
		d.make.EnterElement(n)
		c := d.value(p.elem)
		d.make.Leave()
		if n++; n > cell.MaxElements {
			d.make.Misfit("a list of more than %d elements", cell.MaxElements)
			return
		}
		p.cells = append(p.cells, c)
	})
	if d.broken {
		return cell.Cell{}
	}
	return d.make.List(&p.list, p.cells, p.elem.to)
}
