// Conformance is the guest that abi/conformance runs its scenarios against, in Go. Every SDK has one, with the same
// functions under the same names.
package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() { wasmill.Job("conformance", define) }

func main() {}

func define(job *wasmill.Env) {
	prefix := job.Param("prefix", "what greet puts before a text")
	suffix := job.ParamOr("suffix", "!", "what greet puts behind a text")
	times := job.ParamIntOr("times", 2, "how often repeat emits a text")
	if times < 0 {
		job.Fail("times is negative")
	}

	texts := wasmill.Source(job, wasmill.Files("texts").OffsetTimestamps())
	drop(wasmill.Map(texts, "upper", upper))
	drop(wasmill.Map(texts, "greet", func(s string) string { return prefix + s + suffix }))
	drop(wasmill.Map(texts, "picky", picky))
	drop(wasmill.Filter(texts, "not-empty", func(s string) bool { return s != "" }))
	drop(wasmill.FlatMap(texts, "repeat", func(s string, emit func(string)) {
		for range times {
			emit(s)
		}
	}))
	drop(wasmill.AssignTimestamps(texts, "timed", length, 5*time.Millisecond))
	words := wasmill.FlatMap(texts, "words", split)
	lengths := wasmill.Map(texts, "length", length)
	drop(wasmill.FlatMap(lengths, "count-to", countTo))
	halves := wasmill.Map(lengths, "half", func(n int64) float64 { return float64(n) / 2 })

	byHalf := wasmill.KeyBy(halves, "by-half", func(v float64) float64 { return v })
	byLength := wasmill.KeyBy(texts, "by-length", length)
	byText := wasmill.KeyBy(words, "by-text", func(s string) string { return s })
	byWord := wasmill.KeyValueBy(words, "word-and-length", func(s string) (string, int64) { return s, length(s) })
	second := wasmill.Tumbling(time.Second)

	drop(byLength.Count().UID("count"))
	drop(byLength.Window(second).Count().UID("count-by-window"))
	drop(byHalf.Sum().UID("sum-of-halves"))
	drop(byHalf.Reduce("sum-by-half", func(a, b float64) float64 { return a + b }).UID("sum-by-half"))
	drop(byLength.Reduce("concat-by-length", concat).UID("concat-by-length"))
	sums := byWord.Reduce("sum", add).UID("sum")
	drop(wasmill.Map(sums, "show", show))
	windowed := byWord.Window(second).Reduce("sum-by-window", add).UID("sum-by-window")
	drop(wasmill.Map(windowed, "show-window", showWindow))
	drop(wasmill.ReduceTo(byText, "concat", concat, func(key, all string) string { return key + "=" + all }).UID("concat"))
	drop(wasmill.ReduceWindowTo(byText.Window(second), "concat-by-window", concat, showAll).UID("concat-by-window"))
	drop(wasmill.Aggregate(byWord, "mean", mean).UID("mean"))
	drop(wasmill.AggregateWindow(byWord.Window(second), "mean-by-window", mean).UID("mean-by-window"))
}

func drop[T any](s *wasmill.Stream[T]) { s.SinkTo(wasmill.Blackhole()) }

// upper is ASCII only: other bytes stay as they are, UTF-8 or not.
func upper(s string) string {
	p := []byte(s)
	for i, c := range p {
		if 'a' <= c && c <= 'z' {
			p[i] = c - 'a' + 'A'
		}
	}
	return string(p)
}

func picky(s string) string {
	wasmill.CounterAdd("texts", 1)
	if s == "bad" {
		panic("a bad text")
	}
	if s == "odd" {
		wasmill.Log(wasmill.LevelWarn, "an odd text")
		wasmill.GaugeSet("odd", 7)
	}
	return s
}

// split emits what stands between spaces.
func split(s string, emit func(string)) {
	for s != "" {
		word, rest, _ := strings.Cut(s, " ")
		if word != "" {
			emit(word)
		}
		s = rest
	}
}

func length(s string) int64 { return int64(len(s)) }

func countTo(n int64, emit func(int64)) {
	for i := int64(1); i <= n; i++ {
		emit(i)
	}
}

func add(a, b int64) int64 { return a + b }

// concat keeps the order, so that a test sees it.
func concat(a, b string) string {
	if b == "bad" {
		panic("a bad value")
	}
	return a + "," + b
}

func show(r wasmill.KeyValue[string, int64]) string {
	return r.Key + "=" + strconv.FormatInt(r.Value, 10)
}

func showWindow(r wasmill.Windowed[string, int64]) string {
	return interval(r.Window) + r.Key + "=" + strconv.FormatInt(r.Value, 10)
}

func showAll(w wasmill.Window, key, all string) string { return interval(w) + key + "=" + all }

func interval(w wasmill.Window) string {
	return strconv.FormatInt(w.Start, 10) + ".." + strconv.FormatInt(w.End, 10) + " "
}

// total is the accumulator of mean: a sum and how many values it has.
type total = wasmill.KeyValue[int64, int64]

var mean = wasmill.Aggregator[int64, total, float64]{
	Create: func() total { return total{} },
	Add:    func(t total, v int64) total { return total{Key: t.Key + v, Value: t.Value + 1} },
	Merge:  func(a, b total) total { return total{Key: a.Key + b.Key, Value: a.Value + b.Value} },
	Result: func(t total) float64 { return float64(t.Key) / float64(t.Value) },
}
