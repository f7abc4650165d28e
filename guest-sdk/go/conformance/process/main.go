// Process is the guest that abi/conformance runs its scenarios of process functions against, in Go: state, timers, side
// outputs, two inputs, migration. Every SDK has one, with the same functions under the same names.
package main

import (
	"strconv"
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() { wasmill.Job("conformance-process", define) }

func main() {}

func define(job *wasmill.Env) {
	texts := wasmill.Source(job, wasmill.Files("texts"))
	byText := wasmill.KeyBy(texts, "by-text", func(s string) string { return s })
	lengths := wasmill.KeyValueBy(texts, "by-text-length", func(s string) (string, int64) { return s, int64(len(s)) })

	book(job, lengths)
	remember(job, byText)
	alarm := wasmill.ProcessFunction[string, int64, int64]{Process: setAlarm, Timer: ring}
	drop(wasmill.Process(lengths, "alarm", alarm).UID("alarm"))
	pair(job, byText, lengths)
	moved(job, lengths)

	late := wasmill.NewSide[int64](job, "late")
	sum := func(a, b int64) int64 { return a + b }
	second := lengths.Window(wasmill.Tumbling(time.Second))
	drop(second.Late(late).Reduce("sum-by-window", sum).UID("sum-by-window").OnTrap(wasmill.Skip))
	drop(late.Stream())
	late = wasmill.NewSide[int64](job, "late counts")
	drop(second.Late(late).Count().UID("counts"))
	drop(late.Stream())

	near(job, byText, lengths)
	drop(wasmill.PartitionCustom(texts, "by-size", func(s string, receivers int) int { return len(s) % receivers }))
	fields(job)
}

func drop[T any](s *wasmill.Stream[T]) { s.SinkTo(wasmill.Blackhole()) }

func number(v int64) string { return strconv.FormatInt(v, 10) }

// book keeps a sum and emits it after every number. 0 clears it, -13 fails after a change. Negative numbers go to a side output
// too, and numbers above 99, as text, to another.
func book(job *wasmill.Env, in *wasmill.KeyedStream[string, int64]) {
	sum := wasmill.NewValueState[int64](job, "sum").TTL(time.Minute)
	negative, large := wasmill.NewSide[int64](job, "negative"), wasmill.NewSide[string](job, "large")
	drop(wasmill.Process(in, "book", wasmill.ProcessFunction[string, int64, int64]{
		States: []wasmill.State{sum}, Sides: []wasmill.SideOutput{negative, large},
		Process: func(c *wasmill.Context[string, int64], v int64) {
			if v == 0 {
				sum.Clear()
				return
			}
			total := sum.GetOr(0) + v
			sum.Set(total)
			c.Emit(total)
			if v < 0 {
				negative.Emit(v)
			}
			if v > 99 {
				large.Emit(number(v))
			}
			if v == -13 {
				panic("an unlucky number")
			}
		},
	}).UID("book"))
	drop(negative.Stream())
	drop(wasmill.Map(large.Stream(), "same", func(s string) string { return s }))
}

// remember keeps texts in a list, counts each in a map, and has the last as a value. Texts that are commands: "list" and "map" emit
// what is there, "?x" the count of x, "-x" forgets the count of x, "last" emits the last and how long it is, "clear" forgets
// all, "bad" fails after a change.
func remember(job *wasmill.Env, in *wasmill.KeyedStream[string, string]) {
	all := wasmill.NewListState[string](job, "all")
	counts := wasmill.NewMapState[string, int64](job, "counts")
	last := wasmill.NewValueState[string](job, "last")
	count := func(s string) int64 {
		n, _ := counts.Get(s)
		return n
	}
	keep := func(s string) {
		all.Add(s)
		last.Set(s)
		if s != "" {
			counts.Put(s, count(s)+1)
		}
		if s == "bad" {
			panic("a bad text")
		}
	}
	drop(wasmill.Process(in, "remember", wasmill.ProcessFunction[string, string, string]{
		States: []wasmill.State{all, counts, last},
		Process: func(c *wasmill.Context[string, string], s string) {
			switch {
			case s == "list":
				for v := range all.All() {
					c.Emit(v)
				}
			case s == "map":
				for k, n := range counts.All() {
					c.Emit(k + "=" + number(n))
				}
			case s == "last":
				if v, ok := last.Get(); ok {
					c.Emit(v + " " + number(int64(len(v))))
				} else {
					c.Emit("none")
				}
			case s == "clear":
				all.Clear()
				counts.Clear()
				last.Clear()
			case s != "" && s[0] == '?':
				c.Emit(number(count(s[1:])))
			case s != "" && s[0] == '-':
				counts.Delete(s[1:])
			default:
				keep(s)
			}
		},
	}).UID("remember"))
}

// setAlarm sets an event-time timer for a number, deletes it for a negative one, and for 0 sets a processing-time timer 10 ms
// ahead.
func setAlarm(c *wasmill.Context[string, int64], v int64) {
	switch {
	case v == 0:
		c.SetProcessingTimer(c.Now().UnixMilli() + 10)
	case v > 0:
		c.SetTimer(v)
	default:
		c.DeleteTimer(-v)
	}
}

// ring emits its time, of processing time as a negative number. One at a full thousand sets another 500 before itself and deletes
// the one right behind it.
func ring(c *wasmill.Context[string, int64], t wasmill.Timer) {
	if t.Processing {
		c.Emit(-t.Time)
		return
	}
	c.Emit(t.Time)
	if t.Time%1000 == 0 {
		c.SetTimer(t.Time - 500)
		c.DeleteTimer(t.Time + 1)
	}
}

// pair keeps the latest number of the other input and emits texts with it; texts that find none wait for a timer 100 ms behind
// them and then go to a side output.
func pair(job *wasmill.Env, texts *wasmill.KeyedStream[string, string], numbers *wasmill.KeyedStream[string, int64]) {
	latest := wasmill.NewValueState[int64](job, "number")
	waiting := wasmill.NewListState[string](job, "waiting")
	unpaired := wasmill.NewSide[string](job, "unpaired")
	pairs := wasmill.CoProcess(texts, numbers, "pair", wasmill.CoProcessFunction[string, string, int64, string]{
		States: []wasmill.State{latest, waiting}, Sides: []wasmill.SideOutput{unpaired},
		Process1: func(c *wasmill.Context[string, string], s string) {
			if n, ok := latest.Get(); ok {
				c.Emit(s + "=" + number(n))
				return
			}
			waiting.Add(s)
			c.SetTimer(c.Timestamp() + 100)
		},
		Process2: func(c *wasmill.Context[string, string], n int64) {
			latest.Set(n)
			for s := range waiting.All() {
				c.Emit(s + "=" + number(n))
			}
			waiting.Clear()
		},
		Timer: func(*wasmill.Context[string, string], wasmill.Timer) {
			for s := range waiting.All() {
				unpaired.Emit(s)
			}
			waiting.Clear()
		},
	}).UID("pair").OnTrap(wasmill.DeadLetter)
	drop(pairs)
	drop(unpaired.Stream())
	drop(pairs.DeadLetters())
}

// near emits texts with the numbers that they meet, but 0; "bad" fails.
func near(job *wasmill.Env, texts *wasmill.KeyedStream[string, string], numbers *wasmill.KeyedStream[string, int64]) {
	left, right := wasmill.NewSide[string](job, "late texts"), wasmill.NewSide[int64](job, "late numbers")
	between := wasmill.IntervalJoin(texts, numbers).Between(-100*time.Millisecond, 200*time.Millisecond).LowerBoundExclusive()
	join := func(c *wasmill.JoinContext[string, string], s string, n int64) {
		if s == "bad" {
			panic("a bad text")
		}
		if n != 0 {
			c.Emit(s + "=" + number(n))
		}
	}
	drop(wasmill.ProcessJoined(between.LateLeft(left).LateRight(right), "near", join).UID("near"))
	drop(left.Stream())
	drop(right.Stream())
}

type named struct {
	Name *string
	N    int64
}

type statistics struct {
	N, Count      int64
	Most          *int64
	CountDistinct int64
}

type ranked struct {
	N, Rank int64
	Top     named
}

// fields has what the host does by itself.
func fields(job *wasmill.Env) {
	name, n := wasmill.Field("name"), wasmill.Field("n")
	rows := wasmill.Source(job, wasmill.JSONFiles[named]("rows"))
	some := rows.Where("some", wasmill.And(n.Ge(1), wasmill.Or(name.In("a", "b"), name.IsNull())))
	byN := wasmill.KeyByFields[int64](some, "by-n", "n")
	drop(wasmill.Aggregates[statistics](byN, wasmill.CountAll(), n.Max().As("most").Filter(n.Lt(5)), name.CountDistinct()).UID("statistics"))
	drop(wasmill.Aggregates[ranked](byN, n.Top(3).Then("n")).UID("top"))
}

// moved has states of newer versions: a total that was text, where "gone" is dropped, and names that got a mark with every
// version.
func moved(job *wasmill.Env, in *wasmill.KeyedStream[string, int64]) {
	total := wasmill.NewValueState[int64](job, "total").Migrate(2, func(_ int, old []byte) (int64, bool) {
		if string(old) == "gone" {
			return 0, false
		}
		v, err := strconv.ParseInt(string(old), 10, 64)
		if err != nil {
			panic("a total that is no number")
		}
		return v, true
	})
	names := wasmill.NewMapState[string, string](job, "names").Migrate(3, func(from int, old []byte) (string, bool) {
		if from < 2 {
			return string(old) + "!!", true
		}
		return string(old) + "!", true
	})
	drop(wasmill.Process(in, "moved", wasmill.ProcessFunction[string, int64, int64]{
		States:  []wasmill.State{total, names},
		Process: func(_ *wasmill.Context[string, int64], v int64) { total.Set(v) },
	}).UID("moved"))
}
