package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

// abandoned finds the clicks after which the user orders nothing for an hour: two inputs, state, and timers.
func abandoned(from shop, to *wasmill.FilesSink) {
	hour := time.Hour.Milliseconds()
	clicked := wasmill.NewMapState[int64, string](from.job, "clicked") // items, by the time at which they are given up
	ordered := wasmill.NewMapState[int64, int64](from.job, "ordered")  // amounts, by time
	clicks := wasmill.KeyBy(from.clicks(), "who clicks", func(c Click) string { return c.User })
	orders := wasmill.KeyBy(from.orders(), "who orders", func(o Order) string { return o.User })
	wasmill.CoProcess(clicks, orders, "abandoned", wasmill.CoProcessFunction[string, Click, Order, string]{
		States: []wasmill.State{clicked, ordered},
		Process1: func(c *wasmill.Context[string, string], click Click) {
			clicked.Put(c.Timestamp()+hour, click.Item)
			c.SetTimer(c.Timestamp() + hour)
		},
		Process2: func(c *wasmill.Context[string, string], order Order) {
			ordered.Put(c.Timestamp(), order.Amount)
			c.SetTimer(c.Timestamp() + hour)
		},
		Timer: func(c *wasmill.Context[string, string], t wasmill.Timer) {
			bought := false
			for at := range ordered.All() {
				bought = bought || at > t.Time-hour && at <= t.Time
			}
			if item, ok := clicked.Get(t.Time); ok && !bought {
				c.Emit(c.Key() + " left " + item)
			}
			clicked.Delete(t.Time)
			ordered.Delete(t.Time - hour)
		},
	}).UID("abandoned").
		SinkTo(to)
}
