package operator

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
)

// behind is an operator whose records are folded ahead of it, now and then, for as long as it suits.
type behind struct {
	Operator
	t        testing.TB
	combiner *Combiner
	out      *abi.Builder
	r        *rand.Rand
}

// foldAhead has the records of an operator folded ahead of it.
func (r *running) foldAhead(c Config, folder Folder, random *rand.Rand) {
	r.t.Helper()
	combiner, err := NewCombiner(c, folder, true)
	if err != nil {
		r.t.Fatal(err)
	}
	r.op = &behind{r.op, r.t, combiner, r.out, random}
}

func (o *behind) Process(b *abi.Batch, hashes []uint64, now int64, out *abi.Builder) error {
	if o.r.IntN(3) == 0 {
		o.drain()
		return o.Operator.Process(b, hashes, now, out)
	}
	for lo := 0; lo < b.N; {
		hi := lo + 1 + o.r.IntN(b.N-lo)
		if err := o.combiner.Fold(b, lo, hi, hashes); err != nil {
			return err
		}
		lo = hi
	}
	if o.r.IntN(2) == 0 {
		o.drain()
	}
	return nil
}

// drain hands the operator what is held back, encoded and read again.
func (o *behind) drain() {
	o.t.Helper()
	if o.combiner.Len() == 0 {
		return
	}
	w := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnKeys | abi.ColumnValues | abi.ColumnHashes | abi.ColumnPartials)
	o.combiner.Drain(w)
	var b abi.Batch
	if err := b.Parse(w.Encode(abi.AlignedBytes(w.Size()))); err != nil {
		o.t.Fatal(err)
	}
	if err := o.Operator.Process(&b, b.Hashes, 0, o.out); err != nil {
		o.t.Fatal(err)
	}
}

func (o *behind) Fire(watermark int64, out *abi.Builder) (bool, error) {
	o.drain()
	return o.Operator.Fire(watermark, out)
}

func (o *behind) Save() error {
	o.drain()
	return o.Operator.Save()
}

func (o *behind) Late() int64 {
	o.drain()
	return o.Operator.Late()
}

// fold folds records of so many keys, each once, drains, and answers how many go on as they are from then on.
func foldOnce(t *testing.T, m *Combiner, keys, times int) {
	t.Helper()
	w := abi.NewBuilder(abi.ColumnKeys)
	var hashes []uint64
	for range times {
		for k := range keys {
			key := fmt.Sprint("key ", k)
			w.Append(abi.Record{Key: []byte(key)})
			hashes = append(hashes, xxhash.Sum64String(key))
		}
	}
	var b abi.Batch
	w.View(&b)
	if err := m.Fold(&b, 0, b.N, hashes); err != nil {
		t.Fatal(err)
	}
	out := abi.NewBuilder(PartialColumns(abi.OperatorCount, nil))
	m.Drain(out)
	var made abi.Batch
	out.View(&made)
	if made.N != keys {
		t.Fatalf("%d accumulators of %d keys", made.N, keys)
	}
	for i := range made.N {
		if n := binary.LittleEndian.Uint64(made.Value(i)); n != uint64(times) || made.Partials[i].Records() != int64(times) {
			t.Fatalf("%s: %d of %d records (expected %d)", made.Key(i), n, made.Partials[i].Records(), times)
		}
	}
}

