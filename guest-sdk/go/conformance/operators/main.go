// Operators is the guest that abi/conformance runs its scenarios of windows, joins in windows, requests, broadcast states and lists
// of the operator against, in Go. Every SDK has one, with the same functions under the same names; what it lacks it leaves out.
package main

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() { wasmill.Job("conformance-operators", define) }

func main() {}

func define(job *wasmill.Env) {
	texts := wasmill.Source(job, wasmill.Files("texts"))
	byText := wasmill.KeyBy(texts, "by-text", func(s string) string { return s })
	lengths := wasmill.KeyValueBy(texts, "by-text-length", func(s string) (string, int64) { return s, int64(len(s)) })
	report(job, lengths.Window(wasmill.Tumbling(time.Second)).AllowedLateness(time.Minute))
	totals(lengths.Window(wasmill.Sliding(time.Second, 500*time.Millisecond)))
	enough(job, lengths.Window(wasmill.Session(time.Second)))
	odd(lengths.Window(wasmill.Global()).Trigger(wasmill.AtCount(3).Purging()))
	drop(lengths.SessionBy("pause", func(v int64) time.Duration { return time.Duration(v+1) * time.Millisecond }).Count().UID("pauses"))
	plenty(job, lengths.Window(wasmill.Session(time.Second)))
	together(wasmill.Join(byText, lengths).Window(wasmill.Tumbling(time.Second)))
	met(wasmill.Join(byText, lengths).Window(wasmill.Tumbling(time.Second)).LeftOuter())
	ask(texts)
	recent(job, lengths)
	tally(job, lengths)
	rules(job, byText, texts)
	roster(job, texts)
}

func drop[T any](s *wasmill.Stream[T]) { s.SinkTo(wasmill.Blackhole()) }

func number(v int64) string { return strconv.FormatInt(v, 10) }

// report says what a window has, how many results it has had, how many values results of the key have had so far, and why it has this
// one. Sums above 99 go to a side output; -13 fails after a change.
func report(job *wasmill.Env, in *wasmill.WindowedStream[string, int64]) {
	all, results := wasmill.NewValueState[int64](job, "all"), wasmill.NewValueState[int64](job, "results")
	large := wasmill.NewSide[int64](job, "large")
	drop(wasmill.ProcessWindow(in, "report", wasmill.WindowFunction[string, int64, string]{
		States: []wasmill.State{all}, WindowStates: []wasmill.State{results}, Sides: []wasmill.SideOutput{large},
		Process: func(c *wasmill.WindowContext[string, string], values iter.Seq[int64]) {
			n, sum := int64(0), int64(0)
			for v := range values {
				n, sum = n+1, sum+v
			}
			all.Set(all.GetOr(0) + n)
			results.Set(results.GetOr(0) + 1)
			why := map[wasmill.Timing]string{wasmill.OnTime: "on time", wasmill.Early: "early", wasmill.Late: "late"}[c.Timing()]
			c.Emit(fmt.Sprintf("n=%d sum=%d result %d of %d..%d, %d of all, %s", n, sum, results.GetOr(0), c.Window().Start, c.Window().End, all.GetOr(0), why))
			if sum > 99 {
				large.Emit(sum)
			}
			if sum == -13 {
				panic("an unlucky sum")
			}
		},
	}).UID("report"))
	drop(large.Stream())
}

// totals has sums folded, and says of what time they are.
func totals(in *wasmill.WindowedStream[string, int64]) {
	plus := func(a, b int64) int64 { return a + b }
	drop(wasmill.AggregateWindowWith(in, "totals", wasmill.Aggregator[int64, int64, int64]{
		Create: func() int64 { return 0 }, Add: plus, Merge: plus, Result: func(a int64) int64 { return a },
	}, wasmill.FoldedFunction[string, int64, string]{
		Process: func(c *wasmill.WindowContext[string, string], sum int64) {
			c.Emit(fmt.Sprintf("%d of %d..%d", sum, c.Window().Start, c.Window().End))
		},
	}).UID("totals"))
}

