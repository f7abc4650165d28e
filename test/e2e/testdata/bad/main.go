// Bad is a job that is wrong in the way that the parameter what says. Each must be told of before it runs, or at its first records.
// Two are not wrong: global counts, and offset has windows that begin before the multiples of their size.
package main

import (
	"strconv"
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

type (
	keyed = func() *wasmill.KeyedStream[string, string]
	lines = *wasmill.Stream[string]
)

type pair struct{ Word, Other string }

var asked int

func whole(line string) string { return line }

func nothing(*wasmill.Context[string, string], string) {}

// wrongs add operators behind lines, or behind the lines by key.
var wrongs = map[string]func(job *wasmill.Env, all lines, by keyed){
	"uid":    func(_ *wasmill.Env, _ lines, by keyed) { by().Count().SinkTo(wasmill.Blackhole()) },
	"window": func(_ *wasmill.Env, _ lines, by keyed) { counted(by().Window(wasmill.Tumbling(-5 * time.Millisecond))) },
	"slide": func(_ *wasmill.Env, _ lines, by keyed) {
		counted(by().Window(wasmill.Sliding(time.Second, time.Minute)))
	},
	"gap": func(_ *wasmill.Env, _ lines, by keyed) { counted(by().Window(wasmill.Session(0))) },
	"records": func(_ *wasmill.Env, _ lines, by keyed) {
		by().CountWindow(0).Count().UID("c").SinkTo(wasmill.Blackhole())
	},
	"fraction": func(_ *wasmill.Env, _ lines, by keyed) {
		counted(by().Window(wasmill.Tumbling(1500 * time.Microsecond)))
	},
	"trigger": func(_ *wasmill.Env, _ lines, by keyed) { counted(by().Window(wasmill.Global())) },
	"lateness": func(_ *wasmill.Env, _ lines, by keyed) {
		counted(by().Window(wasmill.Tumbling(time.Second)).AllowedLateness(-time.Second))
	},
	"bounds": func(_ *wasmill.Env, _ lines, by keyed) {
		words := by()
		wasmill.IntervalJoin(words, words).Between(time.Second, -time.Second).Pairs().Name("near").UID("j").SinkTo(wasmill.Blackhole())
	},
	"unbounded": func(_ *wasmill.Env, _ lines, by keyed) {
		words := by()
		wasmill.IntervalJoin(words, words).Pairs().UID("j").SinkTo(wasmill.Blackhole())
	},
	"unwindowed": func(_ *wasmill.Env, _ lines, by keyed) {
		words := by()
		wasmill.Join(words, words).Pairs().UID("j").SinkTo(wasmill.Blackhole())
	},
	"alltime": func(_ *wasmill.Env, _ lines, by keyed) {
		words := by()
		wasmill.Join(words, words).AllTime().AllowedLateness(time.Second).Pairs().Name("all").UID("j").SinkTo(wasmill.Blackhole())
	},
	"codec": func(_ *wasmill.Env, _ lines, by keyed) { by().Sum().UID("sum").SinkTo(wasmill.Blackhole()) },
	"rows": func(_ *wasmill.Env, _ lines, by keyed) {
		wasmill.Aggregates[pair](by(), wasmill.CountAll()).Name("rows").UID("rows").SinkTo(wasmill.Blackhole())
	},
	"state": func(job *wasmill.Env, all lines, _ keyed) {
		last := wasmill.NewValueState[string](job, "last")
		wasmill.ProcessStream(all, "states", wasmill.StreamFunction[string, string]{States: []wasmill.State{last}, Process: func(*wasmill.StreamContext[string], string) { last.Set("x") }}).
			UID("states").SinkTo(wasmill.Blackhole())
	},
	"ttl": func(job *wasmill.Env, _ lines, by keyed) {
		last := wasmill.NewValueState[string](job, "last").TTL(500 * time.Microsecond)
		wasmill.Process(by(), "forgets", wasmill.ProcessFunction[string, string, string]{States: []wasmill.State{last}, Process: nothing}).UID("f").SinkTo(wasmill.Blackhole())
	},
	"timer": func(_ *wasmill.Env, _ lines, by keyed) {
		alarm := func(c *wasmill.Context[string, string], _ string) { c.SetTimer(0) }
		wasmill.Process(by(), "alarm", wasmill.ProcessFunction[string, string, string]{Process: alarm}).UID("a").SinkTo(wasmill.Blackhole())
	},
	"key": func(_ *wasmill.Env, all lines, _ keyed) {
		fickle := func(string) string { asked++; return strconv.Itoa(asked) }
		wasmill.KeyBy(all, "fickle", fickle).Count().UID("c").SinkTo(wasmill.Blackhole())
	},
	"endless": func(job *wasmill.Env, all lines, _ keyed) {
		all.SinkTo(wasmill.Blackhole())
		counted(wasmill.KeyBy(wasmill.Source(job, wasmill.Generator()), "whose", whole).Window(wasmill.FullWindow()))
	},
	"global": func(job *wasmill.Env, _ lines, by keyed) {
		by().Window(wasmill.Global()).Trigger(wasmill.AtCount(2)).Purging().Count().UID("g").SinkTo(wasmill.FileSink(job.ParamOr("output", "")))
	},
	"offset": func(job *wasmill.Env, _ lines, by keyed) {
		by().Window(wasmill.Tumbling(24 * time.Hour).Offset(-8 * time.Hour)).Count().UID("o").SinkTo(wasmill.FileSink(job.ParamOr("output", "")))
	},
}

func counted(w *wasmill.WindowedStream[string, string]) {
	w.Count().Name("counts").UID("c").SinkTo(wasmill.Blackhole())
}

func init() {
	wasmill.Job("bad", func(job *wasmill.Env) {
		read := wasmill.Source(job, wasmill.Files(job.Param("input")))
		all := wasmill.AssignTimestamps(read, "times", func(line string) int64 { return 3_600_000 * int64(len(line)) }, 0)
		by := func() *wasmill.KeyedStream[string, string] { return wasmill.KeyBy(all, "whose", whole) }
		what := job.Param("what")
		job.ParamOr("output", "", "directory to write, of those that are not wrong")
		if wrong := wrongs[what]; wrong != nil {
			wrong(job, all, by)
		} else if what != "" { // as it is at upload
			job.Fail("parameter \"what\": " + strconv.Quote(what))
		}
	})
}

func main() {}
