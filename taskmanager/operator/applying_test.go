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

// holding is the guest of a function that keeps what comes in a list and in a map. A broadcast record names one of them, whose keys it
// asks for; for some of these it takes away what they have, or adds to it, or both.
type holding struct {
	sweeping
	asked uint32
}

// does says what is done for a key: what it has is taken away, something is added.
func does(key string) (clears, adds bool) {
	h := xxhash.Sum64String(key)
	return h%2 == 0, h%3 == 0
}

func (k *holding) Call(verb abi.Verb, g *abi.GroupsWriter, o *Overlay) (reply []byte, err error) {
	if verb == abi.VerbApply && k.dies > 0 {
		k.dies--
		return nil, errDead
	}
	write := func(i int, op abi.StateOp, state uint32, sub string) {
		r := abi.StateRequest{Group: uint32(i), State: uint16(state)}
		if state == 1 && sub != "" {
			r.Key = []byte(sub)
		}
		if op != abi.StateDelete {
			r.Value = []byte(sub)
		}
		if e := o.Write(op, []abi.StateRequest{r}); err == nil {
			err = e
		}
	}
	add := []abi.StateOp{abi.StateAppend, abi.StatePut}
	each(g.Bytes(), func(i int, group abi.Group, _, values [][]byte) {
		key := string(group.Key)
		switch {
		case verb == abi.VerbApply:
			k.seen[key]++
			clears, adds := does(key)
			if clears {
				write(i, abi.StateDelete, k.asked, "")
			}
			if adds {
				write(i, add[k.asked], k.asked, "more")
			}
		case key == "":
			k.asked = uint32(values[0][0] - '0')
			action := appendAction(nil, uint32(i), abi.ActionApply, nil)
			binary.LittleEndian.PutUint16(action[22:], uint16(k.asked))
			reply = append(reply, action...)
		default:
			for n := range values {
				write(i, add[0], 0, "x")
				write(i, add[1], 1, fmt.Sprint("x", n%3))
			}
		}
	})
	return reply, err
}

// A broadcast record is applied to each key that has something in a list or a map, once, whatever the guest then does with it.
func TestBroadcastRecordsAreAppliedToKeysOfListsAndMaps(t *testing.T) {
	oracle.Check(t, 40, func(t testing.TB, r *rand.Rand) {
		store, guest := applyingStore(t, r), &holding{}
		defer store.Close()
		p, err := NewProcess(ProcessConfig{UID: "p", Key: abi.CodecBytes, Store: store, Calls: guest, Function: &abi.Function{Kind: abi.FunctionProcess, Applies: true, Key: abi.CodecBytes, States: []abi.State{
			{Name: "all", Scope: abi.ScopeKeyed, Kind: "list", Codec: abi.CodecUTF8}, {Name: "some", Scope: abi.ScopeKeyed, Kind: "map", Key: abi.CodecUTF8, Codec: abi.CodecUTF8},
			{Name: "rules", Scope: abi.ScopeBroadcast, Kind: "map", Key: abi.CodecUTF8, Codec: abi.CodecUTF8},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		has := [2]map[string]uint64{{}, {}}
		keys := 1 + r.IntN(3000)
		for range 1 + r.IntN(5) {
			for range r.IntN(6) {
				var recs []rec
				for range r.IntN(800) {
					k := fmt.Sprint("key ", r.IntN(keys))
					recs = append(recs, rec{key: k})
					has[0][k], has[1][k] = 1, 1
				}
				b, hashes := batchOf(recs...)
				if err := p.Process(b, hashes, 0); err != nil {
					t.Fatal(err)
				}
				if err := store.Trim(); err != nil {
					t.Fatal(err)
				}
			}
			asked := r.IntN(2)
			w := abi.NewBuilder(abi.ColumnValues)
			w.Append(abi.Record{Value: []byte{'0' + byte(asked)}})
			var b abi.Batch
			w.View(&b)
			guest.seen, guest.dies = map[string]uint64{}, r.IntN(2)
			if err := p.Process(&b, nil, 1); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(guest.seen, has[asked]) {
				t.Fatalf("%d keys of %d, or more than once: %v", len(guest.seen), len(has[asked]), slices.Max(append(slices.Collect(maps.Values(guest.seen)), 0)))
			}
			maps.DeleteFunc(has[asked], func(k string, _ uint64) bool {
				clears, adds := does(k)
				return clears && !adds
			})
			if err := store.Trim(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// applyingStore is a store in memory, or one that has little of it.
func applyingStore(t testing.TB, r *rand.Rand) state.Store {
	c := state.Config{Groups: ownGroups, To: ownGroups}
	if r.IntN(2) == 0 {
		dir := t.TempDir()
		c.Budget, c.Dir, c.Space = 64<<10, filepath.Join(dir, "state"), &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}
	}
	store, err := state.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// A broadcast record is applied to each key that has a value, once, in memory and on disk, before what comes behind it.
func TestBroadcastRecordsAreAppliedToAllKeys(t *testing.T) {
	oracle.Check(t, 60, func(t testing.TB, r *rand.Rand) {
		store, guest := applyingStore(t, r), &sweeping{}
		defer store.Close()
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
