package operator

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph/field"
)

// rows writes the results of native operators: row(key, value), or in windows row(start: ms, end: ms, key, value); of a global window
// either, as the graph says.
type rows struct {
	schema   *abi.Schema
	writer   abi.RowWriter
	windowed bool
	endless  bool // a window that has neither start nor end: both are 0
	key      int  // field of the key; the value is the next
	inPlace  bool // the key is 8 bytes that stand in the slot
	scratch  []byte
}

func newRows(c *Config) (*rows, error) {
	value := abi.CodecI64
	if c.Kind == abi.OperatorSum {
		value = c.Value
	}
	r := &rows{windowed: timed(c.Window)}
	if s, err := abi.ParseSchema(c.Output); err == nil && endless(c.Window) && len(s.Fields) == 4 {
		r.windowed, r.endless = true, true
	}
	r.schema = field.Tally(r.windowed, c.Key, value)
	if c.Output != "" {
		if err := field.CheckResults(c.Output, r.schema); err != nil {
			return nil, fmt.Errorf("output %w", err)
		}
	}
	if r.windowed {
		r.key = 2
	}
	r.inPlace = !r.schema.Fields[r.key].Type.Variable()
	r.writer.Reset(r.schema)
	return r, nil
}

// keyHint is where to look for a key that is not of its codec.
const keyHint = "the key function before the operator must make keys of the codec that it declares"

// append adds the result of one key in a window to out. The value's word is the bits of an i64 or f64.
func (r *rows) append(out *abi.Builder, w span, key []byte, word uint64) error {
	timestamp := abi.NoTimestamp
	switch {
	case r.endless:
		r.writer.SetI64(0, 0)
		r.writer.SetI64(1, 0)
	case r.windowed:
		r.writer.SetI64(0, w.start)
		r.writer.SetI64(1, w.end)
		timestamp = w.end - 1
	}
	switch {
	case !r.inPlace:
		r.writer.SetBytes(r.key, key)
	case len(key) == 8:
		r.writer.SetI64(r.key, int64(binary.LittleEndian.Uint64(key)))
	default:
		return &InputError{Problem: fmt.Sprintf("a key has %d bytes (expected 8 of %s)", len(key), r.schema.Fields[r.key].Type), Hint: keyHint}
	}
	r.writer.SetI64(r.key+1, int64(word))
	r.scratch = r.writer.AppendTo(r.scratch[:0])
	out.Append(abi.Record{Timestamp: timestamp, Key: key, Value: r.scratch})
	return nil
}

// sumRows are those of a sum that is exact.
type sumRows struct {
	*rows
	layout *layout
}

func newSumRows(c *Config, l *layout) (*sumRows, error) {
	r, err := newRows(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Kind, err)
	}
	return &sumRows{r, l}, nil
}

func (r *sumRows) append(out *abi.Builder, w span, key, acc []byte) error {
	word, _ := exactResult(r.layout.part(acc, r.layout.kept[0].at))
	return r.rows.append(out, w, key, word)
}
