package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

// attributed finds for each order the clicks of the same user in the quarter of an hour before it.
func attributed(from shop, to *wasmill.FilesSink) {
	clicks := wasmill.KeyBy(from.clicks(), "who clicks", func(c Click) string { return c.User })
	orders := wasmill.KeyBy(from.orders(), "who orders", func(o Order) string { return o.User })
	wasmill.ProcessJoined(wasmill.IntervalJoin(clicks, orders).Between(0, 15*time.Minute), "attributed",
		func(c *wasmill.JoinContext[string, string], click Click, order Order) {
			c.Emit(c.Key() + " ordered " + order.Item + " after " + click.Item)
		}).UID("attributed").
		SinkTo(to)
}
