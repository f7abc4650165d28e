package main

import "github.com/wasmill/wasmill/guest-sdk/go/wasmill"

type Item struct{ Item, Category string }

// categories says of each order the category of its item, from a table of which every subtask has a copy. An order waits until
// event time says that the table has been read.
func categories(from shop, to *wasmill.FilesSink) {
	table := wasmill.NewBroadcastState[string, string](from.job, "table")
	waiting := wasmill.NewListState[Order](from.job, "waiting")
	orders := wasmill.KeyBy(from.orders(), "user", func(o Order) string { return o.User })
	wasmill.ProcessBroadcast(orders, from.items(), "categories", wasmill.BroadcastFunction[string, Order, Item, string]{
		States: []wasmill.State{table, waiting},
		Process: func(c *wasmill.Context[string, string], o Order) {
			waiting.Add(o)
			c.SetTimer(c.Timestamp())
		},
		Timer: func(c *wasmill.Context[string, string], t wasmill.Timer) {
			for o := range waiting.All() {
				category, _ := table.Get(o.Item)
				c.Emit(o.User + " " + o.Item + " " + category)
			}
			waiting.Clear()
		},
		Broadcast: func(c *wasmill.StreamContext[string], i Item) { table.Put(i.Item, i.Category) },
	}).UID("categories").
		SinkTo(to)
}
