package operator

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// windowJoin joins the records of a key that lie in the same window. A record is kept once, by its time, however many windows
// it is in: what a window has is what lies between its ends. Of each key a timer is set for the first window to fire that has
// records of it, and when that has fired for the next one.
type windowJoin struct {
	panes   // how far windows have fired, and what is late; no pane is open
	numbers numbers
	match   matching
	ends    state.Timers // 1 before the end of a window; nil: windows are sessions, which have their own
	expiry  state.Timers // when records of a step are over; nil: with the last window that they are in
	lates   [2]*abi.Builder

	set    [2]firing // timer of ends, and of expiry, that was set last
	input  int       // of the batch at hand
	now    int64
	again  []firing // windows of its records that have fired already, by end
	seen   map[string]bool
	due    []firing
	memory []byte // of keys of again and due
	one    []byte // scratch
}

// Timers that were set last.
const (
	endTimer = iota
	expiryTimer
)

func newWindowJoin(c *JoinConfig, kept [2]timeline) (*windowJoin, error) {
	j := &windowJoin{lates: c.Late, seen: map[string]bool{}}
	j.panes = newPanes(c.Store, c.Window, nil, state.Spec{Operator: c.UID, Key: c.Key})
	var err error
	if j.match, err = newMatching(c, kept); err != nil {
		return nil, err
	}
	if err = j.timers(c); err != nil {
		return nil, err
	}
	if j.numbers, err = restoreNumbers(c.Store, c.UID); err != nil {
		return nil, err
	}
	j.forgetTimers()
	return j, j.restoreFired(c.Groups)
}

// timers opens what says when windows fire.
func (j *windowJoin) timers(c *JoinConfig) (err error) {
	if j.window.gap > 0 {
		if j.session, err = newSessions(&j.panes, joinedSessions{j}); err == nil {
			j.session.gone = joinedSessions{j}.forget
		}
		return err
	}
	spec := state.Spec{Operator: c.UID, Name: "$ends", Kind: state.Timer, Key: c.Key}
	if j.ends, err = c.Store.Timers(spec); err != nil || j.window.lateness == 0 {
		return err
	}
	spec.Name = "$expiry"
	j.expiry, err = c.Store.Timers(spec)
	return err
}

// Save implements Join.
func (j *windowJoin) Save() error {
	if err := j.numbers.save(j.store, j.spec.Operator); err != nil {
		return err
	}
	return j.panes.Save()
}

// Due implements Join.
func (j *windowJoin) Due() (int64, bool) {
	if j.session != nil {
		return j.session.next()
	}
	at, err := j.ends.Next()
	if err != nil {
		return j.passed, true // who fires meets the error
	}
	return at, at < abi.MaxTime
}

// Process implements Join.
func (j *windowJoin) Process(b *abi.Batch, hashes []uint64, now int64, input int) error {
	defer j.forget()
	j.input, j.lateOut = input, j.lates[input]
	if j.now = now; j.window.processing {
		j.now = j.clock(now)
	} else if b.Timestamps == nil {
		return errJoinTime
	}
	if j.session != nil {
		return j.session.process(b, hashes, j.now, nil)
	}
	if err := j.catchUp(b, hashes); err != nil {
		return err
	}
	j.lateRows = j.lateRows[:0]
	for row := range b.N {
		if err := j.add(b, row, hashes[row]); err != nil {
			return err
		}
	}
	if len(j.lateRows) > 0 {
		j.lateOut.AppendRows(b, j.lateRows, b.Hashes)
	}
	return j.match.results(len(j.again), func(i int) bucket { return j.bucketOf(&j.again[i]) })
}

// timeOf is the time of a record by which windows are cut.
func (j *windowJoin) timeOf(b *abi.Batch, row int) int64 {
	if j.window.processing {
		return j.now
	}
	return b.Timestamps[row]
}

