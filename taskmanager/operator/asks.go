package operator

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/wasmill/wasmill/abi"
)

// Asked is a user function that windows ask, and that emits nothing: a trigger, an evictor or a gap.
type Asked interface {
	// Ask makes the call. The reply has been checked, and is valid until the next call.
	Ask(groups *abi.GroupsWriter) (reply []byte, err error)
	// Retry is that of Guest.
	Retry(err error, n int, call func(lo, hi int) error, describe func(unit int) Unit) error
}

// Asks are the user functions that windows ask; nil: there is none.
type Asks struct {
	Trigger, Evict, Gap Asked
	TriggerStates       []abi.State
}

// leftOut is the answer of a trigger for a record that it traps on.
const leftOut = decision(0xff)

// question is what a trigger is asked about: a record that a window takes, a timer that is due, or windows that became one.
type question struct {
	cell   *cell
	row    int // of the queue, -1: it is no record
	timer  bool
	clock  int
	time   int64
	merged [][][]byte // states of each window that has become a part of this one
}

// askRecords asks the user's trigger about all records that the cells are to take.
func (w *windower) askRecords() error {
	if w.asks.Trigger == nil {
		return nil
	}
	w.questions = w.questions[:0]
	for _, c := range w.cells {
		c.answer = make([]byte, len(c.queue))
		for i := range c.queue {
			c.answer[i] = byte(leftOut)
			w.questions = append(w.questions, question{cell: c, row: i})
		}
	}
	return w.askTrigger(w.questions)
}

// askTrigger asks the user's trigger, in as many calls as the size takes, and takes in what it answers.
func (w *windower) askTrigger(all []question) error {
	return ask(w.asks.Trigger, len(all), func(lo, hi, limit int) (int, func(reply []byte) error) {
		begun := lo
		w.groups.Reset()
		for lo < hi && w.groups.Size() < limit {
			lo = w.writeQuestion(all, lo, hi)
		}
		asked := all[begun:lo]
		return lo, func(reply []byte) error { return w.triggered(asked, reply) }
	}, &w.groups, func(i int) Unit { return w.unitOf(&all[i]) })
}

// ask makes calls about n units. fill makes one of those from lo up to hi, or to where it has about limit bytes, and says which is
// the first that is not in it, and what is to be done with the answer.
func ask(f Asked, n int, fill func(lo, hi, limit int) (int, func(reply []byte) error), groups *abi.GroupsWriter, describe func(i int) Unit) error {
	send := func(take func(reply []byte) error) error {
		reply, err := f.Ask(groups)
		if err != nil {
			return err
		}
		return take(reply)
	}
	for lo := 0; lo < n; {
		hi, take := fill(lo, n, callBytes)
		if err := send(take); err != nil {
			first := lo
			again := func(a, b int) error {
				_, take := fill(first+a, first+b, math.MaxInt)
				return send(take)
			}
			if err = f.Retry(err, hi-lo, again, func(unit int) Unit { return describe(first + unit) }); err != nil {
				return err
			}
		}
		lo = hi
	}
	return nil
}

// writeQuestion adds the group of all[lo] to the call, with the records of its window before hi, and returns the next question.
func (w *windower) writeQuestion(all []question, lo, hi int) int {
	q := &all[lo]
	g := w.groupOf(q.cell)
	switch {
	case q.merged != nil:
		g.Flags |= abi.GroupMerged
	case q.timer:
		g.Flags |= abi.GroupHasTimer
		g.TimerTime = q.time
		if q.clock == ProcessingTime {
			g.Flags |= abi.GroupTimerProcessing
		}
	}
	w.groups.Begin(g)
	w.writeStates(q)
	next := lo + 1
	if q.row >= 0 {
		var times []int64
		var values [][]byte
		for next = lo; next < hi && all[next].cell == q.cell; next++ {
			row := int(q.cell.queue[all[next].row])
			times, values = append(times, w.batch.Timestamp(row)), append(values, w.batch.Value(row))
		}
		w.groups.List(abi.ListInput0, 0, len(values), times, values)
	}
	w.groups.EndGroup()
	return next
}

// writeStates writes what the trigger keeps of the window, or of each of those that have become one.
func (w *windower) writeStates(q *question) {
	for i := range w.asks.TriggerStates {
		var values [][]byte
		if q.merged == nil && q.cell.mark.states[i] != nil {
			values = append(values, q.cell.mark.states[i])
		}
		for _, states := range q.merged {
			if states[i] != nil {
				values = append(values, states[i])
			}
		}
		w.groups.List(abi.ListState, uint16(i), len(values), nil, values)
	}
}

// groupOf is how a guest sees a window.
func (w *windower) groupOf(c *cell) abi.Group {
	if w.shape.global {
		return abi.Group{Key: c.key()}
	}
	return abi.Group{Flags: abi.GroupHasWindow, WindowStart: c.start, WindowEnd: c.end, Key: c.key()}
}

