package operator

import (
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// adding is merging that adds records to accumulators, too.
type adding interface {
	merging
	// absorb hands the accumulator of each of n panes, with its records of the batch added to it, to put; a pane may come
	// several times, with some of its records. It has one accumulator, or none yet.
	absorb(b *abi.Batch, n int, of func(i int) (p piece, rows []uint32), put func(i int, acc []byte) error) error
	// renew brings accumulators of an older version to the one declared, in place; nil: there is none any more.
	renew(key []byte, from uint16, accs [][]byte) error
}

// sessions are windows with a longer silence between two of a key than the gap. A record is a window of its own
// that long, and windows that touch are one. All those of a key lie in one entry of the state.
type sessions struct {
	panes  *panes
	acc    adding
	pane   pane // all of the state
	timers state.Timers
	atOnce int                            // timers that fire in one call, at most
	most   int                            // in the one that runs
	gone   func(key []byte, s span) error // is told of sessions that are forgotten; nil: nobody is
	batch  *abi.Batch

	all    []session
	keys   []sessionKey
	rows   []uint32 // of the batch, those of a session together
	starts []int64  // scratch: times of a key's records
	lists  [][]byte // what accs of sessions are parts of
	of     byKey
	some   []int    // scratch: sessions
	accs   [][]byte // scratch
	record []byte   // scratch
	arena  []byte
	due    []dueTimer

	seen    map[string]ends // scratch of find, as is what follows
	dueKeys [][]byte
	hashes  []uint64
	entries []state.Entry
}

// session is one of a key that the batch or a timer concerns.
type session struct {
	span
	key   int         // in keys
	accs  [][]byte    // none: it begins with the batch
	fired bool        // some of it has gone out
	timed bool        // a timer comes when it ends, or before
	turn  sessionTurn // of what fires
	rows  []uint32
}

// sessionTurn is when a session goes out of those that a watermark has passed.
type sessionTurn uint8

const (
	noTurn    sessionTurn = iota // it has gone out, or is not over
	itsTurn                      // in this call
	laterTurn                    // in a later one
)

// sessionKey is a key that the batch or a timer concerns; its sessions are all[first:last].
type sessionKey struct {
	entry       state.Entry
	first, last int
}

// ends says whether a key has a timer at the first, and at the last of the times that are due.
type ends struct{ first, last bool }

type dueTimer struct {
	time int64
	hash uint64
	key  []byte
}

func newSessions(p *panes, acc adding) (*sessions, error) {
	s := &sessions{panes: p, acc: acc, atOnce: fireRecords, seen: map[string]ends{}}
	spec := p.spec
	spec.Name, spec.Kind = "sessions", state.Bytes
	var err error
	if s.pane.table, err = p.store.Table(spec, state.Global); err != nil {
		return nil, err
	}
	s.pane.all = true
	s.timers, err = p.store.Timers(state.Spec{Operator: spec.Operator, Name: "$ends", Kind: state.Timer, Key: spec.Key})
	return s, err
}

// process adds the records of a batch to their sessions.
func (s *sessions) process(b *abi.Batch, hashes []uint64, now int64, out *abi.Builder) error {
	if b.Timestamps == nil && !s.panes.window.processing {
		return errNoTimestamp
	}
	defer s.forget()
	s.batch = b
	if err := s.pane.resolve(b, hashes); err != nil {
		return err
	}
	if err := s.deal(now); err != nil {
		return err
	}
	if err := s.bringForward(out); err != nil {
		return err
	}
	if err := s.combine(); err != nil {
		return err
	}
	if err := s.add(); err != nil {
		return err
	}
	if err := s.emit(out, func(one *session) bool { return len(one.rows) > 0 && s.passed(one) }); err != nil {
		return err
	}
	for i := range s.keys {
		if err := s.store(&s.keys[i]); err != nil {
			return err
		}
	}
	return nil
}

// deal makes out the sessions that the batch's keys have now, and gives each its records.
func (s *sessions) deal(now int64) error {
	s.panes.lateRows = s.panes.lateRows[:0]
	err := s.of.each(&s.pane, func(e state.Entry, records []record) error {
		s.keys = append(s.keys, sessionKey{entry: e})
		return s.dealKey(len(s.keys)-1, records, now)
	})
	if err != nil {
		return err
	}
	if len(s.panes.lateRows) > 0 {
		slices.Sort(s.panes.lateRows)
		s.panes.lateOut.AppendRows(s.batch, s.panes.lateRows, s.batch.Hashes)
	}
	return nil
}

// dealKey is deal for one key and its records, in the order in which they came. Sessions whose firing others are done with take none:
// it is their turn now.
func (s *sessions) dealKey(number int, records []record, now int64) error {
	k := &s.keys[number]
	k.first = len(s.all)
	if err := s.load(number); err != nil {
		return err
	}
	reached, own := s.panes.reached(s.pane.table.Hash(k.entry)), k.first
	for ; own < len(s.all) && s.isOver(&s.all[own], reached); own++ {
		s.all[own].turn = itsTurn
	}
	for _, r := range records { // each is a session of its own at first
		t := now
		if !s.panes.window.processing {
			if t = s.batch.Timestamps[r.row]; t == abi.NoTimestamp {
				return errNoTimestamp
			}
		}
		s.all = append(s.all, session{span: span{t, after(t, s.panes.window.gap)}, key: number})
	}
	s.starts = s.starts[:0]
	for _, one := range s.all[len(s.all)-len(records):] {
		s.starts = append(s.starts, one.start)
	}
	s.all = append(s.all[:own], unite(s.all[own:])...)
	first := len(s.rows)
	for i := own; i < len(s.all); i++ { // in most batches there is one
		one := &s.all[i]
		over := s.isOver(one, reached)
		for j, r := range records {
			switch {
			case s.starts[j] < one.start || s.starts[j] >= one.end:
			case over:
				s.panes.isLate(int(r.row))
			default:
				s.rows = append(s.rows, r.row)
			}
		}
		one.rows, first = s.rows[first:len(s.rows):len(s.rows)], len(s.rows)
	}
	s.all = append(s.all[:k.first], slices.DeleteFunc(s.all[k.first:], func(one session) bool { return len(one.accs) == 0 && len(one.rows) == 0 })...)
	k.last = len(s.all)
	return nil
}

// unite makes one of sessions that touch, in place, and orders them.
func unite(all []session) []session {
	slices.SortStableFunc(all, func(a, b session) int {
		switch {
		case a.start < b.start:
			return -1
		case a.start > b.start:
			return 1
		}
		return 0
	})
	n := 0
	for _, next := range all {
		if n == 0 || next.start > all[n-1].end {
			all[n] = next
			n++
			continue
		}
		one := &all[n-1]
		one.end = max(one.end, next.end)
		one.accs = append(one.accs, next.accs...)
		one.fired = one.fired || next.fired
		one.timed = one.timed || next.timed
	}
	return all[:n]
}

// isOver says whether a watermark has passed a session, and what is allowed behind it.
func (s *sessions) isOver(one *session, passed int64) bool {
	return after(one.end, s.panes.window.lateness)-1 <= passed
}

// passed says whether the watermark has passed a session.
func (s *sessions) passed(one *session) bool {
	return one.end-1 <= s.panes.passedOf(s.pane.table.Hash(s.keys[one.key].entry))
}

// bringForward puts out, and forgets, sessions of the batch's keys that stood in the middle of a firing and have not gone out with it.
func (s *sessions) bringForward(out *abi.Builder) error {
	if !s.panes.midway() {
		return nil
	}
	if err := s.emit(out, func(one *session) bool { return one.turn == itsTurn && !s.passed(one) }); err != nil {
		return err
	}
	for i := range s.all {
		one := &s.all[i]
		if one.turn != itsTurn {
			continue
		}
		if err := s.leave(one); err != nil {
			return err
		}
		one.accs = nil // store has it no more
	}
	return nil
}

// leave tells who asked for it that a session is forgotten.
func (s *sessions) leave(one *session) error {
	if s.gone == nil {
		return nil
	}
	return s.gone(s.pane.table.Key(s.keys[one.key].entry), one.span)
}

// combine merges the accumulators of sessions that have become one.
func (s *sessions) combine() error {
	s.some = s.some[:0]
	for i := range s.all {
		if len(s.all[i].accs) > 1 {
			s.some = append(s.some, i)
		}
	}
	return s.acc.merge(len(s.some), func(i int) piece { return s.piece(s.some[i]) }, func(i int, acc []byte) error {
		one := &s.all[s.some[i]]
		one.accs = s.list(s.keep(acc))
		return nil
	})
}

// add adds the batch's records to their sessions.
func (s *sessions) add() error {
	s.some = s.some[:0]
	for i := range s.all {
		if len(s.all[i].rows) > 0 {
			s.some = append(s.some, i)
		}
	}
	return s.acc.absorb(s.batch, len(s.some),
		func(i int) (piece, []uint32) { return s.piece(s.some[i]), s.all[s.some[i]].rows },
		func(i int, acc []byte) error {
			one := &s.all[s.some[i]]
			one.accs = s.list(s.keep(acc))
			return nil
		})
}

// list is a list of one.
func (s *sessions) list(acc []byte) [][]byte {
	s.lists = append(s.lists, acc)
	return s.lists[len(s.lists)-1 : len(s.lists) : len(s.lists)]
}

func (s *sessions) piece(i int) piece {
	one := &s.all[i]
	return piece{one.span, s.pane.table.Key(s.keys[one.key].entry), one.accs}
}

// keep copies bytes that are valid for a call only.
func (s *sessions) keep(p []byte) []byte {
	at := len(s.arena)
	s.arena = append(s.arena, p...)
	return s.arena[at:len(s.arena):len(s.arena)]
}

// emit puts out the sessions for which so says so.
func (s *sessions) emit(out *abi.Builder, so func(*session) bool) error {
	s.some = s.some[:0]
	for i := range s.all {
		if one := &s.all[i]; len(one.accs) > 0 && so(one) {
			one.fired = true
			s.some = append(s.some, i)
		}
	}
	if len(s.some) == 0 {
		return nil
	}
	return s.panes.told.emit(s.acc, len(s.some), func(i int) piece { return s.piece(s.some[i]) }, out)
}

// fire puts out sessions that the watermark has passed, in pieces of so many timers, in the order of their times: each session goes out
// with the timer of its end, once. One that had only earlier timers, because others have made it longer, gets that one here.
func (s *sessions) fire(watermark int64, out *abi.Builder) (more bool, err error) {
	defer s.forget()
	defer s.panes.pace.end()
	s.panes.firesTo(watermark)
	s.most = s.panes.pace.of(s.atOnce)
	s.due = s.due[:0]
	err = s.timers.Due(nil, watermark, func(time int64, hash uint64, key []byte) bool {
		s.due = append(s.due, dueTimer{time, hash, s.keep(key)})
		return len(s.due) < s.most
	})
	if err != nil {
		return false, err
	}
	if len(s.due) == 0 {
		return false, s.panes.passAll(watermark)
	}
	s.panes.pace.keys(len(s.due))
	if err := s.find(); err != nil {
		return false, err
	}
	for i := range s.keys {
		k := &s.keys[i]
		k.first = len(s.all)
		if err := s.load(i); err != nil {
			return false, err
		}
		k.last = len(s.all)
		s.inTime(k, watermark)
	}
	if err := s.emit(out, func(one *session) bool { return one.turn == itsTurn }); err != nil {
		return false, err
	}
	for _, d := range s.due {
		if err := s.timers.Delete(d.time, d.hash, d.key); err != nil {
			return false, err
		}
	}
	for i := range s.keys {
		if err := s.keepOn(&s.keys[i], watermark); err != nil {
			return false, err
		}
	}
	return true, nil
}

// inTime says which of a key's sessions go out with the timers of this call. Those that end between the first and the last of them do,
// if they have not before; at the first time itself, and at the last, there may be other calls with timers of the same time.
func (s *sessions) inTime(k *sessionKey, watermark int64) {
	first, last, more := s.due[0].time, s.due[len(s.due)-1].time, len(s.due) == s.most
	at := s.seen[string(s.pane.table.Key(k.entry))]
	for i := k.first; i < k.last; i++ {
		one := &s.all[i]
		end := one.end - 1
		switch {
		case end > watermark || one.fired && s.passed(one):
		case s.panes.window.lateness == 0: // it is gone with its result: no timer finds it again
			one.turn = itsTurn
		case one.fired && (end < first || end == first && !at.first): // by an earlier call
		case more && (end > last || end == last && !at.last):
			one.turn = laterTurn
		default:
			one.turn = itsTurn
		}
	}
}

// find resolves the keys of the due timers, each once.
func (s *sessions) find() error {
	clear(s.seen)
	s.dueKeys, s.hashes = s.dueKeys[:0], s.hashes[:0]
	first, last := s.due[0].time, s.due[len(s.due)-1].time
	for _, d := range s.due {
		was, again := s.seen[string(d.key)]
		if at := (ends{d.time == first, d.time == last}); !again || at.first || at.last {
			s.seen[string(d.key)] = ends{was.first || at.first, was.last || at.last}
		}
		if !again {
			s.dueKeys, s.hashes = append(s.dueKeys, d.key), append(s.hashes, d.hash)
		}
	}
	s.entries = append(s.entries[:0], make([]state.Entry, len(s.dueKeys))...)
	if err := s.pane.table.ResolveKeys(s.dueKeys, s.hashes, false, s.entries); err != nil {
		return err
	}
	for _, e := range s.entries {
		s.keys = append(s.keys, sessionKey{entry: e})
	}
	return nil
}

// keepOn is store behind timers: what is over at the watermark is forgotten, and the rest has a timer of its own.
func (s *sessions) keepOn(k *sessionKey, watermark int64) error {
	was := s.panes.passed
	s.panes.passed = max(was, watermark)
	defer func() { s.panes.passed = was }()
	for i := k.first; i < k.last; i++ {
		s.all[i].timed = false
	}
	return s.store(k)
}

// next is the earliest time that something may end at. If that cannot be read it is now: who fires meets the error, and says so.
func (s *sessions) next() (int64, bool) {
	at, err := s.timers.Next()
	if err != nil {
		return s.panes.passed, true
	}
	return at, at < abi.MaxTime
}

// forget makes ready for the next call.
func (s *sessions) forget() {
	s.all, s.keys, s.arena, s.rows, s.lists, s.batch = s.all[:0], s.keys[:0], s.arena[:0], s.rows[:0], s.lists[:0], nil
	s.pane.entries = s.pane.entries[:0]
}