// enough fires when the values make 10 or more, and is purged when they make 100 or more, and at its end, for which it sets a timer
// with its first value. 0 sets a timer 10 ms ahead by the clock, which fires; a negative value takes the first timer back, and purges.
func enough(job *wasmill.Env, in *wasmill.WindowedStream[string, int64]) {
	sum := wasmill.NewValueState[int64](job, "sum")
	drop(in.TriggerBy("enough", wasmill.TriggerFunction[int64]{
		States: []wasmill.State{sum},
		Record: func(c *wasmill.TriggerContext, v int64) wasmill.Decision {
			before, any := sum.Get()
			if !any {
				c.SetTimer(c.Window().End - 1)
			}
			if v == 0 {
				c.SetProcessingTimer(c.Now().UnixMilli() + 10)
				return wasmill.Continue
			}
			if v < 0 {
				c.DeleteTimer(c.Window().End - 1)
				return wasmill.Purge
			}
			sum.Set(before + v)
			switch {
			case before+v >= 100:
				return wasmill.FireAndPurge
			case before+v >= 10:
				return wasmill.Fire
			}
			return wasmill.Continue
		},
		Timer: func(_ *wasmill.TriggerContext, t wasmill.Timer) wasmill.Decision {
			if t.Processing {
				return wasmill.Fire
			}
			return wasmill.FireAndPurge
		},
		Merged: func(c *wasmill.TriggerContext) {
			all := int64(0)
			for v := range sum.Merged() {
				all += v
			}
			sum.Set(all)
			c.SetTimer(c.Window().End - 1)
		},
	}).Count().UID("enough"))
}

// plenty fires when one of the values is 10 or more.
func plenty(job *wasmill.Env, in *wasmill.WindowedStream[string, int64]) {
	most := wasmill.NewReducingState(job, "most", func(a, b int64) int64 { return max(a, b) })
	drop(in.TriggerBy("plenty", wasmill.TriggerFunction[int64]{
		States: []wasmill.State{most},
		Record: func(_ *wasmill.TriggerContext, v int64) wasmill.Decision {
			most.Add(v)
			if n, _ := most.Get(); n >= 10 {
				return wasmill.Fire
			}
			return wasmill.Continue
		},
	}).Count().UID("plenty"))
}

// odd leaves odd values out of what kept counts.
func odd(in *wasmill.WindowedStream[string, int64]) {
	even := in.EvictBy("odd", false, func(_ wasmill.Window, values []int64, keep func(i int)) {
		for i, v := range values {
			if v%2 == 0 {
				keep(i)
			}
		}
	})
	drop(wasmill.ProcessWindow(even, "kept", wasmill.WindowFunction[string, int64, int64]{
		Process: func(c *wasmill.WindowContext[string, int64], values iter.Seq[int64]) {
			n := int64(0)
			for range values {
				n++
			}
			c.Emit(n)
		},
	}).UID("kept"))
}

// together emits each text with the sum of the numbers, or "none" if there is no text; "bad" fails.
func together(in *wasmill.WindowJoined[string, string, int64]) {
	drop(wasmill.CoGroup(in, "together", func(c *wasmill.WindowJoinContext[string, string], texts iter.Seq[string], numbers iter.Seq[int64]) {
		sum, any := int64(0), false
		for n := range numbers {
			sum += n
		}
		for s := range texts {
			if s == "bad" {
				panic("a bad text")
			}
			any = true
			c.Emit(s + "=" + number(sum))
		}
		if !any {
			c.Emit("none=" + number(sum))
		}
	}).UID("together"))
}

// met emits texts with the number that they meet, at that number's time if that is below 100, or with "none".
func met(in *wasmill.WindowJoined[string, string, int64]) {
	drop(wasmill.ProcessWindowJoined(in, "met", func(c *wasmill.WindowJoinContext[string, string], s *string, n *int64) {
		switch {
		case n == nil:
			c.Emit(*s + "=none")
		case *n < 100:
			c.EmitAt(*n, *s+"="+number(*n))
		default:
			c.Emit(*s + "=" + number(*n))
		}
	}).UID("met"))
}

// ask asks about texts, but for the empty one and "bad", which fails; "send" is posted. It emits what was answered, or why nothing was.
func ask(in *wasmill.Stream[string]) {
	drop(wasmill.AsyncWait(in, "ask", wasmill.AsyncFunction[string, string]{
		Request: func(s string) *wasmill.HTTPRequest {
			switch s {
			case "":
				return nil
			case "bad":
				panic("a bad text")
			case "send":
				return wasmill.NewHTTPRequest("POST", "http://host.test/").Body([]byte(s))
			}
			return wasmill.Get("http://host.test/"+s).Header("Accept", "text/plain")
		},
		Response: func(s string, r *wasmill.HTTPResponse, emit func(string)) {
			switch {
			case r == nil:
				emit("nothing was asked")
			case r.Header("X-Kind") != "":
				emit(s + "=" + number(int64(r.Status)) + " " + string(r.Body) + " of kind " + r.Header("X-Kind"))
			default:
				emit(s + "=" + number(int64(r.Status)) + " " + string(r.Body))
			}
		},
		Failed: func(s string, why *wasmill.RequestError, emit func(string)) {
			what := "broken"
			if why.TimedOut {
				what = "timed out"
			} else if why.Refused {
				what = "refused"
			}
			emit(s + " " + what + ": " + why.Why)
		},
	}, wasmill.Ordered, wasmill.Hosts("host.test:80"), wasmill.Capacity(8), wasmill.Timeout(5*time.Second),
		wasmill.FixedDelay(2, 50*time.Millisecond), wasmill.RetryOn("broken", "5xx")).UID("ask"))
}

