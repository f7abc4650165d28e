package operator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
	"github.com/wasmill/wasmill/taskmanager/state"
)

const (
	pair     = "row(key: utf8, value: i64)"
	windowed = "row(start: ms, end: ms, key: utf8, value: i64)"
)

func expect(t testing.TB, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nexpected %q", got, want)
	}
}

func TestCountOfBoundedInputComesOnceAtTheEnd(t *testing.T) {
	r := start(t, Config{Kind: abi.OperatorCount, Key: "utf8", Final: true})
	r.process(rec{0, "a", 0}, rec{0, "b", 0}, rec{0, "a", 0})
	r.process(rec{0, "a", 0}, rec{0, "", 0})
	r.fire(1_000_000)
	expect(t, r.rows(pair))
	r.fire(abi.MaxTime)
	expect(t, r.rows(pair), "a,3", "b,1", ",1")
	r.fire(abi.MaxTime)
	expect(t, r.rows(pair))
}

func TestCountOfUnboundedInputIsUpdatedOnceAKeyAndBatch(t *testing.T) {
	r := start(t, Config{Kind: abi.OperatorCount, Key: "utf8"})
	r.process(rec{0, "a", 0}, rec{0, "b", 0}, rec{0, "a", 0})
	expect(t, r.rows(pair), "a,2", "b,1")
	r.process(rec{0, "a", 0})
	expect(t, r.rows(pair), "a,3")
	r.fire(abi.MaxTime)
	expect(t, r.rows(pair))
}

func TestWindowsFireWhenTheWatermarkReachesTheirLastMillisecond(t *testing.T) {
	r := start(t, Config{Kind: abi.OperatorCount, Key: "utf8", Window: &abi.Window{Kind: "tumbling", SizeMs: 100}})
	r.process(rec{250, "a", 0}, rec{99, "a", 0}, rec{100, "a", 0}, rec{0, "b", 0}, rec{-1, "a", 0}, rec{199, "a", 0})
	r.fire(98)
	expect(t, r.rows(windowed), "-100,0,a,1@-1")
	r.fire(99)
	expect(t, r.rows(windowed), "0,100,a,1@99", "0,100,b,1@99")
	r.process(rec{99, "late", 0}, rec{100, "b", 0}, rec{-5, "late", 0})
	if n := r.op.Late(); n != 2 {
		t.Errorf("%d late records (expected 2)", n)
	}
	r.fire(abi.MaxTime)
	expect(t, r.rows(windowed), "100,200,a,2@199", "100,200,b,1@199", "200,300,a,1@299")
	open, err := r.store.Namespaces(state.Spec{Operator: "op", Name: "result", Kind: state.Words})
	if err != nil || len(open) != 0 {
		t.Errorf("namespaces %v, %v are left (expected none)", open, err)
	}
}

func TestWindowBounds(t *testing.T) {
	for _, c := range []struct{ size, offset, t, start, end int64 }{
		{100, 0, 0, 0, 100},
		{100, 0, 99, 0, 100},
		{100, 0, -1, -100, 0},
		{100, 0, -100, -100, 0},
		{100, 30, 29, -70, 30},
		{100, 30, 30, 30, 130},
		{100, 30, -71, -170, -70},
		{7, 0, math.MaxInt64 - 1, math.MaxInt64 - 7, math.MaxInt64},
	} {
		start, end := newWindowing(&abi.Window{SizeMs: c.size, OffsetMs: c.offset}).bounds(c.t)
		if start != c.start || end != c.end {
			t.Errorf("window of %d+%d at %d: [%d,%d) (expected [%d,%d))", c.size, c.offset, c.t, start, end, c.start, c.end)
		}
	}
	for _, at := range []int64{math.MinInt64 + 1, math.MaxInt64} {
		if start, end := newWindowing(&abi.Window{SizeMs: 1 << 40}).bounds(at); start > at || end < at {
			t.Errorf("[%d,%d) does not hold %d", start, end, at)
		}
	}
}