// add keeps a record, unless it is late.
func (j *windowJoin) add(b *abi.Batch, row int, hash uint64) error {
	t, key := j.timeOf(b, row), b.Key(row)
	if t == abi.NoTimestamp {
		return errJoinTime
	}
	passed := j.reached(hash)
	slice, _ := j.window.bounds(t)
	if j.window.over(slice, passed) {
		j.isLate(row)
		return nil
	}
	if err := j.match.kept[j.input].add(hash, key, t, j.numbers.next(), b.Value(row)); err != nil {
		return err
	}
	if end, ok := j.window.upcoming(slice, passed); ok {
		if err := j.timer(endTimer, end-1, hash, key); err != nil {
			return err
		}
	}
	if j.expiry == nil {
		return nil
	}
	j.repeat(slice, passed, hash, key)
	if last := after(j.window.last(slice), j.window.lateness); last < abi.MaxTime {
		return j.timer(expiryTimer, last-1, hash, key)
	}
	return nil
}

// timer sets one; records of a key come in succession, most often.
func (j *windowJoin) timer(which int, at int64, hash uint64, key []byte) error {
	s := &j.set[which]
	if s.time == at && s.hash == hash && string(s.key) == string(key) {
		return nil
	}
	s.time, s.hash, s.key = at, hash, append(s.key[:0], key...)
	timers := j.ends
	if which == expiryTimer {
		timers = j.expiry
	}
	return timers.Set(at, hash, key)
}

// repeat has the windows of a slice that have fired for a key, and still take records, put out again.
func (j *windowJoin) repeat(slice, passed int64, hash uint64, key []byte) {
	for end := j.window.first(slice); end-1 <= passed && end <= j.window.last(slice); end = j.window.next(end) {
		j.one = append(binary.BigEndian.AppendUint64(j.one[:0], uint64(end)), key...)
		if !j.shut(end, hash) && !j.seen[string(j.one)] {
			j.seen[string(j.one)] = true
			j.again = append(j.again, firing{end - 1, hash, keep(&j.memory, key)})
		}
		if end == abi.MaxTime {
			break
		}
	}
}

// bucketOf is what a timer of ends stands for.
func (j *windowJoin) bucketOf(f *firing) bucket {
	return bucket{span{shift(f.time+1, -j.window.size), f.time + 1}, f.key, f.hash}
}

// Fire implements Join. At the end of time what windows had is removed, too, also if they take late records: those of a job that
// goes on from a drained savepoint make windows of their own.
func (j *windowJoin) Fire(watermark int64) (more bool, err error) {
	defer j.forget()
	if j.match.told != nil {
		defer func() {
			if !more && err == nil {
				err = j.match.told.Forget(watermark)
			}
		}()
	}
	if j.session != nil {
		return j.session.fire(watermark, nil)
	}
	defer j.pace.end()
	j.firesTo(watermark)
	j.forgetTimers()
	if err := j.find(j.ends, watermark, j.window.sliding()); err != nil {
		return false, err
	}
	if len(j.due) > 0 {
		j.pace.keys(len(j.due))
		return true, j.fired()
	}
	if j.expiry != nil {
		if err := j.find(j.expiry, watermark, false); err != nil {
			return false, err
		}
		if len(j.due) > 0 {
			return true, j.expired()
		}
	}
	j.pass(watermark)
	return false, nil
}

// find takes some of the timers that are due; with one only those of one time: a window that follows another of its key may be due,
// too, but not before that.
func (j *windowJoin) find(timers state.Timers, until int64, one bool) error {
	most := j.pace.of(fireTimers)
	return timers.Due(nil, until, func(time int64, hash uint64, key []byte) bool {
		if one && len(j.due) > 0 && j.due[0].time != time {
			return false
		}
		j.due = append(j.due, firing{time, hash, keep(&j.memory, key)})
		return len(j.due) < most
	})
}

