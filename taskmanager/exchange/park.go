package exchange

import "context"

// lot is where the streams wait whose gate does not exist yet.
type lot struct {
	look    chan struct{} // closed when they should look again; the lot is then no longer in Network.waiting
	streams int           // guarded by Network.mu
}

// claim finds the queue of an incoming stream's channel. Streams may come before their task: those of an attempt that is
// attached or may still be wait parkTime at most, and no more than maxParked of them, unread.
func (n *Network) claim(ctx context.Context, k channelKey, r *reader) (*queue, error) {
	ctx, cancel := context.WithTimeout(ctx, n.parkTime)
	defer cancel()
	for {
		g, l, err := n.find(k)
		if err != nil {
			return nil, err
		}
		if g != nil {
			return g.claim(k, r)
		}
		select {
		case <-l.look:
			n.leave(k.gate(), l)
		case <-ctx.Done():
			n.leave(k.gate(), l)
			return nil, errRefused
		}
	}
}

// find answers the channel's gate, or the lot to wait in before looking again.
func (n *Network) find(k channelKey) (*Gate, *lot, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at := n.attempts[k.Attempt]; at != nil {
		if g := at.gates[k.gate()]; g != nil {
			return g, nil, nil
		}
	} else if newest, ok := n.newest[k.Job]; ok && !k.Attempt.newer(newest) {
		n.counters.stale.Add(1)
		return nil, nil, ErrStale
	}
	if n.parked >= maxParked {
		return nil, nil, errBusy
	}
	l := n.waiting[k.gate()]
	if l == nil {
		l = &lot{look: make(chan struct{})}
		n.waiting[k.gate()] = l
	}
	l.streams++
	n.parked++
	return nil, l, nil
}

func (n *Network) leave(k gateKey, l *lot) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parked--
	l.streams--
	if l.streams == 0 && n.waiting[k] == l {
		delete(n.waiting, k)
	}
}

// claim makes the stream the producer of its channel.
func (g *Gate) claim(k channelKey, r *reader) (*queue, error) {
	i, ok := g.index(k)
	if !ok {
		return nil, errUnexpected
	}
	q := g.channels[i].queue
	if !q.produce(r.space, func() { r.stream.Stop(codeGone) }) {
		return nil, errSecond
	}
	return q, nil
}
