// Flink is ten jobs that Flink's users know, a file each; docs/flink.md has each beside the same in Java. A parameter says which
// of them to run. They read orders and clicks of a shop, as CSV.
package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

type Order struct {
	User, Item string
	Amount     int64 // cents
	At         wasmill.Millis
}

type Click struct {
	User, Item string
	At         wasmill.Millis
}

// shop is where a job has its input from.
type shop struct {
	job  *wasmill.Env
	data string
}

func (s shop) orders() *wasmill.Stream[Order] {
	return wasmill.Source(s.job, wasmill.CSVFiles[Order](s.data+"/orders.csv").Header().Timestamps(time.Minute, "at")).Name("orders")
}

func (s shop) clicks() *wasmill.Stream[Click] {
	return wasmill.Source(s.job, wasmill.CSVFiles[Click](s.data+"/clicks.csv").Header().Timestamps(time.Minute, "at")).Name("clicks")
}

func (s shop) items() *wasmill.Stream[Item] {
	return wasmill.Source(s.job, wasmill.CSVFiles[Item](s.data+"/items.csv").Header()).Name("items")
}

var jobs = map[string]func(from shop, to *wasmill.FilesSink){
	"revenue":    revenue,
	"hourly":     hourly,
	"average":    average,
	"sessions":   sessions,
	"abandoned":  abandoned,
	"attributed": attributed,
	"first":      first,
	"top":        top,
	"converted":  converted,
	"categories": categories,
}

func init() {
	wasmill.Job("flink", func(job *wasmill.Env) {
		name := job.Param("job", "which one to run")
		from := shop{job, job.Param("data", "directory with orders.csv, clicks.csv and items.csv")}
		define, ok := jobs[name]
		if !ok && name != "" {
			job.Fail("job " + name + " (expected one of those in docs/flink.md)")
		}
		if ok {
			define(from, wasmill.FileSink(job.Param("output", "directory to write")))
		}
	})
}

func main() {}
