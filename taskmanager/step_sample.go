package taskmanager

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/graph/field"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// sampleStep remembers some of the keys of its subtask, each as likely as any other, and tells of them when all have come. Keys go
// by bytes that have their order.
type sampleStep struct {
	name   string
	order  *field.Order
	chance *rand.Rand
	came   int64
	keys   [][]byte
	outlet outlet
	passed int64
}

// A sample has so many keys of a subtask, and of each key so many bytes.
const (
	sampleKeys     = 4096
	sampleKeyBytes = 256
)

func (c *chain) newSample(op *graph.Operator, parts chainParts) (step, error) {
	key, _ := codecs(c.plan.graph, source{op.Inputs[0].From, op.Inputs[0].Side})
	order, err := field.NewOrder(key, op.Order)
	seed := uint64(parts.header().Subtask)
	return &sampleStep{name: op.Name, order: order, chance: rand.New(rand.NewPCG(seed, sampleKeys)), passed: abi.MinTime}, unmade(op, err)
}

func (s *sampleStep) process(b *batch) error {
	for i := range b.N {
		at := int64(len(s.keys))
		if s.came++; at < sampleKeys {
			s.keys = append(s.keys, nil)
		} else if at = s.chance.Int64N(s.came); at >= sampleKeys {
			continue
		}
		key, ok := s.order.Append(s.keys[at][:0], b.Key(i))
		if !ok {
			return inOperator(s.name, wire.KindInternal, keyError(b, i))
		}
		s.keys[at] = key[:min(len(key), sampleKeyBytes)]
	}
	return nil
}

// keyError says that the key of a record is none.
func keyError(b *batch, i int) error {
	return &operator.InputError{
		Problem: fmt.Sprintf("record %d of %s has a key that is not what its codec says", b.first+int64(i), b.from),
		Hint:    "the function that made it must write keys of the codec that it declares",
	}
}

// advance tells of the keys at the end: u64 how many records the subtask has, then u32 length and bytes of each key.
func (s *sampleStep) advance(watermark int64) (bool, error) {
	if watermark != abi.MaxTime || s.passed == abi.MaxTime {
		return false, nil
	}
	s.passed = abi.MaxTime
	le := binary.LittleEndian
	value := le.AppendUint64(nil, uint64(s.came))
	for _, k := range s.keys {
		value = append(le.AppendUint32(value, uint32(len(k))), k...)
	}
	s.keys = nil
	w := abi.NewBuilder(abi.ColumnValues)
	w.Append(abi.Record{Value: value})
	out := batch{split: abi.None, from: fmt.Sprintf("the output of %q", s.name), first: 1, builder: w}
	w.View(&out.Batch)
	return false, s.outlet.emit(&out)
}
