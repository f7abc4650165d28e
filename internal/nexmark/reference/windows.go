package reference

import "slices"

// The queries with windows of time.

const second Time = 1000

// windowOf is the start of the tumbling window of a size that t is in.
func windowOf(t, size Time) Time {
	start := t - t%size
	if t < 0 && t%size != 0 {
		start -= size
	}
	return start
}

// q5 counts the bids for each auction in windows of 10 s, one every 2 s, and takes the auctions that have the most.
func q5(e *Events, emit func(Row)) {
	counts := map[Time]map[int64]int64{} // by start of the window and auction
	for _, b := range e.Bids {
		newest := windowOf(b.DateTime, 2*second)
		for start := newest; start > newest-10*second; start -= 2 * second {
			if counts[start] == nil {
				counts[start] = map[int64]int64{}
			}
			counts[start][b.Auction]++
		}
	}
	for _, auctions := range counts {
		most := int64(0)
		for _, n := range auctions {
			most = max(most, n)
		}
		for auction, n := range auctions {
			if n == most {
				emit(Row{auction, n})
			}
		}
	}
}

// q7 takes the bids at the highest price of a window of 10 s, and one of the same price at the moment when the window ends.
func q7(e *Events, emit func(Row)) {
	highest := map[Time]int64{} // by start of the window
	for _, b := range e.Bids {
		start := windowOf(b.DateTime, 10*second)
		highest[start] = max(highest[start], b.Price)
	}
	for _, b := range e.Bids {
		start := windowOf(b.DateTime, 10*second)
		row := Row{b.Auction, b.Bidder, b.Price, b.DateTime, b.Extra}
		if b.Price == highest[start] {
			emit(row)
		}
		if price, ok := highest[start-10*second]; ok && b.DateTime == start && b.Price == price {
			emit(row)
		}
	}
}

func q8(e *Events, emit func(Row)) {
	type seller struct {
		id    int64
		start Time
	}
	type person struct {
		seller
		name string
	}
	sellers := map[seller]bool{}
	for _, a := range e.Auctions {
		sellers[seller{a.Seller, windowOf(a.DateTime, 10*second)}] = true
	}
	seen := map[person]bool{}
	for _, p := range e.People {
		k := person{seller{p.ID, windowOf(p.DateTime, 10*second)}, p.Name}
		if sellers[k.seller] && !seen[k] {
			seen[k] = true
			emit(Row{p.ID, p.Name, k.start})
		}
	}
}

// q11 counts the bids of each bidder until there is none for more than 10 s; the session ends 10 s after its last bid.
func q11(e *Events, emit func(Row)) {
	times := map[int64][]Time{}
	for _, b := range e.Bids {
		times[b.Bidder] = append(times[b.Bidder], b.DateTime)
	}
	const gap = 10 * second
	for bidder, all := range times {
		slices.Sort(all)
		first := 0
		for i := range all {
			if i+1 < len(all) && all[i+1]-all[i] <= gap {
				continue
			}
			emit(Row{bidder, int64(i + 1 - first), all[first], all[i] + gap})
			first = i + 1
		}
	}
}

// q12 cannot know when bids are processed, but how many there are.
func q12(e *Events, emit func(Row)) {
	count := map[int64]int64{}
	for _, b := range e.Bids {
		count[b.Bidder]++
	}
	for bidder, n := range count {
		emit(Row{bidder, n})
	}
}