// triggered takes in what a trigger has answered to questions, all of it or nothing.
func (w *windower) triggered(asked []question, reply []byte) error {
	for _, apply := range []bool{false, true} {
		left, rest, group := asked, reply, uint32(0)
		for ; len(left) > 0; group++ {
			n := 1
			for left[0].row >= 0 && n < len(left) && left[n].cell == left[0].cell {
				n++
			}
			var err error
			if rest, err = w.triggerEntry(left[:n], group, rest, apply); err != nil {
				return err
			}
			left = left[n:]
		}
		if len(rest) > 0 {
			return &ReplyError{Problem: fmt.Sprintf("the trigger answered for more than %d groups", group)}
		}
	}
	return nil
}

// triggerEntry takes in the answer for a group, or only checks it. Windows that have become one need none.
func (w *windower) triggerEntry(asked []question, group uint32, reply []byte, apply bool) (rest []byte, err error) {
	answered := asked[0].merged != nil
	var entry abi.ReplyEntry
	if len(reply) > 0 {
		if entry, rest, err = abi.NextReplyEntry(reply); err != nil {
			return nil, &ReplyError{Problem: err.Error()}
		}
	}
	if len(reply) == 0 || entry.Group != group {
		if answered {
			return reply, nil
		}
		return nil, &ReplyError{Problem: fmt.Sprintf("the trigger answered nothing for group %d", group)}
	}
	actions := entry.Actions
	for range entry.Count {
		var a abi.Action
		if a, actions, err = abi.NextAction(actions); err != nil {
			return nil, &ReplyError{Problem: err.Error()}
		}
		if a.Op == abi.ActionTrigger {
			answered = true
			if err := w.answers(asked, a.Value, apply); err != nil {
				return nil, err
			}
			continue
		}
		if err := w.triggerAction(asked[0].cell, group, &a, apply); err != nil {
			return nil, err
		}
	}
	if !answered {
		return nil, &ReplyError{Problem: fmt.Sprintf("the trigger answered no decision for group %d", group)}
	}
	return rest, nil
}

// answers takes in the decisions for the records, or the timer, of a group.
func (w *windower) answers(asked []question, decisions []byte, apply bool) error {
	if len(decisions) != len(asked) {
		return &ReplyError{Problem: fmt.Sprintf("the trigger answered %d decisions (expected %d)", len(decisions), len(asked))}
	}
	for i, d := range decisions {
		if decision(d) > fires|purges {
			return &ReplyError{Problem: fmt.Sprintf("the trigger answered decision %d (expected 0 <= decision <= %d)", d, fires|purges)}
		}
		q := &asked[i]
		switch {
		case !apply || q.merged != nil:
		case q.row >= 0:
			q.cell.answer[q.row] = d
		default:
			q.cell.now = decision(d)
			if w.trigger.purging && q.cell.now&fires != 0 {
				q.cell.now |= purges
			}
		}
	}
	return nil
}

// triggerAction takes in what a trigger has changed of its window's state and timers.
func (w *windower) triggerAction(c *cell, group uint32, a *abi.Action, apply bool) error {
	switch a.Op {
	case abi.ActionPut, abi.ActionClear:
		if int(a.Index) >= len(w.asks.TriggerStates) {
			return &ReplyError{Problem: fmt.Sprintf("the trigger answered op %d of state %d for group %d (expected state < %d)", a.Op, a.Index, group, len(w.asks.TriggerStates))}
		}
		if apply {
			c.mark.states[a.Index] = nil
			if a.Op == abi.ActionPut {
				c.mark.states[a.Index] = w.keep(a.Value)
			}
		}
	case abi.ActionSetTimer, abi.ActionDeleteTimer:
		if int(a.Index) >= len(w.timers) {
			return &ReplyError{Problem: fmt.Sprintf("the trigger answered a timer of clock %d for group %d (expected 0 or 1)", a.Index, group)}
		}
		switch {
		case !apply:
		case a.Op == abi.ActionSetTimer:
			c.mark.set(int(a.Index), a.Time)
		default:
			c.mark.take(int(a.Index), a.Time)
		}
	default:
		return &ReplyError{Problem: fmt.Sprintf("the trigger answered op %d for group %d (expected 1 <= op <= %d)", a.Op, group, abi.ActionTrigger)}
	}
	return nil
}

// unitOf is what a question is called.
func (w *windower) unitOf(q *question) Unit {
	c := q.cell
	switch {
	case q.row >= 0:
		row := int(c.queue[q.row])
		return Unit{Row: row, Data: w.batch.Value(row), Key: c.key()}
	case q.timer:
		return Unit{Row: -1, Name: fmt.Sprintf("the timer of a window for %d of key", q.time), Data: c.key(), Key: c.key(), Time: w.timeOf(c)}
	}
	return Unit{Row: -1, Name: "the windows that have become one of key", Data: c.key(), Key: c.key(), Time: w.timeOf(c)}
}

// timeOf is the timestamp of a window's result.
func (w *windower) timeOf(c *cell) int64 {
	if w.shape.global {
		return abi.NoTimestamp
	}
	return c.end - 1
}

