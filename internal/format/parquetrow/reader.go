package parquetrow

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/cell"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// File is an open one.
type File struct{ file *parquet.File }

// Open reads the footer of a file of that size.
func Open(from io.ReaderAt, size int64) (f *File, err error) {
	defer rescue(&err)
	opened, err := parquet.OpenFile(from, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("no Parquet file: %w", err)
	}
	return &File{opened}, nil
}

// rescue makes an error of a panic: the library has one for some of what can be wrong with a file.
func rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("no Parquet file: %v", r)
	}
}

// Groups is how many row groups there are.
func (f *File) Groups() int { return len(f.file.RowGroups()) }

// GroupBytes is the compressed size of a row group.
func (f *File) GroupBytes(i int) (n int64) {
	for _, c := range f.file.Metadata().RowGroups[i].Columns {
		n += c.MetaData.TotalCompressedSize
	}
	return n
}

// Check says whether the rows of the file make those of a schema.
func (f *File) Check(s *abi.Schema) (err error) {
	defer rescue(&err)
	_, err = new(compiler).plan(f.file.Root(), &abi.Field{Type: abi.TypeRow, Row: s})
	return err
}

// Reader reads the rows of one row group. One goroutine at a time.
type Reader struct {
	root    *plan
	rows    parquet.RowReadSeekCloser
	batch   []parquet.Row
	have    int               // rows in batch
	next    int               // of them
	columns [][]parquet.Value // of the row at hand, by the plan's columns: what is not consumed
	broken  bool
	make    cell.Maker
}

// batchRows is how many rows are taken from the library at a time.
const batchRows = 64

// Read returns a reader of a row group's rows from one on.
func (f *File) Read(s *abi.Schema, group int, from int64) (r *Reader, err error) {
	defer rescue(&err)
	var c compiler
	root, err := c.plan(f.file.Root(), &abi.Field{Type: abi.TypeRow, Row: s})
	if err != nil {
		return nil, err
	}
	all := f.file.RowGroups()[group].ColumnChunks()
	var chunks []parquet.ColumnChunk
	for _, i := range c.columns {
		chunks = append(chunks, all[i])
	}
	r = &Reader{root: root, rows: parquet.NewColumnChunkRowReader(chunks), batch: make([]parquet.Row, batchRows), columns: make([][]parquet.Value, len(chunks))}
	if err := r.rows.SeekToRow(from); err != nil {
		r.rows.Close()
		return nil, err
	}
	return r, nil
}

// Close releases what the reader holds.
func (r *Reader) Close() (err error) {
	defer rescue(&err)
	return r.rows.Close()
}

// Next appends the next row to dst. fault is why it is none, if it is none; err is io.EOF at the end, or says that the file is
// damaged.
func (r *Reader) Next(dst []byte) (row []byte, fault *cell.Fault, err error) {
	defer rescue(&err)
	if r.next == r.have {
		n, err := r.rows.ReadRows(r.batch)
		if n == 0 {
			if err == nil {
				err = io.ErrNoProgress
			}
			return dst, nil, err
		}
		r.have, r.next = n, 0
	}
	if err := r.split(r.batch[r.next]); err != nil {
		return dst, nil, err
	}
	r.next++
	r.broken = false
	r.make.Reset()
	c := r.record(r.root)
	if r.broken {
		return dst, nil, errors.New("levels of columns that do not go together")
	}
	row, fault = r.make.Finish(dst, c)
	return row, fault, nil
}

// split divides the values of a row among its columns, which follow each other.
func (r *Reader) split(row parquet.Row) error {
	k := 0
	for from := 0; from < len(row); k++ {
		up := from + 1
		for up < len(row) && row[up].Column() == row[from].Column() {
			up++
		}
		if k == len(r.columns) {
			break
		}
		r.columns[k] = row[from:up]
		from = up
	}
	if k != len(r.columns) {
		return fmt.Errorf("a row of %d columns (expected %d)", k, len(r.columns))
	}
	return nil
}

