package reference

import "slices"

// The queries that join kinds of events, without windows.

func auctionsByID(e *Events) map[int64][]*Auction {
	return indexed(e.Auctions, func(a *Auction) int64 { return a.ID })
}

func auctionsBySeller(e *Events) map[int64][]*Auction {
	return indexed(e.Auctions, func(a *Auction) int64 { return a.Seller })
}

func peopleByID(e *Events) map[int64][]*Person {
	return indexed(e.People, func(p *Person) int64 { return p.ID })
}

func indexed[T any](all []T, key func(*T) int64) map[int64][]*T {
	index := map[int64][]*T{}
	for i := range all {
		k := key(&all[i])
		index[k] = append(index[k], &all[i])
	}
	return index
}

func q3(e *Events, emit func(Row)) {
	people := peopleByID(e)
	for _, a := range e.Auctions {
		if a.Category != 10 {
			continue
		}
		for _, p := range people[a.Seller] {
			if p.State == "OR" || p.State == "ID" || p.State == "CA" {
				emit(Row{p.Name, p.City, p.State, a.ID})
			}
		}
	}
}

// won is a bid for an auction that is the best of those in its time.
type won struct {
	auction *Auction
	bid     *Bid
}

// winners are the auctions that have a winning bid, a map by id and what else tells auctions apart: the highest price, of those
// the earliest.
func winners[K comparable](e *Events, key func(*Auction) K) map[K]won {
	auctions := auctionsByID(e)
	best := map[K]won{}
	for i := range e.Bids {
		b := &e.Bids[i]
		for _, a := range auctions[b.Auction] {
			if b.DateTime < a.DateTime || b.DateTime > a.Expires {
				continue
			}
			k := key(a)
			if old, ok := best[k]; !ok || higher(b, old.bid) {
				best[k] = won{a, b}
			}
		}
	}
	return best
}

// higher says whether a bid ranks before another: by price, then by time, then as before says.
func higher(a, b *Bid) bool {
	if a.Price != b.Price {
		return a.Price > b.Price
	}
	return before(a, b)
}

// before orders bids by time and, among those at one time, by their other fields, so that no answer depends on the order of a
// file.
func before(a, b *Bid) bool {
	switch {
	case a.DateTime != b.DateTime:
		return a.DateTime < b.DateTime
	case a.Auction != b.Auction:
		return a.Auction < b.Auction
	case a.Bidder != b.Bidder:
		return a.Bidder < b.Bidder
	case a.Price != b.Price:
		return a.Price < b.Price
	case a.Channel != b.Channel:
		return a.Channel < b.Channel
	case a.URL != b.URL:
		return a.URL < b.URL
	}
	return a.Extra < b.Extra
}

func q4(e *Events, emit func(Row)) {
	type group struct{ id, category int64 }
	sum, n := map[int64]int64{}, map[int64]int64{}
	for k, w := range winners(e, func(a *Auction) group { return group{a.ID, a.Category} }) {
		sum[k.category] += w.bid.Price
		n[k.category]++
	}
	for category := range sum {
		emit(Row{category, sum[category] / n[category]})
	}
}

func q6(e *Events, emit func(Row)) {
	type group struct{ id, seller int64 }
	bySeller := map[int64][]won{}
	for k, w := range winners(e, func(a *Auction) group { return group{a.ID, a.Seller} }) {
		bySeller[k.seller] = append(bySeller[k.seller], w)
	}
	for seller, all := range bySeller {
		slices.SortFunc(all, func(a, b won) int {
			if before(a.bid, b.bid) {
				return -1
			}
			return 1
		})
		for i := range all {
			last := all[max(0, i-10) : i+1]
			sum := int64(0)
			for _, w := range last {
				sum += w.bid.Price
			}
			emit(Row{seller, sum / int64(len(last))})
		}
	}
}

func q9(e *Events, emit func(Row)) {
	for _, w := range winners(e, func(a *Auction) int64 { return a.ID }) {
		a, b := w.auction, w.bid
		emit(Row{
			a.ID, a.ItemName, a.Description, a.InitialBid, a.Reserve, a.DateTime, a.Expires, a.Seller, a.Category, a.Extra,
			b.Auction, b.Bidder, b.Price, b.DateTime, b.Extra,
		})
	}
}

func q20(e *Events, emit func(Row)) {
	auctions := auctionsByID(e)
	for _, b := range e.Bids {
		for _, a := range auctions[b.Auction] {
			if a.Category != 10 {
				continue
			}
			emit(Row{
				b.Auction, b.Bidder, b.Price, b.Channel, b.URL, b.DateTime, b.Extra,
				a.ItemName, a.Description, a.InitialBid, a.Reserve, a.DateTime, a.Expires, a.Seller, a.Category, a.Extra,
			})
		}
	}
}

func q23(e *Events, emit func(Row)) {
	people, auctions := peopleByID(e), auctionsBySeller(e)
	for _, b := range e.Bids {
		for _, p := range people[b.Bidder] {
			for _, a := range auctions[b.Bidder] {
				emit(Row{
					b.Bidder, b.Price, b.Channel, b.URL, b.Extra,
					p.ID, p.Name, p.EmailAddress, p.CreditCard, p.City, p.State, p.Extra,
					a.ItemName, a.Description, a.InitialBid, a.Reserve, a.DateTime, a.Expires, a.Seller, a.Category, a.Extra,
				})
			}
		}
	}
}
