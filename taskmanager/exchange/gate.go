package exchange

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// Kind says what an element is.
type Kind uint8

const (
	Batch     Kind = 1
	Watermark Kind = 2
	End       Kind = 3 // the last of its channel
	Barrier   Kind = 4 // of a checkpoint
	Failed    Kind = 5 // the channel broke; it overtakes what is queued
)

// Mark is what a barrier says.
type Mark struct {
	Checkpoint checkpoint.ID
	Base       checkpoint.ID // the last completed one, 0: none
	Stop       bool          // nothing that is to be processed follows
	Drain      bool          // with Stop: the maximum watermark came before
	Exchange   uint32        // behind it, tasks go on with the guests that were prepared under this number; 0: with those they have

	Unaligned   bool // it overtakes what is in flight before it: receivers take their part when they hear of it
	MayOvertake bool // it becomes unaligned where it has waited too long for those of other channels
}

// Element is what a gate gives its task.
type Element struct {
	Kind      Kind
	Input     int     // index in the inputs given to Gate
	Channel   int     // among all channels of the gate: those of input 0 first, each input's in the order of its senders
	Number    uint64  // of a batch: 1, 2, 3 ... in its channel; 0: it was restored
	Watermark int64   // of a watermark; one that a newer one followed at once is left out
	Idle      bool    // with it: nothing is to be expected of the channel for now, and it holds no watermark back
	Mark      Mark    // of a barrier
	Buffer    *Buffer // of a batch, now the task's; not checked: Parse does that
	Err       error   // of Failed
}

// GateInput is one input of a task: an edge, and the subtasks that send on it: Senders of them, from First. Channel i of it
// is the one from subtask First + i.
type GateInput struct {
	Edge           int
	First, Senders int
	Ended          []int // subtasks that had ended before: nobody sends for them
}

// Gate is where a task takes its input from: all its channels, in turn. Next, Pause, Resume and Close are for the task's
// goroutine; Close is for any.
type Gate struct {
	inputs   []GateInput
	wake     chan<- struct{} // the task's, capacity 1
	channels []gateChannel
	captured *Capture    // the newest, the task's
	noticed  atomic.Bool // there are notices

	mu       sync.Mutex // guards what follows
	notices  []Notice
	restored []Restored // what comes before anything of a channel
	turn     []int      // ring of the channels that hold something, the next one first
	head, n  int
	failures []Element
	closed   bool
}

type gateChannel struct {
	queue  *queue
	input  int
	paused bool // guarded by Gate.mu, as is held
	held   bool // paused when its turn came: not in turn though it holds something
}

// Gate makes the gate of a task of an attached attempt; wake is nudged when Next may have something. Of an attempt that
// is not attached it is closed from the start.
func (n *Network) Gate(a Attempt, task graph.TaskID, inputs []GateInput, wake chan<- struct{}) *Gate {
	g := &Gate{inputs: inputs, wake: wake}
	for i, in := range inputs {
		for k := range in.Senders {
			q := newQueue(n.queueBytes)
			if slices.Contains(in.Ended, in.First+k) {
				_ = q.push(item{kind: End}) // it takes all
			}
			g.channels = append(g.channels, gateChannel{queue: q, input: i})
		}
	}
	g.turn = make([]int, len(g.channels))
	n.mu.Lock()
	at := n.attempts[a]
	if at == nil {
		n.mu.Unlock()
		g.Close()
		return g
	}
	early := g.takeEarly(a, task, at)
	for _, in := range inputs {
		k := gateKey{a, in.Edge, task}
		at.gates[k] = g
		n.wake(func(w gateKey) bool { return w == k })
	}
	n.mu.Unlock()
	for i := range g.channels {
		g.channels[i].queue.adopt(i, g)
	}
	for _, q := range early {
		q.stop(errUnexpected)
	}
	return g
}

// takeEarly makes the queues that local senders have filled the gate's own, and answers those that fit no input.
func (g *Gate) takeEarly(a Attempt, task graph.TaskID, at *attempt) (unfit []*queue) {
	for k, q := range at.early {
		if k.to != task {
			continue
		}
		i, ok := g.index(k)
		if !ok {
			if g.has(k.edge) {
				unfit = append(unfit, q)
				delete(at.early, k)
			}
			continue
		}
		g.channels[i].queue = q
		delete(at.early, k)
	}
	return unfit
}

func (g *Gate) has(edge int) bool {
	for _, in := range g.inputs {
		if in.Edge == edge {
			return true
		}
	}
	return false
}

