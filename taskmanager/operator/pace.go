package operator

import "time"

// pace is how many keys fire in one call: as many as take about firingTime, because a barrier waits for the call. What a function
// does with a key may take a microsecond, or a second.
type pace struct {
	n     int // 0: nothing has fired yet
	fired int // in the call that runs
}

// A firing begins with so many keys, and twice as many with each call.
const (
	firingTime  = 50 * time.Millisecond
	firstFiring = 16
)

// of is how many keys fire in this call, at most.
func (p *pace) of(most int) int {
	if p.n == 0 {
		p.n = firstFiring
	}
	return min(p.n, most)
}

// keys says that so many fire in this call.
func (p *pace) keys(n int) { p.fired += n }

// since ends the call that has begun then.
func (p *pace) since(begun time.Time) {
	if p.fired > 0 {
		p.n = p.next(time.Since(begun))
		p.fired = 0
	}
}

// next is how many keys fire in the next call, if those of this one took so long.
func (p *pace) next(took time.Duration) int {
	fit := 2 * p.n
	if took > 0 {
		fit = min(fit, int(int64(p.fired)*int64(firingTime)/int64(took)))
	}
	return min(max(fit, 1), 2*fireRecords)
}
