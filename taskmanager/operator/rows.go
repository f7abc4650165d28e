package operator

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
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
	output := c.Output
	if output == "" {
		output = resultCodec(c)
	}
	schema, err := abi.ParseSchema(output)
	if err != nil {
		return nil, err
	}
	r := &rows{schema: schema, windowed: timed(c.Window)}
	if endless(c.Window) && len(schema.Fields) == 4 {
		r.windowed, r.endless = true, true
	}
	if r.windowed {
		r.key = 2
	}
	if n := len(schema.Fields); n != r.key+2 {
		return nil, fmt.Errorf("output %s: %d fields (expected %d: %s)", output, n, r.key+2, resultCodec(c))
	}
	r.inPlace = !schema.Fields[r.key].Type.Variable()
	if schema.Fields[r.key+1].Type.Variable() {
		return nil, fmt.Errorf("output %s: the value is no number (expected %s)", output, resultCodec(c))
	}
	r.writer.Reset(schema)
	return r, nil
}

// resultCodec is the codec of an operator's results when the graph names none.
func resultCodec(c *Config) abi.Codec {
	key, value := c.Key, abi.CodecI64
	if key == "" {
		key = abi.CodecBytes
	}
	if c.Kind == abi.OperatorSum {
		value = c.Value
	}
	if timed(c.Window) {
		return "row(start: ms, end: ms, key: " + key + ", value: " + value + ")"
	}
	return "row(key: " + key + ", value: " + value + ")"
}

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
		return &InputError{Problem: fmt.Sprintf("a key has %d bytes (expected 8 of %s)", len(key), r.schema.Fields[r.key].Type)}
	}
	r.writer.SetI64(r.key+1, int64(word))
	r.scratch = r.writer.AppendTo(r.scratch[:0])
	out.Append(abi.Record{Timestamp: timestamp, Key: key, Value: r.scratch})
	return nil
}
