package transport

import (
	"context"
	"io"
	"time"

	"github.com/quic-go/quic-go"
)

// A data connection's windows: what its receiver may be sent before it reads. Windows are limits, not memory: a stream
// that is read at once holds a packet or two.
//
// The window of a connection is shared by its streams, and unread bytes of streams nobody reads must never use up what the
// others need. quic-go grants credit again only when a quarter of the window has been read, so three quarters are sure:
// 24 channels x 512 KiB = 12 MiB = 3/4 of 16 MiB.
const (
	StreamWindow = 512 << 10
	ConnWindow   = 16 << 20
	ConnChannels = ConnWindow / 4 * 3 / StreamWindow
)

// StreamCode says why one side gave up a stream. The codes are its users'.
type StreamCode uint64

// ResetError is what reading or writing a stream answers when the other side gave it up.
type ResetError struct{ Code StreamCode }

func (e *ResetError) Error() string { return "given up by the other side" }

// DataConn is a connection between two TaskManagers, for streams in both directions of which each side reads those that
// the other opened.
type DataConn struct {
	Peer string // address, for messages
	conn *quic.Conn
}

// Accept waits for the next stream that the peer opens.
func (c *DataConn) Accept(ctx context.Context) (*ReceiveStream, error) {
	s, err := c.conn.AcceptUniStream(ctx)
	if err != nil {
		return nil, explain(c.Peer, err)
	}
	return &ReceiveStream{stream: s, peer: c.Peer}, nil
}

// Open opens a stream; it waits while ConnChannels are open.
func (c *DataConn) Open(ctx context.Context) (*SendStream, error) {
	s, err := c.conn.OpenUniStreamSync(ctx)
	if err != nil {
		return nil, explain(c.Peer, err)
	}
	return &SendStream{stream: s, peer: c.Peer}, nil
}

// Done is closed when the connection has ended.
func (c *DataConn) Done() <-chan struct{} { return c.conn.Context().Done() }

// Close ends the connection and all its streams at once.
func (c *DataConn) Close(reason string) { _ = c.conn.CloseWithError(0, reason) }

// SendStream is the sending end of one stream. Write is for one goroutine, the rest for any.
type SendStream struct {
	stream *quic.SendStream
	peer   string
}

// Write blocks while the receiver does not read and its window is full. It does not keep p.
func (s *SendStream) Write(p []byte) (int, error) {
	n, err := s.stream.Write(p)
	if err != nil {
		err = explain(s.peer, err)
	}
	return n, err
}

// Reset gives the stream up: a blocked Write returns, and the receiver gets a ResetError.
func (s *SendStream) Reset(code StreamCode) { s.stream.CancelWrite(quic.StreamErrorCode(code)) }

// Close ends the stream behind what has been written; not during a Write.
func (s *SendStream) Close() { _ = s.stream.Close() }

// Done is closed when nothing can be written any more; Cause then says why.
func (s *SendStream) Done() <-chan struct{} { return s.stream.Context().Done() }

// Cause is a ResetError when the receiver stopped the stream.
func (s *SendStream) Cause() error { return explain(s.peer, context.Cause(s.stream.Context())) }

// ReceiveStream is the receiving end of one stream. Read is for one goroutine, the rest for any.
type ReceiveStream struct {
	stream *quic.ReceiveStream
	peer   string
}

// Read answers io.EOF when the sender closed the stream. Not reading is the back-pressure.
func (s *ReceiveStream) Read(p []byte) (int, error) {
	n, err := s.stream.Read(p)
	if err != nil && err != io.EOF {
		err = explain(s.peer, err)
	}
	return n, err
}

// SetReadDeadline bounds the following reads.
func (s *ReceiveStream) SetReadDeadline(t time.Time) { _ = s.stream.SetReadDeadline(t) }

// Stop gives the stream up: a blocked Read returns, and the sender gets a ResetError.
func (s *ReceiveStream) Stop(code StreamCode) { s.stream.CancelRead(quic.StreamErrorCode(code)) }
