package operator

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/graph/field"
	"github.com/wasmill/wasmill/internal/oracle"
	"github.com/wasmill/wasmill/taskmanager/state"
)

const orders abi.Codec = "row(id: i64, price: i64?, weight: f64?, channel: utf8?, item: row(kind: i64)?)"

// order is a record of a test; nil is null.
type order struct {
	time    int64
	key     string
	id      int64
	price   *int64
	weight  *float64
	channel *string
	kind    *int64
}

func (o *order) row(s *abi.Schema) []byte {
	var w, inner abi.RowWriter
	w.Reset(s)
	w.SetI64(0, o.id)
	if o.price != nil {
		w.SetI64(1, *o.price)
	}
	if o.weight != nil {
		w.SetF64(2, *o.weight)
	}
	if o.channel != nil {
		w.SetBytes(3, []byte(*o.channel))
	}
	if o.kind != nil {
		inner.Reset(s.Fields[4].Row)
		inner.SetI64(0, *o.kind)
		w.SetBytes(4, inner.AppendTo(nil))
	}
	return w.AppendTo(nil)
}

func randomOrder(r *rand.Rand, id int64) order {
	o := order{key: fmt.Sprint("key ", r.IntN(4)), id: id}
	if r.IntN(5) > 0 {
		v := (r.Int64N(200) - 100) % []int64{3, 1000}[r.IntN(2)] // half of them have one of five prices
		o.price = &v
	}
	if r.IntN(5) > 0 {
		v := float64(r.Int64N(64)-32) / 4 // sums of these lose no digits
		o.weight = &v
	}
	if r.IntN(5) > 0 {
		v := strings.Repeat("long", r.IntN(4)) + fmt.Sprint(r.IntN(40))
		o.channel = &v
	}
	if r.IntN(5) > 0 {
		v := r.Int64N(50)
		o.kind = &v
	}
	return o
}

// naive is an aggregate as its definition says: what it is of records in the order in which they came.
type naive struct {
	abi.Aggregate
	of func(list []order) string
}

// known are aggregates of every kind with what they are by definition.
var known = append(ofTies(), simple...)

var simple = []naive{
	{abi.Aggregate{Kind: "count"}, func(l []order) string { return fmt.Sprint(len(l)) }},
	{abi.Aggregate{Kind: "count", Field: "channel"}, func(l []order) string { return fmt.Sprint(len(there(l, channelOf))) }},
	{abi.Aggregate{Kind: "sum", Field: "price"}, func(l []order) string { return text(sum(there(l, priceOf))) }},
	{abi.Aggregate{Kind: "sum", Field: "id"}, func(l []order) string { return text(sum(there(l, idOf))) }},
	{abi.Aggregate{Kind: "sum", Field: "weight"}, func(l []order) string { return text(sum(there(l, weightOf))) }},
	{abi.Aggregate{Kind: "min", Field: "price"}, func(l []order) string { return text(least(there(l, priceOf))) }},
	{abi.Aggregate{Kind: "max", Field: "weight"}, func(l []order) string { return text(most(there(l, weightOf))) }},
	{abi.Aggregate{Kind: "max", Field: "item.kind"}, func(l []order) string { return text(most(there(l, kindOf))) }},
	{abi.Aggregate{Kind: "avg", Field: "price"}, func(l []order) string {
		if all := there(l, priceOf); len(all) > 0 {
			return fmt.Sprint(*sum(all) / int64(len(all)))
		}
		return "null"
	}},
	{abi.Aggregate{Kind: "avg", Field: "weight"}, func(l []order) string {
		if all := there(l, weightOf); len(all) > 0 {
			return fmt.Sprint(*sum(all) / float64(len(all)))
		}
		return "null"
	}},
	{abi.Aggregate{Kind: "countDistinct", Field: "price"}, func(l []order) string { return distinct(there(l, priceOf)) }},
	{abi.Aggregate{Kind: "countDistinct", Field: "channel"}, func(l []order) string { return distinct(there(l, channelOf)) }},
	{abi.Aggregate{Kind: "countDistinct", Field: "id"}, func(l []order) string { return distinct(there(l, idOf)) }},
	{abi.Aggregate{Kind: "minBy", Field: "price"}, func(l []order) string { return ids(1, ranked(l, false)) }},
	{abi.Aggregate{Kind: "maxBy", Field: "price"}, func(l []order) string { return ids(1, ranked(l, true)) }},
	{abi.Aggregate{Kind: "first"}, func(l []order) string { return ids(1, l) }},
	{abi.Aggregate{Kind: "last"}, func(l []order) string { return ids(1, reversed(l)) }},
	{abi.Aggregate{Kind: "last", Field: "price"}, func(l []order) string { return ids(1, ranked(reversed(l), true)) }},
}

