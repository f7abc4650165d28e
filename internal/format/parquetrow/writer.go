package parquetrow

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/format/scalar"
)

// compressions are the codecs by the names that options have for them.
var compressions = map[string]compress.Codec{"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "zstd": &parquet.Zstd}

// GroupBytes is the size of the rows that a row group is made of. They are held in memory.
const GroupBytes = 32 << 20

// Encoder writes rows of one codec as files.
type Encoder struct {
	schema  *abi.Schema
	columns []*column
	chosen  []int
	parquet *parquet.Schema
	codec   compress.Codec
	leaves  int
}

// column is a field of a row, or the elements of a list, and its columns in the file.
type column struct {
	field    *abi.Field
	from, up int
	elem     *column   // of a list
	fields   []*column // of a row
}

// NewEncoder returns the encoder of a codec, which is a row. columns picks its fields; none: all of them.
func NewEncoder(codec abi.Codec, columns []string, compression string) (e *Encoder, err error) {
	s, err := abi.ParseSchema(codec)
	if err != nil {
		return nil, err
	}
	e = &Encoder{schema: s, codec: compressions[compression]}
	if e.codec == nil {
		return nil, fmt.Errorf("compression: %q (expected snappy, none or zstd)", compression)
	}
	if e.chosen, err = s.Choose(columns); err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	var fields []parquet.Field
	for _, i := range e.chosen {
		fields = append(fields, e.named(&s.Fields[i]))
		e.columns = append(e.columns, e.column(&s.Fields[i]))
	}
	e.parquet = parquet.NewSchema("row", group{fields: fields})
	return e, nil
}

// group is a group whose fields have the order that they were given.
type group struct {
	parquet.Group // what groups have in common
	fields        []parquet.Field
}

func (g group) Fields() []parquet.Field { return g.fields }

// namedNode is a field of a group.
type namedNode struct {
	parquet.Node
	named
}

// node is the Parquet type of a field.
func (e *Encoder) node(f *abi.Field) parquet.Node {
	var n parquet.Node
	switch f.Type {
	case abi.TypeBool:
		n = parquet.Leaf(parquet.BooleanType)
	case abi.TypeI64:
		n = parquet.Int(64)
	case abi.TypeF64:
		n = parquet.Leaf(parquet.DoubleType)
	case abi.TypeMs:
		n = parquet.Timestamp(parquet.Millisecond)
	case abi.TypeUTF8:
		n = parquet.String()
	case abi.TypeJSON:
		n = parquet.JSON()
	case abi.TypeBytes:
		n = parquet.Leaf(parquet.ByteArrayType)
	case abi.TypeDecimal:
		if f.Precision <= longDigits {
			n = parquet.Decimal(f.Scale, f.Precision, parquet.Int64Type)
		} else {
			n = parquet.Decimal(f.Scale, f.Precision, parquet.FixedLenByteArrayType(abi.DecimalBytes))
		}
	case abi.TypeList:
		n = parquet.List(e.node(f.Elem))
	case abi.TypeRow:
		var g group
		for i := range f.Row.Fields {
			g.fields = append(g.fields, e.named(&f.Row.Fields[i]))
		}
		n = g
	}
	if f.Nullable {
		return parquet.Optional(n)
	}
	return n
}

// longDigits are those that a decimal may have to be stored in 8 bytes.
const longDigits = 18

func (e *Encoder) named(f *abi.Field) parquet.Field {
	return namedNode{e.node(f), named(f.Name)}
}

// column numbers the columns of a field.
func (e *Encoder) column(f *abi.Field) *column {
	c := &column{field: f, from: e.leaves}
	switch f.Type {
	case abi.TypeList:
		c.elem = e.column(f.Elem)
	case abi.TypeRow:
		for i := range f.Row.Fields {
			c.fields = append(c.fields, e.column(&f.Row.Fields[i]))
		}
	default:
		e.leaves++
	}
	c.up = e.leaves
	return c
}

// Writer writes one file.
type Writer struct {
	encoder *Encoder
	out     *parquet.GenericWriter[any]
	values  [][]parquet.Value // of the row at hand, by column
	row     [1]parquet.Row
	scratch []byte
	held    int // bytes of rows of the row group
	limit   int
}

// Begin begins a file, whose row groups are made of rows of at most so many bytes, or GroupBytes.
func (e *Encoder) Begin(out io.Writer, limit int) (w *Writer, err error) {
	defer rescue(&err)
	if limit <= 0 || limit > GroupBytes {
		limit = GroupBytes
	}
	return &Writer{
		encoder: e, limit: limit, values: make([][]parquet.Value, e.leaves),
		out: parquet.NewGenericWriter[any](out, e.parquet, parquet.Compression(e.codec), parquet.CreatedBy("wasmill", "1", ""),
			parquet.PageBufferSize(min(max(limit/16, 4<<10), 256<<10))),
	}, nil
}

// ErrValue is wrapped by the error of a value that is no row of the encoder's codec; any other is one of writing.
var ErrValue = errors.New("no row")

// Add writes a row.
func (w *Writer) Add(value []byte) (err error) {
	e := w.encoder
	if err := abi.Validate(e.schema, value); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	defer rescue(&err)
	for k := range w.values {
		w.values[k] = w.values[k][:0]
	}
	w.scratch = w.scratch[:0]
	row := e.schema.Row(value)
	for k, i := range e.chosen {
		put(w, e.columns[k], row, i, level{})
	}
	w.row[0] = w.row[0][:0]
	for _, values := range w.values {
		w.row[0] = append(w.row[0], values...)
	}
	if _, err := w.out.WriteRows(w.row[:]); err != nil {
		return err
	}
	if w.held += len(value); w.held < w.limit {
		return nil
	}
	w.held = 0
	return w.out.Flush()
}

// End writes what is held, and the footer.
func (w *Writer) End() (err error) {
	defer rescue(&err)
	return w.out.Close()
}

// level is where in lists and nullable fields a value stands.
type level struct {
	rep   int // which list goes on with the value
	def   int // how many nullable fields and lists before it are there
	lists int // how many lists it is in
}

// values are what rows and lists have in common.
type values interface {
	Null(i int) bool
	Bool(i int) bool
	I64(i int) int64
	F64(i int) float64
	Bytes(i int) []byte
	Decimal(i int) (hi int64, lo uint64)
}

// put adds value i of a row or list to the columns.
func put[V values](w *Writer, c *column, of V, i int, at level) {
	f := c.field
	if f.Nullable {
		if of.Null(i) {
			w.nothing(c, at)
			return
		}
		at.def++
	}
	switch f.Type {
	case abi.TypeRow:
		row := f.Row.Row(of.Bytes(i))
		for k, inner := range c.fields {
			put(w, inner, row, k, at)
		}
	case abi.TypeList:
		l := abi.ListOf(of.Bytes(i))
		if l.Len() == 0 {
			w.nothing(c, at)
			return
		}
		at.def++
		at.lists++
		for k := range l.Len() {
			put(w, c.elem, l, k, at)
			at.rep = at.lists
		}
	default:
		w.values[c.from] = append(w.values[c.from], leaf(w, f, of, i).Level(at.rep, at.def, c.from))
	}
}

// nothing says in all columns that there is no value.
func (w *Writer) nothing(c *column, at level) {
	for k := c.from; k < c.up; k++ {
		w.values[k] = append(w.values[k], parquet.NullValue().Level(at.rep, at.def, k))
	}
}

func leaf[V values](w *Writer, f *abi.Field, of V, i int) parquet.Value {
	switch f.Type {
	case abi.TypeBool:
		return parquet.BooleanValue(of.Bool(i))
	case abi.TypeI64, abi.TypeMs:
		return parquet.Int64Value(of.I64(i))
	case abi.TypeF64:
		return parquet.DoubleValue(of.F64(i))
	case abi.TypeDecimal:
		hi, lo := of.Decimal(i)
		if f.Precision <= longDigits {
			return parquet.Int64Value(int64(lo))
		}
		from := len(w.scratch)
		w.scratch = scalar.AppendDecimalFixed(w.scratch, hi, lo)
		return parquet.FixedLenByteArrayValue(w.scratch[from:])
	}
	return parquet.ByteArrayValue(of.Bytes(i))
}