// fired puts out the windows that are due, and goes on to the next of the same keys.
func (j *windowJoin) fired() error {
	if err := j.match.results(len(j.due), func(i int) bucket { return j.bucketOf(&j.due[i]) }); err != nil {
		return err
	}
	for i := range j.due {
		f := &j.due[i]
		if err := j.ends.Delete(f.time, f.hash, f.key); err != nil {
			return err
		}
		b := j.bucketOf(f)
		if err := j.follow(&b); err != nil {
			return err
		}
		if j.expiry == nil && b.end < abi.MaxTime {
			if err := j.remove(&b, b.start); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow sets a timer for the next window, if some of a key's records are in that, too.
func (j *windowJoin) follow(b *bucket) error {
	from := shift(b.start, j.window.step)
	if from >= b.end || b.end == abi.MaxTime {
		return nil
	}
	for input := range j.match.kept {
		kept, any := &j.match.kept[input], false
		err := kept.scan(b.hash, b.key, kept.from(from), b.end-1, func(_, _ []byte) bool {
			any = true
			return false
		})
		if err != nil {
			return err
		}
		if any {
			return j.ends.Set(j.window.next(b.end)-1, b.hash, b.key)
		}
	}
	return nil
}

// remove forgets the records of a key in the step that begins at from.
func (j *windowJoin) remove(b *bucket, from int64) error {
	last := shift(from, j.window.step-1)
	if failpoint.Planted(failpoint.DropSide) {
		last = shift(from, j.window.size-1)
	}
	for input := range j.match.kept {
		if err := j.match.kept[input].forget(b.hash, b.key, from, last); err != nil {
			return err
		}
	}
	return nil
}

// expired removes what no window takes any more.
func (j *windowJoin) expired() error {
	for i := range j.due {
		f := &j.due[i]
		b := bucket{key: f.key, hash: f.hash}
		if err := j.remove(&b, f.time+1-j.window.lateness-j.window.size); err != nil {
			return err
		}
		if err := j.expiry.Delete(f.time, f.hash, f.key); err != nil {
			return err
		}
	}
	return nil
}

func (j *windowJoin) forgetTimers() {
	j.set[endTimer].time, j.set[expiryTimer].time = abi.MaxTime, abi.MaxTime
}

// forget makes ready for the next call.
func (j *windowJoin) forget() {
	clear(j.seen)
	j.again, j.due, j.memory = j.again[:0], j.due[:0], j.memory[:0]
}

// joinedSessions is what sessions do with records of a join: their accumulators are empty, the records lie by their times.
type joinedSessions struct{ *windowJoin }

var nothing = []byte{}

func (joinedSessions) ready(*pane, []state.Entry) error     { return nil }
func (joinedSessions) of(state.Table, state.Entry) []byte   { return nothing }
func (joinedSessions) renew([]byte, uint16, [][]byte) error { return nil }
func (joinedSessions) merge(n int, _ func(int) piece, put func(int, []byte) error) error {
	for i := range n {
		if err := put(i, nothing); err != nil {
			return err
		}
	}
	return nil
}

// absorb implements adding.
func (j joinedSessions) absorb(b *abi.Batch, n int, of func(int) (piece, []uint32), put func(int, []byte) error) error {
	for i := range n {
		p, rows := of(i)
		hash := xxhash.Sum64(p.key)
		for _, row := range rows {
			if err := j.match.kept[j.input].add(hash, p.key, j.timeOf(b, int(row)), j.numbers.next(), b.Value(int(row))); err != nil {
				return err
			}
		}
		if err := put(i, nothing); err != nil {
			return err
		}
	}
	return nil
}

// emit implements merging.
func (j joinedSessions) emit(n int, of func(int) piece, _ *abi.Builder) error {
	return j.match.results(n, func(i int) bucket {
		p := of(i)
		return bucket{p.span, p.key, xxhash.Sum64(p.key)}
	})
}

// forget removes the records of a session that takes none any more.
func (j joinedSessions) forget(key []byte, s span) error {
	for input := range j.match.kept {
		if err := j.match.kept[input].forget(xxhash.Sum64(key), key, s.start, s.end-1); err != nil {
			return err
		}
	}
	return nil
}
