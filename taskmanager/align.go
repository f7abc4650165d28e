package taskmanager

import (
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// alignment decides when a task takes its part of a checkpoint. An aligned barrier must have come on every channel that has
// not ended. An unaligned one need only be known of: what is in flight before it on the other channels belongs to the part.
// It overtakes nothing on channels whose records cannot be dealt out again (ordered: broadcast and pointwise ones): there it
// must have come. A barrier that may overtake becomes an unaligned one here when it has waited for the timeout.
//
// It is a function of what has come so far, and of the time it is told; others pause, resume and capture as it says.
//
//	        a barrier, or word of it
//	idle ---------------------------> aligning ---+ barriers on other channels
//	  ^                                 |   ^-----+
//	  +---- no barrier is missing ------+         a newer barrier begins anew, without the older one
//	  +---- it is unaligned, and none --+
//	  |     of an ordered channel is    |
//	  +---- the checkpoint is given up -+
type alignment struct {
	ordered []bool        // channels on which nothing is overtaken
	timeout time.Duration // of a barrier that may overtake

	ended   []bool // channels
	open    int    // that have not ended
	arrived []bool // channels whose barrier is here
	missing int    // channels that have not ended and whose barrier is not
	mark    exchange.Mark
	active  bool
	begun   time.Time     // of being active
	over    checkpoint.ID // the newest that was taken or given up
}

// alignStep is what alignment asks for.
type alignStep struct {
	pause   bool           // the channel that the event was about
	resume  []int          // channels
	take    *exchange.Mark // take the part now; the channels are to be resumed behind it
	capture []int          // with take: channels of which what is in flight belongs to the part
}

func newAlignment(ordered []bool, timeout time.Duration) *alignment {
	n := len(ordered)
	return &alignment{ordered: ordered, timeout: timeout, ended: make([]bool, n), arrived: make([]bool, n), open: n}
}

// barrier says that one has come on a channel.
func (a *alignment) barrier(channel int, m exchange.Mark, now time.Time) (s alignStep) {
	if failpoint.Planted(failpoint.SkipAlignment) && m.Checkpoint > a.over {
		a.over = m.Checkpoint
		s.take = &m
		return s
	}
	if !a.heard(&s, m, now) || a.arrived[channel] {
		return s
	}
	a.arrived[channel] = true
	a.missing--
	s.pause = true
	return a.check(s)
}

// notice says that one is on its way.
func (a *alignment) notice(m exchange.Mark, now time.Time) (s alignStep) {
	if !a.heard(&s, m, now) {
		return s
	}
	return a.check(s)
}

// heard makes the barrier the one that is waited for; false if it is of a checkpoint that is over, or replaced by a newer.
func (a *alignment) heard(s *alignStep, m exchange.Mark, now time.Time) bool {
	if m.Checkpoint <= a.over || a.active && m.Checkpoint < a.mark.Checkpoint {
		return false
	}
	if a.active && m.Checkpoint > a.mark.Checkpoint {
		s.resume = a.giveUp()
	}
	if !a.active {
		a.active, a.mark, a.missing, a.begun = true, m, a.open, now
	}
	if m.Unaligned {
		a.overtake()
	}
	return true
}

// overtake makes the barrier an unaligned one, also for who comes behind.
func (a *alignment) overtake() { a.mark.Unaligned, a.mark.MayOvertake = true, false }

// look says that it is now.
func (a *alignment) look(now time.Time) (s alignStep) {
	if at := a.deadline(); at.IsZero() || now.Before(at) {
		return s
	}
	a.overtake()
	return a.check(s)
}

// deadline is when to look, the zero time for never.
func (a *alignment) deadline() time.Time {
	if !a.active || !a.mark.MayOvertake {
		return time.Time{}
	}
	return a.begun.Add(a.timeout)
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

// check takes the part when no barrier is missing that must be here.
func (a *alignment) check(s alignStep) alignStep {
	if a.missing > 0 {
		if !a.mark.Unaligned {
			return s
		}
		for c := range a.ended {
			if a.ended[c] || a.arrived[c] {
				continue
			}
			if a.ordered[c] {
				s.capture = nil
				return s
			}
			s.capture = append(s.capture, c)
		}
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
