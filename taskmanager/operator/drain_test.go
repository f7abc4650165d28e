package operator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/oracle"
)

// drained empties an operator into out, and goes on with another one.
func (r *running) drained(c Config, out *abi.Builder) *running {
	r.t.Helper()
	batch := abi.NewBuilder(out.Columns())
	for more := true; more; {
		var err error
		if more, err = r.op.(Draining).Drain(batch); err != nil {
			r.t.Fatal(err)
		}
		var b abi.Batch
		batch.View(&b)
		out.AppendRange(&b, 0, b.N, b.Hashes)
		batch.Reset()
	}
	if more, err := r.op.Fire(abi.MaxTime, r.out); more || err != nil || r.out.Len() > 0 {
		r.t.Fatalf("%d results, more %v, %v of an operator that was emptied", r.out.Len(), more, err)
	}
	r.close()
	return startIn(r.t, c, r.spill)
}

// merge hands accumulators to the operator, some at a time.
func (r *running) merge(from *abi.Builder, random *rand.Rand) {
	r.t.Helper()
	var all abi.Batch
	from.View(&all)
	for lo := 0; lo < all.N; {
		hi := lo + 1 + random.IntN(all.N-lo)
		w := abi.NewBuilder(from.Columns())
		w.AppendRange(&all, lo, hi, all.Hashes)
		var b abi.Batch
		w.View(&b)
		if err := r.op.Process(&b, b.Hashes, 0, r.out); err != nil {
			r.t.Fatal(err)
		}
		lo = hi
	}
}

// Aggregates of every kind, in windows and in none, that are emptied again and again and made one in the end, are what their definitions say.
func TestDrainedAggregatesAmountToTheSame(t *testing.T) {
	oracle.Check(t, 500, func(t testing.TB, r *rand.Rand) {
		var w *abi.Window
		switch r.IntN(3) {
		case 0:
			w = &abi.Window{Kind: "tumbling", SizeMs: 1 + r.Int64N(60)}
		case 1:
			w = &abi.Window{Kind: "sliding", SizeMs: 2 + r.Int64N(60)}
			w.SlideMs = 1 + r.Int64N(w.SizeMs)
		}
		a := newAggregation(r, w)
		a.config.Final = true
		f := startIn(t, a.config, int64(r.IntN(2)*64<<10))
		out := abi.NewBuilder(PartialColumns(a.config.Kind, w))
		at := int64(0)
		for range 1 + r.IntN(8) {
			var list []order
			for range r.IntN(40) { // by time: it decides among those that are equal
				at += r.Int64N(3)
				o := randomOrder(r, int64(len(a.all)+len(list)))
				o.time = at
				list = append(list, o)
			}
			a.all = append(a.all, list...)
			a.process(t, f, list)
			f.trim()
			if r.IntN(2) == 0 {
				f = f.drained(a.config, out)
			}
		}
		f = f.drained(a.config, out)
		f.merge(out, r)
		got := map[string]string{}
		f.fire(abi.MaxTime)
		a.take(t, f, got)
		f.close()
		if want := a.expected(); !maps.Equal(got, want) {
			t.Fatalf("window %+v, %v:\n%s", w, a.config.Aggregates, difference(got, want))
		}
	})
}

// So are sums, and what a guest folds.
func TestDrainedSumsAmountToTheSame(t *testing.T) {
	oracle.Check(t, 500, func(t testing.TB, r *rand.Rand) {
		guest := &summing{}
		c := Config{Kind: abi.OperatorAggregate, Key: "utf8", Value: "i64", Final: true, Guest: guest, Groups: 128, Function: &abi.Function{Kind: abi.FunctionAggregate}}
		if r.IntN(2) == 0 {
			c.Kind, c.Guest, c.Function = abi.OperatorSum, nil, nil
		}
		f := start(t, c)
		out := abi.NewBuilder(PartialColumns(c.Kind, nil))
		sums := map[string]int64{}
		for range 1 + r.IntN(8) {
			var list []rec
			for range r.IntN(40) {
				one := rec{0, fmt.Sprint("k", r.IntN(30)), r.Int64N(1000) - 500}
				list = append(list, one)
				sums[one.key] += one.value
			}
			f.process(list...)
			if r.IntN(2) == 0 {
				f = f.drained(c, out)
			}
		}
		f = f.drained(c, out)
		f.merge(out, r)
		f.fire(abi.MaxTime)
		got, want := slices.Clone(guest.out), []string{}
		if c.Kind == abi.OperatorSum {
			for _, line := range f.rows(pair) {
				got = append(got, strings.Replace(line, ",", "=", 1))
			}
		}
		for key, sum := range sums {
			want = append(want, fmt.Sprintf("%s=%d", key, sum))
		}
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	})
}
