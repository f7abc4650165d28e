package operator

import (
	"math"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// interval joins records whose times lie near each other: a record meets, when it comes, those of the other input that came
// before it. Both inputs' records are kept until the watermark says that none can come that they would meet: they end by the
// event time of the join's states. Nobody looks for what has ended, as no record reads so far back; the store lets go of it.
//
// A timer for each key and stretch of time, at which the join looks for what is over, costs a scan of the disk each where
// the state does not fit into memory: more than all records that meet. Snapshots of versions that did so have records
// without an end, and these timers, and are gone on from.
type interval struct {
	progress
	numbers
	until  progress // that records were being forgotten to
	uid    string
	store  state.Store
	clock  *state.Clock
	lives  int64 // the TTL of what is kept
	kept   [2]timeline
	ahead  [2]int64     // by input: how far behind a record of it the last one may be that it meets
	expiry state.Timers // of older versions: when records of a key are over, rounded up
	round  int64
	atOnce int // timers that fire in one call, at most
	calls  Joiner
	pairs  *pairs // nil: a function makes the results
	out    *abi.Builder
	late   int64
	lates  [2]*abi.Builder

	// of the batch at hand
	batch   *abi.Batch
	hashes  []uint64
	input   int
	rows    []uint32 // that are not late
	left    []bool   // by number in rows: the function has trapped on it, and it is left out
	meets   []meeting
	groups  abi.GroupsWriter
	found   stretch // what a record meets
	memory  []byte  // of keys of due
	one     [1][]byte
	oneTime [1]int64
	due     []firing
}

// meeting is a record and some of what it meets: a group of the call at hand.
type meeting struct {
	row   int    // its number in rows
	after []byte // place of the other input behind which they begin, nil: where it meets the first
	n     int
}

// leastTTL bounds the TTL of what interval joins keep: it says how often the disk is looked through when nothing is written.
const leastTTL = 60_000

// intervalTTL is the TTL of what a join keeps. When a record ends, its join says.
func intervalTTL(i *abi.Interval) int64 {
	lower, upper := i.Bounds()
	return max(upper-lower, leastTTL)
}

func newInterval(c *JoinConfig, kept [2]timeline) (*interval, error) {
	lower, upper := c.Interval.Bounds()
	j := &interval{uid: c.UID, store: c.Store, clock: c.Store.EventTime(c.UID), lives: intervalTTL(c.Interval), kept: kept, ahead: [2]int64{upper, -lower}, round: max((upper-lower)/4, 1), atOnce: fireTimers, calls: c.Joiner, out: c.Results, lates: c.Late}
	var err error
	if j.expiry, err = c.Store.Timers(state.Spec{Operator: c.UID, Name: "$expiry", Kind: state.Timer, Key: c.Key}); err != nil {
		return nil, err
	}
	if c.Function == nil {
		if j.pairs, err = newPairs(c.Output); err != nil {
			return nil, err
		}
	}
	if j.progress, err = restoreProgress(c.Store, c.UID, passedName, c.Groups); err != nil {
		return nil, err
	}
	j.clock.Now = j.passed
	if j.until, err = restoreProgress(c.Store, c.UID, untilName, c.Groups); err != nil {
		return nil, err
	}
	j.numbers, err = restoreNumbers(c.Store, c.UID)
	return j, err
}

// Late implements Join.
func (j *interval) Late() int64 { return j.late }

// Due implements Join.
func (j *interval) Due() (int64, bool) { return 0, false }

// Save implements Join.
func (j *interval) Save() error {
	if err := j.numbers.save(j.store, j.uid); err != nil {
		return err
	}
	if j.until.beyond(&j.progress) {
		if err := j.until.save(j.store, j.uid, untilName); err != nil {
			return err
		}
	}
	return j.progress.save(j.store, j.uid, passedName)
}

// Process implements Join.
func (j *interval) Process(b *abi.Batch, hashes []uint64, _ int64, input int) error {
	defer j.forget()
	j.batch, j.hashes, j.input = b, hashes, input
	if err := j.sift(); err != nil {
		return err
	}
	var after []byte // where the record at hand is gone on with
	for row := 0; row < len(j.rows); {
		first := row
		j.begin()
		for row < len(j.rows) && j.groups.Size() < callBytes {
			if j.left[row] {
				row, after = row+1, nil
				continue
			}
			m := meeting{row: row, after: after}
			more, err := j.meet(&m, math.MaxInt)
			if err != nil {
				return err
			}
			if m.n > 0 {
				j.meets = append(j.meets, m)
			}
			if after = more; more == nil {
				row++
			}
		}
		if err := j.send(); err != nil {
			return err
		}
		if err := j.keep(first, row); err != nil {
			return err
		}
	}
	return nil
}

// sift sorts out late records.
func (j *interval) sift() error {
	if j.batch.Timestamps == nil {
		return errJoinTime
	}
	var late []uint32
	for i, t := range j.batch.Timestamps {
		switch {
		case t == abi.NoTimestamp:
			return errJoinTime
		case t < max(j.of(j.hashes[i]), j.until.of(j.hashes[i])):
			late = append(late, uint32(i))
		default:
			j.rows = append(j.rows, uint32(i))
			j.left = append(j.left, false)
		}
	}
	j.late += int64(len(late))
	if out := j.lates[j.input]; out != nil && len(late) > 0 {
		out.AppendRows(j.batch, late, j.batch.Hashes)
	}
	return nil
}

var errJoinTime = &InputError{Problem: "a record has no timestamp, and a join by time needs one", Hint: "give the source timestamps, or put a timestamp function before the join"}

func (j *interval) begin() {
	j.meets = j.meets[:0]
	j.groups.Reset()
}

// meet takes in what a record meets, up to most of them, as a group or as results. More is where it is to be gone on, nil if
// that was all.
func (j *interval) meet(m *meeting, most int) (more []byte, err error) {
	row := int(j.rows[m.row])
	t, key, hash := j.batch.Timestamps[row], j.batch.Key(row), j.hashes[row]
	other := &j.kept[1-j.input]
	from := m.after
	if from == nil {
		from = other.from(shift(t, -j.ahead[1-j.input]))
	}
	more, err = j.found.read(other, hash, key, from, shift(t, j.ahead[j.input]), most, callBytes)
	if m.n = j.found.len(); err != nil || m.n == 0 {
		return nil, err
	}
	if j.pairs != nil {
		return more, j.pair(row)
	}
	j.group(row)
	return more, nil
}

// pair puts out the record with each that it meets.
func (j *interval) pair(row int) error {
	key, t := j.batch.Key(row), j.batch.Timestamps[row]
	if err := j.pairs.set(j.input, j.batch.Value(row)); err != nil {
		return err
	}
	for i, at := range j.found.times {
		if err := j.pairs.set(1-j.input, j.found.value(i)); err != nil {
			return err
		}
		j.pairs.append(j.out, key, max(t, at), abi.Insert)
		if j.out.Len() >= fireRecords || j.out.Size() >= fireBytes {
			if err := j.calls.Pass(); err != nil {
				return err
			}
		}
	}
	return nil
}

// group writes the record and what it meets as two lists.
func (j *interval) group(row int) {
	j.groups.Begin(abi.Group{Key: j.batch.Key(row)})
	n, times, values := j.found.len(), j.found.times, j.found.all()
	j.one[0], j.oneTime[0] = j.batch.Value(row), j.batch.Timestamps[row]
	if j.input == 0 {
		j.groups.List(abi.ListInput0, 0, 1, j.oneTime[:], j.one[:])
		j.groups.List(abi.ListInput1, 0, n, times, values)
	} else {
		j.groups.List(abi.ListInput0, 0, n, times, values)
		j.groups.List(abi.ListInput1, 0, 1, j.oneTime[:], j.one[:])
	}
	j.groups.EndGroup()
}

// send makes the call, if a function has something to do.
func (j *interval) send() error {
	if j.pairs != nil || len(j.meets) == 0 {
		return nil
	}
	err := j.calls.Join(&j.groups, abi.Insert)
	if err == nil {
		return nil
	}
	again := func(lo, hi int) error {
		j.groups.Reset()
		for i := lo; i < hi; i++ {
			if _, err := j.meet(&j.meets[i], j.meets[i].n); err != nil {
				return err
			}
		}
		return j.calls.Join(&j.groups, abi.Insert)
	}
	return j.calls.Retry(err, len(j.meets), again, func(unit int) Unit {
		row := j.meets[unit].row
		i := int(j.rows[row])
		return Unit{Row: i, Data: j.batch.Value(i), Key: j.batch.Key(i), Skip: func() error {
			j.left[row] = true
			return nil
		}}
	})
}

// keep has the records from lo up to hi meet those to come.
func (j *interval) keep(lo, hi int) error {
	for i := lo; i < hi; i++ {
		row := int(j.rows[i])
		t, key, hash := j.batch.Timestamps[row], j.batch.Key(row), j.hashes[row]
		last := shift(t, j.ahead[j.input])
		if j.left[i] || last < j.passed {
			continue
		}
		j.clock.At = shift(last, 1-j.lives) // it ends when the watermark has passed last
		if err := j.kept[j.input].add(hash, key, t, j.next(), j.batch.Value(row)); err != nil {
			return err
		}
	}
	return nil
}

// shift is t and n behind it, cut off at both ends of time.
func shift(t, n int64) int64 {
	switch {
	case n > 0 && t > abi.MaxTime-n:
		return abi.MaxTime
	case n < 0 && t < abi.MinTime+1-n:
		return abi.MinTime + 1
	}
	return t + n
}

// Fire implements Join. At the end of time nothing ends: the state does with the task, or a job that goes on from a drained
// savepoint meets it.
func (j *interval) Fire(watermark int64) (more bool, err error) {
	j.due, j.memory = j.due[:0], j.memory[:0]
	if watermark < abi.MaxTime {
		j.until.pass(watermark)
		err = j.expiry.Due(nil, watermark, func(time int64, hash uint64, key []byte) bool {
			if len(j.due) == j.atOnce {
				more = true
				return false
			}
			j.due = append(j.due, firing{time, hash, keep(&j.memory, key)})
			return true
		})
	}
	for _, d := range j.due {
		if err == nil {
			err = j.remove(d)
		}
	}
	if err == nil && !more {
		j.pass(watermark)
		if watermark < abi.MaxTime {
			j.clock.Now = j.passed
		}
	}
	return more, err
}

// remove forgets the records of a key for which an older version has set a timer.
func (j *interval) remove(d firing) error {
	for input := range j.kept {
		last := shift(d.time, -1-j.ahead[input])
		if err := j.kept[input].forget(d.hash, d.key, shift(last, -2*j.round), last); err != nil {
			return err
		}
	}
	return j.expiry.Delete(d.time, d.hash, d.key)
}

// forget makes ready for the next batch.
func (j *interval) forget() {
	j.batch, j.hashes, j.one[0] = nil, nil, nil
	j.rows, j.left = j.rows[:0], j.left[:0]
}
