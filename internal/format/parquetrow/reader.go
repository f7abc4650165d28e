package parquetrow

import (
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/jsonrow"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// Fault is a row of a file that is none of the schema.
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
	fault   *Fault
	path    []place
	scratch []byte
	json    jsonrow.Decoder
}

// place is a field, or an element of a list.
type place struct {
	name  string
	index int
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
func (r *Reader) Next(dst []byte) (row []byte, fault *Fault, err error) {
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
	r.broken, r.fault, r.path, r.scratch = false, nil, r.path[:0], r.scratch[:0]
	c := r.record(r.root)
	switch {
	case r.broken:
		return dst, nil, errors.New("levels of columns that do not go together")
	case r.fault != nil:
		return dst, r.fault, nil
	case len(c.part) > abi.MaxRecordBytes:
		return dst, &Fault{Problem: fmt.Sprintf("a row of %d bytes (expected <= %d)", len(c.part), abi.MaxRecordBytes)}, nil
	}
	return append(dst, c.part...), nil, nil
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

// misfit notes the first thing that keeps the row from being one.
func (r *Reader) misfit(format string, args ...any) cell {
	if r.fault == nil {
		f := &Fault{Problem: fmt.Sprintf(format, args...)}
		for _, at := range r.path {
			switch {
			case at.name == "":
				f.Path += fmt.Sprintf("[%d]", at.index)
			case f.Path != "":
				f.Path += "." + at.name
			default:
				f.Path = at.name
			}
		}
		r.fault = f
	}
	return cell{}
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
func (r *Reader) value(p *plan) cell {
	v, ok := r.first(p)
	switch {
	case !ok || r.broken:
		r.broken = true
		return cell{}
	case v.DefinitionLevel() < p.def:
		r.pass(p)
		if !p.to.Nullable {
			return r.misfit("null (expected a value)")
		}
		return cell{null: true}
	case p.to.Type == abi.TypeList:
		return r.elements(p)
	case p.to.Type == abi.TypeRow:
		return r.record(p)
	}
	r.pass(p)
	return r.scalar(p, v)
}

// record reads a row.
func (r *Reader) record(p *plan) cell {
	p.row.Reset(p.to.Row)
	for k, col := range p.cols {
		r.path = append(r.path, place{name: col.to.Name})
		c := r.value(col)
		r.path = r.path[:len(r.path)-1]
		if r.broken {
			return cell{}
		}
		switch i := p.at[k]; {
		case c.null:
			p.row.SetNull(i)
		case col.to.Type.Variable():
			p.row.SetBytes(i, c.part)
		default:
			p.row.SetI64(i, int64(c.bits))
		}
	}
	if r.fault != nil {
		return cell{}
	}
	return r.keep(p.row.AppendTo)
}

// elements reads a list.
func (r *Reader) elements(p *plan) cell {
	p.cells = p.cells[:0]
	v, _ := r.first(p)
	if v.DefinitionLevel() < p.elemDef {
		r.pass(p)
	} else {
		for more := true; more; {
			r.path = append(r.path, place{index: len(p.cells)})
			c := r.value(p.elem)
			r.path = r.path[:len(r.path)-1]
			p.cells = append(p.cells, c)
			v, ok := r.first(p)
			more = ok && v.RepetitionLevel() == p.elemRep && !r.broken
		}
	}
	if r.broken || r.fault != nil {
		return cell{}
	}
	p.list.Reset(len(p.cells))
	for i, c := range p.cells {
		switch {
		case c.null:
			p.list.SetNull(i)
		case p.elem.to.Type.Variable():
			p.list.SetBytes(i, c.part)
		default:
			p.list.SetI64(i, int64(c.bits))
		}
	}
	return r.keep(p.list.AppendTo)
}

// maxScratch bounds the nested rows and lists of one row while it is made.
const maxScratch = 16 * abi.MaxRecordBytes

// keep writes a row or list to scratch. What parts of it were made before stays where it was, if scratch moves.
func (r *Reader) keep(appendTo func([]byte) []byte) cell {
	from := len(r.scratch)
	if from > maxScratch {
		return r.misfit("larger than a record may be")
	}
	r.scratch = appendTo(r.scratch)
	return cell{part: r.scratch[from:]}
}

// scalar is a value as one of the field's type.
func (r *Reader) scalar(p *plan, v parquet.Value) cell {
	switch p.scalar {
	case scalarBool:
		if v.Boolean() {
			return cell{bits: 1}
		}
		return cell{}
	case scalarFloat:
		if v.Kind() == parquet.Float {
			return cell{bits: math.Float64bits(float64(v.Float()))}
		}
		return cell{bits: math.Float64bits(v.Double())}
	case scalarInt, scalarUint:
		return r.whole(p, v)
	case scalarText, scalarBytes:
		return r.bytes(p, v.ByteArray())
	case scalarDecimal:
		if k := v.Kind(); k == parquet.Int32 || k == parquet.Int64 {
			n := integer(v)
			return r.decimal(p.to, scalar.DecimalOf(n>>63, uint64(n)), p.scale)
		}
		d, ok := scalar.DecimalOfBytes(v.ByteArray())
		if !ok {
			return r.misfit("a decimal of %d bytes", len(v.ByteArray()))
		}
		return r.decimal(p.to, d, p.scale)
	}
	return cell{bits: uint64(milliseconds(p.scalar, v))}
}

func integer(v parquet.Value) int64 {
	if v.Kind() == parquet.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

// whole is a whole number.
func (r *Reader) whole(p *plan, v parquet.Value) cell {
	n := integer(v)
	if p.scalar == scalarUint {
		if v.Kind() == parquet.Int32 {
			n = int64(v.Uint32())
		}
		if n < 0 {
			return r.misfit("%d (expected < 2^63)", uint64(n))
		}
	}
	switch p.to.Type {
	case abi.TypeF64:
		return cell{bits: math.Float64bits(float64(n))}
	case abi.TypeDecimal:
		return r.decimal(p.to, scalar.DecimalOf(n>>63, uint64(n)), 0)
	}
	return cell{bits: uint64(n)}
}

func (r *Reader) bytes(p *plan, b []byte) cell {
	switch p.to.Type {
	case abi.TypeUTF8:
		if !utf8.Valid(b) {
			return r.misfit("not UTF-8")
		}
	case abi.TypeJSON:
		if err := r.json.Valid(b); err != nil {
			return r.misfit("not JSON: %v", err)
		}
	}
	return cell{part: b}
}

func (r *Reader) decimal(f *abi.Field, v scalar.Decimal, scale int) cell {
	v, ok := v.Rescale(f.Scale - scale)
	if !ok || !v.Fits(f.Precision) {
		return r.misfit("does not fit a number of %d digits, %d of them behind the point", f.Precision, f.Scale)
	}
	from := len(r.scratch)
	hi, lo := v.Halves()
	r.scratch = abi.AppendDecimal(r.scratch, hi, lo)
	return cell{part: r.scratch[from:]}
}

// milliseconds of a time.
func milliseconds(kind scalarKind, v parquet.Value) int64 {
	per := int64(1)
	switch kind {
	case scalarDate:
		return integer(v) * 24 * 60 * 60 * 1000
	case scalarInt96:
		const epoch = 2440588 // the Julian day of 1970-01-01
		t := v.Int96()
		return (int64(t[2])-epoch)*24*60*60*1000 + int64(uint64(t[1])<<32|uint64(t[0]))/1e6
	case scalarMicros:
		per = 1e3
	case scalarNanos:
		per = 1e6
	}
	n := integer(v)
	if n%per < 0 {
		return n/per - 1
	}
	return n / per
}
