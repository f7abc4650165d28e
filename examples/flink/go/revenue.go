package main

import "github.com/wasmill/wasmill/guest-sdk/go/wasmill"

// revenue is the running revenue of each item.
func revenue(from shop, to *wasmill.FilesSink) {
	wasmill.KeyValueBy(from.orders(), "item", func(o Order) (string, int64) { return o.Item, o.Amount }).
		Sum().UID("revenue").
		SinkTo(to)
}
