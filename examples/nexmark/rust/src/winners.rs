//! The queries about winning bids: of an auction the highest in its time, of equal ones the earliest.

use crate::events::Nexmark;
use crate::times::END;
use std::cmp::Reverse;
use wasmill::prelude::*;
use wasmill::KeyedStream;

/// What winners need to know of an auction.
trait Opened<'x>: Record<'x> {
    fn begins(&self) -> Millis;
    fn ends(&self) -> Millis;
}

/// What winners need to know of a bid.
trait Offered<'x>: Record<'x> {
    fn at(&self) -> Millis;
    /// Whether it ranks before another.
    fn beats(&self, other: &Self) -> bool;
}

/// Puts out the winning bid of each auction: once it has ended, or, if it is told, each bid that leads, with the one that led
/// before. Bids may come before their auction; those of which none has come when their time has passed are dropped.
fn winners<'x, E: Record<'x>, A: Opened<'x>, B: Offered<'x>, R: Record<'x>>(
    n: &Nexmark<'_, 'x>,
    events: KeyedStream<'x, i64, E>,
    told: bool,
    auction: impl Fn(&E) -> Option<A> + 'static,
    bid: impl Fn(&E) -> Option<B> + 'static,
    won: impl Fn(A, B, Option<B>) -> R + Clone + 'static,
) -> Stream<'x, R> {
    let opened = n.job.value_state::<A>("auction");
    let best = n.job.value_state::<B>("best bid");
    let early = n.job.list_state::<B>("early bids");
    let leads = won.clone();
    events
        .process_timers(
            "winners",
            (&opened, &best, &early),
            move |c, (opened, best, early), e| {
                let offer = |a: &A, b: B| {
                    let leader = best.get();
                    if !(a.begins()..=a.ends()).contains(&b.at()) || leader.as_ref().is_some_and(|leader| !b.beats(leader)) {
                        return;
                    }
                    if told {
                        c.emit(leads(a.clone(), b.clone(), leader));
                    }
                    best.set(b);
                };
                match (auction(&e), bid(&e), opened.get()) {
                    (Some(a), _, None) => {
                        c.set_timer(a.ends().0 + 1);
                        early.iter().for_each(|b| offer(&a, b));
                        early.clear();
                        opened.set(a);
                    }
                    (_, Some(b), Some(a)) => offer(&a, b),
                    (_, Some(b), None) => {
                        c.set_timer(b.at().0 + 1);
                        early.add(b);
                    }
                    _ => {}
                }
            },
            move |c, (opened, best, early), timer| match opened.get() {
                Some(a) if a.ends().0 >= timer.time => {}
                Some(a) => {
                    if let (Some(b), false) = (best.get(), told) {
                        c.emit(won(a, b, None));
                    }
                    opened.clear();
                    best.clear();
                }
                None => {
                    let left: Vec<B> = early.iter().filter(|b| b.at().0 >= timer.time).collect();
                    early.clear();
                    left.into_iter().for_each(|b| early.add(b));
                }
            },
        )
        .uid("winners")
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct ShortAuction {
    id: i64,
    date_time: Millis,
    expires: Millis,
    seller: i64,
    category: i64,
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct ShortBid {
    auction: i64,
    price: i64,
    date_time: Millis,
}

#[derive(Clone, Row)]
struct ShortEvent {
    auction: Option<ShortAuction>,
    bid: Option<ShortBid>,
}

impl<'x> Opened<'x> for ShortAuctionRef<'x> {
    fn begins(&self) -> Millis {
        self.date_time()
    }

    fn ends(&self) -> Millis {
        self.expires()
    }
}

impl<'x> Offered<'x> for ShortBidRef<'x> {
    fn at(&self) -> Millis {
        self.date_time()
    }

    fn beats(&self, other: &Self) -> bool {
        (self.price(), other.date_time()) > (other.price(), self.date_time())
    }
}

/// A winning price, and one more winner; or what a new leader adds to the price before, and none.
#[derive(Clone, Row)]
struct Won {
    category: i64,
    seller: i64,
    auction: i64,
    at: Millis,
    price: i64,
    winners: i64,
}

fn prices<'x>(n: &Nexmark<'_, 'x>, told: bool) -> Stream<'x, Won> {
    let events = n.timed::<ShortEventRef>(&["auction", "bid"]);
    let events = events.filter("auctions and bids", |e| e.auction().is_some() || e.bid().is_some());
    let by_auction = events.key_by("auction", |e| e.auction().map_or_else(|| e.bid().map_or(0, |b| b.auction()), |a| a.id()));
    winners(n, by_auction, told, |e| e.auction(), |e| e.bid(), |a: ShortAuctionRef, b: ShortBidRef, before: Option<ShortBidRef>| Won {
        category: a.category(),
        seller: a.seller(),
        auction: b.auction(),
        at: b.date_time(),
        price: b.price() - before.map_or(0, |before| before.price()),
        winners: i64::from(before.is_none()),
    })
}

