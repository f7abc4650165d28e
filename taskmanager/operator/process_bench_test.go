package operator

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// busy is a process function that puts a value and sets a timer for each group of records, and changes lists and maps if
// it is told to. It answers from memory.
type busy struct {
	time     int64 // of the timers that it sets
	reply    []byte
	write    bool
	requests []abi.StateRequest
	fired    int
}

const busyBytes = abi.ReplyEntryBytes + 2*abi.ReplyActionBytes + 8

func (g *busy) Call(verb abi.Verb, groups *abi.GroupsWriter, overlay *Overlay) ([]byte, error) {
	n := groups.Len()
	if verb == abi.VerbTimer {
		g.fired += n
		return nil, nil
	}
	le := binary.LittleEndian
	for i := len(g.reply) / busyBytes; i < n; i++ {
		p := le.AppendUint32(nil, busyBytes)
		p = le.AppendUint32(p, uint32(i))
		p = le.AppendUint64(p, 2)
		p = le.AppendUint32(p, abi.ReplyActionBytes+8)
		p = le.AppendUint16(p, uint16(abi.ActionPut))
		p = le.AppendUint16(p, 0)
		p = le.AppendUint64(p, 8)
		p = append(p, "a value."...)
		p = le.AppendUint32(p, abi.ReplyActionBytes)
		p = le.AppendUint16(p, uint16(abi.ActionSetTimer))
		p = le.AppendUint16(p, EventTime)
		g.reply = append(g.reply, le.AppendUint64(p, 0)...)
	}
	for i := range n {
		le.PutUint64(g.reply[(i+1)*busyBytes-8:], uint64(g.time))
	}
	if g.write {
		g.requests = g.requests[:0]
		for i := range n {
			g.requests = append(g.requests, abi.StateRequest{Group: uint32(i), State: 1, Value: []byte("an element")})
		}
		if err := overlay.Write(abi.StateAppend, g.requests); err != nil {
			return nil, err
		}
		for i := range n {
			g.requests[i] = abi.StateRequest{Group: uint32(i), State: 2, Key: []byte("sub key"), Value: []byte("a value")}
		}
		if err := overlay.Write(abi.StatePut, g.requests); err != nil {
			return nil, err
		}
	}
	return g.reply[:n*busyBytes], nil
}

func (g *busy) Migrate(int, uint16, *abi.Builder, func(uint32) string) (*abi.Batch, error) {
	return nil, nil // there is nothing to migrate
}

func (g *busy) Emit(abi.ChangeKind) error { return nil }

func (g *busy) Retry(err error, _ int, _ func(lo, hi int) error, _ func(int) Unit) error { return err }

// BenchmarkProcess has a value put and a timer set and fired for each key of each batch.
func BenchmarkProcess(b *testing.B) {
	for _, keys := range []int{1000, 100_000} {
		for _, write := range []bool{false, true} {
			name := map[bool]string{false: "value-timer", true: "value-timer-list-map"}[write]
			b.Run(fmt.Sprintf("%s/%d", name, keys), func(b *testing.B) { benchmarkProcess(b, keys, write) })
		}
	}
}

func benchmarkProcess(b *testing.B, keys int, write bool) {
	dir := b.TempDir()
	store, err := state.New(state.Config{
		Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism, Budget: 1 << 30, Dir: filepath.Join(dir, "spill"),
		Space: &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	g := &busy{write: write}
	p, err := NewProcess(ProcessConfig{UID: "p", Key: "utf8", Function: &abi.Function{States: []abi.State{
		{Name: "v", Kind: "value"}, {Name: "l", Kind: "list"}, {Name: "m", Kind: "map"}}}, Store: store, Calls: g})
	if err != nil {
		b.Fatal(err)
	}
	batches, hashes := benchmarkInput(keys, 0)
	time := int64(0)
	turn := func() {
		time++
		g.time = time
		if err := p.Process(batches[time%100], hashes[time%100], 0); err != nil {
			b.Fatal(err)
		}
		for fired := true; fired; {
			if fired, err = p.Fire(EventTime, time-20); err != nil {
				b.Fatal(err)
			}
		}
		if err := store.Trim(); err != nil {
			b.Fatal(err)
		}
	}
	for range 200 {
		turn()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		turn()
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/record")
}
