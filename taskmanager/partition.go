package taskmanager

import (
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// A builder is sent when it has about this many records or bytes: large enough that what a batch costs does not count,
// small enough to stay in the cache.
const (
	batchRecords = 1024
	batchBytes   = 64 << 10
)

// What a guest emits at once may be larger than a channel takes, and is cut into pieces of this many records or bytes at
// most; a record larger than that is a piece of its own. With what a builder has already, both stay below
// exchange.MaxBatchBytes.
const (
	pieceRecords = 64 << 10
	pieceBytes   = 1 << 20
)

// pieceOf is the end of the piece of b that begins with record lo.
func pieceOf(b *abi.Batch, lo int) int {
	most := min(b.N-lo, pieceRecords)
	if bytesOf(b, lo, lo+most) <= pieceBytes {
		return lo + most
	}
	n := sort.Search(most, func(n int) bool { return bytesOf(b, lo, lo+n+1) > pieceBytes })
	return lo + max(n, 1)
}

func bytesOf(b *abi.Batch, lo, hi int) int {
	n := 0
	for _, offs := range [...][]uint32{b.KeyOffs, b.ValueOffs, b.HeaderOffs} {
		if offs != nil {
			n += int(offs[hi] - offs[lo])
		}
	}
	return n
}

// edge sends records to the subtasks of another chain: it is the last step of a branch.
type edge struct {
	network   *exchange.Network
	partition graph.Partition
	columns   abi.Columns  // of records
	ahead     *combineStep // folds records before they come here; nil: nothing does
	receivers int
	senders   []*exchange.Sender // one a receiver, none of a blocking edge
	output    *exchange.Output   // of a blocking edge
	builders  []*abi.Builder     // one a sender; for broadcast, one for all
	next      int                // sender of the next batch, for rebalance and rescale
	chance    *rand.Rand         // for shuffle
	targets   []uint16           // sender by key group
	mask      uint64             // of the hash, when the number of key groups is a power of two
	rows      [][]uint32         // scratch: records of the batch by sender

	seen     int64       // the newest watermark, which passes with the next flush
	passed   int64       // the one that was sent
	source   func() bool // whether the stream is idle now
	idle     bool        // what passes with the next flush
	saidIdle bool        // what was sent

	metrics *taskMetrics
}

// newEdge makes an edge from a subtask to senders, one a receiving subtask, in their order.
func newEdge(network *exchange.Network, partition graph.Partition, subtask int, senders []*exchange.Sender, cols abi.Columns, groups int, m *taskMetrics) *edge {
	e := newEdgeTo(network, partition, subtask, len(senders), cols, groups, m)
	e.senders = senders
	return e
}

// newEdgeTo makes an edge from a subtask to so many receiving subtasks.
func newEdgeTo(network *exchange.Network, partition graph.Partition, subtask, receivers int, cols abi.Columns, groups int, m *taskMetrics) *edge {
	e := &edge{network: network, partition: partition, receivers: receivers, source: func() bool { return false }, seen: abi.MinTime, passed: abi.MinTime, metrics: m}
	e.next = subtask % receivers // so that subtasks do not all begin with the same receiver
	builders := receivers
	if partition == graph.Broadcast {
		builders = 1
	}
	for range builders {
		e.builders = append(e.builders, abi.NewBuilder(cols))
	}
	e.columns = e.builders[0].Columns()
	e.rows = make([][]uint32, receivers)
	if partition == graph.Shuffle {
		e.chance = rand.New(rand.NewPCG(uint64(subtask), 0))
	}
	if partition != graph.Hash {
		return e
	}
	e.targets = make([]uint16, groups)
	for g := range e.targets {
		e.targets[g] = uint16(graph.SubtaskOf(graph.KeyGroup(g), receivers, groups))
	}
	if groups&(groups-1) == 0 {
		e.mask = uint64(groups - 1)
	}
	return e
}

// remote says whether some of the records leave the process, or go to a file.
func (e *edge) remote() bool {
	return e.output != nil || slices.ContainsFunc(e.senders, (*exchange.Sender).Remote)
}

// head is the step that records go to on their way to the edge.
func (e *edge) head() step {
	if e.ahead != nil {
		return e.ahead
	}
	return e
}

func (e *edge) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	var hashes []uint64
	if e.partition == graph.Hash || e.builders[0].Columns()&abi.ColumnHashes != 0 {
		var err error
		if hashes, err = b.hashes(); err != nil {
			return err
		}
	}
	e.deal(b, hashes)
	return nil
}

// deal collects records, or accumulators, for their receivers.
func (e *edge) deal(b *batch, hashes []uint64) {
	e.reshape(b)
	for lo := 0; lo < b.N; {
		hi := pieceOf(&b.Batch, lo)
		e.take(b, lo, hi, hashes)
		lo = hi
	}
}

// reshape has the builders collect what b has: records, or accumulators. What they have goes first, so that it stays in order.
func (e *edge) reshape(b *batch) {
	cols := e.columns
	if b.Partials != nil {
		cols = b.Columns
	}
	if cols == e.builders[0].Columns() {
		return
	}
	for i, w := range e.builders {
		if w.Len() > 0 {
			e.send(i)
		}
		w.Reshape(cols)
	}
}