// recent counts the values of a key in a state that ends by event time.
func recent(job *wasmill.Env, in *wasmill.KeyedStream[string, int64]) {
	count := wasmill.NewValueState[int64](job, "count").EventTimeTTL(time.Second)
	drop(wasmill.Process(in, "recent", wasmill.ProcessFunction[string, int64, int64]{
		States: []wasmill.State{count},
		Process: func(c *wasmill.Context[string, int64], _ int64) {
			count.Set(count.GetOr(0) + 1)
			c.Emit(count.GetOr(0))
		},
	}).UID("recent"))
}

// tally says what the largest value is and what all make with 100. 0 forgets them.
func tally(job *wasmill.Env, in *wasmill.KeyedStream[string, int64]) {
	most := wasmill.NewReducingState(job, "most", func(a, b int64) int64 { return max(a, b) })
	sum := wasmill.NewAggregatingState(job, "sum", func() int64 { return 100 }, func(a, v int64) int64 { return a + v }, func(a int64) string { return "sum " + number(a) })
	drop(wasmill.Process(in, "tally", wasmill.ProcessFunction[string, int64, string]{
		States: []wasmill.State{most, sum},
		Process: func(c *wasmill.Context[string, string], v int64) {
			if v == 0 {
				most.Clear()
				sum.Clear()
			} else {
				most.Add(v)
				sum.Add(v)
			}
			m, _ := most.Get()
			if s, ok := sum.Get(); ok {
				c.Emit("most " + number(m) + ", " + s)
			} else {
				c.Emit("nothing")
			}
		},
	}).UID("tally"))
}

// rules keeps how often each text was broadcast: "-x" forgets x, "clear" all of them. It says of other texts how often that was, and
// for "all" of each that there is.
func rules(job *wasmill.Env, in *wasmill.KeyedStream[string, string], broadcast *wasmill.Stream[string]) {
	known := wasmill.NewBroadcastState[string, int64](job, "known")
	drop(wasmill.ProcessBroadcast(in, broadcast, "rules", wasmill.BroadcastFunction[string, string, string, string]{
		States: []wasmill.State{known},
		Process: func(c *wasmill.Context[string, string], s string) {
			if s == "all" {
				for k, n := range known.All() {
					c.Emit(k + "=" + number(n))
				}
				return
			}
			n, _ := known.Get(s)
			c.Emit(s + "=" + number(n))
		},
		Broadcast: func(c *wasmill.StreamContext[string], s string) {
			switch {
			case s == "clear":
				known.Clear()
			case s[0] == '-':
				known.Delete(s[1:])
			default:
				n, _ := known.Get(s)
				known.Put(s, n+1)
			}
			c.Emit("heard " + s)
		},
	}).UID("rules"))
}

// roster holds texts back, those that begin with + in a list that all begin with. It puts them out when it begins, and for "list"; "clear"
// removes those of the first list.
func roster(job *wasmill.Env, in *wasmill.Stream[string]) {
	held, known := wasmill.NewOperatorListState[string](job, "held"), wasmill.NewUnionListState[string](job, "known")
	all := func(c *wasmill.StreamContext[string]) {
		for _, s := range slices.Concat(slices.Collect(held.All()), slices.Collect(known.All())) {
			c.Emit(s)
		}
	}
	drop(wasmill.ProcessStream(in, "roster", wasmill.StreamFunction[string, string]{
		States: []wasmill.State{held, known},
		Begin:  all,
		Process: func(c *wasmill.StreamContext[string], s string) {
			switch {
			case s == "list":
				all(c)
			case s == "clear":
				held.Clear()
			case s[0] == '+':
				known.Add(s)
			default:
				held.Add(s)
			}
		},
	}).UID("roster"))
}
