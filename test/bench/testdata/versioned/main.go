// Versioned counts the letters that a generator makes, and says which version of itself has done so: key,n,version for each.
package main

import (
	"strconv"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() { wasmill.Job("versioned", define) }

func define(job *wasmill.Env) {
	version := job.ParamOr("version", "1", "what this module is called")
	sink := wasmill.FileSink(job.Param("output", "directory to write"))
	letters := wasmill.Map(wasmill.Source(job, wasmill.Generator().Size(1)), "make", func(s string) string { return s })
	count := wasmill.NewValueState[int64](job, "count")
	var line []byte
	counted := wasmill.Process(wasmill.KeyBy(letters, "by-key", func(s string) string { return s }), "count", wasmill.ProcessFunction[string, string, string]{
		States: []wasmill.State{count},
		Process: func(c *wasmill.Context[string, string], _ string) {
			n := count.GetOr(0) + 1
			count.Set(n)
			line = append(append(line[:0], c.Key()...), ',')
			line = append(strconv.AppendInt(line, n, 10), ',')
			c.Emit(string(append(line, version...)))
		},
	})
	counted.UID("count").SinkTo(sink)
}

func main() {}
