package operator

import (
	"encoding/binary"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// puller asks for all elements of a window, some at a time, and for the first ones again.
type puller struct {
	summing
	t     *testing.T
	store interface{ Size() int64 }
	most  int64
	n     int
	sum   int64
}

func (p *puller) Call(_ abi.Verb, groups *abi.GroupsWriter, overlay *Overlay) ([]byte, error) {
	eachGroup(groups.Bytes(), func(i int, _ abi.Group, l groupLists) {
		for _, cursor := range []uint64{0, 0} { // as often as it likes
			p.n, p.sum = 0, 0
			for more := true; more; {
				answers, err := overlay.Read(abi.StateRecords, []abi.StateRequest{{Group: uint32(i), Cursor: cursor}}, nil)
				if err != nil {
					p.t.Fatal(err)
				}
				for k, v := range answers[0].Values {
					if p.sum += int64(binary.LittleEndian.Uint64(v)); answers[0].Timestamps[k] != int64(p.n) {
						p.t.Fatalf("element %d has the time %d", p.n, answers[0].Timestamps[k])
					}
					p.n++
				}
				more, cursor = answers[0].More, answers[0].Cursor
				p.most = max(p.most, p.store.Size())
			}
			if p.n != l.total {
				p.t.Errorf("%d elements (expected %d)", p.n, l.total)
			}
		}
	})
	return nil, nil
}

func (p *puller) Emit(abi.ChangeKind) error { return nil }

// A window that is many times as large as the memory is read bit by bit, and read again, without being taken into memory.
func TestWindowsLargerThanTheMemory(t *testing.T) {
	const n, budget = 300_000, 1 << 20
	p := &puller{t: t}
	w := abi.Window{Kind: "tumbling", SizeMs: n}
	f := startIn(t, Config{Kind: abi.OperatorWindow, Key: "utf8", Value: "i64", Window: &w, Guest: p, Calls: p,
		Function: &abi.Function{Name: "f", Kind: abi.FunctionWindow, Pulls: true}}, budget)
	defer f.close()
	p.store = f.store
	var recs []rec
	for time := range int64(n) {
		if recs = append(recs, rec{time, "k", time}); len(recs) == 1000 {
			f.process(recs...)
			f.trim()
			recs = recs[:0]
		}
	}
	f.fire(n)
	if p.n != n || p.sum != n*(n-1)/2 {
		t.Errorf("%d elements of the sum %d", p.n, p.sum)
	}
	if p.most > 2*budget {
		t.Errorf("%d bytes were in memory (expected <= %d)", p.most, 2*budget)
	}
	if r := f.op.(*windower); cap(r.loaded) > budget {
		t.Errorf("%d bytes of elements were loaded", cap(r.loaded))
	}
}
