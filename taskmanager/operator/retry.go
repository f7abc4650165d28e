package operator

import (
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// retry says when a request is made again. nil: never.
type retry struct {
	most        int
	delay, cap  time.Duration // cap 0: none
	growPercent int
	on          []graph.RetryOn
}

func newRetry(r *abi.Retry) (*retry, error) {
	if r == nil {
		return nil, nil
	}
	made := &retry{most: r.Retries, delay: time.Duration(r.DelayMs) * time.Millisecond, cap: time.Duration(r.MaxDelayMs) * time.Millisecond, growPercent: r.GrowPercent}
	for _, text := range r.On {
		on, err := graph.ParseRetryOn(text)
		if err != nil {
			return nil, err
		}
		made.on = append(made.on, on)
	}
	return made, nil
}

// again says whether a request that was made so many times is made once more after this answer, and how long to wait before.
func (r *retry) again(tries int, a *abi.Answer) (delay time.Duration, ok bool) {
	if r == nil || tries > r.most || !r.covers(a) {
		return 0, false
	}
	const longest = time.Duration(1) << 53
	delay = r.delay
	for range tries - 1 {
		if delay = delay / 100 * time.Duration(r.growPercent); delay > longest/100 {
			delay = longest / 100
			break
		}
	}
	if r.cap > 0 {
		delay = min(delay, r.cap)
	}
	return delay, true
}

func (r *retry) covers(a *abi.Answer) bool {
	for _, on := range r.on {
		switch {
		case a.Outcome == abi.Broken && on.Broken:
			return true
		case a.Outcome == abi.Answered && !on.Broken && on.First <= a.Code && a.Code <= on.Last:
			return true
		}
	}
	return false
}
