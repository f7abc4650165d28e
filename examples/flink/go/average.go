package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

type total struct{ Sum, N int64 }

// average is what an item was sold for, on average, in the hour before each five minutes.
func average(from shop, to *wasmill.FilesSink) {
	items := wasmill.KeyValueBy(from.orders(), "item", func(o Order) (string, int64) { return o.Item, o.Amount })
	wasmill.AggregateWindow(items.Window(wasmill.Sliding(time.Hour, 5*time.Minute)), "average", wasmill.Aggregator[int64, total, float64]{
		Create: func() total { return total{} },
		Add:    func(t total, amount int64) total { return total{t.Sum + amount, t.N + 1} },
		Merge:  func(a, b total) total { return total{a.Sum + b.Sum, a.N + b.N} },
		Result: func(t total) float64 { return float64(t.Sum) / float64(t.N) },
	}).UID("average").
		SinkTo(to)
}
