package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

// first keeps the first order of each user in a day.
func first(from shop, to *wasmill.FilesSink) {
	seen := wasmill.NewValueState[int64](from.job, "seen").TTL(24 * time.Hour) // the last day with an order
	users := wasmill.KeyBy(from.orders(), "user", func(o Order) string { return o.User })
	wasmill.Process(users, "first", wasmill.ProcessFunction[string, Order, string]{
		States: []wasmill.State{seen},
		Process: func(c *wasmill.Context[string, string], o Order) {
			day := c.Timestamp() / (24 * time.Hour).Milliseconds()
			if last, ok := seen.Get(); !ok || last < day {
				seen.Set(day)
				c.Emit(o.User + " " + o.Item)
			}
		},
	}).UID("first").
		SinkTo(to)
}
