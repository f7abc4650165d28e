// Rows reads rows into structs, writes them again as they are, and counts them by name and minute, as test/guests/formats.c does.
package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

type order struct {
	ID    int64
	Name  string
	Price *wasmill.Decimal `row:"price,decimal(12, 2)"`
	At    *wasmill.Millis
	Tags  *[]*string
}

func init() {
	wasmill.Job("rows", func(job *wasmill.Env) {
		output := job.Param("output")
		orders := wasmill.Source(job, wasmill.JSONFiles[order](job.Param("input")).Timestamps(5*time.Second, "at")).OnTrap(wasmill.Skip)
		wasmill.Map(orders, "same", func(o order) order { return o }).SinkTo(wasmill.FileSink(output + "/copies").JSON())
		wasmill.KeyBy(orders, "name", func(o order) string { return o.Name }).Window(wasmill.Tumbling(time.Minute)).
			Count().UID("counts").SinkTo(wasmill.FileSink(output + "/counts").JSON())
	})
}

func main() {}