// first is the next value of the plan's first column.
func (r *Reader) first(p *plan) (parquet.Value, bool) {
	if c := r.columns[p.from]; len(c) > 0 {
		return c[0], true
	}
	return parquet.Value{}, false
}

// pass consumes the value that says in each column of p that there is none.
func (r *Reader) pass(p *plan) {
	for k := p.from; k < p.up; k++ {
		if len(r.columns[k]) == 0 {
			r.broken = true
			return
		}
		r.columns[k] = r.columns[k][1:]
	}
}

// value reads a value.
func (r *Reader) value(p *plan) cell.Cell {
	v, ok := r.first(p)
	switch {
	case !ok || r.broken:
		r.broken = true
		return cell.Cell{}
	case v.DefinitionLevel() < p.def:
		r.pass(p)
		return r.make.Null(p.to)
	case p.to.Type == abi.TypeList:
		return r.elements(p)
	case p.to.Type == abi.TypeRow:
		return r.record(p)
	}
	r.pass(p)
	return r.scalar(p, v)
}

// record reads a row.
func (r *Reader) record(p *plan) cell.Cell {
	p.row.Reset(p.to.Row)
	for k, col := range p.cols {
		r.make.Enter(col.to.Name)
		cell.Set(&p.row, p.at[k], col.to, r.value(col))
		r.make.Leave()
		if r.broken {
			return cell.Cell{}
		}
	}
	return r.make.Row(&p.row)
}

// elements reads a list.
func (r *Reader) elements(p *plan) cell.Cell {
	p.cells = p.cells[:0]
	v, _ := r.first(p)
	if v.DefinitionLevel() < p.elemDef {
		r.pass(p)
	} else {
		for more := true; more; {
			r.make.EnterElement(len(p.cells))
			p.cells = append(p.cells, r.value(p.elem))
			r.make.Leave()
			v, ok := r.first(p)
			more = ok && v.RepetitionLevel() == p.elemRep && !r.broken
		}
	}
	if r.broken {
		return cell.Cell{}
	}
	return r.make.List(&p.list, p.cells, p.elem.to)
}

// scalar is a value as one of the field's type.
func (r *Reader) scalar(p *plan, v parquet.Value) cell.Cell {
	switch p.scalar {
	case scalarBool:
		if v.Boolean() {
			return cell.Cell{Bits: 1}
		}
		return cell.Cell{}
	case scalarFloat:
		if v.Kind() == parquet.Float {
			return cell.Cell{Bits: math.Float64bits(float64(v.Float()))}
		}
		return cell.Cell{Bits: math.Float64bits(v.Double())}
	case scalarInt:
		return r.make.Whole(p.to, integer(v))
	case scalarUint:
		n := integer(v)
		if v.Kind() == parquet.Int32 {
			n = int64(v.Uint32())
		}
		if n < 0 {
			return r.make.Misfit("%d (expected < 2^63)", uint64(n))
		}
		return r.make.Whole(p.to, n)
	case scalarText, scalarBytes:
		return r.make.Bytes(p.to, v.ByteArray())
	case scalarDecimal:
		if k := v.Kind(); k == parquet.Int32 || k == parquet.Int64 {
			n := integer(v)
			return r.make.Decimal(p.to, scalar.DecimalOf(n>>63, uint64(n)), p.scale)
		}
		return r.make.DecimalBytes(p.to, v.ByteArray(), p.scale)
	}
	return cell.Cell{Bits: uint64(milliseconds(p.scalar, v))}
}

func integer(v parquet.Value) int64 {
	if v.Kind() == parquet.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

// milliseconds of a time.
func milliseconds(kind scalarKind, v parquet.Value) int64 {
	switch kind {
	case scalarDate:
		return integer(v) * cell.DayMillis
	case scalarInt96:
		const epoch = 2440588 // the Julian day of 1970-01-01
		t := v.Int96()
		return (int64(t[2])-epoch)*cell.DayMillis + int64(uint64(t[1])<<32|uint64(t[0]))/1e6
	case scalarMicros:
		return cell.Milliseconds(integer(v), 1e3)
	case scalarNanos:
		return cell.Milliseconds(integer(v), 1e6)
	}
	return integer(v)
}
