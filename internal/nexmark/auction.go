package nexmark

// The places of an auction's dice.
const (
	auctionHot = iota
	auctionSeller
	auctionCategory
	auctionInitial
	auctionReserve
	auctionLength
	auctionItemLength
	auctionDescriptionLength
	auctionExtraLength
	auctionExtra
	auctionItem        = 1 << 20 // behind all letters of extra
	auctionDescription = 2 << 20
)

func (m *maker) makeAuction(want Wanted) {
	g, e := m.g, m.e
	e.Numbers[AuctionID] = int64(m.auction) + firstAuction
	e.Numbers[AuctionTime] = e.Time
	if want&(1<<AuctionInitial|1<<AuctionReserve) != 0 {
		e.Numbers[AuctionInitial] = price(m.dice.at(auctionInitial))
		e.Numbers[AuctionReserve] = e.Numbers[AuctionInitial] + price(m.dice.at(auctionReserve))
	}
	if want.Has(AuctionExpires) {
		horizon := uint64(g.timeline.at(m.number+g.horizon) - e.Time)
		e.Numbers[AuctionExpires] = e.Time + 1 + int64(m.dice.below(auctionLength, max(2*horizon, 1)))
	}
	if want.Has(AuctionSeller) {
		seller := hot(m.person)
		if m.dice.below(auctionHot, g.HotSellersRatio) == 0 {
			seller = m.anyPerson(auctionSeller)
		}
		e.Numbers[AuctionSeller] = int64(seller) + firstPerson
	}
	e.Numbers[AuctionCategory] = firstCategory + int64(m.dice.below(auctionCategory, categories))
	item := 3 + m.dice.below(auctionItemLength, 17)
	description := 3 + m.dice.below(auctionDescriptionLength, 97)
	if want.Has(AuctionItem) {
		at := len(e.text)
		e.text = appendWords(e.text, m.dice, auctionItem, item)
		m.text(AuctionItem, at)
	}
	if want.Has(AuctionDescription) {
		at := len(e.text)
		e.text = appendWords(e.text, m.dice, auctionDescription, description)
		m.text(AuctionDescription, at)
	}
	if want.Has(AuctionExtra) {
		m.extra(AuctionExtra, auctionExtraLength, 8+item+description+5*8, g.AuctionSize)
	}
}
