package operator

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// States that live by event time: what is written lives from the latest event time that its key had in the call, as the guest
// takes a key's records together and says once what became of them; and has ended when the watermark has passed that and the
// TTL, and the timers that were due at it have fired. Where nothing has an event time it is the watermark's.

// openClock makes the clock of such states, which shows the watermark that was passed when the state was stored.
func (p *Process) openClock() (err error) {
	if !slices.ContainsFunc(p.config.Function.States, func(s abi.State) bool { return s.ByEventTime() }) {
		return nil
	}
	if p.passed, err = restoreProgress(p.config.Store, p.config.UID, passedName, p.config.Share.Groups); err != nil {
		return err
	}
	p.clock = p.config.Store.EventTime(p.config.UID)
	p.clock.Now, p.clock.At = p.passed.passed, p.passed.passed
	return nil
}

// pass notes that the timers of a watermark have fired. The end of the input is no time: nothing ends by it.
func (p *Process) pass(watermark int64) {
	if p.clock != nil && watermark < abi.MaxTime {
		p.passed.pass(watermark)
		p.clock.Now = p.passed.passed
	}
}

// writes sets the time from which what a key of the call writes lives.
func (p *Process) writes(group uint32) {
	if p.clock == nil {
		return
	}
	if p.clock.At = p.stamps[group]; p.clock.At == abi.NoTimestamp {
		p.clock.At = p.clock.Now
	}
}

// latest is the latest of some event times, abi.NoTimestamp if there is none.
func latest(times []int64) int64 {
	most := abi.NoTimestamp // which is below all others
	for _, t := range times {
		most = max(most, t)
	}
	return most
}