func TestSumsOfNumbers(t *testing.T) {
	r := start(t, Config{Kind: abi.OperatorSum, Key: "utf8", Value: "i64", Final: true})
	r.process(rec{0, "a", 5}, rec{0, "a", -7}, rec{0, "b", 1})
	r.fire(abi.MaxTime)
	expect(t, r.rows(pair), "a,-2", "b,1")

	f := start(t, Config{Kind: abi.OperatorSum, Key: "utf8", Value: "f64", Window: &abi.Window{SizeMs: 10}})
	bits := func(v float64) int64 { return int64(math.Float64bits(v)) }
	f.process(rec{1, "a", bits(0.5)}, rec{12, "a", bits(8)}, rec{2, "a", bits(0.25)})
	f.fire(abi.MaxTime)
	expect(t, f.rows("row(start: ms, end: ms, key: utf8, value: f64)"), "0,10,a,0.75@9", "10,20,a,8@19")
}

func TestKeysOfNumbersStandInTheRow(t *testing.T) {
	r := start(t, Config{Kind: abi.OperatorCount, Key: "i64", Final: true})
	r.process(rec{0, "\x05\x00\x00\x00\x00\x00\x00\x00", 0})
	r.fire(abi.MaxTime)
	expect(t, r.rows("row(key: i64, value: i64)"), "5,1")

	b, hashes := batchOf(rec{0, "short", 0})
	if err := r.op.Process(b, hashes, 0, r.out); err != nil {
		t.Fatal(err)
	}
	var bad *InputError
	if _, err := r.op.Fire(abi.MaxTime, r.out); !errors.As(err, &bad) {
		t.Errorf("a key of 5 bytes as i64: %v (expected an input error)", err)
	}
}

func TestWindowWithoutTimestampsIsRefused(t *testing.T) {
	r := start(t, Config{Kind: abi.OperatorCount, Window: &abi.Window{SizeMs: 10}})
	b, hashes := batchOf(rec{abi.NoTimestamp, "a", 0})
	var bad *InputError
	if err := r.op.Process(b, hashes, 0, r.out); !errors.As(err, &bad) || bad.Hint == "" {
		t.Errorf("%v (expected an input error with a hint)", err)
	}
	b.Timestamps = nil
	if err := r.op.Process(b, hashes, 0, r.out); !errors.As(err, &bad) {
		t.Errorf("%v (expected an input error)", err)
	}
}

func TestLargeWindowsFireInBatches(t *testing.T) {
	r := start(t, Config{Kind: abi.OperatorCount, Key: "utf8", Window: &abi.Window{SizeMs: 10}})
	for i := range 5 {
		var recs []rec
		for k := range 1000 {
			recs = append(recs, rec{1, fmt.Sprint(i, "-", k), 0})
		}
		r.process(recs...)
	}
	most := 0
	for more := true; more; {
		before := r.out.Len()
		var err error
		if more, err = r.op.Fire(abi.MaxTime, r.out); err != nil {
			t.Fatal(err)
		}
		most = max(most, r.out.Len()-before)
	}
	if most > fireRecords || r.out.Len() != 5000 {
		t.Errorf("%d results, at most %d at once (expected 5000, %d)", r.out.Len(), most, fireRecords)
	}
}

// Large results fire in small batches too: no channel, and no guest behind, takes all of a window at once.
func TestLargeResultsFireInBatches(t *testing.T) {
	const keys, size = 100, 16 << 10
	var recs []rec
	for i := range keys {
		recs = append(recs, rec{1, fmt.Sprint("k", i), 0})
	}
	for name, c := range map[string]Config{
		"accumulators": {Kind: abi.OperatorReduce, Function: reduce(false), Guest: &sized{size: size}},
		"of a guest":   {Kind: abi.OperatorReduce, Function: reduce(true), Guest: &sized{size: size}},
		"keys":         {Kind: abi.OperatorCount, Key: "utf8"},
	} {
		t.Run(name, func(t *testing.T) {
			c.Window = &abi.Window{SizeMs: 10}
			if c.Kind == abi.OperatorCount {
				for i := range recs {
					recs[i].key = fmt.Sprintf("%0*d", size, i)
				}
			}
			r := start(t, c)
			r.process(recs...)
			if n := r.fire(abi.MaxTime); n < keys*size/(fireBytes+size) {
				t.Errorf("%d bytes fired at %d times (expected about %d each)", keys*size, n, fireBytes)
			}
			if g, ok := c.Guest.(*sized); ok && c.Function.Result {
				if g.results != keys {
					t.Errorf("%d results (expected %d)", g.results, keys)
				}
			} else if r.out.Len() != keys {
				t.Errorf("%d results (expected %d)", r.out.Len(), keys)
			}
		})
	}
}

