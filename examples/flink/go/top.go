package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

type sold struct {
	Start, End wasmill.Millis
	Item       string
	Amount     int64
}

type hour struct{ Start wasmill.Millis }

type ranked struct {
	Start wasmill.Millis
	Rank  int64
	Sold  sold
}

// top is the three items of the most revenue in each hour.
func top(from shop, to *wasmill.FilesSink) {
	hours := wasmill.KeyByFields[string](from.orders(), "item", "item").Window(wasmill.Tumbling(time.Hour))
	items := wasmill.AggregatesWindow[sold](hours, wasmill.Field("amount").Sum().As("amount")).Name("sold").UID("sold")
	wasmill.Aggregates[ranked](wasmill.KeyByFields[hour](items, "hour", "start"), wasmill.Field("amount").Top(3).As("sold")).
		Name("top").UID("top").
		SinkTo(to.JSON())
}
