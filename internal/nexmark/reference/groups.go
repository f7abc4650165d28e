package reference

import "slices"

// The queries that keep a value or a few for each group of bids.

// statistics are those of q15 and q16: of all bids, then of those of each price rank.
type statistics struct {
	minute   string // the latest
	bids     [4]int64
	bidders  [4]map[int64]bool
	auctions [4]map[int64]bool
}

// rank is 1 to 3 by price.
func rank(price int64) int {
	switch {
	case price < 10_000:
		return 1
	case price < 1_000_000:
		return 2
	}
	return 3
}

func (s *statistics) add(b *Bid) {
	s.minute = max(s.minute, b.DateTime.minute())
	for _, i := range []int{0, rank(b.Price)} {
		s.bids[i]++
		if s.bidders[i] == nil {
			s.bidders[i], s.auctions[i] = map[int64]bool{}, map[int64]bool{}
		}
		s.bidders[i][b.Bidder] = true
		s.auctions[i][b.Auction] = true
	}
}

// columns are the twelve of the statistics, behind others.
func (s *statistics) columns(row Row) Row {
	for _, n := range s.bids {
		row = append(row, n)
	}
	for _, distinct := range s.bidders {
		row = append(row, int64(len(distinct)))
	}
	for _, distinct := range s.auctions {
		row = append(row, int64(len(distinct)))
	}
	return row
}

func q15(e *Events, emit func(Row)) {
	days := map[string]*statistics{}
	for i := range e.Bids {
		day := e.Bids[i].DateTime.day()
		if days[day] == nil {
			days[day] = &statistics{}
		}
		days[day].add(&e.Bids[i])
	}
	for day, s := range days {
		emit(s.columns(Row{day}))
	}
}

func q16(e *Events, emit func(Row)) {
	type group struct{ channel, day string }
	groups := map[group]*statistics{}
	for i := range e.Bids {
		b := &e.Bids[i]
		k := group{b.Channel, b.DateTime.day()}
		if groups[k] == nil {
			groups[k] = &statistics{}
		}
		groups[k].add(b)
	}
	for k, s := range groups {
		emit(s.columns(Row{k.channel, k.day, s.minute}))
	}
}

func q17(e *Events, emit func(Row)) {
	type group struct {
		auction int64
		day     string
	}
	prices := map[group][]int64{}
	for _, b := range e.Bids {
		k := group{b.Auction, b.DateTime.day()}
		prices[k] = append(prices[k], b.Price)
	}
	for k, all := range prices {
		var bids [4]int64
		sum := int64(0)
		for _, p := range all {
			bids[rank(p)]++
			sum += p
		}
		n := int64(len(all))
		emit(Row{k.auction, k.day, n, bids[1], bids[2], bids[3], slices.Min(all), slices.Max(all), sum / n, sum})
	}
}

func q18(e *Events, emit func(Row)) {
	type group struct{ bidder, auction int64 }
	last := map[group]*Bid{}
	for i := range e.Bids {
		b := &e.Bids[i]
		k := group{b.Bidder, b.Auction}
		if old := last[k]; old == nil || b.DateTime > old.DateTime || b.DateTime == old.DateTime && before(b, old) {
			last[k] = b
		}
	}
	for _, b := range last {
		emit(bidRow(b))
	}
}

func bidRow(b *Bid) Row {
	return Row{b.Auction, b.Bidder, b.Price, b.Channel, b.URL, b.DateTime, b.Extra}
}

func q19(e *Events, emit func(Row)) {
	for _, bids := range indexed(e.Bids, func(b *Bid) int64 { return b.Auction }) {
		slices.SortFunc(bids, func(a, b *Bid) int {
			switch {
			case higher(a, b):
				return -1
			case higher(b, a):
				return 1
			}
			return 0
		})
		for i, b := range bids[:min(10, len(bids))] {
			emit(append(bidRow(b), int64(i+1)))
		}
	}
}
