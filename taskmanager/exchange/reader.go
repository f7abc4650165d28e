package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
)

// helloTime bounds the wait for a stream's first frame, which its sender writes at once.
const helloTime = 10 * time.Second

const leastBatch = abi.BatchHeaderBytes

// serve reads the streams of a connection that a peer opened, and returns when it has ended.
func (n *Network) serve(conn *transport.DataConn) {
	ctx, cancel := context.WithCancel(n.ctx)
	defer cancel() // ends the parked streams of the connection
	for {
		stream, err := conn.Accept(ctx)
		if err != nil {
			return
		}
		if !n.start(func() { n.receive(ctx, conn, stream) }) {
			return
		}
	}
}

// start runs f as a goroutine that Close waits for; false when the network is closed.
func (n *Network) start(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.wg.Go(f)
	}
	return !n.closed
}

// reader is the goroutine of one incoming stream: it fills the gate's queue, and stops reading while that is full. QUIC's
// flow control then stops the sender.
type reader struct {
	net    *Network
	stream *transport.ReceiveStream
	queue  *queue
	space  chan struct{} // capacity 1: the queue is no longer full, or stopped
	header [frameBytes]byte
	read   uint64 // batches
}

// receive is a stream's whole life.
func (n *Network) receive(ctx context.Context, conn *transport.DataConn, stream *transport.ReceiveStream) {
	key, kind, err := readHello(stream)
	if err != nil {
		stream.Stop(codeProtocol)
		return
	}
	if kind == helloUrgent {
		n.receiveNotices(ctx, key.Attempt, stream)
		return
	}
	r := &reader{net: n, stream: stream, space: make(chan struct{}, 1)}
	if r.queue, err = n.claim(ctx, key, r); err != nil {
		stream.Stop(codeOf(err))
		return
	}
	n.counters.channelsIn.Add(1)
	defer n.counters.channelsIn.Add(-1)
	if err := r.run(); err != nil {
		r.queue.fail(key.error(fmt.Errorf("from %s: %w", conn.Peer, reason(err))))
		stream.Stop(codeOf(err))
		return
	}
	stream.Stop(codeDone)
}

// reason puts the code of a stream that its sender gave up into words.
func reason(err error) error {
	var reset *transport.ResetError
	if errors.As(err, &reset) {
		return reasonOf(reset.Code)
	}
	return err
}

// codeOf is what the sender is told.
func codeOf(err error) transport.StreamCode {
	switch {
	case errors.Is(err, ErrStale):
		return codeStale
	case errors.Is(err, errRefused):
		return codeRefused
	case errors.Is(err, errBusy):
		return codeBusy
	case errors.Is(err, errGone):
		return codeGone
	}
	return codeProtocol
}

func readHello(stream *transport.ReceiveStream) (channelKey, int, error) {
	stream.SetReadDeadline(time.Now().Add(helloTime))
	defer stream.SetReadDeadline(time.Time{})
	var p [helloBytes]byte
	if _, err := io.ReadFull(stream, p[:]); err != nil {
		return channelKey{}, 0, err
	}
	k, kind, jobBytes, err := parseHello(p[:])
	if err != nil {
		return k, 0, err
	}
	job := make([]byte, jobBytes)
	_, err = io.ReadFull(stream, job)
	k.Job = graph.JobID(job)
	return k, kind, err
}

// run moves frames until END. Its error is nil for END only.
func (r *reader) run() error {
	for {
		if err := r.waitForSpace(); err != nil {
			return err
		}
		if err := readFull(r.stream, r.header[:]); err != nil {
			return err
		}
		f, err := parseFrame(&r.header, r.read)
		if err != nil {
			return fmt.Errorf("%w: %w", errProtocol, err)
		}
		it := item{kind: f.kind}
		switch f.kind {
		case Batch:
			it.number = f.value
			if it.buffer, err = r.readBatch(f.follows); err != nil {
				return err
			}
		case Watermark:
			it.value, it.idle = int64(f.value), f.idle
		case Barrier:
			var p [barrierBytes]byte
			if err := readFull(r.stream, p[:]); err != nil {
				return err
			}
			if it.mark, err = parseMark(f.value, &p); err == nil {
				err = r.queue.disagrees(it.mark, r.read)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", errProtocol, err)
			}
		}
		if err := r.queue.push(it); err != nil {
			return err
		}
		if f.kind == End {
			return nil
		}
	}
}

func (r *reader) waitForSpace() error {
	for r.queue.full.Load() {
		<-r.space // stop nudges too, as full is false from then on
	}
	return r.queue.broken()
}

func (r *reader) readBatch(size int) (*Buffer, error) {
	b := newBuffer(size)
	if err := readFull(r.stream, b.Bytes()); err != nil {
		b.Release()
		return nil, err
	}
	r.read++
	r.net.counters.batchesIn.Add(1)
	r.net.counters.bytesIn.Add(int64(size))
	return b, nil
}

// readFull is io.ReadFull in which the stream's end is always too early.
func readFull(stream *transport.ReceiveStream, p []byte) error {
	_, err := io.ReadFull(stream, p)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errCut
	}
	return err
}
