package nexmark

import (
	"math/bits"
	"strconv"
)

// The places of a bid's dice.
const (
	bidHotAuction = iota
	bidAuction
	bidHotBidder
	bidBidder
	bidPrice
	bidHotChannel
	bidChannel
	bidExtraLength
	bidExtra
)

func (m *maker) makeBid(want Wanted) {
	g, e := m.g, m.e
	e.Numbers[BidTime] = e.Time
	if want.Has(BidAuction) {
		auction := hot(m.auction)
		if m.dice.below(bidHotAuction, g.HotAuctionRatio) == 0 {
			auction = m.anyAuction(bidAuction)
		}
		e.Numbers[BidAuction] = int64(auction) + firstAuction
	}
	if want.Has(BidBidder) {
		bidder := hot(m.person) + 1 // the second person, so that hot bidders are not hot sellers
		if m.dice.below(bidHotBidder, g.HotBiddersRatio) == 0 {
			bidder = m.anyPerson(bidBidder)
		}
		e.Numbers[BidBidder] = int64(bidder) + firstPerson
	}
	if want.Has(BidPrice) {
		e.Numbers[BidPrice] = price(m.dice.at(bidPrice))
	}
	if want&(1<<BidChannel|1<<BidURL) != 0 {
		c := &g.channels[len(hotChannels)+int(m.dice.below(bidChannel, channels))]
		if m.dice.at(bidHotChannel)&1 == 0 {
			c = &g.channels[m.dice.below(bidChannel, uint64(len(hotChannels)))]
		}
		e.Texts[BidChannel], e.Texts[BidURL] = c.name, c.url
	}
	if want.Has(BidExtra) {
		m.extra(BidExtra, bidExtraLength, 4*8, g.BidSize)
	}
}

var hotChannels = [...]string{"Google", "Facebook", "Baidu", "Apple"}

// channel is where a bid came from; its bytes are shared by all events.
type channel struct{ name, url []byte }

// newChannels are the hot channels, and behind them the others: nine in ten of their URLs name the channel.
func newChannels(seed uint64) []channel {
	all := make([]channel, 0, len(hotChannels)+channels)
	for i, name := range hotChannels {
		all = append(all, channel{[]byte(name), appendURL(nil, diceOf(seed, 1<<63+uint64(i)))})
	}
	for i := range channels {
		d := diceOf(seed, 1<<62+uint64(i))
		c := channel{name: strconv.AppendInt([]byte("channel-"), int64(i), 10), url: appendURL(nil, d)}
		if d.below(urlNamed, 10) > 0 {
			id := int64(int32(bits.Reverse32(uint32(i))))
			c.url = strconv.AppendInt(append(c.url, "&channel_id="...), max(id, -id), 10)
		}
		all = append(all, c)
	}
	return all
}

// The places of an URL's dice.
const (
	urlNamed = iota
	urlLengths
	urlFolders // three
)

// appendURL writes an URL with three folders of 3 or 4 letters.
func appendURL(dst []byte, d dice) []byte {
	dst = append(dst, "https://www.nexmark.com/"...)
	lengths := d.at(urlLengths)
	for i := range uint64(3) {
		dst = append(appendLetters(dst, d, urlFolders+i, 3+lengths>>i&1), '/')
	}
	return append(dst, "item.htm?query=1"...)
}