// Records go on as they are while folding them makes hardly fewer of them, and are folded again when their keys have become few.
func TestFoldingStopsWhereItDoesNotPay(t *testing.T) {
	m, err := NewCombiner(Config{Kind: abi.OperatorCount}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	foldOnce(t, m, 100, 100)
	if m.Passes(1) {
		t.Fatal("100 records a key, and folding is given up")
	}
	foldOnce(t, m, triedRecords, 1)
	for i := range 2 {
		passed := 0
		for m.Passes(1000) {
			passed += 1000
		}
		if want := firstPass << i; passed < want || passed > want+1000 {
			t.Fatalf("%d records passed (expected %d)", passed, want)
		}
		foldOnce(t, m, triedRecords, 1)
	}
	for m.Passes(1000) {
	}
	foldOnce(t, m, 100, 100)
	if m.Passes(1) {
		t.Fatal("keys are few again, and folding is given up")
	}
}

// What is judged is records and bytes together.
func TestPayoff(t *testing.T) {
	for _, c := range []struct {
		name        string
		taken, made volume
		passes      bool
	}{
		{"few keys", volume{triedRecords, 1 << 20}, volume{10, 1000}, false},
		{"half", volume{triedRecords, 1 << 20}, volume{triedRecords / 2, 1 << 20}, false},
		{"more than half", volume{triedRecords, 1 << 20}, volume{triedRecords/2 + 1, 1000}, true},
		{"accumulators that are larger than their records", volume{triedRecords, 1000}, volume{10, 1001}, true},
		{"too few to say", volume{triedRecords - 1, 1000}, volume{triedRecords - 1, 1001}, false},
	} {
		p := payoff{fewer: 2}
		p.folded(c.taken, c.made)
		if got := p.passes(1); got != c.passes {
			t.Errorf("%s: passes %v (expected %v)", c.name, got, c.passes)
		}
	}
}

// What is held back is bounded, and so is the memory that is kept; in the long run nothing is allocated.
func TestCombinerIsBounded(t *testing.T) {
	m, err := NewCombiner(Config{Kind: abi.OperatorSum, Value: abi.CodecI64}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	in, out := newTraffic(100_000), abi.NewBuilder(PartialColumns(abi.OperatorSum, nil))
	one := binary.LittleEndian.AppendUint64(nil, 1)
	sum, folded := uint64(0), 0
	drain := func() {
		m.Drain(out)
		var b abi.Batch
		out.View(&b)
		for i := range b.N {
			sum += binary.LittleEndian.Uint64(b.Value(i))
		}
		out.Reset()
	}
	b := *in.ones(one)
	run := func() {
		for range 40 {
			next, hashes := in.next(0)
			b.Keys, b.KeyOffs = next.Keys, next.KeyOffs
			if m.Full() {
				drain()
			}
			if err := m.Fold(&b, 0, b.N, hashes); err != nil {
				t.Fatal(err)
			}
			folded += b.N
			if m.Len() > maxPartials+b.N {
				t.Fatalf("%d accumulators are held back", m.Len())
			}
		}
	}
	for range 40 {
		run()
	}
	if n := allocs.PerRun(20, run); n > 0 && !raceEnabled {
		t.Errorf("%v allocations for 40 batches", n)
	}
	drain()
	if sum != uint64(folded) {
		t.Errorf("%d in all (expected %d)", sum, folded)
	}
}

// raceEnabled says that the race detector runs, which allocates.
var raceEnabled bool

// ones is a batch of values that are all v.
func (t *traffic) ones(v []byte) *abi.Batch {
	w := abi.NewBuilder(abi.ColumnValues)
	for range t.batches[0].N {
		w.Append(abi.Record{Value: v})
	}
	b := &abi.Batch{}
	w.View(b)
	return b
}

// BenchmarkCombiner folds counts, 100,000 records between two drains, as the words of a text are: few of them often.
func BenchmarkCombiner(b *testing.B) {
	m, err := NewCombiner(Config{Kind: abi.OperatorCount}, nil, true)
	if err != nil {
		b.Fatal(err)
	}
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), 1.1, 2, 33_000)
	var batches []abi.Batch
	var hashes [][]uint64
	for range 400 {
		w := abi.NewBuilder(abi.ColumnKeys)
		var h []uint64
		for range 1024 {
			key := fmt.Appendf(nil, "word%d", z.Uint64())
			w.Append(abi.Record{Key: key})
			h = append(h, xxhash.Sum64(key))
		}
		var one abi.Batch
		w.View(&one)
		batches, hashes = append(batches, one), append(hashes, h)
	}
	out := abi.NewBuilder(PartialColumns(abi.OperatorCount, nil))
	records, made, counted := int64(0), int64(0), uint64(0)
	drain := func() {
		m.Drain(out)
		var b abi.Batch
		out.View(&b)
		made += int64(b.N)
		for i := range b.N {
			counted += binary.LittleEndian.Uint64(b.Value(i))
		}
		out.Reset()
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%100 == 99 || m.Full() {
			drain()
		}
		k := i % len(batches)
		if err := m.Fold(&batches[k], 0, batches[k].N, hashes[k]); err != nil {
			b.Fatal(err)
		}
		records += int64(batches[k].N)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
	drain()
	b.ReportMetric(float64(made)/float64(records), "made/record")
	if counted != uint64(records) {
		b.Fatalf("%d counted (expected %d)", counted, records)
	}
}
