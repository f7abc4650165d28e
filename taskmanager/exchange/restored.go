package exchange

// Restored is a batch that was in flight on a channel when a checkpoint was taken.
type Restored struct {
	Channel int
	Buffer  *Buffer // the gate's
}

// Restore gives the gate batches to hand out, in their order, before anything that comes on any channel. The task calls it
// before its first Next.
func (g *Gate) Restore(batches []Restored) {
	g.mu.Lock()
	closed := g.closed
	if !closed {
		g.restored = batches
	}
	g.mu.Unlock()
	if closed {
		for _, r := range batches {
			r.Buffer.Release()
		}
	}
}

// ofRestored stands for a channel where a restored batch is next.
const ofRestored = -1

// nextRestored takes the next restored batch, of which there is one unless the gate was closed.
func (g *Gate) nextRestored() Element {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.restored) == 0 {
		return Element{Kind: Failed, Err: errGone}
	}
	r := g.restored[0]
	g.restored[0] = Restored{}
	if g.restored = g.restored[1:]; len(g.restored) == 0 {
		g.restored = nil
	}
	return Element{Kind: Batch, Input: g.channels[r.Channel].input, Channel: r.Channel, Buffer: r.Buffer}
}

// leftOfRestored is the restored batches that were not handed out, as lanes of their own in front of the channels'.
func (g *Gate) leftOfRestored() (lanes []Lane) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.restored {
		r.Buffer.Retain()
		if n := len(lanes); n == 0 || lanes[n-1].Channel != r.Channel {
			lanes = append(lanes, Lane{Channel: r.Channel})
		}
		l := &lanes[len(lanes)-1]
		l.Batches = append(l.Batches, r.Buffer)
	}
	return lanes
}
