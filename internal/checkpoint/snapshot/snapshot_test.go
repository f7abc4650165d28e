package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/graph"
)

var testStates = []State{{Operator: "a", Name: "x", Kind: 1}, {Operator: "a", Name: "y", Kind: 2}, {Operator: "b", Name: "x", Kind: 2}}

// model is what a file says, by place and key.
type model map[string]Entry

func modelKey(e *Entry) string {
	kind := "k"
	if e.Op == DeleteNamespace {
		kind = "d"
	}
	return fmt.Sprint(e.place(), kind) + string(e.Key)
}

// randomEntries are sorted entries, some of large values, some that remove namespaces.
func randomEntries(rng *rand.Rand, n int) []Entry {
	m := model{}
	for range n {
		e := Entry{
			State: rng.IntN(3), Group: graph.KeyGroup(rng.IntN(8)), Namespace: []int64{math.MinInt64, -5, 0, 1000}[rng.IntN(4)],
			Op: Put, Version: uint16(rng.IntN(3)), Key: []byte(fmt.Sprint(rng.IntN(n))), Value: make([]byte, rng.IntN(60)),
		}
		switch rng.IntN(20) {
		case 0:
			e.Op, e.Value = Delete, nil
		case 1:
			e.Op, e.Value, e.Key, e.Version = DeleteNamespace, nil, nil, 0
		case 2:
			e.Key = nil
		case 3:
			e.Group = Own
		case 4:
			e.Expiry = 1 + rng.Int64N(2000)
		case 5:
			e.Value = make([]byte, rng.IntN(2000))
		}
		for i := range e.Value {
			e.Value[i] = byte(rng.Uint32())
		}
		m[modelKey(&e)] = e
	}
	return m.sorted()
}

func (m model) sorted() []Entry {
	o := operatorsOf(testStates)
	var all []Entry
	for _, e := range m {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int {
		if c := o.compareKeys(a.place(), a.Key, b.place(), b.Key); c != 0 {
			return c
		}
		return rank(&a) - rank(&b)
	})
	return all
}

func write(t testing.TB, entries []Entry) ([]byte, Info) {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, testStates)
	w.SetName("files/1-0.0-1.snap")
	for i := range entries {
		if err := w.Add(&entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), info
}

