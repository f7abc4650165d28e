package nexmark

import (
	"fmt"
	"time"
)

// Parameters say which events there are. The zero value is of no use: begin with Standard.
type Parameters struct {
	Seed   uint64
	Events uint64 // 0: without end

	Start      time.Time     // of event 0
	Rate       uint64        // events a second of event time
	NextRate   uint64        // in the second half of each period; 0: the same
	RatePeriod time.Duration // of the change between the two rates

	PersonProportion, AuctionProportion, BidProportion uint64 // of so many events in turn

	HotAuctionRatio, HotSellersRatio, HotBiddersRatio uint64 // one in so many is not a hot one
	InFlightAuctions                                  uint64 // bids go to one of so many newest auctions
	ActivePeople                                      uint64 // sellers and bidders are of so many newest people

	PersonSize, AuctionSize, BidSize uint64 // nominal bytes of an event: extra fills it up

	OutOfOrderGroup uint64        // so many events follow each other in a mixed-up order; 1: in order
	OutOfOrder      time.Duration // the same by time: no event comes so long after one that is younger; 0: in order
}

// Standard are the parameters of the benchmark's definition.
func Standard() Parameters {
	return Parameters{
		Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Rate: 10_000, RatePeriod: 10 * time.Minute,
		PersonProportion: 1, AuctionProportion: 3, BidProportion: 46,
		HotAuctionRatio: 2, HotSellersRatio: 4, HotBiddersRatio: 4, InFlightAuctions: 100, ActivePeople: 1000,
		PersonSize: 200, AuctionSize: 500, BidSize: 100,
		OutOfOrderGroup: 1,
	}
}

// The ids of the definition.
const (
	firstPerson   = 1000
	firstAuction  = 1000
	firstCategory = 10
	categories    = 5
	hotEvery      = 100 // among so many people or auctions one is hot
	lead          = 10  // ids may be so far ahead of what exists
	channels      = 10_000
)

// Bounds keep sums and products of event numbers and times far from where they would overflow.
const (
	maxEvents     = 1 << 50
	maxRate       = 1_000_000_000
	maxProportion = 1_000_000
	maxSize       = 1 << 20
	maxOutOfOrder = time.Hour
	maxPeriod     = 24 * time.Hour
	maxGroup      = 1 << 30
)

// Check refuses parameters that make no events.
func (p *Parameters) Check() error {
	for _, o := range Options {
		if err := o.check(p); err != nil {
			return err
		}
	}
	if p.OutOfOrderGroup > 1 && p.OutOfOrder > 0 {
		return fmt.Errorf("out-of-order: %v beside out-of-order-group %d (expected one of the two)", p.OutOfOrder, p.OutOfOrderGroup)
	}
	if p.OutOfOrderGroup%stride == 0 {
		return fmt.Errorf("out-of-order-group: %d (expected no multiple of %d, by which events are mixed up)", p.OutOfOrderGroup, stride)
	}
	if g := p.inTime(); g > maxGroup {
		return fmt.Errorf("out-of-order: %v is %d events (expected <= %d)", p.OutOfOrder, g, maxGroup)
	}
	if last := newTimeline(p).at(max(p.Events, 1) - 1); last > latest {
		return fmt.Errorf("events: %d at %d a second last until after the year 9000 (expected fewer, or more a second)", p.Events, p.Rate)
	}
	return nil
}
