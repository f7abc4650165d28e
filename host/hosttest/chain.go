package hosttest

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
)

// Record is a record with what the test may say of it, and what a guest emitted.
type Record struct {
	Timestamp int64 // abi.NoTimestamp without event time
	Kind      abi.ChangeKind
	Key       string
	Value     string
	Side      int // of an emitted one: 0 for the main output, k for side output k
}

// Values makes records without key and event time.
func Values(values ...string) []Record {
	records := make([]Record, len(values))
	for k, v := range values {
		records[k] = Record{Timestamp: abi.NoTimestamp, Value: v}
	}
	return records
}

// Chain is functions that are composed inside the guest, each taking what the one before it emits.
type Chain struct {
	handle    *Handle
	header    abi.CallHeader
	watermark int64
}

// Chain opens a chain of functions by their names. The last one's main and side outputs come back.
func (g *Guest) Chain(names ...string) *Chain {
	g.t.Helper()
	functions := make([]abi.HandleFunction, len(names))
	for k, name := range names {
		f := g.Function(name)
		functions[k] = abi.HandleFunction{Function: f.ID, Upstream: uint32(k - 1)} // of the first: None
		if k == len(names)-1 {
			functions[k].Outputs = outputsOf(f, g.isKey(names))
		}
	}
	return &Chain{handle: g.open(functions...), header: header(), watermark: abi.MinTime}
}

// At sets the header of the calls to come.
func (c *Chain) At(h abi.CallHeader) *Chain {
	c.header = h
	return c
}

// Process hands records to the chain as one batch and returns what it emits. An error fails the test.
func (c *Chain) Process(records ...Record) []Record {
	c.handle.guest.t.Helper()
	out, err := c.Try(records...)
	if err != nil {
		c.handle.guest.t.Fatal(err)
	}
	return out
}

// Try is Process for a test that expects the error.
func (c *Chain) Try(records ...Record) ([]Record, error) {
	effects, err := c.handle.Process(&c.header, builderOf(records))
	if err != nil {
		return nil, err
	}
	if effects.HasWatermark {
		c.watermark = max(c.watermark, effects.Watermark)
	}
	return recordsOf(effects), nil
}

// Newest returns the newest event time that the chain's timestamp function reported, abi.MinTime before.
func (c *Chain) Newest() int64 { return c.watermark }

// builderOf makes a batch with the columns that any of the records needs.
func builderOf(records []Record) *abi.Builder {
	columns := abi.ColumnValues
	for _, r := range records {
		if r.Timestamp != abi.NoTimestamp {
			columns |= abi.ColumnTimestamps
		}
		if r.Key != "" {
			columns |= abi.ColumnKeys
		}
		if r.Kind != abi.Insert {
			columns |= abi.ColumnKinds
		}
	}
	b := abi.NewBuilder(columns)
	for _, r := range records {
		b.Append(abi.Record{Timestamp: r.Timestamp, Kind: r.Kind, Key: []byte(r.Key), Value: []byte(r.Value)})
	}
	return b
}

// recordsOf copies what a call emitted.
func recordsOf(effects *host.Effects) []Record {
	var records []Record
	for _, e := range effects.Emits {
		b := &e.Batch
		for k := range b.N {
			r := Record{Timestamp: b.Timestamp(k), Side: int(e.Output)}
			if b.Columns&abi.ColumnKeys != 0 {
				r.Key = string(b.Key(k))
			}
			if b.Columns&abi.ColumnValues != 0 {
				r.Value = string(b.Value(k))
			}
			if b.Columns&abi.ColumnKinds != 0 {
				r.Kind = abi.ChangeKind(b.Kinds[k])
			}
			records = append(records, r)
		}
	}
	return records
}

// String shows a record in a test's message.
func (r Record) String() string {
	s := fmt.Sprintf("%q", r.Value)
	if r.Key != "" {
		s = fmt.Sprintf("%q=", r.Key) + s
	}
	if r.Timestamp != abi.NoTimestamp {
		s += fmt.Sprintf("@%d", r.Timestamp)
	}
	if r.Side != 0 {
		s += fmt.Sprintf(" (side %d)", r.Side)
	}
	return s
}
