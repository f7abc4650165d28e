package exchange

import "sync/atomic"

// counters count what remote channels have carried; local ones carry nothing over a border.
type counters struct {
	batchesOut, bytesOut atomic.Int64
	batchesIn, bytesIn   atomic.Int64
	channelsIn           atomic.Int64
	stale                atomic.Int64
}

// Stats is what the process's remote channels have done since it began, and what there is now.
type Stats struct {
	BatchesOut, BytesOut int64
	BatchesIn, BytesIn   int64
	Stale                int64 // streams of attempts that were over
	Channels             int64 // incoming, being read
	Parked               int   // incoming, waiting for their tasks
	Connections          int   // opened by this process
}

// Stats may be called at any time.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	parked := n.parked
	n.mu.Unlock()
	c := &n.counters
	return Stats{
		BatchesOut: c.batchesOut.Load(), BytesOut: c.bytesOut.Load(),
		BatchesIn: c.batchesIn.Load(), BytesIn: c.bytesIn.Load(),
		Stale: c.stale.Load(), Channels: c.channelsIn.Load(),
		Parked: parked, Connections: n.links.count(),
	}
}
