package exchange

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/transport"
)

// writer is the goroutine of a remote sender: it takes items from the queue and writes them to the channel's stream. It
// ends when the receiver has END, or when either side gives up.
type writer struct {
	sender *Sender
	addr   string
	wake   chan<- struct{} // the task's
	more   chan struct{}   // capacity 1: the queue is not empty
	ctx    context.Context
	cancel context.CancelFunc
	stream *transport.SendStream
	header [frameBytes]byte
	sent   uint64 // batches
	pace   pace

	mu     sync.Mutex // guards what follows
	link   *link      // nil before there is a connection
	early  Mark       // of a notice that waits for it
	behind uint64     // batch that it is about
}

// startWriter makes the sender a remote one. n.mu is held, so the network is not closed before the goroutine counts.
func (n *Network) startWriter(s *Sender, addr string, wake chan<- struct{}) {
	w := &writer{sender: s, addr: addr, wake: wake, more: make(chan struct{}, 1)}
	w.ctx, w.cancel = context.WithCancel(n.ctx)
	s.queue.adopt(0, w)
	n.wg.Go(w.run)
}

// ready and failed make the writer a consumer.
func (w *writer) ready(int)         { nudge(w.more) }
func (w *writer) failed(int, error) { w.cancel() }

func (w *writer) announced(_ int, m Mark, number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.link == nil {
		w.early, w.behind = m, number
		return
	}
	w.link.announce(w.sender.net, w.sender.key, m, number)
}

// connected says which connection carries the channel, nil none any more.
func (w *writer) connected(l *link) {
	w.mu.Lock()
	w.link = l
	m, number := w.early, w.behind
	w.early = Mark{}
	w.mu.Unlock()
	if l != nil && m.Checkpoint != 0 {
		w.announced(0, m, number)
	}
}

func (w *writer) run() {
	defer w.cancel()
	err := w.deliver()
	var reset *transport.ResetError
	if errors.As(err, &reset) {
		err = reasonOf(reset.Code)
		if reset.Code == codeDone {
			w.sender.delivered.Store(true)
		}
	}
	w.sender.queue.stop(err)
	nudge(w.wake)
}

// deliver writes the whole channel. Its error says how that ended; a ResetError of codeDone is the good end.
func (w *writer) deliver() error {
	n := w.sender.net
	key := w.sender.key
	l, err := n.links.acquire(linkKey{key.Attempt, w.addr})
	if err != nil {
		return err
	}
	defer n.links.release(l)
	w.connected(l)
	defer w.connected(nil)
	if w.stream, err = l.conn.Open(w.ctx); err != nil {
		return err
	}
	defer w.stream.Reset(codeAborted) // without effect on a stream that the receiver has stopped
	defer context.AfterFunc(w.ctx, func() { w.stream.Reset(codeAborted) })()
	if _, err := w.stream.Write(appendHello(nil, key, helloChannel)); err != nil {
		return err
	}
	for {
		it, ok := w.sender.queue.begin()
		if !ok {
			if err := w.wait(); err != nil {
				return err
			}
			continue
		}
		err := w.write(it)
		w.sender.queue.finish(it)
		if it.buffer != nil {
			it.buffer.Release()
		}
		if err != nil {
			return err
		}
	}
}

// wait returns when the queue is not empty; after END that never is, and the receiver's stop is the error.
func (w *writer) wait() error {
	select {
	case <-w.more:
		return nil
	case <-w.stream.Done():
		return w.stream.Cause()
	case <-w.ctx.Done():
		return errAborted
	}
}

func (w *writer) write(it item) error {
	switch it.kind {
	case Batch:
		return w.writeBatch(it)
	case Watermark:
		return w.writeFrame(Watermark, it.idle, 0, uint64(it.value))
	case Barrier:
		var p [barrierBytes]byte
		putMark(&p, it.mark)
		if err := w.writeFrame(Barrier, false, barrierBytes, uint64(it.mark.Checkpoint)); err != nil {
			return err
		}
		_, err := w.stream.Write(p[:])
		return err
	default:
		return w.writeFrame(End, false, 0, w.sent)
	}
}

func (w *writer) writeBatch(it item) error {
	w.sent = it.number
	begun := time.Now()
	if err := w.writeFrame(Batch, false, it.buffer.n, it.number); err != nil {
		return err
	}
	if _, err := w.stream.Write(it.buffer.Bytes()); err != nil {
		return err
	}
	if limit, known := w.pace.wrote(it.buffer.n, time.Since(begun)); known {
		w.sender.queue.setLimit(min(limit, w.sender.net.queueBytes))
	}
	c := &w.sender.net.counters
	c.batchesOut.Add(1)
	c.bytesOut.Add(int64(it.buffer.n))
	return nil
}

func (w *writer) writeFrame(kind Kind, idle bool, follows int, value uint64) error {
	putFrame(&w.header, kind, idle, follows, value)
	_, err := w.stream.Write(w.header[:])
	return err
}
