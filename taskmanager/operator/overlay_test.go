package operator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Lists and maps are the same whether they are read at once or in parts of any size, with what the call has written, and
// also when something is read or written in between.
func TestPartsOfListsAndMaps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for round := range 50 {
		p, err := NewProcess(ProcessConfig{UID: "p", Key: "utf8", Function: &abi.Function{States: []abi.State{{Name: "l", Kind: "list"}, {Name: "m", Kind: "map"}}}, Store: state.NewMemory(), Calls: &busy{}})
		if err != nil {
			t.Fatal(err)
		}
		p.keys, p.hashes = [][]byte{[]byte("key"), []byte("other")}, []uint64{xxhash.Sum64String("key"), xxhash.Sum64String("other")}
		o := &p.overlay
		write := func(n int) {
			for range n {
				k, v := fmt.Appendf(nil, "%d", r.IntN(200)), fmt.Appendf(nil, "value %d", r.IntN(1000))
				op := abi.StatePut
				if r.IntN(4) == 0 {
					op = abi.StateDelete
				}
				if err := o.Write(op, []abi.StateRequest{{State: 1, Key: k, Value: v}}); err != nil {
					t.Fatal(err)
				}
				if err := o.Write(abi.StateAppend, []abi.StateRequest{{State: 0, Value: v}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		read := func(state uint16, limit func() uint32, between func()) (all []string) {
			for cursor := uint64(0); ; {
				a, err := o.Read(abi.StateScan, []abi.StateRequest{{State: state, Cursor: cursor, Limit: limit()}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range a[0].Values {
					if state == 1 {
						v = slices.Concat(a[0].Keys[i], []byte("="), v)
					}
					all = append(all, string(v))
				}
				if !a[0].More {
					return all
				}
				cursor = a[0].Cursor
				between()
			}
		}
		o.begin(2)
		write(r.IntN(200))
		if err := o.apply(); err != nil {
			t.Fatal(err)
		}
		o.begin(2)
		write(r.IntN(50))
		for state := range uint16(2) {
			want := read(state, func() uint32 { return 0 }, func() {})
			got := read(state, func() uint32 { return 1 + r.Uint32N(20) }, func() {
				switch r.IntN(3) {
				case 0:
					read(1-state, func() uint32 { return 3 }, func() {})
				case 1:
					if err := o.Write(abi.StateAppend, []abi.StateRequest{{Group: 1, State: 0, Value: []byte("x")}}); err != nil {
						t.Fatal(err)
					}
				}
			})
			if !slices.Equal(got, want) {
				t.Errorf("round %d, state %d: in parts it is %q (expected %q)", round, state, got, want)
			}
		}
	}
}
