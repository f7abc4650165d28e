package exchange

import "time"

// A remote sender's queue holds no more than its stream takes in holdTime. What waits there is stored only when it has
// reached the receiver, and so an unaligned checkpoint takes as long as that: over a link of 1 Mbit/s, 256 KiB take 2 s. A
// queue of one batch still keeps a link busy; the stream has the next one in its hands.
const (
	holdTime   = 200 * time.Millisecond
	leastQueue = 16 << 10
)

// After so much time of writing, or so many bytes, the pace is known anew.
const (
	paceTime  = 50 * time.Millisecond
	paceBytes = 1 << 20
)

// pace is how fast a stream takes what is written to it. It is its writer's alone.
type pace struct {
	bytes int
	took  time.Duration
}

// wrote takes note of a write, and answers now and then how much may wait.
func (p *pace) wrote(bytes int, took time.Duration) (limit int, known bool) {
	p.bytes += bytes
	p.took += took
	if p.took < paceTime && p.bytes < paceBytes {
		return 0, false
	}
	limit = int(float64(p.bytes) * float64(holdTime) / float64(max(p.took, 1)))
	p.bytes /= 2 // the past counts half
	p.took /= 2
	return max(limit, leastQueue), true
}

// setLimit changes how much may wait.
func (q *queue) setLimit(limit int) {
	q.mu.Lock()
	q.limit = limit
	full := q.full.Load()
	var wake chan<- struct{}
	switch {
	case full && q.bytes <= limit/2:
		q.full.Store(false)
		wake = q.producer
	case !full && q.bytes >= limit && !q.raised && q.stopped == nil:
		q.full.Store(true)
	}
	q.mu.Unlock()
	nudge(wake)
}
