package exchange

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/wasmill/wasmill/internal/transport"
)

// Notice tells the receiver of a channel that a barrier is on its way, ahead of what is in flight before it.
type Notice struct {
	Channel int
	Mark    Mark
	Number  uint64 // of the last batch before the barrier
}

// overtakes says whether receivers hear of the barrier before it comes.
func (m Mark) overtakes() bool { return m.Unaligned || m.MayOvertake }

// Notices are those that have come since the last call. Those of barriers that came meanwhile are among them.
func (g *Gate) Notices() []Notice {
	if !g.noticed.Load() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.notices
	g.notices = nil
	g.noticed.Store(false)
	return all
}

// announced makes the gate a consumer: it wakes the task.
func (g *Gate) announced(channel int, m Mark, number uint64) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	for i, n := range g.notices {
		if n.Channel == channel && n.Mark.Checkpoint < m.Checkpoint {
			g.notices = append(g.notices[:i], g.notices[i+1:]...) // the newest of a channel is enough
			break
		}
	}
	g.notices = append(g.notices, Notice{Channel: channel, Mark: m, Number: number})
	g.noticed.Store(true)
	g.mu.Unlock()
	nudge(g.wake)
}

// announce tells the consumer of a barrier that stands behind batch number.
func (q *queue) announce(m Mark, number uint64) {
	q.mu.Lock()
	if q.stopped != nil {
		q.mu.Unlock()
		return
	}
	q.announced, q.announcedAt = m, number
	q.raise()
	c, channel := q.consumer, q.channel
	q.mu.Unlock()
	if c != nil {
		c.announced(channel, m, number)
	}
}

// disagrees says whether a barrier behind batch number was announced elsewhere.
func (q *queue) disagrees(m Mark, number uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.announced.Checkpoint == m.Checkpoint && q.announcedAt != number {
		return fmt.Errorf("frame.barrier: checkpoint %d behind batch %d (announced behind %d)", m.Checkpoint, number, q.announcedAt)
	}
	return nil
}

// Notices of all channels of a connection go on one stream of their own, which its receiver never leaves unread. It begins
// with a hello whose last number is 1 and whose channel is all zero. Then each notice has 48 bytes:
//
//	 0 u32 edge   4 u32 from: chain   8 u32 subtask   12 u32 to: chain   16 u32 subtask   20 u32 flags, as of the barrier
//	24 u64 checkpoint   32 u64 base   40 u64 number of the last batch before the barrier
//
// Channel 0.1 -> 2.3 over edge 1: the unaligned barrier of checkpoint 7 on base 6 stands behind batch 9:
//
//	01 00 00 00  00 00 00 00  01 00 00 00  02 00 00 00  03 00 00 00  04 00 00 00
//	07 00 00 00 00 00 00 00  06 00 00 00 00 00 00 00  09 00 00 00 00 00 00 00
const noticeBytes = 48

func appendNotice(p []byte, k channelKey, m Mark, number uint64) []byte {
	le := binary.LittleEndian
	for _, v := range []int{k.edge, k.from.Chain, k.from.Subtask, k.to.Chain, k.to.Subtask} {
		p = le.AppendUint32(p, uint32(v))
	}
	p = le.AppendUint32(p, markFlags(m))
	p = le.AppendUint64(p, uint64(m.Checkpoint))
	p = le.AppendUint64(p, uint64(m.Base))
	return le.AppendUint64(p, number)
}

func parseNotice(a Attempt, p *[noticeBytes]byte) (k channelKey, m Mark, number uint64, err error) {
	le := binary.LittleEndian
	k.Attempt = a
	for i, field := range []*int{&k.edge, &k.from.Chain, &k.from.Subtask, &k.to.Chain, &k.to.Subtask} {
		*field = int(le.Uint32(p[4*i:]))
	}
	m, err = markOf(le.Uint64(p[24:]), le.Uint64(p[32:]), le.Uint32(p[20:]))
	return k, m, le.Uint64(p[40:]), err
}

// maxNotices bounds those that wait for the stream of a connection: a few of each channel.
const maxNotices = 4 * transport.ConnChannels

// urgent is the sending end of a connection's stream of notices. Its goroutine begins with the first one.
type urgent struct {
	mu      sync.Mutex // guards what follows
	begun   bool
	waiting [][]byte
	more    chan struct{} // capacity 1
}

// announce sends a notice on the connection's own stream for them. One that is lost is no harm: the barrier comes.
func (l *link) announce(n *Network, k channelKey, m Mark, number uint64) {
	u := &l.urgent
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.waiting) < maxNotices {
		u.waiting = append(u.waiting, appendNotice(nil, k, m, number))
	}
	if !u.begun {
		u.begun, u.more = true, make(chan struct{}, 1)
		n.start(func() { u.run(n.ctx, l) })
	}
	nudge(u.more)
}

func (u *urgent) take() []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.waiting) == 0 {
		return nil
	}
	p := u.waiting[0]
	u.waiting = u.waiting[1:]
	return p
}

// run writes notices until the connection or the network ends.
func (u *urgent) run(ctx context.Context, l *link) {
	stream, err := l.conn.Open(ctx)
	if err != nil {
		return
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Reset(codeAborted) })()
	if _, err := stream.Write(appendHello(nil, channelKey{Attempt: l.key.Attempt}, helloUrgent)); err != nil {
		return
	}
	for {
		if p := u.take(); p != nil {
			if _, err := stream.Write(p); err != nil {
				return
			}
			continue
		}
		select {
		case <-u.more:
		case <-stream.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// receiveNotices reads a connection's notices until the stream ends.
func (n *Network) receiveNotices(ctx context.Context, a Attempt, stream *transport.ReceiveStream) {
	defer context.AfterFunc(ctx, func() { stream.Stop(codeStale) })()
	var p [noticeBytes]byte
	for {
		if _, err := io.ReadFull(stream, p[:]); err != nil {
			return
		}
		k, m, number, err := parseNotice(a, &p)
		if err != nil {
			stream.Stop(codeProtocol)
			return
		}
		if g := n.gateOf(k.gate()); g != nil {
			if i, ok := g.index(k); ok {
				g.channels[i].queue.announce(m, number)
			}
		}
	}
}

// gateOf is a gate that there is already: a task that is not deployed yet has nothing that the barrier could overtake.
func (n *Network) gateOf(k gateKey) *Gate {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at := n.attempts[k.Attempt]; at != nil {
		return at.gates[k]
	}
	return nil
}
