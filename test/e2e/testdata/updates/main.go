// Updates adds up values in windows whose results change, as test/guests/updates.c does with by=sum and by=lines.
package main

import (
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

type total struct {
	Start wasmill.Millis
	Key   string
	Value int64
}

func number(line string, field int) int64 {
	n, err := strconv.ParseInt(strings.Split(line, ",")[field], 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func plus(a, b int64) int64 { return a + b }

func add(c *wasmill.WindowContext[string, total], values iter.Seq[int64]) {
	sum := int64(0)
	for v := range values {
		sum += v
	}
	c.Emit(total{wasmill.Millis(c.Window().Start), c.Key(), sum})
}

func init() {
	wasmill.Job("updates", func(job *wasmill.Env) {
		ms := func(name string, value int64) time.Duration {
			return time.Duration(job.ParamIntOr(name, value)) * time.Millisecond
		}
		timed := wasmill.AssignTimestamps(wasmill.Source(job, wasmill.Files(job.Param("input"))), "time", func(line string) int64 { return number(line, 1) }, 0)
		values := wasmill.KeyValueBy(timed, "key", func(line string) (string, int64) {
			key, _, _ := strings.Cut(line, ",")
			return key, number(line, 2)
		})
		size := ms("window", 1000)
		cut := map[string]wasmill.TimeWindow{"tumbling": wasmill.Tumbling(size), "sliding": wasmill.Sliding(size, size/2), "session": wasmill.Session(size), "global": wasmill.Global()}
		kind := job.ParamOr("kind", "tumbling")
		windows := values.Window(cut[kind])
		if lateness := ms("lateness", 0); kind != "global" {
			windows = windows.AllowedLateness(lateness)
		}
		switch every := job.ParamIntOr("every", 100); job.ParamOr("trigger", "none") {
		case "continuousEventTime":
			windows = windows.Trigger(wasmill.EveryEventTime(time.Duration(every) * time.Millisecond))
		case "count":
			windows = windows.Trigger(wasmill.AtCount(int(every)))
		}
		if n := job.ParamIntOr("newest", 0); n > 0 {
			windows = windows.EvictCount(int(n))
		}
		to := wasmill.FileSink(job.Param("output")).JSON()
		if job.ParamOr("updates", "final") == "all" {
			to = to.AllUpdates()
		}
		if job.ParamOr("by", "sum") == "lines" {
			f := wasmill.WindowFunction[string, int64, total]{Process: add}
			wasmill.ProcessWindow(windows, "lines", f).UID("results").SinkTo(to)
			return
		}
		sum := wasmill.Aggregator[int64, int64, int64]{Create: func() int64 { return 0 }, Add: plus, Merge: plus, Result: func(n int64) int64 { return n }}
		wasmill.AggregateWindow(windows, "sum", sum).UID("results").SinkTo(to.Columns("start", "key", "value"))
	})
}

func main() {}