// ofTies are aggregates where fields decide among equals.
func ofTies() (all []naive) {
	for _, t := range ties {
		all = append(all,
			naive{abi.Aggregate{Kind: "maxBy", Field: "price", Then: t}, func(l []order) string { return ids(1, ranked(by(t, l), true)) }},
			naive{abi.Aggregate{Kind: "first", Field: "price", Then: t}, func(l []order) string { return ids(1, ranked(by(t, l), false)) }},
			naive{abi.Aggregate{Kind: "last", Field: "price", Then: t}, func(l []order) string { return ids(1, ranked(by(t, reversed(l)), true)) }})
	}
	return all
}

func idOf(o order) *int64       { return &o.id }
func priceOf(o order) *int64    { return o.price }
func weightOf(o order) *float64 { return o.weight }
func channelOf(o order) *string { return o.channel }
func kindOf(o order) *int64     { return o.kind }

func there[T any](list []order, of func(order) *T) (all []T) {
	for _, o := range list {
		if v := of(o); v != nil {
			all = append(all, *v)
		}
	}
	return all
}

func sum[T int64 | float64](all []T) (total *T) {
	for _, v := range all {
		if total == nil {
			total = new(T)
		}
		*total += v
	}
	return total
}

func least[T cmp.Ordered](all []T) *T {
	if len(all) == 0 {
		return nil
	}
	v := slices.Min(all)
	return &v
}

func most[T cmp.Ordered](all []T) *T {
	if len(all) == 0 {
		return nil
	}
	v := slices.Max(all)
	return &v
}

func distinct[T comparable](all []T) string {
	seen := map[T]bool{}
	for _, v := range all {
		seen[v] = true
	}
	return fmt.Sprint(len(seen))
}

func text[T any](v *T) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprint(*v)
}

func ranked(list []order, descending bool) []order {
	list = slices.DeleteFunc(slices.Clone(list), func(o order) bool { return o.price == nil })
	slices.SortStableFunc(list, func(a, b order) int {
		if descending {
			return cmp.Compare(*b.price, *a.price)
		}
		return cmp.Compare(*a.price, *b.price)
	})
	return list
}

// ties are lists of fields that decide among records of one price.
var ties = [][]string{
	{"item.kind", "weight"},
	{"channel"},
	{"channel", "id"},
	{"weight", "channel", "item.kind"},
	{"channel", "weight", "channel"},
}