// sized has accumulators of size bytes.
type sized struct {
	summing
	size, results int
}

func (s *sized) Accumulate(g *abi.GroupsWriter) ([]byte, error) {
	var reply []byte
	each(g.Bytes(), func(i int, _ abi.Group, _, _ [][]byte) { reply = put(reply, i, make([]byte, s.size)) })
	return reply, nil
}

func (s *sized) Result(g *abi.GroupsWriter, _ abi.ChangeKind) error {
	s.results += g.Len()
	return nil
}

func reduce(result bool) *abi.Function {
	return &abi.Function{Name: "add", Kind: abi.FunctionReduce, Result: result}
}

func TestGuestIsCalledOnceForAllGroups(t *testing.T) {
	g := &summing{}
	r := start(t, Config{Kind: abi.OperatorReduce, Function: reduce(true), Guest: g, Window: &abi.Window{SizeMs: 100}})
	r.process(rec{1, "a", 1}, rec{101, "a", 10}, rec{2, "b", 100}, rec{3, "a", 1000}, rec{150, "a", 10000})
	if g.calls != 1 {
		t.Errorf("%d calls (expected 1)", g.calls)
	}
	r.process(rec{50, "a", 5})
	r.fire(150)
	expect(t, g.out, "[0,100) a=1006", "[0,100) b=100")
	g.out = nil
	r.fire(abi.MaxTime)
	expect(t, g.out, "[100,200) a=10010")
}

func TestRecordsOfAKeyKeepTheirOrder(t *testing.T) {
	g := &summing{}
	r := start(t, Config{Kind: abi.OperatorReduce, Function: reduce(true), Guest: g, Final: true})
	r.process(rec{0, "a", 1}, rec{0, "b", 2}, rec{0, "a", 3}, rec{0, "c", 4}, rec{0, "b", 5}, rec{0, "a", 6})
	if want := [][]int64{{1, 3, 6, 2, 5, 4}}; !slices.EqualFunc(g.records, want, slices.Equal) {
		t.Errorf("values %v (expected %v)", g.records, want)
	}
}

func TestWithoutResultFunctionTheAccumulatorIsTheResult(t *testing.T) {
	g := &summing{}
	r := start(t, Config{Kind: abi.OperatorReduce, Function: reduce(false), Guest: g, Window: &abi.Window{SizeMs: 100}})
	r.process(rec{1, "a", 1}, rec{2, "a", 2})
	r.fire(abi.MaxTime)
	var b abi.Batch
	r.out.View(&b)
	if b.N != 1 || string(b.Key(0)) != "a" || binary.LittleEndian.Uint64(b.Value(0)) != 3 || b.Timestamp(0) != 99 {
		t.Errorf("%d results: %q=%x@%d", b.N, b.Key(0), b.Value(0), b.Timestamp(0))
	}
}

func TestRollingGuestResultsFollowEachBatchOfUnboundedInput(t *testing.T) {
	g := &summing{}
	r := start(t, Config{Kind: abi.OperatorReduce, Function: reduce(true), Guest: g})
	r.process(rec{1, "a", 1}, rec{2, "a", 2}, rec{2, "b", 7})
	expect(t, g.out, "a=3", "b=7")
	g.out = nil
	r.process(rec{1, "a", 1})
	expect(t, g.out, "a=4")
}