func open(t testing.TB, file []byte) *Reader {
	t.Helper()
	r, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func same(a, b *Entry) bool {
	return a.place() == b.place() && a.Op == b.Op && a.Version == b.Version && a.Expiry == b.Expiry && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

func TestReaderGivesWhatWasWritten(t *testing.T) {
	for _, n := range []int{0, 1, 15, 300, 20000} {
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		entries := randomEntries(rng, n)
		file, info := write(t, entries)
		if sum, err := Sum(bytes.NewReader(file), info.Size); err != nil || sum != info.Checksum || info.Entries != int64(len(entries)) {
			t.Fatalf("%d entries: info %+v, sum %s, %v", len(entries), info, sum, err)
		}
		r := open(t, file)
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		i := 0
		it := r.Scan(Everything)
		for ; it.Next(); i++ {
			if !same(it.Entry(), &entries[i]) {
				t.Fatalf("entry %d is %+v (expected %+v)", i, it.Entry(), entries[i])
			}
		}
		if it.Err() != nil || i != len(entries) {
			t.Fatalf("%d entries, %v (expected %d)", i, it.Err(), len(entries))
		}
		known := model{}
		for _, e := range entries {
			known[modelKey(&e)] = e
		}
		for _, k := range rng.Perm(len(entries)) {
			want := entries[k]
			got, found, err := r.Get(want.State, want.Group, want.Namespace, want.Key)
			if put, both := known[fmt.Sprint(want.place(), "k")+string(want.Key)]; both {
				want = put
			}
			if err != nil || !found || !same(&got, &want) {
				t.Fatalf("get %+v: %+v, %v, %v", want, got, found, err)
			}
			absent := append(slices.Clone(want.Key), 0)
			got, found, err = r.Get(want.State, want.Group, want.Namespace, absent)
			if _, removed := known[fmt.Sprint(want.place(), "d")]; err != nil || found != removed || found && got.Op != DeleteNamespace {
				t.Fatalf("get an absent key: %+v, %v, %v (namespace removed: %v)", got, found, err, removed)
			}
		}
	}
}

func TestScanGivesTheRange(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	entries := randomEntries(rng, 10000)
	file, _ := write(t, entries)
	whole := open(t, file)
	for range 300 {
		rg := Range{
			State: rng.IntN(4) - 1, From: graph.KeyGroup(rng.IntN(8)), To: graph.KeyGroup(rng.IntN(10)), Own: rng.IntN(2) == 0,
			First: []int64{math.MinInt64, -5, 3, 1000}[rng.IntN(4)], Last: []int64{-5, 0, 1000, math.MaxInt64}[rng.IntN(4)],
		}
		if rng.IntN(3) == 0 {
			rg.Key = []byte(fmt.Sprint(rng.IntN(10000)))
		}
		from, to := graph.KeyGroup(rng.IntN(4)), graph.KeyGroup(4+rng.IntN(6))
		it := whole.Cut(from, to).Scan(rg)
		for i := range entries {
			e := &entries[i]
			inGroup := e.Group == Own && rg.Own || e.Group != Own && e.Group >= max(from, rg.From) && e.Group < min(to, rg.To)
			if !inGroup || rg.State != All && rg.State != e.State || e.Namespace < rg.First || e.Namespace > rg.Last ||
				e.Namespace == rg.First && rg.Key != nil && (e.Op == DeleteNamespace || bytes.Compare(e.Key, rg.Key) < 0) {
				continue
			}
			if !it.Next() || !same(it.Entry(), e) {
				t.Fatalf("%+v of [%d,%d): %+v, %v (expected %+v)", rg, from, to, it.Entry(), it.Err(), e)
			}
		}
		if it.Next() || it.Err() != nil {
			t.Fatalf("%+v: more than expected: %+v, %v", rg, it.Entry(), it.Err())
		}
	}
}

func TestMergeIsOneFileThatSaysTheSame(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(3, seed))
		var readers []*Reader
		live := model{} // what holds after all files
		for range 1 + rng.IntN(5) {
			entries := randomEntries(rng, 400)
			for _, e := range entries {
				if e.Op == DeleteNamespace {
					for k, old := range live {
						if old.place() == e.place() {
							delete(live, k)
						}
					}
				}
			}
			for _, e := range entries {
				switch e.Op {
				case Put:
					live[modelKey(&e)] = e
				case Delete:
					delete(live, modelKey(&e))
				}
			}
			file, _ := write(t, entries)
			readers = append(readers, open(t, file))
		}
		fold := func(readers []*Reader, f Folding) *Reader {
			var b bytes.Buffer
			w := NewWriter(&b, MergeStates(readers))
			if err := Merge(w, readers, f); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, b.Bytes())
		}
		const now = 1000
		k := rng.IntN(len(readers) + 1)
		once := fold(readers, Folding{To: 8, Base: true, Now: now})
		chain := append([]*Reader{}, readers[:k]...)
		if k < len(readers) {
			chain = append(chain, fold(readers[k:], Folding{To: 8, Now: now}))
		}
		twice := fold(chain, Folding{To: 8, Base: true, Now: now})
		var want []Entry
		for _, e := range live.sorted() {
			if !e.Expired(now) {
				want = append(want, e)
			}
		}
		for name, r := range map[string]*Reader{"at once": once, "in two steps": twice} {
			it, i := r.Scan(Everything), 0
			for ; it.Next(); i++ {
				if i >= len(want) || !same(it.Entry(), &want[i]) {
					t.Fatalf("seed %d, folded %s: entry %d is %+v", seed, name, i, it.Entry())
				}
			}
			if i != len(want) || it.Err() != nil {
				t.Fatalf("seed %d, folded %s: %d entries, %v (expected %d)", seed, name, i, it.Err(), len(want))
			}
		}
	}
}

