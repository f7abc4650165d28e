package operator

import (
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// ownOf is a store in which subtasks have stored how far their windows had fired.
type ownOf struct {
	state.Store
	all   []state.Owned
	saved []byte
}

func (s *ownOf) Own(string, string) ([]state.Owned, error) { return s.all, nil }

func (s *ownOf) SetOwn(_, _ string, value []byte) error {
	s.saved = value
	return nil
}

// Two subtasks had fired to different watermarks when an unaligned barrier came. Who has the keys of both goes by each one's,
// until the watermark has passed both; also when it is saved and restored meanwhile.
func TestWindowsThatHaveFiredApart(t *testing.T) {
	const groups = 4
	inner, err := state.New(state.Config{Groups: groups, To: groups})
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	watermark := func(w int64) []byte {
		var p apart
		p.fired = []int64{w}
		return p.encode(abi.MinTime)[4:]
	}
	store := &ownOf{Store: inner, all: []state.Owned{{From: 0, To: 2, Value: watermark(199)}, {From: 2, To: 4, Value: watermark(99)}}}
	key := map[bool]string{}
	for i := 0; len(key) < 2; i++ {
		k := fmt.Sprint("key", i)
		key[xxhash.Sum64String(k)%groups < 2] = k
	}
	far, near := key[true], key[false] // of the subtask that had fired to 199, and to 99
	c := Config{UID: "w", Kind: abi.OperatorCount, Key: "utf8", Window: &abi.Window{Kind: "tumbling", SizeMs: 100}, Groups: groups, Store: store}
	made := func() *tally {
		t.Helper()
		op, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return op.(*tally)
	}
	count := func(op *tally, k string, at int64) (late bool) {
		t.Helper()
		b := abi.NewBuilder(Columns(c.Kind, c.Window))
		b.Append(abi.Record{Key: []byte(k), Timestamp: at, Hash: xxhash.Sum64String(k)})
		var view abi.Batch
		b.View(&view)
		before := op.Late()
		if err := op.Process(&view, []uint64{xxhash.Sum64String(k)}, 0, abi.NewBuilder(abi.ColumnKeys|abi.ColumnValues|abi.ColumnTimestamps)); err != nil {
			t.Fatal(err)
		}
		return op.Late() > before
	}
	op := made()
	for range 2 {
		for _, r := range []struct {
			key  string
			at   int64
			late bool
		}{{far, 50, true}, {far, 150, true}, {far, 199, true}, {far, 200, false}, {near, 50, true}, {near, 99, true}, {near, 100, false}, {near, 150, false}} {
			if late := count(op, r.key, r.at); late != r.late {
				t.Errorf("record at %d of a key of %v is late: %v (expected %v)", r.at, r.key == far, late, r.late)
			}
		}
		if err := op.Save(); err != nil {
			t.Fatal(err)
		}
		store.all = []state.Owned{{From: 0, To: groups, Value: store.saved}}
		op = made()
	}
	for more := true; more; {
		var err error
		if more, err = op.Fire(149, abi.NewBuilder(abi.ColumnKeys|abi.ColumnValues|abi.ColumnTimestamps)); err != nil {
			t.Fatal(err)
		}
	}
	if op.apart == nil || count(op, near, 150) || !count(op, far, 150) {
		t.Error("the watermark has passed one of the two, and both count the same")
	}
	for more := true; more; {
		var err error
		if more, err = op.Fire(199, abi.NewBuilder(abi.ColumnKeys|abi.ColumnValues|abi.ColumnTimestamps)); err != nil {
			t.Fatal(err)
		}
	}
	if op.apart != nil || !count(op, near, 150) || !count(op, far, 150) || count(op, far, 200) {
		t.Error("the watermark has passed both, and they are still apart")
	}
}

func TestDecodeFired(t *testing.T) {
	value := func(runs ...[3]int64) []byte {
		a := apart{}
		for _, r := range runs {
			for g := r[0]; g <= r[1]; g++ {
				a.fired = append(a.fired, r[2])
			}
		}
		return a.encode(abi.MinTime)
	}
	plain := value([3]int64{0, 0, 7})[4:]
	for _, c := range []struct {
		name  string
		all   []state.Owned
		least int64
		fired string
	}{
		{"one for all", []state.Owned{{From: 0, To: 4, Value: plain}}, 7, ""},
		{"the same of two", []state.Owned{{From: 0, To: 2, Value: plain}, {From: 2, To: 4, Value: plain}}, 7, ""},
		{"one has not said", []state.Owned{{From: 0, To: 2, Value: plain}}, abi.MinTime, fmt.Sprint([]int64{7, 7, abi.MinTime, abi.MinTime})},
		{"apart", []state.Owned{{From: 0, To: 3, Value: value([3]int64{0, 0, 5}, [3]int64{1, 3, 9})}, {From: 3, To: 4, Value: plain}}, 5, "[5 9 9 7]"},
	} {
		least, a, err := decodeFired(c.all, 4)
		got := ""
		if a != nil {
			got = fmt.Sprint(a.fired)
		}
		if err != nil || least != c.least || got != c.fired {
			t.Errorf("%s: least %d, by group %s, %v (expected %d, %s)", c.name, least, got, err, c.least, c.fired)
		}
	}
	if _, _, err := decodeFired([]state.Owned{{To: 4, Value: make([]byte, 9)}}, 4); err == nil {
		t.Error("nine bytes are taken")
	}
}
