package operator

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Join is an operator over the records of two inputs that have the same key. One goroutine, the task's, calls it.
type Join interface {
	// Process takes a batch of one input that has keys, values and timestamps. now is processing time.
	Process(b *abi.Batch, hashes []uint64, now int64, input int) error
	// Fire does a part of what is due at the watermark, and answers whether there is more. Until it has answered no, the
	// watermark has not passed the operator. A snapshot may lie between two calls.
	Fire(watermark int64) (more bool, err error)
	// Save stores, before a snapshot, what is not in tables.
	Save() error
	// Late is how many records came too late.
	Late() int64
	// Due is the watermark at which the next window fires; false: none is open, or nothing waits for a window.
	Due() (int64, bool)
}

// Joiner is the user's join function, and where results go that are made without one.
type Joiner interface {
	// Join has the guest emit what it makes of each group, and passes it on, as changes of that kind.
	Join(groups *abi.GroupsWriter, kind abi.ChangeKind) error
	// CoGroup is Join with lists of which a part may be missing: rest has it.
	CoGroup(groups *abi.GroupsWriter, rest *Rest, kind abi.ChangeKind) error
	// Pass passes on what is in Results, and empties it. It may wait until there is room for it.
	Pass() error
	// Retry is that of Guest.
	Retry(err error, n int, call func(lo, hi int) error, describe func(unit int) Unit) error
}

// JoinConfig is what a join is made of.
type JoinConfig struct {
	UID      string
	Interval *abi.Interval // or Window
	Window   *abi.Window
	Outer    string
	Key      abi.Codec
	Values   [2]abi.Codec // of the inputs
	Output   abi.Codec    // of a join without function: a row of two fields
	Function *abi.Function
	Groups   int // key groups of the job
	Store    state.Store
	Joiner   Joiner
	Hash     bool // in batch mode, of all that there is: input Build comes before the other, and lies in a table
	Build    int
	Tells    bool            // of windows: results are told as the change that they are
	Results  *abi.Builder    // takes what a join without function makes
	Late     [2]*abi.Builder // take what comes too late, by input; nil: it is dropped
}

// NewJoin makes the join that c describes.
func NewJoin(c JoinConfig) (Join, error) {
	var kept [2]timeline
	for i, name := range []string{"left", "right"} {
		spec := state.Spec{Operator: c.UID, Name: name, Key: c.Key, Value: c.Values[i]}
		if c.Interval != nil {
			spec.TTL, spec.Event, spec.Once = intervalTTL(c.Interval), true, true
		}
		var err error
		if kept[i], err = newTimeline(c.Store, spec); err != nil {
			return nil, err
		}
	}
	if c.Hash {
		return newHashJoin(&c, kept)
	}
	if c.Window != nil {
		return newWindowJoin(&c, kept)
	}
	return newInterval(&c, kept)
}

// progress is how far the watermark has come: what it has passed is late. It outlives a restore.
type progress struct {
	passed int64
	before int64 // what had been passed before the end of time
	apart  *apart
}

// unpassed is progress where nothing has been passed.
var unpassed = progress{passed: abi.MinTime, before: abi.MinTime}

func restoreProgress(store state.Store, uid, name string, groups int) (p progress, err error) {
	p = unpassed
	all, err := store.Own(uid, name)
	if err != nil || len(all) == 0 {
		return p, err
	}
	if p.passed, p.apart, err = decodeFired(all, groups); err != nil {
		return p, fmt.Errorf("restore %s of %s: %w", name, uid, err)
	}
	return p, nil
}

// passedName is the name in a join's own scope of the watermark that it has passed, and numberName that of the number of the
// last record that it has kept.
const (
	passedName = "passed"
	numberName = "number"
)

func (p *progress) save(store state.Store, uid, name string) error {
	passed := lasting(p.passed, p.before)
	if passed == abi.MinTime && p.apart == nil {
		return nil
	}
	value := binary.LittleEndian.AppendUint64(nil, uint64(passed))
	if p.apart != nil {
		value = p.apart.encode(passed)
	}
	return store.SetOwn(uid, name, value)
}

// of is the watermark that has been passed for a key.
func (p *progress) of(hash uint64) int64 {
	if p.apart == nil {
		return p.passed
	}
	return max(p.passed, p.apart.of(hash))
}

// furthest is the watermark that has been passed for some key.
func (p *progress) furthest() int64 {
	if p.apart == nil {
		return p.passed
	}
	return max(p.passed, p.apart.most)
}

// beyond says whether p says anything that another does not, for whoever goes on.
func (p *progress) beyond(other *progress) bool {
	return p.apart != nil || p.passed > lasting(other.passed, other.before)
}

func (p *progress) pass(watermark int64) {
	p.before = lasting(p.passed, p.before)
	p.passed = max(watermark, p.passed)
	if p.apart != nil && watermark >= p.apart.most && watermark < abi.MaxTime {
		p.apart = nil
	}
}

// numbers tells records of one key and time apart: those of a subtask ascend, also over a restore.
type numbers struct{ last uint64 }

func restoreNumbers(store state.Store, uid string) (n numbers, err error) {
	all, err := store.Own(uid, numberName)
	for _, o := range all {
		if len(o.Value) != 8 {
			return n, fmt.Errorf("restore %s of %s: %d bytes (expected 8)", numberName, uid, len(o.Value))
		}
		n.last = max(n.last, binary.LittleEndian.Uint64(o.Value))
	}
	return n, err
}

func (n *numbers) next() uint64 {
	n.last++
	return n.last
}

func (n *numbers) save(store state.Store, uid string) error {
	return store.SetOwn(uid, numberName, binary.LittleEndian.AppendUint64(nil, n.last))
}

// pairs writes the results of a join without function: a row of the two values.
type pairs struct {
	schema *abi.Schema
	writer abi.RowWriter
	row    []byte
}

func newPairs(output abi.Codec) (*pairs, error) {
	schema, err := abi.ParseSchema(output)
	if err != nil {
		return nil, err
	}
	if len(schema.Fields) != 2 {
		return nil, fmt.Errorf("output %s: %d fields (expected 2)", output, len(schema.Fields))
	}
	p := &pairs{schema: schema}
	p.writer.Reset(schema)
	return p, nil
}

// set is one value of the rows that are appended from now on.
func (p *pairs) set(field int, value []byte) error {
	if p.schema.Fields[field].Type.Variable() {
		p.writer.SetBytes(field, value)
		return nil
	}
	if len(value) != 8 {
		return &InputError{Problem: fmt.Sprintf("a value of input %d has %d bytes (expected 8 of %s)", field, len(value), p.schema.Fields[field].Type)}
	}
	p.writer.SetI64(field, int64(binary.LittleEndian.Uint64(value)))
	return nil
}

// none makes a value of the rows that are appended from now on null.
func (p *pairs) none(field int) { p.writer.SetNull(field) }

func (p *pairs) append(out *abi.Builder, key []byte, time int64, kind abi.ChangeKind) {
	p.row = p.writer.AppendTo(p.row[:0])
	out.Append(abi.Record{Timestamp: time, Key: key, Value: p.row, Kind: kind})
}
