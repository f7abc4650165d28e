package operator

import (
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
)

// fireTimers is how many timers fire in one call, at most.
const fireTimers = 1024

// Fire has timers of a clock that are due at until fire, at most one of each key, the earliest first, and answers whether
// any did: then it is to be called again.
func (p *Process) Fire(clock int, until int64) (fired bool, err error) {
	if p.config.Unkeyed {
		return false, nil
	}
	if fired, err = p.fire(clock, until, nil); !fired && err == nil && clock == EventTime {
		p.pass(until)
	}
	return fired, err
}

// FireOf is Fire of event time for the keys of some key groups only: they have come to a watermark that the operator has not.
func (p *Process) FireOf(until int64, from, to graph.KeyGroup) (fired bool, err error) {
	fired, err = p.fire(EventTime, until, func(hash uint64) bool {
		group := graph.KeyGroupOf(hash, p.config.Share.Groups)
		return from <= group && group < to
	})
	if !fired {
		p.due[EventTime].end()
	}
	return fired, err
}

// fire has timers of some keys fire, nil: of all.
func (p *Process) fire(clock int, until int64, of func(hash uint64) bool) (fired bool, err error) {
	defer p.forget()
	defer p.pace.end()
	d := &p.due[clock]
	if err := d.find(p.timers[clock], until, of); err != nil {
		return false, err
	}
	next := d.next(until, p.pace.of(fireTimers))
	p.pace.keys(len(next))
	times := make([]int64, 0, len(next))
	for _, number := range next {
		k := &d.keys[number]
		p.all = append(p.all, keyed{key: k.key, hash: k.hash, n: 1})
		times = append(times, k.times[0])
	}
	if len(p.all) == 0 {
		return false, nil
	}
	p.input = clock
	call := func(lo, hi int) error {
		if err := p.fillTimers(lo, hi, clock, times); err != nil {
			return err
		}
		return p.send(abi.VerbTimer)
	}
	if err = call(0, len(p.all)); err != nil {
		err = p.calls.Retry(err, len(p.all), call, func(unit int) Unit {
			k := p.all[unit]
			name := fmt.Sprintf("the %s timer for %d of key", [...]string{"event-time", "processing-time"}[clock], times[unit])
			due := abi.NoTimestamp
			if clock == 0 {
				due = times[unit]
			}
			return Unit{Row: -1, Name: name, Data: k.key, Key: k.key, Time: due, Skip: func() error { return p.deleteTimer(clock, times[unit], k.hash, k.key) }}
		})
	}
	return true, err
}

func (p *Process) fillTimers(lo, hi, clock int, times []int64) error {
	p.call, p.keys, p.hashes, p.fired, p.stamps = p.call[:0], p.keys[:0], p.hashes[:0], p.fired[:0], p.stamps[:0]
	for i := lo; i < hi; i++ {
		p.add(uint32(i))
		p.fired = append(p.fired, firing{times[i], p.all[i].hash, p.all[i].key})
		if clock == EventTime {
			p.stamps = append(p.stamps, times[i])
		} else {
			p.stamps = append(p.stamps, abi.NoTimestamp)
		}
	}
	if err := p.resolve(); err != nil {
		return err
	}
	p.groups.Reset()
	for i := range p.keys {
		g := abi.Group{Flags: abi.GroupHasTimer, TimerTime: times[lo+i], Key: p.keys[i]}
		if clock == ProcessingTime {
			g.Flags |= abi.GroupTimerProcessing
		}
		p.groups.Begin(g)
		p.prefetch(i)
		p.groups.EndGroup()
	}
	return nil
}

// Next is when the next timer of processing time is due, the zero time for never. If that cannot be read it is long ago: who
// fires meets the error, and says so.
func (p *Process) Next() time.Time {
	if p.config.Unkeyed {
		return time.Time{}
	}
	next, err := p.timers[ProcessingTime].Next()
	switch {
	case err != nil:
		return time.UnixMilli(0)
	case next == abi.MaxTime:
		return time.Time{}
	}
	return time.UnixMilli(next)
}
