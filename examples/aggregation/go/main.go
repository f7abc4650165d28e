// Aggregation: statistics of the bids for each auction in windows, and the best bids of each, computed by the host from the
// fields of rows. No record enters this module.
package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

type bid struct {
	Auction, Bidder, Price int64
	DateTime               wasmill.Millis
}

type statistics struct {
	Start, End                wasmill.Millis
	Auction                   int64
	Bids, Lowest, Mean, Large int64
	Bidders                   int64
}

type ranked struct {
	Auction, Rank int64
	Bid           bid
}

func init() {
	wasmill.Job("aggregation", func(job *wasmill.Env) {
		output := job.Param("output", "directory to write")
		events := job.ParamOr("events", "100000", "how many there are, of which 92 of 100 are bids")
		bids := wasmill.Source(job, wasmill.Nexmark[bid]("bid", 4*time.Second).With("events", events))
		price := wasmill.Field("price")
		auctions := wasmill.KeyByFields[int64](bids.Where("not for nothing", price.Gt(0)), "auction", "auction")
		minutes := auctions.Window(wasmill.Tumbling(time.Minute))
		wasmill.AggregatesWindow[statistics](minutes, wasmill.CountAll(), price.Min(), price.Avg(),
			wasmill.CountAll().Filter(price.Ge(10_000_000)).As("large"), wasmill.Field("bidder").CountDistinct()).
			Name("statistics").UID("statistics").SinkTo(wasmill.FileSink(output + "/statistics").JSON())
		wasmill.Aggregates[ranked](auctions, price.Top(3).As("bid")).
			Name("best").UID("best").SinkTo(wasmill.FileSink(output + "/best").JSON()).Name("best files")
	})
}

func main() {}
