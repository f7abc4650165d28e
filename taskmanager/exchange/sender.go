package exchange

import (
	"fmt"
	"sync/atomic"

	"github.com/wasmill/wasmill/internal/graph"
)

// Sender is the sending end of a channel. Send, Watermark and End are for the task's goroutine, the rest for any. After
// the channel has broken, what is sent is dropped, Full is false and Err says why.
type Sender struct {
	key       channelKey
	net       *Network
	queue     *queue
	remote    bool
	number    uint64      // of the last batch
	delivered atomic.Bool // END is in the receiver's queue
	closed    atomic.Bool
}

// Sender makes the sending end of the channel from one subtask to another over an edge. The receiver is in this process
// when addr is empty, otherwise in the TaskManager that listens there. wake is nudged when the channel stops being full,
// when it breaks, and when END has been delivered.
func (n *Network) Sender(a Attempt, edge int, from, to graph.TaskID, addr string, wake chan<- struct{}) *Sender {
	s := &Sender{key: channelKey{a, edge, from, to}, net: n, remote: addr != ""}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.attempts[a]
	switch {
	case at == nil:
		return s.stillborn(ErrStale, wake)
	case addr == "":
		q, why := n.localQueue(at, s.key, wake)
		if why != nil {
			return s.stillborn(why, wake)
		}
		s.queue = q
	case n.endpoint == nil:
		return s.stillborn(fmt.Errorf("no way to %s: this process has no endpoint", addr), wake)
	default:
		s.queue = newQueue(n.queueBytes)
		s.queue.produce(wake, nil)
		n.startWriter(s, addr, wake)
	}
	at.senders[s] = struct{}{}
	return s
}

// Remote says whether the receiver is in another process.
func (s *Sender) Remote() bool { return s.remote }

// localQueue is the gate's, or one that the gate will adopt. n.mu is held.
func (n *Network) localQueue(at *attempt, k channelKey, wake chan<- struct{}) (*queue, error) {
	q := at.early[k]
	if g := at.gates[k.gate()]; g != nil {
		i, ok := g.index(k)
		if !ok {
			return nil, errUnexpected
		}
		q = g.channels[i].queue
	} else if q == nil {
		q = newQueue(n.queueBytes)
		at.early[k] = q
	}
	if !q.produce(wake, nil) {
		return nil, errSecond
	}
	return q, nil
}

// stillborn makes the channel a broken one.
func (s *Sender) stillborn(why error, wake chan<- struct{}) *Sender {
	s.queue = &queue{stopped: why}
	nudge(wake)
	return s
}

// Send gives the channel a batch; the buffer is no longer the caller's. It never blocks and may exceed the queue's limit.
func (s *Sender) Send(b *Buffer) {
	if b.n > MaxBatchBytes {
		why := fmt.Errorf("a batch of %d bytes (expected <= %d)", b.n, MaxBatchBytes)
		b.Release()
		s.breakOff(why)
		return
	}
	s.number++
	_ = s.queue.push(item{kind: Batch, number: s.number, buffer: b}) // Err tells
}

// Watermark sends a watermark behind the batches sent so far, and whether the sender is idle: it expects nothing for now.
func (s *Sender) Watermark(value int64, idle bool) {
	_ = s.queue.push(item{kind: Watermark, value: value, idle: idle})
}

// Barrier sends a barrier behind what was sent so far. Of one that overtakes the receiver hears before it comes.
func (s *Sender) Barrier(m Mark) {
	if s.queue.push(item{kind: Barrier, mark: m}) == nil && m.overtakes() {
		s.queue.announce(m, s.number)
	}
}

// End says that nothing more will come. The task is not done before Delivered: until then the channel can still break.
func (s *Sender) End() {
	if s.queue.push(item{kind: End}) == nil && !s.remote {
		s.delivered.Store(true)
	}
}

// Delivered says that the receiver's process has everything up to END, and needs this one no more.
func (s *Sender) Delivered() bool { return s.delivered.Load() }

// Full says that the channel is over its limit: the task takes no new input before it is nudged.
func (s *Sender) Full() bool { return s.queue.full.Load() }

// Err says why the channel broke, nil while it has not, and once END is delivered.
func (s *Sender) Err() error {
	why := s.queue.broken()
	if why == nil || s.delivered.Load() {
		return nil
	}
	return s.key.error(why)
}

// Close gives the sender up. Before End it aborts the channel, and its receiver fails, if it has heard of the channel at
// all (a task that stops so has failed itself); after End what is queued is still delivered. It does not wait.
func (s *Sender) Close() {
	if s.closed.Swap(true) {
		return
	}
	s.net.mu.Lock()
	if at := s.net.attempts[s.key.Attempt]; at != nil {
		delete(at.senders, s)
	}
	s.net.mu.Unlock()
	if !s.queue.hasEnded() {
		s.breakOff(errAborted)
	}
}

// breakOff is the sender's own end without END.
func (s *Sender) breakOff(why error) {
	s.queue.breakOff(s.key.error(why), why)
}