#[derive(Clone, Row)]
struct Sums {
    category: i64,
    price: i64,
    winners: i64,
}

#[derive(Clone, Row)]
struct CategoryMean {
    id: i64,
    #[row(name = "final")]
    mean: i64,
}

pub fn q4(n: &Nexmark) {
    prices(n, n.updates)
        .key_by_field("category", Won::CATEGORY)
        .aggregates([Won::PRICE.sum().named("price"), Won::WINNERS.sum().named("winners")])
        .uid("means")
        .map("columns", |s: Sums| CategoryMean { id: s.category, mean: s.price / s.winners })
        .sink_to(n.results());
}

#[derive(Clone, Row)]
struct SellerMean {
    seller: i64,
    avg_price: i64,
}

/// The mean of each winning price of a seller and the ten before it, in the order of their times and, at one time, their auctions.
pub fn q6(n: &Nexmark) {
    let won = n.job.list_state::<(Millis, i64, i64)>("won");
    prices(n, false)
        .key_value_by("seller", |w| (w.seller, (w.at, w.auction, w.price)))
        .process_timers(
            "means",
            (&won,),
            |c, (won,), one| {
                won.add(one);
                c.set_timer(END);
            },
            |c, (won,), _| {
                let mut all: Vec<_> = won.iter().collect();
                all.sort_unstable();
                for last in (1..=all.len()).map(|n| &all[n.saturating_sub(11)..n]) {
                    let sum: i64 = last.iter().map(|(_, _, price)| price).sum();
                    c.emit(SellerMean { seller: c.key(), avg_price: sum / last.len() as i64 });
                }
                won.clear();
            },
        )
        .uid("means")
        .sink_to(n.results());
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Auction<'x> {
    id: i64,
    item_name: Text<'x>,
    description: Text<'x>,
    initial_bid: i64,
    reserve: i64,
    date_time: Millis,
    expires: Millis,
    seller: i64,
    category: i64,
    extra: Text<'x>,
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Bid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    date_time: Millis,
    extra: Text<'x>,
}

#[derive(Clone, Row)]
struct Event<'x> {
    auction: Option<Auction<'x>>,
    bid: Option<Bid<'x>>,
}

impl<'x> Opened<'x> for AuctionRef<'x> {
    fn begins(&self) -> Millis {
        self.date_time()
    }

    fn ends(&self) -> Millis {
        self.expires()
    }
}

impl<'x> Offered<'x> for BidRef<'x> {
    fn at(&self) -> Millis {
        self.date_time()
    }

    fn beats(&self, other: &Self) -> bool {
        let rank = |b: &Self| (Reverse(b.price()), b.date_time(), b.bidder(), b.extra());
        rank(self) < rank(other)
    }
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct WinningBid<'x> {
    id: i64,
    item_name: Text<'x>,
    description: Text<'x>,
    initial_bid: i64,
    reserve: i64,
    date_time: Millis,
    expires: Millis,
    seller: i64,
    category: i64,
    extra: Text<'x>,
    auction: i64,
    bidder: i64,
    price: i64,
    #[row(name = "bid_dateTime")]
    bid_date_time: Millis,
    #[row(name = "bid_extra")]
    bid_extra: Text<'x>,
}

pub fn q9(n: &Nexmark) {
    let events = n.timed::<EventRef>(&["auction", "bid"]);
    let events = events.filter("auctions and bids", |e| e.auction().is_some() || e.bid().is_some());
    let by_auction = events.key_by("auction", |e| e.auction().map_or_else(|| e.bid().map_or(0, |b| b.auction()), |a| a.id()));
    winners(n, by_auction, n.updates, |e| e.auction(), |e| e.bid(), |a, b, _| winning_bid(a, b)).sink_to(n.results());
}

fn winning_bid<'x>(a: AuctionRef<'x>, b: BidRef<'x>) -> WinningBid<'x> {
    WinningBid {
        id: a.id(),
        item_name: a.item_name(),
        description: a.description(),
        initial_bid: a.initial_bid(),
        reserve: a.reserve(),
        date_time: a.date_time(),
        expires: a.expires(),
        seller: a.seller(),
        category: a.category(),
        extra: a.extra(),
        auction: b.auction(),
        bidder: b.bidder(),
        price: b.price(),
        bid_date_time: b.date_time(),
        bid_extra: b.extra(),
    }
}