// take is process for the records from lo up to hi.
func (e *edge) take(b *batch, lo, hi int, hashes []uint64) {
	switch {
	case e.partition == graph.Rebalance || e.partition == graph.Rescale:
		e.appendRange(e.next, b, lo, hi, hashes)
		e.next = (e.next + 1) % e.receivers
	case e.receivers > 1 && (e.partition == graph.Hash || e.partition == graph.Shuffle || e.partition == graph.Custom):
		e.scatter(b, lo, hi, hashes)
	default: // global, forward, broadcast, or one receiver
		e.appendRange(0, b, lo, hi, hashes)
	}
}

// scatter deals the records out one by one, sender by sender.
func (e *edge) scatter(b *batch, lo, hi int, hashes []uint64) {
	rows := e.rows
	for i := range rows {
		rows[i] = rows[i][:0]
	}
	switch {
	case e.partition == graph.Shuffle:
		for i := lo; i < hi; i++ {
			t := e.chance.IntN(len(rows))
			rows[t] = append(rows[t], uint32(i))
		}
	case e.partition == graph.Custom:
		for i, t := range b.targets[lo:hi] {
			rows[t] = append(rows[t], uint32(lo+i))
		}
	case e.mask != 0:
		for i, h := range hashes[lo:hi] {
			t := e.targets[h&e.mask]
			rows[t] = append(rows[t], uint32(lo+i))
		}
	default:
		for i, h := range hashes[lo:hi] {
			t := e.targets[h%uint64(len(e.targets))]
			rows[t] = append(rows[t], uint32(lo+i))
		}
	}
	for to, r := range rows {
		if len(r) > 0 {
			e.builders[to].AppendRows(&b.Batch, r, hashes)
			e.sendFull(to)
		}
	}
}

func (e *edge) appendRange(to int, b *batch, lo, hi int, hashes []uint64) {
	e.builders[to].AppendRange(&b.Batch, lo, hi, hashes)
	e.sendFull(to)
}

func (e *edge) sendFull(to int) {
	if w := e.builders[to]; w.Len() >= batchRecords || w.Bytes() >= batchBytes {
		e.send(to)
	}
}

// send encodes builder number to and hands it to its channel, or to all of them for broadcast.
func (e *edge) send(to int) {
	if e.saidIdle && !e.source() {
		e.say(e.passed, false) // receivers count on the stream again before they have a record
	}
	w := e.builders[to]
	size := w.Size()
	e.metrics.out(w.Len(), size)
	buf := e.network.NewBuffer(size)
	w.Encode(buf.Bytes())
	w.Reset()
	switch {
	case e.output != nil && e.partition == graph.Broadcast:
		e.output.Send(0, e.receivers, buf)
		return
	case e.output != nil:
		e.output.Send(to, 1, buf)
		return
	case e.partition != graph.Broadcast:
		e.senders[to].Send(buf)
		return
	}
	for _, s := range e.senders[1:] {
		buf.Retain()
		s.Send(buf)
	}
	e.senders[0].Send(buf)
}

// advance remembers the watermark: it passes when what was collected before it is sent.
func (e *edge) advance(watermark int64) (bool, error) {
	e.seen = watermark
	return false, nil
}

// flush sends what has been collected, then the watermark.
func (e *edge) flush() {
	if e.ahead != nil && (e.seen != e.passed || !failpoint.Planted(failpoint.FoldedBehind)) {
		e.ahead.drain()
	}
	for i, w := range e.builders {
		if w.Len() > 0 {
			e.send(i)
		}
	}
	if e.seen != e.passed || e.idle != e.saidIdle {
		e.say(e.seen, e.idle)
	}
}

func (e *edge) say(watermark int64, idle bool) {
	e.passed, e.idle, e.saidIdle = watermark, idle, idle
	for _, s := range e.senders {
		s.Watermark(watermark, idle)
	}
}

// barrier sends everything, then the barrier.
func (e *edge) barrier(m exchange.Mark) {
	e.flush()
	for _, s := range e.senders {
		s.Barrier(m)
	}
}

// end sends everything and says that no more will come.
func (e *edge) end() {
	e.flush()
	if e.output != nil {
		e.output.End()
	}
	for _, s := range e.senders {
		s.End()
	}
}

// full says that a channel is over its limit.
func (e *edge) full() bool {
	for _, s := range e.senders {
		if s.Full() {
			return true
		}
	}
	return false
}

// broken is why a channel cannot be sent to, nil when all can.
func (e *edge) broken() error {
	if e.output != nil {
		return outputFailure(e.output.Err())
	}
	for _, s := range e.senders {
		if err := s.Err(); err != nil {
			return err
		}
	}
	return nil
}

// delivered says whether every receiver has all that was sent to it, END included.
func (e *edge) delivered() bool {
	for _, s := range e.senders {
		if !s.Delivered() {
			return false
		}
	}
	return true
}

func (e *edge) close() {
	if e.output != nil {
		e.output.Close()
	}
	for _, s := range e.senders {
		s.Close()
	}
}
