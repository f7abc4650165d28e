package nexmark

import (
	"fmt"
	"strconv"
	"time"
)

// Option is a parameter as it is written on a command line or in the options of a source.
type Option struct {
	Name, Doc string

	number   func(*Parameters) *uint64
	least    uint64
	most     uint64
	duration func(*Parameters) *time.Duration
	longest  time.Duration
	time     func(*Parameters) *time.Time
}

// Options are all parameters.
var Options = []Option{
	{Name: "events", Doc: "how many events", most: maxEvents, number: func(p *Parameters) *uint64 { return &p.Events }},
	{Name: "seed", Doc: "another seed gives other events", most: 1<<64 - 1, number: func(p *Parameters) *uint64 { return &p.Seed }},
	{Name: "start", Doc: "`TIME` of the first event, RFC 3339", time: func(p *Parameters) *time.Time { return &p.Start }},
	{Name: "rate", Doc: "events a second of event time", least: 1, most: maxRate, number: func(p *Parameters) *uint64 { return &p.Rate }},
	{Name: "next-rate", Doc: "events a second in the second half of each rate-period; 0: the same", most: maxRate, number: func(p *Parameters) *uint64 { return &p.NextRate }},
	{Name: "rate-period", Doc: "in which the two rates take turns", longest: maxPeriod, duration: func(p *Parameters) *time.Duration { return &p.RatePeriod }},
	{Name: "out-of-order", Doc: "how much older an event may be than one that came before it, such as 4s", longest: maxOutOfOrder, duration: func(p *Parameters) *time.Duration { return &p.OutOfOrder }},
	{Name: "out-of-order-group", Doc: "so many events follow each other in a mixed-up order; 1: in order", least: 1, most: maxGroup, number: func(p *Parameters) *uint64 { return &p.OutOfOrderGroup }},
	{Name: "person-proportion", Doc: "people among the events", least: 1, most: maxProportion, number: func(p *Parameters) *uint64 { return &p.PersonProportion }},
	{Name: "auction-proportion", Doc: "auctions among the events", least: 1, most: maxProportion, number: func(p *Parameters) *uint64 { return &p.AuctionProportion }},
	{Name: "bid-proportion", Doc: "bids among the events", most: maxProportion, number: func(p *Parameters) *uint64 { return &p.BidProportion }},
	{Name: "hot-auction-ratio", Doc: "one bid in so many is not for a hot auction", least: 1, most: maxProportion, number: func(p *Parameters) *uint64 { return &p.HotAuctionRatio }},
	{Name: "hot-sellers-ratio", Doc: "one auction in so many is not of a hot seller", least: 1, most: maxProportion, number: func(p *Parameters) *uint64 { return &p.HotSellersRatio }},
	{Name: "hot-bidders-ratio", Doc: "one bid in so many is not of a hot bidder", least: 1, most: maxProportion, number: func(p *Parameters) *uint64 { return &p.HotBiddersRatio }},
	{Name: "in-flight-auctions", Doc: "how many of the newest auctions get bids", least: 1, most: maxProportion, number: func(p *Parameters) *uint64 { return &p.InFlightAuctions }},
	{Name: "active-people", Doc: "how many of the newest people sell and bid", least: 1, most: maxProportion, number: func(p *Parameters) *uint64 { return &p.ActivePeople }},
	{Name: "person-size", Doc: "nominal bytes of a person", most: maxSize, number: func(p *Parameters) *uint64 { return &p.PersonSize }},
	{Name: "auction-size", Doc: "nominal bytes of an auction", most: maxSize, number: func(p *Parameters) *uint64 { return &p.AuctionSize }},
	{Name: "bid-size", Doc: "nominal bytes of a bid", most: maxSize, number: func(p *Parameters) *uint64 { return &p.BidSize }},
}

// Set parses one option by name; known says whether there is one of that name.
func (p *Parameters) Set(name, text string) (known bool, err error) {
	for i := range Options {
		if Options[i].Name == name {
			v := Options[i].Of(p)
			if err := v.Set(text); err != nil {
				return true, fmt.Errorf("%s: %q (%w)", name, text, err)
			}
			return true, nil
		}
	}
	return false, nil
}

// Of is the option's value in p.
func (o *Option) Of(p *Parameters) *Value { return &Value{o, p} }

// Value is an option of some parameters, such as a flag's value.
type Value struct {
	option     *Option
	parameters *Parameters
}

func (v *Value) String() string {
	if v.option == nil { // flags ask a zero value what it is
		return ""
	}
	switch o := v.option; {
	case o.number != nil:
		return strconv.FormatUint(*o.number(v.parameters), 10)
	case o.duration != nil:
		return o.duration(v.parameters).String()
	default:
		return o.time(v.parameters).Format(time.RFC3339Nano)
	}
}

// Set parses text. Its error says what was expected.
func (v *Value) Set(text string) error {
	o, p := v.option, v.parameters
	switch {
	case o.number != nil:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return o.expected()
		}
		*o.number(p) = n
	case o.duration != nil:
		d, err := time.ParseDuration(text)
		if err != nil {
			return o.expected()
		}
		*o.duration(p) = d
	default:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return o.expected()
		}
		*o.time(p) = t
	}
	if o.outOfBounds(p) {
		return o.expected()
	}
	return nil
}

// Type is what help calls the value.
func (v *Value) Type() string {
	switch {
	case v.option.number != nil:
		return "N"
	case v.option.duration != nil:
		return "DURATION"
	}
	return "TIME"
}

func (o *Option) check(p *Parameters) error {
	if !o.outOfBounds(p) {
		return nil
	}
	return fmt.Errorf("%s: %s (%w)", o.Name, o.Of(p), o.expected())
}

func (o *Option) outOfBounds(p *Parameters) bool {
	switch {
	case o.number != nil:
		return *o.number(p) < o.least || *o.number(p) > o.most
	case o.duration != nil:
		d := *o.duration(p)
		return d < 0 || d > o.longest || d%time.Millisecond != 0 || o.Name == "rate-period" && d < 2*time.Second
	}
	t := *o.time(p)
	return t.Year() < 1970 || t.Year() > 9000 || t.Nanosecond()%int(time.Millisecond) != 0
}

func (o *Option) expected() error {
	switch {
	case o.number != nil:
		return fmt.Errorf("expected a whole number, %d <= n <= %d", o.least, o.most)
	case o.Name == "rate-period":
		return fmt.Errorf("expected whole milliseconds, 2s <= d <= %v", o.longest)
	case o.duration != nil:
		return fmt.Errorf("expected whole milliseconds, 0s <= d <= %v, such as 4s or 1500ms", o.longest)
	}
	return fmt.Errorf("expected a time of whole milliseconds in 1970 to 9000, such as 2026-01-01T23:50:00Z")
}
