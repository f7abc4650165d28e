package reference

import (
	"regexp"
	"strings"
)

// The queries whose rows depend on one bid each.

func q0(e *Events, emit func(Row)) {
	for _, b := range e.Bids {
		emit(Row{b.Auction, b.Bidder, b.Price, b.DateTime, b.Extra})
	}
}

// euro is 0.908 of a price.
func euro(price int64) Thousandths { return Thousandths(908 * price) }

func q1(e *Events, emit func(Row)) {
	for _, b := range e.Bids {
		emit(Row{b.Auction, b.Bidder, euro(b.Price), b.DateTime, b.Extra})
	}
}

func q2(e *Events, emit func(Row)) {
	for _, b := range e.Bids {
		if b.Auction%123 == 0 {
			emit(Row{b.Auction, b.Price})
		}
	}
}

func q10(e *Events, emit func(Row)) {
	for _, b := range e.Bids {
		emit(Row{b.Auction, b.Bidder, b.Price, b.DateTime, b.Extra, b.DateTime.day(), b.DateTime.minute()})
	}
}

func q13(e *Events, emit func(Row)) {
	for _, b := range e.Bids {
		if value, ok := e.Side[b.Auction%10_000]; ok {
			emit(Row{b.Auction, b.Bidder, b.Price, b.DateTime, value})
		}
	}
}

func q14(e *Events, emit func(Row)) {
	for _, b := range e.Bids {
		if p := euro(b.Price); p > 1_000_000_000 && p < 50_000_000_000 {
			emit(Row{b.Auction, b.Bidder, p, timeType(b.DateTime), b.DateTime, b.Extra, int64(strings.Count(b.Extra, "c"))})
		}
	}
}

func timeType(t Time) string {
	switch hour := t.hour(); {
	case hour >= 8 && hour <= 18:
		return "dayTime"
	case hour <= 6 || hour >= 20:
		return "nightTime"
	}
	return "otherTime"
}

var channelID = regexp.MustCompile(`(&|^)channel_id=([^&]*)`)

func q21(e *Events, emit func(Row)) {
	known := map[string]string{"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}
	for _, b := range e.Bids {
		id, ok := known[strings.ToLower(b.Channel)]
		if found := channelID.FindStringSubmatch(b.URL); !ok && found != nil {
			id, ok = found[2], true
		}
		if ok {
			emit(Row{b.Auction, b.Bidder, b.Price, b.Channel, id})
		}
	}
}

func q22(e *Events, emit func(Row)) {
	for _, b := range e.Bids {
		row := Row{b.Auction, b.Bidder, b.Price, b.Channel, nil, nil, nil}
		for i, part := range strings.Split(b.URL, "/") {
			if i >= 3 && i <= 5 {
				row[i+1] = part
			}
		}
		emit(row)
	}
}
