package exchange

import (
	"sync"
	"sync/atomic"
)

// item is one thing in a channel's queue.
type item struct {
	kind   Kind
	number uint64  // of a batch: 1, 2, 3 ... in its channel
	value  int64   // of a watermark
	idle   bool    // with it: the sender expects nothing for now
	mark   Mark    // of a barrier
	buffer *Buffer // of a batch
}

// cost counts the room a buffer takes, not the bytes it holds; other items have a small price, so that a queue of
// watermarks is bounded too.
func (i item) cost() int {
	if i.buffer == nil {
		return 64
	}
	return 64 + len(i.buffer.room)
}

// consumer takes items out of queues: a gate (a local channel, or the receiving end of a remote one), or a writer (the
// sending end). It is called without any lock of the queue held.
type consumer interface {
	ready(channel int)             // the queue is no longer empty
	failed(channel int, why error) // no more items will come, and END was not among them

	announced(channel int, m Mark, number uint64) // a barrier that overtakes stands behind batch number
}

// queue connects one producer with one consumer. The producer never waits: it is told that the queue is full, and has a
// nudge when it no longer is. It is full from its limit on until half of that is left, so that neither side is woken for
// every batch.
type queue struct {
	limit int
	full  atomic.Bool // written under mu

	mu       sync.Mutex // guards what follows
	channel  int        // in the consumer's numbering
	ring     []item     // a power of two
	head, n  int
	bytes    int
	consumer consumer        // nil while a local sender waits for its gate
	producer chan<- struct{} // capacity 1; nil while there is none
	abort    func()          // ends the producer's stream when the consumer stops; nil for a task
	ended    bool            // END has been pushed
	failure  error           // the producer's end
	stopped  error           // the consumer's end: what is pushed is dropped

	announced   Mark     // the newest barrier that is known to come, or has come
	announcedAt uint64   // batch that it stands behind
	captured    *Capture // takes what is pushed, nil while there is none
	lane        int      // of captured
	raised      bool     // the limit does not count
}

func newQueue(limit int) *queue { return &queue{limit: limit} }

// push appends an item and owns its buffer. It answers why the consumer stopped, if it did.
func (q *queue) push(it item) error {
	q.mu.Lock()
	if q.stopped != nil {
		q.mu.Unlock()
		if it.buffer != nil {
			it.buffer.Release()
		}
		return q.stopped
	}
	if q.captured != nil && closesLane(q.captured, q.lane, &it) {
		q.lower()
	}
	if it.kind == Watermark && q.n > 0 && q.last().kind == Watermark {
		*q.last() = it // the newer one says it all
		q.mu.Unlock()
		return nil
	}
	q.grow()
	q.n++
	*q.last() = it
	q.ended = q.ended || it.kind == End
	q.bytes += it.cost()
	if q.bytes >= q.limit && !q.raised {
		q.full.Store(true)
	}
	consumer, channel, first := q.consumer, q.channel, q.n == 1
	q.mu.Unlock()
	if first && consumer != nil {
		consumer.ready(channel)
	}
	return nil
}

// last is the item at the tail; n > 0.
func (q *queue) last() *item { return &q.ring[(q.head+q.n-1)&(len(q.ring)-1)] }

func (q *queue) grow() {
	if q.n < len(q.ring) {
		return
	}
	ring := make([]item, max(8, 2*len(q.ring)))
	for i := range q.n {
		ring[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
	}
	q.ring, q.head = ring, 0
}

// pop takes the oldest item out; more says that another is there.
func (q *queue) pop() (it item, ok, more bool) {
	q.mu.Lock()
	it, ok = q.take()
	more = q.n > 0
	wake := q.settle(it, ok)
	q.mu.Unlock()
	nudge(wake)
	return it, ok, more
}

// first is the kind of the oldest item, 0: there is none.
func (q *queue) first() Kind {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		return 0
	}
	return q.ring[q.head].kind
}

