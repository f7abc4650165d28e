//! The queries that count bids by day.

use crate::events::Nexmark;
use crate::times::{day, minute, window_of, DAY};
use std::borrow::Cow;
use wasmill::prelude::*;
use wasmill::{FieldOf, KeyedStream, Predicate};

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Bid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: Text<'x>,
    date_time: Millis,
}

#[derive(Clone, Row)]
struct Event<'x> {
    bid: Option<Bid<'x>>,
}

/// 1 to 3 by price.
fn rank(price: i64) -> i64 {
    match price {
        ..10_000 => 1,
        ..1_000_000 => 2,
        _ => 3,
    }
}

/// Holds for the bids of a rank.
fn ranked<R>(price: &FieldOf<R, i64>, rank: i64) -> Predicate<R> {
    match rank {
        1 => price.lt(10_000),
        2 => price.ge(10_000).and(price.lt(1_000_000)),
        _ => price.ge(1_000_000),
    }
}

/// The four columns of something: of all bids, and of those of each rank.
fn columns<R>(what: &str, all: Aggregate<R>, of: impl Fn(i64) -> Aggregate<R>) -> Vec<Aggregate<R>> {
    let ranks = (1..=3).map(|rank| of(rank).named(&format!("rank{rank}_{what}")));
    [all.named(&format!("total_{what}"))].into_iter().chain(ranks).collect()
}

/// The columns of bids, by their price.
fn bids_of<R>(price: &FieldOf<R, i64>) -> Vec<Aggregate<R>> {
    columns("bids", Aggregate::count(), |rank| Aggregate::count().filter(ranked(price, rank)))
}

/// A struct of columns that ends in the twelve of the statistics.
macro_rules! statistics_row {
    ($row:ident [$($generics:tt)*] { $($column:ident: $type:ty),+ }) => {
        #[derive(Clone, Row)]
        struct $row $($generics)* {
            $($column: $type,)+
            total_bids: i64,
            rank1_bids: i64,
            rank2_bids: i64,
            rank3_bids: i64,
            total_bidders: i64,
            rank1_bidders: i64,
            rank2_bidders: i64,
            rank3_bidders: i64,
            total_auctions: i64,
            rank1_auctions: i64,
            rank2_auctions: i64,
            rank3_auctions: i64,
        }
    };
}

/// Makes such a struct of columns and the twelve of another.
macro_rules! with_statistics {
    ($row:ident { $($column:ident: $value:expr),+ }, $of:expr) => {
        $row {
            $($column: $value,)+
            total_bids: $of.total_bids,
            rank1_bids: $of.rank1_bids,
            rank2_bids: $of.rank2_bids,
            rank3_bids: $of.rank3_bids,
            total_bidders: $of.total_bidders,
            rank1_bidders: $of.rank1_bidders,
            rank2_bidders: $of.rank2_bidders,
            rank3_bidders: $of.rank3_bidders,
            total_auctions: $of.total_auctions,
            rank1_auctions: $of.rank1_auctions,
            rank2_auctions: $of.rank2_auctions,
            rank3_auctions: $of.rank3_auctions,
        }
    };
}

/// A bid of a day, and of a channel where that counts, and whether its bidder and its auction are there for the first time: among
/// all bids of those, and among those of its rank.
#[derive(Clone, Row)]
struct Seen<'x> {
    channel: Text<'x>,
    day: i64,
    at: Millis,
    bidder: i64,
    auction: i64,
    price: i64,
    new_bidder: bool,
    new_bidder_of_rank: bool,
    new_auction: bool,
    new_auction_of_rank: bool,
}

/// The bids, with what is new in their channels, or among all. That is found by bidder and by auction, which any number of
/// subtasks share and each of which keeps little; what is left to do is to count.
fn seen<'x>(n: &Nexmark<'_, 'x>, channel: impl Fn(&BidRef<'x>) -> Text<'x> + 'static) -> Stream<'x, Seen<'x>> {
    let bids = n.timed::<EventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    let bids = bids.map("day", move |b| Seen {
        channel: channel(&b),
        day: window_of(b.date_time(), DAY),
        at: b.date_time(),
        bidder: b.bidder(),
        auction: b.auction(),
        price: b.price(),
        new_bidder: false,
        new_bidder_of_rank: false,
        new_auction: false,
        new_auction_of_rank: false,
    });
    let by_bidder = bids.key_by("bidder", |b| (b.channel, b.day, b.bidder));
    let bids = first_seen(n, "bidders", by_bidder, |b, new, of_rank| (b.new_bidder, b.new_bidder_of_rank) = (new, of_rank));
    let by_auction = bids.key_by("auction of day", |b| (b.channel, b.day, b.auction));
    first_seen(n, "auctions", by_auction, |b, new, of_rank| (b.new_auction, b.new_auction_of_rank) = (new, of_rank))
}

