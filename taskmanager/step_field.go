package taskmanager

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/graph/field"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// fieldStep is a filter or a key over fields of the values: it reads them in place, and calls no guest.
type fieldStep struct {
	name     string
	keep     field.Predicate // of a filter
	key      *fieldKey       // of a key
	received int64           // watermark
	columns  abi.Columns     // that are wanted of what passes
	outlet   outlet
	rows     []uint32 // scratch: those that pass
	some     *abi.Builder
	out      batch
	made     int64 // records so far
	from     string
}

func (c *chain) newFieldStep(op *graph.Operator) (step, error) {
	_, value := codecs(c.plan.graph, source{op.Inputs[0].From, op.Inputs[0].Side})
	s := &fieldStep{name: op.Name, received: abi.MinTime, from: fmt.Sprintf("the output of %q", op.Name)}
	var err error
	if op.Kind == abi.OperatorKey {
		s.key, err = newFieldKey(value, op.Fields)
	} else {
		s.keep, err = field.NewPredicate(value, op.Predicate)
	}
	if err != nil {
		return nil, fmt.Errorf("operator %q: %w", op.Name, err)
	}
	return s, nil
}

func (s *fieldStep) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	var err error
	if s.key != nil {
		err = s.setKeys(b)
	} else {
		err = s.filter(b)
	}
	if err != nil || s.out.N == 0 {
		return err
	}
	s.out.lane, s.out.split, s.out.from, s.out.first = b.lane, b.split, s.from, s.made+1
	s.made += int64(s.out.N)
	return s.outlet.emit(&s.out)
}

// filter sets out to the records of b that pass.
func (s *fieldStep) filter(b *batch) error {
	s.rows = s.rows[:0]
	for i := range b.N {
		switch s.keep(b.Value(i)) {
		case field.Yes:
			s.rows = append(s.rows, uint32(i))
		case field.Unreadable:
			return s.noRow(b, i)
		}
	}
	if len(s.rows) == b.N {
		s.out.Batch, s.out.encoded, s.out.builder = b.Batch, b.encoded, b.builder
		return nil
	}
	if s.some == nil {
		s.some = abi.NewBuilder(s.columns)
	}
	s.some.Reset()
	s.some.AppendRows(&b.Batch, s.rows, nil)
	s.some.View(&s.out.Batch)
	s.out.encoded, s.out.builder = nil, s.some
	return nil
}

// setKeys sets out to the records of b under their keys. But for these, they are those of b.
func (s *fieldStep) setKeys(b *batch) error {
	s.out.Batch, s.out.encoded, s.out.builder = b.Batch, nil, nil
	k := s.key
	k.keys, k.offs = k.keys[:0], append(k.offs[:0], 0)
	for i := range b.N {
		if !k.append(b.Value(i)) {
			return s.noRow(b, i)
		}
	}
	s.out.Columns |= abi.ColumnKeys
	s.out.Columns &^= abi.ColumnHashes | abi.ColumnKeyNulls
	s.out.Keys, s.out.KeyOffs, s.out.Hashes, s.out.KeyNulls = k.keys, k.offs, nil, nil
	return nil
}

func (s *fieldStep) noRow(b *batch, i int) error {
	return inOperator(s.name, wire.KindInternal, &operator.InputError{
		Problem: fmt.Sprintf("record %d of %s is not what its codec says", b.first+int64(i), b.from),
		Hint:    "the function that made it must write rows of the schema that it declares",
	})
}

func (s *fieldStep) advance(watermark int64) (bool, error) {
	s.received = watermark
	return false, nil
}

// fieldKey makes the bytes of keys of fields.
type fieldKey struct {
	fields []*field.Field
	row    bool // the key is a row of them
	writer abi.RowWriter
	keys   []byte
	offs   []uint32
}

func newFieldKey(value abi.Codec, names []string) (*fieldKey, error) {
	codec, fields, err := field.KeyCodec(value, names)
	if err != nil {
		return nil, err
	}
	k := &fieldKey{fields: fields}
	if schema, err := abi.ParseSchema(codec); err == nil {
		k.row = true
		k.writer.Reset(schema)
	}
	return k, nil
}

// append adds the key of a value, unless that is no value of its codec.
func (k *fieldKey) append(value []byte) bool {
	for i, f := range k.fields {
		state := field.There
		if f.Type.Variable() {
			var p []byte
			if p, state = f.Bytes(value); !k.row {
				k.keys = append(k.keys, p...)
			} else {
				k.writer.SetBytes(i, p)
			}
		} else {
			var word uint64
			word, state = f.Word(value)
			if word = f.KeyWord(word); !k.row {
				k.keys = abi.AppendI64Key(k.keys, int64(word))
			} else {
				k.writer.SetI64(i, int64(word))
			}
		}
		switch state {
		case field.Broken:
			return false
		case field.Null:
			k.writer.SetNull(i)
		}
	}
	if k.row {
		k.keys = k.writer.AppendTo(k.keys)
	}
	k.offs = append(k.offs, uint32(len(k.keys)))
	return true
}
