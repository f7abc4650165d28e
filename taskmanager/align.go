package taskmanager

import (
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// alignment decides when a task takes its part of a checkpoint: when the barrier has come on every channel that has not
// ended. It is a function of what has come so far; others pause and resume channels as it says.
//
//	        barrier on the first of several channels
//	idle ---------------------------------------------> aligning ---+ barriers on the others
//	  ^                                                   |   ^-----+
//	  +---- the last barrier, or the last channel's END --+         a newer barrier begins anew, without the older one
//	  +---- the checkpoint is given up -------------------+
type alignment struct {
	ended   []bool // channels
	open    int    // that have not ended
	arrived []bool // channels whose barrier is here
	missing int    // channels that have not ended and whose barrier is not
	mark    exchange.Mark
	active  bool
	over    checkpoint.ID // the newest that was taken or given up
}

// alignStep is what alignment asks for.
type alignStep struct {
	pause  bool           // the channel that the event was about
	resume []int          // channels
	take   *exchange.Mark // take the part now; the channels are to be resumed behind it
}

func newAlignment(channels int) *alignment {
	return &alignment{ended: make([]bool, channels), arrived: make([]bool, channels), open: channels}
}

// barrier says that one has come on a channel.
func (a *alignment) barrier(channel int, m exchange.Mark) (s alignStep) {
	if m.Checkpoint <= a.over {
		return s // of a checkpoint that was given up
	}
	if failpoint.Planted(failpoint.SkipAlignment) {
		a.over = m.Checkpoint
		s.take = &m
		return s
	}
	if a.active && m.Checkpoint != a.mark.Checkpoint {
		if m.Checkpoint < a.mark.Checkpoint {
			return s
		}
		s.resume = a.giveUp()
	}
	if !a.active {
		a.active, a.mark, a.missing = true, m, a.open
	}
	a.arrived[channel] = true
	a.missing--
	s.pause = true
	return a.check(s)
}

// end says that a channel has ended.
func (a *alignment) end(channel int) (s alignStep) {
	if a.ended[channel] {
		return s
	}
	a.ended[channel] = true
	a.open--
	if a.active && !a.arrived[channel] {
		a.missing--
		return a.check(s)
	}
	return s
}

// abort says that a checkpoint was given up.
func (a *alignment) abort(id checkpoint.ID) (s alignStep) {
	if a.active && a.mark.Checkpoint <= id {
		s.resume = a.giveUp()
	}
	a.over = max(a.over, id)
	return s
}

// check takes the part when no barrier is missing.
func (a *alignment) check(s alignStep) alignStep {
	if a.missing > 0 {
		return s
	}
	m := a.mark
	s.take = &m
	s.resume = append(s.resume, a.giveUp()...)
	return s
}

// giveUp makes it idle, and answers the channels to resume.
func (a *alignment) giveUp() (resume []int) {
	a.over, a.active = max(a.over, a.mark.Checkpoint), false
	for c, here := range a.arrived {
		if here {
			resume = append(resume, c)
			a.arrived[c] = false
		}
	}
	return resume
}
