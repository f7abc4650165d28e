package hosttest

import (
	"fmt"
	"slices"

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
	guest     *Guest
	handle    uint32
	header    abi.CallHeader
	watermark int64
}

// Chain opens a chain of functions by their names. The last one's main and side outputs come back.
func (g *Guest) Chain(names ...string) *Chain {
	g.t.Helper()
	h := new(abi.Handle)
	for k, name := range names {
		f := g.Function(name)
		upstream := uint32(k - 1)
		if k == 0 {
			upstream = abi.None
		}
		h.Functions = append(h.Functions, abi.HandleFunction{Function: f.ID, Upstream: upstream})
		if k == len(names)-1 {
			h.Functions[k].Outputs = outputsOf(f, slices.ContainsFunc(names, func(n string) bool {
				return g.Function(n).Kind == abi.FunctionKey
			}))
		}
	}
	c := &Chain{guest: g, handle: g.open(h), watermark: abi.MinTime}
	c.header = abi.CallHeader{Watermark: abi.MinTime, ProcessingTime: 1000, Split: abi.None, Parallelism: 1}
	return c
}

// outputsOf gives every output of f its side as its number.
func outputsOf(f abi.Function, keyed bool) []abi.HandleOutput {
	columns := abi.ColumnTimestamps | abi.ColumnValues | abi.ColumnKinds
	if keyed {
		columns |= abi.ColumnKeys
	}
	outputs := make([]abi.HandleOutput, 1+len(f.Sides))
	for k := range outputs {
		outputs[k] = abi.HandleOutput{Tag: uint32(k), Number: uint32(k), Columns: columns}
	}
	return outputs
}

// At sets the header of the calls to come.
func (c *Chain) At(h abi.CallHeader) *Chain {
	c.header = h
	return c
}

// Process hands records to the chain as one batch and returns what it emits. An error fails the test.
func (c *Chain) Process(records ...Record) []Record {
	c.guest.t.Helper()
	out, err := c.Try(records...)
	if err != nil {
		c.guest.t.Fatal(err)
	}
	return out
}

// Try is Process for a test that expects the error.
func (c *Chain) Try(records ...Record) ([]Record, error) {
	b := builderOf(records)
	var out []Record
	err := c.guest.use(func(i *host.Instance) error {
		effects, err := i.Process(c.handle, &c.header, b)
		if err != nil {
			return err
		}
		if effects.HasWatermark {
			c.watermark = max(c.watermark, effects.Watermark)
		}
		out = recordsOf(effects)
		return nil
	})
	return out, err
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
