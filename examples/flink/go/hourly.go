package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

// hourly counts the orders of each item by the hour, takes those that come up to five minutes late, and keeps those that come
// later apart.
func hourly(from shop, to *wasmill.FilesSink) {
	late := wasmill.NewSide[Order](from.job, "late")
	wasmill.KeyBy(from.orders(), "item", func(o Order) string { return o.Item }).
		Window(wasmill.Tumbling(time.Hour)).AllowedLateness(5 * time.Minute).Late(late).
		Count().UID("hourly").
		SinkTo(to)
	late.Stream().SinkTo(wasmill.Print())
}
