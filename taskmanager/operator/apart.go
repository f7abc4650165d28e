package operator

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// apart is how far windows have fired by key group, where that is not the same for all: subtasks that took their part of an
// unaligned checkpoint had fired to different watermarks, and now one has key groups of several. It is of use until the
// watermark has passed all of them.
type apart struct {
	fired []int64 // by key group
	most  int64
}

// of is the watermark to which windows have fired for a key.
func (a *apart) of(hash uint64) int64 { return a.fired[hash%uint64(len(a.fired))] }

// A value of the own scope is the watermark of all key groups, or a list of u16 first, u16 last group and i64 watermark.
const firedRun = 12

// encode is for as long as they are apart; what has fired since counts for all.
func (a *apart) encode(fired int64) (value []byte) {
	for first := 0; first < len(a.fired); {
		last := first
		for last+1 < len(a.fired) && a.fired[last+1] == a.fired[first] {
			last++
		}
		value = binary.LittleEndian.AppendUint16(value, uint16(first))
		value = binary.LittleEndian.AppendUint16(value, uint16(last))
		value = binary.LittleEndian.AppendUint64(value, uint64(max(fired, a.fired[first])))
		first = last + 1
	}
	return value
}

// lasting is how far windows have fired for whoever goes on. That event time came to its end is none of it: at the end of the input no
// record is left to be late, and a job that goes on from a drained savepoint has others.
func lasting(passed, before int64) int64 {
	if passed == abi.MaxTime {
		return before
	}
	return passed
}

// decodeFired is the least watermark of all key groups, and each one's, nil if they are the same. Of a group that nobody
// speaks of nothing has fired.
func decodeFired(all []state.Owned, groups int) (least int64, a *apart, err error) {
	fired := make([]int64, groups)
	for g := range fired {
		fired[g] = abi.MinTime
	}
	set := func(o state.Owned, first, last int, watermark int64) {
		watermark = lasting(watermark, abi.MinTime) // an older version has stored it
		for g := max(first, int(o.From)); g <= min(last, int(o.To)-1, groups-1); g++ {
			fired[g] = watermark
		}
	}
	for _, o := range all {
		switch {
		case len(o.Value) == 8:
			set(o, 0, groups, int64(binary.LittleEndian.Uint64(o.Value)))
		case len(o.Value)%firedRun == 0:
			for v := o.Value; len(v) > 0; v = v[firedRun:] {
				first, last := binary.LittleEndian.Uint16(v), binary.LittleEndian.Uint16(v[2:])
				set(o, int(first), int(last), int64(binary.LittleEndian.Uint64(v[4:])))
			}
		default:
			return 0, nil, fmt.Errorf("%d bytes (expected 8, or a multiple of %d)", len(o.Value), firedRun)
		}
	}
	least, most := slices.Min(fired), slices.Max(fired)
	if least == most {
		return least, nil, nil
	}
	return least, &apart{fired, most}, nil
}
