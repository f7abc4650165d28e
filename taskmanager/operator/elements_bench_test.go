package operator

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// BenchmarkElements has windows keep the records of 1,000 keys, one of each key a call, and 10 or 1,000 of each in a window.
func BenchmarkElements(b *testing.B) {
	const keys = 1000
	for _, each := range []int64{10, 1000} {
		for _, w := range []abi.Window{{Kind: "tumbling", SizeMs: each}, {Kind: "sliding", SizeMs: each, SlideMs: each / 5}, {Kind: "sliding", SizeMs: 100 * each, SlideMs: each}, {Kind: "session", GapMs: 2}} {
			b.Run(fmt.Sprintf("%s, %d records", w.String(), each), func(b *testing.B) {
				store := &writes{Store: state.NewMemory()}
				guest := &deaf{}
				op, err := New(Config{Kind: abi.OperatorWindow, Key: "i64", Value: "i64", Window: &w, Guest: guest, Calls: guest, Store: store, UID: "op",
					Function: &abi.Function{Name: "f", Kind: abi.FunctionWindow}})
				if err != nil {
					b.Fatal(err)
				}
				in := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnKeys | abi.ColumnValues)
				hashes := make([]uint64, keys)
				out := abi.NewBuilder(abi.ColumnKeys)
				time, records := int64(0), 0
				b.ResetTimer()
				for records < b.N {
					in.Reset()
					for k := range keys {
						key := binary.LittleEndian.AppendUint64(nil, uint64(k))
						hashes[k] = xxhash.Sum64(key)
						in.Append(abi.Record{Timestamp: time, Key: key, Value: key})
					}
					var batch abi.Batch
					in.View(&batch)
					if err := op.Process(&batch, hashes, 0, out); err != nil {
						b.Fatal(err)
					}
					records += keys
					if time++; w.Kind == "session" && time%each == 0 {
						time += 5 // so that sessions end
					}
					for more := true; more; {
						if more, err = op.Fire(time-1, out); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(store.bytes)/float64(records), "written-B/op")
				b.ReportMetric(float64(guest.given)/float64(records), "given-B/op")
			})
		}
	}
}

// BenchmarkSpilledElements fires windows of 100 records of each key, most of which lie on disk.
func BenchmarkSpilledElements(b *testing.B) {
	const keys, each = 2000, 100
	guest := &deaf{}
	w := abi.Window{Kind: "tumbling", SizeMs: each}
	for range b.N {
		b.StopTimer()
		f := startIn(b, Config{Kind: abi.OperatorWindow, Key: "i64", Value: "i64", Window: &w, Guest: guest, Calls: guest,
			Function: &abi.Function{Name: "f", Kind: abi.FunctionWindow}}, 1<<20)
		for time := range int64(each) {
			for first := 0; first < keys; first += 1000 {
				var recs []rec
				for k := range 1000 {
					recs = append(recs, rec{time, fmt.Sprint("k", first+k), time})
				}
				f.process(recs...)
				f.trim()
			}
		}
		guest.given = 0
		b.StartTimer()
		f.fire(each)
		b.StopTimer()
		if guest.given < keys*each*16 {
			b.Fatalf("%d bytes were given", guest.given)
		}
		f.close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*keys), "ns/key")
}

// deaf is a window function that does nothing.
type deaf struct {
	summing
	given int
}

func (d *deaf) Call(_ abi.Verb, groups *abi.GroupsWriter, _ *Overlay) ([]byte, error) {
	d.given += len(groups.Bytes())
	return nil, nil
}
func (d *deaf) Emit(abi.ChangeKind) error { return nil }

// writes counts the bytes that are written to the tables of a store.
type writes struct {
	state.Store
	bytes int
}

type writtenTable struct {
	state.Table
	to *writes
}

func (w *writes) Table(s state.Spec, ns state.Namespace) (state.Table, error) {
	t, err := w.Store.Table(s, ns)
	return &writtenTable{t, w}, err
}

type writtenPieces struct {
	state.Pieces
	to *writes
}

func (w *writes) Pieces(s state.Spec, ns state.Namespace) (state.Pieces, error) {
	p, err := w.Store.Pieces(s, ns)
	return &writtenPieces{p, w}, err
}

func (p *writtenPieces) Put(at state.PieceKey, v []byte) error {
	p.to.bytes += len(v)
	return p.Pieces.Put(at, v)
}

func (t *writtenTable) SetValue(e state.Entry, v []byte) error {
	t.to.bytes += len(v)
	return t.Table.SetValue(e, v)
}
