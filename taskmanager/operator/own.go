package operator

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// ownList is a list of the operator's own scope: this subtask's part of one that is dealt out evenly among the subtasks of
// another parallelism, or all of one that each of them begins with. It lies in memory, as it is stored.
type ownList struct {
	declared abi.State
	data     []byte // its elements, as snapshot.NextElement reads them
	part     []byte // of a union that was not written to since it began: what is stored of it, so that all is stored once
	begun    bool   // it was not written to since it began
	changed  bool   // since it was stored
	old      bool   // elements may be of an older schema version
}

// ownBytes bounds a list, so that it fits an entry of a snapshot, and a checkpoint does not wait for it.
const ownBytes = 32 << 20

// Share says which of an operator's subtasks it is.
type Share struct {
	Subtask, Parallelism int
	Groups               int // key groups of the job
}

// openList goes on with what the subtasks of a checkpoint have stored of a list. It counts as changed: what is stored from now
// on is all that there is of this subtask.
func openList(uid string, declared abi.State, store state.Store, share Share) (*ownList, error) {
	parts, err := store.Own(uid, snapshot.ListName(declared.Name))
	if err != nil {
		return nil, err
	}
	l := &ownList{declared: declared, begun: true, changed: true, old: declared.Version > 0}
	if l.part, err = deal(parts, false, share); err == nil {
		l.data, err = deal(parts, declared.Kind == "union" || failpoint.Planted(failpoint.DealtToAll), share)
	}
	if err != nil {
		return nil, fmt.Errorf("restore state %q of %s: %w", declared.Name, uid, err)
	}
	return l, nil
}

// deal is what a subtask has of a list that lies in parts: all of a union; else what it has stored itself, and at another
// parallelism as many elements as each other, in the order of the parts.
func deal(parts []state.Owned, union bool, share Share) (list []byte, err error) {
	parts = slices.Clone(parts)
	slices.SortFunc(parts, func(a, b state.Owned) int { return cmp.Compare(a.From, b.From) })
	same, n := true, 0
	for _, p := range parts {
		subtask := graph.SubtaskOf(p.From, share.Parallelism, share.Groups)
		from, to := graph.KeyGroupsOf(subtask, share.Parallelism, share.Groups)
		same = same && p.From == from && p.To == to
		for rest := p.Value; len(rest) > 0; n++ {
			if _, _, rest, err = snapshot.NextElement(rest); err != nil {
				return nil, err
			}
		}
	}
	first, last := n*share.Subtask/share.Parallelism, n*(share.Subtask+1)/share.Parallelism
	at := 0
	for _, p := range parts {
		mine := graph.SubtaskOf(p.From, share.Parallelism, share.Groups) == share.Subtask
		for rest := p.Value; len(rest) > 0; at++ {
			element := rest
			if _, _, rest, err = snapshot.NextElement(rest); err != nil {
				return nil, err
			}
			if union || same && mine || !same && first <= at && at < last {
				list = append(list, element[:len(element)-len(rest)]...)
			}
		}
	}
	return list, nil
}

// scan answers elements from the one that the request's cursor counts to.
func (l *ownList) scan(t *taker) (err error) {
	var value []byte
	for rest := l.data; len(rest) > 0; {
		if _, value, rest, err = snapshot.NextElement(rest); err != nil || !t.take(nil, nil, value) {
			return err
		}
	}
	return nil
}

// grown is how long the list is when what a call has written is in it.
func (l *ownList) grown(c *overlayCell) int {
	n := len(l.data)
	if c.cleared {
		n = 0
	}
	for _, v := range c.added {
		n += snapshot.ElementBytes(len(v))
	}
	return n
}

// apply takes in what a call has written.
func (l *ownList) apply(c *overlayCell) {
	if c.cleared {
		l.data = l.data[:0]
	}
	for _, v := range c.added {
		l.data = snapshot.AppendElement(l.data, uint16(l.declared.Version), v)
	}
	l.changed, l.begun, l.part = true, false, nil
}

// save stores the list.
func (l *ownList) save(uid string, store state.Store) error {
	if !l.changed {
		return nil
	}
	l.changed = false
	stored := l.data
	if l.begun {
		stored = l.part
	}
	return store.SetOwn(uid, snapshot.ListName(l.declared.Name), stored)
}

// migrate brings elements of older schema versions to the one declared.
func (l *ownList) migrate(index int, calls Calls) (err error) {
	if !l.old {
		return nil
	}
	if l.data, err = l.migrated(l.data, index, calls); err != nil {
		return err
	}
	if l.part, err = l.migrated(l.part, index, calls); err != nil {
		return err
	}
	l.old, l.changed = false, true
	return nil
}

// migrated is a list in the version declared. Elements of one version that follow each other are migrated together.
func (l *ownList) migrated(list []byte, index int, calls Calls) (made []byte, err error) {
	for len(list) > 0 {
		version, _, rest, err := snapshot.NextElement(list)
		if err != nil {
			return nil, err
		}
		if int(version) >= l.declared.Version {
			made, list = append(made, list[:len(list)-len(rest)]...), rest
			continue
		}
		batch := abi.NewBuilder(abi.ColumnValues)
		for len(list) > 0 && batch.Size() < callBytes {
			is, value, rest, err := snapshot.NextElement(list)
			if err != nil {
				return nil, err
			}
			if is != version {
				break
			}
			batch.Append(abi.Record{Value: value})
			list = rest
		}
		name := func(uint32) string { return fmt.Sprintf("state %q, version %d", l.declared.Name, version) }
		became, err := calls.Migrate(index, version, batch, name)
		if err != nil {
			return nil, err
		}
		for i := range became.N {
			if became.ValueNulls == nil || became.ValueNulls[i/8]>>(i%8)&1 == 0 {
				made = snapshot.AppendElement(made, uint16(l.declared.Version), became.Value(i))
			}
		}
	}
	return made, nil
}
