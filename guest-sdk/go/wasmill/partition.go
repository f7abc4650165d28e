package wasmill

import (
	"cmp"
	"encoding/binary"
	"sort"
	"strconv"
)

// Rebalance deals the records out to all subtasks of the next operator in turn, a batch at a time.
func (s *Stream[T]) Rebalance() *Stream[T] { return s.by("rebalance") }

// Shuffle deals the records out to all subtasks of the next operator by chance.
func (s *Stream[T]) Shuffle() *Stream[T] { return s.by("shuffle") }

// Rescale is Rebalance in which each subtask has a part of the next operator's to itself, or shares one of them: fewer
// channels, and none between machines where it can be.
func (s *Stream[T]) Rescale() *Stream[T] { return s.by("rescale") }

// Broadcast gives every record to all subtasks of the next operator.
func (s *Stream[T]) Broadcast() *Stream[T] { return s.by("broadcast") }

// Global gives all records to the first subtask of the next operator.
func (s *Stream[T]) Global() *Stream[T] { return s.by("global") }

// Forward keeps the records in their subtask. Both operators must have one parallelism.
func (s *Stream[T]) Forward() *Stream[T] { return s.by("forward") }

func (s *Stream[T]) by(partition string) *Stream[T] {
	to := *s
	to.partition = partition
	return &to
}

// PartitionCustom gives each record to the subtask of the next operator that f answers, below receivers.
func PartitionCustom[T any](in *Stream[T], name string, f func(record T, receivers int) int) *Stream[T] {
	o := in.env.call(partitionFunction(name, f, in.codec), &operator{inputs: in.edges(), parallelism: in.op.parallelism})
	return &Stream[T]{env: in.env, op: o, codec: in.codec}
}

// PartitionRange gives each record to the subtask of the next operator that has its range of what of answers: those below bounds[0],
// those from there to below bounds[1], and so on. Of two subtasks the later one has what is larger; it has several ranges if there
// are fewer subtasks than ranges, none if there are more. NaN is larger than every number. Without bounds the host samples what comes,
// in batch mode only, so that each subtask has about as many records.
func PartitionRange[T any, K cmp.Ordered](in *Stream[T], name string, of func(T) K, bounds ...K) *Stream[T] {
	for i := 1; i < len(bounds); i++ {
		if !(bounds[i-1] < bounds[i]) {
			in.env.Fail("partition " + strconv.Quote(name) + ": bound " + strconv.Itoa(i) + " is not above the one before it")
			break
		}
	}
	if len(bounds) == 0 {
		return sampled(in, KeyBy(in, name+" by", of).op, name, nil)
	}
	return PartitionCustom(in, name, func(v T, receivers int) int { return rangeOf(of(v), bounds) * receivers / (len(bounds) + 1) })
}

// PartitionRangeByFields is PartitionRange without bounds, by fields of the record, the first one before the second; no record enters the
// guest for it.
func PartitionRangeByFields[T any](in *Stream[T], name string, by ...SortField) *Stream[T] {
	key, orders := keyToSort(in, "partition", name, by)
	return sampled(in, key, name, orders)
}

// sampled adds the operators that deal records out by ranges of the keys that another one gives.
func sampled[T any](in *Stream[T], key *operator, name string, by []Direction) *Stream[T] {
	sample := in.env.add(&operator{kind: kindSample, inputs: []edge{{from: key, partition: "forward"}}, output: octets.name, order: by, before: key})
	sample.rename(name + " sample")
	o := in.env.add(&operator{kind: kindRange, inputs: []edge{{from: key, partition: "forward"}, {from: sample, partition: "broadcast"}}, output: in.codec.name, order: by, before: sample})
	o.rename(name)
	return &Stream[T]{env: in.env, op: o, codec: in.codec}
}

// rangeOf is how many bounds are not above a value.
func rangeOf[K cmp.Ordered](v K, bounds []K) int {
	return sort.Search(len(bounds), func(i int) bool { return v < bounds[i] }) // NaN is below none
}

// StartNewChain has the operator run in another task than the one before it.
func (s *Stream[T]) StartNewChain() *Stream[T] {
	s.op.chaining = "begin"
	return s
}

// DisableChaining has the operator run in a task of its own.
func (s *Stream[T]) DisableChaining() *Stream[T] {
	s.op.chaining = "alone"
	return s
}

// SlotSharingGroup has the operator's tasks share slots with those of the same group only. Without it the operator is in the
// group of its inputs, if they agree.
func (s *Stream[T]) SlotSharingGroup(name string) *Stream[T] {
	s.op.slotGroup = name
	return s
}

// PreAggregate says whether the records of a count, sum, aggregates, reduce or aggregate are folded before they are sent to it. Without
// it they are where that gives the same result to the bit, and for as long as it makes fewer records of them; with true, sums and
// averages of float64 are, too, whose last digits depend on the order in which they are added up.
func (s *Stream[T]) PreAggregate(on bool) *Stream[T] {
	s.op.preAggregate = "off"
	if on {
		s.op.preAggregate = "on"
	}
	return s
}

// DisableChaining has the sink run in a task of its own.
func (s *SinkOperator) DisableChaining() *SinkOperator {
	s.op.chaining = "alone"
	return s
}

// SlotSharingGroup is that of Stream, for the sink.
func (s *SinkOperator) SlotSharingGroup(name string) *SinkOperator {
	s.op.slotGroup = name
	return s
}

func partitionFunction[T any](name string, f func(T, int) int, in codec[T]) *function {
	return &function{name: name, kind: kindPartition, input: in.name, output: in.name, keyed: func(b *binding) (groupRunner, error) {
		var groups groupReader
		var reply replyWriter
		return func(verb uint32, call callHeader, p []byte) error {
			if verb != verbPartition {
				return &fault{statusUnknownVerb, "verb " + strconv.Itoa(int(verb)) + " is not one of a partition function"}
			}
			reply.out = reply.out[:0]
			for groups.begin(p); groups.next(); {
				r := &groups.records
				b.chain.record = groups.index
				r.whole()
				entry := reply.open(groups.index, 1)
				at := len(reply.out)
				reply.action(actionPartition, 0, nil)
				for i := range r.n {
					to := f(in.decode(groups.value(r, i)), int(call.parallelism))
					if to < 0 || to >= int(call.parallelism) {
						panic("subtask " + strconv.Itoa(to) + " (expected 0 <= subtask < " + strconv.Itoa(int(call.parallelism)) + ")")
					}
					reply.out = binary.LittleEndian.AppendUint32(reply.out, uint32(to))
				}
				reply.closeAction(at)
				reply.close(entry)
			}
			hostReply(reply.out)
			b.chain.end()
			return nil
		}, nil
	}}
}
