package operator

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// sweeping is the guest of a function whose value state counts the records of a key. A broadcast record asks for all keys, and takes
// the values of those away that it leaves the rest of divided by 3.
type sweeping struct {
	rostering
	seen map[string]uint64 // by key, of the last broadcast record
	dies int               // calls for keys that end badly
}

func (s *sweeping) Call(verb abi.Verb, g *abi.GroupsWriter, _ *Overlay) (reply []byte, err error) {
	if verb == abi.VerbApply && s.dies > 0 {
		s.dies--
		return nil, errDead
	}
	value := make([]byte, 8)
	each(g.Bytes(), func(i int, group abi.Group, _, values [][]byte) {
		switch verb {
		case abi.VerbApply:
			if string(values[len(values)-1]) != "sweep" {
				err = fmt.Errorf("the record is %q", values[len(values)-1])
			}
			s.seen[string(group.Key)]++
			if xxhash.Sum64(group.Key)%3 == 0 {
				reply = appendAction(reply, uint32(i), abi.ActionClear, nil)
			}
		case abi.VerbProcess:
			if len(group.Key) == 0 {
				reply = appendAction(reply, uint32(i), abi.ActionApply, nil)
				return
			}
			binary.LittleEndian.PutUint64(value, uint64(len(values)))
			reply = appendAction(reply, uint32(i), abi.ActionPut, value)
		}
	})
	return reply, err
}

// Retry makes the call again, by halves.
func (s *sweeping) Retry(err error, n int, call func(lo, hi int) error, _ func(int) Unit) error {
	if err != errDead {
		return err
	}
	if err := call(0, n/2); err != nil {
		return err
	}
	return call(n/2, n)
}

// A broadcast record is applied to each key that has a value, once, in memory and on disk, before what comes behind it.
func TestBroadcastRecordsAreAppliedToAllKeys(t *testing.T) {
	oracle.Check(t, 60, func(t testing.TB, r *rand.Rand) {
		c := state.Config{Groups: ownGroups, To: ownGroups}
		if r.IntN(2) == 0 {
			dir := t.TempDir()
			c.Budget, c.Dir, c.Space = 64<<10, filepath.Join(dir, "state"), &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}
		}
		store, err := state.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		guest := &sweeping{}
		p, err := NewProcess(ProcessConfig{UID: "p", Key: abi.CodecBytes, Store: store, Calls: guest, Function: &abi.Function{Kind: abi.FunctionProcess, Applies: true, Key: abi.CodecBytes, States: []abi.State{
			{Name: "n", Scope: abi.ScopeKeyed, Kind: "value", Codec: abi.CodecI64}, {Name: "rules", Scope: abi.ScopeBroadcast, Kind: "map", Key: abi.CodecUTF8, Codec: abi.CodecUTF8},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]uint64{}
		keys := 1 + r.IntN(6000)
		for range 1 + r.IntN(4) {
			for range r.IntN(8) {
				var recs []rec
				for range r.IntN(1000) {
					k := fmt.Sprint("key ", r.IntN(keys))
					recs = append(recs, rec{key: k})
					has[k] = 1
				}
				b, hashes := batchOf(recs...)
				if err := p.Process(b, hashes, 0); err != nil {
					t.Fatal(err)
				}
				if err := store.Trim(); err != nil {
					t.Fatal(err)
				}
			}
			w := abi.NewBuilder(abi.ColumnValues)
			w.Append(abi.Record{Value: []byte("sweep")})
			var b abi.Batch
			w.View(&b)
			guest.seen, guest.dies = map[string]uint64{}, r.IntN(2)
			if err := p.Process(&b, nil, 1); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(guest.seen, has) {
				t.Fatalf("%d keys of %d, or more than once: %v", len(guest.seen), len(has), slices.Max(append(slices.Collect(maps.Values(guest.seen)), 0)))
			}
			maps.DeleteFunc(has, func(k string, _ uint64) bool { return xxhash.Sum64String(k)%3 == 0 })
			if err := store.Trim(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
