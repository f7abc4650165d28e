package jobmanager

import "time"

// Restart says when a job whose attempt has failed is run again: the first time at once, because most causes are a
// process that died; then after Delay, doubled at each failure up to MaxDelay; at most PerHour times within an hour.
// Failures older than an hour are forgotten, so a job that fails once a day never waits.
type Restart struct {
	Delay    time.Duration // 1 s
	MaxDelay time.Duration // 1 min
	PerHour  int           // 20
}

// next decides about a failure at now, given the times of the failures before it, oldest first. It returns how long to
// wait, or false when the limit is reached, and the failures to remember.
func (r Restart) next(failures []time.Time, now time.Time) (delay time.Duration, again bool, remember []time.Time) {
	for len(failures) > 0 && now.Sub(failures[0]) >= time.Hour {
		failures = failures[1:]
	}
	n := len(failures)
	remember = append(failures[:n:n], now)
	if n >= r.PerHour {
		return 0, false, remember
	}
	if n == 0 {
		return 0, true, remember
	}
	delay = r.Delay
	for range n - 1 {
		if delay >= r.MaxDelay/2 {
			return r.MaxDelay, true, remember
		}
		delay *= 2
	}
	return min(delay, r.MaxDelay), true, remember
}
