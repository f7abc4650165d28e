package operator

import "time"

// pace is how many keys fire in one call: as many as take about firingTime, because a barrier waits for the call. What a function
// does with a key may take a microsecond, or a second.
type pace struct {
	n     int // 0: nothing has fired yet
	fired int // in the call that runs
	begun time.Time
}

// The first call is of one key, as nobody knows what one takes. There are twice as many with each call; up to so many times as many
// while all of them fit in a quarter of the time, so that others may take longer than those before.
const (
	firingTime   = 50 * time.Millisecond
	firingGrowth = 16
)

// of is how many keys fire in this call, at most.
func (p *pace) of(most int) int {
	if p.n == 0 {
		p.n = 1
	}
	return min(p.n, most)
}

// keys says that so many fire in this call, from now on. What it took to find the first of them is none of their time: fewer keys would
// not take less of that.
func (p *pace) keys(n int) {
	if p.fired == 0 {
		p.begun = time.Now()
	}
	p.fired += n
}

// end follows the call.
func (p *pace) end() {
	if p.fired > 0 {
		p.n = p.next(time.Since(p.begun))
		p.fired = 0
	}
}

// next is how many keys fire in the next call, if those of this one took so long.
func (p *pace) next(took time.Duration) int {
	fit := int(int64(p.fired) * int64(firingTime) / max(int64(took), 1))
	grown := max(2*p.n, min(firingGrowth*p.n, fit/4))
	return min(max(min(grown, fit), 1), 2*fireRecords)
}
