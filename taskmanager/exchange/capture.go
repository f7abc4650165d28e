package exchange

import (
	"sync"

	"github.com/wasmill/wasmill/internal/checkpoint"
)

// Capture is what was in flight on some channels of a gate when an unaligned barrier passed: for each channel, the batches
// that its task had not taken yet and that came before the barrier, in their order. The task goes on to process them all
// the same; the capture holds the same batches. It is complete when every channel's barrier or END is here. Watermarks are
// not part of it: a sender that goes on says anew what it has promised, and until then no record is late.
type Capture struct {
	checkpoint checkpoint.ID
	done       chan struct{} // closed when complete, or given up

	mu      sync.Mutex // guards what follows; locked with a queue's lock held, never the other way round
	lanes   []Lane
	open    int // lanes whose barrier is not here
	givenUp bool
}

// Lane is a channel's part of a capture. A channel may have several; what is in an earlier lane came earlier.
type Lane struct {
	Channel int
	Batches []*Buffer // nobody writes into them any more
}

// Done is closed when the capture is complete or given up.
func (c *Capture) Done() <-chan struct{} { return c.done }

// Lanes are what was captured, false when it was given up. They are to be read after Done and before Release.
func (c *Capture) Lanes() ([]Lane, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lanes, !c.givenUp
}

// Release frees the batches.
func (c *Capture) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.lanes {
		for _, b := range l.Batches {
			b.Release()
		}
	}
	c.lanes = nil
}

// add takes a batch of a lane.
func (c *Capture) add(lane int, b *Buffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lanes == nil || c.givenUp {
		return // released, or of no use
	}
	b.Retain()
	c.lanes[lane].Batches = append(c.lanes[lane].Batches, b)
}

// closed says that a lane is complete.
func (c *Capture) closed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open--; c.open == 0 && !c.givenUp {
		close(c.done)
	}
}

// giveUp ends a capture that is not complete.
func (c *Capture) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open > 0 && !c.givenUp {
		c.givenUp = true
		close(c.done)
	}
}

// Capture begins to hold what is in flight on these channels before their barriers of a checkpoint, and what of restored
// batches is left. It gives up the capture before, if that is not complete.
func (g *Gate) Capture(id checkpoint.ID, channels []int) *Capture {
	g.GiveUpCapture()
	c := &Capture{checkpoint: id, done: make(chan struct{}), open: len(channels), lanes: g.leftOfRestored()}
	if len(channels) == 0 {
		close(c.done)
	}
	first := len(c.lanes)
	for _, i := range channels {
		c.lanes = append(c.lanes, Lane{Channel: i})
	}
	for lane, i := range channels {
		g.channels[i].queue.capture(c, first+lane)
	}
	g.captured = c
	return c
}

// GiveUpCapture ends the capture that is going on, if any.
func (g *Gate) GiveUpCapture() {
	c := g.captured
	if c == nil {
		return
	}
	g.captured = nil
	c.giveUp()
	for i := range g.channels {
		g.channels[i].queue.endCapture(c)
	}
}

// GiveUpCaptureOf is GiveUpCapture, if it is of this checkpoint or an older one.
func (g *Gate) GiveUpCaptureOf(id checkpoint.ID) {
	if g.captured != nil && g.captured.checkpoint <= id {
		g.GiveUpCapture()
	}
}

// capture makes c hold what the queue has, and what will be pushed, up to the barrier of its checkpoint or END.
func (q *queue) capture(c *Capture, lane int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.n {
		if closesLane(c, lane, &q.ring[(q.head+i)&(len(q.ring)-1)]) {
			return
		}
	}
	q.captured, q.lane = c, lane
	q.raise()
}

// closesLane has the capture take an item, and says whether that was the lane's last.
func closesLane(c *Capture, lane int, it *item) bool {
	switch {
	case it.kind == Batch:
		c.add(lane, it.buffer)
		return false
	case it.kind == Watermark:
		return false
	case it.kind == Barrier && it.mark.Checkpoint < c.checkpoint:
		return false
	case it.kind == Barrier && it.mark.Checkpoint > c.checkpoint: // the sender had not taken part in it
		c.giveUp()
		return true
	}
	c.closed()
	return true
}

// raise lifts the queue's limit while the barrier that a capture waits for is known to come: what is before it is all that
// the queue can get. q.mu is held.
func (q *queue) raise() {
	if q.captured == nil || q.announced.Checkpoint != q.captured.checkpoint || q.raised {
		return
	}
	q.raised = true
	if q.full.Swap(false) {
		nudge(q.producer)
	}
}

// endCapture ends the queue's part in a capture.
func (q *queue) endCapture(c *Capture) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.captured == c {
		q.lower()
	}
}

// lower ends a capture here. q.mu is held.
func (q *queue) lower() {
	q.captured = nil
	if q.raised {
		q.raised = false
		q.full.Store(q.bytes >= q.limit)
	}
}
