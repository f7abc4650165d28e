// Joins finds the clicks that followed an impression within ten seconds: an interval join of two files. A line of either is
// "user,milliseconds,text".
package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() {
	wasmill.Job("joins", func(job *wasmill.Env) {
		impressions := byUser(job, "impressions")
		clicks := byUser(job, "clicks")
		late := wasmill.NewSide[string](job, "late-clicks")

		near := wasmill.IntervalJoin(impressions, clicks).Between(0, 10*time.Second).LateRight(late)
		followed := wasmill.ProcessJoined(near, "followed", func(c *wasmill.JoinContext[string, string], impression, click string) {
			c.Emit(line(c.Key(), field(impression, 2), field(click, 2), c.RightTimestamp()-c.LeftTimestamp()))
		}).UID("followed")

		output := job.Param("output", "directory to write")
		followed.SinkTo(wasmill.FileSink(output))
		late.Stream().SinkTo(wasmill.FileSink(output + "-late"))
	})
}

// byUser reads the lines of the files that a parameter names, by user. They may be up to a second behind each other.
func byUser(job *wasmill.Env, name string) *wasmill.KeyedStream[string, string] {
	lines := wasmill.Source(job, wasmill.Files(job.Param(name, "file or glob to read"))).Name(name)
	timed := wasmill.AssignTimestamps(lines, name+"-time", timeOf, time.Second)
	return wasmill.KeyBy(timed, name+"-user", func(line string) string { return field(line, 0) })
}

func timeOf(line string) int64 {
	t, err := strconv.ParseInt(field(line, 1), 10, 64)
	if err != nil {
		panic("time of line " + strconv.Quote(line) + " (expected milliseconds)")
	}
	return t
}

// field is one of a line's, the last with all that follows.
func field(line string, i int) string {
	fields := strings.SplitN(line, ",", 3)
	if i >= len(fields) {
		panic("line " + strconv.Quote(line) + " (expected user,milliseconds,text)")
	}
	return fields[i]
}

func line(user, impression, click string, after int64) string {
	return user + "," + impression + "," + click + "," + strconv.FormatInt(after, 10)
}

func main() {}
