package operator

import (
	"encoding/binary"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// resultRows writes the results of accumulators.
type resultRows interface {
	append(out *abi.Builder, w span, key, acc []byte) error
}

// fieldRows writes results: start and end of the window, the fields of the key, and those of the aggregates.
type fieldRows struct {
	layout   *layout
	writer   abi.RowWriter
	windowed bool
	endless  bool // see rows
	key      []*field.Field
	first    int // field of the first aggregate, or of the rank
	scratch  []byte
}

func newFieldRows(c *Config, l *layout) (*fieldRows, error) {
	r := &fieldRows{layout: l, windowed: timed(c.Window)}
	var list []field.Aggregate
	for i := range l.kept {
		list = append(list, l.kept[i].Aggregate)
	}
	if endless(c.Window) && c.Output != "" && fitsWindows(c, list) {
		r.windowed, r.endless = true, true
	}
	schema := field.Results(r.windowed, c.Key, "key", false, list)
	whole := c.Output != "" && field.CheckResults(c.Output, schema) != nil
	if whole {
		schema = field.Results(r.windowed, c.Key, "key", true, list)
	}
	if s, err := abi.ParseSchema(c.Key); err == nil && !whole {
		for i := range s.Fields {
			f, err := field.Find(c.Key, s.Fields[i].Name)
			if err != nil {
				return nil, err
			}
			r.key = append(r.key, f)
		}
	} else if f, err := field.Find(c.Key, ""); err == nil {
		r.key = append(r.key, f)
	} else {
		r.key = append(r.key, &field.Field{Field: abi.Field{Type: abi.TypeBytes}})
	}
	if r.first = len(r.key); r.windowed {
		r.first += 2
	}
	r.writer.Reset(schema)
	return r, nil
}

// fitsWindows says whether the output has the times of windows.
func fitsWindows(c *Config, list []field.Aggregate) bool {
	return field.CheckResults(c.Output, field.Results(true, c.Key, "key", false, list)) == nil ||
		field.CheckResults(c.Output, field.Results(true, c.Key, "key", true, list)) == nil
}

// append adds the results of one key to out.
func (r *fieldRows) append(out *abi.Builder, w span, key, acc []byte) error {
	timestamp, at := abi.NoTimestamp, 0
	if r.windowed {
		r.writer.SetI64(0, w.start)
		r.writer.SetI64(1, w.end)
		timestamp, at = w.end-1, 2
	}
	if r.endless {
		r.writer.SetI64(0, 0)
		r.writer.SetI64(1, 0)
		timestamp = abi.NoTimestamp
	}
	for i, f := range r.key {
		if err := r.setKey(at+i, f, key); err != nil {
			return err
		}
	}
	if k := &r.layout.kept[0]; k.Ranks() {
		for rank, rest := int64(1), best(r.layout.part(acc, k.at)).entries(); len(rest) > 0; rank++ {
			var value []byte
			_, value, rest = nextEntry(rest, k.orderBytes())
			r.writer.SetI64(r.first, rank)
			r.setRecord(r.first+1, k, value)
			r.put(out, key, timestamp)
		}
		return nil
	}
	for i := range r.layout.kept {
		r.set(r.first+i, &r.layout.kept[i], acc)
	}
	r.put(out, key, timestamp)
	return nil
}

func (r *fieldRows) put(out *abi.Builder, key []byte, timestamp int64) {
	r.scratch = r.writer.AppendTo(r.scratch[:0])
	out.Append(abi.Record{Timestamp: timestamp, Key: key, Value: r.scratch})
}

func (r *fieldRows) setKey(i int, f *field.Field, key []byte) error {
	var s field.State
	if f.Type.Variable() {
		var part []byte
		part, s = f.Bytes(key)
		r.writer.SetBytes(i, part)
	} else {
		var word uint64
		word, s = f.Word(key)
		r.writer.SetI64(i, int64(word))
	}
	switch s {
	case field.Null:
		r.writer.SetNull(i)
	case field.Broken:
		return &InputError{Problem: "a key is not what its codec says", Hint: keyHint}
	}
	return nil
}

// set sets field i to what an aggregate amounts to.
func (r *fieldRows) set(i int, k *kept, acc []byte) {
	if k.part == nil {
		if word, there := k.words.result(k, acc[k.at:]); there {
			r.writer.SetI64(i, int64(word))
		} else {
			r.writer.SetNull(i)
		}
		return
	}
	part := r.layout.part(acc, k.at)
	switch k.Kind {
	case abi.AggregateDistinct:
		r.writer.SetI64(i, int64(members(part)))
		return
	case abi.AggregateSum, abi.AggregateAvg:
		if word, there := k.exact(part); there {
			r.writer.SetI64(i, int64(word))
		} else {
			r.writer.SetNull(i)
		}
		return
	}
	entries := best(part).entries()
	if len(entries) == 0 {
		r.writer.SetNull(i)
		return
	}
	_, value, _ := nextEntry(entries, k.orderBytes())
	r.setRecord(i, k, value)
}

// setRecord sets field i to a record.
func (r *fieldRows) setRecord(i int, k *kept, value []byte) {
	if k.Result.Type.Variable() {
		r.writer.SetBytes(i, value)
	} else {
		r.writer.SetI64(i, int64(binary.LittleEndian.Uint64(value)))
	}
}