// askEvictor has the user say which elements stay in windows.
func (w *windower) askEvictor(cells []*cell) error {
	return ask(w.asks.Evict, len(cells), func(lo, hi, limit int) (int, func(reply []byte) error) {
		begun := lo
		w.groups.Reset()
		for ; lo < hi && w.groups.Size() < limit; lo++ {
			c := cells[lo]
			w.groups.Begin(w.groupOf(c))
			writeElements(&w.groups, c.full)
			w.groups.EndGroup()
		}
		asked := cells[begun:lo]
		return lo, func(reply []byte) error { return w.evicted(asked, reply) }
	}, &w.groups, func(i int) Unit {
		c := cells[i]
		return Unit{Row: -1, Name: fmt.Sprintf("the evictor from %d to %d of key", c.start, c.end), Data: c.key(), Key: c.key(), Time: w.timeOf(c)}
	})
}

func writeElements(g *abi.GroupsWriter, all []element) {
	times, values := make([]int64, len(all)), make([][]byte, len(all))
	for i, e := range all {
		times[i], values[i] = e.time, e.value
	}
	g.List(abi.ListInput0, 0, len(all), times, values)
}

// evicted takes in which elements stay.
func (w *windower) evicted(asked []*cell, reply []byte) error {
	maps := make([][]byte, len(asked))
	for i, c := range asked {
		a, rest, err := single(reply, uint32(i), abi.ActionKeep)
		if err != nil {
			return err
		}
		if len(a.Value) != (len(c.full)+7)/8 {
			return &ReplyError{Problem: fmt.Sprintf("the evictor answered %d bytes for group %d (expected %d)", len(a.Value), i, (len(c.full)+7)/8)}
		}
		maps[i], reply = a.Value, rest
	}
	for i, c := range asked {
		had, kept := len(c.full), c.full[:0]
		for n, e := range c.full {
			if maps[i][n/8]>>(n%8)&1 == 1 {
				kept = append(kept, e)
			}
		}
		c.full, c.left = kept, len(kept) < had
	}
	return nil
}

// single is the only action of the next entry of a reply, which must be for a group and an op.
func single(reply []byte, group uint32, op abi.ActionOp) (a abi.Action, rest []byte, err error) {
	if len(reply) == 0 {
		return a, nil, &ReplyError{Problem: fmt.Sprintf("the guest answered nothing for group %d", group)}
	}
	entry, rest, err := abi.NextReplyEntry(reply)
	if err != nil {
		return a, nil, &ReplyError{Problem: err.Error()}
	}
	a, more, err := abi.NextAction(entry.Actions)
	switch {
	case err != nil:
		return a, nil, &ReplyError{Problem: err.Error()}
	case entry.Group != group:
		return a, nil, &ReplyError{Problem: fmt.Sprintf("the guest answered for group %d (expected %d)", entry.Group, group)}
	case a.Op != op || len(more) > 0:
		return a, nil, &ReplyError{Problem: fmt.Sprintf("the guest answered op %d for group %d (expected op %d and no other)", a.Op, group, op)}
	}
	return a, rest, nil
}

// askGaps has the user say how long the silence behind each record of the batch is that ends a session.
func (w *windower) askGaps() error {
	if w.asks.Gap == nil {
		return nil
	}
	b := w.batch
	for range b.N {
		w.gaps = append(w.gaps, 0) // 0: the function traps on it, and it is left out
	}
	return ask(w.asks.Gap, b.N, func(lo, hi, limit int) (int, func(reply []byte) error) {
		begun := lo
		w.groups.Reset()
		w.groups.Begin(abi.Group{})
		var times []int64
		var values [][]byte
		for size := 0; lo < hi && size < limit; lo++ {
			times, values = append(times, b.Timestamp(lo)), append(values, b.Value(lo))
			size += len(values[len(values)-1]) + 16
		}
		w.groups.List(abi.ListInput0, 0, len(values), times, values)
		w.groups.EndGroup()
		asked := w.gaps[begun:lo]
		return lo, func(reply []byte) error { return gapsOf(asked, reply) }
	}, &w.groups, func(i int) Unit { return Unit{Row: i, Data: b.Value(i), Key: b.Key(i)} })
}

// gapsOf takes in gaps.
func gapsOf(gaps []int64, reply []byte) error {
	a, _, err := single(reply, 0, abi.ActionGap)
	if err != nil {
		return err
	}
	if len(a.Value) != 8*len(gaps) {
		return &ReplyError{Problem: fmt.Sprintf("the gap function answered %d bytes (expected %d, 8 a record)", len(a.Value), 8*len(gaps))}
	}
	for i := range gaps {
		if gap := int64(binary.LittleEndian.Uint64(a.Value[8*i:])); gap <= 0 {
			return &ReplyError{Problem: fmt.Sprintf("the gap function answered a gap of %d ms (expected > 0)", gap)}
		}
	}
	for i := range gaps {
		gaps[i] = int64(binary.LittleEndian.Uint64(a.Value[8*i:]))
	}
	return nil
}
