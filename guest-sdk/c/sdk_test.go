// Package c_test holds the C SDK against the sandbox: the word count and the guests of test/guests run in it, metered. It knows
// nothing of clusters.
package c_test

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/host/hosttest"
)

const numbers = "../../test/guests/numbers.wasm"

// values reads the i64 values of every batch that was emitted to an output.
func values(effects *host.Effects, output uint32) (all []int64) {
	for _, e := range effects.Emits {
		if e.Output != output {
			continue
		}
		for k := range e.Batch.N {
			all = append(all, int64(binary.LittleEndian.Uint64(e.Batch.Value(k))))
		}
	}
	return all
}

// The functions of numbers.c, by their ids.
const number, even, twice, odd, tenfold, digit = 0, 1, 2, 3, 4, 5

func function(id, upstream uint32, outputs ...abi.HandleOutput) abi.HandleFunction {
	return abi.HandleFunction{Function: id, Upstream: upstream, Outputs: outputs}
}

func TestBranchesRunInOneCall(t *testing.T) {
	engine, err := host.NewEngine(context.Background(), host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(context.Background())
	i := instance(t, engine, numbers)
	err = i.Open(7, &abi.Handle{Functions: []abi.HandleFunction{
		function(number, abi.None, abi.HandleOutput{Number: 3, Columns: abi.ColumnValues | abi.ColumnTimestamps | abi.ColumnKinds | abi.ColumnHeaders}),
		function(even, 0),
		function(twice, 1, abi.HandleOutput{Number: 4, Columns: abi.ColumnValues}, abi.HandleOutput{Number: 5, Columns: abi.ColumnValues}),
		function(odd, 0),
		function(tenfold, 3, abi.HandleOutput{Number: 6, Columns: abi.ColumnTimestamps}),
		function(digit, 4, abi.HandleOutput{Number: 8, Columns: abi.ColumnKeys | abi.ColumnTimestamps}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	in := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnValues | abi.ColumnKinds | abi.ColumnHeaders)
	var all, evens, odds []int64
	for k := range int64(3000) {
		in.Append(abi.Record{Timestamp: k, Kind: abi.ChangeKind(k % 4), Headers: []byte(strings.Repeat("h", int(k%40)))})
		all = append(all, k)
		if k%2 == 0 {
			evens = append(evens, k, k)
		} else {
			odds = append(odds, k)
		}
	}
	for range 2 { // and the second call knows nothing of the first
		effects, err := i.Process(7, &abi.CallHeader{Parallelism: 1}, in)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(values(effects, 3), all) || !slices.Equal(values(effects, 4), evens) || !slices.Equal(values(effects, 5), evens) {
			t.Errorf("outputs 3, 4, 5 have %d, %d, %d records", len(values(effects, 3)), len(values(effects, 4)), len(values(effects, 5)))
		}
		var times, keys []int64
		n := int64(0)
		for _, e := range effects.Emits {
			for k := range e.Batch.N {
				switch e.Output {
				case 3:
					if b := &e.Batch; abi.ChangeKind(b.Kinds[k]) != abi.ChangeKind(n%4) || int(b.HeaderOffs[k+1]-b.HeaderOffs[k]) != int(n%40) {
						t.Fatalf("record %d has kind %d and %d bytes of headers", n, b.Kinds[k], b.HeaderOffs[k+1]-b.HeaderOffs[k])
					}
					n++
				case 6:
					times = append(times, e.Batch.Timestamps[k]/10)
				case 8:
					keys = append(keys, e.Batch.Timestamps[k]/10/10*10+int64(binary.LittleEndian.Uint64(e.Batch.Key(k))))
				}
			}
		}
		if !slices.Equal(times, odds) || !slices.Equal(keys, odds) {
			t.Errorf("outputs 6 and 8 have %d and %d records (expected %d)", len(times), len(keys), len(odds))
		}
		if !effects.HasWatermark || effects.Watermark != 29990 {
			t.Errorf("watermark %d, %v (expected the newest timestamp, 29990)", effects.Watermark, effects.HasWatermark)
		}
	}
	if err := i.CloseHandle(7); err != nil {
		t.Error(err)
	}
}

func TestAnOutputGetsWantedColumnsOnly(t *testing.T) {
	g := hosttest.Open(t, numbers, nil)
	got := g.Chain("number", "tenfold", "digit").Process(hosttest.Record{Timestamp: 12})
	want := hosttest.Record{Timestamp: 120, Key: string(abi.AppendI64Key(nil, 2)), Value: string(abi.AppendI64Key(nil, 12))}
	if len(got) != 1 || got[0] != want {
		t.Errorf("%+v (expected %+v)", got, want)
	}
}

func TestAggregate(t *testing.T) {
	g := hosttest.Open(t, numbers, nil, hosttest.ReplaceInstances())
	mean := g.Keyed("mean")
	value := func(v int64) string { return string(abi.AppendI64Key(nil, v)) }
	key := value(4)
	first := mean.Accumulate(hosttest.Group{Key: key, Values: []string{value(1), value(2), value(6)}})
	more := mean.Accumulate(hosttest.Group{Key: key, Values: []string{value(11)}, Accumulators: first})
	merged := mean.Merge(hosttest.Group{Key: key, Accumulators: []string{more[0], first[0], first[0]}})
	got := mean.Result(hosttest.Group{Key: key, WindowStart: 1000, WindowEnd: 2000, Accumulators: merged})
	s, err := abi.ParseSchema(g.Function("mean").Output)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || abi.Validate(s, []byte(got[0].Value)) != nil {
		t.Fatalf("%+v", got)
	}
	if r := s.Row([]byte(got[0].Value)); r.I64(0) != 1000 || r.I64(1) != 2000 || r.I64(2) != 4 || r.F64(3) != 3.8 || got[0].Timestamp != 1999 {
		t.Errorf("window %d to %d, key %d, mean %v, timestamp %d", r.I64(0), r.I64(1), r.I64(2), r.F64(3), got[0].Timestamp)
	}
}

func TestCreateIsForAggregates(t *testing.T) {
	numbers, words := hosttest.Open(t, numbers, nil), hosttest.Open(t, wordcount, map[string]string{"counter": "guest"})
	if acc, _, err := numbers.Keyed("mean").Try(abi.VerbCreate, hosttest.Group{Key: "k"}); err != nil || acc[0] != strings.Repeat("\x00", 16) {
		t.Errorf("%q, %v", acc, err)
	}
	if _, _, err := words.Keyed("add").Try(abi.VerbCreate, hosttest.Group{Key: "k"}); err == nil {
		t.Error("a reduce made an accumulator of nothing")
	}
}

func TestAFailureNamesItsRecordAndTheInstanceStaysGood(t *testing.T) {
	g := hosttest.Open(t, "../../test/guests/fail.wasm", map[string]string{"at": "1234"})
	chain := g.Chain("fail")
	var records []hosttest.Record
	for k := range int64(2000) {
		records = append(records, hosttest.Record{Timestamp: k})
	}
	_, err := chain.Try(records...)
	var failed *host.Error
	if e, ok := err.(*host.Error); ok {
		failed = e
	}
	if failed == nil || failed.Kind != host.KindFailed || failed.Record != 1234 || failed.Message != "this record is not to my taste" {
		t.Errorf("%#v", err)
	}
	if got := chain.Process(records[:1234]...); len(got) != 1234 {
		t.Errorf("%d records after the failure (expected 1234)", len(got))
	}
}

func TestParamsAreNumbersOrRefused(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-9223372036854775808": "-9223372036854775808", "9223372036854775807": "9223372036854775807",
		"9223372036854775808": `"9223372036854775808" (expected a whole number)`, "-9223372036854775809": "(expected a whole number)",
		"": `"" (expected a whole number)`, "-": "(expected a whole number)", "1x": `"1x" (expected a whole number)`, "+1": "(expected a whole number)",
	} {
		got, err := describe(t, wordcount, map[string]string{"window": text})
		switch {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("window %q: %v (expected %s)", text, err, want)
		case err == nil && strings.Contains(want, "expected"):
			t.Errorf("window %q: taken", text)
		case err == nil && text == "9223372036854775807" && got.Operators[3].Window.SizeMs != math.MaxInt64:
			t.Errorf("window %q: %+v", text, got.Operators[3].Window)
		}
	}
	if _, err := describe(t, wordcount, map[string]string{"counter": "abacus", "window": "x"}); err == nil ||
		!strings.Contains(err.Error(), `parameter "window": "x" (expected a whole number); parameter "counter": "abacus" (expected native or guest)`) {
		t.Errorf("%v (expected both problems)", err)
	}
}

// describe asks a guest for its manifest with parameters.
func describe(t *testing.T, path string, params map[string]string) (*abi.Manifest, error) {
	t.Helper()
	ctx := context.Background()
	engine, err := host.NewEngine(ctx, host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(ctx)
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	inspected, err := engine.Inspect(ctx, wasm, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, m, err := engine.Describe(ctx, inspected.Metered, params)
	return m, err
}
