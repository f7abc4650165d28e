package taskmanager

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// reached keeps the watermark that a step's input had come to, where a snapshot lies in the middle of what that has made due. Who
// goes on from there brings that to its end first, before any input: a record that was late behind the watermark still is.
type reached struct {
	store    state.Store
	uid      string
	from, to graph.KeyGroup // that the task owns
	midway   bool           // what is due is not done
	stored   bool           // a snapshot has a watermark, or may have
}

// reachedName is its name in the operator's own scope; an empty value is none.
const reachedName = "reached"

func newReached(op *graph.Operator, parts chainParts) reached {
	r := reached{uid: op.UID}
	r.from, r.to = parts.keyGroups()
	return r
}

// restore is the watermark to go on to, abi.MinTime if there is none. Where the subtasks that had the key groups stood apart it
// is none: some of them may not have come to it.
func (r *reached) restore(store state.Store) (int64, error) {
	r.store, r.midway = store, false
	all, err := store.Own(r.uid, reachedName)
	if err != nil {
		return 0, err
	}
	least, covered := abi.MaxTime, 0
	for _, o := range all {
		groups := int(min(o.To, r.to)) - int(max(o.From, r.from))
		switch {
		case len(o.Value) == 0 || groups <= 0:
			continue
		case len(o.Value) != 8:
			return 0, fmt.Errorf("restore %s of %s: %d bytes (expected 8)", reachedName, r.uid, len(o.Value))
		}
		least, covered, r.stored = min(least, int64(binary.LittleEndian.Uint64(o.Value))), covered+groups, true
	}
	if r.midway = covered > 0 && covered == int(r.to)-int(r.from); !r.midway {
		return abi.MinTime, nil
	}
	return least, nil
}

// save stores the watermark if the step is in the middle of it. The end of the input is none: nothing comes behind that.
func (r *reached) save(watermark int64) error {
	var value []byte
	if r.midway && watermark > abi.MinTime && watermark < abi.MaxTime {
		value = binary.LittleEndian.AppendUint64(nil, uint64(watermark))
	}
	if value == nil && !r.stored {
		return nil
	}
	r.stored = value != nil
	return r.store.SetOwn(r.uid, reachedName, value)
}

// resumes says whether the step has something to bring to its end before there is input.
func (r *reached) resumes() bool { return r.midway }
