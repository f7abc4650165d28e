package taskmanager

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// reached keeps the watermark that a step's input had come to at a snapshot, and whether that lies in the middle of what it has made
// due. Who goes on from there brings that to its end first, before any input: a record that was late behind the watermark still is.
type reached struct {
	store    state.Store
	uid      string
	from, to graph.KeyGroup // that the task owns
	midway   bool           // what is due is not done
	stored   bool           // a snapshot has a value, or may have
}

// ahead is a run of key groups that stood in the middle of a later watermark than others of the task, to which it goes on as a whole.
type ahead struct {
	from, to  graph.KeyGroup // from <= group < to
	watermark int64
}

// reachedName is its name in the operator's own scope. The value is the i64 watermark, u8 1 if what it has made due is done, and of each
// run that is ahead u16 from, u16 to and i64 watermark. In an older version it was the watermark alone, in the middle of it, or nothing.
const (
	reachedName = "reached"
	reachedHead = 9
	reachedRun  = 12
)

func newReached(op *graph.Operator, parts chainParts) reached {
	r := reached{uid: op.UID}
	r.from, r.to = parts.keyGroups()
	return r
}

// restore is the watermark to go on to, abi.MinTime if nothing is to be brought to its end, and the key groups that had come further.
// Where the subtasks that had the key groups stood apart it is the least of theirs: some of them may not have come to a later one.
func (r *reached) restore(store state.Store) (watermark int64, further []ahead, err error) {
	r.store, r.midway = store, false
	all, err := store.Own(r.uid, reachedName)
	if err != nil {
		return 0, nil, err
	}
	least, covered := abi.MaxTime, 0
	for _, o := range all {
		part := ahead{from: max(o.From, r.from), to: min(o.To, r.to)}
		if len(o.Value) == 0 || part.from >= part.to {
			continue
		}
		if len(o.Value) != 8 && (len(o.Value)-reachedHead)%reachedRun != 0 {
			return 0, nil, fmt.Errorf("restore %s of %s: %d bytes (expected %d, and %d for each run)", reachedName, r.uid, len(o.Value), reachedHead, reachedRun)
		}
		r.stored = true
		part.watermark = int64(binary.LittleEndian.Uint64(o.Value))
		least, covered = min(least, part.watermark), covered+int(part.to-part.from)
		if len(o.Value) == 8 || o.Value[8] == 0 {
			further = append(further, part)
		}
		further = append(further, part.within(o.Value[min(len(o.Value), reachedHead):])...)
	}
	if covered < int(r.to)-int(r.from) || len(further) == 0 {
		least = abi.MinTime
	}
	r.midway = least > abi.MinTime
	return least, slices.DeleteFunc(further, func(a ahead) bool { return a.watermark <= least }), nil
}

// within are runs as they are stored, of the key groups of a.
func (a *ahead) within(runs []byte) (all []ahead) {
	le := binary.LittleEndian
	for ; len(runs) > 0; runs = runs[reachedRun:] {
		run := ahead{max(graph.KeyGroup(le.Uint16(runs)), a.from), min(graph.KeyGroup(le.Uint16(runs[2:])), a.to), int64(le.Uint64(runs[4:]))}
		if run.from < run.to {
			all = append(all, run)
		}
	}
	return all
}

// save stores the watermark, and what is still further. The end of the input has no middle: nothing comes behind that.
func (r *reached) save(watermark int64, further []ahead) error {
	if watermark == abi.MinTime && len(further) == 0 && !r.stored {
		return nil
	}
	r.stored = true
	le := binary.LittleEndian
	value := append(le.AppendUint64(nil, uint64(watermark)), 1)
	if r.midway && watermark < abi.MaxTime {
		value[8] = 0
	}
	for _, a := range further {
		value = le.AppendUint16(value, uint16(a.from))
		value = le.AppendUint16(value, uint16(a.to))
		value = le.AppendUint64(value, uint64(a.watermark))
	}
	return r.store.SetOwn(r.uid, reachedName, value)
}

// resumes says whether the step has something to bring to its end before there is input.
func (r *reached) resumes() bool { return r.midway }