// A guest that dies in the middle must not make records count twice.
func TestDeathOfTheGuestLosesAndDoublesNothing(t *testing.T) {
	g := &summing{}
	deaths := 0
	g.die = func(values []int64) error {
		if len(values) > 100 {
			deaths++
			return errDead
		}
		return nil
	}
	r := start(t, Config{Kind: abi.OperatorReduce, Function: reduce(true), Guest: g, Final: true})
	var recs []rec
	want := map[string]int64{}
	for i := range 1000 {
		k := fmt.Sprint("k", i%7)
		want[k] += int64(i)
		recs = append(recs, rec{0, k, int64(i)})
	}
	r.process(recs...)
	r.fire(abi.MaxTime)
	var lines []string
	for k, n := range want {
		lines = append(lines, fmt.Sprintf("%s=%d", k, n))
	}
	expect(t, g.out, lines...)
	if deaths < 8 {
		t.Errorf("%d deaths (expected several)", deaths)
	}
}

func TestTheRecordThatKillsIsNamed(t *testing.T) {
	g := &summing{die: func(values []int64) error {
		if slices.Contains(values, 666) {
			return errDead
		}
		return nil
	}}
	r := start(t, Config{Kind: abi.OperatorReduce, Function: reduce(true), Guest: g, Final: true})
	var recs []rec
	for i := range 500 {
		recs = append(recs, rec{0, fmt.Sprint("k", i%3), int64(1000 + i)})
	}
	recs[321].value = 666
	b, hashes := batchOf(recs...)
	err := r.op.Process(b, hashes, 0, r.out)
	if err == nil || !strings.Contains(err.Error(), "row 321, 9a02") {
		t.Errorf("%v (expected row 321)", err)
	}
}

// Calls stay small although values are large, and a group that does not fit one call is continued in the next.
func TestLargeBatchesTakeSeveralCalls(t *testing.T) {
	g := &lengths{}
	r := start(t, Config{Kind: abi.OperatorReduce, Function: reduce(true), Guest: g, Final: true})
	w := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
	var hashes []uint64
	for i := range 40 {
		k := fmt.Sprint("k", i%2)
		w.Append(abi.Record{Key: []byte(k), Value: make([]byte, 50_000+i)})
		hashes = append(hashes, xxhash.Sum64String(k))
	}
	var b abi.Batch
	w.View(&b)
	if err := r.op.Process(&b, hashes, 0, r.out); err != nil {
		t.Fatal(err)
	}
	if g.most > callBytes+64<<10 {
		t.Errorf("a call of %d bytes (expected about %d)", g.most, callBytes)
	}
	r.fire(abi.MaxTime)
	expect(t, g.out, fmt.Sprint("k0=", 20*50_000+380), fmt.Sprint("k1=", 20*50_000+400))
}

// lengths adds up the lengths of values.
type lengths struct {
	summing
	most int
}

func (l *lengths) Accumulate(g *abi.GroupsWriter) ([]byte, error) {
	l.most = max(l.most, g.Size())
	var reply []byte
	each(g.Bytes(), func(i int, _ abi.Group, accs, values [][]byte) {
		n := binary.LittleEndian.Uint64(total(accs))
		for _, v := range values {
			n += uint64(len(v))
		}
		reply = put(reply, i, binary.LittleEndian.AppendUint64(nil, n))
	})
	return reply, nil
}

func TestRepliesThatDoNotAnswerAreRefused(t *testing.T) {
	for name, reply := range map[string][]byte{
		"nothing":    nil,
		"one of two": put(nil, 0, []byte("x")),
		"the wrong":  put(put(nil, 1, []byte("x")), 0, []byte("x")),
	} {
		r := start(t, Config{Kind: abi.OperatorReduce, Function: reduce(true), Guest: &fixed{reply: reply}, Final: true})
		b, hashes := batchOf(rec{0, "a", 0}, rec{0, "b", 0})
		var bad *ReplyError
		if err := r.op.Process(b, hashes, 0, r.out); !errors.As(err, &bad) {
			t.Errorf("%s: %v (expected a reply error)", name, err)
		}
	}
}

