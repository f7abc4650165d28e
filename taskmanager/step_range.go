package taskmanager

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/graph/field"
	"github.com/wasmill/wasmill/internal/wire"
)

// rangeStep says which subtask each record goes to, so that each has a range of the keys, and all about as many records. It takes
// the samples of all subtasks before the first record, from which every subtask gets the same bounds.
type rangeStep struct {
	name      string
	order     *field.Order
	receivers int
	samples   []sampled
	bounds    [][]byte // of the receivers but the first: the smallest key that goes there
	settled   bool     // bounds are
	received  int64
	key       []byte // scratch
	targets   []uint32
	outlet    outlet
}

// sampled is a key of a sample, and for how many records it stands.
type sampled struct {
	key    []byte
	weight float64
}

var errSample = errors.New("a sample ends in the middle of a key")

func (c *chain) newRange(op *graph.Operator) (step, error) {
	key, _ := codecs(c.plan.graph, source{op.Inputs[0].From, op.Inputs[0].Side})
	order, err := field.NewOrder(key, op.Order)
	return &rangeStep{name: op.Name, order: order, receivers: c.plan.graph.Receivers(c.plan.operatorIndex(op)), received: abi.MinTime}, unmade(op, err)
}

func (s *rangeStep) process(b *batch) error {
	if b.input == 1 {
		return s.learn(b)
	}
	if !s.settled {
		s.bounds, s.samples, s.settled = boundsOf(s.samples, s.receivers), nil, true
	}
	s.targets = s.targets[:0]
	for i := range b.N {
		var ok bool
		if s.key, ok = s.order.Append(s.key[:0], b.Key(i)); !ok {
			return inOperator(s.name, wire.KindInternal, keyError(b, i))
		}
		to, found := slices.BinarySearchFunc(s.bounds, s.key, bytes.Compare)
		if found {
			to++ // the bound belongs to the range behind it
		}
		s.targets = append(s.targets, uint32(to))
	}
	b.targets = s.targets
	err := s.outlet.emit(b)
	b.targets = nil
	return err
}

// learn takes samples.
func (s *rangeStep) learn(b *batch) error {
	le := binary.LittleEndian
	for i := range b.N {
		v := b.Value(i)
		if len(v) < 8 {
			return inOperator(s.name, wire.KindInternal, errSample)
		}
		first, came := len(s.samples), float64(le.Uint64(v))
		for v = v[8:]; len(v) > 0; {
			if len(v) < 4 || int(le.Uint32(v)) > len(v)-4 {
				return inOperator(s.name, wire.KindInternal, errSample)
			}
			n := 4 + le.Uint32(v)
			s.samples = append(s.samples, sampled{key: bytes.Clone(v[4:n])})
			v = v[n:]
		}
		for k := range s.samples[first:] {
			s.samples[first+k].weight = came / float64(len(s.samples)-first)
		}
	}
	return nil
}

// boundsOf cuts keys into so many ranges of about one weight. A key that many records have is in one of them.
func boundsOf(keys []sampled, ranges int) (bounds [][]byte) {
	slices.SortFunc(keys, func(a, b sampled) int { return bytes.Compare(a.key, b.key) })
	left := 0.0 // weight of what is in no range yet
	for _, k := range keys {
		left += k.weight
	}
	has := 0.0
	for i := 0; i < len(keys) && len(bounds) < ranges-1; {
		same, weight := i, 0.0
		for ; same < len(keys) && bytes.Equal(keys[same].key, keys[i].key); same++ {
			weight += keys[same].weight
		}
		share := left / float64(ranges-len(bounds))
		if has > 0 && has+weight/2 > share { // the range is nearer to its share without the key
			bounds, left, has = append(bounds, keys[i].key), left-has, 0
		}
		has += weight
		i = same
	}
	return bounds
}

func (s *rangeStep) advance(watermark int64) (bool, error) {
	s.received = watermark
	return false, nil
}