// by orders records by what decides among equals.
func by(fields []string, list []order) []order {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b order) int {
		for _, f := range fields {
			c := 0
			switch f {
			case "item.kind":
				c = nullLast(a.kind, b.kind)
			case "weight":
				c = nullLast(a.weight, b.weight)
			case "channel":
				c = nullLast(a.channel, b.channel)
			case "id":
				c = cmp.Compare(a.id, b.id)
			default:
				panic(f)
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return list
}

func nullLast[T cmp.Ordered](a, b *T) int {
	switch {
	case a != nil && b != nil:
		return cmp.Compare(*a, *b)
	case a != nil:
		return -1
	case b != nil:
		return 1
	}
	return 0
}

func reversed(list []order) []order {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// ids is the first n records, told by their id.
func ids(n int, list []order) string {
	var all []string
	for _, o := range list[:min(n, len(list))] {
		all = append(all, fmt.Sprint("#", o.id))
	}
	if n == 1 && len(all) == 0 {
		return "null"
	}
	return strings.Join(all, " ")
}

// condition is a random predicate, nested so deep at most, and what it means.
func condition(r *rand.Rand, depth int) (*abi.Predicate, func(order) bool) {
	if depth > 0 && r.IntN(3) == 2 {
		p, is := condition(r, depth-1)
		q, also := condition(r, depth-1)
		if r.IntN(2) == 0 {
			return &abi.Predicate{Op: "and", Of: []abi.Predicate{*p, *q}}, func(o order) bool { return is(o) && also(o) }
		}
		return &abi.Predicate{Op: "or", Of: []abi.Predicate{*p, *q}}, func(o order) bool { return is(o) || also(o) }
	}
	c := r.Int64N(160) - 80
	holds := map[string]func(order int) bool{
		"=": func(o int) bool { return o == 0 }, "!=": func(o int) bool { return o != 0 }, "<": func(o int) bool { return o < 0 },
		"<=": func(o int) bool { return o <= 0 }, ">": func(o int) bool { return o > 0 }, ">=": func(o int) bool { return o >= 0 },
	}
	op := []string{"=", "!=", "<", "<=", ">", ">="}[r.IntN(6)]
	switch r.IntN(5) {
	case 0:
		return &abi.Predicate{Op: op, Field: "price", Values: []string{fmt.Sprint(c)}}, func(o order) bool {
			return o.price != nil && holds[op](cmp.Compare(*o.price, c))
		}
	case 1:
		return &abi.Predicate{Op: op, Field: "weight", Values: []string{fmt.Sprint(float64(c) / 16)}}, func(o order) bool {
			return o.weight != nil && holds[op](cmp.Compare(*o.weight, float64(c)/16))
		}
	case 2:
		return &abi.Predicate{Op: op, Field: "channel", Values: []string{"2"}}, func(o order) bool {
			return o.channel != nil && holds[op](strings.Compare(*o.channel, "2"))
		}
	case 3:
		return &abi.Predicate{Op: "in", Field: "item.kind", Values: []string{"1", "3", fmt.Sprint(c)}}, func(o order) bool {
			return o.kind != nil && slices.Contains([]int64{1, 3, c}, *o.kind)
		}
	}
	if r.IntN(2) == 0 {
		return &abi.Predicate{Op: "null", Field: "item"}, func(o order) bool { return o.kind == nil }
	}
	return &abi.Predicate{Op: "notNull", Field: "channel"}, func(o order) bool { return o.channel != nil }
}

// aggregation is a stream under test and its model.
type aggregation struct {
	config  Config
	list    []naive
	filters []func(order) bool
	all     []order
	schema  *abi.Schema
}

func newAggregation(r *rand.Rand, w *abi.Window) *aggregation {
	a := &aggregation{config: Config{Kind: abi.OperatorAggregates, Key: "utf8", Value: orders, Window: w, Groups: graph.DefaultMaxParallelism}}
	a.config.Exact = r.IntN(2) == 0
	if r.IntN(6) == 0 && (w == nil || w.Count == 0) { // a window of records may have no top: it would not replace the one before
		n := 1 + r.IntN(4)
		kind, descending := "top", true
		if r.IntN(2) == 0 {
			kind, descending = "bottom", false
		}
		top, among := abi.Aggregate{Kind: kind, Field: "price", N: n}, func(l []order) []order { return l }
		if r.IntN(2) == 0 {
			top.Then = ties[r.IntN(len(ties))]
			among = func(l []order) []order { return by(top.Then, l) }
		}
		a.list = []naive{{top, func(l []order) string {
			return strings.TrimPrefix(ids(n, ranked(among(l), descending)), "null") // of nothing there is no result
		}}}
	} else if r.IntN(4) == 0 { // such as can be subtracted
		a.list = append(a.list, simple[0], simple[3])
	} else {
		for range 1 + r.IntN(8) {
			a.list = append(a.list, known[r.IntN(len(known))])
		}
	}
	for i := range a.list {
		one := &a.list[i].Aggregate
		one.Name = fmt.Sprint("a", i)
		a.filters = append(a.filters, func(order) bool { return true })
		if r.IntN(2) == 0 {
			one.Filter, a.filters[i] = condition(r, 8)
		}
		a.config.Aggregates = append(a.config.Aggregates, *one)
	}
	a.schema, _ = abi.ParseSchema(orders)
	return a
}

// expected is the result of every window and key.
func (a *aggregation) expected() map[string]string {
	panes := map[string][]order{}
	if w := a.config.Window; w != nil && w.Count > 0 {
		open := map[string][]order{} // what is left in it at the end has no result; of several windows the last is told
		for _, o := range a.all {
			id := "0 " + o.key
			if open[id] = append(open[id], o); len(open[id]) == w.Count {
				panes[id], open[id] = open[id], nil
			}
		}
		return a.results(panes)
	}
	if w := a.config.Window; w != nil && w.GapMs > 0 {
		for _, list := range a.sessions(w.GapMs) {
			panes[fmt.Sprintf("%d %s", list[len(list)-1].time+w.GapMs, list[0].key)] = list
		}
		return a.results(panes)
	}
	for _, o := range a.all {
		for _, end := range a.ends(o.time) {
			id := fmt.Sprintf("%d %s", end, o.key)
			panes[id] = append(panes[id], o)
		}
	}
	return a.results(panes)
}

// sessions are the records of each session of each key, in order.
func (a *aggregation) sessions(gap int64) (all [][]order) {
	open := map[string]int{}
	for _, o := range a.all {
		i, there := open[o.key]
		if !there || all[i][len(all[i])-1].time+gap < o.time {
			i, all = len(all), append(all, nil)
			open[o.key] = i
		}
		all[i] = append(all[i], o)
	}
	return all
}

func (a *aggregation) results(panes map[string][]order) map[string]string {
	results := map[string]string{}
	for id, list := range panes {
		var parts []string
		for i := range a.list {
			kept := slices.DeleteFunc(slices.Clone(list), func(o order) bool { return !a.filters[i](o) })
			parts = append(parts, a.list[i].of(kept))
		}
		if result := strings.Join(parts, ", "); result != "" {
			results[id] = result
		}
	}
	return results
}

func (a *aggregation) ends(t int64) []int64 {
	if a.config.Window == nil {
		return []int64{0}
	}
	m := &model{window: *a.config.Window}
	return m.ends(t)
}

// take reads what was put out into results.
func (a *aggregation) take(t testing.TB, f *running, results map[string]string) {
	list, err := field.NewAggregates(orders, a.config.Aggregates)
	if err != nil {
		t.Fatal(err)
	}
	s := field.Results(timed(a.config.Window), "utf8", "key", false, list)
	var b abi.Batch
	f.out.View(&b)
	for i := range b.N {
		if err := abi.Validate(s, b.Value(i)); err != nil {
			t.Fatalf("%s: %v", s.Codec(), err)
		}
		row, at, end := s.Row(b.Value(i)), 0, int64(0)
		if timed(a.config.Window) {
			end, at = row.I64(1), 2
			if b.Timestamps[i] != end-1 {
				t.Fatalf("timestamp %d of a window that ends at %d", b.Timestamps[i], end)
			}
		}
		id := fmt.Sprintf("%d %s", end, row.Bytes(at))
		var parts []string
		for f := at + 1; f < len(s.Fields); f++ {
			parts = append(parts, cellText(row, f, &s.Fields[f]))
		}
		if !list[0].Ranks() {
			results[id] = strings.Join(parts, ", ")
		} else if parts[0] == "1" {
			results[id] = parts[1]
		} else {
			results[id] += " " + parts[1]
		}
	}
	f.out.Reset()
}

func cellText(row abi.Row, i int, f *abi.Field) string {
	switch {
	case row.Null(i):
		return "null"
	case f.Type == abi.TypeF64:
		return fmt.Sprint(row.F64(i))
	case f.Type == abi.TypeRow:
		return fmt.Sprint("#", row.Row(i, f.Row).I64(0))
	}
	return fmt.Sprint(row.I64(i))
}

func (a *aggregation) process(t testing.TB, f *running, list []order) {
	if len(list) == 0 {
		return
	}
	w := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnKeys | abi.ColumnValues)
	var hashes []uint64
	for _, o := range list {
		w.Append(abi.Record{Timestamp: o.time, Key: []byte(o.key), Value: o.row(a.schema)})
		hashes = append(hashes, xxhash.Sum64String(o.key))
	}
	var b abi.Batch
	w.View(&b)
	if err := f.op.Process(&b, hashes, 0, f.out); err != nil {
		t.Fatal(err)
	}
}

// Random streams through aggregates of every kind, filtered, in every kind of window and in none, folded ahead and not, with
// snapshots in between, are what their definitions say.
func TestAggregatesAreWhatTheyAreDefinedAs(t *testing.T) {
	oracle.Check(t, 1500, func(t testing.TB, r *rand.Rand) {
		var w *abi.Window
		switch r.IntN(6) {
		case 4:
			if r.IntN(2) == 0 {
				w = &abi.Window{Kind: "count", Count: 1 + r.IntN(30)}
				break
			}
			w = &abi.Window{Kind: "session", GapMs: 1 + r.Int64N(20)}
		case 0:
			w = &abi.Window{Kind: "tumbling", SizeMs: 1 + r.Int64N(60)}
		case 1, 2:
			w = &abi.Window{Kind: "sliding", SizeMs: 2 + r.Int64N(60)}
			w.SlideMs = 1 + r.Int64N(w.SizeMs)
		}
		a := newAggregation(r, w)
		a.config.Final = w == nil && r.IntN(2) == 0
		f := start(t, a.config)
		if ahead := r.IntN(2) == 0; ahead && (w == nil || w.Kind == "tumbling" || w.Kind == "sliding") {
			f.foldAhead(a.config, nil, r)
		}
		got := map[string]string{}
		at := int64(0)
		for range 4 + r.IntN(12) {
			var list []order
			for range r.IntN(40) {
				o := randomOrder(r, int64(len(a.all)+len(list)))
				o.time = at + r.Int64N(30)
				list = append(list, o)
			}
			if w != nil { // between slices the order is that of time
				slices.SortStableFunc(list, func(x, y order) int { return cmp.Compare(x.time, y.time) })
				for i := range list {
					at = max(at, list[i].time)
				}
			}
			a.all = append(a.all, list...)
			a.process(t, f, list)
			a.take(t, f, got)
			if r.IntN(3) == 0 {
				freeze(t, f.store)
			}
			if w != nil {
				for more := true; more; a.take(t, f, got) {
					var err error
					if more, err = f.op.Fire(at-2, f.out); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for more := true; more; a.take(t, f, got) {
			var err error
			if more, err = f.op.Fire(abi.MaxTime, f.out); err != nil {
				t.Fatal(err)
			}
		}
		if want := a.expected(); !maps.Equal(got, want) {
			t.Fatalf("window %+v, %v:\n%s", w, a.config.Aggregates, difference(got, want))
		}
	})
}

// freeze takes a snapshot, whose bytes must stay as they were.
func freeze(t testing.TB, s state.Store) {
	t.Helper()
	frozen, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	frozen.Release()
}

func difference(got, want map[string]string) string {
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if got[id] != want[id] {
			lines = append(lines, fmt.Sprintf("%s: got %s (expected %s)", id, got[id], want[id]))
		}
	}
	for id := range got {
		if want[id] == "" {
			lines = append(lines, fmt.Sprintf("%s: got %s (expected none)", id, got[id]))
		}
	}
	return strings.Join(lines[:min(len(lines), 5)], "\n")
}

// A value that is no row is told of, wherever it is cut off, and nothing is read behind its end.
func TestAggregatesRefuseWhatIsNoRow(t *testing.T) {
	list := []abi.Aggregate{{Name: "n", Kind: "countDistinct", Field: "channel"}, {Name: "k", Kind: "max", Field: "item.kind"}}
	schema, _ := abi.ParseSchema(orders)
	price, kind, channel := int64(7), int64(3), "Apple"
	whole := (&order{price: &price, channel: &channel, kind: &kind}).row(schema)
	for n := range whole {
		for _, one := range list {
			f := start(t, Config{Kind: abi.OperatorAggregates, Key: "utf8", Value: orders, Aggregates: []abi.Aggregate{one}})
			w := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
			w.Append(abi.Record{Key: []byte("k"), Value: whole[:n]})
			var b abi.Batch
			w.View(&b)
			if err := f.op.Process(&b, []uint64{1}, 0, f.out); err == nil && n < len(whole)-24 {
				t.Errorf("%s of %d of %d bytes: no error", one.Kind, n, len(whole))
			}
		}
	}
}

// An accumulator that outgrows a record is refused by name.
func TestAccumulatorsAreBounded(t *testing.T) {
	f := start(t, Config{Kind: abi.OperatorAggregates, Key: "utf8", Value: "bytes", Final: true,
		Aggregates: []abi.Aggregate{{Name: "n", Kind: "countDistinct"}}})
	for i := range uint64(20) {
		w := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
		w.Append(abi.Record{Key: []byte("k"), Value: binary.LittleEndian.AppendUint64(make([]byte, 1<<20), i)})
		var b abi.Batch
		w.View(&b)
		if err := f.op.Process(&b, []uint64{1}, 0, f.out); err != nil {
			if !strings.Contains(err.Error(), "countDistinct keeps too much of it") {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("20 MiB in one accumulator")
}

// A batch costs no memory once the keys are there.
func TestAggregatesAllocateNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a := newAggregation(r, nil)
	a.config.Final, a.config.Exact, a.config.Aggregates = true, true, nil
	for i, one := range known {
		one.Aggregate.Name = fmt.Sprint("a", i)
		one.Aggregate.Filter = &abi.Predicate{Op: "<", Field: "id", Values: []string{"900"}}
		a.config.Aggregates = append(a.config.Aggregates, one.Aggregate)
	}
	f := start(t, a.config)
	w := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
	var hashes []uint64
	for i := range int64(1000) {
		o := randomOrder(r, i)
		w.Append(abi.Record{Key: []byte(o.key), Value: o.row(a.schema)})
		hashes = append(hashes, xxhash.Sum64String(o.key))
	}
	var b abi.Batch
	w.View(&b)
	run := func() {
		if err := f.op.Process(&b, hashes, 0, f.out); err != nil {
			t.Fatal(err)
		}
	}
	run()
	run()
	if n := allocs.PerRun(20, run); n > 0 {
		t.Errorf("%v allocations for 1,000 records", n)
	}
}