// index is the number of a channel at this gate.
func (g *Gate) index(k channelKey) (int, bool) {
	first := 0
	for _, in := range g.inputs {
		if in.Edge != k.edge {
			first += in.Senders
			continue
		}
		i := k.from.Subtask - in.First
		return first + i, 0 <= i && i < in.Senders
	}
	return 0, false
}

// Inputs are the inputs of the channels, by channel.
func (g *Gate) Inputs() []int {
	inputs := make([]int, len(g.channels))
	for i := range g.channels {
		inputs[i] = g.channels[i].input
	}
	return inputs
}

// Channels is how many channels the gate has.
func (g *Gate) Channels() int { return len(g.channels) }

// Next takes the next element, from the channels in turn; false when nothing is there. It never blocks.
func (g *Gate) Next() (Element, bool) {
	for {
		i, failure, ok := g.pick()
		if failure != nil {
			return *failure, true
		}
		if !ok {
			return Element{}, false
		}
		if i == ofRestored {
			return g.nextRestored(), true
		}
		if e, ok := g.take(i); ok {
			return e, true
		}
	}
}

// NextMark is Next of barriers that stand first in their channel, and of ENDs of channels of which ends says so: nothing of what is
// before them is still to be taken.
func (g *Gate) NextMark(ends func(channel int) bool) (Element, bool) {
	if i, ok := g.pickMark(ends); ok {
		return g.take(i)
	}
	return Element{}, false
}

// take takes the oldest item of a channel that is out of the ring.
func (g *Gate) take(channel int) (Element, bool) {
	c := &g.channels[channel]
	it, ok, more := c.queue.pop()
	if more {
		g.enqueue(channel)
	}
	return Element{Kind: it.kind, Input: c.input, Channel: channel, Number: it.number, Watermark: it.value, Idle: it.idle, Mark: it.mark, Buffer: it.buffer}, ok
}

// pickMark takes a channel that has a barrier first, or END, out of the ring.
func (g *Gate) pickMark(ends func(channel int) bool) (channel int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.failures)+len(g.restored) > 0 {
		return 0, false
	}
	at := func(k int) *int { return &g.turn[(g.head+k)%len(g.turn)] }
	for k := range g.n {
		i := *at(k)
		if c := &g.channels[i]; c.paused || c.queue.first() != Barrier && (c.queue.first() != End || !ends(i)) {
			continue
		}
		for ; k > 0; k-- {
			*at(k) = *at(k - 1)
		}
		g.head = (g.head + 1) % len(g.turn)
		g.n--
		return i, true
	}
	return 0, false
}

// pick takes the channel whose turn it is out of the ring; it answers ofRestored as long as there are restored batches.
func (g *Gate) pick() (channel int, failure *Element, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.failures) > 0 {
		failure = &g.failures[0]
		g.failures = g.failures[1:]
		return 0, failure, true
	}
	if len(g.restored) > 0 {
		return ofRestored, nil, true
	}
	for g.n > 0 {
		i := g.turn[g.head]
		g.head = (g.head + 1) % len(g.turn)
		g.n--
		if !g.channels[i].paused {
			return i, nil, true
		}
		g.channels[i].held = true
	}
	return 0, nil, false
}

// enqueue gives the channel its next turn. A channel that holds something is in the ring once, or held.
func (g *Gate) enqueue(i int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.turn[(g.head+g.n)%len(g.turn)] = i
	g.n++
	return true
}

// ready and failed make the gate a consumer.
func (g *Gate) ready(channel int) {
	if g.enqueue(channel) {
		nudge(g.wake)
	}
}

func (g *Gate) failed(channel int, why error) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.failures = append(g.failures, Element{Kind: Failed, Input: g.channels[channel].input, Channel: channel, Err: why})
	g.mu.Unlock()
	nudge(g.wake)
}

// Pause stops Next from taking from a channel, whose sender then feels back-pressure; Resume goes on.
func (g *Gate) Pause(channel int) {
	g.mu.Lock()
	g.channels[channel].paused = true
	g.mu.Unlock()
}

// Resume undoes Pause.
func (g *Gate) Resume(channel int) {
	g.mu.Lock()
	c := &g.channels[channel]
	c.paused = false
	held := c.held
	c.held = false
	g.mu.Unlock()
	if held {
		g.ready(channel)
	}
}

// Close drops what is queued and ends the channels that have not ended: their senders fail.
func (g *Gate) Close() {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.closed = true
	g.head, g.n, g.failures = 0, 0, nil
	for _, r := range g.restored {
		r.Buffer.Release()
	}
	g.restored = nil
	g.mu.Unlock()
	for i := range g.channels {
		g.channels[i].queue.stop(errGone)
	}
}