// TestDamageIsDetected alters every byte of a small file, and cuts it at every length.
// A reader of some operators has nothing of the others, whichever way it is asked.
func TestReaderOfOperators(t *testing.T) {
	states := []State{{Operator: "a", Name: "s", Version: 1}, {Operator: "b", Name: "s", Version: 2}, {Operator: "c", Name: "s"}}
	file := func(value string) *Reader {
		var b bytes.Buffer
		w := NewWriter(&b, states)
		for s := range states {
			for _, g := range []graph.KeyGroup{1, 2, Own} {
				key := []byte("k")
				if g == Own {
					key = OwnKey(0, 4)
				}
				if err := w.Add(&Entry{State: s, Group: g, Key: key, Op: Put, Value: []byte(value + states[s].Operator)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return open(t, b.Bytes())
	}
	stale, fresh := file("stale "), file("fresh ")
	part := stale.Of([]string{"a", "c"}).Of([]string{"b", "c"}).Cut(0, 2)
	if part.State("a", "s") >= 0 || part.State("b", "s") >= 0 || part.State("c", "s") != 2 {
		t.Error("a or b is there, or c is not")
	}
	if _, found, err := part.Get(0, 1, 0, []byte("k")); found || err != nil {
		t.Errorf("get of what is another's: %v, %v", found, err)
	}
	if e, found, err := part.Get(2, 1, 0, []byte("k")); !found || err != nil || string(e.Value) != "stale c" {
		t.Errorf("get: %q, %v, %v", e.Value, found, err)
	}
	var got []string
	it := ScanMerged(AllAhead([]*Reader{fresh.Of([]string{"a", "b"}), part}), Everything)
	for it.Next() {
		got = append(got, string(it.Entry().Value))
	}
	want := []string{"fresh a", "fresh a", "fresh a", "fresh b", "fresh b", "fresh b", "stale c", "stale c"}
	if it.Err() != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v (expected %q)", got, it.Err(), want)
	}
	if s := MergeStates([]*Reader{fresh.Of([]string{"a"}), stale.Of([]string{"b"})}); len(s) != 2 || s[0].Operator != "a" || s[1].Operator != "b" {
		t.Errorf("states %v", s)
	}
}

func TestDamageIsDetected(t *testing.T) {
	file, _ := write(t, randomEntries(rand.New(rand.NewPCG(4, 4)), 60))
	detect := func(b []byte) error {
		r, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return err
		}
		return r.Check()
	}
	if err := detect(file); err != nil {
		t.Fatal(err)
	}
	for i := range file {
		for bit := range 8 {
			b := bytes.Clone(file)
			b[i] ^= 1 << bit
			if err := detect(b); !errors.Is(err, ErrDamaged) {
				t.Fatalf("bit %d of byte %d of %d: %v", bit, i, len(file), err)
			}
		}
		if err := detect(file[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func TestUnknownVersionIsRefusedByName(t *testing.T) {
	file, _ := write(t, nil)
	binary.LittleEndian.PutUint32(file[8:], 9)
	binary.LittleEndian.PutUint32(file[12:], checksum(file[:12]))
	if _, err := Open(bytes.NewReader(file), int64(len(file))); !errors.Is(err, ErrUnsupported) || err.Error() != "open a snapshot: snapshot version 9 (expected 1): written by another version of wasmill" {
		t.Fatal(err)
	}
}

func TestWriterHoldsTheOrder(t *testing.T) {
	w := NewWriter(new(bytes.Buffer), testStates)
	if err := w.Add(&Entry{State: 0, Group: 2, Op: Put, Key: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(&Entry{State: 1, Group: 1, Op: Put, Key: []byte("a")}); err == nil {
		t.Fatal("a group of the operator that lies before was taken")
	}
	if _, err := w.Close(); err == nil {
		t.Fatal("the file was ended after an error")
	}
}

func TestJoinedKeysAreOrderedByKeyThenSub(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	draw := func() []byte {
		b := make([]byte, rng.IntN(4))
		for i := range b {
			b[i] = []byte{0, 1, 2, 0xFE, 0xFF}[rng.IntN(5)]
		}
		return b
	}
	for range 100000 {
		k1, s1, k2, s2 := draw(), draw(), draw(), draw()
		want := bytes.Compare(k1, k2)
		if want == 0 {
			want = bytes.Compare(s1, s2)
		}
		j1, j2 := JoinKey(nil, k1, s1), JoinKey(nil, k2, s2)
		if got := bytes.Compare(j1, j2); got != want {
			t.Fatalf("(%x %x) against (%x %x): %d (expected %d)", k1, s1, k2, s2, got, want)
		}
		if k, s, ok := SplitKey(nil, j1); !ok || !bytes.Equal(k, k1) || !bytes.Equal(s, s1) {
			t.Fatalf("%x %x: split into %x %x %v", k1, s1, k, s, ok)
		}
		if bytes.HasPrefix(j2, KeyPrefix(nil, k1)) != bytes.Equal(k1, k2) {
			t.Fatalf("the prefix of %x is that of %x", k1, k2)
		}
	}
}

func FuzzReader(f *testing.F) {
	file, _ := write(f, randomEntries(rand.New(rand.NewPCG(6, 6)), 40))
	f.Add(file)
	f.Add(file[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		_ = r.Check()
		for it := r.Scan(Everything); it.Next(); {
		}
		if len(r.States()) > 0 {
			_, _, _ = r.Get(0, 1, 0, []byte("1"))
		}
	})
}