/// Marks the bids in which a key is for the first time, and among those of its rank. What is kept of a key ends two days after
/// its last change.
fn first_seen<'x>(
    n: &Nexmark<'_, 'x>,
    name: &str,
    bids: KeyedStream<'x, (Text<'x>, i64, i64), Seen<'x>>,
    mark: impl Fn(&mut Seen<'x>, bool, bool) + 'static,
) -> Stream<'x, Seen<'x>> {
    let ranks = n.job.value_state::<i64>("ranks").ttl(days(2));
    bids.process(name, (&ranks,), move |c, (ranks,), mut b| {
        let (seen, rank) = (ranks.get().unwrap_or(0), 1 << rank(b.price));
        if seen & rank == 0 {
            ranks.set(seen | rank);
        }
        mark(&mut b, seen == 0, seen & rank == 0);
        c.emit(b);
    })
    .uid(name)
}

/// The twelve statistics.
fn statistics<'x>() -> Vec<Aggregate<Seen<'x>>> {
    let count = |p: Predicate<Seen<'x>>| Aggregate::count().filter(p);
    let of_rank = |rank| ranked(&Seen::PRICE, rank);
    let mut all = bids_of(&Seen::PRICE);
    all.extend(columns("bidders", count(Seen::NEW_BIDDER.eq(true)), |r| count(Seen::NEW_BIDDER_OF_RANK.eq(true).and(of_rank(r)))));
    all.extend(columns("auctions", count(Seen::NEW_AUCTION.eq(true)), |r| count(Seen::NEW_AUCTION_OF_RANK.eq(true).and(of_rank(r)))));
    all
}

statistics_row!(DayTotals [] { day: i64 });
statistics_row!(DayRow [<'x>] { day: Cow<'x, str> });

pub fn q15(n: &Nexmark) {
    seen(n, |_| Text::default())
        .key_by_field("by day", Seen::DAY)
        .aggregates(statistics())
        .uid("totals")
        .map("columns", |t: DayTotals| with_statistics!(DayRow { day: day(Millis(t.day)).into() }, t))
        .sink_to(n.results());
}

#[derive(Clone, Row)]
struct ChannelDay<'x> {
    channel: Text<'x>,
    day: i64,
}

statistics_row!(ChannelTotals [<'x>] { channel: Text<'x>, day: i64, latest: Millis });
statistics_row!(ChannelRow [<'x>] { channel: Text<'x>, day: Cow<'x, str>, minute: Cow<'x, str> });

pub fn q16(n: &Nexmark) {
    seen(n, |b| b.channel())
        .key_by_fields::<ChannelDay>("by channel and day", (Seen::CHANNEL, Seen::DAY))
        .aggregates([Seen::AT.max().named("latest")].into_iter().chain(statistics()))
        .uid("totals")
        .map("columns", |t: ChannelTotals| {
            with_statistics!(ChannelRow { channel: t.channel, day: day(Millis(t.day)).into(), minute: minute(t.latest).into() }, t)
        })
        .sink_to(n.results());
}

/// A price that was bid for an auction on a day.
#[derive(Clone, Row)]
struct Offer {
    auction: i64,
    day: i64,
    price: i64,
}

#[derive(Clone, Row)]
struct AuctionDay {
    auction: i64,
    day: i64,
}

/// What the prices of an auction on a day come to.
#[derive(Clone, Row)]
struct Prices {
    auction: i64,
    day: i64,
    total_bids: i64,
    rank1_bids: i64,
    rank2_bids: i64,
    rank3_bids: i64,
    min_price: i64,
    max_price: i64,
    avg_price: i64,
    sum_price: i64,
}

#[derive(Clone, Row)]
struct PricesRow {
    auction: i64,
    day: String,
    total_bids: i64,
    rank1_bids: i64,
    rank2_bids: i64,
    rank3_bids: i64,
    min_price: i64,
    max_price: i64,
    avg_price: i64,
    sum_price: i64,
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct PricedBid {
    auction: i64,
    price: i64,
    date_time: Millis,
}

#[derive(Clone, Row)]
struct PricedEvent {
    bid: Option<PricedBid>,
}

pub fn q17(n: &Nexmark) {
    let bids = n.timed::<PricedEventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    let offers = bids.map("day", |b| Offer { auction: b.auction(), day: window_of(b.date_time(), DAY), price: b.price() });
    let price = Offer::PRICE;
    let statistics = bids_of(&price)
        .into_iter()
        .chain([price.min(), price.max(), price.avg(), price.sum()]);
    offers
        .key_by_fields::<AuctionDay>("auction and day", (Offer::AUCTION, Offer::DAY))
        .aggregates(statistics)
        .uid("prices")
        .map("columns", |p: Prices| PricesRow {
            auction: p.auction,
            day: day(Millis(p.day)),
            total_bids: p.total_bids,
            rank1_bids: p.rank1_bids,
            rank2_bids: p.rank2_bids,
            rank3_bids: p.rank3_bids,
            min_price: p.min_price,
            max_price: p.max_price,
            avg_price: p.avg_price,
            sum_price: p.sum_price,
        })
        .sink_to(n.results());
}