// A reply that is good for some groups only is no reply: the call is made again, and would add to those twice.
func TestReplyThatBreaksOffChangesNothing(t *testing.T) {
	g := &breaksOff{}
	r := start(t, Config{Kind: abi.OperatorReduce, Function: reduce(true), Guest: g, Final: true})
	r.process(rec{0, "a", 1}, rec{0, "b", 10})
	r.process(rec{0, "a", 2}, rec{0, "b", 20})
	r.fire(abi.MaxTime)
	expect(t, g.out, "a=3", "b=30")
}

// breaksOff answers every other call for its first group only.
type breaksOff struct{ summing }

func (g *breaksOff) Accumulate(groups *abi.GroupsWriter) ([]byte, error) {
	reply, err := g.summing.Accumulate(groups)
	if g.calls%2 == 1 {
		reply = reply[:len(reply)/groups.Len()]
	}
	return reply, err
}

func (g *breaksOff) Retry(_ error, n int, call func(lo, hi int) error, _ func(int) Unit) error {
	return call(0, n)
}

type fixed struct {
	summing
	reply []byte
}

func (f *fixed) Accumulate(*abi.GroupsWriter) ([]byte, error) { return f.reply, nil }
func (f *fixed) Retry(err error, _ int, _ func(int, int) error, _ func(int) Unit) error {
	return err
}

func benchmarkInput(keys int, step int64) ([]*abi.Batch, [][]uint64) {
	r := rand.New(rand.NewPCG(1, 1))
	var batches []*abi.Batch
	var hashes [][]uint64
	at := int64(0)
	for range 100 {
		var recs []rec
		for range 1024 {
			recs = append(recs, rec{at + r.Int64N(50), fmt.Sprintf("key-%08d", r.IntN(keys)), 1})
			at += step
		}
		b, h := batchOf(recs...)
		batches, hashes = append(batches, b), append(hashes, h)
	}
	return batches, hashes
}

// steady measures turns of 1,024 records and refuses garbage.
func steady(b *testing.B, turn func(i int)) {
	for i := range 200 {
		turn(i)
	}
	if n := allocs.PerRun(100, func() { turn(0) }); n > 0 {
		b.Errorf("%v allocations a batch (expected 0)", n)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		turn(i)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/record")
}

func BenchmarkCount(b *testing.B) {
	for _, c := range []struct {
		name   string
		window *abi.Window
	}{{"rolling", nil}, {"one-window", &abi.Window{SizeMs: 1 << 40}}, {"ten-windows", &abi.Window{SizeMs: 5}}} {
		b.Run(c.name, func(b *testing.B) {
			r := start(b, Config{Kind: abi.OperatorCount, Key: "utf8", Window: c.window, Final: true})
			batches, hashes := benchmarkInput(100_000, 0)
			records := int64(0)
			steady(b, func(i int) {
				records += int64(batches[i%100].N)
				if err := r.op.Process(batches[i%100], hashes[i%100], 0, r.out); err != nil {
					b.Fatal(err)
				}
			})
			schema := abi.Codec(pair)
			if c.window != nil {
				schema = windowed
			}
			if n := r.sumAtEnd(schema); n != records {
				b.Errorf("counts add up to %d (expected the %d records)", n, records)
			}
		})
	}
}

// BenchmarkReduce has a guest that answers from memory: what is left is the operator's own work.
func BenchmarkReduce(b *testing.B) {
	g := &echo{}
	r := start(b, Config{Kind: abi.OperatorReduce, Function: reduce(true), Guest: g, Window: &abi.Window{SizeMs: 1 << 40}})
	batches, hashes := benchmarkInput(1000, 0)
	steady(b, func(i int) {
		if err := r.op.Process(batches[i%100], hashes[i%100], 0, r.out); err != nil {
			b.Fatal(err)
		}
	})
}

// echo answers 8 bytes for each group.
type echo struct {
	summing
	reply []byte
}

func (e *echo) Accumulate(g *abi.GroupsWriter) ([]byte, error) {
	if len(e.reply) < 40*g.Len() {
		for i := len(e.reply) / 40; i < g.Len(); i++ {
			e.reply = put(e.reply, i, make([]byte, 8))
		}
	}
	return e.reply[:40*g.Len()], nil
}
