package statetest

import (
	"bytes"
	"fmt"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
)

// folding is what files are folded by: what has ended is left out.
func (x *random) folding() snapshot.Folding {
	f := snapshot.Folding{To: groups, Base: true, Now: x.last.now}
	if x.event {
		f.Now += elsewhere
		f.Watermarks = map[string]int64{"a": x.last.now, "b": x.last.now}
	}
	return f
}

func (x *random) freeze() {
	f, err := x.s.Freeze()
	x.check(err)
	x.frozen, x.models = append(x.frozen, f), append(x.models, x.m.clone())
}

// write makes files of what was frozen, as a checkpoint would.
func (x *random) write() {
	for i, f := range x.frozen {
		if len(f.States()) > 0 {
			if x.r.IntN(4) == 0 { // the first try is lost
				x.check(f.Write(snapshot.NewWriter(new(bytes.Buffer), f.States())))
			}
			if w := f.Whole(); w != nil && x.r.IntN(3) == 0 {
				x.files = []*snapshot.Reader{x.file(w.States(), w.Write)}
				x.wholes++
			} else {
				x.files = append(x.files, x.file(f.States(), f.Write))
			}
		}
		f.Release()
		x.last = x.models[i]
	}
	x.frozen, x.models = nil, nil
	if len(x.files) > 6 {
		readers := x.files
		x.files = []*snapshot.Reader{x.file(snapshot.MergeStates(readers), func(w *snapshot.Writer) error {
			return snapshot.Merge(w, readers, x.folding())
		})}
	}
}

func (x *random) file(states []snapshot.State, write func(*snapshot.Writer) error) *snapshot.Reader {
	var b bytes.Buffer
	w := snapshot.NewWriter(&b, states)
	x.number++
	w.SetName(fmt.Sprint("file ", x.number))
	x.check(write(w))
	_, err := w.Close()
	x.check(err)
	r, err := snapshot.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	x.check(err)
	x.check(r.Check())
	return r
}

// crash goes on from the files, after it was looked whether stores of half the key groups have what they should.
func (x *random) crash() {
	if x.r.IntN(2) == 0 {
		x.check(x.s.Close())
	} // else it was killed
	for _, f := range x.frozen {
		f.Release()
	}
	now, at := x.m.now, x.m.at
	x.frozen, x.models, x.m = nil, nil, x.last.clone()
	x.m.now, x.m.at = now, at
	cut := graph.KeyGroup(1 + x.r.IntN(groups-1))
	for _, half := range [][2]graph.KeyGroup{{0, cut}, {cut, groups}} {
		s := x.make(half[0], half[1])
		x.compareAll(s, x.m, half[0], half[1])
		x.check(s.Close())
	}
	x.s = x.make(0, groups)
	if x.r.IntN(2) == 0 {
		x.compareAll(x.s, x.m, 0, groups)
	}
}
