package main

import (
	"fmt"
	"iter"
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

// converted counts, for each item and hour, the clicks and the orders, where there was either.
func converted(from shop, to *wasmill.FilesSink) {
	clicks := wasmill.KeyBy(from.clicks(), "clicked", func(c Click) string { return c.Item })
	orders := wasmill.KeyBy(from.orders(), "ordered", func(o Order) string { return o.Item })
	hours := wasmill.Join(clicks, orders).Window(wasmill.Tumbling(time.Hour))
	wasmill.CoGroup(hours, "converted", func(c *wasmill.WindowJoinContext[string, string], clicks iter.Seq[Click], orders iter.Seq[Order]) {
		clicked, ordered := 0, 0
		for range clicks {
			clicked++
		}
		for range orders {
			ordered++
		}
		c.Emit(fmt.Sprintf("%d %s: %d of %d", c.Window().Start, c.Key(), ordered, clicked))
	}).UID("converted").
		SinkTo(to)
}