// begin takes the oldest item out, whose room counts until the consumer has finished with it.
func (q *queue) begin() (it item, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.take()
}

func (q *queue) finish(it item) {
	q.mu.Lock()
	wake := q.settle(it, q.stopped == nil)
	q.mu.Unlock()
	nudge(wake)
}

// take takes the oldest item out, but not its room. q.mu is held.
func (q *queue) take() (it item, ok bool) {
	if q.n == 0 {
		return item{}, false
	}
	it = q.ring[q.head]
	q.ring[q.head] = item{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return it, true
}

// settle gives the room of an item back, if there was one, and answers who is to be woken. q.mu is held.
func (q *queue) settle(it item, ok bool) (wake chan<- struct{}) {
	if !ok {
		return nil
	}
	q.bytes -= it.cost()
	if q.full.Load() && q.bytes <= q.limit/2 {
		q.full.Store(false)
		return q.producer
	}
	return nil
}

// adopt gives the queue its consumer, who then learns what has happened before.
func (q *queue) adopt(channel int, c consumer) {
	q.mu.Lock()
	q.channel, q.consumer = channel, c
	some, failure := q.n > 0, q.failure
	q.mu.Unlock()
	if some {
		c.ready(channel)
	}
	if failure != nil {
		c.failed(channel, failure)
	}
}

// produce gives the queue its producer; false when it has one.
func (q *queue) produce(wake chan<- struct{}, abort func()) bool {
	q.mu.Lock()
	free := q.producer == nil
	if free {
		q.producer, q.abort = wake, abort
	}
	stopped := q.stopped
	q.mu.Unlock()
	if free && stopped != nil && abort != nil {
		abort()
	}
	return free
}

// fail is the producer's end without END. What is queued stays.
func (q *queue) fail(why error) {
	q.mu.Lock()
	if q.ended || q.failure != nil || q.stopped != nil {
		q.mu.Unlock()
		return
	}
	q.failure = why
	c, channel := q.consumer, q.channel
	q.mu.Unlock()
	if c != nil {
		c.failed(channel, why)
	}
}

// breakOff is the producer's end at once: what is queued is dropped, and what it still pushes. Its consumer is told one
// thing, it answers the other itself.
func (q *queue) breakOff(told, why error) {
	q.mu.Lock()
	if q.failure != nil || q.stopped != nil {
		q.mu.Unlock()
		return
	}
	q.failure, q.stopped = told, why
	q.drop()
	c, channel, wake := q.consumer, q.channel, q.producer
	q.mu.Unlock()
	if c != nil {
		c.failed(channel, told)
	}
	nudge(wake)
}

// stop is the consumer's end: what is queued is dropped, and what is pushed from now on. A stream whose END is here came
// to its good end, also when its reader has not yet said so.
func (q *queue) stop(why error) {
	q.mu.Lock()
	if q.stopped != nil {
		q.mu.Unlock()
		return
	}
	q.stopped = why
	q.drop()
	wake, abort, ended := q.producer, q.abort, q.ended
	q.mu.Unlock()
	if abort != nil && !ended {
		abort()
	}
	nudge(wake)
}

// drop empties the queue. q.mu is held.
func (q *queue) drop() {
	for ; q.n > 0; q.n-- {
		if b := q.ring[q.head].buffer; b != nil {
			b.Release()
		}
		q.head = (q.head + 1) & (len(q.ring) - 1)
	}
	q.ring, q.head, q.bytes = nil, 0, 0
	q.captured, q.raised = nil, false // who waits for the capture ends with the attempt
	q.full.Store(false)
}

// broken is why the consumer stopped, nil while it has not.
func (q *queue) broken() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stopped
}

func (q *queue) hasEnded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended
}

// nudge tells a goroutine to look again; one that has been told already needs no second word.
func nudge(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}: // never ready when wake is nil
	default:
	}
}
