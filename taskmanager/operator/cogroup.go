package operator

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// Rest answers what a co-group asks for while it is called: the records of a list that did not come with the call.
type Rest struct {
	of      *matching
	shares  []share // by group of the call
	answers []byte  // what was answered last
	page    recordsPage
	broken  error // why records could not be read, through no fault of the guest's
}

// recordsPage is where an answer has ended, so that the next part is not looked for from the beginning.
type recordsPage struct {
	group  uint32
	input  uint16
	cursor uint64 // of the next record; 0: none
	last   []byte // place of the one before
}

func (r *Rest) begin(m *matching, shares []share) {
	r.of, r.shares, r.broken, r.page.cursor = m, shares, nil, 0
}

// Write refuses: a co-group has no state.
func (r *Rest) Write(op abi.StateOp, _ []abi.StateRequest) error {
	return fmt.Errorf("op %d of a co-group (expected %d: it has no state)", op, abi.StateRecords)
}

// Read answers requests for records.
func (r *Rest) Read(op abi.StateOp, requests []abi.StateRequest, dst []abi.StateAnswer) ([]abi.StateAnswer, error) {
	r.answers = r.answers[:0]
	for i := range requests {
		q := &requests[i]
		switch {
		case op != abi.StateRecords:
			return dst, fmt.Errorf("op %d of a co-group (expected %d: it has no state)", op, abi.StateRecords)
		case int(q.Group) >= len(r.shares):
			return dst, fmt.Errorf("group %d (expected < %d)", q.Group, len(r.shares))
		case q.State > uint16(abi.ListInput1):
			return dst, fmt.Errorf("records of list %d (expected 0 or 1)", q.State)
		}
		a, err := r.records(q)
		if err != nil {
			r.broken = err
			return dst, err
		}
		dst = append(dst, a)
	}
	return dst, nil
}

// records answers those of a list from a number on.
func (r *Rest) records(q *abi.StateRequest) (a abi.StateAnswer, err error) {
	s, t := &r.shares[q.Group], &r.of.kept[q.State]
	after, at := t.from(s.start), uint64(0)
	if p := &r.page; p.cursor != 0 && p.cursor == q.Cursor && p.group == q.Group && p.input == q.State {
		after, at = append([]byte(nil), p.last...), p.cursor
	}
	a.Timestamps = []int64{}
	size := 0
	err = t.scan(s.hash, s.key, after, s.end-1, func(place, value []byte) bool {
		if at < q.Cursor {
			at++
			return true
		}
		if size >= answerBytes || q.Limit > 0 && len(a.Values) == int(q.Limit) {
			a.More, a.Cursor = true, at
			return false
		}
		r.page = recordsPage{q.Group, q.State, at + 1, append(r.page.last[:0], place...)}
		a.Timestamps, a.Values = append(a.Timestamps, timeAt(place)), append(a.Values, keep(&r.answers, value))
		size += len(value) + 16
		at++
		return true
	})
	return a, err
}
